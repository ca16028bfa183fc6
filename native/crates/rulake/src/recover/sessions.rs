//! Recovering which sessions over several collections were committed.
//!
//! Where a log of sessions is damaged, those that the collections' logs tell of are taken to have been committed, as all
//! but those are that a crash or a conflict has ended. Row numbers show the latter: a session that did not happen
//! has taken none.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use super::place;
use crate::error::IoContext;
use crate::lake::INCOMING;
use crate::markers::{self, Markers, Participant};
use crate::ulid::Ulid;
use crate::{Result, files, load, wal};

/// Makes the log of sessions anew if it is damaged.
pub(super) fn recover(lake: &Path) -> Result<Vec<String>> {
    let logged = logged(lake)?;
    let damage = match logged.keys().next() {
        None => return Ok(Vec::new()),
        Some(session) => match markers::is_committed(lake, *session) {
            Err(error) if ["CORRUPT_FILE", "FILE_NOT_FOUND"].contains(&error.code()) => error,
            other => return other.map(|_| Vec::new()),
        },
    };
    let mut all: BTreeMap<u128, Vec<Participant>> = markers::readable(lake)?.into_iter().collect();
    let read = all.len();
    for (session, participants) in logged {
        all.entry(session).or_insert(participants);
    }
    let assumed = all.len() - read;
    // Removed by the next opening if there is a crash before it is in its place.
    let incoming = lake.join(format!("{INCOMING}{}", Ulid::unique()));
    let mut log = Markers::at(&incoming);
    log.begin()?;
    for (session, participants) in &all {
        log.commit(*session, participants)?;
    }
    log.close()?;
    let (dir, place) = (markers::dir(lake), place(lake));
    files::create_dir(&place)?;
    let damaged = place.join("sessions");
    if dir.exists() {
        if files::exchange(&incoming, &dir)? {
            std::fs::rename(&incoming, &damaged).at(&incoming)?;
        } else {
            std::fs::rename(&dir, &damaged).at(&dir)?;
        }
    }
    if !dir.exists() {
        std::fs::rename(&incoming, &dir).at(&incoming)?;
    }
    files::sync_dir(lake)?;
    Ok(vec![format!(
        "{damage}; {assumed} sessions of which the collections tell were taken to have been committed"
    )])
}

/// Sessions of which the logs of collections tell, as far as they are intact, but those that did not happen.
fn logged(lake: &Path) -> Result<BTreeMap<u128, Vec<Participant>>> {
    let mut found: BTreeMap<u128, Vec<Participant>> = BTreeMap::new();
    let mut refuted = HashSet::new();
    for name in files::names(lake)? {
        let dir = lake.join(&name);
        if !load::exists(&dir)? {
            continue;
        }
        // The last sessions, with their first row each, that no row number has told of yet.
        let mut open: Vec<(u128, i64)> = Vec::new();
        for (header, path) in wal::list(&wal::dir(&dir), 0)? {
            let read = wal::read_log(&path, header, |entry| {
                let Some(change) = wal::decode(entry.payload) else {
                    return Ok(());
                };
                if !change.batch.is_empty() {
                    let ended = open.drain(..).filter(|(_, row)| *row == change.first_row);
                    refuted.extend(ended.map(|(session, _)| session));
                }
                if change.session != 0 {
                    let participants = found.entry(change.session).or_default();
                    participants.push((name.clone(), entry.sequence));
                    if !change.batch.is_empty() {
                        open.push((change.session, change.first_row));
                    }
                }
                Ok(())
            });
            // Damage there is for the collection to report.
            let _ = read;
        }
    }
    found.retain(|session, _| !refuted.contains(session));
    Ok(found)
}
