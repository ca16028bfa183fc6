//! Reading an index row by row.

use std::cell::RefCell;

use napi::Env;
use napi::bindgen_prelude::{Float32ArraySlice, Float64ArraySlice};
use napi_derive::napi;

use crate::job::guarded;

/// A consistent view of the rows of an index, read in pieces.
#[napi]
pub struct RowCursor {
    rows: RefCell<rabitq::Rows>,
}

impl RowCursor {
    /// Starts at the first row of the view.
    pub fn new(rows: rabitq::Rows) -> Self {
        Self {
            rows: RefCell::new(rows),
        }
    }
}

#[napi]
impl RowCursor {
    /// Writes the next rows, as many as `ids` has places, and returns how many; 0 at the end.
    ///
    /// # Errors
    /// `CORRUPT_FILE`, `IO`.
    #[napi(catch_unwind)]
    pub fn next(
        &self,
        env: &Env,
        ids: Float64ArraySlice<'_>,
        vectors: Float32ArraySlice<'_>,
    ) -> napi::Result<u32> {
        guarded(env, || {
            let (mut ids, mut vectors) = (ids, vectors);
            if ids.is_empty() {
                return Ok(0);
            }
            let dimensions = vectors.len() / ids.len();
            // SAFETY: no other Rust reference to this memory exists during the call; JavaScript made the two arrays
            // for this purpose, on buffers of their own.
            let (ids, vectors) = unsafe { (ids.as_mut(), vectors.as_mut()) };
            let mut written = 0;
            let places = ids
                .iter_mut()
                .zip(vectors.chunks_exact_mut(dimensions.max(1)));
            for ((id_place, vector_place), row) in places.zip(&mut *self.rows.borrow_mut()) {
                let (id, vector) = row?;
                #[expect(clippy::cast_precision_loss, reason = "ids are safe integers")]
                let id = id as f64;
                *id_place = id;
                for (place, number) in vector_place.iter_mut().zip(vector) {
                    *place = number;
                }
                written += 1;
            }
            Ok(written)
        })
    }
}
