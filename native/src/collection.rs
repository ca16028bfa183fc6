//! A collection as a JavaScript class.

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;
use rulake::{Batch, Collection, Commit, Durability, Lake, Scan, Selection};

use crate::collection_parameters::{
    CollectionCounts, CollectionSearchParameters, IncludeParameters, VerifyResult, WriteResult,
};
use crate::drop_later::DropLater;
use crate::error::{Failure, Result};
use crate::job::{JobControl, run_guarded};
use crate::parameters::to_number;
use crate::pool::{self, Lane};
use crate::records::{FoundRecords, IdBatch, UpsertBatch};

/// A handle on a collection. It keeps its lake open, and so does every job.
#[napi]
pub struct NativeCollection {
    held: DropLater<Held>,
}

/// A collection and the lake that must not close meanwhile.
#[derive(Clone)]
pub struct Held {
    collection: Collection,
    lake: Arc<Lake>,
    /// Whether the lake is there for this collection only, and closes with it.
    sole: bool,
}

impl Deref for Held {
    type Target = Collection;

    fn deref(&self) -> &Collection {
        &self.collection
    }
}

impl NativeCollection {
    pub fn new(collection: Collection, lake: Arc<Lake>) -> Self {
        Self::hold(collection, lake, false)
    }

    /// A collection whose lake nobody else has: closing it lets go of everything.
    pub fn sole(collection: Collection, lake: Lake) -> Self {
        Self::hold(collection, Arc::new(lake), true)
    }

    fn hold(collection: Collection, lake: Arc<Lake>, sole: bool) -> Self {
        Self {
            held: DropLater::new(Held {
                collection,
                lake,
                sole,
            }),
        }
    }

    /// The collection, for a job.
    pub fn held(&self) -> Held {
        Held::clone(&self.held)
    }

    /// A promise that the writer's thread settles.
    fn promise(
        env: &Env,
        start: impl FnOnce(Box<dyn FnOnce(Result<Commit>) + Send>),
    ) -> napi::Result<Object<'_>> {
        let (deferred, promise) = env.create_deferred()?;
        start(Box::new(move |result| {
            deferred.resolve(move |env| match result {
                Ok(commit) => Ok(WriteResult::from(commit)),
                Err(failure) => Err(failure.into_js(&env)),
            });
        }));
        Ok(promise)
    }
}

#[napi]
impl NativeCollection {
    /// Its name.
    #[napi(getter, catch_unwind)]
    pub fn name(&self) -> String {
        self.held.name().to_owned()
    }

    /// `cosine`, `ip` or `l2`.
    #[napi(getter, catch_unwind)]
    pub fn metric(&self) -> String {
        self.held.metric().name().to_owned()
    }

    /// Numbers in a vector, once known.
    #[napi(getter, catch_unwind)]
    pub fn dimensions(&self) -> Option<u32> {
        self.held.dimensions().and_then(|n| u32::try_from(n).ok())
    }

    /// Records right now.
    #[napi(getter, catch_unwind)]
    pub fn size(&self) -> f64 {
        to_number(self.held.len())
    }

    /// Commits a batch, which is empty afterwards.
    ///
    /// # Errors
    /// By rejection: those of [`Collection::upsert_and_wait`].
    #[napi(ts_return_type = "Promise<WriteResult>", catch_unwind)]
    pub fn upsert<'env>(
        &self,
        env: &'env Env,
        batch: &UpsertBatch,
        buffered: bool,
    ) -> napi::Result<Object<'env>> {
        let pieces = batch.take();
        let collection = Held::clone(&self.held);
        Self::promise(env, move |done| {
            let large = pieces.len() > 1;
            let commit = move || match Batch::join(pieces) {
                Ok(batch) => {
                    collection.upsert(batch, durability(buffered), |result| {
                        done(result.map_err(Failure::from));
                    });
                }
                Err(error) => done(Err(error.into())),
            };
            // One piece needs no joining, so nothing holds up the event loop.
            if large {
                pool::spawn(Lane::Work, commit);
            } else {
                commit();
            }
        })
    }

    /// Deletes by ids, or by filter, or everything if neither is given.
    ///
    /// # Errors
    /// By rejection: those of [`Collection::delete_and_wait`].
    #[napi(ts_return_type = "Promise<WriteResult>", catch_unwind)]
    pub fn delete<'env>(
        &self,
        env: &'env Env,
        ids: Option<&IdBatch>,
        filter: Option<String>,
        buffered: bool,
    ) -> napi::Result<Object<'env>> {
        let selection = match (ids, filter) {
            (Some(ids), _) => Selection::Ids(ids.take()),
            (None, Some(filter)) => Selection::Filter(filter),
            (None, None) => Selection::All,
        };
        let collection = &self.held;
        Self::promise(env, |done| {
            collection.delete(selection, durability(buffered), |result| {
                done(result.map_err(Failure::from));
            });
        })
    }

    /// Records by id.
    ///
    /// # Errors
    /// By rejection: those of [`Collection::get`].
    #[napi(ts_return_type = "Promise<FoundRecords>", catch_unwind)]
    pub fn get<'env>(
        &self,
        env: &'env Env,
        ids: &IdBatch,
        include: IncludeParameters,
    ) -> napi::Result<Object<'env>> {
        let collection = Held::clone(&self.held);
        let ids = ids.take();
        run_guarded(
            env,
            Lane::Search,
            move || {
                Ok(FoundRecords::from_records(
                    collection.get(&ids, include.into())?,
                ))
            },
            |_, found| Ok(found),
        )
    }

    /// Number of records, or of those that match.
    ///
    /// # Errors
    /// By rejection: those of [`Collection::count`].
    #[napi(ts_return_type = "Promise<number>", catch_unwind)]
    pub fn count<'env>(
        &self,
        env: &'env Env,
        filter: Option<String>,
        control: Option<&JobControl>,
    ) -> napi::Result<Object<'env>> {
        let collection = Held::clone(&self.held);
        let control = JobControl::handle(control);
        run_guarded(
            env,
            Lane::Search,
            move || Ok(collection.count(filter.as_deref(), Some(control.cancel_flag()))?),
            |_, count| Ok(to_number(count)),
        )
    }

    /// Searches for each of `queries` vectors in a row-major matrix.
    ///
    /// # Errors
    /// By rejection: those of [`Collection::search`].
    #[napi(ts_return_type = "Promise<FoundRecords>", catch_unwind)]
    pub fn search<'env>(
        &self,
        env: &'env Env,
        vectors: &[f32],
        queries: u32,
        parameters: CollectionSearchParameters,
        control: Option<&JobControl>,
    ) -> napi::Result<Object<'env>> {
        let collection = Held::clone(&self.held);
        let control = JobControl::handle(control);
        let vectors = vectors.to_vec();
        run_guarded(
            env,
            Lane::Search,
            move || {
                let answers = collection.search(
                    &vectors,
                    queries as usize,
                    &parameters.into(),
                    Some(control.cancel_flag()),
                )?;
                Ok(FoundRecords::from_matches(answers))
            },
            |_, found| Ok(found),
        )
    }

    /// Starts a walk over the records of the present state.
    ///
    /// # Errors
    /// By rejection: those of [`Collection::scan`].
    #[napi(ts_return_type = "Promise<NativeScan>", catch_unwind)]
    pub fn scan<'env>(
        &self,
        env: &'env Env,
        filter: Option<String>,
        include: IncludeParameters,
    ) -> napi::Result<Object<'env>> {
        let collection = Held::clone(&self.held);
        run_guarded(
            env,
            Lane::Search,
            move || Ok(collection.scan(filter.as_deref(), include.into())?),
            |_, scan| {
                Ok(NativeScan {
                    scan: DropLater::new(Arc::new(Mutex::new(Some(scan)))),
                })
            },
        )
    }

    /// Reads everything and compares it with what it should be.
    ///
    /// # Errors
    /// By rejection: those of [`Collection::verify`].
    #[napi(ts_return_type = "Promise<VerifyResult>", catch_unwind)]
    pub fn verify<'env>(
        &self,
        env: &'env Env,
        control: Option<&JobControl>,
    ) -> napi::Result<Object<'env>> {
        let collection = Held::clone(&self.held);
        let control = JobControl::handle(control);
        run_guarded(
            env,
            Lane::Work,
            move || Ok(collection.verify(Some(control.cancel_flag()))?),
            |_, report| Ok(VerifyResult::from(report)),
        )
    }

    /// Makes a checkpoint.
    ///
    /// # Errors
    /// By rejection: those of [`Collection::compact`].
    #[napi(ts_return_type = "Promise<void>", catch_unwind)]
    pub fn compact<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        let collection = Held::clone(&self.held);
        run_guarded(
            env,
            Lane::Work,
            move || Ok(collection.compact()?),
            |_, ()| Ok(()),
        )
    }

    /// Sizes and counts.
    ///
    /// # Errors
    /// By rejection: `CLOSED`.
    #[napi(ts_return_type = "Promise<CollectionCounts>", catch_unwind)]
    pub fn stats<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        let collection = Held::clone(&self.held);
        run_guarded(
            env,
            Lane::Search,
            move || Ok(collection.stats()?),
            |_, stats| Ok(CollectionCounts::from(stats)),
        )
    }

    /// Ends the use of this handle.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.held.close();
        if self.held.sole {
            let lake = self.held.lake.clone();
            pool::spawn(Lane::Work, move || {
                let _ = lake.close();
            });
        }
    }
}

/// A walk over the records of one state.
#[napi]
pub struct NativeScan {
    scan: DropLater<Arc<Mutex<Option<Scan>>>>,
}

#[napi]
impl NativeScan {
    /// The next records: at most `rows`, and no more once they have `bytes`. None are left if it is empty.
    ///
    /// # Errors
    /// By rejection: those of [`Scan::next_chunk`]; `CLOSED`.
    #[napi(ts_return_type = "Promise<FoundRecords>", catch_unwind)]
    pub fn next<'env>(
        &self,
        env: &'env Env,
        rows: u32,
        bytes: u32,
        control: Option<&JobControl>,
    ) -> napi::Result<Object<'env>> {
        let scan = Arc::clone(&self.scan);
        let control = JobControl::handle(control);
        run_guarded(
            env,
            Lane::Search,
            move || {
                let mut scan = scan.lock().unwrap_or_else(PoisonError::into_inner);
                let scan = scan.as_mut().ok_or_else(|| Failure::closed("scan"))?;
                let records =
                    scan.next_chunk(rows as usize, bytes as usize, Some(control.cancel_flag()))?;
                Ok(FoundRecords::from_records(records))
            },
            |_, found| Ok(found),
        )
    }

    /// Lets go of the state.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        // Not waited for: a chunk under way holds it.
        if let Ok(mut scan) = self.scan.try_lock() {
            pool::drop_later(scan.take());
        }
    }
}

fn durability(buffered: bool) -> Durability {
    if buffered {
        Durability::Buffered
    } else {
        Durability::Fsync
    }
}
