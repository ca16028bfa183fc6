//! Threads for work that nobody waits for.

use std::io;
use std::sync::OnceLock;
use std::thread::{Builder, JoinHandle};

static ON_START: OnceLock<fn(BackgroundThread)> = OnceLock::new();

/// What a background thread is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackgroundThread {
    /// One job, which may take long.
    Job,
    /// Writes to a collection as long as that is open. Mostly it waits.
    Writer,
}

/// Has every background thread of this crate call `hook` first, to lower its priority for instance. The first hook stays.
pub fn on_background_thread(hook: fn(BackgroundThread)) {
    let _ = ON_START.set(hook);
}

/// Runs something that is not urgent.
pub(crate) fn spawn_background(
    kind: BackgroundThread,
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name.to_owned()).spawn(move || {
        if let Some(hook) = ON_START.get() {
            hook(kind);
        }
        work();
    })
}
