//! The newest state of a collection, and what is about to be.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

use crate::state::State;

/// Whether a session has happened: what it has made of its collections shows in all of them from one moment on, which is
/// when this becomes true.
pub(crate) type Happened = Arc<AtomicBool>;

/// What readers take, without waiting for more than each other's looks.
pub(super) struct Newest(RwLock<Versions>);

struct Versions {
    now: Arc<State>,
    /// Takes the place of `now` when the session has happened.
    staged: Option<(Happened, Arc<State>)>,
}

impl Versions {
    fn newest(&self) -> &Arc<State> {
        match &self.staged {
            Some((happened, state)) if happened.load(Ordering::Acquire) => state,
            _ => &self.now,
        }
    }
}

impl Newest {
    pub(super) fn new(state: State) -> Self {
        Self(RwLock::new(Versions {
            now: Arc::new(state),
            staged: None,
        }))
    }

    pub(super) fn look<T>(&self, look: impl FnOnce(&Arc<State>) -> T) -> T {
        look(
            self.0
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .newest(),
        )
    }

    /// Makes a state the newest, whatever was staged.
    pub(super) fn publish(&self, state: Arc<State>) {
        let versions = Versions {
            now: state,
            staged: None,
        };
        let before = std::mem::replace(&mut *self.write(), versions);
        // Freed outside of the lock.
        drop(before);
    }

    /// Has a state become the newest when a session happens. Whoever publishes afterwards knows whether it did.
    pub(super) fn stage(&self, happened: Happened, state: Arc<State>) {
        let before = self.write().staged.replace((happened, state));
        drop(before);
    }

    fn write(&self) -> RwLockWriteGuard<'_, Versions> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}
