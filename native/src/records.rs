//! Records on their way in and out, in pieces that do not hold up the event loop.

use std::cell::RefCell;

use napi::bindgen_prelude::{Float32ArraySlice, Float64ArraySlice, ToNapiValue};
use napi::{Env, sys};
use napi_derive::napi;
use rulake::{Batch, Found, Match};

use crate::error::Failure;
use crate::job::guarded;
use crate::parameters::to_number;
use crate::pool;

/// Bytes from which a result is freed on another thread.
const LARGE: usize = 1 << 20;

/// Records for one upsert.
#[napi]
pub struct UpsertBatch {
    // Only the JavaScript thread has it. Pieces are joined on another thread: growing one matrix would copy it.
    pieces: RefCell<Vec<Batch>>,
    records: RefCell<usize>,
}

#[napi]
impl UpsertBatch {
    /// An empty batch.
    #[napi(constructor, catch_unwind)]
    #[must_use]
    pub fn new() -> Self {
        Self {
            pieces: RefCell::default(),
            records: RefCell::default(),
        }
    }

    /// Adds records. `lengths` says how many numbers of `vectors` belong to each; 0 is a record without a vector.
    ///
    /// # Errors
    /// `INVALID_ID`, `INVALID_RECORD`, `DIMENSION_MISMATCH`, `NOT_FINITE`, `INVALID_DIMENSIONS`.
    #[napi(catch_unwind)]
    pub fn push(
        &self,
        env: &Env,
        ids: Vec<String>,
        #[napi(ts_arg_type = "(string | undefined)[]")] texts: Vec<Option<String>>,
        #[napi(ts_arg_type = "(string | undefined)[]")] metadata: Vec<Option<String>>,
        vectors: &[f32],
        lengths: &[u32],
    ) -> napi::Result<()> {
        guarded(env, || {
            let mut records = self.records.borrow_mut();
            let mut batch = Batch::continuing(*records);
            let mut vectors = vectors;
            for (((id, text), metadata), &length) in
                ids.into_iter().zip(texts).zip(metadata).zip(lengths)
            {
                let Some((vector, rest)) = vectors.split_at_checked(length as usize) else {
                    return Err(Failure::internal("fewer numbers than the lengths say"));
                };
                vectors = rest;
                if vector.is_empty() {
                    batch.push(id, text, metadata)?;
                } else {
                    batch.push_with_vector(id, vector, text, metadata)?;
                }
            }
            *records += batch.len();
            self.pieces.borrow_mut().push(batch);
            Ok(())
        })
    }
}

impl UpsertBatch {
    /// What was collected; nothing is left.
    pub fn take(&self) -> Vec<Batch> {
        *self.records.borrow_mut() = 0;
        self.pieces.take()
    }
}

impl Drop for UpsertBatch {
    fn drop(&mut self) {
        let pieces = self.take();
        if pieces.len() > 1 {
            pool::drop_later(pieces);
        }
    }
}

/// Ids for one call.
#[napi]
pub struct IdBatch {
    ids: RefCell<Vec<String>>,
}

#[napi]
impl IdBatch {
    /// An empty list.
    #[napi(constructor, catch_unwind)]
    #[must_use]
    pub fn new() -> Self {
        Self {
            ids: RefCell::default(),
        }
    }

    /// Adds ids.
    #[napi(catch_unwind)]
    pub fn push(&self, ids: Vec<String>) {
        self.ids.borrow_mut().extend(ids);
    }
}

impl IdBatch {
    /// What was collected; nothing is left.
    pub fn take(&self) -> Vec<String> {
        self.ids.take()
    }
}

/// Records found, read in pieces. Made by the job that finds them: there may be many.
#[napi]
pub struct FoundRecords {
    // Only the JavaScript thread has it.
    rest: RefCell<std::vec::IntoIter<Item>>,
    counts: Vec<u32>,
    bytes: usize,
}

struct Item {
    record: Found,
    score: f64,
    distance: f64,
}

/// A piece of [`FoundRecords`], column by column.
#[napi(object, object_from_js = false)]
pub struct RecordColumns {
    /// Ids.
    pub ids: Vec<String>,
    /// Texts; `null` where there is none.
    #[napi(ts_type = "(string | null)[]")]
    pub texts: Vec<Option<String>>,
    /// Metadata as JSON; `null` where there is none.
    #[napi(ts_type = "(string | null)[]")]
    pub metadata: Vec<Option<String>>,
    /// Vectors, one after the other.
    #[napi(ts_type = "Float32Array")]
    pub vectors: Floats,
    /// Numbers of each vector; 0 where there is none.
    pub lengths: Vec<u32>,
    /// `score, distance` pairs; zeros if nothing was searched for.
    #[napi(ts_type = "Float64Array")]
    pub scores: Doubles,
}

/// Becomes a `Float32Array` in memory of the JavaScript engine: Electron refuses memory of ours.
pub struct Floats(Vec<f32>);

impl ToNapiValue for Floats {
    unsafe fn to_napi_value(env: sys::napi_env, floats: Self) -> napi::Result<sys::napi_value> {
        let array = Float32ArraySlice::copy_from(&Env::from_raw(env), floats.0)?;
        // SAFETY: `env` is the caller's, and the array was made in it just now.
        unsafe { ToNapiValue::to_napi_value(env, array) }
    }
}

/// Becomes a `Float64Array` likewise.
pub struct Doubles(Vec<f64>);

impl ToNapiValue for Doubles {
    unsafe fn to_napi_value(env: sys::napi_env, doubles: Self) -> napi::Result<sys::napi_value> {
        let array = Float64ArraySlice::copy_from(&Env::from_raw(env), doubles.0)?;
        // SAFETY: `env` is the caller's, and the array was made in it just now.
        unsafe { ToNapiValue::to_napi_value(env, array) }
    }
}

impl FoundRecords {
    /// Records without scores.
    pub fn from_records(records: Vec<Found>) -> Self {
        let items = records
            .into_iter()
            .map(|record| Item {
                record,
                score: 0.0,
                distance: 0.0,
            })
            .collect();
        Self::new(items, Vec::new())
    }

    /// The answers of several searches, one after the other.
    pub fn from_matches(answers: Vec<Vec<Match>>) -> Self {
        let counts = answers
            .iter()
            .map(|answer| u32::try_from(answer.len()).unwrap_or(u32::MAX))
            .collect();
        let item = |found: Match| Item {
            record: found.record,
            score: found.score,
            distance: found.distance,
        };
        Self::new(answers.into_iter().flatten().map(item).collect(), counts)
    }

    fn new(items: Vec<Item>, counts: Vec<u32>) -> Self {
        let bytes = items.iter().map(|item| size_of(&item.record)).sum();
        Self {
            rest: RefCell::new(items.into_iter()),
            counts,
            bytes,
        }
    }
}

fn size_of(record: &Found) -> usize {
    let part = |part: &Option<String>| part.as_ref().map_or(0, String::len);
    record.id.len()
        + part(&record.text)
        + part(&record.metadata)
        + record.vector.as_ref().map_or(0, |v| v.len() * 4)
}

#[napi]
impl FoundRecords {
    /// Records not yet read.
    #[napi(getter, catch_unwind)]
    pub fn length(&self) -> f64 {
        to_number(self.rest.borrow().len())
    }

    /// Answers of each search.
    #[napi(getter, catch_unwind)]
    pub fn counts(&self) -> Vec<u32> {
        self.counts.clone()
    }

    /// The next records: at least one, and no more once they have `bytes`.
    #[napi(catch_unwind)]
    pub fn read(&self, bytes: u32) -> RecordColumns {
        let mut columns = RecordColumns {
            ids: Vec::new(),
            texts: Vec::new(),
            metadata: Vec::new(),
            vectors: Floats(Vec::new()),
            lengths: Vec::new(),
            scores: Doubles(Vec::new()),
        };
        let mut room = bytes as usize;
        for item in &mut *self.rest.borrow_mut() {
            // Making three strings takes about as long as copying this many bytes.
            room = room.saturating_sub(size_of(&item.record) + 512);
            let vector = item.record.vector.unwrap_or_default();
            columns.ids.push(item.record.id);
            columns.texts.push(item.record.text);
            columns.metadata.push(item.record.metadata);
            columns
                .lengths
                .push(u32::try_from(vector.len()).unwrap_or(u32::MAX));
            columns.vectors.0.extend(vector);
            columns.scores.0.extend([item.score, item.distance]);
            if room == 0 {
                break;
            }
        }
        columns
    }
}

impl Drop for FoundRecords {
    fn drop(&mut self) {
        if self.bytes > LARGE {
            pool::drop_later(self.rest.take());
        }
    }
}
