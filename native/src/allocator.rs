//! Memory that is given back without holding up the event loop.
//!
//! The kernel unmaps a large block under a lock of the whole process, some 20 ms for a gigabyte, and V8, which maps and unmaps
//! memory all the time, waits for it. Pages that are dropped a few at a time leave nothing to do to the unmapping.

use std::alloc::{GlobalAlloc, Layout, System};

use crate::pages::give_back;

/// The system's allocator, but large blocks go back piece by piece.
struct Gradual;

#[global_allocator]
static ALLOCATOR: Gradual = Gradual;

/// Blocks of at least this many bytes are large: the system maps them one by one.
const LARGE: usize = 4 << 20;

// SAFETY: every call is handed to `System`; beforehand only pages that lie wholly in a block that is given up lose their
// contents.
unsafe impl GlobalAlloc for Gradual {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if layout.size() >= LARGE {
            // SAFETY: the block is given up.
            unsafe { give_back(block, layout.size()) };
        }
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) }
    }
}
