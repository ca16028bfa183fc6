//! Wall and CPU time, and memory, of this process.

use std::error::Error;
use std::mem::MaybeUninit;
use std::time::Instant;

use serde_json::{Value, json};

/// Wall and CPU seconds; CPU counts all threads.
#[derive(Clone, Copy)]
pub struct Spent {
    pub wall: f64,
    pub cpu: f64,
}

impl Spent {
    pub fn json(self) -> Value {
        json!({ "wall": self.wall, "cpu": self.cpu })
    }
}

/// Times each query of a round; percentiles in seconds.
pub fn timed_round<T>(
    queries: &[T],
    mut ask: impl FnMut(&T) -> Result<(), Box<dyn Error>>,
) -> Result<Value, Box<dyn Error>> {
    let mut times = Vec::with_capacity(queries.len());
    let watch = Stopwatch::start();
    for query in queries {
        let started = Instant::now();
        ask(query)?;
        times.push(started.elapsed().as_secs_f64());
    }
    let spent = watch.read();
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() as f64 * share).ceil() as usize).max(1) - 1];
    Ok(json!({ "wall": spent.wall, "cpu": spent.cpu, "p50": at(0.5), "p99": at(0.99) }))
}

/// Measures from its making on.
pub struct Stopwatch {
    wall: Instant,
    cpu: f64,
}

impl Stopwatch {
    pub fn start() -> Self {
        Self {
            cpu: cpu_seconds(),
            wall: Instant::now(),
        }
    }

    pub fn read(&self) -> Spent {
        let wall = self.wall.elapsed().as_secs_f64();
        Spent {
            wall,
            cpu: cpu_seconds() - self.cpu,
        }
    }
}

fn usage() -> libc::rusage {
    let mut usage = MaybeUninit::uninit();
    // SAFETY: getrusage fills the whole struct for RUSAGE_SELF, which cannot fail.
    unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        usage.assume_init()
    }
}

fn cpu_seconds() -> f64 {
    let usage = usage();
    [usage.ru_utime, usage.ru_stime]
        .iter()
        .map(|t| t.tv_sec as f64 + t.tv_usec as f64 / 1e6)
        .sum()
}

/// The most memory this process ever had.
pub fn peak_bytes() -> u64 {
    usage().ru_maxrss as u64 * 1024
}

/// Memory this process has now: all of it, and the part that no file backs.
pub fn resident_bytes() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok())
            .unwrap_or(0)
            * 1024
    };
    (field("VmRSS:"), field("RssAnon:"))
}
