//! A collection as its users see it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};

use rabitq::{Index, Metric};

use crate::batch::Batch;
use crate::engine::Engine;
use crate::explain::{self, Plan};
use crate::history::HistoryEntry;
use crate::memtable::Memtable;
use crate::options::{Durability, Include, SearchRequest, Selection};
use crate::queue::{Change, Commit, Reply, Write};
use crate::read::{self, Found, Match};
use crate::scan::Scan;
use crate::snapshot::SnapshotId;
use crate::state::State;
use crate::verify::{self, VerifyReport};
use crate::{Error, Result, compact, flush, grouping, history, refresh};

/// Sizes and counts of a collection.
#[derive(Clone, Debug, PartialEq)]
pub struct CollectionStats {
    /// Its name.
    pub name: String,
    /// Records.
    pub records: usize,
    /// Records with a vector.
    pub vectors: usize,
    /// Numbers in a vector, once known.
    pub dimensions: Option<usize>,
    /// How vectors are compared.
    pub metric: Metric,
    /// Kind of the index in use, if there is one.
    pub index: Option<rabitq::Kind>,
    /// The newest state.
    pub snapshot: SnapshotId,
    /// Number of the newest generation; 0 in memory.
    pub generation: u64,
    /// Segments the records are in, besides those in memory.
    pub segments: usize,
    /// Records in memory, which the log holds.
    pub memtable: usize,
    /// Bytes of log the next open replays.
    pub wal_bytes: u64,
    /// Bytes of the newest generation's files.
    pub segment_bytes: u64,
    /// Bytes of the index, on the heap and mapped.
    pub index_bytes: usize,
}

/// A handle on a collection. Clones share one `closed` flag; several handles on a collection do not.
///
/// Reads see one state from beginning to end: whole batches or nothing of them. They never wait for writers.
#[derive(Clone)]
pub struct Collection {
    engine: Arc<Engine>,
    lake_closed: Arc<AtomicBool>,
    closed: Arc<AtomicBool>,
    /// The one state it reads, for a snapshot.
    pinned: Option<Arc<State>>,
    in_session: bool,
}

impl Collection {
    pub(crate) fn new(engine: Arc<Engine>, lake_closed: Arc<AtomicBool>) -> Self {
        Self {
            engine,
            lake_closed,
            closed: Arc::default(),
            pinned: None,
            in_session: false,
        }
    }

    /// A handle that reads what a session sees.
    pub(crate) fn of_session(
        engine: Arc<Engine>,
        lake_closed: Arc<AtomicBool>,
        state: Arc<State>,
    ) -> Self {
        Self {
            pinned: Some(state),
            in_session: true,
            ..Self::new(engine, lake_closed)
        }
    }

    /// A handle that reads one state, and writes nothing.
    pub(crate) fn pinned(&self, state: Arc<State>) -> Self {
        Self {
            closed: Arc::default(),
            pinned: Some(state),
            ..self.clone()
        }
    }

    /// The state to read.
    fn state(&self) -> Result<Arc<State>> {
        let engine = self.open()?;
        Ok(match &self.pinned {
            Some(state) => state.clone(),
            None => engine.state(),
        })
    }

    /// A handle on the collection as it is now, for reading, however it changes.
    ///
    /// # Errors
    /// `CLOSED`.
    pub fn snapshot(&self) -> Result<Self> {
        let state = self.state()?;
        self.engine.remember(&state);
        Ok(self.pinned(state))
    }

    /// A handle on the collection as it was, for reading.
    ///
    /// # Errors
    /// `SNAPSHOT_NOT_FOUND` if that state is not kept any more or never was; `CLOSED`, `CORRUPT_FILE`, `IO`.
    pub fn at(&self, snapshot: SnapshotId) -> Result<Self> {
        let engine = self.open()?;
        let state = history::at(engine, snapshot);
        self.check_there()?;
        Ok(self.pinned(state.map_err(Error::in_collection)?))
    }

    /// The newest states that [`Collection::at`] finds, oldest first, at most `limit` of them.
    ///
    /// # Errors
    /// `CLOSED`, `CORRUPT_FILE`, `IO`.
    pub fn history(&self, limit: usize) -> Result<Vec<HistoryEntry>> {
        let engine = self.open()?;
        let entries = history::list(engine, limit);
        self.check_there()?;
        entries.map_err(Error::in_collection)
    }

    /// Name of the state it reads now.
    ///
    /// # Errors
    /// `CLOSED`.
    pub fn snapshot_id(&self) -> Result<SnapshotId> {
        Ok(self.state()?.snapshot())
    }

    /// For a handle of a lake opened read-only: takes over what the writing process has committed. `true` if that is
    /// anything.
    ///
    /// # Errors
    /// `CLOSED`, `CORRUPT_FILE`, `IO`.
    pub fn refresh(&self) -> Result<bool> {
        let engine = self.open()?;
        if self.pinned.is_some() || !engine.is_read_only() {
            return Ok(false);
        }
        self.told(refresh::run(engine).map_err(Error::in_collection))
    }

    fn peek<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        match &self.pinned {
            Some(state) => look(state),
            None => self.engine.peek(look),
        }
    }

    fn open(&self) -> Result<&Arc<Engine>> {
        if self.closed.load(Ordering::Relaxed) || self.lake_closed.load(Ordering::Relaxed) {
            return Err(Error::Closed { what: "collection" });
        }
        let checked = self.engine.check_open();
        checked
            .map(|()| &self.engine)
            .map_err(|error| self.tell(error))
    }

    /// Whether what was read of files is of this collection.
    fn check_there(&self) -> Result<()> {
        let checked = self.engine.check_there();
        checked.map_err(|error| self.tell(error))
    }

    /// The result of a call, as the caller is told it.
    fn told<T>(&self, result: Result<T>) -> Result<T> {
        result.map_err(|error| self.tell(self.engine.failure(error)))
    }

    fn tell(&self, error: Error) -> Error {
        if self.in_session {
            error.in_session()
        } else {
            error
        }
    }

    /// Its name within the lake.
    #[must_use]
    pub fn name(&self) -> &str {
        self.engine.name()
    }

    /// How vectors are compared.
    #[must_use]
    pub fn metric(&self) -> Metric {
        self.engine.settings().metric
    }

    /// Paths of metadata that segments index, sorted; `None` for every path.
    #[must_use]
    pub fn metadata_index(&self) -> Option<&[String]> {
        self.engine.settings().metadata_index.as_deref()
    }

    /// Numbers in a vector, once known.
    #[must_use]
    pub fn dimensions(&self) -> Option<usize> {
        self.peek(|state| state.dimensions)
    }

    /// What was lost when the lake was opened with [`crate::LakeOptions::recover`]; nothing if nothing was damaged.
    #[must_use]
    pub fn lost(&self) -> &[String] {
        self.engine.lost()
    }

    /// Whether it was dropped from its lake, through whatever handle.
    #[must_use]
    pub fn is_dropped(&self) -> bool {
        self.engine.is_dropped()
    }

    /// Records right now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.peek(State::len)
    }

    /// Whether there is no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Inserts records or replaces those with the same ids, all or nothing; of several records with one id the last
    /// wins. `done` is called on another thread once the batch is as durable as asked for.
    pub fn upsert(
        &self,
        batch: Batch,
        durability: Durability,
        done: impl FnOnce(Result<Commit>) + Send + 'static,
    ) {
        self.write(Change::Upsert(batch), durability, done);
    }

    /// Removes records, all or nothing; ids that do not exist are ignored.
    pub fn delete(
        &self,
        selection: Selection,
        durability: Durability,
        done: impl FnOnce(Result<Commit>) + Send + 'static,
    ) {
        self.write(Change::Delete(selection), durability, done);
    }

    /// [`Collection::upsert`], waiting for it.
    ///
    /// # Errors
    /// `DIMENSION_MISMATCH`, `NORM_OUT_OF_RANGE`, `INVALID_RECORD`, `BATCH_TOO_LARGE`, `READ_ONLY`, `CLOSED`, `IO`,
    /// `WRITER_POISONED`.
    pub fn upsert_and_wait(&self, batch: Batch, durability: Durability) -> Result<Commit> {
        self.write_and_wait(Change::Upsert(batch), durability)
    }

    /// [`Collection::delete`], waiting for it.
    ///
    /// # Errors
    /// `INVALID_FILTER`, `READ_ONLY`, `CLOSED`, `IO`, `WRITER_POISONED`.
    pub fn delete_and_wait(&self, selection: Selection, durability: Durability) -> Result<Commit> {
        self.write_and_wait(Change::Delete(selection), durability)
    }

    fn write(
        &self,
        change: Change,
        durability: Durability,
        done: impl FnOnce(Result<Commit>) + Send + 'static,
    ) {
        match self.open() {
            Ok(_) if self.pinned.is_some() => done(Err(Error::ReadOnly)),
            Ok(engine) => {
                let its = engine.clone();
                let told = move |result: Result<Commit>| result.map_err(|error| its.failure(error));
                engine.write(Write {
                    change,
                    durability,
                    reply: Reply::new(move |result| done(told(result))),
                });
            }
            Err(error) => done(Err(error)),
        }
    }

    fn write_and_wait(&self, change: Change, durability: Durability) -> Result<Commit> {
        let (sender, receiver) = mpsc::sync_channel(1);
        self.write(change, durability, move |result| {
            let _ = sender.send(result);
        });
        receiver
            .recv()
            .map_err(|_| Error::Internal("the writer panicked".into()))?
    }

    /// Records by id, in this order; missing ones are skipped.
    ///
    /// # Errors
    /// `CLOSED`, `CORRUPT_FILE`.
    pub fn get(&self, ids: &[String], include: Include) -> Result<Vec<Found>> {
        self.told(read::get(&*self.state()?, ids, include))
    }

    /// Number of records, or of those that satisfy a filter.
    ///
    /// # Errors
    /// `INVALID_FILTER`, `CANCELLED`, `CLOSED`, `CORRUPT_FILE`.
    pub fn count(&self, filter: Option<&str>, cancel: Option<&AtomicBool>) -> Result<usize> {
        self.told(read::count(&*self.state()?, filter, cancel))
    }

    /// The records nearest to each of `queries` vectors in a row-major matrix, best first, ties in order of last upsert.
    /// Vectors are answered in parallel on the current rayon pool.
    ///
    /// # Errors
    /// `INVALID_K`, `INVALID_OPTION`, `INVALID_FILTER`, `DIMENSION_MISMATCH`, `NOT_FINITE`, `NORM_OUT_OF_RANGE`,
    /// `CANCELLED`, `CLOSED`, `CORRUPT_FILE`.
    pub fn search(
        &self,
        vectors: &[f32],
        queries: usize,
        request: &SearchRequest,
        cancel: Option<&AtomicBool>,
    ) -> Result<Vec<Vec<Match>>> {
        self.told(read::search(
            &*self.state()?,
            self.engine.settings().metric,
            vectors,
            queries,
            request,
            cancel,
        ))
    }

    /// Searches for one vector, and tells what the search did.
    ///
    /// # Errors
    /// As [`Collection::search`].
    pub fn explain(
        &self,
        vector: &[f32],
        request: &SearchRequest,
        cancel: Option<&AtomicBool>,
    ) -> Result<Plan> {
        self.told(explain::explain(&*self.state()?, vector, request, cancel))
    }

    /// Walks over the records of the present state.
    ///
    /// # Errors
    /// `INVALID_FILTER`, `CLOSED`.
    pub fn scan(&self, filter: Option<&str>, include: Include) -> Result<Scan> {
        self.told(Scan::new(self.state()?, filter, include, None))
    }

    /// Reads every byte on disk and compares it with its digest, and the parts with one another.
    ///
    /// # Errors
    /// `CANCELLED`, `CLOSED`; damages are in the report.
    pub fn verify(&self, cancel: Option<&AtomicBool>) -> Result<VerifyReport> {
        let engine = self.open()?;
        let report = verify::run(engine, cancel);
        self.check_there()?;
        report
    }

    /// Flushes the newest records and merges all segments into one. In memory: groups the vectors into lists, if they are
    /// many.
    ///
    /// # Errors
    /// `CORRUPT_FILE` if a segment is damaged, which is then left as it is; `READ_ONLY`, `CLOSED`, `IO`, `WRITER_POISONED`.
    pub fn compact(&self) -> Result<()> {
        let engine = self.open()?;
        if engine.is_read_only() || self.pinned.is_some() {
            return Err(Error::ReadOnly);
        }
        let compacted = match engine.dir() {
            None => grouping::run(engine),
            Some(_) => flush::run(engine).and_then(|()| compact::run(engine)),
        };
        self.told(compacted.map_err(|error| match error {
            // By the end of the collection: callers have no way to.
            Error::Index(rabitq::Error::Cancelled) => engine.ended(),
            error => error.in_collection(),
        }))
    }

    /// Sizes and counts.
    ///
    /// # Errors
    /// `CLOSED`.
    pub fn stats(&self) -> Result<CollectionStats> {
        let engine = self.open()?;
        let state = self.state()?;
        let indexes = state.indexes();
        let bytes = |index: &Index| {
            let stats = index.stats();
            stats.heap_bytes + stats.mapped_bytes
        };
        // The part that most vectors are in is what a search mostly is about.
        let largest = indexes.iter().max_by_key(|(index, _)| index.len());
        let frozen = state.frozen.as_ref().map_or(0, Memtable::len);
        Ok(CollectionStats {
            name: engine.name().to_owned(),
            records: state.len(),
            vectors: state.vectors(),
            dimensions: state.dimensions,
            metric: engine.settings().metric,
            index: largest.map(|(index, _)| index.options().kind),
            snapshot: state.snapshot(),
            generation: engine.generation(),
            segments: state.segments.len(),
            memtable: state.fresh.len() + frozen,
            wal_bytes: engine.wal_bytes(),
            segment_bytes: engine.segment_bytes(),
            index_bytes: indexes.iter().map(|(index, _)| bytes(index)).sum(),
        })
    }

    /// Ends the use of this handle.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }
}
