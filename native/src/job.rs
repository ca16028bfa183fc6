//! How every export runs: synchronous ones under [`guarded`], asynchronous ones under [`run_guarded`].
//!
//! # Adding an asynchronous export
//!
//! ```ignore
//! #[napi(ts_return_type = "Promise<number>")]                  // a promise is typed `object` otherwise
//! pub fn count<'env>(&self, env: &'env Env, text: String, control: Option<&JobControl>) -> napi::Result<Object<'env>> {
//!     let lake = self.lake.clone();                            // own everything: borrowed JS memory ends with the call
//!     let control = JobControl::handle(control);
//!     run_guarded(
//!         env,
//!         Lane::Work,
//!         move || Ok(lake.count(&text, control.cancel_flag())?),   // on a thread of the lane; `?` needs `From<E> for Failure`
//!         |_env, count| Ok(count as f64),                      // on the JavaScript thread, in well under a millisecond
//!     )
//! }
//! ```
//!
//! * Copy typed arrays on the JavaScript thread (`&[f32]` in, `to_vec()`): JavaScript may write to them meanwhile.
//!   More than a megabyte or two comes through [`crate::input::InputBuffer`], in pieces.
//! * Return large results through a class that is read in pieces. Never build an object for each row.
//! * A panic becomes the error `INTERNAL`. A `worker_thread` or process that ends with jobs in flight only loses answers;
//!   jobs that look at the flag of their [`JobControl`] then stop.
//! * Synchronous exports are `#[napi(catch_unwind)]` and put their body into [`guarded`].

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use mapping::Watch;
use napi::Env;
use napi::bindgen_prelude::{Object, ToNapiValue};
use napi_derive::napi;

use crate::deferred::Deferred;
use crate::error::{Failure, Result};
use crate::pool::{self, Lane};

/// Runs `work` on a lane and settles a promise with what `into_js` makes of its result, or with its failure.
///
/// # Errors
/// If the environment cannot make a promise.
pub fn run_guarded<T, V, W, J>(
    env: &Env,
    lane: Lane,
    work: W,
    into_js: J,
) -> napi::Result<Object<'_>>
where
    T: Send + 'static,
    V: ToNapiValue,
    W: FnOnce() -> Result<T> + Send + 'static,
    J: FnOnce(&Env, T) -> napi::Result<V> + Send + 'static,
{
    let (deferred, promise) = Deferred::new(env)?;
    pool::spawn(lane, move || {
        let outcome = catch(work);
        let settle = move || {
            deferred.settle(move |env| match outcome {
                Ok(value) => into_js(env, value),
                Err(failure) => Err(failure.into_js(env)),
            });
        };
        if lane == Lane::Work {
            pool::answer(settle);
        } else {
            settle();
        }
    });
    Ok(promise)
}

/// Runs the body of a synchronous export: failures and panics become JavaScript errors.
///
/// # Errors
/// The JavaScript error.
pub fn guarded<T>(env: &Env, body: impl FnOnce() -> Result<T>) -> napi::Result<T> {
    catch(body).map_err(|failure| failure.into_js(env))
}

/// Runs `work`; a panic becomes a failure, and so does what was read of a file that has lost bytes meanwhile.
pub fn catch<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let watch = Watch::begin();
    let outcome = catch_panic(work);
    watch
        .check()
        .map_err(|torn| rabitq::Error::from(torn).into())
        .and(outcome)
}

fn catch_panic<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    // Unwind safety: what a panicking job has touched is either dropped with it or behind a lock that tells.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(from_panic(&*panic)))
}

thread_local! {
    static PANIC_PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps panics off stderr and remembers where they happened. The hook is that of the standard library linked into
/// this shared object, so other native code is not affected.
pub fn install_panic_hook() {
    std::panic::set_hook(Box::new(|info| {
        let place = info
            .location()
            .map(|place| format!("{}:{}", place.file(), place.line()));
        let _ = PANIC_PLACE.try_with(|cell| *cell.borrow_mut() = place);
    }));
}

pub fn from_panic(panic: &(dyn Any + Send)) -> Failure {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let text = text.unwrap_or("no message");
    let failure = Failure::internal(format!("internal error: {text}")).with("panic", text);
    // A panic that came from another thread of the pool has left its place there.
    match PANIC_PLACE.try_with(|cell| cell.borrow_mut().take()) {
        Ok(Some(place)) => failure.with("location", place),
        _ => failure,
    }
}

/// What a running job shares with JavaScript: a flag to stop it and the progress it made.
///
/// Progress is read by JavaScript rather than pushed to it: a job then never calls into an environment that may be
/// gone, events cannot pile up faster than they are read, and what a listener throws is thrown in JavaScript.
#[napi]
#[derive(Clone, Default)]
pub struct JobControl {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    cancel: AtomicBool,
    watched: AtomicBool,
    unread: Mutex<Vec<rabitq::Progress>>,
}

/// A step of a job and how far it is.
#[napi(object, object_from_js = false)]
pub struct JobProgress {
    /// Name of the step.
    pub phase: &'static str,
    /// Rows done.
    pub done: f64,
    /// Rows to do.
    pub total: f64,
}

#[napi]
impl JobControl {
    /// `watched`: whether `progress` will be read.
    #[napi(constructor, catch_unwind)]
    #[must_use]
    pub fn new(watched: bool) -> Self {
        let control = Self::default();
        control.shared.watched.store(watched, Ordering::Relaxed);
        control
    }

    /// Asks the job to stop soon; it then fails with `CANCELLED`, unless it was done already.
    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        self.shared.cancel.store(true, Ordering::Relaxed);
    }

    /// The newest state of each step that has moved since the last call, oldest step first.
    #[napi(catch_unwind)]
    #[must_use]
    pub fn progress(&self) -> Vec<JobProgress> {
        let unread = std::mem::take(
            &mut *self
                .shared
                .unread
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        #[expect(clippy::cast_precision_loss, reason = "row counts stay far below 2^53")]
        let event = |p: rabitq::Progress| JobProgress {
            phase: p.phase,
            done: p.done as f64,
            total: p.total as f64,
        };
        unread.into_iter().map(event).collect()
    }
}

impl JobControl {
    /// A handle a job can own; a fresh one if JavaScript gave none. To be called on the JavaScript thread: its end
    /// cancels the job, for nobody would see the result.
    #[must_use]
    pub fn handle(given: Option<&Self>) -> Self {
        let control = given.cloned().unwrap_or_default();
        let _ = JOBS_OF_THREAD.try_with(|jobs| jobs.borrow_mut().add(&control.shared));
        control
    }

    /// The flag `cancel` sets.
    #[must_use]
    pub fn cancel_flag(&self) -> &AtomicBool {
        &self.shared.cancel
    }

    /// Notes how far a step is, from any thread.
    pub fn report(&self, progress: rabitq::Progress) {
        if !self.shared.watched.load(Ordering::Relaxed) {
            return;
        }
        let mut unread = self
            .shared
            .unread
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match unread
            .iter_mut()
            .find(|earlier| earlier.phase == progress.phase)
        {
            // Reports of several threads may overtake each other.
            Some(earlier) if progress.done < earlier.done => {}
            Some(earlier) => *earlier = progress,
            None => unread.push(progress),
        }
    }

    /// Runs `work` with this handle in the form the `rabitq` crate takes, unless it was cancelled while it waited for a
    /// thread.
    ///
    /// # Errors
    /// `CANCELLED`, and those of `work`.
    pub fn scope<T>(
        &self,
        work: impl FnOnce(rabitq::Control<'_>) -> rabitq::Result<T>,
    ) -> rabitq::Result<T> {
        let report = |progress| self.report(progress);
        let control = rabitq::Control {
            cancel: Some(self.cancel_flag()),
            progress: Some(&report),
        };
        control.check()?;
        work(control)
    }
}

thread_local! {
    /// Each JavaScript environment has a thread of its own, which ends when a `worker_thread` is terminated.
    static JOBS_OF_THREAD: RefCell<ThreadJobs> = RefCell::default();
}

/// The jobs a JavaScript thread has started and that may be running still.
#[derive(Default)]
struct ThreadJobs {
    jobs: Vec<Weak<Shared>>,
    /// Length at which finished jobs are swept out; twice the number then left, so that sweeping costs little.
    sweep_at: usize,
}

impl ThreadJobs {
    fn add(&mut self, job: &Arc<Shared>) {
        if self.jobs.len() >= self.sweep_at {
            self.jobs.retain(|job| job.strong_count() > 0);
            self.sweep_at = (2 * self.jobs.len()).max(64);
        }
        self.jobs.push(Arc::downgrade(job));
    }
}

impl Drop for ThreadJobs {
    fn drop(&mut self) {
        for job in self.jobs.iter().filter_map(Weak::upgrade) {
            job.cancel.store(true, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_internal_failure_that_says_where() {
        install_panic_hook();
        let failure = catch::<()>(|| panic!("row {} is odd", 3)).unwrap_err();
        // The other tests of this process want their messages on stderr.
        drop(std::panic::take_hook());
        assert_eq!(failure.code, "INTERNAL");
        assert!(failure.message.contains("row 3 is odd"), "{failure:?}");
        let place = failure.context.iter().find(|(name, _)| *name == "location");
        assert!(
            matches!(place, Some((_, crate::error::Fact::Text(text))) if text.contains("job.rs:")),
            "{failure:?}"
        );
        assert_eq!(catch(|| Ok(7)), Ok(7));
    }

    #[test]
    fn a_panic_with_a_payload_that_is_no_text_is_caught_too() {
        let failure = catch::<()>(|| std::panic::panic_any(7_u8)).unwrap_err();
        assert_eq!(
            (failure.code.as_str(), failure.message.as_str()),
            ("INTERNAL", "internal error: no message")
        );
    }

    #[test]
    fn progress_keeps_the_newest_state_of_each_step() {
        let control = JobControl::new(true);
        for (phase, done) in [("encode", 1), ("encode", 5), ("encode", 3), ("write", 2)] {
            control.report(rabitq::Progress {
                phase,
                done,
                total: 9,
            });
        }
        let seen: Vec<_> = control
            .progress()
            .into_iter()
            .map(|p| (p.phase, p.done))
            .collect();
        assert_eq!(seen, [("encode", 5.0), ("write", 2.0)]);
        assert!(control.progress().is_empty());
        let unwatched = JobControl::new(false);
        unwatched.report(rabitq::Progress {
            phase: "encode",
            done: 1,
            total: 1,
        });
        assert!(unwatched.progress().is_empty());
    }

    #[test]
    fn the_end_of_a_thread_cancels_its_jobs() {
        let start = || {
            (0..200)
                .map(|_| JobControl::handle(None))
                .collect::<Vec<_>>()
        };
        let jobs = std::thread::spawn(start).join().unwrap();
        assert!(
            jobs.iter()
                .all(|job| job.cancel_flag().load(Ordering::Relaxed))
        );
        assert!(matches!(
            jobs[0].scope(|_| Ok(())),
            Err(rabitq::Error::Cancelled)
        ));
        let given = JobControl::new(false);
        assert!(Arc::ptr_eq(
            &JobControl::handle(Some(&given)).shared,
            &given.shared
        ));
        assert!(given.scope(|_| Ok(())).is_ok());
    }
}
