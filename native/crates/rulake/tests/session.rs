//! Sessions, snapshots, history, and readers that follow a writer.

mod directory;

use std::path::Path;
use std::time::{Duration, Instant};

use rulake::{
    Batch, Category, Collection, CollectionOptions, Durability, Error, Include, Lake, LakeOptions,
    Retention, Selection, SnapshotId,
};

fn open(path: &Path) -> Lake {
    Lake::open(path, LakeOptions::default()).unwrap()
}

fn collection(lake: &Lake, name: &str) -> Collection {
    lake.collection(name, CollectionOptions::default()).unwrap()
}

fn batch(records: &[(&str, i32)]) -> Batch {
    let mut batch = Batch::new();
    for (id, n) in records {
        let metadata = format!("{{\"n\":{n}}}");
        batch
            .push_with_vector((*id).into(), &[*n as f32, 1.0], None, Some(metadata))
            .unwrap();
    }
    batch
}

fn put(docs: &Collection, id: &str, n: i32) -> SnapshotId {
    docs.upsert_and_wait(batch(&[(id, n)]), Durability::Fsync)
        .unwrap()
        .snapshot
}

/// Ids with the number of each.
fn content(docs: &Collection) -> Vec<(String, String)> {
    let include = Include {
        metadata: true,
        ..Include::default()
    };
    let chunk = docs
        .scan(None, include)
        .unwrap()
        .next_chunk(1000, usize::MAX, None);
    let mut all: Vec<_> = chunk
        .unwrap()
        .into_iter()
        .map(|found| (found.id, found.metadata.unwrap_or_default()))
        .collect();
    all.sort();
    all
}

fn lakes() -> Vec<(Option<tempfile::TempDir>, Lake)> {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    vec![(None, Lake::in_memory()), (Some(dir), lake)]
}

fn assert_superseded(error: &Error) {
    assert_eq!(
        (error.code(), error.category()),
        ("CONFLICT", Category::Transient)
    );
    let message = error.to_string();
    assert!(
        message.contains("'a' was dropped or replaced since"),
        "{message}"
    );
    assert!(error.hint().is_some_and(|hint| hint.contains("withRetry")));
}

#[test]
fn a_session_happens_in_all_collections_at_once() {
    for (dir, lake) in lakes() {
        let (a, b) = (collection(&lake, "a"), collection(&lake, "b"));
        put(&a, "x", 1);
        put(&b, "y", 1);
        let session = lake.session().unwrap();
        assert_eq!(
            session.upsert("a", batch(&[("x", 2), ("z", 2)])).unwrap(),
            1
        );
        assert_eq!(
            session
                .delete("b", &Selection::Filter(r#"{"n":1}"#.into()))
                .unwrap(),
            1
        );
        let seen = lake.view(&session, "a").unwrap();
        assert_eq!((seen.len(), a.len(), b.len()), (2, 1, 1));
        assert_eq!(lake.view(&session, "b").unwrap().len(), 0);
        assert_eq!(
            seen.upsert_and_wait(batch(&[("q", 1)]), Durability::Fsync)
                .unwrap_err()
                .code(),
            "READ_ONLY"
        );
        let committed = session.commit().unwrap();
        assert_eq!(committed.len(), 2);
        assert_eq!((a.len(), b.len()), (2, 0));
        put(&a, "after", 3);
        put(&b, "after", 3);
        let (in_a, in_b) = (content(&a), content(&b));
        if let Some(dir) = dir {
            lake.close().unwrap();
            for compacted in [false, true] {
                let lake = open(dir.path());
                let (a, b) = (collection(&lake, "a"), collection(&lake, "b"));
                assert_eq!((content(&a), content(&b)), (in_a.clone(), in_b.clone()));
                assert_eq!(a.verify(None).unwrap().problems, []);
                if !compacted {
                    a.compact().unwrap();
                    b.compact().unwrap();
                }
                lake.close().unwrap();
            }
        }
    }
}

#[test]
fn the_first_to_commit_wins() {
    for (_dir, lake) in lakes() {
        let (a, b) = (collection(&lake, "a"), collection(&lake, "b"));
        put(&a, "x", 1);
        let mine = lake.session().unwrap();
        let other = lake.session().unwrap();
        mine.upsert("a", batch(&[("x", 2)])).unwrap();
        mine.upsert("b", batch(&[("y", 2)])).unwrap();
        other.upsert("a", batch(&[("x", 3)])).unwrap();
        mine.commit().unwrap();
        let error = other.commit().unwrap_err();
        assert_eq!(
            (error.code(), error.category()),
            ("CONFLICT", Category::Transient)
        );
        assert!(
            error.to_string().contains("\"x\"") && error.hint().is_some(),
            "{error}"
        );
        // Inserting the same new id twice is one, too; other records are not.
        let late = lake.session().unwrap();
        late.upsert("b", batch(&[("new", 1)])).unwrap();
        put(&b, "unrelated", 1);
        late.commit().unwrap();
        let late = lake.session().unwrap();
        late.upsert("b", batch(&[("new2", 1)])).unwrap();
        put(&b, "new2", 5);
        assert_eq!(late.commit().unwrap_err().code(), "CONFLICT");
        assert_eq!(b.len(), 4);
        let gone = lake.session().unwrap();
        gone.delete("b", &Selection::All).unwrap();
        drop(gone);
        assert_eq!(b.len(), 4);
    }
}

#[test]
fn a_session_does_not_see_what_is_committed_after_it_began() {
    for (_dir, lake) in lakes() {
        let (a, b) = (collection(&lake, "a"), collection(&lake, "b"));
        put(&a, "x", 1);
        let session = lake.session().unwrap();
        put(&a, "late", 1);
        put(&b, "late", 1);
        a.compact().unwrap();
        assert_eq!(lake.view(&session, "a").unwrap().len(), 1);
        assert_eq!(lake.view(&session, "b").unwrap().len(), 0);
        assert!(session.commit().unwrap().is_empty());
    }
}

#[test]
fn a_change_whose_session_has_no_marker_never_happened() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    let a = collection(&lake, "a");
    put(&a, "x", 1);
    let session = lake.session().unwrap();
    session.upsert("a", batch(&[("x", 2)])).unwrap();
    session.upsert("b", batch(&[("y", 2)])).unwrap();
    session.commit().unwrap();
    lake.close().unwrap();
    // As a crash leaves it that comes before the log of sessions is made.
    let sessions = dir.path().join(".sessions");
    for entry in std::fs::read_dir(&sessions).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let lake = open(dir.path());
    collection(&lake, "new");
    lake.close().unwrap();
    // It says that there is no log.
    let reach = dir.path().join("new/wal/reach.json");
    std::fs::copy(reach, sessions.join("reach.json")).unwrap();
    let lake = open(dir.path());
    let (a, b) = (collection(&lake, "a"), collection(&lake, "b"));
    assert_eq!(content(&a), [("x".into(), "{\"n\":1}".into())]);
    assert_eq!(b.len(), 0);
    put(&a, "x", 3);
    put(&b, "y", 3);
    lake.close().unwrap();
    let lake = open(dir.path());
    assert_eq!(
        content(&collection(&lake, "a")),
        [("x".into(), "{\"n\":3}".into())]
    );
    assert_eq!(collection(&lake, "b").len(), 1);
}

#[test]
fn who_sees_a_session_in_one_collection_sees_it_in_all() {
    const NAMES: [&str; 3] = ["a", "b", "c"];
    const SESSIONS: i32 = 400;
    for (_dir, lake) in lakes() {
        let all = NAMES.map(|name| collection(&lake, name));
        let write = |n: i32| {
            let session = lake.session().unwrap();
            for name in NAMES {
                session.upsert(name, batch(&[("counter", n)])).unwrap();
            }
            session.commit().unwrap();
        };
        write(0);
        let counter = |docs: &Collection| -> i32 {
            let (_, metadata) = content(docs).remove(0);
            let digits = metadata.trim_matches(|c: char| !c.is_ascii_digit());
            digits.parse().unwrap()
        };
        std::thread::scope(|scope| {
            scope.spawn(|| (1..=SESSIONS).for_each(write));
            let (mut last, mut turn) = (0, 0);
            while last < SESSIONS {
                turn += 1;
                let now = counter(&all[turn % NAMES.len()]);
                assert!(now >= last, "{now} after {last}");
                last = now;
            }
        });
    }
}

#[test]
fn a_session_that_was_given_up_late_is_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    let (a, b) = (collection(&lake, "a"), collection(&lake, "b"));
    put(&b, "x", 0);
    let mut committed = 0;
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for n in 0..300 {
                put(&b, "x", n);
            }
        });
        // Most conflicts are found before anything is written, some when `a` has its part already.
        while !writer.is_finished() {
            let session = lake.session().unwrap();
            let id = format!("s{committed}");
            session.upsert("a", batch(&[(&*id, 1)])).unwrap();
            session
                .delete("a", &Selection::Ids(vec!["gone".into()]))
                .unwrap();
            session.upsert("b", batch(&[("x", -1)])).unwrap();
            match session.commit() {
                Ok(_) => committed += 1,
                Err(error) => assert_eq!(error.code(), "CONFLICT"),
            }
        }
    });
    put(&a, "last", 1);
    assert_eq!(a.len(), committed + 1);
    // As if the process had died.
    let copy = dir.path().join("copy");
    directory::copy(dir.path(), &copy);
    for options in [LakeOptions::read_only(), LakeOptions::default()] {
        let again = Lake::open(&copy, options).unwrap();
        let (a, b) = (collection(&again, "a"), collection(&again, "b"));
        assert_eq!((a.len(), b.len()), (committed + 1, 1));
        assert_eq!(a.verify(None).unwrap().problems, []);
    }
}

#[test]
fn a_collection_that_a_session_has_made_is_not_taken_for_one_it_was_about_to_make() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    collection(&lake, "a");
    let session = lake.session().unwrap();
    session.upsert("a", batch(&[("x", 1)])).unwrap();
    session.upsert("b", batch(&[("y", 1)])).unwrap();
    session.commit().unwrap();
    let session = lake.session().unwrap();
    session.upsert("alone", batch(&[("y", 1)])).unwrap();
    session.commit().unwrap();
    lake.close().unwrap();
    for name in ["b", "alone"] {
        let logs = dir.path().join(name).join("wal");
        let hidden = dir.path().join("hidden");
        for lost in ["log", "json"] {
            let is_it = |path: &std::path::PathBuf| path.extension().unwrap() == lost;
            let mut all = std::fs::read_dir(&logs).unwrap();
            let file = all.find_map(|entry| Some(entry.unwrap().path()).filter(is_it));
            let file = file.unwrap();
            std::fs::rename(&file, &hidden).unwrap();
            let lake = open(dir.path());
            let opened = lake.collection(name, CollectionOptions::default());
            let code = opened.err().map(|error| error.code());
            assert_eq!(code, Some("CORRUPT_FILE"), "{name} {lost}");
            lake.close().unwrap();
            std::fs::rename(&hidden, &file).unwrap();
        }
    }
    let lake = open(dir.path());
    assert_eq!(lake.list().unwrap(), ["a", "alone", "b"]);
    assert_eq!(collection(&lake, "b").len(), 1);
    assert_eq!(collection(&lake, "alone").len(), 1);
}

#[test]
fn every_state_that_is_kept_can_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let options = LakeOptions {
        retention: Retention {
            generations: 100,
            milliseconds: 0,
        },
        ..LakeOptions::default()
    };
    let lake = Lake::open(dir.path(), options).unwrap();
    let docs = collection(&lake, "docs");
    let mut states = vec![(docs.snapshot_id().unwrap(), content(&docs))];
    for i in 0..40 {
        if i % 7 == 3 {
            let all = Selection::Filter(format!("{{\"n\":{{\"$lt\":{}}}}}", i - 4));
            docs.delete_and_wait(all, Durability::Buffered).unwrap();
        } else {
            put(&docs, &format!("r{}", i % 11), i);
        }
        let now = (docs.snapshot_id().unwrap(), content(&docs));
        if states.last() != Some(&now) {
            states.push(now);
        }
        if i % 5 == 4 {
            docs.compact().unwrap();
        }
    }
    let ids: Vec<_> = states.iter().map(|state| state.0).collect();
    let texts: Vec<String> = ids.iter().map(SnapshotId::to_string).collect();
    assert!(texts.is_sorted(), "{texts:?}");
    let known: Vec<_> = docs
        .history(1000)
        .unwrap()
        .iter()
        .map(|entry| entry.snapshot)
        .collect();
    assert_eq!(known, ids);
    assert_eq!(docs.history(3).unwrap().len(), 3);
    for (id, expected) in &states {
        let past = docs.at(*id).unwrap();
        assert_eq!(
            (past.snapshot_id().unwrap(), &content(&past)),
            (*id, expected)
        );
        let found = past.search(
            &[1.0, 1.0],
            1,
            &rulake::SearchRequest {
                k: 99,
                ..Default::default()
            },
            None,
        );
        assert_eq!(found.unwrap()[0].len(), expected.len());
    }
    lake.close().unwrap();
    // The default keeps two generations: older states are gone, and say so.
    let lake = open(dir.path());
    let docs = collection(&lake, "docs");
    let held = docs.at(ids[20]).unwrap();
    for i in 0..3 {
        put(&docs, "x", i);
        docs.compact().unwrap();
    }
    assert_eq!(content(&held), states[20].1);
    drop(held);
    put(&docs, "x", 9);
    docs.compact().unwrap();
    assert_eq!(docs.at(ids[3]).err().unwrap().code(), "SNAPSHOT_NOT_FOUND");
    let never = SnapshotId::new(1, 2);
    assert_eq!(docs.at(never).err().unwrap().code(), "SNAPSHOT_NOT_FOUND");
    assert!(docs.history(1000).unwrap().len() < 8);
}

#[test]
fn a_snapshot_stays_whatever_happens_to_the_collection() {
    for (_dir, lake) in lakes() {
        let docs = collection(&lake, "docs");
        for i in 0..20 {
            put(&docs, &format!("r{i}"), i);
        }
        let pinned = docs.snapshot().unwrap();
        let before = content(&pinned);
        docs.delete_and_wait(Selection::All, Durability::Fsync)
            .unwrap();
        for i in 0..5 {
            put(&docs, &format!("n{i}"), i);
            docs.compact().unwrap();
        }
        assert_eq!(content(&pinned), before);
        assert_eq!(pinned.len(), 20);
        let again = docs.at(pinned.snapshot_id().unwrap()).unwrap();
        assert_eq!(content(&again), before);
        assert_eq!(pinned.compact().unwrap_err().code(), "READ_ONLY");
    }
}

#[test]
fn a_reader_follows_when_it_is_asked_to() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    let docs = collection(&lake, "docs");
    put(&docs, "a", 1);
    let reader = Lake::open(dir.path(), LakeOptions::read_only()).unwrap();
    let view = collection(&reader, "docs");
    assert!(!docs.refresh().unwrap());
    for i in 0..30 {
        put(&docs, &format!("r{}", i % 9), i);
        if i % 4 == 1 {
            docs.compact().unwrap();
        }
        if i % 6 == 5 {
            let session = lake.session().unwrap();
            session.upsert("docs", batch(&[("s", i)])).unwrap();
            session.upsert("other", batch(&[("s", i)])).unwrap();
            session.commit().unwrap();
        }
        assert_ne!(content(&view), content(&docs));
        assert!(view.refresh().unwrap());
        assert_eq!(content(&view), content(&docs));
        assert_eq!(view.snapshot_id().unwrap(), docs.snapshot_id().unwrap());
        assert!(!view.refresh().unwrap(), "nothing new");
    }
}

#[test]
fn a_session_makes_collections_only_by_writing_to_them() {
    for (_dir, lake) in lakes() {
        let a = collection(&lake, "a");
        put(&a, "x", 1);
        // One that reads, one that is given up, one whose input is refused, one that leaves nothing.
        let session = lake.session().unwrap();
        assert_eq!(lake.view(&session, "b").unwrap().len(), 0);
        assert_eq!(session.delete("c", &Selection::All).unwrap(), 0);
        assert!(session.commit().unwrap().is_empty());
        let session = lake.session().unwrap();
        session.upsert("b", batch(&[("y", 1)])).unwrap();
        assert_eq!(lake.view(&session, "b").unwrap().len(), 1);
        assert_eq!(lake.list().unwrap(), ["a"], "nobody else sees it");
        drop(session);
        let session = lake.session().unwrap();
        session.upsert("b", batch(&[("y", 1)])).unwrap();
        let mut wrong = Batch::new();
        wrong
            .push_with_vector("z".into(), &[1.0], None, None)
            .unwrap();
        let refused = session.upsert("b", wrong).unwrap_err();
        assert_eq!(refused.code(), "DIMENSION_MISMATCH");
        assert_eq!(
            session.upsert(".b", batch(&[])).unwrap_err().code(),
            "INVALID_NAME"
        );
        session.delete("b", &Selection::All).unwrap();
        assert!(session.commit().unwrap().is_empty());
        // One that loses in another collection.
        let session = lake.session().unwrap();
        session.upsert("b", batch(&[("y", 1)])).unwrap();
        session.upsert("a", batch(&[("x", 2)])).unwrap();
        put(&a, "x", 3);
        assert_eq!(session.commit().unwrap_err().code(), "CONFLICT");
        assert_eq!(lake.list().unwrap(), ["a"]);
        // One that is committed.
        let session = lake.session().unwrap();
        session
            .upsert("b", batch(&[("y", 1), ("z", 1), ("gone", 1)]))
            .unwrap();
        session
            .delete("b", &Selection::Ids(vec!["gone".into()]))
            .unwrap();
        session.upsert("c", batch(&[("y", 1)])).unwrap();
        assert_eq!(session.commit().unwrap().len(), 2);
        assert_eq!(lake.list().unwrap(), ["a", "b", "c"]);
        assert_eq!(collection(&lake, "b").len(), 2);
        // Alone, too.
        let session = lake.session().unwrap();
        session.upsert("d", batch(&[("y", 1)])).unwrap();
        session.commit().unwrap();
        assert_eq!(collection(&lake, "d").len(), 1);
    }
}

#[test]
fn a_collection_that_others_make_or_drop_meanwhile_is_no_surprise() {
    for (dir, lake) in lakes() {
        let early = lake.session().unwrap();
        let late = lake.session().unwrap();
        early.upsert("a", batch(&[("x", 1)])).unwrap();
        late.upsert("a", batch(&[("x", 2)])).unwrap();
        let a = collection(&lake, "a");
        put(&a, "other", 1);
        early.commit().unwrap();
        assert_eq!(late.commit().unwrap_err().code(), "CONFLICT");
        assert_eq!(a.len(), 2);
        let session = lake.session().unwrap();
        lake.drop_collection("a").unwrap();
        put(&collection(&lake, "a"), "x", 5);
        let error = session.upsert("a", batch(&[("x", 2)])).unwrap_err();
        assert_superseded(&error);
        let session = lake.session().unwrap();
        session.upsert("new", batch(&[("x", 1)])).unwrap();
        let same = session.upsert("NEW", batch(&[("x", 1)]));
        assert_eq!(same.is_err(), dir.is_some(), "of files, case does not tell");
    }
}

#[test]
fn a_session_whose_collection_is_dropped_or_replaced_can_be_run_again() {
    for replaced in [false, true] {
        for (_dir, lake) in lakes() {
            let end = |name: &str| {
                if replaced {
                    let new = lake.replace(name, &CollectionOptions::default()).unwrap();
                    put(&new.collection(), "new", 1);
                    new.commit().unwrap();
                } else {
                    assert!(lake.drop_collection(name).unwrap());
                }
            };
            let b = collection(&lake, "b");
            let handle = collection(&lake, "a");
            put(&handle, "x", 1);
            // Alone, with another collection, and with one that is made by the commit.
            for other in [None, Some("b"), Some("c")] {
                let session = lake.session().unwrap();
                session.upsert("a", batch(&[("x", 2)])).unwrap();
                if let Some(other) = other {
                    session.upsert(other, batch(&[("y", 2)])).unwrap();
                }
                end("a");
                assert_superseded(&session.commit().unwrap_err());
                assert_eq!(b.len(), 0);
                assert!(!lake.list().unwrap().contains(&"c".to_owned()));
                put(&collection(&lake, "a"), "x", 1);
            }
            assert_eq!(handle.count(None, None).unwrap_err().code(), "CLOSED");
            // What it asks for after that.
            let session = lake.session().unwrap();
            session.upsert("a", batch(&[("x", 2)])).unwrap();
            let view = lake.view(&session, "a").unwrap();
            end("a");
            assert_superseded(&view.count(None, None).unwrap_err());
            assert_superseded(&lake.view(&session, "a").err().unwrap());
            assert_superseded(&session.upsert("a", batch(&[("z", 2)])).unwrap_err());
            assert_superseded(&session.delete("a", &Selection::All).unwrap_err());
            assert_superseded(&session.commit().unwrap_err());
            // What it has only read may go.
            put(&collection(&lake, "a"), "x", 1);
            let session = lake.session().unwrap();
            assert!(!lake.view(&session, "a").unwrap().is_empty());
            session.upsert("b", batch(&[("y", 2)])).unwrap();
            end("a");
            session.commit().unwrap();
            assert_eq!(b.len(), 1);
        }
    }
}

#[test]
fn drops_amid_commits_end() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    let until = Instant::now() + Duration::from_secs(3);
    std::thread::scope(|scope| {
        let commits = scope.spawn(|| {
            let mut commits = 0;
            for i in 0.. {
                if Instant::now() > until {
                    break;
                }
                let session = lake.session().unwrap();
                let written = session
                    .upsert("a", batch(&[("x", i)]))
                    .and_then(|_| session.upsert("b", batch(&[("x", i)])));
                match written.and_then(|_| session.commit()) {
                    Ok(_) => commits += 1,
                    Err(error) => assert_eq!(error.code(), "CONFLICT", "{error}"),
                }
            }
            commits
        });
        for name in ["a", "b"] {
            let lake = &lake;
            scope.spawn(move || {
                while Instant::now() < until {
                    lake.drop_collection(name).unwrap();
                }
            });
        }
        assert!(commits.join().unwrap() > 0);
    });
}
