//! What a session changes, and who sees it when.

use super::*;

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
