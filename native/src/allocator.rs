//! Memory that is given back without holding up the event loop.
//!
//! The kernel unmaps a large block under a lock of the whole process, some 20 ms for a gigabyte, and V8, which maps and unmaps
//! memory all the time, waits for it. Pages that are dropped a few at a time leave nothing to do to the unmapping.

use std::alloc::{GlobalAlloc, Layout, System};

/// The system's allocator, but large blocks go back piece by piece.
struct Gradual;

#[global_allocator]
static ALLOCATOR: Gradual = Gradual;

/// Blocks of at least this many bytes are large: the system maps them one by one.
const LARGE: usize = 4 << 20;

/// Bytes dropped at a time.
#[cfg(target_os = "linux")]
const PIECE: usize = 1 << 20;

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
            drop_pages(block, layout.size());
        }
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) }
    }
}

#[cfg(target_os = "linux")]
fn drop_pages(block: *mut u8, bytes: usize) {
    // Pages are at most so large on every Linux we build for, and a multiple of the page is as good as the page.
    const PAGE: usize = 64 << 10;
    let before = block.align_offset(PAGE);
    let end = (block.addr() + bytes) / PAGE * PAGE - block.addr();
    for at in (before..end).step_by(PIECE) {
        let piece = PIECE.min(end - at);
        // SAFETY: the range is part of a block that nobody uses any more, and what pages of anonymous memory hold after this
        // call is zeros. A kernel that refuses leaves it as it was.
        unsafe { libc::madvise(block.wrapping_add(at).cast(), piece, libc::MADV_DONTNEED) };
    }
}

#[cfg(not(target_os = "linux"))]
fn drop_pages(_: *mut u8, _: usize) {}
