//! Collections that are dropped or replaced while others are at work on them, and whose names are taken again.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rulake::{
    Batch, Collection, CollectionOptions, Durability, Error, Include, Lake, LakeOptions, Retention,
    SearchRequest, Selection,
};

const ROUNDS: usize = 200;

fn open(path: &Path) -> Lake {
    let options = LakeOptions {
        // So that there is a past to read.
        retention: Retention {
            generations: 3,
            milliseconds: 0,
        },
        ..LakeOptions::default()
    };
    Lake::open(path, options).unwrap()
}

fn docs(lake: &Lake) -> Result<Collection, Error> {
    lake.collection("docs", CollectionOptions::default())
}

fn rows(from: usize) -> Batch {
    let mut batch = Batch::new();
    for i in from..from + 20 {
        let id = format!("r{}", i % 60);
        let vector = [1.0, i as f32 / 60.0];
        batch
            .push_with_vector(&id, &vector, Some("text"), None)
            .unwrap();
    }
    batch
}

fn put(collection: &Collection, from: usize) -> Result<(), Error> {
    let written = collection.upsert_and_wait(rows(from), Durability::Buffered);
    written.map(drop)
}

fn read(collection: &Collection) -> Result<(), Error> {
    collection.count(None, None)?;
    let request = SearchRequest {
        k: 3,
        ..SearchRequest::default()
    };
    collection.search(&[1.0, 0.5], 1, &request, None)?;
    let mut scan = collection.scan(None, Include::default())?;
    while !scan.next_chunk(16, usize::MAX, None)?.is_empty() {}
    let history = collection.history(4)?;
    if let Some(entry) = history.first() {
        match collection.at(entry.snapshot) {
            // A flush may have ended its time.
            Err(error) if error.code() == "SNAPSHOT_NOT_FOUND" => {}
            past => drop(past?.count(None, None)?),
        }
    }
    assert_eq!(collection.verify(None)?.problems, []);
    collection.stats().map(drop)
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn nothing_of_a_collection_that_is_gone_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    let place = dir.path().join("docs");
    for round in 0..ROUNDS {
        let old = docs(&lake).unwrap();
        put(&old, 0).unwrap();
        old.compact().unwrap();
        put(&old, 10).unwrap();
        let started = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for thread in 0..3 {
                let (old, started) = (&old, &started);
                scope.spawn(move || {
                    for i in 0.. {
                        started.fetch_add(1, Ordering::Relaxed);
                        let done = if i % 3 == thread {
                            put(old, i)
                        } else {
                            old.compact()
                        };
                        if let Err(error) = done {
                            assert!(matches!(error, Error::Dropped { .. }), "{error:?}");
                            assert_eq!((error.code(), error.hint().is_some()), ("CLOSED", true));
                            break;
                        }
                    }
                });
            }
            while started.load(Ordering::Relaxed) < 3 + round % 5 {
                std::hint::spin_loop();
            }
            match round % 3 {
                0 => assert!(lake.drop_collection("docs").unwrap()),
                1 => {
                    assert!(lake.drop_collection("docs").unwrap());
                    assert_eq!(docs(&lake).unwrap().len(), 0);
                }
                _ => {
                    let next = lake.replace("docs", &CollectionOptions::default()).unwrap();
                    next.commit().unwrap();
                }
            }
        });
        if round % 3 == 0 {
            assert!(!place.exists(), "{:?}", names(&place));
            assert_eq!(lake.list().unwrap(), [""; 0]);
        } else {
            assert_eq!(names(&place), ["manifest", "wal"]);
            assert_eq!(lake.list().unwrap(), ["docs"]);
        }
        assert_eq!(docs(&lake).unwrap().verify(None).unwrap().problems, []);
        lake.drop_collection("docs").unwrap();
    }
    assert_eq!(names(dir.path()), ["LOCK", "rulake.json"]);
}

/// Does something again and again: each time it succeeds, or fails with one of these.
fn again_and_again(
    what: &str,
    done: &AtomicBool,
    codes: &[&str],
    mut work: impl FnMut(usize) -> Result<(), Error>,
) -> usize {
    let mut good = 0;
    for i in 0.. {
        if done.load(Ordering::Relaxed) {
            break;
        }
        match work(i) {
            Ok(()) => good += 1,
            Err(error) => assert!(codes.contains(&error.code()), "{what}: {error:?}"),
        }
        std::thread::yield_now();
    }
    good
}

fn commit_session(lake: &Lake, i: usize) -> Result<(), Error> {
    let session = lake.session()?;
    session.upsert("docs", rows(i))?;
    session.delete("docs", &Selection::Ids(vec!["r7".into()]))?;
    lake.view(&session, "docs")?.count(None, None)?;
    if i.is_multiple_of(2) {
        session.upsert("others", rows(i))?;
    }
    session.commit().map(drop)
}

#[test]
fn whoever_is_at_work_on_a_collection_that_goes_is_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    let reader = Lake::open(dir.path(), LakeOptions::read_only()).unwrap();
    let (lake, reader, done) = (&lake, &reader, &AtomicBool::new(false));
    let closed = &["CLOSED"];
    let work = |what: &'static str, run: fn(&Collection, usize) -> Result<(), Error>| {
        move || {
            again_and_again(what, done, closed, |i| {
                // There is one of the name at any time.
                let docs = docs(lake).unwrap();
                (0..3).try_for_each(|_| run(&docs, i))
            })
        }
    };
    std::thread::scope(|scope| {
        let threads = [
            scope.spawn(work("upsert", put)),
            scope.spawn(work("compact", |docs, _| docs.compact())),
            scope.spawn(work("compact", |docs, _| docs.compact())),
            scope.spawn(work("read", |docs, _| read(docs))),
            scope.spawn(move || {
                again_and_again("session", done, &["CONFLICT"], |i| commit_session(lake, i))
            }),
            scope.spawn(move || {
                let codes = &["CLOSED", "COLLECTION_NOT_FOUND"];
                again_and_again("reader", done, codes, |_| {
                    let docs = docs(reader)?;
                    docs.refresh()?;
                    read(&docs)
                })
            }),
        ];
        let replacing = scope.spawn(move || {
            again_and_again("replace", done, closed, |i| {
                let next = lake.replace("docs", &CollectionOptions::default())?;
                put(&next.collection(), i)?;
                next.collection().compact()?;
                next.commit()
            })
        });
        for round in 0..ROUNDS {
            lake.drop_collection("docs").unwrap();
            assert!(
                lake.list()
                    .unwrap()
                    .iter()
                    .all(|name| name == "docs" || name == "others")
            );
            let docs = docs(lake).unwrap();
            assert!(lake.stats().is_ok());
            match put(&docs, round).and_then(|()| docs.verify(None)) {
                Ok(report) => assert_eq!(report.problems, []),
                Err(error) => assert_eq!(error.code(), "CLOSED", "{error:?}"),
            }
        }
        done.store(true, Ordering::Relaxed);
        let succeeded = threads.map(|thread| thread.join().unwrap());
        assert!(succeeded.iter().sum::<usize>() > ROUNDS, "{succeeded:?}");
        assert!(replacing.join().unwrap() > 0);
    });
    for name in lake.list().unwrap() {
        let collection = lake.collection(&name, CollectionOptions::default());
        assert_eq!(collection.unwrap().verify(None).unwrap().problems, []);
    }
    lake.close().unwrap();
    let again = open(dir.path());
    assert_eq!(docs(&again).unwrap().verify(None).unwrap().problems, []);
}
