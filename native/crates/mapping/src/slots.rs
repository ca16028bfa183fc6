//! Which memory belongs to which mapping, in a form that a signal handler can read: no lock, and nothing is ever freed.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// The memory of one mapping, or of none.
#[derive(Debug)]
pub(crate) struct Slot {
    start: AtomicUsize,
    /// 0: nobody has the slot.
    end: AtomicUsize,
    /// Which tear this was, counted from 1. 0: whole.
    torn: AtomicU64,
    /// For messages; a handler does not look.
    path: Mutex<PathBuf>,
    /// The slot made before this one.
    next: Option<&'static Slot>,
}

/// The slot made last.
static NEWEST: AtomicPtr<Slot> = AtomicPtr::new(std::ptr::null_mut());

/// Slots without a mapping.
static FREE: Mutex<Vec<&'static Slot>> = Mutex::new(Vec::new());

/// Tears so far.
static TEARS: AtomicU64 = AtomicU64::new(0);

/// Tears so far, of all mappings.
#[inline]
pub(crate) fn tears() -> u64 {
    TEARS.load(Ordering::SeqCst)
}

/// A slot for a mapping; whoever reads there before this returns is not protected.
pub(crate) fn take(path: &Path, memory: Range<*const u8>) -> &'static Slot {
    let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
    let slot = free.pop().unwrap_or_else(create);
    path.clone_into(&mut slot.path.lock().unwrap_or_else(PoisonError::into_inner));
    slot.start.store(memory.start.addr(), Ordering::SeqCst);
    slot.end.store(memory.end.addr(), Ordering::SeqCst);
    slot
}

/// To be called under the lock of `FREE`.
fn create() -> &'static Slot {
    let newest = NEWEST.load(Ordering::SeqCst);
    let slot = Box::leak(Box::new(Slot {
        start: AtomicUsize::new(0),
        end: AtomicUsize::new(0),
        torn: AtomicU64::new(0),
        path: Mutex::default(),
        // SAFETY: slots are leaked, so what was stored here lives for good, and they are only changed by way of atomics.
        next: unsafe { newest.as_ref() },
    }));
    NEWEST.store(slot, Ordering::SeqCst);
    slot
}

/// Gives a slot back before its memory goes. A torn one stays as it is, for the sake of watches that have yet to ask.
pub(crate) fn release(slot: &'static Slot) {
    slot.end.store(0, Ordering::SeqCst);
    slot.start.store(0, Ordering::SeqCst);
    if !slot.is_torn() {
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        free.push(slot);
    }
}

/// All slots there are.
pub(crate) fn all() -> impl Iterator<Item = &'static Slot> {
    // SAFETY: as in `create`.
    let newest: Option<&'static Slot> = unsafe { NEWEST.load(Ordering::SeqCst).as_ref() };
    std::iter::successors(newest, |slot| slot.next)
}

impl Slot {
    pub(crate) fn is_torn(&self) -> bool {
        self.tear() != 0
    }

    /// Which tear this was, counted from 1; 0 if it is whole.
    pub(crate) fn tear(&self) -> u64 {
        self.torn.load(Ordering::SeqCst)
    }

    pub(crate) fn path(&self) -> PathBuf {
        let path = self.path.lock().unwrap_or_else(PoisonError::into_inner);
        path.clone()
    }

    /// Where the memory ends, if an address is in it. Fit for a signal handler.
    #[cfg(unix)]
    pub(crate) fn end_of(&self, address: usize) -> Option<usize> {
        let (start, end) = (
            self.start.load(Ordering::SeqCst),
            self.end.load(Ordering::SeqCst),
        );
        (start <= address && address < end).then_some(end)
    }

    /// Notes a tear, before anybody can read what comes in the place of the pages. Fit for a signal handler.
    #[cfg(unix)]
    pub(crate) fn tear_now(&self) {
        self.torn.store(tears() + 1, Ordering::SeqCst);
        TEARS.fetch_add(1, Ordering::SeqCst);
    }
}
