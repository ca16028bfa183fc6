//! Records on their way in, in pieces that do not hold up the event loop.

use std::cell::RefCell;

use napi::Env;
use napi_derive::napi;
use rulake::Batch;

use crate::error::Failure;
use crate::job::guarded;
use crate::pool;

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
