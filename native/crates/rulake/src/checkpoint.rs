//! Checkpoints: the whole state in files, so that the log before it is no longer needed.
//!
//! Readers and writers go on meanwhile. The writer is asked twice: to end its log, and at the end to publish a state
//! that reads from the new files. What was committed in between is carried over.

use std::path::Path;
use std::sync::Arc;

use rabitq::{Control, Index, OpenOptions};

use crate::engine::{Checkpoint, Engine};
use crate::manifest::{self, INDEX_FILE, Manifest, ROWS_FILE};
use crate::options::Settings;
use crate::rows::{RowsFile, write_rows};
use crate::state::State;
use crate::table::{RowTable, Slot};
use crate::writer::Writer;
use crate::{Error, Result, files, wal};

/// Vectors whose codes a rebuilt index starts with; the rest is added in pieces, so memory stays bounded.
const BUILD_BYTES: usize = 256 << 20;
/// Vectors copied from index to index at a time.
const COPY_BYTES: usize = 16 << 20;
/// Rows a new index may lag behind when the writer is asked to wait for it.
const LAG: usize = 1000;
/// Attempts to get below [`LAG`].
const CATCH_UPS: usize = 5;

/// Makes a checkpoint of the newest state; nothing happens if there is one already.
pub(crate) fn run(engine: &Arc<Engine>) -> Result<()> {
    let mut latest = engine.checkpoint();
    let state = engine.on_writer(Writer::rotate)??;
    let other_index = engine.wants_other_index(&state);
    let (stored, index) = match (engine.dir(), &*latest) {
        (Some(dir), Some(before)) => {
            if before.manifest.sequence == state.sequence && !other_index {
                return Ok(());
            }
            let (checkpoint, stored, index) = write(engine, dir, before, &state)?;
            let kept = (before.manifest.generation, before.manifest.sequence);
            *latest = Some(checkpoint);
            remove_obsolete(dir, kept)?;
            (stored, index)
        }
        _ if other_index => (None, Some(rebuild(engine.settings(), &state)?)),
        _ => return Ok(()),
    };
    let index = index.map(Arc::new);
    let mut seen = state;
    if let Some(index) = &index {
        forget_strangers(index, &seen)?;
        for _ in 0..CATCH_UPS {
            let now = engine.state();
            let changes = carry_over(index, &seen, &now)?;
            seen = now;
            if changes <= LAG {
                break;
            }
        }
    }
    let manifest = latest
        .as_ref()
        .map(|checkpoint| checkpoint.manifest.clone());
    let engine_again = engine.clone();
    engine.on_writer(move |writer| {
        let engine = engine_again;
        let now = engine.state();
        let mut next = (*now).clone();
        if let Some(index) = index {
            carry_over(&index, &seen, &now)?;
            next.index = Some(index);
        } else if next.vectors == 0 {
            next.index = None;
        }
        if let Some(stored) = stored {
            next.rows = restored(&now, &stored)?;
            next.stored = Some(Arc::new(stored));
        }
        drop((now, seen));
        writer.publish_with_index(next);
        writer.forget_earlier_logs();
        engine.note_checkpoint(manifest.as_ref(), writer.wal_bytes());
        Ok(())
    })?
}

type Written = (Checkpoint, Option<RowsFile>, Option<Index>);

/// Writes the files of a checkpoint and commits it.
fn write(engine: &Engine, dir: &Path, before: &Checkpoint, state: &State) -> Result<Written> {
    let generation = before.manifest.generation + 1;
    let segment = manifest::segment(generation);
    let segment_dir = dir.join(&segment);
    // What a crash has left of an attempt at the same generation.
    files::remove_dir(&segment_dir)?;
    let mut entries = Vec::new();
    let rows_path = segment_dir.join(ROWS_FILE);
    if state.rows.len() > 0 {
        files::create_dir(&segment_dir)?;
        let written = write_rows(&rows_path, || {
            state
                .rows
                .iter()
                .map(|(row, slot)| state.view_slot(slot).and_then(|view| view.parts(row)))
        })?;
        let name = format!("{segment}/{ROWS_FILE}");
        entries.push(manifest::FileEntry {
            name,
            length: written.length,
            shake256: written.digest,
        });
    }
    let index_path = segment_dir.join(INDEX_FILE);
    if state.vectors > 0 {
        let rebuilt = if engine.wants_other_index(state) {
            Some(rebuild(engine.settings(), state)?)
        } else {
            None
        };
        match (&rebuilt, &state.index) {
            (Some(index), _) => index.save(&index_path, Control::default())?,
            (None, Some(index)) => index.save(&index_path, Control::default())?,
            (None, None) => return Err(Error::Internal("vectors without an index".into())),
        }
        entries.push(manifest::entry(dir, format!("{segment}/{INDEX_FILE}"))?);
    }
    if !entries.is_empty() {
        files::sync_dir(&segment_dir)?;
    }
    let manifest = Manifest {
        generation,
        parent: Some(before.digest.clone()),
        created: manifest::now(),
        sequence: state.sequence,
        epoch: engine.epoch(),
        next_row: state.next_row,
        records: state.rows.len() as u64,
        vectors: state.vectors as u64,
        dimensions: state.dimensions,
        files: entries,
        ..before.manifest.clone()
    };
    let digest = manifest::create(dir, &manifest)?;
    let stored = if state.rows.len() > 0 {
        Some(RowsFile::open(&rows_path)?)
    } else {
        None
    };
    let index = if state.vectors > 0 {
        Some(Index::open(
            &index_path,
            OpenOptions::default(),
            Control::default(),
        )?)
    } else {
        None
    };
    Ok((Checkpoint { manifest, digest }, stored, index))
}

/// Removes what neither the newest checkpoint nor the one before it needs.
fn remove_obsolete(dir: &Path, (generation, sequence): (u64, u64)) -> Result<()> {
    for old in manifest::generations(dir)?
        .into_iter()
        .filter(|old| *old < generation)
    {
        files::remove_file(&manifest::path(dir, old))?;
    }
    for name in files::names(&dir.join("seg"))? {
        if name.parse::<u64>().is_ok_and(|old| old < generation) {
            files::remove_dir(&dir.join("seg").join(name))?;
        }
    }
    let logs = wal::list(&wal::dir(dir))?;
    for pair in logs.windows(2) {
        if let [(_, path), (next, _)] = pair
            && next.first_sequence <= sequence + 1
        {
            files::remove_file(path)?;
        }
    }
    Ok(())
}

/// An index of the kind the number of vectors calls for.
fn rebuild(settings: &Settings, state: &State) -> Result<Index> {
    let (Some(dimensions), Some(old)) = (state.dimensions, &state.index) else {
        return Err(Error::Internal("nothing to rebuild".into()));
    };
    let options = settings.build_options(settings.index.kind(state.vectors), dimensions);
    let mut rows = Vec::with_capacity(state.vectors);
    for (row, slot) in state.rows.iter() {
        if state.view_slot(slot)?.has_vector()? {
            rows.push(row);
        }
    }
    let (first, rest) = rows.split_at(rows.len().min((BUILD_BYTES / 4 / dimensions).max(1)));
    let index = Index::build(
        vectors_of(old, first, dimensions)?,
        Some(first),
        &options,
        Control::default(),
    )?;
    copy(old, &index, rest)?;
    Ok(index)
}

fn vectors_of(index: &Index, rows: &[i64], dimensions: usize) -> Result<Vec<f32>> {
    let mut vectors = Vec::with_capacity(rows.len() * dimensions);
    for &row in rows {
        match index.get(row)? {
            Some(vector) => vectors.extend_from_slice(&vector),
            None => return Err(Error::Internal(format!("row {row} has no vector"))),
        }
    }
    Ok(vectors)
}

fn copy(from: &Index, to: &Index, rows: &[i64]) -> Result<()> {
    let dimensions = to.options().dimensions;
    for rows in rows.chunks((COPY_BYTES / 4 / dimensions).max(1)) {
        to.add(
            rows,
            &vectors_of(from, rows, dimensions)?,
            Control::default(),
        )?;
    }
    Ok(())
}

/// Removes rows from an index that a state does not have: it was saved while the writer went on. Also finds that it
/// lacks none.
pub(crate) fn forget_strangers(index: &Index, state: &State) -> Result<()> {
    if index.len() != state.vectors {
        let strangers: Vec<i64> = index
            .ids()?
            .into_iter()
            .filter(|row| state.rows.get(*row).is_none())
            .collect();
        index.delete(&strangers)?;
    }
    if index.len() != state.vectors {
        let (found, expected) = (index.len(), state.vectors);
        return Err(Error::Internal(format!(
            "the index has {found} of {expected} vectors"
        )));
    }
    Ok(())
}

/// Brings an index from the rows of one state to those of a later one. Gives the number of changes.
fn carry_over(index: &Index, from: &State, to: &State) -> Result<usize> {
    let (added, removed) = from.rows.changes(&to.rows);
    index.delete(&removed)?;
    let mut rows = Vec::new();
    for &row in &added {
        if to.view(row)?.map(|view| view.has_vector()).transpose()? == Some(true) {
            rows.push(row);
        }
    }
    if let Some(source) = &to.index {
        copy(source, index, &rows)?;
    }
    Ok(added.len() + removed.len())
}

/// The rows of a state, read from a new file where it has them.
fn restored(state: &State, file: &RowsFile) -> Result<RowTable> {
    let mut table = RowTable::default();
    let mut position = 0;
    for (row, slot) in state.rows.iter() {
        while position < file.len() && file.row(position)? < row {
            position += 1;
        }
        let slot = if position < file.len() && file.row(position)? == row {
            Slot::Stored(
                u32::try_from(position)
                    .map_err(|_| Error::Internal("more than 2^32 rows".into()))?,
            )
        } else {
            slot.clone()
        };
        table.push(row, slot);
    }
    Ok(table)
}
