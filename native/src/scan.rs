//! A walk over the records of a collection.

use std::sync::{Arc, Mutex, PoisonError};

use napi::Env;
use napi::bindgen_prelude::{Object, ToNapiValue, Uint8ArraySlice};
use napi::sys;
use napi_derive::napi;
use rulake::Scan;

use crate::drop_later::DropLater;
use crate::error::Failure;
use crate::found::FoundRecords;
use crate::job::{JobControl, run_guarded};
use crate::pool::{self, Lane};

/// Becomes a `Uint8Array` in memory of the JavaScript engine: Electron refuses memory of ours.
struct Bytes(Vec<u8>);

impl ToNapiValue for Bytes {
    unsafe fn to_napi_value(env: sys::napi_env, bytes: Self) -> napi::Result<sys::napi_value> {
        let array = Uint8ArraySlice::copy_from(&Env::from_raw(env), bytes.0)?;
        // SAFETY: `env` is the caller's, and the array was made in it just now.
        unsafe { ToNapiValue::to_napi_value(env, array) }
    }
}

/// A walk over the records of one state.
#[napi]
pub struct NativeScan {
    scan: DropLater<Arc<Mutex<Option<Scan>>>>,
}

impl NativeScan {
    pub fn new(scan: Scan) -> Self {
        Self {
            scan: DropLater::new(Arc::new(Mutex::new(Some(scan)))),
        }
    }

    /// A promise of what `next` takes from the walk, on a thread of the search lane.
    fn run<'env, T, E, V>(
        &self,
        env: &'env Env,
        next: impl FnOnce(&mut Scan) -> Result<T, E> + Send + 'static,
        into_js: impl FnOnce(&Env, T) -> napi::Result<V> + Send + 'static,
    ) -> napi::Result<Object<'env>>
    where
        T: Send + 'static,
        V: ToNapiValue + 'static,
        Failure: From<E>,
    {
        let scan = Arc::clone(&self.scan);
        let work = move || {
            let mut scan = scan.lock().unwrap_or_else(PoisonError::into_inner);
            let scan = scan.as_mut().ok_or_else(|| Failure::closed("scan"))?;
            Ok(next(scan)?)
        };
        run_guarded(env, Lane::Search, work, into_js)
    }
}

#[napi]
impl NativeScan {
    /// The next records: at most `rows`, and no more once they have `bytes`; `null` if none are left.
    ///
    /// # Errors
    /// By rejection: those of [`Scan::next_chunk`]; `CLOSED`.
    #[napi(ts_return_type = "Promise<FoundRecords | null>", catch_unwind)]
    pub fn next<'env>(
        &self,
        env: &'env Env,
        rows: u32,
        bytes: u32,
        control: Option<&JobControl>,
    ) -> napi::Result<Object<'env>> {
        let control = JobControl::handle(control);
        let (rows, bytes) = (rows as usize, bytes as usize);
        self.run(
            env,
            move |scan| {
                let records = scan.next_chunk(rows, bytes, Some(control.cancel_flag()))?;
                let some = !records.is_empty();
                some.then(|| FoundRecords::of_records(records)).transpose()
            },
            |_, found| Ok(found),
        )
    }

    /// The next records likewise, as an Arrow IPC stream of one record batch; `null` if none are left.
    ///
    /// # Errors
    /// By rejection: those of [`Scan::next_arrow`]; `CLOSED`.
    #[napi(ts_return_type = "Promise<Uint8Array | null>", catch_unwind)]
    pub fn next_arrow<'env>(
        &self,
        env: &'env Env,
        rows: u32,
        bytes: u32,
        control: Option<&JobControl>,
    ) -> napi::Result<Object<'env>> {
        let control = JobControl::handle(control);
        let (rows, bytes) = (rows as usize, bytes as usize);
        self.run(
            env,
            move |scan| scan.next_arrow(rows, bytes, Some(control.cancel_flag())),
            |_, chunk| Ok(chunk.map(Bytes)),
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
