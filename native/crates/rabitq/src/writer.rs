//! Files that appear whole or not at all.

use std::fs::{self, File};
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Error, Result};

/// Bytes handed to the system at a time. Linux without preemption copies what one call writes in units of up to megabytes,
/// and whatever waits for the CPU meanwhile, such as an event loop, waits for all of it.
const PIECE: usize = 128 << 10;

/// A file written under a temporary name and renamed into place once it is safe on disk. Dropped uncommitted, it vanishes.
pub(crate) struct AtomicFile {
    target: PathBuf,
    temporary: PathBuf,
    out: Option<BufWriter<File>>,
    position: u64,
}

impl AtomicFile {
    pub(crate) fn create(target: &Path) -> Result<Self> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let unique = COUNTER.fetch_add(1, Ordering::Relaxed);
        let temporary =
            target.with_file_name(format!(".{name}.{}.{unique}.tmp", std::process::id()));
        let file = File::create_new(&temporary).map_err(|source| Error::Io {
            path: target.into(),
            source,
        })?;
        Ok(Self {
            target: target.into(),
            temporary,
            out: Some(BufWriter::with_capacity(PIECE, file)),
            position: 0,
        })
    }

    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.position += bytes.len() as u64;
        self.with(|out| {
            bytes
                .chunks(PIECE)
                .try_for_each(|piece| out.write_all(piece))
        })
    }

    /// Overwrites the first bytes.
    pub(crate) fn write_head(&mut self, bytes: &[u8]) -> Result<()> {
        self.with(|out| {
            out.seek(SeekFrom::Start(0))?;
            out.write_all(bytes)
        })
    }

    /// Flushes, syncs, renames, and syncs the directory.
    pub(crate) fn commit(mut self) -> Result<()> {
        self.with(|out| {
            out.flush()?;
            out.get_ref().sync_all()
        })?;
        self.out = None;
        let io = |source| Error::Io {
            path: self.target.clone(),
            source,
        };
        fs::rename(&self.temporary, &self.target).map_err(io)?;
        sync_directory(&self.target).map_err(io)
    }

    fn with(
        &mut self,
        act: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>,
    ) -> Result<()> {
        match &mut self.out {
            Some(out) => act(out).map_err(|source| Error::Io {
                path: self.target.clone(),
                source,
            }),
            None => Ok(()),
        }
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        // After a commit the temporary name is gone and this does nothing.
        let _ = fs::remove_file(&self.temporary);
    }
}

/// Makes a rename in the directory of `path` durable. Windows has no such call and needs none.
fn sync_directory(path: &Path) -> std::io::Result<()> {
    if cfg!(unix) {
        let parent = path
            .parent()
            .filter(|p| !p.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}
