//! How a reader of the files of another process follows it.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use crate::engine::{Engine, Head};
use crate::error::IoContext;
use crate::pin::{Pin, unless_gone};
use crate::replay::{Mode, replay};
use crate::state::State;
use crate::{Result, load, manifest, wal};

/// How often a collection may change while it is looked at.
const ATTEMPTS: usize = 8;

/// What there was when a reader last looked: nothing new is there unless it has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    generation: u64,
    /// When its manifest was written: that of another collection may have the same number.
    written: Option<SystemTime>,
    /// First sequence and length of the last log.
    log: Option<(u64, u64)>,
}

impl Seen {
    fn new(dir: &Path) -> Result<Self> {
        let generation = load::newest(dir)?;
        let log = match wal::list(&wal::dir(dir), 0)?.pop() {
            Some((header, path)) => {
                let length = std::fs::metadata(&path).at(&path)?.len();
                Some((header.first_sequence, length))
            }
            None => None,
        };
        let manifest = std::fs::metadata(manifest::path(dir, generation));
        Ok(Self {
            generation,
            written: manifest.and_then(|file| file.modified()).ok(),
            log,
        })
    }
}

/// Publishes the newest state on disk; `false` if it is known already.
///
/// # Errors
/// `CLOSED` if the collection was dropped or replaced; `CORRUPT_FILE`, `IO`.
pub(crate) fn run(engine: &Arc<Engine>) -> Result<bool> {
    let Some(dir) = engine.dir() else {
        return Ok(false);
    };
    let mut head = engine.head();
    let now = engine.state();
    loop {
        // Taken before anything is read: what comes later is found by the next call.
        let seen = Seen::new(dir);
        if seen.as_ref().is_ok_and(|seen| engine.seen() == *seen) {
            return Ok(false);
        }
        let generation = seen.as_ref().map(|seen| seen.generation).ok();
        let done = seen.and_then(|seen| {
            let (next, newer, is_undecided) = advance(engine, dir, head.as_ref(), seen.generation)?;
            // What decides it is in no file of the collection: the next call must read the log again.
            let seen = if is_undecided { Seen::default() } else { seen };
            Ok((next, newer, seen))
        });
        // What was read is of another collection perhaps, or of none.
        if !is_here(engine, dir)? {
            engine.mark_dropped();
            return engine.check_open().map(|()| false);
        }
        match done {
            Ok((next, newer, seen)) => {
                if let Some(newer) = newer {
                    engine.note_generation(&newer.manifest);
                    *head = Some(newer);
                }
                let changed = next.sequence != now.sequence;
                engine.publish(next);
                engine.set_seen(seen);
                return Ok(changed);
            }
            // The writer may have made a generation and removed what it replaces.
            Err(error)
                if generation.is_none_or(|it| load::newest(dir).is_ok_and(|now| now == it)) =>
            {
                return Err(error);
            }
            Err(_) => {}
        }
    }
}

/// Whether what is in the directory is the collection that was opened.
pub(crate) fn is_here(engine: &Engine, dir: &Path) -> Result<bool> {
    let key = engine.state().shared.hash_key();
    for _ in 0..ATTEMPTS {
        if load::is_gone(dir) {
            return Ok(false);
        }
        // Another may take its place meanwhile, or a newer generation that of the newest.
        let Ok(newest) = load::newest(dir) else {
            continue;
        };
        if let Some((manifest, _)) = unless_gone(manifest::read(dir, newest))? {
            return Ok(manifest.hash_key(&manifest::path(dir, newest))? == key);
        }
    }
    // Damage is for who needs the files to report.
    Ok(true)
}

/// The state of a generation and the logs after it, the generation if it is another than the one known, and whether the
/// logs end with a session that is not decided yet.
fn advance(
    engine: &Engine,
    dir: &Path,
    head: Option<&Head>,
    generation: u64,
) -> Result<(State, Option<Head>, bool)> {
    let now = engine.state();
    let known = head.map_or(0, |head| head.manifest.generation);
    let (mut next, newer) = if known == generation {
        ((*now).clone(), None)
    } else {
        let pin = Pin::new(dir, generation)?;
        let (manifest, digest) = manifest::read(dir, generation)?;
        let mut state = load::restore(dir, &manifest, now.shared.clone(), Some(&now))?;
        state.pin = Some(Arc::new(pin));
        (state, Some(Head { manifest, digest }))
    };
    let read = replay(dir, engine.settings(), &mut next, &mut 0, Mode::Follow)?;
    Ok((next, newer, read.is_undecided))
}
