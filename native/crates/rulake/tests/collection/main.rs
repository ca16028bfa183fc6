//! A collection through its public face, in memory and on disk.

mod concurrency;
mod growth;
mod lakes;
mod records;
mod reopening;
mod scan;

use std::path::Path;

use rulake::{
    Batch, Collection, CollectionOptions, Durability, Include, Lake, LakeOptions, SearchRequest,
};

const ALL: Include = Include {
    vector: true,
    text: true,
    metadata: true,
};

fn open(path: &Path) -> Lake {
    Lake::open(path, LakeOptions::default()).unwrap()
}

fn docs(lake: &Lake) -> Collection {
    lake.collection("docs", CollectionOptions::default())
        .unwrap()
}

fn batch(records: &[(&str, [f32; 3], &str)]) -> Batch {
    let mut batch = Batch::new();
    for (id, vector, metadata) in records {
        batch
            .push_with_vector(id, vector, Some(&format!("text of {id}")), Some(metadata))
            .unwrap();
    }
    batch
}

fn put(collection: &Collection, records: &[(&str, [f32; 3], &str)]) -> rulake::Commit {
    collection
        .upsert_and_wait(batch(records), Durability::Fsync)
        .unwrap()
}

fn search(collection: &Collection, vector: &[f32], k: usize, filter: Option<&str>) -> Vec<String> {
    let request = SearchRequest {
        k,
        filter: filter.map(str::to_owned),
        ..SearchRequest::default()
    };
    let matches = collection
        .search(vector, 1, &request, None)
        .unwrap()
        .remove(0);
    matches.into_iter().map(|found| found.record.id).collect()
}

fn lakes() -> Vec<(Option<tempfile::TempDir>, Lake)> {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    vec![(None, Lake::in_memory()), (Some(dir), lake)]
}
