//! A collection that takes the place of another.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rulake::{Batch, Collection, CollectionOptions, Durability, Include, Lake, LakeOptions};

fn open(path: &Path) -> Lake {
    Lake::open(path, LakeOptions::default()).unwrap()
}

fn docs(lake: &Lake) -> Collection {
    lake.collection("docs", CollectionOptions::default())
        .unwrap()
}

fn put(collection: &Collection, id: &str, vector: &[f32]) {
    let mut batch = Batch::new();
    batch.push_with_vector(id, vector, Some(id), None).unwrap();
    collection
        .upsert_and_wait(batch, Durability::Buffered)
        .unwrap();
}

fn ids(collection: &Collection) -> Vec<String> {
    let mut scan = collection.scan(None, Include::default()).unwrap();
    let chunk = scan.next_chunk(100, usize::MAX, None).unwrap();
    chunk.into_iter().map(|found| found.id).collect()
}

fn l2() -> CollectionOptions {
    CollectionOptions {
        metric: rabitq::Metric::from_name("l2"),
        ..CollectionOptions::default()
    }
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn the_old_one_serves_until_the_new_one_is_complete() {
    let dir = tempfile::tempdir().unwrap();
    for lake in [open(dir.path()), Lake::in_memory()] {
        let old = docs(&lake);
        put(&old, "a", &[1.0, 0.0]);
        let replacement = lake.replace("docs", &l2()).unwrap();
        let new = replacement.collection();
        put(&new, "b", &[1.0, 2.0, 3.0]);
        put(&old, "c", &[0.0, 1.0]);
        assert_eq!(ids(&old), ["a", "c"]);
        assert_eq!(lake.list().unwrap(), ["docs"]);
        replacement.commit().unwrap();
        assert_eq!(old.count(None, None).unwrap_err().code(), "CLOSED");
        assert!(old.is_dropped());
        let now = docs(&lake);
        assert_eq!(ids(&now), ["b"]);
        assert_eq!((now.metric().name(), now.dimensions()), ("l2", Some(3)));
        assert_eq!(now.verify(None).unwrap().problems, []);
        put(&now, "d", &[0.0, 0.0, 1.0]);
        lake.close().unwrap();
    }
    assert_eq!(names(dir.path()), ["LOCK", "docs", "rulake.json"]);
    assert_eq!(ids(&docs(&open(dir.path()))), ["b", "d"]);
}

#[test]
fn what_is_not_committed_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    put(&docs(&lake), "a", &[1.0, 0.0]);
    let replacement = lake.replace("docs", &l2()).unwrap();
    let new = replacement.collection();
    put(&new, "b", &[1.0]);
    assert_eq!(names(dir.path()).len(), 4);
    drop(replacement);
    assert_eq!(new.count(None, None).unwrap_err().code(), "CLOSED");
    assert_eq!(ids(&docs(&lake)), ["a"]);
    assert_eq!(names(dir.path()), ["LOCK", "docs", "rulake.json"]);
    assert_eq!(
        lake.replace("DOCS", &l2()).err().unwrap().code(),
        "INVALID_NAME"
    );
    // Where there is nothing to replace, it is made.
    lake.replace("more", &l2()).unwrap().commit().unwrap();
    assert_eq!(lake.list().unwrap(), ["docs", "more"]);
    lake.close().unwrap();
    let reader = Lake::open(dir.path(), LakeOptions::read_only()).unwrap();
    assert_eq!(
        reader.replace("docs", &l2()).err().unwrap().code(),
        "READ_ONLY"
    );
}

#[test]
fn a_crash_between_the_steps_is_completed_or_undone() {
    let dir = tempfile::tempdir().unwrap();
    let (at, next) = (dir.path().join("docs"), dir.path().join(".next-docs"));
    let made = || {
        let lake = open(dir.path());
        let replacement = lake.replace("docs", &CollectionOptions::default()).unwrap();
        put(&replacement.collection(), "new", &[2.0]);
        replacement.commit().unwrap();
        lake.close().unwrap();
    };
    made();
    // Committed, not in its place: the old one is there, or already out of the way.
    for old_is_there in [true, false] {
        fs::rename(&at, &next).unwrap();
        if old_is_there {
            fs::create_dir_all(at.join("manifest")).unwrap();
        }
        let reader = Lake::open(dir.path(), LakeOptions::read_only()).unwrap();
        if !old_is_there {
            assert_eq!(ids(&docs(&reader)), ["new"]);
        }
        reader.close().unwrap();
        assert_eq!(ids(&docs(&open(dir.path()))), ["new"]);
        assert_eq!(names(dir.path()), ["LOCK", "docs", "rulake.json"]);
    }
    fs::create_dir_all(dir.path().join(".incoming-half/manifest")).unwrap();
    assert_eq!(ids(&docs(&open(dir.path()))), ["new"]);
    assert_eq!(names(dir.path()), ["LOCK", "docs", "rulake.json"]);
}

#[test]
fn a_reader_of_the_old_one_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    put(&docs(&lake), "a", &[1.0, 0.0]);
    let reader = Lake::open(dir.path(), LakeOptions::read_only()).unwrap();
    let seen = docs(&reader);
    assert!(!seen.refresh().unwrap());
    let replacement = lake.replace("docs", &l2()).unwrap();
    put(&replacement.collection(), "b", &[1.0, 2.0, 3.0]);
    assert!(!seen.refresh().unwrap());
    replacement.commit().unwrap();
    assert_eq!(ids(&seen), ["a"], "what it has open is still there");
    assert_eq!(seen.refresh().unwrap_err().code(), "CLOSED");
    assert_eq!(seen.count(None, None).unwrap_err().code(), "CLOSED");
    assert_eq!(ids(&docs(&reader)), ["b"]);
}

#[test]
fn a_reader_sees_the_old_one_or_the_new_one_at_any_time() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    put(&docs(&lake), "a", &[1.0]);
    let done = AtomicBool::new(false);
    let replaced = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut looks = 0;
            while !done.load(Ordering::Relaxed) {
                let reader = Lake::open(dir.path(), LakeOptions::read_only()).unwrap();
                assert_eq!(reader.list().unwrap(), ["docs"]);
                let seen = docs(&reader);
                assert_eq!(ids(&seen), ["a"]);
                match seen.refresh() {
                    Ok(_) => assert_eq!(ids(&seen), ["a"]),
                    Err(error) => assert_eq!(error.code(), "CLOSED", "{error}"),
                }
                assert_eq!(ids(&docs(&reader)), ["a"]);
                looks += 1;
            }
            looks
        });
        let started = Instant::now();
        let mut replaced = 0;
        while started.elapsed() < Duration::from_secs(2) {
            let replacement = lake.replace("docs", &CollectionOptions::default()).unwrap();
            put(&replacement.collection(), "a", &[1.0]);
            replacement.commit().unwrap();
            replaced += 1;
        }
        done.store(true, Ordering::Relaxed);
        assert!(reader.join().unwrap() > 10);
        replaced
    });
    assert!(replaced > 10, "{replaced}");
}
