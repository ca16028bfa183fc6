//! Power cuts that come when a killed process has been followed by another: what the first had written without a sync
//! is gone unless the second sees to it.

use std::fs::{self, File};
use std::io::Write;
use std::panic::catch_unwind;
use std::path::Path;
use std::time::Duration;

use rulake::Durability;

use crate::trace::{self, Call, Cut, Disk, Tracer};
use crate::{Lakeful, WORK, all, batch, open, states};

/// A test that has its work traced.
const WORK_AGAIN: &str = "again::what_a_killed_process_has_left_stays_once_another_has_written";

/// What the second process does; each step is noted in `again-acks` once it is acknowledged.
fn work(path: &Path) {
    let (lake, docs, ledger) = open(path);
    // What was seen has to stay.
    all(&lake, &docs, &ledger);
    let mut acks = File::create(path.with_file_name("again-acks")).unwrap();
    docs.upsert_and_wait(batch(&[("y".into(), 1)]), Durability::Fsync)
        .unwrap();
    acks.write_all(b".").unwrap();
    docs.compact().unwrap();
    let session = lake.session().unwrap();
    for name in ["docs", "ledger"] {
        session.upsert(name, batch(&[("z".into(), 2)])).unwrap();
    }
    session.commit().unwrap();
    acks.write_all(b".").unwrap();
    // As a kill does.
    std::process::exit(0);
}

/// The same in a model.
fn model(mut before: Lakeful, steps: usize) -> Lakeful {
    if steps > 0 {
        before.docs.insert("y".into(), "text 1".into());
    }
    if steps > 1 {
        before.docs.insert("z".into(), "text 2".into());
        before.ledger.insert("z".into(), "text 2".into());
    }
    before
}

fn content(lake: &Path) -> Lakeful {
    let (lake, docs, ledger) = open(lake);
    let found = all(&lake, &docs, &ledger);
    lake.close().unwrap();
    found
}

#[test]
fn what_a_killed_process_has_left_stays_once_another_has_written() {
    match trace::lake() {
        Some(lake) => work(&lake),
        None => check(25, 30),
    }
}

#[test]
#[ignore = "takes minutes; part of `npm run test:heavy`"]
fn what_a_killed_process_has_left_stays_wherever_it_was_killed() {
    check(1, 5);
}

/// Kills the first process after every so many calls and wherever it has written to a log or replaced a collection, which
/// is not durable yet, and has the power go after every so many calls of the second.
fn check(every_kill: usize, every_cut: usize) {
    let Some(tracer) = Tracer::new(Duration::ZERO) else {
        return;
    };
    let scratch = tracer.scratch.path();
    let root = scratch.join("traced");
    fs::create_dir(&root).unwrap();
    let calls = tracer.run(WORK, &root);
    let (states, mut acknowledged) = (states(), 0);
    let (mut disk, mut tried) = (Disk::new(&root), 0);
    for (i, call) in calls.iter().enumerate() {
        disk.apply(call);
        acknowledged += usize::from(call.is_write_to("lake-acks"));
        let matters = call.is_write_to(".log") || matches!(call, Call::Exchange(..));
        if i % every_kill != 0 && !matters {
            continue;
        }
        let next = (acknowledged + 1).min(states.len() - 1);
        let could_be = [&states[acknowledged], &states[next]];
        let mut told =
            format!("killed after call {i}, {call:?}, {acknowledged} steps acknowledged");
        cut_again(&tracer, &disk, every_cut, could_be, &told, &mut tried);
        let mut disk = disk.clone();
        disk.lose_dirty();
        told += ", where an fsync had failed";
        cut_again(&tracer, &disk, every_cut, could_be, &told, &mut tried);
    }
    println!("{tried} power cuts");
}

/// Has a second process go on with what a killed one has left on a disk, which may be one of two states, and the power go
/// while it works.
fn cut_again(
    tracer: &Tracer,
    disk: &Disk,
    every: usize,
    could_be: [&Lakeful; 2],
    told: &str,
    tried: &mut usize,
) {
    let scratch = tracer.scratch.path();
    let [root, copy] = ["again", "copy"].map(|name| scratch.join(name));
    disk.restore(Cut::KeepAll, &copy);
    let left = content(&copy.join("lake"));
    fs::remove_dir_all(&copy).unwrap();
    disk.restore(Cut::KeepAll, &root);
    let calls = tracer.run(WORK_AGAIN, &root);
    let mut disk = disk.mounted_at(&root);
    let mut acknowledged = 0;
    for (i, call) in calls.iter().enumerate() {
        disk.apply(call);
        acknowledged += usize::from(call.is_write_to("again-acks"));
        if i % every != 0 && i + 1 < calls.len() {
            continue;
        }
        for cut in trace::cuts(*tried) {
            let told = format!(
                "{told}; power cut after call {i} of {}, {call:?}, {cut:?}",
                calls.len()
            );
            disk.restore(cut, &copy);
            let found = catch_unwind(|| content(&copy.join("lake")));
            let found = found.unwrap_or_else(|_| panic!("{told}"));
            fs::remove_dir_all(&copy).unwrap();
            let is = |before: &Lakeful| {
                let mut steps = acknowledged..=acknowledged + 1;
                steps.any(|steps| model(before.clone(), steps) == found)
            };
            // Until something is acknowledged, what the first had not made durable may go.
            let was_free = acknowledged == 0 && could_be.into_iter().any(is);
            assert!(
                was_free || is(&left),
                "{told}: {acknowledged} more steps acknowledged, found {found:?} where there was {left:?}",
            );
            *tried += 1;
        }
    }
    assert_eq!(acknowledged, 2);
    fs::remove_dir_all(&root).unwrap();
}
