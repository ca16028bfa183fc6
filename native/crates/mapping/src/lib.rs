//! Read-only files in memory that cannot end the process.
//!
//! Who reads a mapped page that the file no longer has, because another program has cut it short or the disk does not give it
//! up, gets the signal SIGBUS, of which a process dies. Here such pages become zeros, the [`Mapping`] is *torn* from then on,
//! and every [`Watch`] that was under way tells: what was read since may be wrong and must not be used.
//!
//! Small files are copied, so that nothing can happen to them at all.

#[cfg(unix)]
mod fault;
mod slots;
mod watch;

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::ops::Deref;
use std::path::Path;

use memmap2::{Mmap, MmapMut};

use slots::Slot;
pub use watch::{Torn, Watch};

/// Files of at most this many bytes are copied.
const SMALL: u64 = 64 << 10;

/// The bytes of a file, which must not be written to while this lives: put another one in its place instead.
#[derive(Debug)]
pub struct Mapping {
    bytes: Mmap,
    /// Nothing for a copy.
    slot: Option<&'static Slot>,
}

impl Mapping {
    /// Maps or copies a file. It begins at a page of memory, so numbers of any width are aligned as they are in the file.
    ///
    /// # Errors
    /// Those of the system, and `UnexpectedEof` if a small file becomes shorter meanwhile.
    pub fn of(path: &Path, file: &File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        if length <= SMALL {
            return Ok(Self {
                bytes: copy(file, length as usize)?,
                slot: None,
            });
        }
        #[cfg(unix)]
        fault::install();
        // SAFETY: the bytes are not written to, which is up to the caller. A page that the file has lost is seen to.
        let bytes = unsafe { Mmap::map(file) }?;
        let slot = Some(slots::take(path, bytes.as_ptr_range()));
        Ok(Self { bytes, slot })
    }

    /// Whether pages were lost: nothing that these bytes say can be believed then.
    #[inline]
    pub fn is_torn(&self) -> bool {
        // Asked for each row of a search: hardly ever does it have to look any further.
        slots::tears() != 0 && self.slot.is_some_and(Slot::is_torn)
    }
}

fn copy(mut file: &File, length: usize) -> io::Result<Mmap> {
    use std::io::Seek;
    let mut bytes = MmapMut::map_anon(length)?;
    file.rewind()?;
    let mut rest = &mut bytes[..length];
    while !rest.is_empty() {
        match file.read(rest) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(read) => rest = &mut rest[read..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.make_read_only()
}

impl Deref for Mapping {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Mapping {
    /// Pages are given back a few at a time: the kernel unmaps a file under a lock of the whole process, which others wait
    /// for.
    fn drop(&mut self) {
        let Some(slot) = self.slot else {
            return;
        };
        #[cfg(target_os = "linux")]
        {
            const PIECE: usize = 1 << 20;
            for start in (0..self.bytes.len()).step_by(PIECE) {
                let length = PIECE.min(self.bytes.len() - start);
                let advice = memmap2::UncheckedAdvice::DontNeed;
                // SAFETY: nobody reads these bytes any more. A kernel that refuses leaves them as they were.
                let _ = unsafe { self.bytes.unchecked_advise_range(advice, start, length) };
            }
        }
        slots::release(slot);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn files_of_all_sizes_are_read_from_their_start() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        for length in [0, 1, 4095, SMALL as usize, SMALL as usize + 1, 1 << 20] {
            let content: Vec<u8> = (0..length).map(|i| (i * 7 % 251) as u8).collect();
            fs::write(&path, &content).unwrap();
            let mut file = File::open(&path).unwrap();
            let _ = file.read(&mut [0; 10]).unwrap();
            let mapping = Mapping::of(&path, &file).unwrap();
            assert_eq!(*mapping, *content);
            assert!(mapping.as_ptr().addr().is_multiple_of(8));
            assert!(!mapping.is_torn());
        }
    }

    #[test]
    fn a_small_file_stays_what_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, vec![7; SMALL as usize]).unwrap();
        let file = File::open(&path).unwrap();
        let mapping = Mapping::of(&path, &file).unwrap();
        File::create(&path).unwrap();
        assert!(mapping.iter().all(|&byte| byte == 7));
        assert!(!mapping.is_torn());
    }
}
