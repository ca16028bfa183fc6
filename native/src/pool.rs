//! The three lanes of threads that do the work, one set for the whole process. The event loop and libuv's pool do none.
//!
//! * [`Lane::Search`]: plain threads take a query each. It should not wait behind a build. A thread without work sleeps at
//!   once, where one of rayon's asks for more several dozen times first: a tenth of the CPU time of a short search.
//! * [`Lane::Batch`]: a rayon pool, for reads whose parts run in parallel.
//! * [`Lane::Work`]: plain threads take whole jobs (build, add, save, load, compaction) and hand their parallel parts
//!   to rayon's global pool. Two kinds of threads on purpose: a rayon worker that waits for its parallel part picks up
//!   other queued jobs meanwhile, so a job holding a lock could find itself underneath a second job that wants the same
//!   lock. A plain thread just waits, which makes it safe for a job to hold a lock across a parallel part.
//!
//! Threads of the work lane leave the CPU to the event loop and searches: see [`crate::priority`] and [`crate::pulse`].

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, LazyLock, Mutex, PoisonError};
use std::thread;

use crate::priority::yield_to_others;
use crate::pulse::{self, Pulse};

/// Which threads run a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Short reads. Parallel parts would run behind those of the work lane: see [`Lane::Batch`].
    Search,
    /// Reads with parallel parts. A job must not hold a lock across them (see the module's text).
    Batch,
    /// Everything long. A job may use rayon and hold locks.
    Work,
}

type Job = Box<dyn FnOnce() + Send>;

/// More threads than this make no lane faster: all are bound by memory.
const MAX_THREADS: usize = 8;

/// Threads of each lane.
#[must_use]
pub fn threads() -> usize {
    thread::available_parallelism()
        .map_or(1, usize::from)
        .min(MAX_THREADS)
}

/// Queues a job. It runs at some later time on a thread of the lane; a panic inside it is swallowed.
pub fn spawn(lane: Lane, job: impl FnOnce() + Send + 'static) {
    let guarded = move || {
        let _pulse = (lane != Lane::Search).then(Pulse::keep);
        let _ = catch_unwind(AssertUnwindSafe(job));
    };
    if lane == Lane::Search && SEARCH.is_running() {
        SEARCH.push(Box::new(guarded));
    } else if lane == Lane::Batch
        && let Some(pool) = &*BATCH
    {
        pool.spawn(guarded);
    } else {
        // Also where the system refused threads to the others: the work lane reports the same, or copes.
        WORK.push(Box::new(guarded));
    }
}

/// Runs what calls into Node-API at the end of work of a low priority. Such a call holds a lock for which the event loop
/// may wait; a thread that was put aside meanwhile would let it wait until nothing else wants the CPU.
pub fn answer(settle: impl FnOnce() + Send + 'static) {
    if ANSWERS.is_running() {
        ANSWERS.push(Box::new(move || {
            let _ = catch_unwind(AssertUnwindSafe(settle));
        }));
    } else {
        settle();
    }
}

/// Runs `drop(value)` on the work lane: returning hundreds of megabytes to the system takes tens of milliseconds.
pub fn drop_later<T: Send + 'static>(value: T) {
    spawn(Lane::Work, move || drop(value));
}

static SEARCH: LazyLock<Threads> =
    LazyLock::new(|| Threads::start("rulake-search", threads(), || SEARCH.run()));

static ANSWERS: LazyLock<Threads> =
    LazyLock::new(|| Threads::start("rulake-answers", 1, || ANSWERS.run()));

static BATCH: LazyLock<Option<rayon::ThreadPool>> = LazyLock::new(|| {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads())
        .thread_name(|i| format!("rulake-batch-{i}"))
        .build()
        .ok()
});

static WORK: LazyLock<Threads> = LazyLock::new(|| {
    // A thread has the priority of the one that starts it, and may lower it only. No thread is low yet.
    LazyLock::force(&ANSWERS);
    pulse::start();
    // Parallel parts of any thread outside the batch lane land in the global pool. Nobody else uses the copy of
    // rayon linked into this library; should it exist already, it only lacks the name and the priority.
    let _ = rayon::ThreadPoolBuilder::new()
        .num_threads(threads())
        .thread_name(|i| format!("rulake-work-{i}"))
        .start_handler(|_| yield_to_others())
        .build_global();
    // At least two, so that a small add is not queued behind a large build.
    Threads::start("rulake-job", threads().max(2), || {
        yield_to_others();
        WORK.run();
    })
});

/// Plain threads and the jobs they take.
#[derive(Default)]
struct Threads {
    jobs: Mutex<VecDeque<Job>>,
    arrived: Condvar,
    started: usize,
}

impl Threads {
    /// Starts threads that do nothing but `run`.
    fn start(name: &str, count: usize, run: fn()) -> Self {
        let start = |i| {
            let thread = thread::Builder::new().name(format!("{name}-{i}"));
            thread.spawn(run).is_ok()
        };
        Self {
            started: (0..count).filter(|i| start(*i)).count(),
            ..Self::default()
        }
    }

    fn is_running(&self) -> bool {
        self.started > 0
    }

    fn push(&self, job: Job) {
        self.jobs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push_back(job);
        self.arrived.notify_one();
    }

    fn run(&self) {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(job) = jobs.pop_front() {
                let more = !jobs.is_empty();
                drop(jobs);
                job();
                // The answer has woken up the event loop, which would wait until a tick ends this thread's slice.
                if more {
                    thread::yield_now();
                }
                jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
            } else {
                jobs = self
                    .arrived
                    .wait(jobs)
                    .unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn jobs_run_on_every_lane_and_a_panic_costs_no_thread() {
        for lane in [Lane::Search, Lane::Batch, Lane::Work] {
            for _ in 0..2 * threads().max(2) {
                spawn(lane, || panic!("a job may panic"));
            }
            let (sender, receiver) = mpsc::channel();
            for i in 0..100 {
                let sender = sender.clone();
                spawn(lane, move || sender.send(i).unwrap());
            }
            let mut seen: Vec<i32> = (0..100)
                .map(|_| receiver.recv_timeout(PATIENCE).unwrap())
                .collect();
            seen.sort_unstable();
            assert_eq!(seen, (0..100).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_work_job_may_hold_a_lock_across_a_parallel_part() {
        use rayon::prelude::*;
        use std::sync::Arc;

        let lock = Arc::new(Mutex::new(0_u64));
        let (sender, receiver) = mpsc::channel();
        for _ in 0..32 {
            let (lock, sender) = (lock.clone(), sender.clone());
            spawn(Lane::Work, move || {
                let mut total = lock.lock().unwrap();
                *total += (0..10_000_u64).into_par_iter().map(|i| i % 7).sum::<u64>();
                sender.send(()).unwrap();
            });
        }
        for _ in 0..32 {
            receiver.recv_timeout(PATIENCE).unwrap();
        }
        assert_eq!(
            *lock.lock().unwrap(),
            32 * (0..10_000_u64).map(|i| i % 7).sum::<u64>()
        );
    }
}
