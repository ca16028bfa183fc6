//! The next state of a collection while it is being put together.

use std::sync::Arc;

use rabitq::{Control, Index, Metric};
use rayon::prelude::*;

use crate::json::parse_object;
use crate::options::Settings;
use crate::record::Batch;
use crate::state::State;
use crate::table::{HeapRow, Slot};
use crate::value::Interner;
use crate::{Error, Result};

/// Records above which metadata is checked by several threads.
const PARALLEL_RECORDS: usize = 1024;

/// A state under construction. Nobody sees it until it is published.
pub(crate) struct Draft {
    pub(crate) state: State,
    /// Rows whose vectors the index lacks.
    added: Vec<i64>,
    vectors: Vec<f32>,
    /// Rows with a vector that were part of the state and no longer are.
    pub(crate) dead: Vec<i64>,
}

impl Draft {
    pub(crate) fn new(base: &State) -> Self {
        Self {
            state: base.clone(),
            added: Vec::new(),
            vectors: Vec::new(),
            dead: Vec::new(),
        }
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
        if batch.dimensions != 0 {
            self.state.dimensions = Some(batch.dimensions);
        }
        for record in batch.records {
            let row = self.state.next_row;
            self.state.next_row += 1;
            let (hash, old) = self.state.find(&record.id)?;
            if let Some(old) = old {
                self.remove(old)?;
                self.state.ids.remove(hash, old);
            }
            if record.has_vector {
                self.added.push(row);
                self.state.vectors += 1;
            }
            self.state.ids.insert(hash, row);
            self.state
                .rows
                .push(row, Slot::Heap(Arc::new(HeapRow::from(record))));
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
        let before = self.state.rows.len();
        for &row in rows {
            let hash = self
                .state
                .view(row)?
                .map(|view| view.parts(row).map(|parts| self.state.hash(parts.id)))
                .transpose()?;
            if let Some(hash) = hash {
                self.remove(row)?;
                self.state.ids.remove(hash, row);
            }
        }
        Ok(before - self.state.rows.len())
    }

    fn remove(&mut self, row: i64) -> Result<()> {
        if self
            .state
            .view(row)?
            .map(|view| view.has_vector())
            .transpose()?
            == Some(true)
        {
            self.dead.push(row);
            self.state.vectors -= 1;
        }
        self.state.rows.remove(row);
        Ok(())
    }

    /// Adds the new vectors to the index, where no reader looks for them yet. On an error the index is as before.
    pub(crate) fn index(&mut self, settings: &Settings) -> Result<()> {
        if self.added.is_empty() {
            return Ok(());
        }
        let Some(dimensions) = self.state.dimensions else {
            return Err(Error::Internal("vectors without dimensions".into()));
        };
        let index = if let Some(index) = &self.state.index {
            index.clone()
        } else {
            let options =
                settings.build_options(settings.index.kind(self.state.vectors), dimensions);
            Arc::new(Index::build(
                Vec::new(),
                Some(&[]),
                &options,
                Control::default(),
            )?)
        };
        index.add(&self.added, &self.vectors, Control::default())?;
        self.state.index = Some(index);
        self.vectors = Vec::new();
        Ok(())
    }

    /// Takes back what [`Draft::index`] has added.
    pub(crate) fn unindex(&self) {
        if let Some(index) = &self.state.index {
            // A failure leaves rows that no state has, which readers skip.
            let _ = index.delete(&self.added);
        }
    }

    /// Forgets which rows are new, so that more changes can follow.
    pub(crate) fn settle(&mut self) {
        self.added.clear();
        self.vectors.clear();
    }

    /// Bytes of vectors waiting for [`Draft::index`].
    pub(crate) fn pending_bytes(&self) -> usize {
        size_of_val(&*self.vectors)
    }
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
            .records
            .iter()
            .enumerate()
            .filter(|(_, r)| r.has_vector)
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
    let check = |(row, metadata): (usize, &Option<Box<str>>)| match metadata {
        Some(text) => parse_object(text, interner).map(drop).map_err(|error| {
            let reason = format!(
                "the metadata is not a JSON object: {} at byte {}",
                error.reason, error.offset
            );
            Error::InvalidRecord { row, reason }
        }),
        None => Ok(()),
    };
    if batch.records.len() > PARALLEL_RECORDS {
        batch
            .records
            .par_iter()
            .map(|record| &record.metadata)
            .enumerate()
            .try_for_each(check)
    } else {
        batch
            .records
            .iter()
            .map(|record| &record.metadata)
            .enumerate()
            .try_for_each(check)
    }
}
