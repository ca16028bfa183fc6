//! Mapped files whose bytes are checked before they are believed.
//!
//! A file is a body and a footer. The footer is one crc32c u32 for each 64 KiB block of the body, the length of the body
//! u64, the crc32c of the footer so far u32, and the magic `RLBK`. The footer is checked on opening, a block when
//! something in it is first read.

use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use mapping::{Mapping, Torn};

use crate::digest::Digest;
use crate::error::IoContext;
use crate::pieces::{BufferedFile, buffered, into_file};
use crate::{Error, Result, files};

const BLOCK: usize = 64 * 1024;
const MAGIC: [u8; 4] = *b"RLBK";
/// Footer without the checksums of the blocks.
const FOOTER: usize = 16;

/// A file open for reading.
#[derive(Debug)]
pub(crate) struct BlockFile {
    path: PathBuf,
    map: Mapping,
    body: usize,
    /// One bit a block: checked already.
    checked: Box<[AtomicU64]>,
}

impl BlockFile {
    /// # Errors
    /// `CORRUPT_FILE`, `IO`.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = files::open(path)?;
        // Such files are written once under a name of their own and never changed afterwards; removing one leaves the mapping
        // intact.
        let map = Mapping::of(path, &file).at(path)?;
        let corrupt = |reason: String| Error::corrupt(path, reason);
        let cut = || corrupt("the file is cut off".into());
        let (rest, magic) = map.split_last_chunk::<4>().ok_or_else(cut)?;
        let (rest, footer_crc) = rest.split_last_chunk::<4>().ok_or_else(cut)?;
        if *magic != MAGIC {
            return Err(corrupt(
                "the footer's magic is missing: the file is cut off or something else".into(),
            ));
        }
        let (_, body) = rest.split_last_chunk::<8>().ok_or_else(cut)?;
        let body = usize::try_from(u64::from_le_bytes(*body)).map_err(|_| cut())?;
        let blocks = body.div_ceil(BLOCK);
        let expected = blocks
            .checked_mul(4)
            .and_then(|n| n.checked_add(body))
            .and_then(|n| n.checked_add(FOOTER));
        if expected != Some(map.len()) {
            return Err(corrupt(format!(
                "the footer states a body of {body} bytes, the file has {}",
                map.len()
            )));
        }
        let found = crc32c::crc32c(rest.get(body..).unwrap_or_default());
        if found.to_le_bytes() != *footer_crc {
            return Err(corrupt("the footer's checksum does not match".into()));
        }
        let checked = (0..blocks.div_ceil(64))
            .map(|_| AtomicU64::new(0))
            .collect();
        Ok(Self {
            path: path.to_owned(),
            map,
            body,
            checked,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of the body.
    pub(crate) fn len(&self) -> usize {
        self.body
    }

    /// A part of the body, its blocks checked.
    ///
    /// # Errors
    /// `CORRUPT_FILE`, also if the part is not inside the body.
    pub(crate) fn read(&self, range: Range<usize>) -> Result<&[u8]> {
        let outside = || {
            Error::corrupt(
                &self.path,
                format!("bytes {}..{} are outside the body", range.start, range.end),
            )
        };
        if range.end > self.body {
            return Err(outside());
        }
        if self.map.is_torn() {
            return Err(Error::corrupt(&self.path, Torn::REASON));
        }
        let part = self.map.get(range.clone()).ok_or_else(outside)?;
        if !part.is_empty() {
            for block in range.start / BLOCK..=(range.end - 1) / BLOCK {
                self.check(block)?;
            }
        }
        Ok(part)
    }

    /// Checks the whole body, what was checked before included.
    pub(crate) fn recheck(&self) -> Result<()> {
        for word in &self.checked {
            word.store(0, Ordering::Relaxed);
        }
        self.read(0..self.body).map(drop)
    }

    fn check(&self, block: usize) -> Result<()> {
        let bit = 1 << (block % 64);
        let word = self.checked.get(block / 64);
        if word.is_some_and(|word| word.load(Ordering::Relaxed) & bit != 0) {
            return Ok(());
        }
        let start = block * BLOCK;
        let bytes = self
            .map
            .get(start..(start + BLOCK).min(self.body))
            .unwrap_or_default();
        let stated = self
            .map
            .get(self.body + block * 4..)
            .and_then(|rest| rest.first_chunk::<4>());
        let found = crc32c::crc32c(bytes);
        if stated.copied() != Some(found.to_le_bytes()) {
            return Err(Error::corrupt(
                &self.path,
                format!("the checksum of the block at offset {start} does not match"),
            ));
        }
        if let Some(word) = word {
            word.fetch_or(bit, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// Length and digest of a finished file.
pub(crate) struct Written {
    pub(crate) length: u64,
    pub(crate) digest: String,
}

/// Writes such a file front to back.
pub(crate) struct BlockWriter {
    path: PathBuf,
    out: BufferedFile,
    digest: Digest,
    footer: Vec<u8>,
    body: usize,
    crc: u32,
}

impl BlockWriter {
    /// Creates a file, which must not exist.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let file = File::create_new(path).at(path)?;
        Ok(Self {
            path: path.to_owned(),
            out: buffered(file),
            digest: Digest::default(),
            footer: Vec::new(),
            body: 0,
            crc: 0,
        })
    }

    pub(crate) fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).at(&self.path)?;
        self.digest.update(bytes);
        while !bytes.is_empty() {
            let room = BLOCK - self.body % BLOCK;
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.crc = crc32c::crc32c_append(self.crc, now);
            self.body += now.len();
            if now.len() == room {
                self.end_block();
            }
            bytes = later;
        }
        Ok(())
    }

    fn end_block(&mut self) {
        self.footer.extend_from_slice(&self.crc.to_le_bytes());
        self.crc = 0;
    }

    /// Writes the footer and makes the file durable; its directory is up to the caller.
    pub(crate) fn finish(mut self) -> Result<Written> {
        if !self.body.is_multiple_of(BLOCK) {
            self.end_block();
        }
        self.footer
            .extend_from_slice(&(self.body as u64).to_le_bytes());
        let crc = crc32c::crc32c(&self.footer);
        self.footer.extend_from_slice(&crc.to_le_bytes());
        self.footer.extend_from_slice(&MAGIC);
        self.out.write_all(&self.footer).at(&self.path)?;
        self.digest.update(&self.footer);
        let length = (self.body + self.footer.len()) as u64;
        let file = into_file(self.out).at(&self.path)?;
        file.sync_all().at(&self.path)?;
        Ok(Written {
            length,
            digest: self.digest.finish(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_of_all_sizes_come_back() {
        let dir = tempfile::tempdir().unwrap();
        for (i, size) in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 7]
            .into_iter()
            .enumerate()
        {
            let path = dir.path().join(i.to_string());
            let body: Vec<u8> = (0..size).map(|i| (i * 7) as u8).collect();
            let mut writer = BlockWriter::create(&path).unwrap();
            for piece in body.chunks(1000) {
                writer.write(piece).unwrap();
            }
            let written = writer.finish().unwrap();
            assert_eq!(
                crate::digest::of_file(&path).unwrap(),
                (written.length, written.digest)
            );
            let file = BlockFile::open(&path).unwrap();
            assert_eq!(file.len(), size);
            assert_eq!(file.read(0..size).unwrap(), body);
            assert_eq!(file.read(0..size + 1).unwrap_err().code(), "CORRUPT_FILE");
        }
    }

    /// Changes a byte of a file that may be open.
    fn rot(path: &Path, at: usize) {
        use std::io::{Read, Seek, SeekFrom};
        let mut options = File::options();
        let mut file = options.read(true).write(true).open(path).unwrap();
        let mut byte = [0];
        file.seek(SeekFrom::Start(at as u64)).unwrap();
        file.read_exact(&mut byte).unwrap();
        file.seek(SeekFrom::Start(at as u64)).unwrap();
        file.write_all(&[byte[0] ^ 0x10]).unwrap();
    }

    #[test]
    fn a_flipped_bit_is_noticed_where_it_matters() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let mut writer = BlockWriter::create(&path).unwrap();
        writer.write(&vec![9; BLOCK + 100]).unwrap();
        writer.finish().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let other = dir.path().join("g");
        let positions = (0..bytes.len()).filter(|i| i % 997 == 0 || *i >= BLOCK);
        for i in positions {
            let mut broken = bytes.clone();
            broken[i] ^= 0x10;
            std::fs::write(&other, &broken).unwrap();
            let whole =
                BlockFile::open(&other).and_then(|file| file.read(0..file.len()).map(|_| ()));
            assert_eq!(whole.unwrap_err().code(), "CORRUPT_FILE", "byte {i}");
            if i < BLOCK {
                std::fs::write(&other, &bytes).unwrap();
                let file = BlockFile::open(&other).unwrap();
                file.recheck().unwrap();
                rot(&other, i);
                assert!(file.read(0..BLOCK).is_ok());
                assert_eq!(file.recheck().unwrap_err().code(), "CORRUPT_FILE");
            }
            if i > BLOCK && i < BLOCK + 100 {
                assert!(BlockFile::open(&other).unwrap().read(0..BLOCK).is_ok());
            }
        }
        for length in (0..bytes.len()).step_by(211) {
            std::fs::write(&other, &bytes[..length]).unwrap();
            assert_eq!(
                BlockFile::open(&other).unwrap_err().code(),
                "CORRUPT_FILE",
                "length {length}"
            );
        }
    }
}
