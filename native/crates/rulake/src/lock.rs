//! The right to write: an operating-system lock on the file `LOCK`, gone with the process that holds it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::IoContext;
use crate::manifest::now;
use crate::{Error, Result};

/// Held as long as it lives.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

#[derive(Serialize, Deserialize)]
struct Holder {
    pid: u32,
    host: String,
    /// Milliseconds since 1970.
    since: u64,
}

impl Lock {
    /// # Errors
    /// `LAKE_LOCKED` naming the holder.
    pub(crate) fn acquire(lake: &Path) -> Result<Self> {
        let path = lake.join("LOCK");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .at(&path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = describe(&mut file);
                return Err(Error::Locked {
                    path: lake.to_owned(),
                    holder,
                });
            }
            Err(TryLockError::Error(source)) => return Err(Error::Io { path, source }),
        }
        // For the message of the next one only: what goes wrong here does not matter.
        let holder = Holder {
            pid: std::process::id(),
            host: host(),
            since: now(),
        };
        if let Ok(text) = serde_json::to_vec(&holder) {
            let _ = file
                .set_len(0)
                .and_then(|()| file.rewind())
                .and_then(|()| file.write_all(&text));
        }
        Ok(Self { _file: file })
    }
}

fn describe(file: &mut File) -> String {
    let mut text = String::new();
    // On Windows a locked file cannot be read; then only the fact is known.
    let holder: Option<Holder> = file
        .read_to_string(&mut text)
        .ok()
        .and_then(|_| serde_json::from_str(&text).ok());
    match holder {
        Some(Holder { pid, host, since }) => {
            let seconds = now().saturating_sub(since) / 1000;
            format!(
                "process {pid} on {host}, since {} ({seconds} s ago)",
                utc(since / 1000)
            )
        }
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
    fn times_are_utc() {
        assert_eq!(utc(0), "1970-01-01T00:00:00Z");
        assert_eq!(utc(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(utc(1_795_149_459), "2026-11-20T04:37:39Z");
        assert_eq!(utc(4_102_444_799), "2099-12-31T23:59:59Z");
    }
}
