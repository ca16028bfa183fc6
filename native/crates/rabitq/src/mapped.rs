//! A read-only mapped file whose bytes are checked, block by block, before they are believed.

use std::fs::File;
use std::io::{Read, Seek};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use mapping::{Mapping, Torn};
use rayon::prelude::*;

use crate::{Error, Result};

/// A mapping and the checksums of its body.
pub(crate) struct MappedFile {
    path: PathBuf,
    map: Mapping,
    /// Where the checked bytes begin and end.
    body: Range<usize>,
    /// Binary logarithm of the bytes covered by one checksum: a shift is faster than a division.
    block: u32,
    checksums: Vec<u32>,
    /// One bit a block: set once its checksum was found right.
    checked: Vec<AtomicU64>,
    /// Blocks whose bit is not set.
    unchecked: AtomicUsize,
}

impl MappedFile {
    /// Opens the file behind an index, once: while it is saved anew, its name may stand for another file a moment later.
    pub(crate) fn open(path: &Path) -> Result<File> {
        let io = |source| Error::Io {
            path: path.into(),
            source,
        };
        // To open a pipe would wait for who writes to it.
        if !std::fs::metadata(path).map_err(io)?.is_file() {
            return Err(io(std::io::Error::other("it is not a regular file")));
        }
        File::open(path).map_err(io)
    }

    /// Maps a file of exactly the expected length. Index files are written to a temporary name, renamed into place and never
    /// changed afterwards.
    pub(crate) fn map(path: &Path, file: &File, length: u64) -> Result<Mapping> {
        let io = |source| Error::Io {
            path: path.into(),
            source,
        };
        let map = Mapping::of(path, file).map_err(io)?;
        if map.len() as u64 == length {
            return Ok(map);
        }
        Err(Error::Corrupt {
            path: path.into(),
            reason: format!("{length} bytes expected, {} found", map.len()),
        })
    }

    /// Reads the first bytes of a file, fewer if it is shorter, and goes back to its start.
    pub(crate) fn head(path: &Path, mut file: &File, length: usize) -> Result<Vec<u8>> {
        let mut head = Vec::with_capacity(length);
        file.take(length as u64)
            .read_to_end(&mut head)
            .and_then(|_| file.rewind())
            .map_err(|source| Error::Io {
                path: path.into(),
                source,
            })?;
        Ok(head)
    }

    /// `checksums`: one for each `block` bytes of the body, a power of two.
    pub(crate) fn new(
        path: &Path,
        map: Mapping,
        body: Range<usize>,
        block: usize,
        checksums: Vec<u32>,
    ) -> Self {
        let words = checksums.len().div_ceil(64);
        let checked = (0..words).map(|_| AtomicU64::new(0)).collect();
        Self {
            path: path.into(),
            map,
            body,
            block: block.ilog2(),
            unchecked: AtomicUsize::new(checksums.len()),
            checksums,
            checked,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes that are checked together.
    pub(crate) fn block(&self) -> usize {
        1 << self.block
    }

    /// The error for contents that pass their checksum and still make no sense.
    pub(crate) fn damaged(&self, reason: String) -> Error {
        Error::Corrupt {
            path: self.path.clone(),
            reason,
        }
    }

    /// Checks the blocks of a range that were not checked yet.
    #[inline]
    pub(crate) fn check_range(&self, range: Range<usize>) -> Result<()> {
        if self.map.is_torn() {
            return Err(self.damaged(Torn::REASON.into()));
        }
        if self.unchecked.load(Ordering::Acquire) == 0 || range.is_empty() {
            return Ok(());
        }
        let first = (range.start - self.body.start) >> self.block;
        let last = (range.end - 1 - self.body.start) >> self.block;
        for word in first / 64..=last / 64 {
            let from = first.saturating_sub(64 * word);
            let to = last.min(64 * word + 63) - 64 * word;
            let wanted = u64::MAX >> (63 - (to - from)) << from;
            let missing = wanted & !self.checked[word].load(Ordering::Acquire);
            if missing != 0 {
                self.check_some(word, missing)?;
            }
        }
        Ok(())
    }

    /// Bytes of the file as they are, for hints about memory: nothing may be concluded from what they say.
    pub(crate) fn unchecked(&self, range: Range<usize>) -> &[u8] {
        self.map.get(range).unwrap_or_default()
    }

    /// Checks every block, in parallel.
    pub(crate) fn verify(&self) -> Result<()> {
        (0..self.checked.len())
            .into_par_iter()
            .try_for_each(|word| {
                let blocks = (self.checksums.len() - 64 * word).min(64);
                self.check_some(word, u64::MAX >> (64 - blocks))
            })
    }

    /// Checks those blocks of a word of `checked` whose bits are set.
    #[cold]
    fn check_some(&self, word: usize, mut blocks: u64) -> Result<()> {
        while blocks != 0 {
            self.check(64 * word + blocks.trailing_zeros() as usize)?;
            blocks &= blocks - 1;
        }
        Ok(())
    }

    fn check(&self, block: usize) -> Result<()> {
        let start = self.body.start + (block << self.block);
        let end = (start + self.block()).min(self.body.end);
        let found = crc32c::crc32c(&self.map[start..end]);
        let expected = self.checksums[block];
        if found != expected {
            let reason = format!(
                "bytes {start}..{end}: checksum {expected:08x} expected, {found:08x} found"
            );
            return Err(Error::Corrupt {
                path: self.path.clone(),
                reason,
            });
        }
        let bit = 1 << (block % 64);
        let before = self.checked[block / 64].fetch_or(bit, Ordering::Release);
        if before & bit == 0 {
            self.unchecked.fetch_sub(1, Ordering::Release);
        }
        Ok(())
    }
}
