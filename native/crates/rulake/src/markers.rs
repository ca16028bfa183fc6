//! Which sessions over several collections were committed: `.sessions/` of the lake.
//!
//! Such a session first goes to the log of each collection, fsynced, as a change that names it. Then one record here,
//! fsynced, commits it in all of them at once. A change whose session has no record here never happened.
//!
//! The files are [logs](crate::wal). The payload of a record is the id of the session (16 bytes), the number of its
//! collections u32, and for each the length of its name u16, the name, and the sequence it has there u64.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::manifest::{self, now};
use crate::wal::{self, Log, LogHeader, Reach, Tail};
use crate::{Error, Result, files};

/// How often logs may go while they are read.
const ATTEMPTS: u32 = 16;

const DIRECTORY: &str = ".sessions";

/// A collection of a session and the sequence of its change there.
pub(crate) type Participant = (String, u64);

/// A committed session.
type Marker = (u128, Vec<Participant>);

/// The log of markers, open for writing once there is something to write.
pub(crate) struct Markers {
    dir: PathBuf,
    log: Option<Log>,
    /// Why nothing more can be written.
    failed: Option<String>,
}

impl Markers {
    pub(crate) fn new(lake: &Path) -> Self {
        Self::at(&dir(lake))
    }

    /// In a directory of another name.
    pub(crate) fn at(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            log: None,
            failed: None,
        }
    }

    /// Before a session goes to any log: where one is, there is a file here that says so.
    pub(crate) fn begin(&self) -> Result<()> {
        files::create_dir(&self.dir)?;
        if wal::reach_path(&self.dir).exists() {
            return Ok(());
        }
        Reach::begin(&self.dir)
    }

    /// Ends the log.
    pub(crate) fn close(&mut self) -> Result<()> {
        match self.log.take() {
            Some(log) if self.failed.is_none() => log.close(),
            _ => Ok(()),
        }
    }

    /// Commits a session. After an error nobody knows whether it was committed, until the lake is opened again.
    pub(crate) fn commit(&mut self, session: u128, participants: &[Participant]) -> Result<()> {
        if let Some(reason) = &self.failed {
            return Err(Error::Poisoned {
                collection: DIRECTORY.into(),
                reason: reason.clone(),
            });
        }
        let written = self.write(session, participants);
        if let Err(error) = &written {
            self.failed = Some(error.to_string());
        }
        written
    }

    fn write(&mut self, session: u128, participants: &[Participant]) -> Result<()> {
        let log = match &mut self.log {
            Some(log) => log,
            none => none.insert(create(&self.dir)?),
        };
        append(log, session, participants);
        log.write()?;
        log.sync()
    }
}

/// Creates the log of a new writer. It takes over what is still needed of the logs before it, which go then: there is one
/// log, and that is missed if it is lost.
fn create(dir: &Path) -> Result<Log> {
    let before = wal::list(dir, 0)?;
    let last = before.last().map_or(0, |(header, _)| header.epoch);
    let header = LogHeader {
        epoch: last + 1,
        first_sequence: 1,
        owner: 0,
    };
    let mut log = Log::create(dir, header)?;
    // What cannot be read is reported by the collection that needs it.
    if let Ok(needed) = needed(dir, &before) {
        for (session, participants) in &needed {
            append(&mut log, *session, participants);
        }
        log.write()?;
        log.sync()?;
        log.note_reach();
        for (_, path) in &before {
            files::remove_file(path)?;
        }
    }
    Ok(log)
}

fn append(log: &mut Log, session: u128, participants: &[Participant]) {
    log.append(now(), |out| {
        out.extend_from_slice(&session.to_le_bytes());
        out.extend_from_slice(&(participants.len() as u32).to_le_bytes());
        for (name, sequence) in participants {
            out.extend_from_slice(&(name.len() as u16).to_le_bytes());
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(&sequence.to_le_bytes());
        }
    });
}

pub(crate) fn dir(lake: &Path) -> PathBuf {
    lake.join(DIRECTORY)
}

/// Whether a session was committed that a change tells of.
///
/// # Errors
/// `CORRUPT_FILE`, `IO`.
pub(crate) fn is_committed(lake: &Path, session: u128) -> Result<bool> {
    let dir = dir(lake);
    if Reach::read(&dir)?.is_none() && wal::list(&dir, 0)?.is_empty() {
        return Err(Error::corrupt(&dir, "its files are missing"));
    }
    Ok(committed(lake)?.contains(&session))
}

/// Ids of the committed sessions of a lake.
///
/// # Errors
/// `CORRUPT_FILE`, `IO`.
pub(crate) fn committed(lake: &Path) -> Result<HashSet<u128>> {
    let dir = dir(lake);
    let mut attempts = 0;
    loop {
        attempts += 1;
        let reach = Reach::read(&dir)?;
        let all = committed_within(&dir, reach.as_ref());
        // A writer in another process removes logs when it has copied what is needed of them, or nothing is.
        let is_gone = all
            .as_ref()
            .is_err_and(|error| error.code() == "FILE_NOT_FOUND");
        let is_settled = !is_gone && Reach::read(&dir)? == reach;
        if all.is_ok() || is_settled || attempts == ATTEMPTS {
            return all;
        }
    }
}

fn committed_within(dir: &Path, reach: Option<&Reach>) -> Result<HashSet<u128>> {
    let mut all = HashSet::new();
    let logs = wal::list(dir, 0)?;
    if let Some(reach) = reach {
        reach.check_list(dir, &logs)?;
    }
    for (header, path) in logs {
        let (sessions, tail) = read(header, &path)?;
        if let Some(reach) = reach {
            reach.check_log(&path, header, (tail.good, tail.last))?;
        }
        all.extend(sessions.into_iter().map(|(session, _)| session));
    }
    Ok(all)
}

/// What can still be read of the committed sessions of a lake.
pub(crate) fn readable(lake: &Path) -> Result<Vec<Marker>> {
    let mut all = Vec::new();
    for (header, path) in wal::list(&dir(lake), 0)? {
        let read = wal::read_log(&path, header, |entry| {
            all.extend(decode(entry.payload));
            Ok(())
        });
        // As far as it goes.
        let _ = read;
    }
    Ok(all)
}

fn read(header: LogHeader, path: &Path) -> Result<(Vec<Marker>, Tail)> {
    let mut sessions = Vec::new();
    // A torn tail is a session that was not committed.
    let tail = wal::read_log(path, header, |entry| {
        let marker = decode(entry.payload).ok_or_else(|| {
            let reason = format!("the record at offset {} makes no sense", entry.offset);
            Error::corrupt(path, reason)
        })?;
        sessions.push(marker);
        Ok(())
    })?;
    Ok((sessions, tail))
}

fn decode(payload: &[u8]) -> Option<Marker> {
    let (session, rest) = payload.split_first_chunk::<16>()?;
    let (count, mut rest) = rest.split_first_chunk::<4>()?;
    let mut participants = Vec::new();
    for _ in 0..u32::from_le_bytes(*count) {
        let (length, after) = rest.split_first_chunk::<2>()?;
        let (name, after) = after.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
        let (sequence, after) = after.split_first_chunk::<8>()?;
        let name = std::str::from_utf8(name).ok()?.to_owned();
        participants.push((name, u64::from_le_bytes(*sequence)));
        rest = after;
    }
    rest.is_empty()
        .then_some((u128::from_le_bytes(*session), participants))
}

/// Removes the logs if no collection's log has a change of their sessions any more.
pub(crate) fn prune(lake: &Path) -> Result<()> {
    let dir = dir(lake);
    files::remove_drafts(&dir)?;
    let logs = wal::list(&dir, 0)?;
    if logs.is_empty() {
        return Ok(());
    }
    let is_whole = match Reach::read(&dir) {
        Ok(Some(reach)) => reach.check(&dir).is_ok(),
        Ok(None) => true,
        Err(_) => false,
    };
    // What cannot be read is reported by the collection that needs it.
    if is_whole && needed(&dir, &logs).is_ok_and(|needed| needed.is_empty()) {
        Reach::forget(&dir)?;
        for (_, path) in &logs {
            files::remove_file(path)?;
        }
    }
    Ok(())
}

/// Sessions with a change behind the oldest generation of a collection, so that it may have to be replayed.
fn needed(dir: &Path, logs: &[(LogHeader, PathBuf)]) -> Result<Vec<Marker>> {
    let lake = dir.parent().unwrap_or(dir);
    let mut oldest = HashMap::new();
    let mut all = Vec::new();
    for (header, path) in logs {
        for (session, participants) in read(*header, path)?.0 {
            let mut is_needed = false;
            for (name, sequence) in &participants {
                let oldest = match oldest.entry(name.clone()) {
                    Entry::Occupied(known) => *known.get(),
                    Entry::Vacant(unknown) => *unknown.insert(oldest_sequence(&lake.join(name))?),
                };
                is_needed |= *sequence > oldest;
            }
            if is_needed {
                all.push((session, participants));
            }
        }
    }
    Ok(all)
}

/// Of the oldest generation of a collection: 0 if it cannot be read, and more than any if there is no collection.
fn oldest_sequence(collection: &Path) -> Result<u64> {
    Ok(match manifest::generations(collection)?.first() {
        Some(oldest) => {
            manifest::read(collection, *oldest).map_or(0, |(manifest, _)| manifest.sequence)
        }
        None => u64::MAX,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load;
    use crate::options::{CollectionOptions, Settings};

    #[test]
    fn what_was_committed_is_known_and_forgotten_with_its_collections() {
        let lake = tempfile::tempdir().unwrap();
        let settings = Settings::new(&CollectionOptions::default()).unwrap();
        load::create(&lake.path().join("b"), "b", &settings).unwrap();
        assert!(committed(lake.path()).unwrap().is_empty());
        for session in [5, u128::MAX] {
            let mut markers = Markers::new(lake.path());
            markers.begin().unwrap();
            markers
                .commit(session, &[("ä".into(), 7), ("b".into(), 9)])
                .unwrap();
            markers.commit(session - 1, &[("ä".into(), 8)]).unwrap();
        }
        let all = committed(lake.path()).unwrap();
        assert_eq!(all, HashSet::from([5, u128::MAX, u128::MAX - 1]));
        assert_eq!(wal::list(&dir(lake.path()), 0).unwrap().len(), 1);
        prune(lake.path()).unwrap();
        assert_eq!(committed(lake.path()).unwrap(), all);
        std::fs::remove_dir_all(lake.path().join("b")).unwrap();
        prune(lake.path()).unwrap();
        assert!(committed(lake.path()).unwrap().is_empty());
        assert_eq!(files::names(&dir(lake.path())).unwrap(), ["reach.json"]);
    }
}
