//! The far end of a file that is written front to back.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::Result;
use crate::blocks::Written;
use crate::digest::Digest;
use crate::error::IoContext;
use crate::pieces::{BufferedFile, buffered, into_file};

/// Counts, digests and checks what passes through.
pub(super) struct Sink {
    path: PathBuf,
    out: BufferedFile,
    digest: Digest,
    length: u64,
    /// Of what came since it was last asked for.
    crc: u32,
}

impl Sink {
    /// Creates a file, which must not exist.
    pub(super) fn create(path: &Path) -> Result<Self> {
        let file = File::create_new(path).at(path)?;
        Ok(Self {
            path: path.to_owned(),
            out: buffered(file),
            digest: Digest::default(),
            length: 0,
            crc: 0,
        })
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Checksum of what came since the last call.
    pub(super) fn take_crc(&mut self) -> u32 {
        std::mem::take(&mut self.crc)
    }

    /// Makes the file durable; its directory is up to the caller.
    pub(super) fn finish(self) -> Result<Written> {
        let file = into_file(self.out).at(&self.path)?;
        file.sync_all().at(&self.path)?;
        Ok(Written {
            length: self.length,
            digest: self.digest.finish(),
        })
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write_all(bytes)?;
        self.digest.update(bytes);
        self.crc = crc32c::crc32c_append(self.crc, bytes);
        self.length += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
