//! A collection through its public face, in memory and on disk.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::ScopedJoinHandle;

use rulake::{
    Batch, Collection, CollectionOptions, Durability, Include, IndexChoice, Lake, LakeOptions,
    SearchRequest, Selection,
};

const ALL: Include = Include {
    vector: true,
    text: true,
    metadata: true,
};

fn open(path: &Path) -> Lake {
    Lake::open(path, LakeOptions::default()).unwrap()
}

fn docs(lake: &Lake) -> Collection {
    lake.collection("docs", CollectionOptions::default())
        .unwrap()
}

fn batch(records: &[(&str, [f32; 3], &str)]) -> Batch {
    let mut batch = Batch::new();
    for (id, vector, metadata) in records {
        batch
            .push_with_vector(
                (*id).into(),
                vector,
                Some(format!("text of {id}")),
                Some((*metadata).into()),
            )
            .unwrap();
    }
    batch
}

fn put(collection: &Collection, records: &[(&str, [f32; 3], &str)]) -> rulake::Commit {
    collection
        .upsert_and_wait(batch(records), Durability::Fsync)
        .unwrap()
}

fn search(collection: &Collection, vector: &[f32], k: usize, filter: Option<&str>) -> Vec<String> {
    let request = SearchRequest {
        k,
        filter: filter.map(str::to_owned),
        ..SearchRequest::default()
    };
    let matches = collection
        .search(vector, 1, &request, None)
        .unwrap()
        .remove(0);
    matches.into_iter().map(|found| found.record.id).collect()
}

fn lakes() -> Vec<(Option<tempfile::TempDir>, Lake)> {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    vec![(None, Lake::in_memory()), (Some(dir), lake)]
}

#[test]
fn records_are_replaced_by_id_and_come_back_byte_by_byte() {
    for (_dir, lake) in lakes() {
        let docs = docs(&lake);
        let odd = r#"{"z":1.0,"a":{"ü":[null,true,1e5,"\ud800"]},"z2":-0, "sp" : 1}"#;
        put(
            &docs,
            &[("a", [1.0, 0.0, 0.0], "{}"), ("b", [0.0, 1.0, 0.0], odd)],
        );
        let commit = put(&docs, &[("a", [0.0, 0.0, 1.0], r#"{"v":2}"#)]);
        assert_eq!((commit.snapshot.sequence(), commit.affected), (2, 1));
        assert_eq!((docs.len(), docs.dimensions()), (2, Some(3)));
        let found = docs
            .get(&["b".into(), "missing".into(), "a".into()], ALL)
            .unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].metadata.as_deref(), Some(odd));
        assert_eq!(found[1].vector.as_deref(), Some(&[0.0, 0.0, 1.0][..]));
        assert_eq!(search(&docs, &[0.0, 0.0, 1.0], 5, None), ["a", "b"]);
        assert_eq!(
            search(&docs, &[0.0, 0.0, 1.0], 1, Some(r#"{"z":1}"#)),
            ["b"]
        );
    }
}

#[test]
fn deletes_by_id_filter_and_all() {
    for (_dir, lake) in lakes() {
        let docs = docs(&lake);
        let e = [1.0, 1.0, 0.0];
        put(
            &docs,
            &[
                ("a", e, r#"{"n":1}"#),
                ("b", e, r#"{"n":2}"#),
                ("c", e, r#"{"n":3}"#),
                ("d", e, "{}"),
            ],
        );
        let delete = |selection| {
            docs.delete_and_wait(selection, Durability::Fsync)
                .unwrap()
                .affected
        };
        assert_eq!(
            delete(Selection::Ids(vec!["a".into(), "a".into(), "x".into()])),
            1
        );
        assert_eq!(delete(Selection::Filter(r#"{"n":{"$gte":3}}"#.into())), 1);
        assert_eq!(docs.count(None, None).unwrap(), 2);
        assert_eq!(
            search(&docs, &e, 9, None),
            ["b", "d"],
            "ties in order of upsert"
        );
        assert_eq!(
            docs.count(Some(r#"{"n":{"$exists":false}}"#), None)
                .unwrap(),
            1
        );
        assert_eq!(delete(Selection::All), 2);
        assert_eq!(delete(Selection::All), 0);
        assert!(docs.is_empty());
        assert!(search(&docs, &e, 3, None).is_empty());
    }
}

#[test]
fn of_one_id_twice_in_a_batch_the_last_wins() {
    for (_dir, lake) in lakes() {
        let docs = docs(&lake);
        let commit = put(
            &docs,
            &[
                ("a", [1.0, 0.0, 0.0], r#"{"n":1}"#),
                ("a", [0.0, 1.0, 0.0], r#"{"n":2}"#),
            ],
        );
        assert_eq!(commit.affected, 1);
        assert_eq!(
            docs.get(&["a".into()], ALL).unwrap()[0].metadata.as_deref(),
            Some(r#"{"n":2}"#)
        );
        assert_eq!(search(&docs, &[1.0, 0.0, 0.0], 5, None), ["a"]);
    }
}

#[test]
fn records_without_a_vector_are_read_and_filtered_but_not_found() {
    for (_dir, lake) in lakes() {
        let docs = docs(&lake);
        let mut batch = Batch::new();
        batch
            .push("k".into(), Some("value".into()), Some(r#"{"n":1}"#.into()))
            .unwrap();
        batch
            .push_with_vector("v".into(), &[1.0, 2.0], None, None)
            .unwrap();
        docs.upsert_and_wait(batch, Durability::Fsync).unwrap();
        assert_eq!(search(&docs, &[1.0, 2.0], 5, None), ["v"]);
        assert_eq!(
            docs.get(&["k".into()], ALL).unwrap()[0].text.as_deref(),
            Some("value")
        );
        assert_eq!(docs.count(Some(r#"{"n":1}"#), None).unwrap(), 1);
        docs.compact().unwrap();
        assert_eq!(docs.verify(None).unwrap().problems, []);
        assert_eq!(
            (docs.stats().unwrap().records, docs.stats().unwrap().vectors),
            (2, 1)
        );
    }
}

#[test]
fn everything_is_there_after_reopening_with_and_without_a_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..4 {
        let lake = open(dir.path());
        let docs = docs(&lake);
        assert_eq!(docs.len(), round * 2);
        put(
            &docs,
            &[
                (&format!("x{round}"), [round as f32, 1.0, 0.0], "{}"),
                (&format!("y{round}"), [0.0, 1.0, 1.0], r#"{"y":1}"#),
            ],
        );
        put(
            &docs,
            &[(
                &format!("x{round}"),
                [round as f32, 2.0, 0.0],
                r#"{"new":true}"#,
            )],
        );
        if round % 2 == 0 {
            docs.compact().unwrap();
        }
        assert_eq!(docs.verify(None).unwrap().problems, []);
        let before = docs
            .search(
                &[3.0, 1.0, 0.5],
                1,
                &SearchRequest {
                    k: 9,
                    include: ALL,
                    ..Default::default()
                },
                None,
            )
            .unwrap();
        lake.close().unwrap();
        let lake = open(dir.path());
        let docs = lake
            .collection("docs", CollectionOptions::default())
            .unwrap();
        let after = docs
            .search(
                &[3.0, 1.0, 0.5],
                1,
                &SearchRequest {
                    k: 9,
                    include: ALL,
                    ..Default::default()
                },
                None,
            )
            .unwrap();
        assert_eq!(before, after);
        assert_eq!(docs.verify(None).unwrap().problems, []);
        assert_eq!(
            docs.count(Some(r#"{"new":true}"#), None).unwrap(),
            round + 1
        );
    }
}

#[test]
fn a_bad_record_refuses_its_batch_and_no_other() {
    for (_dir, lake) in lakes() {
        let docs = docs(&lake);
        put(&docs, &[("a", [1.0, 0.0, 0.0], "{}")]);
        let code = |batch: Batch| {
            docs.upsert_and_wait(batch, Durability::Fsync)
                .unwrap_err()
                .code()
        };
        let mut wrong = Batch::new();
        wrong
            .push_with_vector("b".into(), &[1.0], None, None)
            .unwrap();
        assert_eq!(code(wrong), "DIMENSION_MISMATCH");
        assert_eq!(
            code(batch(&[("b", [1e30, 0.0, 0.0], "{}")])),
            "NORM_OUT_OF_RANGE"
        );
        for metadata in ["[]", "{", "null", "{\"a\":1e999}"] {
            assert_eq!(
                code(batch(&[("b", [1.0, 0.0, 0.0], metadata)])),
                "INVALID_RECORD"
            );
        }
        assert_eq!(
            Batch::new()
                .push_with_vector("b".into(), &[f32::NAN], None, None)
                .unwrap_err()
                .code(),
            "NOT_FINITE"
        );
        assert_eq!(
            Batch::new()
                .push(String::new(), None, None)
                .unwrap_err()
                .code(),
            "INVALID_ID"
        );
        assert_eq!(
            Batch::new()
                .push("é".repeat(513), None, None)
                .unwrap_err()
                .code(),
            "INVALID_ID"
        );
        assert_eq!(docs.len(), 1);
        put(&docs, &[("c", [0.0, 0.0, 0.0], "{}")]);
        assert_eq!(search(&docs, &[1.0, 0.0, 0.0], 5, None), ["a", "c"]);
    }
}

#[test]
fn the_shape_of_a_collection_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let l2 = CollectionOptions {
        metric: rabitq::Metric::from_name("l2"),
        ..CollectionOptions::default()
    };
    let lake = open(dir.path());
    put(
        &lake.collection("docs", l2.clone()).unwrap(),
        &[("a", [1.0, 0.0, 0.0], "{}")],
    );
    for reopened in [false, true] {
        let lake = if reopened {
            drop(lake.close());
            open(dir.path())
        } else {
            open(dir.path())
        };
        let code = |options| {
            lake.collection("docs", options)
                .err()
                .map(|error| (error.code(), error.to_string()))
        };
        assert_eq!(code(l2.clone()), None);
        assert_eq!(code(CollectionOptions::default()), None);
        let (code_, text) = code(CollectionOptions {
            dimensions: Some(4),
            ..Default::default()
        })
        .unwrap();
        assert_eq!(
            (code_, text.contains("dimensions 3, not 4")),
            ("COLLECTION_MISMATCH", true),
            "{text}"
        );
        let cosine = CollectionOptions {
            metric: rabitq::Metric::from_name("cosine"),
            ..Default::default()
        };
        assert_eq!(code(cosine).unwrap().0, "COLLECTION_MISMATCH");
        let plus = CollectionOptions {
            index: Some(IndexChoice::RabitqPlus),
            ..Default::default()
        };
        assert_eq!(code(plus).unwrap().0, "COLLECTION_MISMATCH");
        assert_eq!(
            code(CollectionOptions {
                dimensions: Some(0),
                ..Default::default()
            })
            .unwrap()
            .0,
            "INVALID_DIMENSIONS"
        );
    }
}

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
fn many_writers_share_their_fsyncs() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    let docs = docs(&lake);
    let done = Arc::new(AtomicUsize::new(0));
    let (sender, receiver) = std::sync::mpsc::channel::<()>();
    for i in 0..2000 {
        let (done, sender) = (done.clone(), sender.clone());
        docs.upsert(
            batch(&[(&format!("r{i}"), [i as f32, 1.0, 0.0], "{}")]),
            Durability::Fsync,
            move |result| {
                result.unwrap();
                done.fetch_add(1, Ordering::Relaxed);
                drop(sender);
            },
        );
    }
    drop(sender);
    assert!(
        receiver.recv().is_err(),
        "ends when the last callback has run"
    );
    assert_eq!((done.load(Ordering::Relaxed), docs.len()), (2000, 2000));
    lake.close().unwrap();
    assert_eq!(docs_again(dir.path()), 2000);
}

fn docs_again(path: &Path) -> usize {
    let lake = open(path);
    let docs = docs(&lake);
    assert_eq!(docs.verify(None).unwrap().problems, []);
    docs.len()
}

#[test]
fn readers_see_whole_batches_while_writers_and_checkpoints_run() {
    const ROUNDS: usize = 60;
    const READS: usize = 20;
    const SIZE: usize = 50;
    for (_dir, lake) in lakes() {
        let docs = docs(&lake);
        let write = |round: usize| {
            let mut batch = Batch::new();
            for i in 0..SIZE {
                let vector = [(i as f32).cos(), (i as f32).sin(), round as f32 / 100.0];
                batch
                    .push_with_vector(
                        format!("r{i}"),
                        &vector,
                        None,
                        Some(format!("{{\"round\":{round}}}")),
                    )
                    .unwrap();
            }
            docs.upsert_and_wait(batch, Durability::Buffered).unwrap();
        };
        write(0);
        let stop = AtomicBool::new(false);
        let reads = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            let readers: Vec<_> = (0..2)
                .map(|_| {
                    scope.spawn(|| {
                        let include = Include {
                            metadata: true,
                            ..Include::default()
                        };
                        while !stop.load(Ordering::Relaxed) {
                            let request = SearchRequest {
                                k: 2 * SIZE,
                                include,
                                ..Default::default()
                            };
                            let found = docs
                                .search(&[1.0, 0.3, 0.2], 1, &request, None)
                                .unwrap()
                                .remove(0);
                            assert_eq!(found.len(), SIZE);
                            let rounds: HashSet<_> =
                                found.iter().map(|m| m.record.metadata.clone()).collect();
                            assert_eq!(rounds.len(), 1, "half a batch: {rounds:?}");
                            let chunk = docs
                                .scan(None, include)
                                .unwrap()
                                .next_chunk(1000, usize::MAX, None)
                                .unwrap();
                            assert_eq!(chunk.len(), SIZE);
                            assert_eq!(
                                chunk
                                    .iter()
                                    .map(|m| m.metadata.clone())
                                    .collect::<HashSet<_>>()
                                    .len(),
                                1
                            );
                            reads.fetch_add(1, Ordering::Relaxed);
                        }
                    })
                })
                .collect();
            // Writing goes on until something was read meanwhile, however late the readers get a core.
            let mut round = 1;
            while round < ROUNDS
                || reads.load(Ordering::Relaxed) < READS
                    && !readers.iter().all(ScopedJoinHandle::is_finished)
            {
                write(round);
                if round % 10 == 0 {
                    docs.compact().unwrap();
                }
                round += 1;
            }
            stop.store(true, Ordering::Relaxed);
            for reader in readers {
                reader.join().unwrap();
            }
            assert!(reads.load(Ordering::Relaxed) >= READS);
        });
        assert_eq!(docs.verify(None).unwrap().problems, []);
    }
}

#[test]
fn a_scan_keeps_the_state_it_started_with() {
    for (_dir, lake) in lakes() {
        let docs = docs(&lake);
        for i in 0..30 {
            put(
                &docs,
                &[(
                    &format!("{i:02}"),
                    [1.0, i as f32, 0.0],
                    &format!("{{\"even\":{}}}", i % 2 == 0),
                )],
            );
        }
        let mut scan = docs.scan(Some(r#"{"even":true}"#), ALL).unwrap();
        let first = scan.next_chunk(4, usize::MAX, None).unwrap();
        docs.delete_and_wait(Selection::All, Durability::Fsync)
            .unwrap();
        docs.compact().unwrap();
        put(&docs, &[("new", [1.0, 0.0, 0.0], "{}")]);
        let mut rest = Vec::new();
        loop {
            let chunk = scan.next_chunk(100, 1, None).unwrap();
            if chunk.is_empty() {
                break;
            }
            assert_eq!(chunk.len(), 1, "one record fills a budget of one byte");
            rest.extend(chunk);
        }
        let ids: Vec<_> = first
            .iter()
            .chain(&rest)
            .map(|found| found.id.clone())
            .collect();
        assert_eq!(
            ids,
            (0..30)
                .step_by(2)
                .map(|i| format!("{i:02}"))
                .collect::<Vec<_>>()
        );
        assert!(
            first
                .iter()
                .chain(&rest)
                .all(|found| found.vector.is_some()),
            "vectors of a pinned state stay"
        );
        assert_eq!(search(&docs, &[1.0, 0.0, 0.0], 5, None), ["new"]);
    }
}

/// A vector that is far from those of other rows.
fn scattered(row: u64) -> [f32; 16] {
    let mut seed = row.wrapping_mul(0x9e37_79b9_7f4a_7c15) + 1;
    std::array::from_fn(|_| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 40) as f32 / (1 << 23) as f32 - 1.0
    })
}

#[test]
fn a_growing_collection_changes_its_index_by_itself() {
    for (_dir, lake) in lakes() {
        let docs = docs(&lake);
        let mut next = 0;
        let mut grow = |rows: usize| {
            let mut batch = Batch::new();
            for _ in 0..rows {
                batch
                    .push_with_vector(format!("r{next}"), &scattered(next), None, None)
                    .unwrap();
                next += 1;
            }
            docs.upsert_and_wait(batch, Durability::Fsync).unwrap();
        };
        grow(3000);
        assert_eq!(docs.stats().unwrap().index.unwrap().name(), "FlatF32Index");
        grow(3000);
        grow(10);
        let started = std::time::Instant::now();
        while docs.stats().unwrap().index.unwrap().name() != "RabitqPlusIndex" {
            assert!(started.elapsed().as_secs() < 60, "still flat");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        grow(500);
        for row in [0, 2999, 5999, 6400] {
            assert_eq!(search(&docs, &scattered(row), 1, None), [format!("r{row}")]);
        }
        assert_eq!(docs.verify(None).unwrap().problems, []);
    }
}
