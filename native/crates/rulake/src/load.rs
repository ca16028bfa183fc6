//! Opening a collection: the newest generation, then the log after it.

use std::path::Path;
use std::sync::Arc;

use crate::engine::{Head, Opened};
use crate::manifest::{self, Manifest};
use crate::markers::Committed;
use crate::options::Settings;
use crate::pin::Pin;
use crate::replay::{Mode, replay};
use crate::segment::{BlockCache, DIRECTORY, Live, read_deletes};
use crate::state::{Shared, State};
use crate::{Error, Result, files, lake_file, retention, wal};

/// Creates the files of a collection.
pub(crate) fn create(dir: &Path, name: &str, settings: &Settings) -> Result<()> {
    create_as(dir, &Manifest::first(name, settings))
}

/// Creates those of a collection that will be there when the session has happened that makes it.
pub(crate) fn create_for_session(dir: &Path, name: &str, settings: &Settings) -> Result<()> {
    let manifest = Manifest {
        session: true,
        ..Manifest::first(name, settings)
    };
    create_as(dir, &manifest)
}

fn create_as(dir: &Path, manifest: &Manifest) -> Result<()> {
    files::create_dir(&manifest::dir(dir))?;
    files::create_dir(&wal::dir(dir))?;
    wal::Reach::begin(&wal::dir(dir))?;
    manifest::create(dir, manifest)?;
    Ok(())
}

/// Whether a directory holds a collection that a session was about to make when it ended: there never was one. Where that
/// cannot be told, there was.
pub(crate) fn is_unborn(dir: &Path) -> bool {
    has_happened(dir).is_ok_and(|happened| !happened)
}

/// Whether a collection that a session has made was changed since.
fn has_happened(dir: &Path) -> Result<bool> {
    const FIRST: u64 = 1;
    if newest(dir)? != FIRST {
        return Ok(true);
    }
    let (manifest, _) = manifest::read(dir, FIRST)?;
    if !manifest.session {
        return Ok(true);
    }
    let owner = manifest.log_owner(dir)?;
    // A log that is lost shows nothing.
    wal::Reach::expect(&wal::dir(dir))?.check(&wal::dir(dir))?;
    let mut sessions = Vec::new();
    for (header, path) in wal::list(&wal::dir(dir), owner)? {
        wal::read_log(&path, header, |entry| {
            sessions.extend(wal::session_of(entry.payload));
            Ok(())
        })?;
    }
    let lake = dir.parent().unwrap_or(dir);
    let committed = match &*sessions {
        [] => Committed::read(lake)?,
        _ => Committed::expect(lake)?,
    };
    let has_happened = |&session: &u128| session == 0 || committed.has(session, owner);
    Ok(committed.last_of(owner) > 0 || sessions.iter().any(has_happened))
}

/// Whether a directory holds a collection, a damaged one perhaps that has lost its manifests.
pub(crate) fn exists(dir: &Path) -> Result<bool> {
    Ok(!manifest::generations(dir)?.is_empty()
        || !wal::list(&wal::dir(dir), 0)?.is_empty()
        || !files::names(&dir.join(DIRECTORY))?.is_empty())
}

/// Whether a collection that was there is no more. Dropping and replacing rename its directory as a whole, so that damage
/// looks different from it and from a new one in the making; and without its lake nothing is known of it.
pub(crate) fn is_gone(dir: &Path) -> bool {
    let lake = dir.parent().map(lake_file::path);
    exists(dir).is_ok_and(|exists| !exists) && lake.is_some_and(|file| file.exists())
}

/// Opens a collection. A reader leaves every file as it is, holds its generation, and starts over when the writer has
/// meanwhile removed what the reader was about to read, or put another collection in its place.
pub(crate) fn open(
    dir: &Path,
    cache: &Arc<BlockCache>,
    read_only: bool,
) -> Result<(Settings, Opened)> {
    loop {
        let newest = newest(dir)?;
        let found = identity(dir, newest);
        let opened = open_generation(dir, newest, cache, read_only);
        // What comes after a generation that was opened does not matter.
        let stays = !read_only
            || identity(dir, newest) == found && (opened.is_ok() || self::newest(dir)? == newest);
        if stays {
            return opened;
        }
    }
}

/// What no other generation of any collection has in common with this one, as far as it can be read.
fn identity(dir: &Path, generation: u64) -> Option<String> {
    let read = manifest::read(dir, generation);
    read.ok().map(|(_, digest)| digest)
}

pub(crate) fn newest(dir: &Path) -> Result<u64> {
    let newest = manifest::generations(dir)?.last().copied();
    newest.ok_or_else(|| Error::corrupt(&manifest::dir(dir), "there is no manifest"))
}

fn open_generation(
    dir: &Path,
    newest: u64,
    cache: &Arc<BlockCache>,
    read_only: bool,
) -> Result<(Settings, Opened)> {
    let pin = if read_only {
        Some(Arc::new(Pin::new(dir, newest)?))
    } else {
        // The writer before may have been killed: what it has left is made durable before anything depends on it.
        files::sync_dir(dir)?;
        files::sync_dir(&manifest::dir(dir))?;
        files::remove_drafts(&manifest::dir(dir))?;
        files::remove_drafts(&wal::dir(dir))?;
        retention::sweep(dir)?;
        None
    };
    let (manifest, digest) = manifest::read(dir, newest)?;
    let path = manifest::path(dir, newest);
    let settings = manifest.settings(&path)?;
    let shared = Arc::new(Shared::new(manifest.hash_key(&path)?, cache.clone()));
    let mut state = restore(dir, &manifest, shared, None)?;
    state.pin = pin;
    if manifest.reach {
        wal::Reach::expect(&wal::dir(dir))?;
    }
    let mut epoch = manifest.epoch;
    let mode = if read_only { Mode::Read } else { Mode::Write };
    let replayed = replay(dir, &settings, &mut state, &mut epoch, mode)?.bytes;
    Ok((
        settings,
        Opened {
            state,
            head: Some(Head { manifest, digest }),
            epoch: epoch + 1,
            lease: None,
            replayed,
            lost: Vec::new(),
        },
    ))
}

/// The state of a generation. Segments that another state has open are not opened again.
pub(crate) fn restore(
    dir: &Path,
    manifest: &Manifest,
    shared: Arc<Shared>,
    known: Option<&State>,
) -> Result<State> {
    let mut state = State::empty(shared);
    state.sequence = manifest.sequence;
    state.committed = manifest.committed;
    state.next_row = manifest.next_row;
    state.dimensions = manifest.dimensions;
    for entry in &manifest.segments {
        let open = known.and_then(|known| {
            let mut all = known.segments.iter();
            all.find(|live| live.segment.id.to_string() == entry.id)
        });
        state.segments.push(match open {
            Some(live) => Live::new(live.segment.clone(), read_deletes(dir, entry)?)?,
            None => Live::open(dir, entry)?,
        });
    }
    let found = (state.len() as u64, state.vectors() as u64);
    let stated = (manifest.records, manifest.vectors);
    if found != stated {
        let reason = format!(
            "{} records and {} vectors, the manifest states {} and {}",
            found.0, found.1, stated.0, stated.1
        );
        return Err(Error::corrupt(dir, reason));
    }
    Ok(state)
}
