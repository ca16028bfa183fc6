//! Collections to publish and ways to look at bundles.

use std::fs;
use std::path::{Path, PathBuf};

use rulake::{
    Batch, Bundle, Collection, CollectionOptions, Draft, Durability, Found, Include, Lake,
    LoadOptions, Loaded, PublishOptions, Role,
};

pub(crate) const ALL: Include = Include {
    vector: true,
    text: true,
    metadata: true,
};

pub(crate) fn docs(metric: rabitq::Metric) -> (Lake, Collection) {
    let lake = Lake::in_memory();
    let options = CollectionOptions {
        metric: Some(metric),
        ..CollectionOptions::default()
    };
    let collection = lake.collection("docs", options).unwrap();
    (lake, collection)
}

pub(crate) fn vector(i: usize) -> Vec<f32> {
    (0..6)
        .map(|d| ((i * 7 + d * 3) as f32).sin() * 2.0)
        .collect()
}

/// Records with and without vector, text and metadata.
pub(crate) fn fill(collection: &Collection, count: usize, id: impl Fn(usize) -> String) {
    let mut batch = Batch::new();
    for i in 0..count {
        let text = (i % 3 != 1).then(|| format!("text \"{i}\"\nüber\u{2028} \0"));
        let metadata =
            (i % 4 != 2).then(|| format!("{{ \"n\": {i}.50, \"n\": 1e2,\"x\":[null] }}"));
        let (text, metadata) = (text.as_deref(), metadata.as_deref());
        if i % 5 == 3 {
            batch.push(&id(i), text, metadata).unwrap();
        } else {
            batch
                .push_with_vector(&id(i), &vector(i), text, metadata)
                .unwrap();
        }
    }
    collection
        .upsert_and_wait(batch, Durability::Fsync)
        .unwrap();
}

pub(crate) fn all(collection: &Collection) -> Vec<Found> {
    let mut scan = collection.scan(None, ALL).unwrap();
    let mut records = Vec::new();
    loop {
        let chunk = scan.next_chunk(100, 1 << 20, None).unwrap();
        if chunk.is_empty() {
            return records;
        }
        records.extend(chunk);
    }
}

pub(crate) fn publish(collection: &Collection, dir: &Path) -> Bundle {
    let options = PublishOptions::default();
    let draft = Draft::write(collection, dir, &options, None).unwrap();
    draft.commit(None).unwrap()
}

pub(crate) fn open(dir: &Path) -> rulake::Result<Loaded> {
    Bundle::read(dir)?.load(dir, &LoadOptions::default(), None)
}

pub(crate) fn code(result: rulake::Result<Loaded>) -> &'static str {
    result.map(drop).unwrap_err().code()
}

pub(crate) fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

pub(crate) fn file(dir: &Path, bundle: &Bundle, role: Role) -> PathBuf {
    dir.join(&bundle.content.as_ref().unwrap().file(role).unwrap().name)
}

/// A published bundle of a few records.
pub(crate) fn small() -> (tempfile::TempDir, Bundle) {
    let dir = tempfile::tempdir().unwrap();
    let (_lake, collection) = docs(rabitq::Metric::Cosine);
    fill(&collection, 6, |i| format!("doc-{i}"));
    let bundle = publish(&collection, dir.path());
    (dir, bundle)
}
