//! A collection as a JavaScript class.

use std::ops::Deref;
use std::sync::Arc;

use napi::Env;
use napi::bindgen_prelude::{Object, ToNapiValue};
use napi_derive::napi;
use rulake::{Batch, Collection, Commit, Durability, Lake, Selection, SnapshotId};

use crate::collection_parameters::{
    CollectionCounts, HistoryColumns, IncludeParameters, VerifyResult, WriteResult,
};
use crate::deferred::Deferred;
use crate::drop_later::DropLater;
use crate::error::{Failure, Result};
use crate::found::FoundRecords;
use crate::job::{JobControl, guarded, run_guarded};
use crate::parameters::to_number;
use crate::pool::{self, Lane};
use crate::pulse::Pulse;
use crate::records::{IdBatch, UpsertBatch};
use crate::scan::NativeScan;

/// A batch of so many bytes is indexed by all CPUs.
const SHARED_BYTES: usize = 1 << 16;

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

    /// A promise of what `work` makes of the collection on a thread of a lane.
    pub fn run<'env, T, E, V>(
        &self,
        env: &'env Env,
        lane: Lane,
        work: impl FnOnce(Held) -> std::result::Result<T, E> + Send + 'static,
        into_js: impl FnOnce(T) -> V + Send + 'static,
    ) -> napi::Result<Object<'env>>
    where
        T: Send + 'static,
        V: ToNapiValue + 'static,
        Failure: From<E>,
    {
        let collection = Held::clone(&self.held);
        run_guarded(
            env,
            lane,
            move || Ok(work(collection)?),
            |_, done| Ok(into_js(done)),
        )
    }

    /// A promise that the writer's thread settles.
    fn promise(
        env: &Env,
        start: impl FnOnce(Box<dyn FnOnce(Result<Commit>) + Send>),
    ) -> napi::Result<Object<'_>> {
        let (deferred, promise) = Deferred::new(env)?;
        start(Box::new(move |result| {
            pool::answer(move || {
                deferred.settle(move |env| match result {
                    Ok(commit) => Ok(WriteResult::from(commit)),
                    Err(failure) => Err(failure.into_js(env)),
                });
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

    /// Paths of metadata that are indexed; null for all of them.
    #[napi(getter, catch_unwind)]
    pub fn metadata_index(&self) -> Option<Vec<String>> {
        self.held.metadata_index().map(<[String]>::to_vec)
    }

    /// Name of the state it reads now.
    ///
    /// # Errors
    /// `CLOSED`.
    #[napi(getter, catch_unwind)]
    pub fn snapshot_id(&self, env: &Env) -> napi::Result<String> {
        guarded(env, || Ok(self.held.snapshot_id()?.to_string()))
    }

    /// What recovery has lost.
    #[napi(getter, catch_unwind)]
    pub fn lost(&self) -> Vec<String> {
        self.held.lost().to_vec()
    }

    /// Whether it was dropped from its lake.
    #[napi(getter, catch_unwind)]
    pub fn dropped(&self) -> bool {
        self.held.is_dropped()
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
            let bytes: usize = pieces.iter().map(Batch::bytes).sum();
            let pulse = (bytes >= SHARED_BYTES).then(Pulse::keep);
            let commit = move || match Batch::join(pieces) {
                Ok(batch) => {
                    collection.upsert(batch, durability(buffered), |result| {
                        done(result.map_err(Failure::from));
                        drop(pulse);
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

    /// Records by id; their JSON if that is all, and little.
    ///
    /// # Errors
    /// By rejection: those of [`Collection::get`].
    #[napi(ts_return_type = "Promise<string | FoundRecords>", catch_unwind)]
    pub fn get<'env>(
        &self,
        env: &'env Env,
        ids: &IdBatch,
        include: IncludeParameters,
    ) -> napi::Result<Object<'env>> {
        let ids = ids.take();
        self.run(
            env,
            Lane::Search,
            move |collection| FoundRecords::of_records(collection.get(&ids, include.into())?),
            FoundRecords::or_json,
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
        let control = JobControl::handle(control);
        self.run(
            env,
            Lane::Batch,
            move |collection| collection.count(filter.as_deref(), Some(control.cancel_flag())),
            to_number,
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
        self.run(
            env,
            Lane::Batch,
            move |collection| collection.scan(filter.as_deref(), include.into()),
            NativeScan::new,
        )
    }

    /// A handle that reads the present state, whatever comes later.
    ///
    /// # Errors
    /// By rejection: `CLOSED`.
    #[napi(ts_return_type = "Promise<NativeCollection>", catch_unwind)]
    pub fn snapshot<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        self.run(
            env,
            Lane::Search,
            |held| {
                let pinned = held.snapshot();
                pinned.map(|collection| Self::new(collection, held.lake))
            },
            |collection| collection,
        )
    }

    /// A handle that reads a state of the past.
    ///
    /// # Errors
    /// By rejection: those of [`Collection::at`].
    #[napi(ts_return_type = "Promise<NativeCollection>", catch_unwind)]
    pub fn at<'env>(&self, env: &'env Env, snapshot: String) -> napi::Result<Object<'env>> {
        self.run(
            env,
            Lane::Work,
            move |held| {
                let id = SnapshotId::parse(&snapshot).ok_or_else(|| rulake::Error::NoSnapshot {
                    collection: held.name().to_owned(),
                    snapshot,
                })?;
                let pinned = held.at(id);
                pinned.map(|collection| Self::new(collection, held.lake))
            },
            |collection| collection,
        )
    }

    /// The newest states that `at` finds, oldest first.
    ///
    /// # Errors
    /// By rejection: those of [`Collection::history`].
    #[napi(ts_return_type = "Promise<HistoryColumns>", catch_unwind)]
    pub fn history<'env>(&self, env: &'env Env, limit: u32) -> napi::Result<Object<'env>> {
        self.run(
            env,
            Lane::Work,
            move |collection| collection.history(limit as usize),
            HistoryColumns::from,
        )
    }

    /// Takes over what another process has committed.
    ///
    /// # Errors
    /// By rejection: those of [`Collection::refresh`].
    #[napi(ts_return_type = "Promise<boolean>", catch_unwind)]
    pub fn refresh<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        self.run(
            env,
            Lane::Work,
            |collection| collection.refresh(),
            |changed| changed,
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
        let control = JobControl::handle(control);
        self.run(
            env,
            Lane::Work,
            move |collection| collection.verify(Some(control.cancel_flag())),
            VerifyResult::from,
        )
    }

    /// Flushes and merges all segments.
    ///
    /// # Errors
    /// By rejection: those of [`Collection::compact`].
    #[napi(ts_return_type = "Promise<void>", catch_unwind)]
    pub fn compact<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        self.run(env, Lane::Work, |collection| collection.compact(), |()| ())
    }

    /// Sizes and counts.
    ///
    /// # Errors
    /// By rejection: `CLOSED`.
    #[napi(ts_return_type = "Promise<CollectionCounts>", catch_unwind)]
    pub fn stats<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        self.run(
            env,
            Lane::Search,
            |collection| collection.stats(),
            CollectionCounts::from,
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

fn durability(buffered: bool) -> Durability {
    if buffered {
        Durability::Buffered
    } else {
        Durability::Fsync
    }
}
