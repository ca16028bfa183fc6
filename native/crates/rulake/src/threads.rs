//! Threads for work that nobody waits for.

use std::io;
use std::sync::OnceLock;
use std::thread::{Builder, JoinHandle};

static ON_START: OnceLock<fn()> = OnceLock::new();

/// Has every background thread of this crate call `hook` first, to lower its priority for instance. The first hook stays.
pub fn on_background_thread(hook: fn()) {
    let _ = ON_START.set(hook);
}

/// Runs something that may take long and is not urgent.
pub(crate) fn spawn_background(
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name.to_owned()).spawn(|| {
        if let Some(hook) = ON_START.get() {
            hook();
        }
        work();
    })
}
