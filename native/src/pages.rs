//! Pages of memory: asked of the system before they are written to, and given back before they are freed.
//!
//! The first write to a page waits until the system has found memory for it. That takes less than a microsecond, unless the
//! system runs on a virtual machine whose host has to find it first: then a megabyte can hold up a thread for milliseconds.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// Bytes of a page or several: pages are at most so large on every Linux we build for.
#[cfg(target_os = "linux")]
const PAGE: usize = 64 << 10;

/// Bytes given back at a time.
#[cfg(target_os = "linux")]
const PIECE: usize = 1 << 20;

/// Memory of a vector that one thread fills while others ask for its pages.
#[derive(Default)]
pub struct Pages {
    /// Addresses, none once the vector belongs to somebody else.
    addresses: Mutex<Range<usize>>,
}

impl Pages {
    /// The memory of `vector` until [`Pages::let_go`], which comes before the vector grows, moves on, or is dropped.
    pub fn of<T>(vector: &Vec<T>) -> Self {
        let start = vector.as_ptr().addr();
        let end = start + vector.capacity() * size_of::<T>();
        Self {
            addresses: Mutex::new(start..end),
        }
    }

    /// Nobody asks for pages after this call.
    pub fn let_go(&self) {
        *self
            .addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = 0..0;
    }

    /// Asks for the pages of some of the bytes. What is written there stays, and where the system cannot, nothing happens.
    #[cfg_attr(not(target_os = "linux"), expect(unused_variables))]
    pub fn ask_for(&self, bytes: Range<usize>) {
        #[cfg(target_os = "linux")]
        for offset in bytes.clone().step_by(PAGE) {
            // Held for one page at a time, so that letting go takes no longer.
            let addresses = self
                .addresses
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let start = addresses.start.next_multiple_of(PAGE) + offset;
            if offset + PAGE > bytes.end || start + PAGE > addresses.end {
                return;
            }
            // SAFETY: these are pages of a vector that lives while the lock is held, and their contents stay the same.
            let done = unsafe {
                libc::madvise(
                    std::ptr::without_provenance_mut(start),
                    PAGE,
                    libc::MADV_POPULATE_WRITE,
                )
            };
            if done != 0 {
                return;
            }
        }
    }
}

/// Gives the pages of a block back to the system, piece by piece.
///
/// # Safety
/// Nobody reads what the block holds: it may be zeros afterwards.
#[cfg_attr(not(target_os = "linux"), expect(unused_variables))]
pub unsafe fn give_back(block: *mut u8, bytes: usize) {
    #[cfg(target_os = "linux")]
    {
        let before = block.align_offset(PAGE);
        let end = (block.addr() + bytes) / PAGE * PAGE - block.addr();
        for at in (before..end).step_by(PIECE) {
            let piece = PIECE.min(end - at);
            // SAFETY: whole pages of the block, and the caller's promise. A kernel that refuses leaves them as they are.
            unsafe { libc::madvise(block.wrapping_add(at).cast(), piece, libc::MADV_DONTNEED) };
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    const BYTES: usize = 8 << 20;

    /// The share of a vector's memory that is there.
    fn there(vector: &Vec<u8>) -> f64 {
        const SMALLEST: usize = 4096;
        let start = vector.as_ptr().addr().next_multiple_of(SMALLEST);
        let mut pages = vec![0_u8; (vector.capacity() - SMALLEST) / SMALLEST];
        // SAFETY: the range lies in the vector, and `pages` has a byte for each of its pages, which are not smaller.
        let done = unsafe {
            libc::mincore(
                std::ptr::without_provenance_mut(start),
                pages.len() * SMALLEST,
                pages.as_mut_ptr(),
            )
        };
        assert_eq!(done, 0);
        pages.iter().filter(|&&page| page & 1 == 1).count() as f64 / pages.len() as f64
    }

    #[test]
    fn pages_are_there_before_they_are_written_to() {
        let mut vector = Vec::with_capacity(BYTES);
        vector.extend_from_slice(&[7; 10_000]);
        let pages = Pages::of(&vector);
        assert!(there(&vector) < 0.1);
        pages.ask_for(0..BYTES / 2);
        let half = there(&vector);
        assert!((0.4..0.6).contains(&half), "{half}");
        pages.ask_for(BYTES / 2..2 * BYTES);
        assert!(there(&vector) > 0.9);
        assert_eq!(vector, [7; 10_000]);
    }

    #[test]
    fn memory_that_was_let_go_is_left_alone() {
        let vector = Vec::<u8>::with_capacity(BYTES);
        let pages = Pages::of(&vector);
        pages.let_go();
        pages.ask_for(0..BYTES);
        assert!(there(&vector) < 0.1);
    }

    #[test]
    fn pages_that_are_given_back_come_again() {
        let mut vector = vec![7_u8; BYTES];
        // SAFETY: nobody reads the sevens.
        unsafe { give_back(vector.as_mut_ptr(), BYTES) };
        assert!(there(&vector) < 0.1);
        vector.fill(3);
        assert!(vector.iter().all(|&byte| byte == 3));
    }
}
