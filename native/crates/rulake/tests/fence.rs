//! A writer that has lost its lock.
#![cfg(unix)]

use std::fs;
use std::path::{Path, PathBuf};

use rulake::{
    Batch, Category, Collection, CollectionOptions, Durability, Include, Lake, LakeOptions,
};

fn open(path: &Path) -> (Lake, Collection) {
    let lake = Lake::open(path, LakeOptions::default()).unwrap();
    let docs = lake
        .collection("docs", CollectionOptions::default())
        .unwrap();
    (lake, docs)
}

fn put(docs: &Collection, id: &str) -> rulake::Result<rulake::Commit> {
    let mut batch = Batch::new();
    batch.push_with_vector(id, &[1.0, 2.0], None, None).unwrap();
    docs.upsert_and_wait(batch, Durability::Fsync)
}

fn ids(docs: &Collection) -> Vec<String> {
    let mut scan = docs.scan(None, Include::default()).unwrap();
    let chunk = scan.next_chunk(100, usize::MAX, None).unwrap();
    chunk.into_iter().map(|found| found.id).collect()
}

fn refused<T: std::fmt::Debug>(result: rulake::Result<T>) -> String {
    let error = result.unwrap_err();
    assert_eq!(
        (error.code(), error.category()),
        ("WRITER_FENCED", Category::Infrastructure),
        "{error}"
    );
    error.to_string()
}

fn logs(lake: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(lake.join("docs/wal")).unwrap();
    let mut logs: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    logs.sort();
    logs
}

#[test]
fn who_has_lost_the_lock_acknowledges_nothing() {
    let overwritten = r#"{"epoch":7,"pid":1,"host":"elsewhere","since":0}"#;
    for content in [None, Some(overwritten)] {
        let dir = tempfile::tempdir().unwrap();
        let (lake, docs) = open(dir.path());
        put(&docs, "a").unwrap();
        let path = dir.path().join("LOCK");
        match content {
            None => fs::remove_file(&path).unwrap(),
            Some(content) => fs::write(&path, content).unwrap(),
        }
        let before: Vec<u64> = logs(dir.path())
            .iter()
            .map(|log| fs::metadata(log).unwrap().len())
            .collect();
        for _ in 0..2 {
            let told = refused(put(&docs, "b"));
            assert!(told.contains("LOCK"), "{told}");
            assert_eq!(content.is_some(), told.contains("process 1 on elsewhere"));
        }
        refused(docs.compact());
        refused(lake.drop_collection("docs"));
        let new = lake.collection("new", CollectionOptions::default());
        refused(new.map(|_| ()));
        let replaced = lake.replace("docs", &CollectionOptions::default());
        refused(replaced.and_then(rulake::Replacement::commit));
        let session = lake.session().unwrap();
        let mut batch = Batch::new();
        batch.push("c", None, None).unwrap();
        session.upsert("docs", batch).unwrap();
        refused(session.commit());
        assert_eq!(ids(&docs), ["a"], "readers go on");
        let after: Vec<u64> = logs(dir.path())
            .iter()
            .map(|log| fs::metadata(log).unwrap().len())
            .collect();
        assert_eq!(after, before, "nothing was written");
        drop(docs);
        lake.close().unwrap();
        let (_lake, docs) = open(dir.path());
        assert_eq!(ids(&docs), ["a"]);
        put(&docs, "d").unwrap();
    }
}

#[test]
fn what_gets_into_an_old_log_behind_the_back_of_the_next_writer_never_happened() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (dir.path().join("first"), dir.path().join("second"));
    let (lake, docs) = open(&first);
    put(&docs, "a").unwrap();
    fs::create_dir_all(second.join("docs/wal")).unwrap();
    fs::create_dir_all(second.join("docs/manifest")).unwrap();
    let manifest = "docs/manifest/00000000000000000001.json";
    let log = logs(&first).remove(0);
    let old = second.join("docs/wal").join(log.file_name().unwrap());
    for file in ["rulake.json", manifest, "docs/wal/reach.json"] {
        fs::copy(first.join(file), second.join(file)).unwrap();
    }
    fs::copy(&log, &old).unwrap();
    // The next writer takes over, and writes.
    let (next, others) = open(&second);
    put(&others, "b").unwrap();
    put(&others, "c").unwrap();
    // What the first one was about to write comes now: whole, and torn.
    put(&docs, "late").unwrap();
    let late = fs::read(&log).unwrap();
    drop(docs);
    lake.close().unwrap();
    fs::write(&old, &late).unwrap();
    assert_eq!(ids(&others), ["a", "b", "c"]);
    drop(others);
    next.close().unwrap();
    for length in [late.len(), late.len() - 50, late.len() - 45] {
        fs::write(&old, &late[..length]).unwrap();
        let reader = Lake::open(&second, LakeOptions::read_only()).unwrap();
        let docs = reader
            .collection("docs", CollectionOptions::default())
            .unwrap();
        assert_eq!(ids(&docs), ["a", "b", "c"], "{length} bytes");
        reader.close().unwrap();
        let (lake, docs) = open(&second);
        assert_eq!(ids(&docs), ["a", "b", "c"], "{length} bytes");
        assert_eq!(docs.verify(None).unwrap().problems, [], "{length} bytes");
        lake.close().unwrap();
    }
    let (lake, docs) = open(&second);
    put(&docs, "d").unwrap();
    docs.compact().unwrap();
    lake.close().unwrap();
    assert_eq!(ids(&open(&second).1), ["a", "b", "c", "d"]);
}
