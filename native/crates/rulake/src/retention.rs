//! Which generations stay, and the removal of what only others needed.
//!
//! A reader of another process holds a shared lock on the manifest of the generation it opens, so a manifest that cannot
//! be locked exclusively stays, and with it everything it names. A manifest goes before its files: a crash in between
//! leaves files that no manifest names, which the next writer removes.

use std::collections::HashSet;
use std::fs::TryLockError;
use std::path::Path;

use crate::manifest::{self, Manifest, now};
use crate::options::Retention;
use crate::segment::DIRECTORY;
use crate::{Result, files, wal};

/// Removes generations that need not be kept, with their files, and logs that none of the others needs.
pub(crate) fn apply(dir: &Path, retention: Retention) -> Result<()> {
    let generations = manifest::generations(dir)?;
    let newest = generations.last().copied().unwrap_or(0);
    let mut kept: Vec<Manifest> = Vec::new();
    let mut removed: Vec<Manifest> = Vec::new();
    // When each generation was replaced by the next.
    let mut replaced = None;
    for &generation in generations.iter().rev() {
        // Damage is for verify() and opening to report; what cannot be read stays, and all that is older with it.
        let Ok((manifest, _)) = manifest::read(dir, generation) else {
            return Ok(());
        };
        let recent = newest - generation < retention.generations.max(1);
        let young =
            replaced.is_none_or(|at: u64| now() < at.saturating_add(retention.milliseconds));
        replaced = Some(manifest.created);
        if recent || young || !remove_unless_pinned(dir, generation)? {
            kept.push(manifest);
        } else {
            removed.push(manifest);
        }
    }
    if !removed.is_empty() {
        files::sync_dir(&manifest::dir(dir))?;
    }
    let needed: HashSet<&str> = names(&kept).collect();
    for name in names(&removed).filter(|name| !needed.contains(name)) {
        files::remove(&dir.join(name))?;
    }
    let ids = |manifests: &[Manifest]| -> HashSet<String> {
        let segments = manifests.iter().flat_map(|manifest| &manifest.segments);
        segments.map(|segment| segment.id.clone()).collect()
    };
    for id in ids(&removed).difference(&ids(&kept)) {
        files::remove(&dir.join(DIRECTORY).join(id))?;
    }
    remove_logs(dir, kept.iter().map(|manifest| manifest.sequence).min())
}

fn names(manifests: &[Manifest]) -> impl Iterator<Item = &str> {
    manifests
        .iter()
        .flat_map(Manifest::files)
        .map(|file| file.name.as_str())
}

/// Removes a manifest; `false` if a reader has it.
fn remove_unless_pinned(dir: &Path, generation: u64) -> Result<bool> {
    let path = manifest::path(dir, generation);
    if let Ok(file) = files::open(&path) {
        if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
            return Ok(false);
        }
        // Removed while it is locked: a reader that comes now finds it locked, or gone.
        files::remove_file(&path)?;
    }
    Ok(true)
}

/// Removes logs with nothing after a sequence.
fn remove_logs(dir: &Path, sequence: Option<u64>) -> Result<()> {
    let Some(sequence) = sequence else {
        return Ok(());
    };
    let logs = wal::list(&wal::dir(dir), 0)?;
    for pair in logs.windows(2) {
        if let [(_, path), (next, _)] = pair
            && next.first_sequence <= sequence + 1
        {
            files::remove_file(path)?;
        }
    }
    Ok(())
}

/// Removes what no manifest names: files that a crash has left. Only while nothing else works on the collection.
pub(crate) fn sweep(dir: &Path) -> Result<()> {
    let mut kept = Vec::new();
    for generation in manifest::generations(dir)? {
        match manifest::read(dir, generation) {
            Ok((manifest, _)) => kept.push(manifest),
            // It may name anything.
            Err(_) => return Ok(()),
        }
    }
    let needed: HashSet<&str> = names(&kept).collect();
    let segments = dir.join(DIRECTORY);
    for id in files::names(&segments)? {
        let mut left = false;
        for file in files::names(&segments.join(&id))? {
            let name = format!("{DIRECTORY}/{id}/{file}");
            if needed.contains(&*name) {
                left = true;
            } else {
                files::remove(&dir.join(name))?;
            }
        }
        if !left {
            files::remove(&segments.join(id))?;
        }
    }
    Ok(())
}
