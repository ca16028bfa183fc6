//! Files that appear whole or not at all.

use std::fs::{self, File};
use std::io::{BufWriter, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use mapping::Watch;

use crate::{Error, Result, leftovers};

/// Bytes handed to the system at a time. Linux without preemption copies what one call writes in units of up to megabytes,
/// and whatever waits for the CPU meanwhile, such as an event loop, waits for all of it.
const PIECE: usize = 128 << 10;

/// A file written under a temporary name and renamed into place once it is safe on disk. Dropped uncommitted, it vanishes;
/// what a process leaves behind that was killed goes with the next file of the same name.
pub(crate) struct AtomicFile {
    target: PathBuf,
    temporary: PathBuf,
    out: Option<BufWriter<File>>,
    position: u64,
    watch: Watch,
}

impl AtomicFile {
    /// `watch` has seen all that was read for what will be written.
    pub(crate) fn create(target: &Path, watch: Watch) -> Result<Self> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        leftovers::remove(target, COUNTER.load(Ordering::Relaxed));
        let (temporary, file) = loop {
            let unique = COUNTER.fetch_add(1, Ordering::Relaxed);
            let temporary = leftovers::temporary(target, unique);
            match File::create_new(&temporary) {
                Ok(file) if leftovers::claim(&temporary, &file) => break (temporary, file),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(source) => {
                    return Err(Error::Io {
                        path: target.into(),
                        source,
                    });
                }
            }
        };
        Ok(Self {
            target: target.into(),
            temporary,
            out: Some(BufWriter::with_capacity(PIECE, file)),
            position: 0,
            watch,
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
        if cfg!(windows)
            && let Some(out) = &self.out
        {
            // Locks keep others from reading there, also under the new name.
            let _ = out.get_ref().unlock();
        }
        self.watch.check()?;
        let io = |source| Error::Io {
            path: self.target.clone(),
            source,
        };
        fs::rename(&self.temporary, &self.target).map_err(io)?;
        self.out = None;
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
        self.out = None;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_an_earlier_process_of_the_same_id_has_left_are_no_obstacle() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.rbq");
        for unique in 0..2000 {
            fs::create_dir(leftovers::temporary(&target, unique)).unwrap();
        }
        let mut file = AtomicFile::create(&target, Watch::begin()).unwrap();
        file.write(b"whole").unwrap();
        file.commit().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"whole");
    }
}
