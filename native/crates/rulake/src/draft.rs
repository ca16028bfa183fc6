//! The next state of a collection while it is being put together.

use std::sync::Arc;

use mapping::Watch;
use rabitq::{BuildOptions, Control, Index, Kind, Metric};
use rayon::prelude::*;

use crate::batch::Batch;
use crate::json::parse_object;
use crate::manifest::now;
use crate::memtable::Memtable;
use crate::options::Settings;
use crate::record::Record;
use crate::segment::Live;
use crate::state::{Place, State};
use crate::value::Interner;
use crate::{Error, Result};

/// Records above which metadata is checked by several threads.
const PARALLEL_RECORDS: usize = 1024;

/// A state under construction. Nobody sees it until it is published.
pub(crate) struct Draft {
    pub(crate) state: State,
    /// What was read since the draft was begun.
    watch: Watch,
    /// Rows whose vectors the index lacks.
    added: Vec<i64>,
    vectors: Vec<f32>,
    /// What is gone from the records and still in the indexes.
    dead: Dead,
}

#[derive(Default)]
struct Dead {
    /// Positions in each segment.
    stored: Vec<Vec<i64>>,
    frozen: Vec<i64>,
    fresh: Vec<i64>,
}

impl Draft {
    pub(crate) fn new(base: &State) -> Self {
        Self {
            state: base.clone(),
            watch: Watch::begin(),
            added: Vec::new(),
            vectors: Vec::new(),
            dead: Dead::default(),
        }
    }

    /// Whether everything the draft was made of could be read: to be asked before it is used.
    ///
    /// # Errors
    /// `CORRUPT_FILE`.
    pub(crate) fn check_read(&self) -> Result<()> {
        Ok(self.watch.check()?)
    }

    /// Counts one more change, committed now.
    pub(crate) fn advance(&mut self) {
        let now = now();
        self.advance_to(now);
    }

    /// Counts one more change, committed at a time in the past.
    pub(crate) fn advance_to(&mut self, committed: u64) {
        self.state.sequence += 1;
        // A clock that was set back must not put a later state before an earlier one.
        self.state.committed = committed.max(self.state.committed);
    }

    /// Whether a batch can be applied, and its vectors indexed.
    ///
    /// # Errors
    /// `DIMENSION_MISMATCH`, `NORM_OUT_OF_RANGE`, `INVALID_RECORD`.
    pub(crate) fn check(&self, settings: &Settings, batch: &Batch) -> Result<()> {
        if let Some(expected) = self.state.dimensions
            && batch.dimensions != 0
            && batch.dimensions != expected
        {
            return Err(rabitq::Error::DimensionMismatch {
                expected,
                got: batch.dimensions,
            }
            .into());
        }
        check_norms(settings.metric, batch)?;
        check_metadata(batch, &self.state.shared.interner)
    }

    /// Applies a batch that was checked.
    pub(crate) fn upsert(&mut self, batch: Batch) -> Result<()> {
        self.state.forget_matches();
        if batch.dimensions != 0 {
            self.state.dimensions = Some(batch.dimensions);
        }
        for (parts, has_vector) in batch.records() {
            let row = self.state.next_row;
            self.state.next_row += 1;
            let (hash, old) = self.state.find(parts.id)?;
            if let Some(old) = old {
                self.remove(old)?;
            }
            if has_vector {
                self.added.push(row);
            }
            let record = Record::new(&parts, has_vector);
            self.state.fresh.push(row, hash, record);
        }
        if self.vectors.is_empty() {
            self.vectors = batch.vectors;
        } else {
            self.vectors.extend_from_slice(&batch.vectors);
        }
        Ok(())
    }

    /// Removes rows; those that are not there are ignored. Gives how many were.
    pub(crate) fn delete(&mut self, rows: &[i64]) -> Result<usize> {
        self.state.forget_matches();
        let mut deleted = 0;
        for &row in rows {
            if let Some(place) = self.state.locate(row)? {
                self.remove(place)?;
                deleted += 1;
            }
        }
        Ok(deleted)
    }

    fn remove(&mut self, place: Place) -> Result<()> {
        let shared = self.state.shared.clone();
        let hash = |id: &str| shared.hash(id);
        let gone = || Error::Internal(format!("{place:?} is empty"));
        match place {
            Place::Stored(i, position) => {
                let live = self.state.segments.get_mut(i).ok_or_else(gone)?;
                let at = u32::try_from(position).map_err(|_| gone())?;
                Arc::make_mut(&mut live.deleted).insert(at);
                if self.dead.stored.len() <= i {
                    self.dead.stored.resize(i + 1, Vec::new());
                }
                self.dead
                    .stored
                    .get_mut(i)
                    .ok_or_else(gone)?
                    .push(i64::from(at));
            }
            Place::Frozen(row) => {
                let table = self.state.frozen.as_mut().ok_or_else(gone)?;
                table.remove(row, hash);
                self.dead.frozen.push(row);
            }
            Place::Fresh(row) => {
                self.state.fresh.remove(row, hash);
                self.dead.fresh.push(row);
            }
        }
        Ok(())
    }

    /// Brings the indexes in line with the records. They are the draft's own: on an error it is simply dropped.
    pub(crate) fn index(&mut self, settings: &Settings) -> Result<()> {
        let dead = std::mem::take(&mut self.dead);
        for (i, positions) in dead.stored.iter().enumerate() {
            if let Some(Live { index, .. }) = self.state.segments.get_mut(i) {
                forget(index, positions)?;
            }
        }
        if let Some(frozen) = &mut self.state.frozen {
            forget(&mut frozen.index, &dead.frozen)?;
        }
        if !self.added.is_empty() {
            let dimensions = self
                .state
                .dimensions
                .ok_or_else(|| Error::Internal("vectors without dimensions".into()))?;
            let total = self.state.fresh.vectors() + self.added.len();
            let options = settings.build_options(settings.index.kind(total), dimensions);
            let index = match &self.state.fresh.index {
                Some(index) if index.options().kind == options.kind => index.fork(),
                // Lists, see `grouping`, and codes, after deletes, are as good for fewer.
                Some(index) if index.options().kind == Kind::RabitqIvf => index.fork(),
                Some(index) if options.kind == Kind::FlatF32 => index.fork(),
                Some(index) => rebuilt(index, &self.state.fresh, &options, Control::default())?,
                None => Index::build(Vec::new(), Some(&[]), &options, Control::default())?,
            };
            index.add(&self.added, &self.vectors, Control::default())?;
            self.state.fresh.index = Some(Arc::new(index));
            self.added.clear();
            self.vectors = Vec::new();
        }
        forget(&mut self.state.fresh.index, &dead.fresh)
    }

    /// Bytes of vectors waiting for [`Draft::index`].
    pub(crate) fn pending_bytes(&self) -> usize {
        size_of_val(&*self.vectors)
    }
}

/// The index without some ids, which may not be in it.
fn forget(index: &mut Option<Arc<Index>>, ids: &[i64]) -> Result<()> {
    if let Some(before) = index
        && !ids.is_empty()
    {
        let next = before.fork();
        next.delete(ids)?;
        *index = Some(Arc::new(next));
    }
    Ok(())
}

/// An index of another kind over the vectors of a table that are in its index already.
///
/// # Errors
/// `CANCELLED`.
pub(crate) fn rebuilt(
    index: &Index,
    table: &Memtable,
    options: &BuildOptions,
    control: Control<'_>,
) -> Result<Index> {
    let mut ids = index.ids()?;
    ids.retain(|id| table.rows.get(*id).is_some());
    let mut vectors = Vec::with_capacity(ids.len() * options.dimensions);
    for id in &ids {
        match index.get(*id)? {
            Some(vector) => vectors.extend_from_slice(&vector),
            None => return Err(Error::Internal(format!("row {id} has no vector"))),
        }
    }
    Ok(Index::build(vectors, Some(&ids), options, control)?)
}

/// One bad vector must be refused before it shares a group with good ones. The limits are a little inside those of the
/// index, which sums in another order.
fn check_norms(metric: Metric, batch: &Batch) -> Result<()> {
    if batch.vectors.is_empty() {
        return Ok(());
    }
    let smallest = if metric == Metric::Cosine {
        1.1e-30
    } else {
        0.0
    };
    let check = |(row, vector): (usize, &[f32])| {
        let norm: f32 = vector.iter().map(|x| x * x).sum();
        if norm <= 0.9e36 && norm >= smallest || vector.iter().all(|x| *x == 0.0) {
            return Ok(());
        }
        let norm_squared = vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
        let row = batch
            .records()
            .enumerate()
            .filter(|(_, (_, has_vector))| *has_vector)
            .nth(row)
            .map_or(row, |(i, _)| i);
        Err(rabitq::Error::NormOutOfRange { row, norm_squared }.into())
    };
    batch
        .vectors
        .par_chunks_exact(batch.dimensions)
        .enumerate()
        .with_min_len(PARALLEL_RECORDS)
        .try_for_each(check)
}

fn check_metadata(batch: &Batch, interner: &Interner) -> Result<()> {
    let metadata = |row| batch.record(row).and_then(|(parts, _)| parts.metadata);
    let check = |row| match metadata(row) {
        Some(text) => parse_object(text, interner).map(drop).map_err(|error| {
            let reason = format!(
                "the metadata cannot be kept as a JSON object: {} at byte {}",
                error.reason, error.offset
            );
            Error::InvalidRecord { row, reason }
        }),
        None => Ok(()),
    };
    if batch.len() > PARALLEL_RECORDS {
        (0..batch.len()).into_par_iter().try_for_each(check)
    } else {
        (0..batch.len()).try_for_each(check)
    }
}
