//! How a reader of the files of another process follows it.

use std::path::Path;
use std::sync::Arc;

use crate::engine::{Engine, Head};
use crate::error::IoContext;
use crate::pin::Pin;
use crate::replay::{Mode, replay};
use crate::{Result, load, manifest, wal};

/// What there was when a reader last looked: nothing new is there unless it has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    generation: u64,
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
        Ok(Self { generation, log })
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
    // A collection of the same name that was made since is noticed by its key.
    let changed = load::unless_gone(dir, || match follow(engine, dir) {
        Err(_) if engine.is_dropped() => Ok(false),
        done => done,
    })?;
    if changed.is_none() {
        engine.mark_dropped();
    }
    engine.check_open()?;
    Ok(changed.unwrap_or_default())
}

fn follow(engine: &Arc<Engine>, dir: &Path) -> Result<bool> {
    let mut head = engine.head();
    loop {
        // Taken before anything is read: what comes later is found by the next call.
        let seen = Seen::new(dir)?;
        if engine.seen() == seen {
            return Ok(false);
        }
        let done = advance(engine, dir, &mut head, seen.generation);
        match done {
            Ok(changed) => {
                engine.set_seen(seen);
                return Ok(changed);
            }
            // The writer may have made a generation and removed what it replaces.
            Err(error) if engine.is_dropped() || load::newest(dir)? == seen.generation => {
                return Err(error);
            }
            Err(_) => {}
        }
    }
}

fn advance(
    engine: &Arc<Engine>,
    dir: &Path,
    head: &mut Option<Head>,
    generation: u64,
) -> Result<bool> {
    let now = engine.state();
    let known = head.as_ref().map_or(0, |head| head.manifest.generation);
    let pin = Pin::new(dir, generation)?;
    let (manifest, digest) = manifest::read(dir, generation)?;
    let path = manifest::path(dir, generation);
    if manifest.hash_key(&path)? != now.shared.hash_key() {
        // Dropped and made anew, or replaced: it is not the collection that was opened.
        engine.mark_dropped();
        return engine.check_open().map(|()| false);
    }
    let mut next = if known == generation {
        (*now).clone()
    } else {
        let mut state = load::restore(dir, &manifest, now.shared.clone(), Some(&now))?;
        state.pin = Some(Arc::new(pin));
        engine.note_generation(&manifest);
        *head = Some(Head { manifest, digest });
        state
    };
    replay(dir, engine.settings(), &mut next, &mut 0, Mode::Read)?;
    let changed = next.sequence != now.sequence;
    engine.publish(next);
    Ok(changed)
}
