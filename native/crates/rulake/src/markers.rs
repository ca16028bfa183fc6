//! Which sessions over several collections were committed: `.sessions/` of the lake.
//!
//! Such a session first goes to the log of each collection, fsynced, as a change that names it. Then one record here,
//! fsynced, commits it in all of them at once. A change whose session has no record here never happened.
//!
//! The files are [logs](crate::wal). The payload of a record is the id of the session (16 bytes), the number of its
//! collections u32, and for each the length of its name u16, the name, and the sequence it has there u64.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::manifest::{self, now};
use crate::wal::{self, Log, LogHeader};
use crate::{Error, Result, files};

const DIRECTORY: &str = ".sessions";

/// A collection of a session and the sequence of its change there.
pub(crate) type Participant = (String, u64);

/// The log of markers, open for writing once there is something to write.
pub(crate) struct Markers {
    dir: PathBuf,
    log: Option<Log>,
    /// Why nothing more can be written.
    failed: Option<String>,
}

impl Markers {
    pub(crate) fn new(lake: &Path) -> Self {
        Self {
            dir: lake.join(DIRECTORY),
            log: None,
            failed: None,
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
            none => {
                files::create_dir(&self.dir)?;
                let last = wal::list(&self.dir, 0)?
                    .last()
                    .map_or(0, |(header, _)| header.epoch);
                let header = LogHeader {
                    epoch: last + 1,
                    first_sequence: 1,
                    owner: 0,
                };
                none.insert(Log::create(&self.dir, header)?)
            }
        };
        log.append(now(), |out| {
            out.extend_from_slice(&session.to_le_bytes());
            out.extend_from_slice(&(participants.len() as u32).to_le_bytes());
            for (name, sequence) in participants {
                out.extend_from_slice(&(name.len() as u16).to_le_bytes());
                out.extend_from_slice(name.as_bytes());
                out.extend_from_slice(&sequence.to_le_bytes());
            }
        });
        log.write()?;
        log.sync()
    }
}

/// Ids of the committed sessions of a lake.
pub(crate) fn committed(lake: &Path) -> Result<HashSet<u128>> {
    let mut all = HashSet::new();
    for (header, path) in wal::list(&lake.join(DIRECTORY), 0)? {
        for (session, _) in read(header, &path)? {
            all.insert(session);
        }
    }
    Ok(all)
}

fn read(header: LogHeader, path: &Path) -> Result<Vec<(u128, Vec<Participant>)>> {
    let mut sessions = Vec::new();
    // A torn tail is a session that was not committed.
    wal::read_log(path, header, |entry| {
        let marker = decode(entry.payload).ok_or_else(|| {
            let reason = format!("the record at offset {} makes no sense", entry.offset);
            Error::corrupt(path, reason)
        })?;
        sessions.push(marker);
        Ok(())
    })?;
    Ok(sessions)
}

fn decode(payload: &[u8]) -> Option<(u128, Vec<Participant>)> {
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

/// Removes markers of which no log has the change any more. Only before anything is written.
pub(crate) fn prune(lake: &Path) -> Result<()> {
    for (header, path) in wal::list(&lake.join(DIRECTORY), 0)? {
        // What cannot be read is reported by the collection that needs it.
        let Ok(sessions) = read(header, &path) else {
            continue;
        };
        let mut needed = false;
        for (name, sequence) in sessions
            .into_iter()
            .flat_map(|(_, participants)| participants)
        {
            needed |= is_in_log(&lake.join(name), sequence)?;
        }
        if !needed {
            files::remove_file(&path)?;
        }
    }
    Ok(())
}

/// Whether a change is after the oldest generation of a collection, so that it may have to be replayed.
fn is_in_log(collection: &Path, sequence: u64) -> Result<bool> {
    match manifest::generations(collection)?.first() {
        Some(oldest) => {
            let read = manifest::read(collection, *oldest);
            Ok(read.map_or(true, |(manifest, _)| sequence > manifest.sequence))
        }
        None => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_committed_is_known_and_forgotten_with_its_collections() {
        let lake = tempfile::tempdir().unwrap();
        assert!(committed(lake.path()).unwrap().is_empty());
        for session in [5, u128::MAX] {
            let mut markers = Markers::new(lake.path());
            markers
                .commit(session, &[("ä".into(), 7), ("b".into(), 9)])
                .unwrap();
            markers.commit(session - 1, &[]).unwrap();
        }
        let all = committed(lake.path()).unwrap();
        assert_eq!(all, HashSet::from([5, 4, u128::MAX, u128::MAX - 1]));
        prune(lake.path()).unwrap();
        assert!(committed(lake.path()).unwrap().is_empty());
    }
}
