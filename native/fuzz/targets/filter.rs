//! Metadata and filters: the first line of the input is the metadata of a record, the rest a filter.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rulake::{Batch, CollectionOptions, Durability, Include, Lake};

fuzz_target!(|text: &str| {
    let (metadata, filter) = text.split_once('\n').unwrap_or(("{}", text));
    let lake = Lake::in_memory();
    let docs = lake
        .collection("docs", CollectionOptions::default())
        .expect("a collection in memory");
    let mut batch = Batch::new();
    batch
        .push("plain", Some("Text"), Some(r#"{"a":{"b":[1,"x"]},"n":2}"#))
        .expect("a sound record");
    let taken = batch.push("given", None, Some(metadata)).is_ok();
    if docs.upsert_and_wait(batch, Durability::Fsync).is_err() {
        return;
    }
    assert_eq!(docs.len(), 1 + usize::from(taken));
    match docs.count(Some(filter), None) {
        Ok(count) => {
            let all = Include {
                vector: true,
                text: true,
                metadata: true,
            };
            let mut scan = docs
                .scan(Some(filter), all)
                .expect("a filter that counts also scans");
            let found = scan
                .next_chunk(10, usize::MAX, None)
                .expect("records in memory");
            assert_eq!(found.len(), count);
        }
        Err(error) => assert_eq!(error.code(), "INVALID_FILTER", "{error}"),
    }
});
