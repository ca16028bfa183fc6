//! A disk of which fsync fails, or takes long, while everything else works.
#![cfg(target_os = "linux")]

#[path = "../shim/mod.rs"]
mod shim;

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use rulake::{
    Batch, Category, Collection, CollectionOptions, Durability, Include, IndexChoice, Lake,
    LakeOptions, SearchRequest, Selection,
};

const EIO: i32 = 5;

/// Runs a test in a process of its own that has the shim; in that process, where its files are.
fn with_shim(test: &str) -> Option<Faults> {
    if let (Ok(control), Ok(lake)) = (std::env::var("RULAKE_FAULT"), std::env::var("RULAKE_LAKE")) {
        return Some(Faults {
            control: control.into(),
            lake: lake.into(),
        });
    }
    let dir = tempfile::tempdir().unwrap();
    let shim = shim::compile("faults", dir.path())?;
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env("LD_PRELOAD", &shim)
        .env("RULAKE_FAULT", dir.path().join("fault"))
        .env("RULAKE_LAKE", dir.path().join("lake"))
        .status();
    assert!(status.unwrap().success());
    None
}

struct Faults {
    control: PathBuf,
    lake: PathBuf,
}

impl Faults {
    /// From now on, fsync of the files with this in their paths.
    fn set(&self, error: i32, slowness: Duration, part: &str) {
        let line = format!("{error} {} {part}", slowness.as_millis());
        let draft = self.control.with_extension("draft");
        fs::write(&draft, line).unwrap();
        fs::rename(draft, &self.control).unwrap();
    }

    fn fail(&self, part: &str) {
        self.set(EIO, Duration::ZERO, part);
    }

    fn end(&self) {
        fs::remove_file(&self.control).unwrap();
    }

    fn open(&self) -> Lake {
        Lake::open(&self.lake, LakeOptions::default()).unwrap()
    }
}

fn collection(lake: &Lake, name: &str) -> Collection {
    lake.collection(name, CollectionOptions::default()).unwrap()
}

fn batch(ids: &[&str]) -> Batch {
    let mut batch = Batch::new();
    for id in ids {
        let vector = [id.len() as f32, 1.0];
        batch
            .push_with_vector(id, &vector, Some(&format!("text of {id}")), None)
            .unwrap();
    }
    batch
}

fn put(collection: &Collection, ids: &[&str]) -> rulake::Result<rulake::Commit> {
    collection.upsert_and_wait(batch(ids), Durability::Fsync)
}

fn ids(collection: &Collection) -> Vec<String> {
    let mut scan = collection.scan(None, Include::default()).unwrap();
    let chunk = scan.next_chunk(100, usize::MAX, None).unwrap();
    chunk.into_iter().map(|found| found.id).collect()
}

/// Reads and searches; what is there is `expected`.
fn check_reading(collection: &Collection, expected: &[&str]) {
    assert_eq!(ids(collection), expected);
    assert_eq!(collection.count(None, None).unwrap(), expected.len());
    let request = SearchRequest {
        k: 100,
        ..SearchRequest::default()
    };
    let found = collection.search(&[1.0, 1.0], 1, &request, None).unwrap();
    assert_eq!(found[0].len(), expected.len());
}

/// Whether a write fails for the disk, and with which code.
fn refused<T: std::fmt::Debug>(result: rulake::Result<T>) -> &'static str {
    let error = result.unwrap_err();
    assert_eq!(error.category(), Category::Infrastructure, "{error}");
    error.code()
}

/// After reopening: what is expected is there, something unacknowledged as a whole or not at all, and writing works.
fn check_reopened(faults: &Faults, expected: &[&str], unsure: &[&str]) {
    for round in 0..2 {
        let lake = faults.open();
        let docs = collection(&lake, "docs");
        let found = ids(&docs);
        let with = [expected, unsure].concat();
        assert!(found == expected || found == with, "{found:?}");
        assert_eq!(docs.verify(None).unwrap().problems, []);
        put(&docs, &["after"]).unwrap();
        docs.delete_and_wait(Selection::Ids(vec!["after".into()]), Durability::Fsync)
            .unwrap();
        if round == 0 {
            docs.compact().unwrap();
        }
        lake.close().unwrap();
    }
}

#[test]
fn a_log_that_cannot_be_synced_stops_the_writer_and_no_reader() {
    let Some(faults) = with_shim("a_log_that_cannot_be_synced_stops_the_writer_and_no_reader")
    else {
        return;
    };
    let lake = faults.open();
    let docs = collection(&lake, "docs");
    put(&docs, &["a", "b"]).unwrap();
    docs.compact().unwrap();
    put(&docs, &["c"]).unwrap();
    let other = collection(&lake, "other");
    put(&other, &["x"]).unwrap();
    faults.fail("/docs/wal/");
    assert_eq!(refused(put(&docs, &["d", "e"])), "IO");
    check_reading(&docs, &["a", "b", "c"]);
    // A disk that works again is no reason to go on: what it holds is not known.
    faults.end();
    assert_eq!(refused(put(&docs, &["f"])), "WRITER_POISONED");
    let all = docs.delete_and_wait(Selection::All, Durability::Buffered);
    assert_eq!(refused(all), "WRITER_POISONED");
    assert_eq!(refused(docs.compact()), "WRITER_POISONED");
    check_reading(&docs, &["a", "b", "c"]);
    put(&other, &["y"]).unwrap();
    let reader = Lake::open(&faults.lake, LakeOptions::read_only()).unwrap();
    assert_eq!(ids(&collection(&reader, "docs"))[..3], ["a", "b", "c"]);
    reader.close().unwrap();
    lake.close().unwrap();
    check_reopened(&faults, &["a", "b", "c"], &["d", "e"]);
    assert_eq!(ids(&collection(&faults.open(), "other")), ["x", "y"]);
}

#[test]
fn a_buffered_write_that_cannot_be_synced_later_stops_the_writer() {
    let Some(faults) = with_shim("a_buffered_write_that_cannot_be_synced_later_stops_the_writer")
    else {
        return;
    };
    let lake = faults.open();
    let docs = collection(&lake, "docs");
    put(&docs, &["a"]).unwrap();
    faults.fail("/docs/wal/");
    docs.upsert_and_wait(batch(&["b"]), Durability::Buffered)
        .unwrap();
    let begun = Instant::now();
    while docs
        .upsert_and_wait(batch(&["b"]), Durability::Buffered)
        .is_ok()
    {
        assert!(begun.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(150));
    }
    assert_eq!(refused(put(&docs, &["c"])), "WRITER_POISONED");
    check_reading(&docs, &["a", "b"]);
    faults.end();
    lake.close().unwrap();
    check_reopened(&faults, &["a"], &["b"]);
}

/// Commits a record for each of two collections.
fn session(lake: &Lake, doc: &str, entry: &str) -> rulake::Result<()> {
    let session = lake.session()?;
    session.upsert("docs", batch(&[doc]))?;
    session.upsert("ledger", batch(&[entry]))?;
    session.commit().map(drop)
}

#[test]
fn a_session_that_cannot_begin_leaves_everything_as_it_was() {
    let Some(faults) = with_shim("a_session_that_cannot_begin_leaves_everything_as_it_was") else {
        return;
    };
    let lake = faults.open();
    let (docs, ledger) = (collection(&lake, "docs"), collection(&lake, "ledger"));
    put(&docs, &["a"]).unwrap();
    put(&ledger, &["1"]).unwrap();
    // Their log cannot be made.
    faults.fail("/.sessions");
    assert_eq!(refused(session(&lake, "b", "2")), "IO");
    faults.end();
    put(&docs, &["c"]).unwrap();
    check_reading(&docs, &["a", "c"]);
    session(&lake, "d", "4").unwrap();
    lake.close().unwrap();
    let lake = faults.open();
    check_reading(&collection(&lake, "docs"), &["a", "c", "d"]);
    check_reading(&collection(&lake, "ledger"), &["1", "4"]);
}

#[test]
fn a_session_that_cannot_be_synced_happens_in_all_collections_or_in_none() {
    let Some(faults) =
        with_shim("a_session_that_cannot_be_synced_happens_in_all_collections_or_in_none")
    else {
        return;
    };
    for part in ["/.sessions/", "/ledger/wal/", "/docs/wal/"] {
        let _ = fs::remove_dir_all(&faults.lake);
        let lake = faults.open();
        session(&lake, "a", "1").unwrap();
        faults.fail(part);
        refused(session(&lake, "b", "2"));
        check_reading(&collection(&lake, "docs"), &["a"]);
        check_reading(&collection(&lake, "ledger"), &["1"]);
        faults.end();
        lake.close().unwrap();
        let lake = faults.open();
        let (docs, ledger) = (collection(&lake, "docs"), collection(&lake, "ledger"));
        let both = (ids(&docs), ids(&ledger));
        let (none, all) = ((vec!["a"], vec!["1"]), (vec!["a", "b"], vec!["1", "2"]));
        let is = |(d, l): &(Vec<&str>, Vec<&str>)| both.0 == *d && both.1 == *l;
        assert!(is(&none) || is(&all), "{part}: {both:?}");
        put(&docs, &["c"]).unwrap();
        put(&ledger, &["3"]).unwrap();
        assert_eq!(docs.verify(None).unwrap().problems, []);
        lake.close().unwrap();
    }
}

#[test]
fn a_segment_that_cannot_be_synced_leaves_everything_in_the_log() {
    let Some(faults) = with_shim("a_segment_that_cannot_be_synced_leaves_everything_in_the_log")
    else {
        return;
    };
    // What is flushed last may or may not have been committed when a directory fails.
    for (part, stops) in [
        ("/rows.arrow", false),
        ("index.rbq", false),
        ("/filter.rbm", false),
        ("/seg$", false),
        ("/manifest/", false),
        ("/manifest$", true),
    ] {
        let _ = fs::remove_dir_all(&faults.lake);
        let lake = faults.open();
        let docs = collection(&lake, "docs");
        put(&docs, &["a", "b"]).unwrap();
        docs.compact().unwrap();
        put(&docs, &["c", "dd"]).unwrap();
        faults.fail(part);
        let failed = docs.compact();
        assert!(failed.is_err(), "{part}");
        assert_eq!(refused(failed), "IO", "{part}");
        check_reading(&docs, &["a", "b", "c", "dd"]);
        faults.end();
        let next = put(&docs, &["e"]);
        let mut expected = vec!["a", "b", "c", "dd"];
        if stops {
            assert_eq!(refused(next), "WRITER_POISONED", "{part}");
        } else {
            next.unwrap();
            expected.push("e");
            docs.compact().unwrap();
        }
        check_reading(&docs, &expected);
        lake.close().unwrap();
        check_reopened(&faults, &expected, &[]);
    }
}

#[test]
fn a_slow_flush_makes_writes_wait() {
    let Some(faults) = with_shim("a_slow_flush_makes_writes_wait") else {
        return;
    };
    const DIMENSIONS: usize = 1024;
    const RECORDS: usize = 500;
    const BATCHES: usize = 120;
    // Each of the files of a segment.
    faults.set(0, Duration::from_millis(400), "/seg/");
    let lake = faults.open();
    let options = CollectionOptions {
        index: Some(IndexChoice::FlatF32),
        ..CollectionOptions::default()
    };
    let docs = lake.collection("docs", options).unwrap();
    let (mut most, mut longest) = (0, Duration::ZERO);
    for i in 0..BATCHES {
        let mut batch = Batch::new();
        for j in 0..RECORDS {
            let vector: Vec<f32> = (0..DIMENSIONS)
                .map(|d| ((i * 31 + j * 7 + d) % 101) as f32 + 1.0)
                .collect();
            batch
                .push_with_vector(&format!("r{i}-{j}"), &vector, None, None)
                .unwrap();
        }
        let begun = Instant::now();
        docs.upsert_and_wait(batch, Durability::Buffered).unwrap();
        longest = longest.max(begun.elapsed());
        most = most.max(docs.stats().unwrap().memtable);
    }
    let bytes = most * DIMENSIONS * 4;
    println!(
        "at most {} MB in memory, the longest wait {longest:?}",
        bytes >> 20
    );
    // One of 80 MiB, one of 64 MiB, and the batches that go beyond.
    assert!(bytes <= 150 << 20, "{} MB", bytes >> 20);
    assert!(longest > Duration::from_millis(500), "nothing has waited");
    faults.end();
    assert_eq!(docs.len(), BATCHES * RECORDS);
    lake.close().unwrap();
    let lake = faults.open();
    let docs = collection(&lake, "docs");
    assert_eq!(docs.len(), BATCHES * RECORDS);
    assert_eq!(docs.verify(None).unwrap().problems, []);
}
