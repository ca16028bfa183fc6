//! The vector indexes as a JavaScript class.

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Arc;

use napi::Env;
use napi::bindgen_prelude::{Float32ArraySlice, Float64ArraySlice, Object};
use napi_derive::napi;
use rabitq::{Index, OpenOptions, SearchOptions, Verify};

use crate::error::Failure;
use crate::explain::SearchReport;
use crate::hits::{BatchHits, HitList, interleave};
use crate::input::InputBuffer;
use crate::job::{JobControl, guarded, run_guarded};
use crate::parameters::{
    IndexCounts, IndexInfo, IndexParameters, SearchParameters, Wanted, to_id, to_number,
};
use crate::pool::{self, Lane};
use crate::rows::RowCursor;
use crate::upkeep;

/// A handle on an index. Jobs hold the index themselves, so closing the handle disturbs none.
#[napi]
pub struct NativeIndex {
    index: RefCell<Option<Arc<Index>>>,
}

/// Checks what can be checked before any row is copied.
///
/// # Errors
/// `INVALID_DIMENSIONS`, `INVALID_OPTION`.
#[napi(catch_unwind)]
pub fn check_parameters(env: &Env, parameters: IndexParameters) -> napi::Result<()> {
    guarded(env, || parameters.into_options().map(drop))
}

/// Builds an index from the rows of `input`; `has_ids` false numbers them from 0.
///
/// # Errors
/// By rejection: those of [`Index::build`].
#[napi(ts_return_type = "Promise<NativeIndex>", catch_unwind)]
pub fn build_index<'env>(
    env: &'env Env,
    input: &InputBuffer,
    has_ids: bool,
    parameters: IndexParameters,
    control: Option<&JobControl>,
) -> napi::Result<Object<'env>> {
    let rows = input.take();
    let control = JobControl::handle(control);
    run_guarded(
        env,
        Lane::Work,
        move || {
            let options = parameters.into_options()?;
            let ids = has_ids.then_some(rows.ids.as_slice());
            let index =
                control.scope(|control| Index::build(rows.vectors, ids, &options, control))?;
            Ok(Arc::new(index))
        },
        |_, index| Ok(NativeIndex::new(index)),
    )
}

/// Opens an index file; `verify` is `auto`, `full` or `lazy`.
///
/// # Errors
/// By rejection: those of [`Index::open`].
#[napi(ts_return_type = "Promise<NativeIndex>", catch_unwind)]
pub fn open_index<'env>(
    env: &'env Env,
    path: String,
    verify: Option<String>,
    control: Option<&JobControl>,
) -> napi::Result<Object<'env>> {
    let control = JobControl::handle(control);
    run_guarded(
        env,
        Lane::Work,
        move || {
            let verify = match verify.as_deref() {
                Some("full") => Verify::Full,
                Some("lazy") => Verify::Lazy,
                _ => Verify::Auto,
            };
            let path = PathBuf::from(path);
            let index =
                control.scope(|control| Index::open(&path, OpenOptions { verify }, control))?;
            Ok(Arc::new(index))
        },
        |_, index| Ok(NativeIndex::new(index)),
    )
}

#[napi]
impl NativeIndex {
    /// The nearest rows, best first.
    ///
    /// # Errors
    /// By rejection: those of [`Index::search`].
    #[napi(ts_return_type = "Promise<Float64Array>", catch_unwind)]
    pub fn search<'env>(
        &self,
        env: &'env Env,
        query: &[f32],
        parameters: SearchParameters,
        filter: Option<&InputBuffer>,
        control: Option<&JobControl>,
    ) -> napi::Result<Object<'env>> {
        let index = self.open(env)?;
        let query = query.to_vec();
        let wanted = Wanted::new(parameters, filter);
        let control = JobControl::handle(control);
        run_guarded(
            env,
            Lane::Search,
            move || {
                let hits = wanted.with(&index, |k, options| {
                    control.scope(|control| index.search(&query, k, options, control))
                })?;
                Ok(interleave(&hits))
            },
            |_, numbers| Ok(HitList(numbers)),
        )
    }

    /// The same search, told in numbers.
    ///
    /// # Errors
    /// By rejection: those of [`Index::explain`].
    #[napi(ts_return_type = "Promise<SearchReport>", catch_unwind)]
    pub fn explain<'env>(
        &self,
        env: &'env Env,
        query: &[f32],
        parameters: SearchParameters,
        filter: Option<&InputBuffer>,
        control: Option<&JobControl>,
    ) -> napi::Result<Object<'env>> {
        let index = self.open(env)?;
        let query = query.to_vec();
        let wanted = Wanted::new(parameters, filter);
        let control = JobControl::handle(control);
        run_guarded(
            env,
            Lane::Search,
            move || {
                wanted.with(&index, |k, options| {
                    control.scope(|control| index.explain(&query, k, options, control))
                })
            },
            |_, told| Ok(SearchReport::from(told)),
        )
    }

    /// The same on this thread. Writes `id, distance` pairs into `out` and returns how many.
    ///
    /// # Errors
    /// Those of [`Index::search`].
    #[napi(catch_unwind)]
    pub fn search_sync(
        &self,
        env: &Env,
        query: &[f32],
        parameters: SearchParameters,
        out: Float64ArraySlice<'_>,
        filter: Option<&InputBuffer>,
    ) -> napi::Result<u32> {
        let index = self.open(env)?;
        guarded(env, || {
            let wanted = Wanted::new(parameters, filter);
            let hits = wanted.with(&index, |k, options| {
                index.search(query, k, options, rabitq::Control::default())
            })?;
            let mut out = out;
            // SAFETY: no other Rust reference to this memory exists during the call (`query` is of another element
            // type; should JavaScript overlay both on one buffer, `query` has been read to the end).
            let out = unsafe { out.as_mut() };
            let mut written = 0;
            for (place, hit) in out.chunks_exact_mut(2).zip(&hits) {
                #[expect(clippy::cast_precision_loss, reason = "ids are safe integers")]
                place.copy_from_slice(&[hit.id as f64, hit.distance]);
                written += 1;
            }
            Ok(written)
        })
    }

    /// The same into two arrays; `k` is their length.
    ///
    /// # Errors
    /// Those of [`Index::search`].
    #[napi(catch_unwind)]
    pub fn search_into(
        &self,
        env: &Env,
        query: &[f32],
        ids: Float64ArraySlice<'_>,
        distances: Float32ArraySlice<'_>,
    ) -> napi::Result<u32> {
        let index = self.open(env)?;
        guarded(env, || {
            let (mut ids, mut distances) = (ids, distances);
            let k = ids.len().min(distances.len());
            let k = if k == 0 { 0 } else { k.min(index.len()).max(1) };
            let hits = index.search(
                query,
                k,
                &SearchOptions::default(),
                rabitq::Control::default(),
            )?;
            // SAFETY: as in `search_sync`; the two outputs are written one after the other.
            for (place, hit) in unsafe { ids.as_mut() }.iter_mut().zip(&hits) {
                #[expect(clippy::cast_precision_loss, reason = "ids are safe integers")]
                let id = hit.id as f64;
                *place = id;
            }
            let mut written = 0;
            // SAFETY: as above.
            for (place, hit) in unsafe { distances.as_mut() }.iter_mut().zip(&hits) {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "the array the caller chose is of f32"
                )]
                let distance = hit.distance as f32;
                *place = distance;
                written += 1;
            }
            Ok(written)
        })
    }

    /// One answer a row of `queries`.
    ///
    /// # Errors
    /// By rejection: those of [`Index::search_batch`].
    #[napi(ts_return_type = "Promise<BatchHits>", catch_unwind)]
    pub fn search_batch<'env>(
        &self,
        env: &'env Env,
        queries: &InputBuffer,
        parameters: SearchParameters,
        filter: Option<&InputBuffer>,
        control: Option<&JobControl>,
    ) -> napi::Result<Object<'env>> {
        let index = self.open(env)?;
        let queries = queries.take().vectors;
        let wanted = Wanted::new(parameters, filter);
        let control = JobControl::handle(control);
        run_guarded(
            env,
            Lane::Batch,
            move || {
                let (k, answers) = wanted.with(&index, |k, options| {
                    let answers = control
                        .scope(|control| index.search_batch(&queries, k, options, control))?;
                    Ok((k, answers))
                })?;
                Ok(BatchHits::new(k, &answers))
            },
            |_, hits| Ok(hits),
        )
    }

    /// Adds or replaces rows.
    ///
    /// # Errors
    /// By rejection: those of [`Index::add`].
    #[napi(ts_return_type = "Promise<void>", catch_unwind)]
    pub fn add<'env>(
        &self,
        env: &'env Env,
        input: &InputBuffer,
        control: Option<&JobControl>,
    ) -> napi::Result<Object<'env>> {
        let index = self.open(env)?;
        let rows = input.take();
        let control = JobControl::handle(control);
        run_guarded(
            env,
            Lane::Work,
            move || {
                control.scope(|control| index.add(&rows.ids, &rows.vectors, control))?;
                upkeep::after_change(&index);
                Ok(())
            },
            |_, ()| Ok(()),
        )
    }

    /// Removes rows and returns how many there were.
    ///
    /// # Errors
    /// By rejection: those of [`Index::delete`].
    #[napi(ts_return_type = "Promise<number>", catch_unwind)]
    pub fn delete<'env>(&self, env: &'env Env, ids: &InputBuffer) -> napi::Result<Object<'env>> {
        let index = self.open(env)?;
        let ids = ids.take().ids;
        run_guarded(
            env,
            Lane::Work,
            move || {
                let deleted = index.delete(&ids)?;
                upkeep::after_change(&index);
                Ok(deleted)
            },
            |_, count| Ok(to_number(count)),
        )
    }

    /// Makes the index what building it from its rows would make it.
    ///
    /// # Errors
    /// By rejection: those of [`Index::compact`].
    #[napi(ts_return_type = "Promise<void>", catch_unwind)]
    pub fn compact<'env>(
        &self,
        env: &'env Env,
        control: Option<&JobControl>,
    ) -> napi::Result<Object<'env>> {
        let index = self.open(env)?;
        let control = JobControl::handle(control);
        run_guarded(
            env,
            Lane::Work,
            move || Ok(control.scope(|control| index.compact(control))?),
            |_, ()| Ok(()),
        )
    }

    /// Writes a file.
    ///
    /// # Errors
    /// By rejection: those of [`Index::save`].
    #[napi(ts_return_type = "Promise<void>", catch_unwind)]
    pub fn save<'env>(
        &self,
        env: &'env Env,
        path: String,
        control: Option<&JobControl>,
    ) -> napi::Result<Object<'env>> {
        let index = self.open(env)?;
        let control = JobControl::handle(control);
        run_guarded(
            env,
            Lane::Work,
            move || Ok(control.scope(|control| index.save(&PathBuf::from(path), control))?),
            |_, ()| Ok(()),
        )
    }

    /// Writes the vector of an id into `out`; `false` if there is none.
    ///
    /// # Errors
    /// Those of [`Index::get`].
    #[napi(catch_unwind)]
    pub fn get(&self, env: &Env, id: f64, out: Float32ArraySlice<'_>) -> napi::Result<bool> {
        let index = self.open(env)?;
        guarded(env, || {
            let Some(vector) = index.get(to_id(id))? else {
                return Ok(false);
            };
            let mut out = out;
            // SAFETY: no other reference to this memory exists during the call.
            for (place, number) in unsafe { out.as_mut() }.iter_mut().zip(vector) {
                *place = number;
            }
            Ok(true)
        })
    }

    /// Whether a live row has this id.
    ///
    /// # Errors
    /// Those of [`Index::contains`].
    #[napi(catch_unwind)]
    pub fn contains(&self, env: &Env, id: f64) -> napi::Result<bool> {
        let index = self.open(env)?;
        guarded(env, || Ok(index.contains(to_id(id))?))
    }

    /// A cursor over a consistent view of the rows.
    ///
    /// # Errors
    /// Those of [`Index::rows`].
    #[napi(catch_unwind)]
    pub fn rows(&self, env: &Env) -> napi::Result<RowCursor> {
        let index = self.open(env)?;
        guarded(env, || Ok(RowCursor::new(index.rows()?)))
    }

    /// Live rows.
    ///
    /// # Errors
    /// `CLOSED`.
    #[napi(catch_unwind)]
    pub fn size(&self, env: &Env) -> napi::Result<f64> {
        let index = self.open(env)?;
        guarded(env, || Ok(to_number(index.len())))
    }

    /// What never changes.
    ///
    /// # Errors
    /// `CLOSED`.
    #[napi(catch_unwind)]
    pub fn info(&self, env: &Env) -> napi::Result<IndexInfo> {
        let index = self.open(env)?;
        guarded(env, || Ok(IndexInfo::from(index.options())))
    }

    /// Sizes and counts.
    ///
    /// # Errors
    /// `CLOSED`.
    #[napi(catch_unwind)]
    pub fn stats(&self, env: &Env) -> napi::Result<IndexCounts> {
        let index = self.open(env)?;
        guarded(env, || Ok(IndexCounts::from(index.stats())))
    }

    /// Lets go of the index; memory and file are released when the last job is done.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        if let Some(index) = self.index.take() {
            pool::drop_later(index);
        }
    }
}

impl NativeIndex {
    fn new(index: Arc<Index>) -> Self {
        Self {
            index: RefCell::new(Some(index)),
        }
    }

    fn open(&self, env: &Env) -> napi::Result<Arc<Index>> {
        self.index
            .borrow()
            .clone()
            .ok_or_else(|| Failure::closed("index").into_js(env))
    }
}

impl Drop for NativeIndex {
    fn drop(&mut self) {
        self.close();
    }
}
