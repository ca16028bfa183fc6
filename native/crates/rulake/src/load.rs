//! Opening a collection: the newest checkpoint, then the log after it.

use std::fs::OpenOptions;
use std::path::Path;
use std::sync::Arc;

use rabitq::{Control, Index};
use rayon::prelude::*;

use crate::checkpoint::forget_strangers;
use crate::draft::Draft;
use crate::engine::{Checkpoint, Opened};
use crate::error::IoContext;
use crate::ids::IdMap;
use crate::manifest::{self, INDEX_FILE, Manifest, ROWS_FILE};
use crate::options::Settings;
use crate::rows::RowsFile;
use crate::state::{Shared, State};
use crate::table::{CHUNK, RowTable, Slot};
use crate::wal::{self, Change};
use crate::{Error, Result, files};

/// Vectors of the log that are indexed together.
const REPLAY_BYTES: usize = 16 << 20;

/// Creates the files of a collection.
pub(crate) fn create(dir: &Path, name: &str, settings: &Settings) -> Result<()> {
    files::create_dir(&manifest::dir(dir))?;
    files::create_dir(&wal::dir(dir))?;
    manifest::create(dir, &Manifest::first(name, settings))?;
    Ok(())
}

/// Whether a directory holds a collection.
pub(crate) fn exists(dir: &Path) -> Result<bool> {
    Ok(!manifest::generations(dir)?.is_empty())
}

/// Opens a collection. A reader leaves every file as it is, and starts over when the writer has meanwhile made a
/// checkpoint and removed what the reader was about to read.
pub(crate) fn open(dir: &Path, read_only: bool) -> Result<(Settings, Opened)> {
    loop {
        let newest = newest(dir)?;
        let opened = open_generation(dir, newest, read_only);
        if opened.is_ok() || !read_only || self::newest(dir)? == newest {
            return opened;
        }
    }
}

fn newest(dir: &Path) -> Result<u64> {
    let newest = manifest::generations(dir)?.last().copied();
    newest.ok_or_else(|| Error::corrupt(&manifest::dir(dir), "there is no manifest"))
}

fn open_generation(dir: &Path, newest: u64, read_only: bool) -> Result<(Settings, Opened)> {
    let (manifest, digest) = manifest::read(dir, newest)?;
    let settings = manifest.settings(&manifest::path(dir, newest))?;
    manifest.check_lengths(dir)?;
    if !read_only {
        files::remove_drafts(&manifest::dir(dir))?;
    }
    let mut state = restore(dir, &manifest)?;
    let mut epoch = manifest.epoch;
    let replayed = replay(dir, &settings, &mut state, &mut epoch, read_only)?;
    let checkpoint = Some(Checkpoint { manifest, digest });
    Ok((
        settings,
        Opened {
            state,
            checkpoint,
            epoch: epoch + 1,
            replayed,
        },
    ))
}

/// The state of a checkpoint.
fn restore(dir: &Path, manifest: &Manifest) -> Result<State> {
    let mut state = State::empty(Arc::new(Shared::default()));
    state.sequence = manifest.sequence;
    state.next_row = manifest.next_row;
    state.dimensions = manifest.dimensions;
    if let Some(entry) = manifest.file(ROWS_FILE) {
        let path = dir.join(&entry.name);
        let file = RowsFile::open(&path)?;
        read_rows(&mut state, &file, &path)?;
        state.stored = Some(Arc::new(file));
    }
    let found = (state.rows.len() as u64, state.vectors as u64);
    if found != (manifest.records, manifest.vectors) {
        let expected = (manifest.records, manifest.vectors);
        let reason = format!(
            "{} records and {} vectors, the manifest states {} and {}",
            found.0, found.1, expected.0, expected.1
        );
        return Err(Error::corrupt(dir, reason));
    }
    match manifest.file(INDEX_FILE) {
        Some(entry) => {
            let path = dir.join(&entry.name);
            let index = Index::open(&path, rabitq::OpenOptions::default(), Control::default())?;
            forget_strangers(&index, &state).map_err(|error| match error {
                Error::Internal(reason) => Error::corrupt(&path, reason),
                other => other,
            })?;
            state.index = Some(Arc::new(index));
        }
        None if state.vectors > 0 => {
            return Err(Error::corrupt(
                dir,
                "the checkpoint has vectors but no index",
            ));
        }
        None => {}
    }
    Ok(state)
}

/// Fills the tables of rows and ids.
fn read_rows(state: &mut State, file: &RowsFile, path: &Path) -> Result<()> {
    if u32::try_from(file.len()).is_err() {
        return Err(Error::corrupt(path, "more than 2^32 rows"));
    }
    let starts: Vec<usize> = (0..file.len()).step_by(CHUNK).collect();
    let pieces = starts.par_iter().map(|&start| {
        let summaries = file.summaries(start..(start + CHUNK).min(file.len()))?;
        let slots = summaries.iter().zip(start..);
        #[expect(clippy::cast_possible_truncation, reason = "checked above")]
        let slots = slots
            .map(|((row, ..), at)| (*row, Slot::Stored(at as u32)))
            .collect();
        let hashes = summaries
            .iter()
            .map(|(row, id, _)| (state.hash(id), *row))
            .collect();
        let vectors = summaries.iter().filter(|summary| summary.2).count();
        Ok((slots, hashes, vectors))
    });
    let pieces: Vec<(Vec<_>, Vec<_>, usize)> = pieces.collect::<Result<_>>()?;
    let mut chunks = Vec::with_capacity(pieces.len());
    let mut entries = Vec::with_capacity(file.len());
    for (slots, hashes, vectors) in pieces {
        chunks.push(slots);
        entries.extend(hashes);
        state.vectors += vectors;
    }
    state.ids = IdMap::from_entries(entries);
    state.rows = RowTable::from_pieces(chunks)
        .filter(|rows| rows.iter_from(state.next_row).next().is_none())
        .ok_or_else(|| Error::corrupt(path, "its rows are out of order or too high"))?;
    Ok(())
}

/// Applies the log to the state of the checkpoint. Gives the bytes read; `epoch` becomes the highest there is.
fn replay(
    dir: &Path,
    settings: &Settings,
    state: &mut State,
    epoch: &mut u64,
    read_only: bool,
) -> Result<u64> {
    let logs = wal::list(&wal::dir(dir))?;
    *epoch = logs
        .iter()
        .map(|(header, _)| header.epoch)
        .fold(*epoch, u64::max);
    let mut draft = Draft::new(state);
    let mut bytes = 0;
    // Sequence up to which the logs are known to be complete; none has been read yet.
    let mut reached = None;
    for (i, (header, path)) in logs.iter().enumerate() {
        let next = logs.get(i + 1).map(|(next, _)| next.first_sequence);
        if next.is_some_and(|next| next <= draft.state.sequence + 1) && reached.is_none() {
            continue;
        }
        let before = reached.unwrap_or(draft.state.sequence);
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
        let tail = wal::read_log(path, *header, |sequence, kind, payload, offset| {
            if sequence <= draft.state.sequence {
                return Ok(());
            }
            let wrong = || {
                Error::corrupt(
                    path,
                    format!("the record at offset {offset} does not fit what is before it"),
                )
            };
            apply(
                &mut draft,
                wal::decode(kind, payload).ok_or_else(wrong)?,
                settings,
            )?
            .then_some(())
            .ok_or_else(wrong)
        })?;
        if tail.good < tail.length {
            if i + 1 < logs.len() {
                return Err(Error::corrupt(
                    path,
                    format!("a damaged record at offset {}", tail.good),
                ));
            }
            if !read_only {
                cut(path, tail.good)?;
            }
        }
        reached = Some(tail.last);
        bytes += tail.good;
    }
    draft.index(settings)?;
    if let Some(index) = &draft.state.index {
        index.delete(&draft.dead)?;
    }
    *state = draft.state;
    Ok(bytes)
}

/// Applies a change read from the log; `false` if it cannot follow what is there.
fn apply(draft: &mut Draft, change: Change, settings: &Settings) -> Result<bool> {
    match change {
        Change::Upsert { first_row, batch } => {
            if first_row != draft.state.next_row || draft.check(settings, &batch).is_err() {
                return Ok(false);
            }
            draft.upsert(batch)?;
        }
        Change::Delete { rows } => {
            if draft.delete(&rows)? != rows.len() {
                return Ok(false);
            }
        }
    }
    draft.state.sequence += 1;
    if draft.pending_bytes() > REPLAY_BYTES {
        draft.index(settings)?;
        draft.settle();
    }
    Ok(true)
}

/// Removes a torn tail, which was never acknowledged.
fn cut(path: &Path, length: u64) -> Result<()> {
    if length == 0 {
        return files::remove_file(path);
    }
    let file = OpenOptions::new().write(true).open(path).at(path)?;
    file.set_len(length).and_then(|()| file.sync_all()).at(path)
}
