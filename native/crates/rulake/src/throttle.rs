//! A cap on the rate of work that nobody waits for.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// Sleeps as long as it takes for no more than so many bytes to pass in a second.
pub(crate) struct Throttle {
    bytes_per_second: u64,
    since: Instant,
    passed: u64,
}

impl Throttle {
    pub(crate) fn new(bytes_per_second: u64) -> Self {
        Self {
            bytes_per_second,
            since: Instant::now(),
            passed: 0,
        }
    }

    /// Notes bytes that were worked on.
    pub(crate) fn pass(&mut self, bytes: u64) {
        self.passed += bytes;
        let due = Duration::from_secs_f64(self.passed as f64 / self.bytes_per_second as f64);
        if let Some(early) = due.checked_sub(self.since.elapsed())
            && early > Duration::from_millis(1)
        {
            sleep(early);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_take_their_time() {
        let started = Instant::now();
        let mut throttle = Throttle::new(1000);
        for _ in 0..5 {
            throttle.pass(10);
        }
        assert!(started.elapsed() >= Duration::from_millis(48));
    }
}
