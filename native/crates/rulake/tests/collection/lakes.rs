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
fn a_reader_is_told_of_a_dropped_collection() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    put(&docs(&lake), &[("a", [1.0, 0.0, 0.0], "{}")]);
    docs(&lake).compact().unwrap();
    let reader = Lake::open(dir.path(), LakeOptions::read_only()).unwrap();
    let (read, asked) = (docs(&reader), docs(&reader));
    assert!(lake.drop_collection("docs").unwrap());
    assert_eq!(search(&read, &[1.0, 0.0, 0.0], 9, None).len(), 1, "not yet");
    let error = read.refresh().unwrap_err();
    assert_eq!(error.code(), "CLOSED");
    assert!(
        error.to_string().contains("dropped") && error.hint().is_some(),
        "{error}"
    );
    assert!(read.is_dropped());
    for error in [
        asked.refresh().unwrap_err(),
        asked.history(9).unwrap_err(),
        asked.count(None, None).unwrap_err(),
    ] {
        assert_eq!(error.code(), "CLOSED");
    }
    let gone = reader.collection("docs", CollectionOptions::default());
    assert_eq!(gone.err().unwrap().code(), "COLLECTION_NOT_FOUND");
    put(&docs(&lake), &[("b", [1.0, 0.0, 0.0], "{}")]);
    assert_eq!(docs(&reader).len(), 1);
    // Without a look at it first.
    lake.drop_collection("docs").unwrap();
    let gone = reader.collection("docs", CollectionOptions::default());
    assert_eq!(gone.err().unwrap().code(), "COLLECTION_NOT_FOUND");
    // Damage is not taken for it.
    put(&docs(&lake), &[("b", [1.0, 0.0, 0.0], "{}")]);
    let read = docs(&reader);
    std::fs::remove_dir_all(dir.path().join("docs").join("manifest")).unwrap();
    assert_eq!(read.refresh().unwrap_err().code(), "CORRUPT_FILE");
}

#[test]
fn readers_may_open_while_collections_come_and_go() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = [0, 0, 0];
            while !stop.load(Ordering::Relaxed) {
                let lake = Lake::open(dir.path(), LakeOptions::read_only()).unwrap();
                let docs = match lake.collection("docs", CollectionOptions::default()) {
                    Ok(docs) => docs,
                    Err(error) => {
                        assert_eq!(error.code(), "COLLECTION_NOT_FOUND", "{error}");
                        seen[0] += 1;
                        continue;
                    }
                };
                seen[1] += 1;
                if let Err(error) = docs.refresh() {
                    assert_eq!(error.code(), "CLOSED", "{error}");
                    seen[2] += 1;
                }
            }
            seen
        });
        for _ in 0..100 {
            put(&docs(&lake), &[("a", [1.0, 0.0, 0.0], "{}")]);
            lake.drop_collection("docs").unwrap();
        }
        stop.store(true, Ordering::Relaxed);
        let seen = reader.join().unwrap();
        assert!(seen[0] > 0 && seen[1] > 0, "{seen:?}");
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

#[test]
fn a_directory_that_is_about_to_become_a_lake_is_none_yet() {
    let dir = tempfile::tempdir().unwrap();
    for file in [None, Some("LOCK"), Some(".draft-7-rulake.json")] {
        if let Some(file) = file {
            std::fs::write(dir.path().join(file), "").unwrap();
        }
        let error = Lake::open(dir.path(), LakeOptions::read_only()).err();
        assert_eq!(error.unwrap().code(), "FILE_NOT_FOUND");
    }
    drop(Lake::open(dir.path(), LakeOptions::default()).unwrap());
    Lake::open(dir.path(), LakeOptions::read_only()).unwrap();
}

#[test]
fn a_lake_that_has_lost_its_file_is_told_how_to_get_it_back() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::open(dir.path(), LakeOptions::default()).unwrap();
    lake.collection("docs", CollectionOptions::default())
        .unwrap();
    lake.close().unwrap();
    std::fs::remove_file(dir.path().join("rulake.json")).unwrap();
    for options in [LakeOptions::default(), LakeOptions::read_only()] {
        let error = Lake::open(dir.path(), options).err().unwrap();
        assert_eq!(error.code(), "NOT_A_LAKE");
        assert!(error.hint().unwrap().contains("recover"));
    }
}
