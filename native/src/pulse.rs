//! Has the kernel look for the next thread often while long work wants every CPU.
//!
//! Linux gives a thread that wakes up the CPU at once only if it has not had more than its share lately. The event loop has,
//! when it has just run for a few milliseconds and waits for the threads of its garbage collector. Then it stands behind
//! threads of any priority until a tick finds that one has used up its slice: 4 to 7 ms at 250 ticks a second. While there
//! is long work, a thread on each CPU therefore wakes up twice a millisecond and does nothing, whereupon the kernel chooses
//! again.

use std::cell::RefCell;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Keeps the pulse going until it is dropped.
pub struct Pulse(());

impl Pulse {
    pub fn keep() -> Self {
        let mut kept = lock();
        *kept += 1;
        if *kept == 1 {
            RISEN.notify_all();
        }
        Self(())
    }

    /// Keeps the pulse going until the calling thread ends.
    pub fn keep_for_thread() {
        thread_local! {
            static KEPT: RefCell<Option<Pulse>> = const { RefCell::new(None) };
        }
        let _ = KEPT.try_with(|kept| kept.replace(Some(Self::keep())));
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        *lock() -= 1;
    }
}

/// How many keep the pulse going.
static KEPT: Mutex<usize> = Mutex::new(0);

/// Told when the first does.
static RISEN: Condvar = Condvar::new();

fn lock() -> MutexGuard<'static, usize> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts the threads, once, before there is long work.
#[cfg(not(target_os = "linux"))]
pub fn start() {}

/// Starts the threads, once, before there is long work.
#[cfg(target_os = "linux")]
pub fn start() {
    let cpus = cpus();
    // On more CPUs than that, long work leaves some free.
    if cpus.len() > crate::pool::threads() {
        return;
    }
    for cpu in cpus {
        let thread = std::thread::Builder::new().name(format!("rulake-pulse-{cpu}"));
        let _ = thread.spawn(move || {
            crate::priority::go_first();
            stay_on(cpu);
            beat();
        });
    }
}

#[cfg(target_os = "linux")]
fn beat() {
    const PERIOD: std::time::Duration = std::time::Duration::from_micros(500);
    loop {
        drop(RISEN.wait_while(lock(), |kept| *kept == 0));
        std::thread::sleep(PERIOD);
    }
}

/// The CPUs this process may use.
#[cfg(target_os = "linux")]
fn cpus() -> Vec<usize> {
    // SAFETY: the set is plain bits, all zero at first, of which the call is told the size.
    unsafe {
        let mut set = std::mem::zeroed::<libc::cpu_set_t>();
        if libc::sched_getaffinity(0, size_of_val(&set), &raw mut set) != 0 {
            return Vec::new();
        }
        let numbers = 0..8 * size_of_val(&set);
        numbers.filter(|&cpu| libc::CPU_ISSET(cpu, &set)).collect()
    }
}

#[cfg(target_os = "linux")]
fn stay_on(cpu: usize) {
    // SAFETY: as above; `cpu` comes from a set of the same size.
    unsafe {
        let mut set = std::mem::zeroed::<libc::cpu_set_t>();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &raw const set);
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs;
    use std::sync::mpsc::channel;
    use std::thread::sleep;
    use std::time::Duration;

    use super::cpus;
    use crate::pool::{self, Lane};

    const WHILE: Duration = Duration::from_millis(200);

    /// How often the threads of the pulse have gone to sleep.
    fn beats() -> u64 {
        let mut beats = 0;
        for thread in fs::read_dir("/proc/self/task").unwrap() {
            let folder = thread.unwrap().path();
            let Ok(status) = fs::read_to_string(folder.join("status")) else {
                continue;
            };
            let of = |name| status.lines().find_map(|line| line.strip_prefix(name));
            if of("Name:\trulake-pulse-").is_some() {
                let count = of("voluntary_ctxt_switches:\t").unwrap();
                beats += count.parse::<u64>().unwrap();
            }
        }
        beats
    }

    #[test]
    fn there_is_a_pulse_while_there_is_long_work() {
        if cpus().len() > pool::threads() {
            return;
        }
        let (done, wait) = channel();
        // Other tests work meanwhile; they do not work for long.
        pool::spawn(Lane::Work, move || {
            let before = beats();
            sleep(WHILE);
            done.send(beats() - before).unwrap();
        });
        let expected = cpus().len() as u64 * 100;
        let working = wait.recv().unwrap();
        assert!(working > expected, "{working} beats");
        let quiet = (0..50).any(|_| {
            let before = beats();
            sleep(WHILE);
            beats() - before < 10
        });
        assert!(quiet, "it goes on without work");
    }
}
