//! Collections within their lake.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use rulake::{Batch, CollectionOptions, Durability, Lake, LakeOptions};

use crate::{batch, docs, lakes, open, put, search};

#[test]
fn collections_are_listed_and_dropped() {
    for (dir, lake) in lakes() {
        assert!(lake.list().unwrap().is_empty());
        let b = lake.collection("b", CollectionOptions::default()).unwrap();
        put(&b, &[("x", [1.0, 2.0, 3.0], "{}")]);
        lake.collection("a", CollectionOptions::default()).unwrap();
        assert_eq!(lake.list().unwrap(), ["a", "b"]);
        assert_eq!(
            lake.collection("../b", CollectionOptions::default())
                .err()
                .unwrap()
                .code(),
            "INVALID_NAME"
        );
        assert!(lake.drop_collection("b").unwrap());
        assert!(!lake.drop_collection("b").unwrap());
        assert_eq!(b.count(None, None).unwrap_err().code(), "CLOSED");
        assert_eq!(
            b.upsert_and_wait(Batch::new(), Durability::Fsync)
                .unwrap_err()
                .code(),
            "CLOSED"
        );
        assert_eq!(lake.list().unwrap(), ["a"]);
        assert!(
            lake.collection("b", CollectionOptions::default())
                .unwrap()
                .is_empty()
        );
        if let Some(dir) = dir {
            assert_eq!(
                lake.collection("A", CollectionOptions::default())
                    .err()
                    .unwrap()
                    .code(),
                "INVALID_NAME"
            );
            lake.close().unwrap();
            assert_eq!(open(dir.path()).list().unwrap(), ["a", "b"]);
        }
        lake.close().unwrap();
        assert_eq!(lake.list().unwrap_err().code(), "CLOSED");
    }
}

#[test]
fn handles_on_one_directory_share_the_lake() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path());
    let second = open(&dir.path().join("..").join(dir.path().file_name().unwrap()));
    put(&docs(&first), &[("a", [1.0, 0.0, 0.0], "{}")]);
    let seen = docs(&second);
    assert_eq!(seen.len(), 1);
    first.close().unwrap();
    assert_eq!(seen.count(None, None).unwrap(), 1);
    second.close().unwrap();
    assert_eq!(seen.count(None, None).unwrap_err().code(), "CLOSED");
    let reader = Lake::open(dir.path(), LakeOptions::read_only()).unwrap();
    let writer = open(dir.path());
    let read = docs(&reader);
    assert_eq!(read.len(), 1);
    assert_eq!(
        read.upsert_and_wait(batch(&[("b", [1.0; 3], "{}")]), Durability::Fsync)
            .unwrap_err()
            .code(),
        "READ_ONLY"
    );
    let error = reader
        .collection("dcos", CollectionOptions::default())
        .err()
        .unwrap();
    assert_eq!(error.code(), "COLLECTION_NOT_FOUND");
    put(&docs(&writer), &[("b", [1.0; 3], "{}")]);
    assert_eq!(read.len(), 1, "a reader keeps its state");
}

#[test]
fn readers_may_open_at_any_moment() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    let docs = docs(&lake);
    put(&docs, &[("a", [1.0, 0.0, 0.0], "{}")]);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut opened = 0;
            while !stop.load(Ordering::Relaxed) {
                let lake = Lake::open(dir.path(), LakeOptions::read_only()).unwrap();
                let docs = self::docs(&lake);
                assert_eq!(search(&docs, &[1.0, 0.0, 0.0], 99, None).len(), docs.len());
                opened += 1;
            }
            opened
        });
        for i in 0..200 {
            put(
                &docs,
                &[(&format!("r{}", i % 20), [1.0, i as f32, 0.0], "{}")],
            );
            docs.compact().unwrap();
        }
        stop.store(true, Ordering::Relaxed);
        assert!(reader.join().unwrap() > 5);
    });
}

#[test]
fn a_directory_with_other_files_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("thesis.tex"), "…").unwrap();
    let error = Lake::open(dir.path(), LakeOptions::default())
        .err()
        .unwrap();
    assert_eq!(error.code(), "NOT_A_LAKE");
    assert!(error.to_string().contains("thesis.tex"));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    let missing = Lake::open(&dir.path().join("none"), LakeOptions::read_only())
        .err()
        .unwrap();
    assert_eq!(missing.code(), "FILE_NOT_FOUND");
}
