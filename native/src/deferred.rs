//! Promises that another thread settles.
//!
//! Other threads reach JavaScript through a thread-safe function of Node-API. To make one for each promise costs more
//! than to settle it, so an environment has one for all of them: a doorbell that says an answer lies in the queue. It
//! keeps the process alive while a promise waits.

use std::cell::Cell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use napi::bindgen_prelude::{FromNapiValue, Object, ToNapiValue};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Env, Status, check_status, sys};

use crate::error::Failure;
use crate::job::from_panic;

/// The other end of a promise. If it is dropped, the promise is rejected with `INTERNAL`.
pub struct Deferred(Option<Unsettled>);

struct Unsettled {
    promise: Handle,
    doorbell: Arc<Doorbell>,
}

impl Deferred {
    /// A promise and its other end.
    ///
    /// # Errors
    /// If the environment cannot make a promise.
    pub fn new(env: &Env) -> napi::Result<(Self, Object<'_>)> {
        let environment = Environment::of(env)?;
        let mut handle = ptr::null_mut();
        let mut promise = ptr::null_mut();
        // SAFETY: this is the thread of `env`, and both places take a pointer.
        check_status!(unsafe {
            sys::napi_create_promise(env.raw(), &raw mut handle, &raw mut promise)
        })?;
        // SAFETY: `promise` was made by `env`.
        let promise = unsafe { Object::from_napi_value(env.raw(), promise) }?;
        environment.wait_for_one_more(env);
        let unsettled = Unsettled {
            promise: Handle(handle),
            doorbell: environment.doorbell.clone(),
        };
        Ok((Self(Some(unsettled)), promise))
    }

    /// Settles the promise with what `into_js` makes, on the JavaScript thread and in well under a millisecond. If the
    /// environment is gone, `into_js` is dropped.
    pub fn settle<V: ToNapiValue>(
        mut self,
        into_js: impl FnOnce(&Env) -> napi::Result<V> + Send + 'static,
    ) {
        self.answer(into_js);
    }

    fn answer<V: ToNapiValue>(
        &mut self,
        into_js: impl FnOnce(&Env) -> napi::Result<V> + Send + 'static,
    ) {
        if let Some(Unsettled { promise, doorbell }) = self.0.take() {
            doorbell.ring(Box::new(move |env| promise.settle(env, into_js)));
        }
    }
}

impl Drop for Deferred {
    fn drop(&mut self) {
        let lost = "internal error: a job ended without a result";
        self.answer(move |env| Err::<(), _>(Failure::internal(lost).into_js(env)));
    }
}

/// What Node-API calls a promise that is not settled.
struct Handle(sys::napi_deferred);

// SAFETY: other threads only carry it about; it is used in an answer, which runs on the thread that made it.
unsafe impl Send for Handle {}

impl Handle {
    fn settle<V: ToNapiValue>(self, env: &Env, into_js: impl FnOnce(&Env) -> napi::Result<V>) {
        // SAFETY: the doorbell calls on the thread of `env`, which has made the promise, and the handle ends here. All of
        // these calls fail where an environment ends; nobody waits for the promise then. A panic would reach C.
        unsafe {
            let value = catch_unwind(AssertUnwindSafe(|| {
                into_js(env).and_then(|value| V::to_napi_value(env.raw(), value))
            }));
            match value.unwrap_or_else(|panic| Err(from_panic(&*panic).into_js(env))) {
                Ok(value) => {
                    sys::napi_resolve_deferred(env.raw(), self.0, value);
                }
                Err(error) => {
                    if let Ok(error) = napi::Error::to_napi_value(env.raw(), error) {
                        sys::napi_reject_deferred(env.raw(), self.0, error);
                    }
                }
            }
        }
    }
}

type Answer = Box<dyn FnOnce(&Env) + Send>;
type Queue = Mutex<VecDeque<Answer>>;

/// Brings answers to the thread of an environment.
struct Doorbell {
    /// Apart from the function that takes from it, which would keep itself alive otherwise.
    queue: Arc<Queue>,
    function: ThreadsafeFunction<(), (), (), Status, false, true>,
}

impl Doorbell {
    fn ring(&self, answer: Answer) {
        lock(&self.queue).push_back(answer);
        // It is refused where the environment has ended; the answer is dropped with the queue then.
        self.function
            .call((), ThreadsafeFunctionCallMode::NonBlocking);
    }
}

fn lock(queue: &Queue) -> MutexGuard<'_, VecDeque<Answer>> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is kept for a JavaScript environment.
struct Environment {
    doorbell: Arc<Doorbell>,
    /// Promises that are not settled.
    waiting: Cell<usize>,
}

impl Environment {
    fn of(env: &Env) -> napi::Result<&Self> {
        if env.get_instance_data::<Self>()?.is_none() {
            env.set_instance_data(Self::new(env)?, (), |ended| drop(ended.value))?;
        }
        let environment = env.get_instance_data::<Self>()?;
        environment.map(|environment| &*environment).ok_or_else(|| {
            napi::Error::new(Status::GenericFailure, "the environment keeps no data")
        })
    }

    fn new(env: &Env) -> napi::Result<Self> {
        let queue = Arc::new(Queue::default());
        let answers = queue.clone();
        // Node-API calls a function of JavaScript after each answer.
        let function = env
            .create_function_from_closure::<(), (), _>("answered", |_| Ok(()))?
            .build_threadsafe_function::<()>()
            .callee_handled::<false>()
            .weak::<true>()
            .build_callback(move |call| {
                let answer = lock(&answers).pop_front();
                if let Some(answer) = answer {
                    answer(&call.env);
                    if let Ok(Some(environment)) = call.env.get_instance_data::<Self>() {
                        environment.wait_for_one_less(&call.env);
                    }
                }
                Ok(())
            })?;
        Ok(Self {
            doorbell: Arc::new(Doorbell { queue, function }),
            waiting: Cell::new(0),
        })
    }

    fn wait_for_one_more(&self, env: &Env) {
        if self.waiting.replace(self.waiting.get() + 1) == 0 {
            // SAFETY: this is the thread of `env`, whose function has not ended before it.
            unsafe { sys::napi_ref_threadsafe_function(env.raw(), self.doorbell.function.raw()) };
        }
    }

    fn wait_for_one_less(&self, env: &Env) {
        self.waiting.set(self.waiting.get() - 1);
        if self.waiting.get() == 0 {
            // SAFETY: as above.
            unsafe { sys::napi_unref_threadsafe_function(env.raw(), self.doorbell.function.raw()) };
        }
    }
}
