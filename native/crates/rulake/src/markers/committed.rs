//! Reading which sessions were committed.

use std::collections::HashMap;
use std::path::Path;

use super::marker::{Marker, Participant};
use super::{check_reach, dir};
use crate::wal::{self, LogHeader, Reach, Tail};
use crate::{Error, Result};

/// How often logs may go while they are read.
const ATTEMPTS: u32 = 16;

/// The sessions that were committed, and where.
#[derive(Debug, Default)]
pub(crate) struct Committed(HashMap<u128, Vec<Participant>>);

impl Committed {
    /// Those of a lake.
    ///
    /// # Errors
    /// `CORRUPT_FILE`, `IO`.
    pub(crate) fn read(lake: &Path) -> Result<Self> {
        let dir = dir(lake);
        let mut attempts = 0;
        loop {
            attempts += 1;
            let reach = Reach::read(&dir)?;
            let all = Self::within(&dir, reach.as_ref());
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

    /// Those of a lake where a change names a session.
    ///
    /// # Errors
    /// `CORRUPT_FILE`, also if there is nothing; `IO`.
    pub(crate) fn expect(lake: &Path) -> Result<Self> {
        let dir = dir(lake);
        if Reach::read(&dir)?.is_none() && wal::list(&dir, 0)?.is_empty() {
            return Err(Error::corrupt(&dir, "its files are missing"));
        }
        Self::read(lake)
    }

    fn within(dir: &Path, reach: Option<&Reach>) -> Result<Self> {
        let mut all = HashMap::new();
        let logs = wal::list(dir, 0)?;
        check_reach(dir, reach, &logs)?;
        if let Some(reach) = reach {
            reach.check_list(dir, &logs)?;
        }
        for (header, path) in logs {
            let (markers, tail) = read(header, &path)?;
            if let Some(reach) = reach {
                reach.check_log(&path, header, (tail.good, tail.last))?;
            }
            all.extend(markers.into_iter().map(|m| (m.session, m.participants)));
        }
        Ok(Self(all))
    }

    /// Whether a session was, in the collection whose logs have this owner.
    pub(crate) fn has(&self, session: u128, owner: u32) -> bool {
        let is_in = |part: &Participant| part.owner == owner || part.owner == 0;
        self.0
            .get(&session)
            .is_some_and(|participants| participants.iter().any(is_in))
    }

    /// Sequence up to which the logs of this owner must reach, as all changes are durable before a session is committed.
    pub(crate) fn last_of(&self, owner: u32) -> u64 {
        let all = self.0.values().flatten();
        let of_owner = all.filter(|part| part.owner == owner && owner != 0);
        of_owner.map(|part| part.sequence).max().unwrap_or(0)
    }

    #[cfg(test)]
    pub(super) fn sessions(&self) -> std::collections::HashSet<u128> {
        self.0.keys().copied().collect()
    }
}

/// What can still be read of the committed sessions of a lake.
pub(crate) fn readable(lake: &Path) -> Result<Vec<Marker>> {
    let mut all = Vec::new();
    for (header, path) in wal::list(&dir(lake), 0)? {
        let read = wal::read_log(&path, header, |entry| {
            all.extend(Marker::decode(entry.payload));
            Ok(())
        });
        // As far as it goes.
        let _ = read;
    }
    Ok(all)
}

pub(super) fn read(header: LogHeader, path: &Path) -> Result<(Vec<Marker>, Tail)> {
    let mut markers = Vec::new();
    // A torn tail is a session that was not committed.
    let tail = wal::read_log(path, header, |entry| {
        let marker = Marker::decode(entry.payload).ok_or_else(|| {
            let reason = format!("the record at offset {} makes no sense", entry.offset);
            Error::corrupt(path, reason)
        })?;
        markers.push(marker);
        Ok(())
    })?;
    Ok((markers, tail))
}
