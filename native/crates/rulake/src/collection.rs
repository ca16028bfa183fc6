//! A collection as its users see it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};

use rabitq::Metric;

use crate::engine::Engine;
use crate::options::{Durability, Include, SearchRequest, Selection};
use crate::queue::{Change, Commit, Reply, Write};
use crate::read::{self, Found, Match, Scan};
use crate::record::Batch;
use crate::verify::{self, VerifyReport};
use crate::{Error, Result, checkpoint};

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
    /// Number of the newest state.
    pub sequence: u64,
    /// Number of the newest checkpoint; 0 in memory.
    pub generation: u64,
    /// Bytes of log the next open replays.
    pub wal_bytes: u64,
    /// Bytes of the checkpoint's files.
    pub checkpoint_bytes: u64,
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
}

impl Collection {
    pub(crate) fn new(engine: Arc<Engine>, lake_closed: Arc<AtomicBool>) -> Self {
        Self {
            engine,
            lake_closed,
            closed: Arc::default(),
        }
    }

    fn open(&self) -> Result<&Arc<Engine>> {
        if self.closed.load(Ordering::Relaxed) || self.lake_closed.load(Ordering::Relaxed) {
            return Err(Error::Closed { what: "collection" });
        }
        self.engine.check_open()?;
        Ok(&self.engine)
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

    /// Numbers in a vector, once known.
    #[must_use]
    pub fn dimensions(&self) -> Option<usize> {
        self.engine.peek(|state| state.dimensions)
    }

    /// Records right now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.engine.peek(|state| state.rows.len())
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
            Ok(engine) => engine.write(Write {
                change,
                durability,
                reply: Reply::new(done),
            }),
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
        read::get(&self.open()?.state(), ids, include)
    }

    /// Number of records, or of those that satisfy a filter.
    ///
    /// # Errors
    /// `INVALID_FILTER`, `CANCELLED`, `CLOSED`, `CORRUPT_FILE`.
    pub fn count(&self, filter: Option<&str>, cancel: Option<&AtomicBool>) -> Result<usize> {
        read::count(&self.open()?.state(), filter, cancel)
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
        let engine = self.open()?;
        read::search(
            &engine.state(),
            engine.settings().metric,
            vectors,
            queries,
            request,
            cancel,
        )
    }

    /// Walks over the records of the present state.
    ///
    /// # Errors
    /// `INVALID_FILTER`, `CLOSED`.
    pub fn scan(&self, filter: Option<&str>, include: Include) -> Result<Scan> {
        Scan::new(self.open()?.state(), filter, include)
    }

    /// Reads every byte on disk and compares it with its digest, and the parts with one another.
    ///
    /// # Errors
    /// `CANCELLED`, `CLOSED`; damages are in the report.
    pub fn verify(&self, cancel: Option<&AtomicBool>) -> Result<VerifyReport> {
        verify::run(self.open()?, cancel)
    }

    /// Makes a checkpoint now.
    ///
    /// # Errors
    /// `READ_ONLY`, `CLOSED`, `IO`, `WRITER_POISONED`.
    pub fn compact(&self) -> Result<()> {
        let engine = self.open()?;
        if engine.is_read_only() {
            return Err(Error::ReadOnly);
        }
        checkpoint::run(engine)
    }

    /// Sizes and counts.
    ///
    /// # Errors
    /// `CLOSED`.
    pub fn stats(&self) -> Result<CollectionStats> {
        let engine = self.open()?;
        let state = engine.state();
        let index = state.index.as_ref().map(|index| index.stats());
        Ok(CollectionStats {
            name: engine.name().to_owned(),
            records: state.rows.len(),
            vectors: state.vectors,
            dimensions: state.dimensions,
            metric: engine.settings().metric,
            index: state.index.as_ref().map(|index| index.options().kind),
            sequence: state.sequence,
            generation: engine.generation(),
            wal_bytes: engine.wal_bytes(),
            checkpoint_bytes: engine.checkpoint_bytes(),
            index_bytes: index.map_or(0, |stats| stats.heap_bytes + stats.mapped_bytes),
        })
    }

    /// Ends the use of this handle.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }
}
