//! Which sessions over several collections were committed: `.sessions/` of the lake.
//!
//! Such a session first goes to the log of each collection, fsynced, as a change that names it. Then one record here,
//! fsynced, commits it in all of them at once. A change whose session has no record here never happened.
//!
//! The files are [logs](crate::wal).

mod committed;
mod marker;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::{Path, PathBuf};

use crate::manifest::{self, now};
use crate::wal::{self, Log, LogHeader, Reach};
use crate::{Error, Result, files};

pub(crate) use committed::{Committed, readable};
pub(crate) use marker::{Marker, Participant};

const DIRECTORY: &str = ".sessions";

/// The owner in the header of a log beside which `reach.json` must be: logs of early versions may lack it.
const OWNER: u32 = 1;

/// Bytes at which the log is made anew, without what is not needed any more.
const FULL_BYTES: u64 = 1 << 20;

/// The log of markers, open for writing once there is something to write.
pub(crate) struct Markers {
    dir: PathBuf,
    log: Option<Log>,
    /// Bytes at which it is made anew: twice what was needed when it was made, at least.
    full: u64,
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
            full: FULL_BYTES,
            failed: None,
        }
    }

    /// Before a session goes to any log: where one is, there is a file here that says so. And whatever can fail without
    /// leaving a doubt should have done so.
    pub(crate) fn begin(&mut self) -> Result<()> {
        self.check()?;
        if !wal::reach_path(&self.dir).exists() {
            files::create_dir(&self.dir)?;
            check_reach(&self.dir, None, &wal::list(&self.dir, 0)?)?;
            Reach::begin(&self.dir)?;
        }
        if let Some(log) = self.log.take_if(|log| log.bytes() >= self.full) {
            log.close()?;
        }
        if self.log.is_none() {
            let log = create(&self.dir)?;
            self.full = FULL_BYTES.max(2 * log.bytes());
            self.log = Some(log);
        }
        Ok(())
    }

    /// Ends the log.
    pub(crate) fn close(&mut self) -> Result<()> {
        match self.log.take() {
            Some(log) if self.failed.is_none() => log.close(),
            _ => Ok(()),
        }
    }

    /// Commits a session that was begun. After an error nobody knows whether it was committed, until the lake is opened
    /// again.
    pub(crate) fn commit(&mut self, marker: &Marker) -> Result<()> {
        self.check()?;
        let Some(log) = &mut self.log else {
            return Err(Error::Internal("a session was not begun".into()));
        };
        append(log, marker);
        let written = log.write().and_then(|()| log.sync());
        if let Err(error) = &written {
            self.failed = Some(error.to_string());
        }
        written
    }

    fn check(&self) -> Result<()> {
        match &self.failed {
            None => Ok(()),
            Some(reason) => Err(Error::Poisoned {
                collection: DIRECTORY.into(),
                reason: reason.clone(),
            }),
        }
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
        owner: OWNER,
    };
    let mut log = Log::create(dir, header)?;
    // What cannot be read is reported by the collection that needs it.
    if let Ok(needed) = needed(dir, &before) {
        for marker in &needed {
            append(&mut log, marker);
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

/// Whether `reach.json` is there if it must be.
///
/// # Errors
/// `CORRUPT_FILE`.
fn check_reach(dir: &Path, reach: Option<&Reach>, logs: &[(LogHeader, PathBuf)]) -> Result<()> {
    let needs_it = |(_, path): &(LogHeader, PathBuf)| wal::owner_in(path) != Some(0);
    if reach.is_none() && logs.iter().any(needs_it) {
        return Err(Error::corrupt(&wal::reach_path(dir), "it is missing"));
    }
    Ok(())
}

fn append(log: &mut Log, marker: &Marker) {
    log.append(now(), |out| marker.encode(out));
}

pub(crate) fn dir(lake: &Path) -> PathBuf {
    lake.join(DIRECTORY)
}

/// Notes how far the log reaches durably, before a generation has what its sessions have changed. Not to be able to is no
/// failure.
pub(crate) fn note_reach(lake: &Path) {
    let dir = dir(lake);
    let note = || -> Result<()> {
        for (header, path) in wal::list(&dir, 0)?.into_iter().rev() {
            let tail = wal::read_log(&path, header, |_| Ok(()))?;
            // One in the making, or that a crash has left without a header. A session under way may not be durable yet.
            if tail.synced < header.first_sequence {
                continue;
            }
            let is_noted = |reach: Reach| reach.names(header) && reach.sequence() >= tail.synced;
            if !Reach::read(&dir)?.is_some_and(is_noted) {
                Reach::new(header, tail.synced).write(&dir)?;
            }
            break;
        }
        Ok(())
    };
    let _ = note();
}

/// Takes over what the writer before has left, which may have been killed. The logs are removed if no collection's log has
/// a change of their sessions any more.
pub(crate) fn take_over(lake: &Path) -> Result<()> {
    let dir = dir(lake);
    if !dir.is_dir() {
        return Ok(());
    }
    files::sync_dir(&dir)?;
    files::remove_drafts(&dir)?;
    let logs = wal::list(&dir, 0)?;
    if logs.is_empty() {
        return Ok(());
    }
    for (header, path) in &logs {
        if let Ok(tail) = wal::read_log(path, *header, |_| Ok(())) {
            wal::settle(path, tail)?;
        }
    }
    let is_whole = match Reach::read(&dir) {
        Ok(Some(reach)) => reach.check(&dir).is_ok(),
        Ok(None) => check_reach(&dir, None, &logs).is_ok(),
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
        for marker in committed::read(*header, path)?.0 {
            let mut is_needed = false;
            for part in &marker.participants {
                let (owner, sequence) = match oldest.entry(part.name.clone()) {
                    Entry::Occupied(known) => *known.get(),
                    Entry::Vacant(unknown) => *unknown.insert(oldest_of(&lake.join(&part.name))?),
                };
                let is_another = part.owner != 0 && owner != 0 && part.owner != owner;
                is_needed |= part.sequence > sequence && !is_another;
            }
            if is_needed {
                all.push(marker);
            }
        }
    }
    Ok(all)
}

/// The owner of the logs of a collection, and the sequence of its oldest generation: 0 if that cannot be read, and more
/// than any if there is no collection.
fn oldest_of(collection: &Path) -> Result<(u32, u64)> {
    let Some(oldest) = manifest::generations(collection)?.first().copied() else {
        return Ok((0, u64::MAX));
    };
    let read = manifest::read(collection, oldest)
        .and_then(|(manifest, _)| Ok((manifest.log_owner(collection)?, manifest.sequence)));
    Ok(read.unwrap_or((0, 0)))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::load;
    use crate::options::{CollectionOptions, Settings};

    fn marker(session: u128, participants: &[(&str, u64)]) -> Marker {
        let participants = participants.iter().map(|&(name, sequence)| Participant {
            name: name.into(),
            sequence,
            owner: 0,
        });
        Marker {
            session,
            participants: participants.collect(),
        }
    }

    #[test]
    fn what_was_committed_is_known_and_forgotten_with_its_collections() {
        let lake = tempfile::tempdir().unwrap();
        let committed = || Committed::read(lake.path()).unwrap().sessions();
        let settings = Settings::new(&CollectionOptions::default()).unwrap();
        load::create(&lake.path().join("b"), "b", &settings).unwrap();
        assert!(committed().is_empty());
        for session in [5, u128::MAX] {
            let mut markers = Markers::new(lake.path());
            markers.begin().unwrap();
            markers
                .commit(&marker(session, &[("ä", 7), ("b", 9)]))
                .unwrap();
            markers.commit(&marker(session - 1, &[("ä", 8)])).unwrap();
        }
        let all = HashSet::from([5, u128::MAX, u128::MAX - 1]);
        assert_eq!(committed(), all);
        assert_eq!(wal::list(&dir(lake.path()), 0).unwrap().len(), 1);
        take_over(lake.path()).unwrap();
        assert_eq!(committed(), all);
        std::fs::remove_dir_all(lake.path().join("b")).unwrap();
        take_over(lake.path()).unwrap();
        assert!(committed().is_empty());
        assert_eq!(files::names(&dir(lake.path())).unwrap(), ["reach.json"]);
    }

    #[test]
    fn a_log_without_a_header_is_not_expected_to_have_one() {
        let lake = tempfile::tempdir().unwrap();
        let mut markers = Markers::new(lake.path());
        markers.begin().unwrap();
        markers.commit(&marker(5, &[("a", 3)])).unwrap();
        // The process ended after it had made the next file.
        let torn = LogHeader {
            epoch: 2,
            first_sequence: 1,
            owner: OWNER,
        };
        let dir = dir(lake.path());
        for bytes in [0, 31] {
            std::fs::write(dir.join(torn.file_name()), vec![0; bytes]).unwrap();
            note_reach(lake.path());
            let reach = Reach::expect(&dir).unwrap();
            assert!(!reach.names(torn) && reach.sequence() == 1);
            reach.check(&dir).unwrap();
            let committed = Committed::read(lake.path()).unwrap().sessions();
            assert_eq!(committed, HashSet::from([5]));
        }
    }

    #[test]
    fn a_session_that_is_not_durable_yet_is_not_expected() {
        let lake = tempfile::tempdir().unwrap();
        let mut markers = Markers::new(lake.path());
        markers.begin().unwrap();
        markers.commit(&marker(5, &[("a", 3)])).unwrap();
        // Another is being committed while a collection is flushed.
        let log = markers.log.as_mut().unwrap();
        append(log, &marker(6, &[("a", 4)]));
        log.write().unwrap();
        note_reach(lake.path());
        assert_eq!(Reach::expect(&dir(lake.path())).unwrap().sequence(), 1);
        log.sync().unwrap();
        note_reach(lake.path());
        assert_eq!(Reach::expect(&dir(lake.path())).unwrap().sequence(), 2);
    }

    #[test]
    fn the_log_is_made_anew_when_it_is_full() {
        let lake = tempfile::tempdir().unwrap();
        let settings = Settings::new(&CollectionOptions::default()).unwrap();
        load::create(&lake.path().join("a"), "a", &settings).unwrap();
        let mut markers = Markers::new(lake.path());
        // Only sessions with `a` are needed.
        for session in 1..=100 {
            let name = if session % 10 == 0 { "a" } else { "gone" };
            markers.begin().unwrap();
            markers.commit(&marker(session, &[(name, 1)])).unwrap();
            if session == 50 {
                markers.full = 1;
            }
        }
        let logs = wal::list(&dir(lake.path()), 0).unwrap();
        assert_eq!((logs.len(), logs[0].0.epoch), (1, 2));
        let committed = Committed::read(lake.path()).unwrap().sessions();
        assert!((1..=10).all(|tenth| committed.contains(&(10 * tenth))));
        assert!(!committed.contains(&49) && committed.contains(&51));
    }

    #[test]
    fn a_change_belongs_to_one_collection_of_a_name() {
        let lake = tempfile::tempdir().unwrap();
        let settings = Settings::new(&CollectionOptions::default()).unwrap();
        let make = || {
            load::create(&lake.path().join("a"), "a", &settings).unwrap();
            oldest_of(&lake.path().join("a")).unwrap().0
        };
        let owner = make();
        let mut marker = marker(5, &[("a", 3)]);
        marker.participants[0].owner = owner;
        let mut markers = Markers::new(lake.path());
        markers.begin().unwrap();
        markers.commit(&marker).unwrap();
        let committed = Committed::read(lake.path()).unwrap();
        assert_eq!(committed.last_of(owner), 3);
        assert_eq!(committed.last_of(owner ^ 1), 0);
        assert!(
            committed.has(5, owner) && !committed.has(5, owner ^ 1) && !committed.has(6, owner)
        );
        std::fs::remove_dir_all(lake.path().join("a")).unwrap();
        assert_ne!(make(), owner);
        take_over(lake.path()).unwrap();
        assert!(wal::list(&dir(lake.path()), 0).unwrap().is_empty());
    }
}
