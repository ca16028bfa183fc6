//! Sessions, snapshots, history, and readers that follow a writer.

mod collections;
mod commits;
#[path = "../directory/mod.rs"]
mod directory;
mod past;

use std::path::Path;
use std::time::{Duration, Instant};

use rulake::{
    Batch, Category, Collection, CollectionOptions, Durability, Error, Include, Lake, LakeOptions,
    Retention, Selection, SnapshotId,
};

fn open(path: &Path) -> Lake {
    Lake::open(path, LakeOptions::default()).unwrap()
}

fn collection(lake: &Lake, name: &str) -> Collection {
    lake.collection(name, CollectionOptions::default()).unwrap()
}

fn batch(records: &[(&str, i32)]) -> Batch {
    let mut batch = Batch::new();
    for (id, n) in records {
        let metadata = format!("{{\"n\":{n}}}");
        batch
            .push_with_vector(id, &[*n as f32, 1.0], None, Some(&metadata))
            .unwrap();
    }
    batch
}

fn put(docs: &Collection, id: &str, n: i32) -> SnapshotId {
    docs.upsert_and_wait(batch(&[(id, n)]), Durability::Fsync)
        .unwrap()
        .snapshot
}

/// Ids with the number of each.
fn content(docs: &Collection) -> Vec<(String, String)> {
    let include = Include {
        metadata: true,
        ..Include::default()
    };
    let chunk = docs
        .scan(None, include)
        .unwrap()
        .next_chunk(1000, usize::MAX, None);
    let mut all: Vec<_> = chunk
        .unwrap()
        .into_iter()
        .map(|found| (found.id, found.metadata.unwrap_or_default()))
        .collect();
    all.sort();
    all
}

fn lakes() -> Vec<(Option<tempfile::TempDir>, Lake)> {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    vec![(None, Lake::in_memory()), (Some(dir), lake)]
}
