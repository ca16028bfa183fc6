//! Applying the log to the state of a generation.

use std::fs::OpenOptions;
use std::path::Path;

use crate::draft::Draft;
use crate::error::IoContext;
use crate::markers::{self, Committed};
use crate::options::Settings;
use crate::state::State;
use crate::wal::{self, Change};
use crate::{Error, Result, files};

/// Vectors of the log that are indexed together.
const REPLAY_BYTES: usize = 16 << 20;

/// How far to go, and what to do at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// To the end, whose torn tail is cut off.
    Write,
    /// To the end, which another process may be writing.
    Read,
    /// The same, once more: from a state that was read.
    Follow,
    /// To a sequence.
    Until(u64),
}

/// What was read of the logs.
pub(crate) struct Replayed {
    pub(crate) bytes: u64,
    /// The last change is that of a session which another process may commit without writing here again.
    pub(crate) is_undecided: bool,
}

/// Applies the log; `epoch` becomes the highest there is.
pub(crate) fn replay(
    dir: &Path,
    settings: &Settings,
    state: &mut State,
    epoch: &mut u64,
    mode: Mode,
) -> Result<Replayed> {
    let lake = dir.parent().unwrap_or(dir);
    let owner = state.shared.log_owner();
    let is_opening = matches!(mode, Mode::Write | Mode::Read);
    let committed = if is_opening {
        // Before the logs, which have every change of a session that is committed by now. What cannot be read may not be
        // needed.
        Committed::read(lake).unwrap_or_default()
    } else {
        Committed::default()
    };
    let least = committed.last_of(owner);
    // A state in the past needs no more than what leads to it.
    let reach = match mode {
        Mode::Write | Mode::Read | Mode::Follow => wal::Reach::read(&wal::dir(dir))?,
        Mode::Until(_) => None,
    };
    let logs = wal::list(&wal::dir(dir), owner)?;
    if let Some(reach) = &reach {
        reach.check_list(&wal::dir(dir), &logs)?;
    }
    *epoch = logs
        .iter()
        .map(|(header, _)| header.epoch)
        .fold(*epoch, u64::max);
    let mut replay = Replay {
        draft: Draft::new(state),
        settings,
        lake,
        owner,
        committed,
        undecided: None,
        last: match mode {
            Mode::Until(last) => last,
            _ => u64::MAX,
        },
    };
    let mut bytes = 0;
    // Sequence up to which the logs are known to be complete; none has been read yet.
    let mut reached = None;
    for (i, (header, path)) in logs.iter().enumerate() {
        let next = logs.get(i + 1).map(|(next, _)| next.first_sequence);
        let fence = wal::fence(&logs, *header);
        if next.is_some_and(|next| next <= replay.reached() + 1) && reached.is_none() {
            continue;
        }
        let reach = reach.as_ref().filter(|reach| reach.names(*header));
        let is_held = reach.is_none_or(|reach| reach.sequence() <= replay.reached());
        if next.is_none()
            && reached.is_none()
            && is_held
            && wal::ends_by(path, *header, replay.reached())?
        {
            continue;
        }
        let before = reached.unwrap_or(replay.reached());
        if header.first_sequence > before + 1
            || reached.is_some_and(|reached| header.first_sequence != reached + 1)
        {
            let reason = format!(
                "it starts at sequence {}, expected {}",
                header.first_sequence,
                before + 1
            );
            return Err(Error::corrupt(path, reason));
        }
        let tail = wal::read_log(path, *header, |entry| {
            if entry.sequence <= replay.reached() || entry.sequence > replay.last.min(fence - 1) {
                return Ok(());
            }
            let wrong = || {
                let reason = format!(
                    "the record at offset {} does not fit what is before it",
                    entry.offset
                );
                Error::corrupt(path, reason)
            };
            let change = wal::decode(entry.payload).ok_or_else(wrong)?;
            replay
                .next(Read {
                    change,
                    committed: entry.committed,
                    epoch: header.epoch,
                })?
                .then_some(())
                .ok_or_else(wrong)
        })?;
        if let Some(reach) = reach {
            reach.check_log(path, *header, (tail.good, tail.last))?;
        }
        if tail.good < tail.length {
            if i + 1 < logs.len() && tail.last + 1 < fence {
                return Err(Error::corrupt(
                    path,
                    format!("a damaged record at offset {}", tail.good),
                ));
            }
            if mode == Mode::Write && i + 1 == logs.len() {
                cut(path, tail.good)?;
            }
        }
        if mode == Mode::Write {
            wal::settle(path, tail)?;
        }
        reached = Some(tail.last.min(fence - 1));
        bytes += tail.good;
    }
    let is_undecided = replay.end(mode)?;
    if !replay.decide()? {
        let reason = "the last session does not fit what is before it";
        return Err(Error::corrupt(&wal::dir(dir), reason));
    }
    let last = replay.draft.state.sequence;
    if last < least {
        let reason = format!(
            "its logs end with the change of sequence {last}, although a session has committed that of {least}"
        );
        return Err(Error::corrupt(&wal::dir(dir), reason));
    }
    replay.draft.index(settings)?;
    replay.draft.check_read()?;
    *state = replay.draft.state;
    Ok(Replayed {
        bytes,
        is_undecided,
    })
}

struct Replay<'a> {
    draft: Draft,
    settings: &'a Settings,
    lake: &'a Path,
    /// Of the logs.
    owner: u32,
    /// Sessions that are known to be committed.
    committed: Committed,
    /// The last change, if its session may or may not have been committed.
    undecided: Option<Read>,
    last: u64,
}

/// A change, and of which writer.
struct Read {
    change: Change,
    committed: u64,
    epoch: u64,
}

impl Replay<'_> {
    /// Sequence of the last change.
    fn reached(&self) -> u64 {
        self.draft.state.sequence + u64::from(self.undecided.is_some())
    }

    /// Takes the next change; `false` if it cannot follow what is there.
    fn next(&mut self, read: Read) -> Result<bool> {
        if let Some(before) = &self.undecided {
            if read.change.gives_up(&before.change) {
                self.draft.advance_to(before.committed);
                self.draft.advance_to(read.committed);
                self.undecided = None;
                return Ok(true);
            }
            let names_all = !before.change.membership.collections.is_empty();
            let session = before.change.membership.session;
            if names_all && before.epoch == read.epoch && !self.is_committed(session)? {
                let reason = "it lacks a session that a collection has written on after";
                return Err(Error::corrupt(&markers::dir(self.lake), reason));
            }
        }
        if !self.decide()? {
            return Ok(false);
        }
        if read.change.membership.session == 0 {
            return self.apply(read.change, read.committed);
        }
        self.undecided = Some(read);
        // A state in the past has been decided about.
        Ok(self.reached() < self.last || self.decide()?)
    }

    /// What comes after a change of a session was written when the session had been committed, or given up.
    fn decide(&mut self) -> Result<bool> {
        let Some(read) = self.undecided.take() else {
            return Ok(true);
        };
        if self.is_committed(read.change.membership.session)? {
            return self.apply(read.change, read.committed);
        }
        self.draft.advance_to(read.committed);
        Ok(true)
    }

    /// For a writer, a session that is not committed never will be; another process may be about to commit it. Whether that
    /// is so of the last change, which then counts for nothing yet.
    fn end(&mut self, mode: Mode) -> Result<bool> {
        let Some(read) = &self.undecided else {
            return Ok(false);
        };
        let session = read.change.membership.session;
        if !matches!(mode, Mode::Read | Mode::Follow) || self.is_committed(session)? {
            return Ok(false);
        }
        self.undecided = None;
        Ok(true)
    }

    /// Whether a session was committed, by now.
    fn is_committed(&mut self, session: u128) -> Result<bool> {
        if !self.committed.has(session, self.owner) {
            self.committed = Committed::expect(self.lake)?;
        }
        Ok(self.committed.has(session, self.owner))
    }

    fn apply(&mut self, change: Change, committed: u64) -> Result<bool> {
        let draft = &mut self.draft;
        let fits = change.batch.is_empty() || change.first_row == draft.state.next_row;
        if !fits || draft.check(self.settings, &change.batch).is_err() {
            return Ok(false);
        }
        if draft.delete(&change.deletes)? != change.deletes.len() {
            return Ok(false);
        }
        draft.upsert(change.batch)?;
        draft.advance_to(committed);
        if draft.pending_bytes() > REPLAY_BYTES {
            draft.index(self.settings)?;
        }
        Ok(true)
    }
}

/// Removes a torn tail, which was never acknowledged.
fn cut(path: &Path, length: u64) -> Result<()> {
    if length == 0 {
        return files::remove_file(path);
    }
    let file = OpenOptions::new().write(true).open(path).at(path)?;
    file.set_len(length).and_then(|()| file.sync_all()).at(path)
}
