//! The right to write: an operating-system lock on the file `LOCK`, gone with the process that holds it.
//!
//! The file counts the writers there were. Who holds it looks again before anything is acknowledged: if the file was
//! replaced, or somebody has counted on, the lock was worth nothing, and another writer may be at work.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::IoContext;
use crate::files::NOT_A_FILE;
use crate::manifest::now;
use crate::{Error, Result};

/// Of the file.
pub(crate) const NAME: &str = "LOCK";

/// Held as long as it lives.
#[derive(Debug)]
pub(crate) struct Lock {
    path: PathBuf,
    file: File,
    epoch: u64,
}

#[derive(Serialize, Deserialize)]
struct Holder {
    /// Of the writer; the next one has a higher one.
    #[serde(default)]
    epoch: u64,
    pid: u32,
    host: String,
    /// Milliseconds since 1970.
    since: u64,
}

impl Lock {
    /// # Errors
    /// `LAKE_LOCKED` naming the holder.
    pub(crate) fn acquire(lake: &Path) -> Result<Self> {
        let path = lake.join(NAME);
        loop {
            let lock = Self::acquire_file(lake, &path)?;
            // Whoever replaces the file while it is being locked has another file.
            if lock.is_in_place()? {
                return Ok(lock);
            }
        }
    }

    fn acquire_file(lake: &Path, path: &Path) -> Result<Self> {
        if path.is_dir() {
            return Err(Error::corrupt(path, NOT_A_FILE));
        }
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path);
        let mut file = match opened {
            Err(_) if leads_nowhere(path) => {
                return Err(Error::corrupt(path, "it is a link that leads nowhere"));
            }
            opened => opened.at(path)?,
        };
        if !file.metadata().at(path)?.is_file() {
            return Err(Error::corrupt(path, NOT_A_FILE));
        }
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = describe(&mut file);
                return Err(Error::Locked {
                    path: lake.to_owned(),
                    holder,
                });
            }
            Err(TryLockError::Error(source)) => {
                return Err(Error::Io {
                    path: path.to_owned(),
                    source,
                });
            }
        }
        // A file of which nothing can be read has counted nobody who is still there.
        let epoch = 1 + read(&mut file).map_or(0, |before| before.epoch);
        let holder = Holder {
            epoch,
            pid: std::process::id(),
            host: host(),
            since: now(),
        };
        let text =
            serde_json::to_vec(&holder).map_err(|error| Error::Internal(error.to_string()))?;
        // Not fsynced: what a power cut leaves does not matter, as it leaves no other writer.
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(&text))
            .at(path)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            epoch,
        })
    }

    /// Whether the right to write is still what it was.
    ///
    /// # Errors
    /// `WRITER_FENCED`, `IO`.
    pub(crate) fn check(&self) -> Result<()> {
        let fenced = |reason: String| Error::Fenced {
            path: self.path.clone(),
            reason,
        };
        if !self.is_in_place()? {
            return Err(fenced("it was removed or replaced".into()));
        }
        match self.holder() {
            Some(holder) if holder.epoch == self.epoch => Ok(()),
            Some(holder) => Err(fenced(format!("it was taken by {}", holder.describe()))),
            None => Err(fenced("it was overwritten".into())),
        }
    }

    /// Whether its path leads to the file that is locked.
    #[cfg(unix)]
    fn is_in_place(&self) -> Result<bool> {
        use std::os::unix::fs::MetadataExt;
        let here = self.file.metadata().at(&self.path)?;
        match std::fs::metadata(&self.path) {
            Ok(there) => Ok((there.dev(), there.ino()) == (here.dev(), here.ino())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error).at(&self.path),
        }
    }

    /// What the file says now.
    #[cfg(unix)]
    fn holder(&self) -> Option<Holder> {
        use std::os::unix::fs::FileExt;
        let mut text = [0; 512];
        let length = self.file.read_at(&mut text, 0).ok()?;
        serde_json::from_slice(text.get(..length)?).ok()
    }

    /// Elsewhere a file that is locked can be neither written nor replaced.
    #[cfg(not(unix))]
    fn is_in_place(&self) -> Result<bool> {
        Ok(self.path.exists())
    }

    #[cfg(not(unix))]
    fn holder(&self) -> Option<Holder> {
        Some(Holder {
            epoch: self.epoch,
            pid: std::process::id(),
            host: host(),
            since: 0,
        })
    }
}

/// Whether a path is a link to what is not there. What may only not be looked at can be there.
pub(crate) fn leads_nowhere(path: &Path) -> bool {
    let denied = |error: &std::io::Error| error.kind() == std::io::ErrorKind::PermissionDenied;
    path.is_symlink() && std::fs::metadata(path).is_err_and(|error| !denied(&error))
}

/// What a file says, if it says anything.
fn read(file: &mut File) -> Option<Holder> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

impl Holder {
    fn describe(&self) -> String {
        let seconds = now().saturating_sub(self.since) / 1000;
        format!(
            "process {} on {}, since {} ({seconds} s ago)",
            self.pid,
            self.host,
            utc(self.since / 1000)
        )
    }
}

fn describe(file: &mut File) -> String {
    // On Windows a locked file cannot be read; then only the fact is known.
    match read(file) {
        Some(holder) => holder.describe(),
        None => "another process".into(),
    }
}

fn host() -> String {
    let from_file = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| std::fs::read_to_string("/etc/hostname"));
    let from_env = || std::env::var("COMPUTERNAME").or_else(|_| std::env::var("HOSTNAME"));
    match from_file.or_else(|_| from_env()) {
        Ok(name) if !name.trim().is_empty() => name.trim().to_owned(),
        _ => "this machine".into(),
    }
}

/// `2026-11-20T04:37:39Z` of seconds since 1970. Days to dates after Howard Hinnant, "chrono-compatible low-level date
/// algorithms", `civil_from_days`.
fn utc(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_one_learns_who_is_first() {
        let dir = tempfile::tempdir().unwrap();
        let lock = Lock::acquire(dir.path()).unwrap();
        let error = Lock::acquire(dir.path()).unwrap_err();
        assert_eq!(
            (error.code(), error.category()),
            ("LAKE_LOCKED", crate::Category::Transient)
        );
        let text = error.to_string();
        assert!(
            text.contains(&format!("process {} on ", std::process::id())),
            "{text}"
        );
        drop(lock);
        Lock::acquire(dir.path()).unwrap();
    }

    #[test]
    fn every_writer_has_a_higher_epoch() {
        let dir = tempfile::tempdir().unwrap();
        for epoch in 1..4 {
            let lock = Lock::acquire(dir.path()).unwrap();
            assert_eq!(lock.epoch, epoch);
            lock.check().unwrap();
        }
        std::fs::write(dir.path().join("LOCK"), "{").unwrap();
        assert_eq!(Lock::acquire(dir.path()).unwrap().epoch, 1);
    }

    #[cfg(unix)]
    #[test]
    fn who_has_lost_the_lock_notices() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("LOCK");
        let reason = |lock: &Lock| {
            let error = lock.check().unwrap_err();
            assert_eq!(error.code(), "WRITER_FENCED");
            error.to_string()
        };
        let first = Lock::acquire(dir.path()).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(reason(&first).contains("removed or replaced"));
        let second = Lock::acquire(dir.path()).unwrap();
        second.check().unwrap();
        assert!(reason(&first).contains("removed or replaced"));
        // As a file system without locks would let it happen.
        std::fs::write(
            &path,
            r#"{"epoch":9,"pid":7,"host":"other","since":1795149459000}"#,
        )
        .unwrap();
        assert!(reason(&second).contains("process 7 on other, since 2026-11-20T04:37:39Z"));
        std::fs::write(&path, "").unwrap();
        assert!(reason(&second).contains("overwritten"));
    }

    #[test]
    fn times_are_utc() {
        assert_eq!(utc(0), "1970-01-01T00:00:00Z");
        assert_eq!(utc(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(utc(1_795_149_459), "2026-11-20T04:37:39Z");
        assert_eq!(utc(4_102_444_799), "2099-12-31T23:59:59Z");
    }
}
