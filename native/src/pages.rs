//! Pages of memory: found before they are needed, and given back before they are freed.
//!
//! The first write to a page waits until the system has found memory for it. That takes less than a microsecond, unless the
//! system runs on a virtual machine whose host has to find it first: then a megabyte can hold up a thread for milliseconds.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes given back at a time.
#[cfg(target_os = "linux")]
const PIECE: usize = 1 << 20;

/// The spare memory of a vector that one thread fills while another finds the pages.
pub struct SparePages {
    spare: Mutex<Spare>,
}

struct Spare {
    start: *mut u8,
    /// Bytes after `start` that are or will be written to.
    used: usize,
    /// Bytes after `start` that belong to the vector.
    end: usize,
}

// SAFETY: what lies between `used` and `end` is only touched under the lock.
unsafe impl Send for Spare {}

impl SparePages {
    /// The memory of an empty vector until [`SparePages::let_go`], which comes before it is dropped or moves its contents.
    pub fn of<T>(vector: &mut Vec<T>) -> Self {
        let spare = vector.spare_capacity_mut();
        Self {
            spare: Mutex::new(Spare {
                end: size_of_val(spare),
                start: spare.as_mut_ptr().cast(),
                used: 0,
            }),
        }
    }

    /// Nobody touches the first `bytes` after this call but their owner.
    pub fn claim(&self, bytes: usize) {
        self.lock().used = bytes;
    }

    /// Nobody touches any of it after this call but the owner.
    pub fn let_go(&self) {
        self.lock().end = 0;
    }

    /// Finds the pages of those of these bytes that are not claimed.
    pub fn find(&self, bytes: Range<usize>) {
        // No page is smaller; to look at one twice costs nothing.
        const PAGE: usize = 4096;
        for at in bytes.step_by(PAGE) {
            // Held for a page at a time, so that claims do not wait for more.
            let spare = self.lock();
            if (spare.used..spare.end).contains(&at) {
                // SAFETY: the byte belongs to the vector and to nobody else while the lock is held.
                unsafe { spare.start.add(at).write_volatile(0) };
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Spare> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
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
        // Pages are at most so large on every Linux we build for, and several are as good as one.
        const PAGE: usize = 64 << 10;
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
    fn spare_pages_are_found_and_claimed_ones_left_alone() {
        let mut vector = Vec::with_capacity(BYTES);
        let pages = SparePages::of(&mut vector);
        assert!(there(&vector) < 0.1);
        pages.find(0..BYTES / 2);
        let half = there(&vector);
        assert!((0.4..0.6).contains(&half), "{half}");
        pages.claim(10_000);
        vector.extend_from_slice(&[7; 10_000]);
        pages.find(0..2 * BYTES);
        assert!(there(&vector) > 0.9);
        assert_eq!(vector, [7; 10_000]);
    }

    #[test]
    fn memory_that_was_let_go_is_left_alone() {
        let mut vector = Vec::<u8>::with_capacity(BYTES);
        let pages = SparePages::of(&mut vector);
        pages.let_go();
        pages.find(0..BYTES);
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
