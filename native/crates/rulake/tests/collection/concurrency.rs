//! Many writers and readers at once.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::ScopedJoinHandle;

use rulake::{Batch, Durability, Include, SearchRequest};

use crate::{batch, docs, lakes, open};

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
                        &format!("r{i}"),
                        &vector,
                        None,
                        Some(&format!("{{\"round\":{round}}}")),
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
