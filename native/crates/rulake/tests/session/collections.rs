//! Collections that sessions make, and that go while a session is open.

use super::*;

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
        wrong.push_with_vector("z", &[1.0], None, None).unwrap();
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
