//! How far the logs of a directory reach at least, so that a last log that is lost or cut short is missed.
//!
//! `reach.json` is a sealed JSON file with the name of the newest log and the sequence it had reached, durably. It is
//! replaced when a log has been created and when one has ended; that of sessions also when a collection is flushed. A log
//! that is older than another says by itself where it has to end; the newest does not, but for this file. Not to be able
//! to write it is no failure: what it said before still holds.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::log::LogHeader;
use super::replay::{intact, list};
use crate::{Error, Result, files, sealed};

const FILE: &str = "reach.json";

/// What the newest log is, and the least it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reach {
    /// None yet if there was none.
    log: Option<String>,
    sequence: u64,
}

/// Where a directory of logs has it.
pub(crate) fn reach_path(dir: &Path) -> PathBuf {
    dir.join(FILE)
}

impl Reach {
    pub(crate) fn new(log: LogHeader, sequence: u64) -> Self {
        Self {
            log: Some(log.file_name()),
            sequence,
        }
    }

    const NONE: Self = Self {
        log: None,
        sequence: 0,
    };

    /// Says of a new directory that it has no log yet, unless it says something already.
    pub(crate) fn begin(dir: &Path) -> Result<()> {
        files::create_new(&reach_path(dir), &sealed::seal(&Self::NONE)?.0)?;
        Ok(())
    }

    /// Before all logs are removed.
    pub(crate) fn forget(dir: &Path) -> Result<()> {
        Self::NONE.write(dir)
    }

    /// What there must be where [`Reach::begin`] was called.
    ///
    /// # Errors
    /// `CORRUPT_FILE` if it is missing; those of [`Reach::read`].
    pub(crate) fn expect(dir: &Path) -> Result<Self> {
        let missing = || Error::corrupt(&reach_path(dir), "it is missing");
        Self::read(dir)?.ok_or_else(missing)
    }

    /// Replaces what the directory says, durably.
    pub(crate) fn write(&self, dir: &Path) -> Result<()> {
        files::replace(&reach_path(dir), &sealed::seal(self)?.0)
    }

    /// What a directory says; nothing if no log was ever made there, or by early versions only. To be read before the
    /// logs are listed, which others may be writing.
    ///
    /// # Errors
    /// `CORRUPT_FILE`, `IO`.
    pub(crate) fn read(dir: &Path) -> Result<Option<Self>> {
        let path = reach_path(dir);
        let Some(bytes) = files::read_if_there(&path)? else {
            return Ok(None);
        };
        let (reach, _): (Self, _) = sealed::unseal(&path, &bytes)?;
        let named = reach.log.as_deref();
        if named.is_some_and(|log| LogHeader::from_file_name(log).is_none()) {
            return Err(Error::corrupt(&path, "it names no log"));
        }
        Ok(Some(reach))
    }

    /// Whether it is about this log.
    pub(crate) fn names(&self, log: LogHeader) -> bool {
        self.log.as_deref() == Some(&*log.file_name())
    }

    /// Sequence that the log it names has at least.
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Whether the log it names is there, or a newer one, which says more.
    ///
    /// # Errors
    /// `CORRUPT_FILE`.
    pub(crate) fn check_list(&self, dir: &Path, logs: &[(LogHeader, PathBuf)]) -> Result<()> {
        let order = |log: LogHeader| (log.epoch, log.first_sequence);
        let newest = logs.iter().map(|(header, _)| order(*header)).max();
        let Some(log) = &self.log else {
            return Ok(());
        };
        if LogHeader::from_file_name(log).map(order) <= newest {
            return Ok(());
        }
        let reason = format!(
            "it is missing; it had changes up to sequence {}",
            self.sequence
        );
        Err(Error::corrupt(&dir.join(log), reason))
    }

    /// Whether a log, as far as it is intact, has what this says of it.
    ///
    /// # Errors
    /// `CORRUPT_FILE`.
    pub(crate) fn check_log(
        &self,
        path: &Path,
        log: LogHeader,
        (good, last): (u64, u64),
    ) -> Result<()> {
        if !self.names(log) || good > 0 && last >= self.sequence {
            return Ok(());
        }
        let reason = if good == 0 {
            "it has lost its header".to_owned()
        } else {
            format!(
                "it ends with the change of sequence {last}, although that of {} was in it",
                self.sequence
            )
        };
        Err(Error::corrupt(path, reason))
    }

    /// Whether the logs of a directory, as far as they are intact, have what this says.
    ///
    /// # Errors
    /// `CORRUPT_FILE`, `IO`.
    pub(crate) fn check(&self, dir: &Path) -> Result<()> {
        let logs = list(dir, 0)?;
        self.check_list(dir, &logs)?;
        for (header, path) in logs.iter().filter(|(header, _)| self.names(*header)) {
            let found = intact(path, *header)?;
            self.check_log(path, *header, (found.good, found.last))?;
        }
        Ok(())
    }
}
