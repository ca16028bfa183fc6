//! Writes waiting for the writer.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::batch::Batch;
use crate::options::{Durability, Selection};
use crate::snapshot::SnapshotId;
use crate::writer::Writer;
use crate::{Error, Result};

/// Writes that share an fsync, at most.
const GROUP: usize = 1024;
/// Bytes of writes that share an fsync, unless one alone is larger.
const GROUP_BYTES: usize = 16 << 20;

/// What a write did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// The state it led to.
    pub snapshot: SnapshotId,
    /// Upsert: records replaced. Delete: records removed.
    pub affected: usize,
}

pub(crate) enum Change {
    Upsert(Batch),
    Delete(Selection),
}

/// Who waits for a write. Told in any case, even if the writer panics.
pub(crate) struct Reply(Option<Box<dyn FnOnce(Result<Commit>) + Send>>);

impl Reply {
    pub(crate) fn new(done: impl FnOnce(Result<Commit>) + Send + 'static) -> Self {
        Self(Some(Box::new(done)))
    }

    pub(crate) fn send(mut self, result: Result<Commit>) {
        if let Some(done) = self.0.take() {
            done(result);
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some(done) = self.0.take() {
            done(Err(Error::Internal("the writer panicked".into())));
        }
    }
}

/// A change and who waits for it.
pub(crate) struct Write {
    pub(crate) change: Change,
    pub(crate) durability: Durability,
    pub(crate) reply: Reply,
}

impl Write {
    fn bytes(&self) -> usize {
        match &self.change {
            Change::Upsert(batch) => batch.bytes(),
            Change::Delete(_) => 64,
        }
    }
}

/// Work on the writer's thread.
pub(crate) type Task = Box<dyn FnOnce(&mut Writer) + Send>;

enum Entry {
    Write(Write),
    Task(Task),
}

/// What the writer does next.
pub(crate) enum Work {
    Group(Vec<Write>),
    Task(Task),
    /// Nothing has come for a while.
    Idle,
    /// The queue is closed and empty.
    End,
}

#[derive(Default)]
struct Inner {
    entries: VecDeque<Entry>,
    closed: bool,
}

impl Inner {
    /// Takes the first task, whatever writes are before it.
    fn take_task(&mut self) -> Option<Task> {
        let is_task = |entry: &Entry| matches!(entry, Entry::Task(_));
        let at = self.entries.iter().position(is_task)?;
        match self.entries.remove(at) {
            Some(Entry::Task(task)) => Some(task),
            _ => None,
        }
    }
}

/// First in, first out.
#[derive(Default)]
pub(crate) struct Queue {
    inner: Mutex<Inner>,
    arrived: Condvar,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a write; if the queue is closed, it is answered at once.
    pub(crate) fn write(&self, write: Write) {
        let mut inner = self.lock();
        if inner.closed {
            drop(inner);
            write.reply.send(Err(Error::Closed { what: "collection" }));
            return;
        }
        inner.entries.push_back(Entry::Write(write));
        // Whoever wakes up finds the lock free.
        drop(inner);
        self.arrived.notify_one();
    }

    /// Queues a task; `false` if the queue is closed.
    pub(crate) fn task(&self, task: Task) -> bool {
        let mut inner = self.lock();
        if inner.closed {
            return false;
        }
        inner.entries.push_back(Entry::Task(task));
        drop(inner);
        self.arrived.notify_one();
        true
    }

    /// Refuses what comes from now on; what is queued is still done.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_one();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Waits for work; with `patience` not for ever. `tasks_only` leaves writes for later.
    pub(crate) fn next(&self, patience: Option<Duration>, tasks_only: bool) -> Work {
        let mut inner = self.lock();
        loop {
            if tasks_only && let Some(task) = inner.take_task() {
                return Work::Task(task);
            }
            let waits = inner.entries.is_empty() || (tasks_only && !inner.closed);
            if !waits {
                break;
            }
            if inner.closed {
                return Work::End;
            }
            inner = match patience {
                None => self
                    .arrived
                    .wait(inner)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(patience) => {
                    let (inner, timeout) = self
                        .arrived
                        .wait_timeout(inner, patience)
                        .unwrap_or_else(PoisonError::into_inner);
                    if timeout.timed_out()
                        && !inner.closed
                        && (tasks_only || inner.entries.is_empty())
                    {
                        return Work::Idle;
                    }
                    inner
                }
            };
        }
        let mut group = Vec::new();
        let mut bytes = 0;
        while group.len() < GROUP {
            match inner.entries.pop_front() {
                Some(Entry::Write(write))
                    if group.is_empty() || bytes + write.bytes() <= GROUP_BYTES =>
                {
                    bytes += write.bytes();
                    group.push(write);
                }
                Some(Entry::Task(task)) if group.is_empty() => return Work::Task(task),
                Some(later) => {
                    inner.entries.push_front(later);
                    break;
                }
                None => break,
            }
        }
        Work::Group(group)
    }
}
