//! Vectors and ids on their way in, copied piece by piece.

use std::sync::{Arc, Mutex, PoisonError};

use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;

use crate::error::{Failure, Result};
use crate::job::{guarded, run_guarded};
use crate::pages::SparePages;
use crate::pool::{self, Lane};

/// Numbers copied out of JavaScript memory. JavaScript appends pieces small enough not to stall the event loop, then
/// hands the buffer to one call, which empties it.
#[napi]
pub struct InputBuffer {
    rows: Mutex<Rows>,
    /// Of the vectors.
    pages: Arc<SparePages>,
}

/// What an [`InputBuffer`] has collected.
#[derive(Debug, Default)]
pub struct Rows {
    /// Row-major vectors.
    pub vectors: Vec<f32>,
    /// Ids of the rows, or of a filter.
    pub ids: Vec<i64>,
}

#[napi]
impl InputBuffer {
    /// Room for `numbers` vector components and `ids` ids.
    ///
    /// # Errors
    /// `OUT_OF_MEMORY`.
    #[napi(constructor, catch_unwind)]
    pub fn new(env: &Env, numbers: f64, ids: f64) -> napi::Result<Self> {
        guarded(env, || {
            let mut rows = Rows::default();
            reserve(&mut rows.vectors, numbers)?;
            reserve(&mut rows.ids, ids)?;
            let pages = Arc::new(SparePages::of(&mut rows.vectors));
            let rows = Mutex::new(rows);
            Ok(Self { rows, pages })
        })
    }

    /// Has memory for the vectors' components `from..to` found on another thread, before they are appended on this one.
    ///
    /// # Errors
    /// If the environment cannot make a promise.
    #[napi(ts_return_type = "Promise<void>", catch_unwind)]
    pub fn make_room<'env>(
        &self,
        env: &'env Env,
        from: f64,
        to: f64,
    ) -> napi::Result<Object<'env>> {
        let pages = self.pages.clone();
        let [from, to] = [from, to].map(|component| count(component) * size_of::<f32>());
        run_guarded(
            env,
            Lane::Work,
            move || {
                pages.find(from..to);
                Ok(())
            },
            |_, ()| Ok(()),
        )
    }

    /// Copies a piece of the matrix.
    #[napi(catch_unwind)]
    pub fn append_vectors(&self, piece: &[f32]) {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        self.pages
            .claim(size_of_val(&*rows.vectors) + size_of_val(piece));
        rows.vectors.extend_from_slice(piece);
    }

    /// Copies a piece of the ids, checked by JavaScript to be safe integers.
    #[napi(catch_unwind)]
    pub fn append_ids(&self, piece: &[f64]) {
        #[expect(clippy::cast_possible_truncation, reason = "safe integers")]
        let ids = piece.iter().map(|&id| id as i64);
        self.rows
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .ids
            .extend(ids);
    }
}

impl InputBuffer {
    /// What was collected; the buffer is empty afterwards.
    pub fn take(&self) -> Rows {
        self.pages.let_go();
        std::mem::take(&mut *self.rows.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for InputBuffer {
    fn drop(&mut self) {
        let rows = self.take();
        if rows.vectors.capacity() + rows.ids.capacity() > 0 {
            pool::drop_later(rows);
        }
    }
}

fn reserve<T>(vec: &mut Vec<T>, items: f64) -> Result<()> {
    let items = count(items);
    vec.try_reserve_exact(items).map_err(|_| {
        let bytes = items.saturating_mul(size_of::<T>());
        Failure::new(
            "OUT_OF_MEMORY",
            format!("the system has no {bytes} bytes to copy the input to"),
        )
        .with("bytes", bytes)
        .hint("Add the rows in several calls.")
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "lengths of arrays, saturating"
)]
fn count(length: f64) -> usize {
    length as usize
}
