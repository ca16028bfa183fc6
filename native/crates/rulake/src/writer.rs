//! The one thread that changes a collection.
//!
//! Writes that wait together are committed together: each becomes a record of the log, one fsync covers them all, and
//! readers then see all of them at once. The order within a commit:
//!
//! 1. apply the changes to a private copy of the newest state, its indexes included,
//! 2. write the log and fsync it,
//! 3. publish the new state, answer the callers.
//!
//! So a vector the index refuses never reaches the log.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::batch::Batch;
use crate::draft::Draft;
use crate::engine::{Engine, FLUSH_BYTES, Happened};
use crate::options::Durability;
use crate::queue::{Change, Commit, Reply, Work, Write};
use crate::session::Effect;
use crate::snapshot::SnapshotId;
use crate::state::State;
use crate::wal::{self, Log, LogHeader, MAX_PAYLOAD, Membership};
use crate::{Error, Result};

/// Buffered writes are fsynced when no write has come for this long.
const IDLE: Duration = Duration::from_millis(100);

/// Log bytes at which a flush that has started should have set the newest records apart.
const LATE_BYTES: u64 = FLUSH_BYTES + FLUSH_BYTES / 4;

/// What only the writer's thread touches.
pub(crate) struct Writer {
    engine: Arc<Engine>,
    log: Option<Log>,
    /// Bytes of earlier logs that the next open would replay.
    earlier_bytes: u64,
    poisoned: Option<String>,
}

impl Writer {
    /// `replayed`: bytes of the logs that were replayed on opening.
    pub(crate) fn new(engine: Arc<Engine>, replayed: u64) -> Self {
        Self {
            engine,
            log: None,
            earlier_bytes: replayed,
            poisoned: None,
        }
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Works until the queue is closed and empty.
    pub(crate) fn run(mut self) {
        let engine = self.engine.clone();
        loop {
            let dirty = self.log.as_ref().is_some_and(Log::is_dirty) && self.poisoned.is_none();
            let work = engine.queue().next(dirty.then_some(IDLE), self.is_ahead());
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
        }
        if self.poisoned.is_none()
            && let Some(log) = self.log.take()
        {
            // Nobody is left to be told; what was acknowledged is durable already.
            let _ = log.close();
        }
    }

    /// Whether writes have to wait for the flush that is under way: no more than two tables are in memory, each not much
    /// larger than what is flushed.
    fn is_ahead(&self) -> bool {
        let bytes = self.log.as_ref().map_or(0, Log::bytes);
        let is_frozen = || self.engine.peek(|state| state.frozen.is_some());
        bytes > FLUSH_BYTES && is_frozen() || bytes > LATE_BYTES && self.engine.is_flushing()
    }

    fn commit(&mut self, group: Vec<Write>) {
        if self.check().is_err() {
            for write in group {
                write.reply.send(self.check().map(|()| Commit::default()));
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
        let finished = self.finish(draft, durability);
        // Before anybody is told: who closes next decides by it whether to flush.
        self.engine.note_log(self.wal_bytes());
        match finished {
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
        let before = draft.state.len();
        let affected = match change {
            Change::Upsert(batch) if batch.is_empty() => 0,
            Change::Upsert(batch) => {
                draft.check(self.engine.settings(), &batch)?;
                let records = batch.len();
                self.log_change(draft, &Membership::default(), &[], &batch)?;
                draft.upsert(batch)?;
                before + records - draft.state.len()
            }
            Change::Delete(selection) => {
                let rows = draft.state.select(&selection)?;
                if !rows.is_empty() {
                    self.log_change(draft, &Membership::default(), &rows, &Batch::new())?;
                }
                draft.delete(&rows)?
            }
        };
        Ok(Commit {
            snapshot: draft.state.snapshot(),
            affected,
        })
    }

    /// Writes a session's part to the log, durably, and applies it to a state that nobody sees yet. A session that no other
    /// collection takes part in needs no `membership`.
    pub(crate) fn prepare(&mut self, effect: &Effect, membership: &Membership) -> Result<Prepared> {
        self.check()?;
        let engine = self.engine.clone();
        let mut draft = Draft::new(&engine.state());
        let rows = effect.check(engine.name(), &draft.state)?;
        draft.check(engine.settings(), &effect.batch)?;
        self.log_change(&mut draft, membership, &rows, &effect.batch)?;
        draft.delete(&rows)?;
        let applied = draft
            .upsert(effect.batch.clone())
            .and_then(|()| draft.index(engine.settings()))
            .and_then(|()| draft.check_read());
        if let Err(error) = applied {
            if let Some(log) = &mut self.log {
                log.discard();
            }
            return Err(error);
        }
        self.write_log(Durability::Fsync)?;
        Ok(Prepared(Arc::new(draft.state)))
    }

    /// Has everybody see a prepared state as soon as its session happens.
    pub(crate) fn stage(&self, Prepared(state): &Prepared, happened: Happened) {
        self.engine.stage(happened, state.clone());
    }

    /// Makes a prepared state the newest.
    pub(crate) fn publish_prepared(&mut self, Prepared(state): Prepared) -> SnapshotId {
        let snapshot = state.snapshot();
        self.engine.publish(state);
        self.engine.after_commit(self.wal_bytes());
        snapshot
    }

    /// Passes over a prepared change, which the log has and nobody will ever see, and says so there.
    pub(crate) fn abort_prepared(
        &mut self,
        Prepared(state): &Prepared,
        session: u128,
    ) -> Result<SnapshotId> {
        let mut draft = Draft::new(&self.engine.state());
        draft.advance_to(state.committed);
        let given_up = Membership::given_up(session);
        self.log_change(&mut draft, &given_up, &[], &Batch::new())?;
        // Durable with what follows: without that, it is not needed.
        self.write_log(Durability::Buffered)?;
        let snapshot = draft.state.snapshot();
        self.engine.publish(draft.state);
        Ok(snapshot)
    }

    /// Counts a change, and appends it to the log's buffer if the collection is on disk.
    fn log_change(
        &mut self,
        draft: &mut Draft,
        membership: &Membership,
        deletes: &[i64],
        batch: &Batch,
    ) -> Result<()> {
        let bytes = wal::change_len(membership, deletes, batch);
        if bytes > MAX_PAYLOAD {
            return Err(Error::BatchTooLarge {
                bytes: bytes as u64,
                max: MAX_PAYLOAD as u64,
            });
        }
        let log = self.log_after(draft.state.sequence)?;
        draft.advance();
        if let Some(log) = log {
            let first_row = draft.state.next_row;
            log.append(draft.state.committed, |out| {
                wal::encode(out, membership, deletes, first_row, batch);
            });
        }
        Ok(())
    }

    /// Indexes, logs and publishes a draft. An error leaves the collection as it was.
    fn finish(&mut self, mut draft: Draft, durability: Durability) -> Result<()> {
        let indexed = draft.index(self.engine.settings());
        if let Err(error) = indexed.and_then(|()| draft.check_read()) {
            if let Some(log) = &mut self.log {
                log.discard();
            }
            return Err(error);
        }
        self.write_log(durability)?;
        if draft.state.sequence > self.engine.peek(|state| state.sequence) {
            self.engine.publish(draft.state);
        }
        Ok(())
    }

    /// The log the next change goes to, if the collection is on disk.
    fn log_after(&mut self, sequence: u64) -> Result<Option<&mut Log>> {
        let Some(dir) = self.engine.dir() else {
            return Ok(None);
        };
        if self.log.is_none() {
            self.engine.check_lease()?;
            let header = LogHeader {
                epoch: self.engine.epoch(),
                first_sequence: sequence + 1,
                owner: self.engine.state().shared.log_owner(),
            };
            self.log = Some(Log::create(&wal::dir(dir), header)?);
        }
        Ok(self.log.as_mut())
    }

    /// Writes what was appended. After an error nobody knows what the disk holds: the writer stops.
    fn write_log(&mut self, durability: Durability) -> Result<()> {
        let Some(log) = &mut self.log else {
            return Ok(());
        };
        let engine = &self.engine;
        let durable = |log: &mut Log| match durability {
            Durability::Fsync => log.sync(),
            Durability::Buffered => Ok(()),
        };
        // Looked at twice: what another writer has not seen must not get into the log behind its back, and what it may
        // not have seen must not be acknowledged.
        let written = engine
            .check_lease()
            .and_then(|()| log.write())
            .and_then(|()| durable(log))
            .and_then(|()| engine.check_lease());
        if let Err(error) = &written {
            self.poison(error);
        }
        written
    }

    /// # Errors
    /// `WRITER_POISONED`.
    pub(crate) fn check(&self) -> Result<()> {
        match &self.poisoned {
            None => Ok(()),
            Some(reason) => {
                self.engine.check_lease()?;
                Err(Error::Poisoned {
                    collection: self.engine.name().to_owned(),
                    reason: reason.clone(),
                })
            }
        }
    }

    /// Makes everything that was accepted durable.
    pub(crate) fn settle(&mut self) -> Result<()> {
        self.sync();
        self.check()
    }

    /// Ends the log and sets the newest records apart, so that a segment of them makes the log obsolete.
    pub(crate) fn freeze(&mut self) -> Result<Arc<State>> {
        self.check()?;
        if let Some(log) = self.log.take() {
            self.earlier_bytes += log.bytes();
            if let Err(error) = log.close() {
                self.poison(&error);
                return Err(error);
            }
        }
        let state = self.engine.state();
        if state.fresh.len() == 0 {
            return Ok(state);
        }
        let mut next = (*state).clone();
        drop(state);
        next.frozen = Some(std::mem::take(&mut next.fresh));
        self.engine.publish(next);
        Ok(self.engine.state())
    }

    /// Takes back a [`Writer::freeze`] whose segment could not be written.
    pub(crate) fn thaw(&mut self) -> Result<()> {
        let mut next = (*self.engine.state()).clone();
        if let Some(mut frozen) = next.frozen.take() {
            frozen.absorb(&next.fresh, &next.shared)?;
            next.fresh = frozen;
            self.engine.publish(next);
        }
        Ok(())
    }

    /// The logs ended by [`Writer::freeze`] are obsolete.
    pub(crate) fn forget_earlier_logs(&mut self) {
        self.earlier_bytes = 0;
        self.engine.note_log(self.wal_bytes());
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

    /// Refuses writes from now on.
    pub(crate) fn poison(&mut self, reason: &dyn std::fmt::Display) {
        self.poisoned.get_or_insert_with(|| reason.to_string());
    }
}

/// A state that is in the log and not yet published.
pub(crate) struct Prepared(Arc<State>);

impl Prepared {
    pub(crate) fn sequence(&self) -> u64 {
        self.0.sequence
    }
}
