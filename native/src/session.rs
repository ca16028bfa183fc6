//! A session as a JavaScript class.

use std::sync::{Arc, Mutex, PoisonError};

use napi::Env;
use napi::bindgen_prelude::{Object, ToNapiValue};
use napi_derive::napi;
use rulake::{Batch, Lake, Selection, Session};

use crate::collection::NativeCollection;
use crate::drop_later::DropLater;
use crate::error::Failure;
use crate::job::run_guarded;
use crate::parameters::to_number;
use crate::pool::{self, Lane};
use crate::records::{IdBatch, UpsertBatch};

/// A session that is open until it is committed or closed.
#[napi]
pub struct NativeSession {
    held: DropLater<Arc<Held>>,
}

struct Held {
    session: Mutex<Option<Session>>,
    lake: Arc<Lake>,
}

impl NativeSession {
    pub fn new(session: Session, lake: Arc<Lake>) -> Self {
        let session = Mutex::new(Some(session));
        Self {
            held: DropLater::new(Arc::new(Held { session, lake })),
        }
    }

    /// A promise of what `work` makes of the session on a thread of the work lane.
    fn run<'env, T, V>(
        &self,
        env: &'env Env,
        work: impl FnOnce(&Session, &Arc<Lake>) -> rulake::Result<T> + Send + 'static,
        into_js: impl FnOnce(T) -> V + Send + 'static,
    ) -> napi::Result<Object<'env>>
    where
        T: Send + 'static,
        V: ToNapiValue + 'static,
    {
        let held = Arc::clone(&self.held);
        let work = move || {
            let session = held.session.lock().unwrap_or_else(PoisonError::into_inner);
            let session = session.as_ref().ok_or_else(|| Failure::closed("session"))?;
            Ok(work(session, &held.lake)?)
        };
        run_guarded(env, Lane::Work, work, |_, done| Ok(into_js(done)))
    }
}

#[napi]
impl NativeSession {
    /// Inserts or replaces records of a collection; gives how many were replaced. The batch is empty afterwards.
    ///
    /// # Errors
    /// By rejection: those of [`Session::upsert`].
    #[napi(ts_return_type = "Promise<number>", catch_unwind)]
    pub fn upsert<'env>(
        &self,
        env: &'env Env,
        collection: String,
        batch: &UpsertBatch,
    ) -> napi::Result<Object<'env>> {
        let pieces = batch.take();
        self.run(
            env,
            move |session, _| session.upsert(&collection, Batch::join(pieces)?),
            to_number,
        )
    }

    /// Deletes by ids, or by filter, or everything if neither is given; gives how many records there were.
    ///
    /// # Errors
    /// By rejection: those of [`Session::delete`].
    #[napi(ts_return_type = "Promise<number>", catch_unwind)]
    pub fn delete<'env>(
        &self,
        env: &'env Env,
        collection: String,
        ids: Option<&IdBatch>,
        filter: Option<String>,
    ) -> napi::Result<Object<'env>> {
        let selection = match (ids, filter) {
            (Some(ids), _) => Selection::Ids(ids.take()),
            (None, Some(filter)) => Selection::Filter(filter),
            (None, None) => Selection::All,
        };
        self.run(
            env,
            move |session, _| session.delete(&collection, &selection),
            to_number,
        )
    }

    /// What the session sees of a collection now.
    ///
    /// # Errors
    /// By rejection: those of [`Lake::view`].
    #[napi(ts_return_type = "Promise<NativeCollection>", catch_unwind)]
    pub fn view<'env>(&self, env: &'env Env, collection: String) -> napi::Result<Object<'env>> {
        self.run(
            env,
            move |session, lake| {
                let view = lake.view(session, &collection)?;
                Ok(NativeCollection::new(view, lake.clone()))
            },
            |view| view,
        )
    }

    /// Makes everything durable and visible; nothing can be done with the session afterwards.
    ///
    /// # Errors
    /// By rejection: those of [`Session::commit`].
    #[napi(ts_return_type = "Promise<void>", catch_unwind)]
    pub fn commit<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        let held = Arc::clone(&self.held);
        let work = move || {
            let mut session = held.session.lock().unwrap_or_else(PoisonError::into_inner);
            let session = session.take().ok_or_else(|| Failure::closed("session"))?;
            session.commit()?;
            Ok(())
        };
        run_guarded(env, Lane::Work, work, |_, ()| Ok(()))
    }

    /// Ends the session; what was not committed never happened.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        // Not waited for: a call under way holds it.
        if let Ok(mut session) = self.held.session.try_lock() {
            pool::drop_later(session.take());
        }
    }
}
