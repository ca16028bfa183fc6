//! How a caller watches and stops long work.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::{Error, Result};

/// What a build is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Name of the step: `validate`, `center`, `encode`, `write`.
    pub phase: &'static str,
    /// Rows done in this step.
    pub done: usize,
    /// Rows of this step.
    pub total: usize,
}

/// A cancel flag and a progress listener, both optional. Listeners are called from worker threads.
#[derive(Clone, Copy, Default)]
pub struct Control<'a> {
    /// Set by another thread to stop the work.
    pub cancel: Option<&'a AtomicBool>,
    /// Told about progress, at most a few hundred times an operation.
    pub progress: Option<&'a (dyn Fn(Progress) + Sync)>,
}

impl Control<'_> {
    /// # Errors
    /// `CANCELLED` once the flag is set.
    pub fn check(&self) -> Result<()> {
        match self.cancel {
            Some(flag) if flag.load(Ordering::Relaxed) => Err(Error::Cancelled),
            _ => Ok(()),
        }
    }

    pub(crate) fn report(&self, phase: &'static str, done: usize, total: usize) {
        if let Some(listener) = self.progress {
            listener(Progress { phase, done, total });
        }
    }
}
