//! A collection in the making, as a JavaScript class.

use std::sync::{Arc, Mutex, PoisonError};

use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;
use rulake::{Lake, Replacement};

use crate::collection::NativeCollection;
use crate::drop_later::DropLater;
use crate::error::Failure;
use crate::job::{guarded, run_guarded};
use crate::pool::Lane;

/// A replacement that is open until it is committed or given up.
#[napi]
pub struct NativeReplacement {
    held: DropLater<Arc<Mutex<Option<Replacement>>>>,
    lake: Arc<Lake>,
}

impl NativeReplacement {
    pub fn new(replacement: Replacement, lake: Arc<Lake>) -> Self {
        Self {
            held: DropLater::new(Arc::new(Mutex::new(Some(replacement)))),
            lake,
        }
    }
}

#[napi]
impl NativeReplacement {
    /// A handle on the collection that is being made.
    ///
    /// # Errors
    /// `CLOSED`.
    #[napi(catch_unwind)]
    pub fn collection(&self, env: &Env) -> napi::Result<NativeCollection> {
        guarded(env, || {
            let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            let replacement = held.as_ref().ok_or_else(|| Failure::closed("collection"))?;
            Ok(NativeCollection::new(
                replacement.collection(),
                Arc::clone(&self.lake),
            ))
        })
    }

    /// Puts the collection in its place, or gives it up.
    ///
    /// # Errors
    /// By rejection: those of [`Replacement::commit`].
    #[napi(ts_return_type = "Promise<void>", catch_unwind)]
    pub fn end<'env>(&self, env: &'env Env, commit: bool) -> napi::Result<Object<'env>> {
        let held = Arc::clone(&self.held);
        run_guarded(
            env,
            Lane::Work,
            move || {
                let taken = held.lock().unwrap_or_else(PoisonError::into_inner).take();
                let replacement = taken.ok_or_else(|| Failure::closed("collection"))?;
                if commit {
                    replacement.commit()?;
                }
                Ok(())
            },
            |_, ()| Ok(()),
        )
    }
}
