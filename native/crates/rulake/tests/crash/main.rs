//! Power cuts: a process is traced at the level of write, fsync, rename and the like, and every prefix of what it did is
//! put on a disk that has forgotten what was not synced. Whatever was acknowledged must be there, and nothing by halves.
#![cfg(target_os = "linux")]

mod again;
#[path = "../shim/mod.rs"]
mod shim;
mod together;
mod trace;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use rulake::{
    Batch, Collection, CollectionOptions, Durability, Include, Lake, LakeOptions, Selection,
};
use trace::{Call, Disk, Tracer};

const STEPS: i32 = 22;
/// Steps that replace `docs` as a whole.
const REPLACING: [i32; 2] = [11, 16];
/// A step whose session makes a collection, and does nothing else.
const MAKING: i32 = 7;
/// A step that drops that collection.
const DROPPING: i32 = 15;

type Content = BTreeMap<String, String>;

/// What is in a lake.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Lakeful {
    docs: Content,
    ledger: Content,
    /// Names of the collections that sessions have made.
    made: Vec<String>,
}

fn batch(records: &[(String, i32)]) -> Batch {
    let mut batch = Batch::new();
    for (id, n) in records {
        let vector = [*n as f32, 1.0, 2.0];
        batch
            .push_with_vector(id, &vector, Some(&format!("text {n}")), None)
            .unwrap();
    }
    batch
}

/// The records that a step writes, three at a time.
fn records(step: i32) -> Vec<(String, i32)> {
    (0..3)
        .map(|i| (format!("r{}", (step + i * 2) % 7), step))
        .collect()
}

/// The collection that a session makes in a step.
fn made(step: i32) -> String {
    format!("made-{step:02}")
}

/// What each step does, in a model.
fn model(
    step: i32,
    Lakeful {
        docs,
        ledger,
        made: all_made,
    }: &mut Lakeful,
) {
    match step % 5 {
        _ if step == MAKING => all_made.push(made(step)),
        _ if step == DROPPING => all_made.retain(|name| *name != made(MAKING)),
        3 => docs.retain(|id, _| id != "r1" && id != "r4"),
        4 => {
            docs.remove("r2");
            ledger.insert(format!("s{step}"), format!("text {step}"));
            all_made.push(made(step));
            docs.extend(
                records(step)
                    .into_iter()
                    .map(|(id, n)| (id, format!("text {n}"))),
            );
        }
        _ => {
            if REPLACING.contains(&step) {
                docs.clear();
            }
            docs.extend(
                records(step)
                    .into_iter()
                    .map(|(id, n)| (id, format!("text {n}"))),
            );
        }
    }
}

fn open(path: &Path) -> (Lake, Collection, Collection) {
    let lake = Lake::open(path, LakeOptions::default()).unwrap();
    let docs = lake
        .collection("docs", CollectionOptions::default())
        .unwrap();
    let ledger = lake
        .collection("ledger", CollectionOptions::default())
        .unwrap();
    (lake, docs, ledger)
}

/// The process that is traced. Each step is noted in `acks` once it is acknowledged.
fn work(path: &Path) {
    let (mut lake, mut docs, mut ledger) = open(path);
    let mut acks = File::create(path.parent().unwrap().join("lake-acks")).unwrap();
    for step in 0..STEPS {
        match step % 5 {
            _ if step == MAKING => {
                let session = lake.session().unwrap();
                session.upsert(&made(step), batch(&records(step))).unwrap();
                session.commit().unwrap();
            }
            _ if step == DROPPING => assert!(lake.drop_collection(&made(MAKING)).unwrap()),
            3 => {
                let ids = Selection::Ids(vec!["r1".into(), "r4".into()]);
                docs.delete_and_wait(ids, Durability::Fsync).unwrap();
            }
            4 => {
                let session = lake.session().unwrap();
                session
                    .delete("docs", &Selection::Ids(vec!["r2".into()]))
                    .unwrap();
                session.upsert("docs", batch(&records(step))).unwrap();
                session
                    .upsert("ledger", batch(&[(format!("s{step}"), step)]))
                    .unwrap();
                session.upsert(&made(step), batch(&records(step))).unwrap();
                session.commit().unwrap();
            }
            _ if REPLACING.contains(&step) => {
                let options = CollectionOptions::default();
                let replacement = lake.replace("docs", &options).unwrap();
                let next = replacement.collection();
                next.upsert_and_wait(batch(&records(step)), Durability::Buffered)
                    .unwrap();
                replacement.commit().unwrap();
                docs = lake.collection("docs", options).unwrap();
            }
            _ => {
                docs.upsert_and_wait(batch(&records(step)), Durability::Fsync)
                    .unwrap();
            }
        }
        acks.write_all(b".").unwrap();
        match step {
            5 | 12 | 13 => docs.compact().unwrap(),
            14 => ledger.compact().unwrap(),
            9 | 17 => {
                lake.close().unwrap();
                (lake, docs, ledger) = open(path);
            }
            _ => {}
        }
    }
    lake.close().unwrap();
}

fn content(collection: &Collection) -> Content {
    let include = Include {
        text: true,
        vector: true,
        ..Include::default()
    };
    let mut scan = collection.scan(None, include).unwrap();
    let chunk = scan.next_chunk(1000, usize::MAX, None).unwrap();
    chunk
        .into_iter()
        .map(|found| {
            let text = found.text.unwrap();
            assert_eq!(format!("text {}", found.vector.unwrap()[0]), text);
            (found.id, text)
        })
        .collect()
}

/// The collections that sessions have made; each has all its records.
fn list_made(lake: &Lake) -> Vec<String> {
    let mut names = lake.list().unwrap();
    names.retain(|name| name.starts_with("made-"));
    for name in &names {
        let collection = lake.collection(name, CollectionOptions::default());
        assert_eq!(collection.unwrap().len(), 3, "{name}");
    }
    names
}

fn all(lake: &Lake, docs: &Collection, ledger: &Collection) -> Lakeful {
    Lakeful {
        docs: content(docs),
        ledger: content(ledger),
        made: list_made(lake),
    }
}

/// The same to somebody who changes nothing; nothing if there is no lake yet.
fn seen_by_reader(path: &Path) -> Option<Vec<String>> {
    let options = LakeOptions {
        read_only: true,
        ..LakeOptions::default()
    };
    let lake = Lake::open(path, options).ok()?;
    Some(list_made(&lake))
}

/// A test that has its work traced.
const WORK: &str = "after_a_power_cut_at_any_call_what_was_acknowledged_is_there";

#[test]
fn after_a_power_cut_at_any_call_what_was_acknowledged_is_there() {
    if let Some(lake) = trace::lake() {
        return work(&lake);
    }
    let Some(tracer) = Tracer::new(Duration::ZERO) else {
        return;
    };
    let scratch = tracer.scratch.path();
    // Watched are this directory and `lake-acks` beside the lake.
    let root = scratch.join("traced");
    fs::create_dir(&root).unwrap();
    check(&root, &tracer.run(WORK, &root), scratch);
}

/// What is there before the first step and after each.
fn states() -> Vec<Lakeful> {
    let mut state = Lakeful::default();
    let mut states = vec![state.clone()];
    for step in 0..STEPS {
        model(step, &mut state);
        states.push(state.clone());
    }
    states
}

fn check(root: &Path, calls: &[Call], scratch: &Path) {
    let states = states();
    let syncs = calls
        .iter()
        .filter(|call| matches!(call, Call::Sync(_)))
        .count();
    assert!(
        calls.len() > 200 && syncs > 60,
        "{} calls, {syncs} syncs",
        calls.len()
    );
    let (mut disk, mut acknowledged, mut tried) = (Disk::new(root), 0, 0);
    for (i, call) in calls.iter().enumerate() {
        disk.apply(call);
        if call.is_write_to("lake-acks") {
            acknowledged += 1;
        }
        for cut in trace::cuts(tried) {
            let target = scratch.join("after");
            disk.restore(cut, &target);
            let seen = seen_by_reader(&target.join("lake"));
            let found = {
                let (lake, docs, ledger) = open(&target.join("lake"));
                let found = all(&lake, &docs, &ledger);
                if i % 16 == 0 {
                    assert_eq!(docs.verify(None).unwrap().problems, [], "call {i}, {cut:?}");
                    docs.upsert_and_wait(batch(&[("x".into(), 1)]), Durability::Fsync)
                        .unwrap();
                    docs.compact().unwrap();
                }
                lake.close().unwrap();
                found
            };
            let next = (acknowledged + 1).min(states.len() - 1);
            assert!(
                found == states[acknowledged] || found == states[next],
                "after call {i} of {}, {call:?}, {cut:?}: {acknowledged} steps were acknowledged, found {found:?}",
                calls.len()
            );
            assert!(
                seen.is_none_or(|seen| seen == found.made),
                "after call {i}, {call:?}, {cut:?}: a reader sees other collections than a writer"
            );
            fs::remove_dir_all(&target).unwrap();
            tried += 1;
        }
    }
    assert_eq!(acknowledged, STEPS as usize);
    println!(
        "{tried} power cuts in {} calls, {syncs} of them fsyncs",
        calls.len()
    );
}
