//! Work in the background of a collection: flushes, compactions and, in memory, lists.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rabitq::Control;

use super::Engine;
use crate::threads::{BackgroundThread, spawn_background};
use crate::{compact, flush, grouping};

/// Log bytes from which the newest records are flushed to a segment in the background.
pub(crate) const FLUSH_BYTES: u64 = 64 << 20;

impl Engine {
    /// For work in the background.
    pub(crate) fn background_control(&self) -> Control<'_> {
        Control {
            cancel: Some(&self.stop),
            progress: None,
        }
    }

    /// For work that goes on while the lake closes, but ends soon when the collection is dropped or replaced.
    pub(crate) fn control(&self) -> Control<'_> {
        Control {
            cancel: Some(&self.dropped),
            progress: None,
        }
    }

    /// Whether a flush is under way in the background.
    pub(crate) fn is_flushing(&self) -> bool {
        self.flushing.load(Ordering::Acquire)
    }

    /// Starts what is due in the background. Called by the writer.
    pub(crate) fn after_commit(self: &Arc<Self>, wal_bytes: u64) {
        if self.dir.is_none() {
            return self.group_in_background();
        }
        self.note_log(wal_bytes);
        let failed_at = self.failed_at.load(Ordering::Relaxed);
        let waits = failed_at > 0 && wal_bytes < failed_at + FLUSH_BYTES;
        if wal_bytes <= FLUSH_BYTES || waits {
            return;
        }
        self.in_background(
            "rulake-flush",
            |engine| &engine.flushing,
            move |engine| {
                // A failure, out of disk space for instance, loses nothing: the log stays.
                let failed = flush::run(engine).is_err();
                let failed_at = if failed { wal_bytes } else { 0 };
                engine.failed_at.store(failed_at, Ordering::Relaxed);
                if !failed {
                    engine.compact_in_background();
                }
            },
        );
    }

    fn compact_in_background(self: &Arc<Self>) {
        self.in_background(
            "rulake-compact",
            |engine| &engine.compacting,
            |engine| {
                // It only costs speed and space; the next flush tries again.
                let _ = compact::run_if_due(engine);
            },
        );
    }

    fn group_in_background(self: &Arc<Self>) {
        if !self.is_grouping_due() {
            return;
        }
        self.in_background(
            "rulake-lists",
            |engine| &engine.compacting,
            |engine| {
                // A failure only costs speed. Others may have come meanwhile.
                while engine.is_grouping_due() && grouping::run(engine).is_ok() {}
            },
        );
    }

    /// Runs something on a thread of its own unless it runs already.
    fn in_background(
        self: &Arc<Self>,
        name: &str,
        flag: fn(&Self) -> &AtomicBool,
        work: impl FnOnce(&Arc<Self>) + Send + 'static,
    ) {
        if flag(self).swap(true, Ordering::AcqRel) {
            return;
        }
        let engine = self.clone();
        let started = spawn_background(BackgroundThread::Job, name, move || {
            work(&engine);
            flag(&engine).store(false, Ordering::Release);
            // The writer may be waiting for that.
            engine.queue.task(Box::new(|_| ()));
        });
        if started.is_err() {
            flag(self).store(false, Ordering::Release);
        }
    }
}
