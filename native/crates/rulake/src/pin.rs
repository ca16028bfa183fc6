//! A reader's hold on a generation, so that the writer, in whatever process, leaves its files alone.

use std::fs::{File, TryLockError};
use std::path::Path;

use crate::error::IoContext;
use crate::{Result, files, manifest};

/// A shared lock on a manifest; the system lets go of it with the process at the latest.
#[derive(Debug)]
pub(crate) struct Pin {
    _manifest: File,
}

impl Pin {
    /// Holds a generation that was there a moment ago, unless the writer has removed it since.
    ///
    /// # Errors
    /// `IO`.
    pub(crate) fn try_new(dir: &Path, generation: u64) -> Result<Option<Self>> {
        unless_gone(Self::new(dir, generation))
    }

    /// Holds a generation.
    ///
    /// # Errors
    /// `FILE_NOT_FOUND` if the writer has just removed it; `IO`.
    pub(crate) fn new(dir: &Path, generation: u64) -> Result<Self> {
        let path = manifest::path(dir, generation);
        let file = files::open(&path)?;
        // The writer holds the lock only to remove the file. File systems without locks keep no writer from anything;
        // what is open then is still there on Unix.
        if let Err(TryLockError::WouldBlock) = file.try_lock_shared() {
            return Err(std::io::Error::from(std::io::ErrorKind::NotFound)).at(&path);
        }
        // It may have gone between opening and locking.
        std::fs::metadata(&path).at(&path)?;
        Ok(Self { _manifest: file })
    }
}

/// Nothing where a file is gone that a writer in another process may remove.
pub(crate) fn unless_gone<T>(done: Result<T>) -> Result<Option<T>> {
    match done {
        Ok(done) => Ok(Some(done)),
        Err(error) if error.code() == "FILE_NOT_FOUND" => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{Retention, Settings};
    use crate::{CollectionOptions, files, retention};

    #[test]
    fn a_pinned_generation_stays() {
        let dir = tempfile::tempdir().unwrap();
        files::create_dir(&manifest::dir(dir.path())).unwrap();
        let settings = Settings::new(&CollectionOptions::default()).unwrap();
        let first = manifest::Manifest::first("docs", &settings);
        for generation in 1..=4 {
            let next = manifest::Manifest {
                generation,
                ..first.clone()
            };
            manifest::create(dir.path(), &next).unwrap();
        }
        let keep = Retention {
            generations: 1,
            milliseconds: 0,
        };
        let pin = Pin::new(dir.path(), 2).unwrap();
        retention::apply(dir.path(), keep).unwrap();
        assert_eq!(manifest::generations(dir.path()).unwrap(), [2, 4]);
        drop(pin);
        retention::apply(dir.path(), keep).unwrap();
        assert_eq!(manifest::generations(dir.path()).unwrap(), [4]);
        assert_eq!(
            Pin::new(dir.path(), 2).unwrap_err().code(),
            "FILE_NOT_FOUND"
        );
    }
}
