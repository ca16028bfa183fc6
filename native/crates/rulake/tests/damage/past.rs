//! Damage to what only states of the past need: it is missed by verifying, and recovery leaves nothing that is missed.

use std::fs;
use std::path::{Path, PathBuf};

use rulake::{
    Batch, Collection, CollectionOptions, Durability, Lake, LakeOptions, Retention, SnapshotId,
};

use crate::directory::{copy, files};

const WRITE: LakeOptions = LakeOptions {
    read_only: false,
    recover: false,
    cache_bytes: 1 << 20,
    retention: Retention {
        generations: 4,
        milliseconds: 0,
    },
};
const RECOVER: LakeOptions = LakeOptions {
    recover: true,
    ..WRITE
};

fn open(path: &Path, options: LakeOptions) -> rulake::Result<(Lake, Collection)> {
    let lake = Lake::open(path, options)?;
    let docs = lake.collection("docs", CollectionOptions::default())?;
    Ok((lake, docs))
}

fn put(docs: &Collection, id: &str) -> SnapshotId {
    let mut batch = Batch::new();
    batch
        .push_with_vector(id, &[1.0, 2.0], Some(&"text".repeat(20)), None)
        .unwrap();
    let done = docs.upsert_and_wait(batch, Durability::Fsync).unwrap();
    done.snapshot
}

/// Generations with a log between each state and the next, and a log after all. Gives a state that only the second log
/// leads to.
fn sample(path: &Path) -> SnapshotId {
    let (lake, docs) = open(path, WRITE).unwrap();
    put(&docs, "1");
    docs.compact().unwrap();
    put(&docs, "2");
    let past = put(&docs, "3");
    put(&docs, "4");
    docs.compact().unwrap();
    put(&docs, "5");
    assert_eq!(docs.verify(None).unwrap().problems, []);
    docs.at(past).unwrap();
    lake.close().unwrap();
    past
}

fn logs(path: &Path) -> Vec<PathBuf> {
    let mut all = files(&path.join("docs/wal"));
    all.retain(|file| file.extension().is_some_and(|it| it == "log"));
    all
}

#[test]
fn a_log_that_only_the_past_needs_is_missed_and_recovered_from() {
    let dir = tempfile::tempdir().unwrap();
    let pristine = dir.path().join("pristine");
    let past = sample(&pristine);
    assert_eq!(logs(&pristine).len(), 3);
    let length = fs::metadata(&logs(&pristine)[1]).unwrap().len() as usize;
    for left in [
        None,
        Some(0),
        Some(20),
        Some(32),
        Some(33),
        Some(length / 2),
        Some(length),
    ] {
        let place = dir.path().join("damaged");
        let _ = fs::remove_dir_all(&place);
        copy(&pristine, &place);
        let log = &logs(&place)[1];
        let mut bytes = fs::read(log).unwrap();
        match left {
            None => fs::remove_file(log).unwrap(),
            // Or all zeros.
            Some(left) if left == length => fs::write(log, vec![0; length]).unwrap(),
            Some(left) => {
                bytes.truncate(left);
                fs::write(log, bytes).unwrap();
            }
        }
        let (lake, docs) = open(&place, WRITE).unwrap();
        assert_ne!(docs.verify(None).unwrap().problems, [], "{left:?}");
        assert_eq!(docs.at(past).err().unwrap().code(), "SNAPSHOT_NOT_FOUND");
        lake.close().unwrap();
        let (lake, docs) = open(&place, RECOVER).unwrap();
        assert_ne!(docs.lost(), [""; 0], "{left:?}");
        assert_eq!(docs.len(), 5);
        assert_eq!(docs.verify(None).unwrap().problems, [], "{left:?}");
        for entry in docs.history(100).unwrap() {
            docs.at(entry.snapshot).unwrap();
        }
        assert_eq!(docs.at(past).err().unwrap().code(), "SNAPSHOT_NOT_FOUND");
        lake.close().unwrap();
        let (lake, docs) = open(&place, RECOVER).unwrap();
        assert_eq!(docs.lost(), [""; 0]);
        put(&docs, "6");
        docs.compact().unwrap();
        put(&docs, "7");
        assert_eq!(docs.verify(None).unwrap().problems, [], "{left:?}");
        lake.close().unwrap();
    }
}

#[test]
fn recovery_of_what_is_not_damaged_moves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    sample(dir.path());
    let before = files(dir.path());
    let (lake, docs) = open(dir.path(), RECOVER).unwrap();
    assert_eq!(docs.lost(), [""; 0]);
    lake.close().unwrap();
    assert_eq!(files(dir.path()), before);
}

#[test]
fn directories_in_the_place_of_files_are_damage_and_recovered_from() {
    let dir = tempfile::tempdir().unwrap();
    let pristine = dir.path().join("pristine");
    sample(&pristine);
    for file in files(&pristine) {
        let place = dir.path().join("damaged");
        let _ = fs::remove_dir_all(&place);
        copy(&pristine, &place);
        let damaged = place.join(file.strip_prefix(&pristine).unwrap());
        fs::remove_file(&damaged).unwrap();
        fs::create_dir(&damaged).unwrap();
        match open(&place, WRITE) {
            Ok((_lake, docs)) => {
                assert_eq!(docs.len(), 5);
                assert_ne!(docs.verify(None).unwrap().problems, [], "{damaged:?}");
            }
            Err(error) => {
                assert_eq!(error.code(), "CORRUPT_FILE", "{error}");
                assert!(error.hint().unwrap().contains("recover"));
            }
        }
        let (lake, docs) = open(&place, RECOVER).unwrap();
        assert_ne!(docs.lost(), [""; 0], "{damaged:?}");
        let left = docs.len();
        put(&docs, "6");
        docs.compact().unwrap();
        lake.close().unwrap();
        let (_lake, docs) = open(&place, WRITE).unwrap();
        assert_eq!(docs.len(), left + 1);
        assert_eq!(docs.verify(None).unwrap().problems, [], "{damaged:?}");
    }
}

#[test]
fn files_in_the_place_of_directories_are_damage() {
    let dir = tempfile::tempdir().unwrap();
    let pristine = dir.path().join("pristine");
    sample(&pristine);
    let segment = fs::read_dir(pristine.join("docs/seg")).unwrap().next();
    let segment = segment.unwrap().unwrap().path();
    for relative in [
        segment.strip_prefix(&pristine).unwrap(),
        Path::new("docs/wal"),
    ] {
        let place = dir.path().join("damaged");
        let _ = fs::remove_dir_all(&place);
        copy(&pristine, &place);
        let damaged = place.join(relative);
        fs::remove_dir_all(&damaged).unwrap();
        fs::write(&damaged, "").unwrap();
        let looked = open(&place, LakeOptions::read_only());
        if let Err(error) = looked {
            assert_eq!(error.code(), "CORRUPT_FILE", "{relative:?}: {error}");
            assert!(error.hint().unwrap().contains("recover"));
        }
        let opened = open(&place, RECOVER);
        if relative.ends_with("wal") {
            let (lake, docs) = opened.unwrap();
            assert_ne!(docs.lost(), [""; 0]);
            put(&docs, "6");
            docs.compact().unwrap();
            assert_eq!(docs.verify(None).unwrap().problems, []);
            lake.close().unwrap();
        } else {
            assert!(opened.is_ok() || opened.err().unwrap().code() == "CORRUPT_FILE");
        }
    }
}

#[test]
fn a_segment_that_is_gone_is_damage() {
    for name in ["rows.arrow", "rows.idx", "index.rbq", "filter.rbm"] {
        let dir = tempfile::tempdir().unwrap();
        sample(dir.path());
        for file in files(dir.path()).iter().filter(|file| file.ends_with(name)) {
            fs::remove_file(file).unwrap();
        }
        for options in [WRITE, LakeOptions::read_only()] {
            let error = open(dir.path(), options).err().unwrap();
            assert_eq!(error.code(), "CORRUPT_FILE", "{name}: {error}");
            assert!(error.hint().unwrap().contains("recover"));
        }
    }
}
