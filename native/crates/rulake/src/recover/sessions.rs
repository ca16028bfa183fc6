//! Recovering which sessions over several collections were committed.
//!
//! Where the log of sessions is damaged, those that the collections' logs tell of are taken to have been committed, as all
//! but those are that a crash or a conflict has ended. Row numbers show the latter: a session that did not happen has taken
//! none. They show, too, that a session has happened which the log has lost with its end. The former, where another
//! collection lacks its part, which it has before a session is committed. And where the log of a collection has lost its
//! end, the log of sessions tells what was in it.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use super::place;
use crate::error::IoContext;
use crate::lake::INCOMING;
use crate::manifest;
use crate::markers::{self, Committed, Marker, Markers, Participant};
use crate::name::check_name;
use crate::ulid::Ulid;
use crate::wal::{self, Membership};
use crate::{Error, Result, files, load};

/// A collection's part in sessions.
struct Member {
    name: String,
    owner: u32,
    /// Sequence of the last change that can be read.
    reached: u64,
    /// When its newest generation was made, in milliseconds since 1970: that has no part of a session begun later.
    generation: u64,
    /// Changes that may have to be replayed.
    changes: Vec<Change>,
}

struct Change {
    membership: Membership,
    sequence: u64,
    fate: Fate,
}

/// What the rows after a change tell of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Happened,
    DidNot,
    Unknown,
}

/// Makes the log of sessions anew if it is damaged, or tells of what collections have lost.
pub(super) fn recover(lake: &Path) -> Result<Vec<String>> {
    let members = members(lake)?;
    let mut told = Vec::new();
    let is_asked = members.iter().any(|member| !member.changes.is_empty());
    let read = if is_asked {
        Committed::expect(lake)
    } else {
        Committed::read(lake)
    };
    let is_damaged = match read {
        Ok(committed) => {
            let is_missed = |member: &&Member| {
                let mut changes = member.changes.iter();
                changes.any(|change| {
                    change.fate == Fate::Happened
                        && !committed.has(change.membership.session, member.owner)
                })
            };
            if let Some(member) = members.iter().find(is_missed) {
                let dir = markers::dir(lake);
                let reason = format!("it lacks a session that has changed '{}'", member.name);
                told.push(Error::corrupt(&dir, reason).to_string());
            }
            !told.is_empty()
        }
        Err(error) if ["CORRUPT_FILE", "FILE_NOT_FOUND"].contains(&error.code()) => {
            told.push(error.to_string());
            is_asked
        }
        Err(error) => return Err(error),
    };
    let mut all: BTreeMap<u128, Vec<Participant>> = BTreeMap::new();
    for Marker {
        session,
        participants,
    } in markers::readable(lake)?
    {
        all.insert(session, participants);
    }
    told.extend(forget_lost(&mut all, &members));
    if is_damaged {
        let assumed = assume(&mut all, &members);
        told.push(format!(
            "{assumed} sessions of which the collections tell were taken to have been committed"
        ));
    }
    if !told.is_empty() {
        rewrite(lake, all)?;
    }
    Ok(told)
}

/// Takes out the changes that collections have lost. Tells of which.
fn forget_lost(all: &mut BTreeMap<u128, Vec<Participant>>, members: &[Member]) -> Vec<String> {
    let mut told = Vec::new();
    for member in members {
        let mut lost = 0;
        for participants in all.values_mut() {
            let before = participants.len();
            participants.retain(|part| {
                part.owner == 0 || part.owner != member.owner || part.sequence <= member.reached
            });
            lost += before - participants.len();
        }
        if lost > 0 {
            told.push(format!(
                "'{}' has lost its part of {lost} sessions that have changed other collections, too",
                member.name
            ));
        }
    }
    told
}

/// Adds the sessions that collections tell of and that may have happened. Gives how many these are.
///
/// Opened with a log that has lost its end, a collection has dropped what others have kept.
fn assume(all: &mut BTreeMap<u128, Vec<Participant>>, members: &[Member]) -> usize {
    let with = |fate: Fate| -> HashSet<u128> {
        let changes = members.iter().flat_map(|member| &member.changes);
        let changes = changes.filter(|change| change.fate == fate);
        changes.map(|change| change.membership.session).collect()
    };
    let (happened, refuted) = (with(Fate::Happened), with(Fate::DidNot));
    let before = all.len();
    let known: HashSet<u128> = all.keys().copied().collect();
    for member in members {
        for change in &member.changes {
            let session = change.membership.session;
            let is_refuted = refuted.contains(&session) || is_partial(&change.membership, members);
            let is_ended = is_refuted && !happened.contains(&session);
            if known.contains(&session) || is_ended || change.fate == Fate::DidNot {
                continue;
            }
            all.entry(session).or_default().push(Participant {
                name: member.name.clone(),
                sequence: change.sequence,
                owner: member.owner,
            });
        }
    }
    all.len() - before
}

/// Whether a collection that takes part in a session has no part of it, and so had none when a crash ended it.
fn is_partial(membership: &Membership, members: &[Member]) -> bool {
    let began = Ulid::from(membership.session).ms();
    let mut taking_part = members
        .iter()
        .filter(|member| membership.collections.contains(&member.name));
    taking_part.any(|member| {
        let mut changes = member.changes.iter();
        let has_part = changes.any(|change| change.membership.session == membership.session);
        !has_part && member.generation < began
    })
}

/// Puts a new log of sessions in the place of what is there.
fn rewrite(lake: &Path, all: BTreeMap<u128, Vec<Participant>>) -> Result<()> {
    // Removed by the next opening if there is a crash before it is in its place.
    let incoming = lake.join(format!("{INCOMING}{}", Ulid::unique()));
    let mut log = Markers::at(&incoming);
    log.begin()?;
    for (session, participants) in all {
        log.commit(&Marker {
            session,
            participants,
        })?;
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
    files::sync_dir(lake)
}

/// What the collections tell of sessions, as far as their files are intact.
fn members(lake: &Path) -> Result<Vec<Member>> {
    let mut all = Vec::new();
    for name in files::names(lake)? {
        let dir = lake.join(&name);
        // One that cannot be recovered tells nothing.
        if check_name(&name).is_ok()
            && load::exists(&dir)?
            && let Ok(member) = member(&dir, name)
        {
            all.push(member);
        }
    }
    Ok(all)
}

fn member(dir: &Path, name: String) -> Result<Member> {
    let generations = manifest::generations(dir)?;
    let read = |generation: Option<&u64>| match generation {
        Some(generation) => manifest::read(dir, *generation).map(|(manifest, _)| manifest),
        None => Err(Error::corrupt(&manifest::dir(dir), "there is no manifest")),
    };
    let (oldest, newest) = (read(generations.first())?, read(generations.last())?);
    let mut member = Member {
        name,
        owner: newest.log_owner(dir)?,
        reached: newest.sequence,
        generation: newest.created,
        changes: Vec::new(),
    };
    // The last of these changes, with their first row each, that no row number has told of yet.
    let mut open: Vec<(usize, i64)> = Vec::new();
    // The change before, and its writer, if that was one of these.
    let mut before: Option<(usize, u64)> = None;
    let logs = wal::list(&wal::dir(dir), 0)?;
    for (header, path) in &logs {
        let fence = wal::fence(&logs, *header);
        let read = wal::read_log(path, *header, |entry| {
            let Some(change) = wal::decode(entry.payload).filter(|_| entry.sequence < fence) else {
                return Ok(());
            };
            member.reached = member.reached.max(entry.sequence);
            if let Some((at, epoch)) = before.take()
                && let Some(last) = member.changes.get_mut(at)
                && epoch == header.epoch
            {
                if change.membership == Membership::given_up(last.membership.session) {
                    last.fate = Fate::DidNot;
                    return Ok(());
                }
                if !last.membership.collections.is_empty() {
                    last.fate = Fate::Happened;
                }
            }
            let has_rows = !change.batch.is_empty();
            if has_rows {
                for (at, row) in open.drain(..) {
                    let fate = if row == change.first_row {
                        Fate::DidNot
                    } else {
                        Fate::Happened
                    };
                    member.changes[at].fate = fate;
                }
            }
            if change.membership.session != 0 && entry.sequence > oldest.sequence {
                if has_rows {
                    open.push((member.changes.len(), change.first_row));
                }
                before = Some((member.changes.len(), header.epoch));
                member.changes.push(Change {
                    membership: change.membership,
                    sequence: entry.sequence,
                    fate: Fate::Unknown,
                });
            }
            Ok(())
        });
        // Damage there is for the collection to report.
        let _ = read;
    }
    Ok(member)
}
