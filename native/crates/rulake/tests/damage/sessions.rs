//! Sessions over two collections in a lake as a crash leaves it, of which a log has lost its end: a part alone is never
//! taken for the whole.

use std::fs;
use std::path::{Path, PathBuf};

use rulake::{Batch, CollectionOptions, Include, Lake, LakeOptions, Result, Selection};

use crate::directory::{copy, files};

const NAMES: [&str; 2] = ["from", "to"];

fn records(ids: &[&str]) -> Batch {
    let mut batch = Batch::new();
    for id in ids {
        batch.push(id, None, None).unwrap();
    }
    batch
}

/// Moves a record from one collection to the other.
fn shift(lake: &Lake, id: &str) {
    let session = lake.session().unwrap();
    let selection = Selection::Ids(vec![id.into()]);
    session.delete(NAMES[0], &selection).unwrap();
    session.upsert(NAMES[1], records(&[id])).unwrap();
    session.commit().unwrap();
}

/// Ids of both collections, and what recovery has told.
fn look(place: &Path, options: LakeOptions) -> Result<([Vec<String>; 2], Vec<String>)> {
    let lake = Lake::open(place, options)?;
    let mut told = Vec::new();
    let mut ids = [vec![], vec![]];
    for (name, ids) in NAMES.iter().zip(&mut ids) {
        let collection = lake.collection(name, CollectionOptions::default())?;
        told.extend_from_slice(collection.lost());
        let mut scan = collection.scan(None, Include::default())?;
        loop {
            let chunk = scan.next_chunk(100, usize::MAX, None)?;
            if chunk.is_empty() {
                break;
            }
            ids.extend(chunk.into_iter().map(|record| record.id));
        }
        ids.sort_unstable();
        assert_eq!(collection.verify(None)?.problems, []);
    }
    lake.close()?;
    Ok((ids, told))
}

/// A lake as a crash leaves it, and its last log of each kind.
fn crashed(dir: &Path, flush: bool, more: bool) -> (PathBuf, Vec<PathBuf>) {
    let (live, place) = (dir.join("live"), dir.join("crashed"));
    let lake = Lake::open(&live, LakeOptions::default()).unwrap();
    let [from, to] = NAMES.map(|name| lake.collection(name, CollectionOptions::default()).unwrap());
    let wait = rulake::Durability::Fsync;
    from.upsert_and_wait(records(&["a", "b", "c"]), wait)
        .unwrap();
    to.upsert_and_wait(records(&["z"]), wait).unwrap();
    shift(&lake, "a");
    if flush {
        from.compact().unwrap();
    }
    shift(&lake, "b");
    if more {
        to.upsert_and_wait(records(&["y"]), wait).unwrap();
        from.upsert_and_wait(records(&["x"]), wait).unwrap();
    }
    copy(&live, &place);
    lake.close().unwrap();
    let last = |folder: &str| {
        let mut logs = files(&place.join(folder));
        logs.retain(|file| file.extension().is_some_and(|end| end == "log"));
        logs.sort();
        logs.pop().unwrap()
    };
    let logs = [".sessions", "from/wal", "to/wal"].map(last);
    (place, logs.to_vec())
}

#[test]
fn a_part_is_never_taken_for_the_whole() {
    let recover = LakeOptions {
        recover: true,
        ..LakeOptions::default()
    };
    let (mut refused, mut told_of) = (0, 0);
    for (flush, more) in [(false, false), (false, true), (true, false), (true, true)] {
        let dir = tempfile::tempdir().unwrap();
        let (place, logs) = crashed(dir.path(), flush, more);
        for log in logs {
            let bytes = fs::read(&log).unwrap();
            for length in (0..bytes.len()).rev().step_by(31) {
                for first in [
                    Some(LakeOptions::read_only()),
                    Some(LakeOptions::default()),
                    None,
                ] {
                    let damaged = dir.path().join("damaged");
                    let _ = fs::remove_dir_all(&damaged);
                    copy(&place, &damaged);
                    let at = damaged.join(log.strip_prefix(&place).unwrap());
                    fs::write(&at, &bytes[..length]).unwrap();
                    let what = format!("{at:?} {length} of {} {first:?}", bytes.len());
                    if let Some(options) = first {
                        match look(&damaged, options) {
                            // All of it or nothing.
                            Ok(([from, to], told)) => {
                                for id in ["a", "b"] {
                                    let here = from.iter().filter(|other| *other == id).count();
                                    let there = to.iter().filter(|other| *other == id).count();
                                    let is_all_lost = from.is_empty() && there == 0;
                                    assert!(
                                        here + there == 1 || is_all_lost,
                                        "{what}: {from:?} {to:?}"
                                    );
                                }
                                assert!(told.is_empty());
                                // What was written after it shows a session that its log has lost.
                                if more && at.to_string_lossy().contains(".sessions") {
                                    assert_eq!(from, ["c", "x"], "{what}");
                                    assert_eq!(to, ["a", "b", "y", "z"], "{what}");
                                }
                            }
                            Err(error) => {
                                assert_eq!(error.code(), "CORRUPT_FILE", "{what}");
                                refused += 1;
                            }
                        }
                    }
                    let (ids, told) =
                        look(&damaged, recover).unwrap_or_else(|e| panic!("{what}: {e}"));
                    let again = look(&damaged, LakeOptions::default());
                    let (after, nothing) = again.unwrap_or_else(|e| panic!("{what}: {e}"));
                    assert_eq!((&after, nothing.len()), (&ids, 0), "{what}");
                    if ["a", "b"].iter().any(|id| {
                        let is_in = |ids: &Vec<String>| ids.iter().any(|other| other == id);
                        !is_in(&ids[0]) && !is_in(&ids[1]) && !ids[0].is_empty()
                    }) {
                        assert!(!told.is_empty(), "{what}: {ids:?}");
                        told_of += 1;
                    }
                }
            }
        }
    }
    assert!(refused > 10 && told_of > 10, "{refused} {told_of}");
}

/// Copies of a lake before and after a session over `names`, as crashes leave them.
fn around(dir: &Path, names: &[&str]) -> [PathBuf; 2] {
    let live = dir.join("live");
    let lake = Lake::open(&live, LakeOptions::default()).unwrap();
    let write = || {
        let session = lake.session().unwrap();
        for name in names {
            let count = session.upsert(name, records(&["first", "second"]));
            count.unwrap();
        }
        session.commit().unwrap();
    };
    write();
    let places = [dir.join("before"), dir.join("after")];
    copy(&live, &places[0]);
    let selection = Selection::Ids(vec!["first".into()]);
    let session = lake.session().unwrap();
    for name in names {
        session.delete(name, &selection).unwrap();
    }
    session.commit().unwrap();
    copy(&live, &places[1]);
    lake.close().unwrap();
    places
}

fn replace(from: &Path, to: &Path, part: &str) {
    fs::remove_dir_all(to.join(part)).unwrap();
    copy(&from.join(part), &to.join(part));
}

fn lengths(lake: &Lake, names: &[&str]) -> Result<Vec<usize>> {
    let collection = |name: &&str| lake.collection(name, CollectionOptions::default());
    let collections = names.iter().map(collection).collect::<Result<Vec<_>>>()?;
    for collection in &collections {
        assert_eq!(collection.verify(None)?.problems, []);
    }
    Ok(collections.iter().map(rulake::Collection::len).collect())
}

#[test]
fn what_a_crash_has_ended_is_not_recovered_by_halves() {
    let names = ["a", "b", "c"];
    let dir = tempfile::tempdir().unwrap();
    let [before, after] = around(dir.path(), &names);
    for prepared in 0..=names.len() {
        for damage in ["reach.json", "log", ""] {
            let place = dir.path().join("place");
            let _ = fs::remove_dir_all(&place);
            copy(&after, &place);
            // Killed before the session was committed.
            replace(&before, &place, ".sessions");
            for name in &names[prepared..] {
                replace(&before, &place, &format!("{name}/wal"));
            }
            let lake = Lake::open(&place, LakeOptions::read_only()).unwrap();
            assert_eq!(lengths(&lake, &names).unwrap(), [2, 2, 2]);
            drop(lake);
            let sessions = place.join(".sessions");
            for file in files(&sessions) {
                if file.to_string_lossy().ends_with(damage) {
                    fs::write(file, "{}").unwrap();
                }
            }
            let recover = LakeOptions {
                recover: true,
                ..LakeOptions::default()
            };
            let lake = Lake::open(&place, recover).unwrap();
            let found = lengths(&lake, &names).unwrap();
            let is_whole = prepared == names.len() && found == [1, 1, 1];
            assert!(
                found == [2, 2, 2] || is_whole,
                "{prepared} {damage}: {found:?}"
            );
            lake.close().unwrap();
            let lake = Lake::open(&place, LakeOptions::default()).unwrap();
            assert_eq!(lengths(&lake, &names).unwrap(), found);
        }
    }
}

#[test]
fn what_tells_how_far_the_log_of_sessions_reaches_is_missed() {
    let names = ["a", "b"];
    let dir = tempfile::tempdir().unwrap();
    let [_, place] = around(dir.path(), &names);
    let lake = Lake::open(&place, LakeOptions::default()).unwrap();
    let a = lake.collection("a", CollectionOptions::default()).unwrap();
    a.compact().unwrap();
    lake.close().unwrap();
    let sessions = place.join(".sessions");
    let reach = sessions.join("reach.json");
    fs::remove_file(&reach).unwrap();
    for step in 0..3 {
        for options in [LakeOptions::read_only(), LakeOptions::default()] {
            let lake = Lake::open(&place, options).unwrap();
            let a = lake.collection("a", CollectionOptions::default()).unwrap();
            let problems = a.verify(None).unwrap().problems;
            assert!(
                problems
                    .iter()
                    .any(|problem| problem.path.starts_with(&sessions)),
                "{step}: {problems:?}"
            );
            let b = lake.collection("b", CollectionOptions::default());
            assert_eq!(b.err().unwrap().code(), "CORRUPT_FILE", "{step}");
            // A new session must not make a file that hides the loss.
            if !options.read_only {
                let session = lake.session().unwrap();
                session.upsert("a", records(&["x"])).unwrap();
                session.upsert("new", records(&["x"])).unwrap();
                assert_eq!(session.commit().unwrap_err().code(), "CORRUPT_FILE");
                assert!(!reach.exists());
            }
            let _ = lake.close();
        }
        let log = files(&sessions).remove(0);
        let file = fs::File::options().write(true).open(log).unwrap();
        file.set_len([32, 0][step.min(1)]).unwrap();
    }
    let recover = LakeOptions {
        recover: true,
        ..LakeOptions::default()
    };
    let lake = Lake::open(&place, recover).unwrap();
    assert_eq!(lengths(&lake, &names).unwrap(), [1, 1]);
}

#[test]
fn a_reader_looks_again_at_a_session_that_was_not_decided() {
    let dir = tempfile::tempdir().unwrap();
    let [before, after] = around(dir.path(), &["a", "b"]);
    let place = dir.path().join("place");
    copy(&after, &place);
    replace(&before, &place, ".sessions");
    let lake = Lake::open(&place, LakeOptions::read_only()).unwrap();
    let [a, b] =
        ["a", "b"].map(|name| lake.collection(name, CollectionOptions::default()).unwrap());
    for _ in 0..2 {
        assert!(!a.refresh().unwrap() && !b.refresh().unwrap());
        assert_eq!((a.len(), b.len()), (2, 2));
    }
    replace(&after, &place, ".sessions");
    for collection in [a, b] {
        assert!(collection.refresh().unwrap());
        assert_eq!(collection.len(), 1);
        assert!(!collection.refresh().unwrap());
    }
}
