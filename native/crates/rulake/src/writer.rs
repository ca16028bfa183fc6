//! The one thread that changes a collection.
//!
//! Writes that wait together are committed together: each becomes a record of the log, one fsync covers them all, and
//! readers then see all of them at once. The order within a commit:
//!
//! 1. apply the changes to a private copy of the newest state,
//! 2. add the vectors to the index, under rows no state has yet,
//! 3. write the log and fsync it,
//! 4. publish the new state, answer the callers.
//!
//! So a vector the index refuses never reaches the log, and a state never refers to a vector the index lacks. Rows that
//! left the state stay in the index until no reader holds a state that has them.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::draft::Draft;
use crate::engine::Engine;
use crate::filter::Filter;
use crate::options::{Durability, Selection};
use crate::queue::{Change, Commit, Reply, Work, Write};
use crate::state::State;
use crate::wal::{self, Kind, Log, LogHeader, MAX_PAYLOAD};
use crate::{Error, Result};

/// Buffered writes are fsynced, and retired rows looked after, when no write has come for this long.
const IDLE: Duration = Duration::from_millis(100);

/// What only the writer's thread touches.
pub(crate) struct Writer {
    engine: Arc<Engine>,
    log: Option<Log>,
    /// Bytes of earlier logs that the next open would replay.
    earlier_bytes: u64,
    /// States that were replaced, oldest first, with the rows that left on that occasion and are still in the index.
    retired: VecDeque<(Weak<State>, Vec<i64>)>,
    poisoned: Option<String>,
}

impl Writer {
    /// `replayed`: bytes of the logs that were replayed on opening.
    pub(crate) fn new(engine: Arc<Engine>, replayed: u64) -> Self {
        Self {
            engine,
            log: None,
            earlier_bytes: replayed,
            retired: VecDeque::new(),
            poisoned: None,
        }
    }

    /// Works until the queue is closed and empty.
    pub(crate) fn run(mut self) {
        let engine = self.engine.clone();
        loop {
            let dirty = self.log.as_ref().is_some_and(Log::is_dirty) && self.poisoned.is_none();
            let waiting = self.retired.iter().any(|(_, rows)| !rows.is_empty());
            let work = engine.queue().next((dirty || waiting).then_some(IDLE));
            if matches!(work, Work::End) {
                break;
            }
            // A panic is a defect; what the log holds is then unknown, as after a failed write.
            let done = catch_unwind(AssertUnwindSafe(|| match work {
                Work::Group(group) => self.commit(group),
                Work::Task(task) => task(&mut self),
                Work::Idle => self.sync(),
                Work::End => {}
            }));
            if done.is_err() {
                self.poison(&Error::Internal("the writer panicked".into()));
            }
            self.reclaim();
        }
        if self.poisoned.is_none()
            && let Some(log) = self.log.take()
        {
            // Nobody is left to be told; what was acknowledged is durable already.
            let _ = log.close();
        }
    }

    fn commit(&mut self, group: Vec<Write>) {
        if let Some(reason) = &self.poisoned {
            for write in group {
                let collection = self.engine.name().to_owned();
                write.reply.send(Err(Error::Poisoned {
                    collection,
                    reason: reason.clone(),
                }));
            }
            return;
        }
        let mut draft = Draft::new(&self.engine.state());
        let mut applied: Vec<(Commit, Reply)> = Vec::with_capacity(group.len());
        let mut durability = Durability::Buffered;
        for write in group {
            match self.apply(&mut draft, write.change) {
                Ok(commit) => {
                    if write.durability == Durability::Fsync {
                        durability = Durability::Fsync;
                    }
                    applied.push((commit, write.reply));
                }
                Err(error) => write.reply.send(Err(error)),
            }
        }
        match self.finish(draft, durability) {
            Ok(()) => applied
                .into_iter()
                .for_each(|(commit, reply)| reply.send(Ok(commit))),
            Err(error) => applied
                .into_iter()
                .for_each(|(_, reply)| reply.send(Err(error.again()))),
        }
        self.engine.after_commit(self.wal_bytes());
    }

    /// Applies a change to the draft and appends it to the log's buffer. An error leaves both as they were.
    fn apply(&mut self, draft: &mut Draft, change: Change) -> Result<Commit> {
        let before = draft.state.rows.len();
        let affected = match change {
            Change::Upsert(batch) if batch.is_empty() => 0,
            Change::Upsert(batch) => {
                draft.check(self.engine.settings(), &batch)?;
                let bytes = wal::upsert_len(&batch);
                if bytes > MAX_PAYLOAD {
                    return Err(Error::BatchTooLarge {
                        bytes: bytes as u64,
                        max: MAX_PAYLOAD as u64,
                    });
                }
                let (records, first_row) = (batch.len(), draft.state.next_row);
                if let Some(log) = self.log_after(draft.state.sequence)? {
                    log.append(Kind::Upsert, |out| {
                        wal::encode_upsert(out, first_row, &batch);
                    });
                }
                draft.state.sequence += 1;
                draft.upsert(batch)?;
                before + records - draft.state.rows.len()
            }
            Change::Delete(selection) => {
                let rows = select(&draft.state, &selection)?;
                if !rows.is_empty() {
                    if let Some(log) = self.log_after(draft.state.sequence)? {
                        log.append(Kind::Delete, |out| wal::encode_delete(out, &rows));
                    }
                    draft.state.sequence += 1;
                }
                draft.delete(&rows)?
            }
        };
        Ok(Commit {
            sequence: draft.state.sequence,
            affected,
        })
    }

    /// Indexes, logs and publishes a draft. An error leaves the collection as it was.
    fn finish(&mut self, mut draft: Draft, durability: Durability) -> Result<()> {
        if let Err(error) = draft.index(self.engine.settings()) {
            if let Some(log) = &mut self.log {
                log.discard();
            }
            return Err(error);
        }
        if let Some(log) = &mut self.log {
            let written = log.write().and_then(|()| {
                if durability == Durability::Fsync {
                    log.sync()
                } else {
                    Ok(())
                }
            });
            if let Err(error) = written {
                draft.unindex();
                self.poison(&error);
                return Err(error);
            }
        }
        if draft.state.sequence > self.engine.state().sequence {
            self.publish(draft.state, draft.dead);
        }
        Ok(())
    }

    /// Makes a state the newest. `dead` are rows of the one before that are in the index only.
    pub(crate) fn publish(&mut self, state: State, dead: Vec<i64>) {
        let before = self.engine.publish(state);
        self.retired.push_back((Arc::downgrade(&before), dead));
    }

    /// Publishes a state with another index, which holds the vectors of that state and no others.
    pub(crate) fn publish_with_index(&mut self, state: State) {
        for (_, rows) in &mut self.retired {
            rows.clear();
        }
        self.publish(state, Vec::new());
    }

    /// Removes rows from the index that no state has any more.
    fn reclaim(&mut self) {
        let is_gone = |state: &Weak<State>| state.strong_count() == 0;
        // Rows wait for the oldest state that has them; those of a state that is gone wait for the one before it.
        while let [.., _, (last, _)] = self.retired.make_contiguous()
            && is_gone(last)
        {
            let (_, rows) = self.retired.pop_back().unwrap_or_default();
            if let Some((_, earlier)) = self.retired.back_mut() {
                earlier.extend(rows);
            }
        }
        let mut dead = Vec::new();
        while let Some((state, rows)) = self.retired.front_mut()
            && is_gone(state)
        {
            dead.append(rows);
            self.retired.pop_front();
        }
        if !dead.is_empty()
            && let Some(index) = &self.engine.state().index
        {
            // A failure leaves rows that readers skip.
            let _ = index.delete(&dead);
        }
    }

    /// The log the next change goes to, if the collection is on disk.
    fn log_after(&mut self, sequence: u64) -> Result<Option<&mut Log>> {
        let Some(dir) = self.engine.dir() else {
            return Ok(None);
        };
        if self.log.is_none() {
            let header = LogHeader {
                epoch: self.engine.epoch(),
                first_sequence: sequence + 1,
            };
            self.log = Some(Log::create(&wal::dir(dir), header)?);
        }
        Ok(self.log.as_mut())
    }

    /// Ends the log, so that a checkpoint of the state returned makes it obsolete.
    pub(crate) fn rotate(&mut self) -> Result<Arc<State>> {
        if let Some(reason) = &self.poisoned {
            return Err(Error::Poisoned {
                collection: self.engine.name().to_owned(),
                reason: reason.clone(),
            });
        }
        if let Some(log) = self.log.take() {
            self.earlier_bytes += log.bytes();
            if let Err(error) = log.close() {
                self.poison(&error);
                return Err(error);
            }
        }
        Ok(self.engine.state())
    }

    /// The logs ended by [`Writer::rotate`] are obsolete.
    pub(crate) fn forget_earlier_logs(&mut self) {
        self.earlier_bytes = 0;
    }

    /// Bytes the next open would replay.
    pub(crate) fn wal_bytes(&self) -> u64 {
        self.earlier_bytes + self.log.as_ref().map_or(0, Log::bytes)
    }

    fn sync(&mut self) {
        if self.poisoned.is_none()
            && let Some(log) = &mut self.log
            && let Err(error) = log.sync()
        {
            self.poison(&error);
        }
    }

    fn poison(&mut self, error: &Error) {
        self.poisoned.get_or_insert_with(|| error.to_string());
    }
}

/// The rows a selection is about.
fn select(state: &State, selection: &Selection) -> Result<Vec<i64>> {
    match selection {
        Selection::All => Ok(state.rows.iter().map(|(row, _)| row).collect()),
        Selection::Filter(text) => {
            state.matching(&Filter::parse(text, &state.shared.interner)?, None)
        }
        Selection::Ids(ids) => {
            let mut rows = Vec::with_capacity(ids.len());
            for id in ids {
                rows.extend(state.find(id)?.1);
            }
            rows.sort_unstable();
            rows.dedup();
            Ok(rows)
        }
    }
}
