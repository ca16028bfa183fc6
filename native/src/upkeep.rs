//! Upkeep of indexes in the background: one thread, last in line for the CPU, and no more than half of one.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rabitq::{Control, Index, Progress};

use crate::job::catch;
use crate::priority::yield_to_all;
use crate::pulse::Pulse;

/// Longest rest between two pieces of work.
const MAX_REST: Duration = Duration::from_millis(200);

/// A pool of a single thread: what a round does in parallel stays on it.
static THREAD: LazyLock<Option<rayon::ThreadPool>> = LazyLock::new(|| {
    rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .thread_name(|_| "rulake-upkeep".to_owned())
        .start_handler(|_| yield_to_all())
        .build()
        .ok()
});

/// Starts upkeep of an index if its last change made it due. An index that is closed meanwhile is let go of.
pub fn after_change(index: &Arc<Index>) {
    let Some(thread) = &*THREAD else { return };
    if !index.needs_upkeep() {
        return;
    }
    let index = Arc::downgrade(index);
    thread.spawn(move || {
        let _pulse = Pulse::keep();
        // The index stays as it was where a round fails; whoever reads or saves it meets the reason.
        let _ = catch(|| {
            while let Some(index) = index.upgrade().filter(|index| index.needs_upkeep()) {
                let pace = Pace::default();
                let listen = |_: Progress| pace.rest();
                let control = Control {
                    cancel: None,
                    progress: Some(&listen),
                };
                if !index.maintain(control)? {
                    break;
                }
            }
            Ok(())
        });
    });
}

/// Rests for as long as work took since the last rest.
struct Pace {
    since: Mutex<Instant>,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            since: Mutex::new(Instant::now()),
        }
    }
}

impl Pace {
    fn rest(&self) {
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        thread::sleep(since.elapsed().min(MAX_REST));
        *since = Instant::now();
    }
}
