//! Which paths of metadata are indexed.

use std::fs;
use std::path::Path;

use rulake::{Batch, Collection, CollectionOptions, Durability, Lake, LakeOptions};

fn indexing(paths: &[&str]) -> CollectionOptions {
    CollectionOptions {
        metadata_index: Some(paths.iter().map(|path| (*path).to_owned()).collect()),
        ..CollectionOptions::default()
    }
}

fn fill(docs: &Collection) {
    let mut batch = Batch::new();
    for i in 0..200 {
        let metadata = format!(
            r#"{{"lang":"l{}","page":{i},"author":{{"name":"n{}","born":{}}}}}"#,
            i % 3,
            i % 7,
            1900 + i % 50
        );
        batch.push(&format!("r{i}"), None, Some(&metadata)).unwrap();
    }
    docs.upsert_and_wait(batch, Durability::Fsync).unwrap();
}

/// The filter index of the only segment.
fn filter_file(lake: &Path) -> Vec<u8> {
    let segment = fs::read_dir(lake.join("docs/seg")).unwrap().next();
    fs::read(segment.unwrap().unwrap().path().join("filter.rbm")).unwrap()
}

fn has(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|run| run == text.as_bytes())
}

#[test]
fn only_what_was_chosen_is_in_the_index_and_every_filter_is_right() {
    for (paths, inside, outside) in [
        (&["lang"][..], &["lang"][..], &["page", "author"][..]),
        (
            &["author"],
            &["author", "author.name", "author.born"],
            &["lang", "page"],
        ),
        (
            &["author.name", "lang", "never"],
            &["author.name", "lang", "never"],
            &["author.born"],
        ),
        (&[], &[], &["lang", "page", "author"]),
    ] {
        let dir = tempfile::tempdir().unwrap();
        for round in 0..2 {
            let lake = Lake::open(dir.path(), LakeOptions::default()).unwrap();
            let docs = lake.collection("docs", indexing(paths)).unwrap();
            if round == 0 {
                fill(&docs);
                docs.compact().unwrap();
            }
            let stored: Vec<&str> = docs
                .metadata_index()
                .unwrap()
                .iter()
                .map(String::as_str)
                .collect();
            let mut sorted = paths.to_vec();
            sorted.sort_unstable();
            assert_eq!(stored, sorted);
            let count = |filter: &str| docs.count(Some(filter), None).unwrap();
            assert_eq!(count(r#"{"lang":"l1"}"#), 67);
            assert_eq!(count(r#"{"page":{"$lt":10}}"#), 10);
            assert_eq!(count(r#"{"author.name":"n3","page":{"$gte":100}}"#), 15);
            assert_eq!(count(r#"{"author.born":{"$in":[1900,1901]}}"#), 8);
            assert_eq!(count(r#"{"author":{"$exists":true}}"#), 200);
            assert_eq!(count(r#"{"never":{"$exists":false}}"#), 200);
            assert_eq!(count(r#"{"neither":{"$exists":true}}"#), 0);
            assert_eq!(docs.verify(None).unwrap().problems, []);
            lake.close().unwrap();
        }
        let file = filter_file(dir.path());
        for path in inside {
            assert!(has(&file, path), "{paths:?}: {path}");
        }
        for path in outside {
            assert!(!has(&file, path), "{paths:?}: {path}");
        }
    }
}

#[test]
fn another_choice_than_the_stored_one_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::open(dir.path(), LakeOptions::default()).unwrap();
    let code = |name: &str, options| {
        let error = lake.collection(name, options).err()?;
        Some((error.code(), error.to_string()))
    };
    assert_eq!(code("some", indexing(&["b", "a", "b"])), None);
    assert_eq!(code("some", indexing(&["a", "b"])), None);
    assert_eq!(code("some", CollectionOptions::default()), None);
    let (refused, text) = code("some", indexing(&["a"])).unwrap();
    assert_eq!(refused, "COLLECTION_MISMATCH");
    assert!(text.contains("metadataIndex [a, b], not [a]"), "{text}");
    assert_eq!(code("all", CollectionOptions::default()), None);
    let (refused, text) = code("all", indexing(&[])).unwrap();
    assert_eq!(refused, "COLLECTION_MISMATCH");
    assert!(text.contains("metadataIndex every path, not []"), "{text}");
    let deep = ["x"; 17].join(".");
    for path in ["", "$or", &deep] {
        assert_eq!(code("new", indexing(&[path])).unwrap().0, "INVALID_OPTION");
    }
    let many: Vec<String> = (0..257).map(|i| i.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(code("new", indexing(&many)).unwrap().0, "INVALID_OPTION");
    assert_eq!(lake.list().unwrap(), ["all", "some"]);
}
