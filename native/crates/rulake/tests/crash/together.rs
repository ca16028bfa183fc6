//! Power cuts while several threads work: writes of one collection, sessions of two, and merges, in whatever order they
//! happen to meet.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rulake::Durability;

use crate::trace::{self, Disk, Tracer};
use crate::{Content, batch, content, open};

/// How much the threads do.
#[derive(Clone, Copy)]
struct Amount {
    writes: i32,
    sessions: i32,
}

const LITTLE: Amount = Amount {
    writes: 60,
    sessions: 40,
};

const MUCH: Amount = Amount {
    writes: 300,
    sessions: 200,
};

fn work(path: &Path, amount: Amount) {
    let (lake, docs, ledger) = open(path);
    let create = |name: &str| File::create(path.with_file_name(name)).unwrap();
    let (mut write_acks, mut session_acks) = (create("write-acks"), create("session-acks"));
    let working = AtomicUsize::new(2);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..amount.writes {
                let records = [(format!("w{n}"), n), ("newest".into(), n)];
                docs.upsert_and_wait(batch(&records), Durability::Fsync)
                    .unwrap();
                write_acks.write_all(b".").unwrap();
            }
            working.fetch_sub(1, Ordering::Relaxed);
        });
        scope.spawn(|| {
            for n in 0..amount.sessions {
                let session = lake.session().unwrap();
                for name in ["docs", "ledger"] {
                    session
                        .upsert(name, batch(&[(format!("s{n}"), n)]))
                        .unwrap();
                }
                session.commit().unwrap();
                session_acks.write_all(b".").unwrap();
            }
            working.fetch_sub(1, Ordering::Relaxed);
        });
        while working.load(Ordering::Relaxed) > 0 {
            docs.compact().unwrap();
            ledger.compact().unwrap();
        }
    });
    // As a kill does.
    std::process::exit(0);
}

/// How many records of a kind there are; the first so many.
fn count(found: &Content, kind: &str) -> usize {
    let count = found.keys().filter(|id| id.starts_with(kind)).count();
    for n in 0..count {
        assert_eq!(found.get(&format!("{kind}{n}")), Some(&format!("text {n}")));
    }
    count
}

#[test]
fn what_was_acknowledged_to_any_thread_is_there() {
    const NAME: &str = "together::what_was_acknowledged_to_any_thread_is_there";
    match trace::lake() {
        Some(lake) => work(&lake, LITTLE),
        None => check(NAME, LITTLE, 12),
    }
}

#[test]
#[ignore = "takes minutes; part of `npm run test:heavy`"]
fn what_was_acknowledged_to_any_thread_is_there_after_any_call() {
    const NAME: &str = "together::what_was_acknowledged_to_any_thread_is_there_after_any_call";
    match trace::lake() {
        Some(lake) => work(&lake, MUCH),
        None => check(NAME, MUCH, 1),
    }
}

/// Traces a test, and has the power go after every so many calls.
fn check(test: &str, amount: Amount, every: usize) {
    let Some(tracer) = Tracer::new(Duration::from_millis(8)) else {
        return;
    };
    let scratch = tracer.scratch.path();
    let (root, after) = (scratch.join("traced"), scratch.join("after"));
    fs::create_dir(&root).unwrap();
    let calls = tracer.run(test, &root);
    let (mut disk, mut tried) = (Disk::new(&root), 0);
    let (mut writes, mut sessions) = (0, 0);
    for (i, call) in calls.iter().enumerate() {
        disk.apply(call);
        writes += usize::from(call.is_write_to("write-acks"));
        sessions += usize::from(call.is_write_to("session-acks"));
        if i % every != 0 && i + 1 < calls.len() {
            continue;
        }
        for cut in trace::cuts(tried) {
            disk.restore(cut, &after);
            let told = format!(
                "power cut after call {i} of {}, {cut:?}, {writes} writes and {sessions} sessions acknowledged",
                calls.len()
            );
            let (lake, docs, ledger) = open(&after.join("lake"));
            let (found, entries) = (content(&docs), content(&ledger));
            let (w, s) = (count(&found, "w"), count(&found, "s"));
            assert!(
                (writes..=writes + 1).contains(&w),
                "{told}: found {w} writes"
            );
            assert!(
                (sessions..=sessions + 1).contains(&s),
                "{told}: found {s} sessions"
            );
            assert_eq!(count(&entries, "s"), s, "{told}");
            let newest = w.checked_sub(1).map(|newest| format!("text {newest}"));
            assert_eq!(found.get("newest"), newest.as_ref(), "{told}");
            if tried % 64 == 0 {
                assert_eq!(docs.verify(None).unwrap().problems, [], "{told}");
                assert_eq!(ledger.verify(None).unwrap().problems, [], "{told}");
            }
            lake.close().unwrap();
            fs::remove_dir_all(&after).unwrap();
            tried += 1;
        }
    }
    assert_eq!(
        (writes, sessions),
        (amount.writes as usize, amount.sessions as usize)
    );
    println!("{tried} power cuts in {} calls", calls.len());
}
