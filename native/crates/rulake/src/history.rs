//! States of the past: what the generations that are kept, and the log after the oldest, still tell.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Weak};

use crate::engine::Engine;
use crate::error::Error;
use crate::manifest::{self, Manifest};
use crate::pin::{Pin, unless_gone};
use crate::replay::{Mode, replay};
use crate::snapshot::SnapshotId;
use crate::state::State;
use crate::{Result, load, wal};

/// A state that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryEntry {
    /// Its name.
    pub snapshot: SnapshotId,
    /// The generation that begins with it, if one does.
    pub generation: Option<u64>,
}

/// The newest states, oldest first.
pub(crate) fn list(engine: &Arc<Engine>, limit: usize) -> Result<Vec<HistoryEntry>> {
    let mut found: BTreeMap<SnapshotId, Option<u64>> = BTreeMap::new();
    // Nothing is removed meanwhile, but by a writer in another process.
    let head = engine.head();
    let now = engine.state();
    for state in engine.remembered() {
        found.insert(state.snapshot(), None);
    }
    if let Some(dir) = engine.dir() {
        let logs = wal::list(&wal::dir(dir), now.shared.log_owner())?;
        for (header, path) in &logs {
            let end = wal::fence(&logs, *header).min(now.sequence.saturating_add(1));
            unless_gone(wal::read_log(path, *header, |entry| {
                if entry.sequence < end {
                    found.insert(SnapshotId::new(entry.committed, entry.sequence), None);
                }
                Ok(())
            }))?;
        }
        let mut oldest = None;
        for generation in manifest::generations(dir)? {
            let Some((manifest, _)) = unless_gone(manifest::read(dir, generation))? else {
                continue;
            };
            oldest.get_or_insert(manifest.sequence);
            found.insert(snapshot(&manifest), Some(generation));
        }
        // A log may begin before what is needed of it.
        found.retain(|snapshot, _| oldest.is_some_and(|oldest| snapshot.sequence() >= oldest));
    }
    drop(head);
    found.entry(now.snapshot()).or_insert(None);
    let skipped = found.len().saturating_sub(limit);
    let entries = found.into_iter().skip(skipped);
    Ok(entries
        .map(|(snapshot, generation)| HistoryEntry {
            snapshot,
            generation,
        })
        .collect())
}

fn snapshot(manifest: &Manifest) -> SnapshotId {
    SnapshotId::new(manifest.committed, manifest.sequence)
}

/// The state of a name.
pub(crate) fn at(engine: &Arc<Engine>, wanted: SnapshotId) -> Result<Arc<State>> {
    let missing = || Error::NoSnapshot {
        collection: engine.name().to_owned(),
        snapshot: wanted.to_string(),
    };
    let now = engine.state();
    if now.snapshot() == wanted {
        return Ok(now);
    }
    if let Some(state) = engine
        .remembered()
        .into_iter()
        .find(|state| state.snapshot() == wanted)
    {
        return Ok(state);
    }
    let dir = engine.dir().ok_or_else(missing)?;
    if wanted.sequence() > now.sequence {
        return Err(missing());
    }
    match from_files(engine, dir, wanted, &now) {
        Ok(Some(state)) => {
            let state = Arc::new(state);
            engine.remember(&state);
            Ok(state)
        }
        Ok(None) => Err(missing()),
        // Of what is not even listed, it does not matter why it cannot be read.
        Err(error) => match list(engine, usize::MAX) {
            Ok(all) if all.iter().all(|entry| entry.snapshot != wanted) => Err(missing()),
            _ => Err(error),
        },
    }
}

/// A state of the past, by the generation before it and the log; nothing if there is none of that name.
fn from_files(
    engine: &Engine,
    dir: &Path,
    wanted: SnapshotId,
    now: &State,
) -> Result<Option<State>> {
    let _head = engine.head();
    // The last generation before it leaves the least to replay.
    for generation in manifest::generations(dir)?.into_iter().rev() {
        let Some(pin) = Pin::try_new(dir, generation)? else {
            continue;
        };
        let (manifest, _) = manifest::read(dir, generation)?;
        if manifest.sequence > wanted.sequence() {
            continue;
        }
        let mut state = load::restore(dir, &manifest, now.shared.clone(), Some(now))?;
        state.pin = Some(Arc::new(pin));
        if manifest.sequence < wanted.sequence() {
            let until = Mode::Until(wanted.sequence());
            replay(dir, engine.settings(), &mut state, &mut 0, until)?;
        }
        return Ok(Some(state).filter(|state| state.snapshot() == wanted));
    }
    Ok(None)
}

/// States that somebody holds.
#[derive(Default)]
pub(crate) struct Held(Vec<Weak<State>>);

impl Held {
    pub(crate) fn add(&mut self, state: &Arc<State>) {
        self.0.retain(|held| held.strong_count() > 0);
        self.0.push(Arc::downgrade(state));
    }

    pub(crate) fn all(&self) -> Vec<Arc<State>> {
        self.0.iter().filter_map(Weak::upgrade).collect()
    }
}
