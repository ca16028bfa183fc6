//! Flushing: the newest records become a segment, so that the log before them is no longer needed.
//!
//! Readers and writers go on meanwhile. The writer is asked twice: to set the newest records apart, and at the end to
//! put the segment in their place. What was deleted in between is carried over.

use std::path::Path;
use std::sync::Arc;

use roaring::RoaringBitmap;

use crate::engine::{Engine, Head};
use crate::manifest::{self, Manifest, SegmentEntry};
use crate::memtable::Memtable;
use crate::segment::{Live, Segment, SegmentBuilder, write_deletes};
use crate::state::State;
use crate::writer::Writer;
use crate::{Error, Result, markers, retention};

/// Flushes what is not in a segment yet; nothing happens if there is nothing, or the collection is in memory.
///
/// # Errors
/// `CLOSED` once there is no generation to be made any more, `CANCELLED` if the collection is dropped or replaced
/// meanwhile; `IO`, `WRITER_POISONED`.
pub(crate) fn run(engine: &Arc<Engine>) -> Result<()> {
    let mut head = engine.head();
    let Some(dir) = engine.dir() else {
        return Ok(());
    };
    let Some(before) = &*head else {
        return Err(engine.ended());
    };
    let state = engine.on_writer(Writer::freeze)??;
    if state.sequence == before.manifest.sequence {
        return Ok(());
    }
    let (next, segment) = match write(engine, dir, before, &state) {
        Ok(written) => written,
        Err(error) => {
            engine.on_writer(Writer::thaw)??;
            return Err(error);
        }
    };
    let names: Vec<String> = next
        .manifest
        .segments
        .iter()
        .map(|s| s.id.clone())
        .collect();
    *head = Some(next);
    let engine_again = engine.clone();
    engine.on_writer(move |writer| {
        let now = engine_again.state();
        let mut next = (*now).clone();
        next.segments
            .retain(|live| names.contains(&live.segment.id.to_string()));
        if let (Some(segment), Some(before)) = (segment, &state.frozen) {
            let gone = gone(before, now.frozen.as_ref());
            next.segments.push(Live::new(Arc::new(segment), gone)?);
        }
        next.frozen = None;
        drop((now, state));
        engine_again.publish(next);
        writer.forget_earlier_logs();
        Ok::<(), Error>(())
    })??;
    retention::apply(dir, engine.retention())
}

/// Writes the files of the next generation and commits it.
fn write(
    engine: &Arc<Engine>,
    dir: &Path,
    before: &Head,
    state: &State,
) -> Result<(Head, Option<Segment>)> {
    let generation = before.manifest.generation + 1;
    let mut segments = Vec::with_capacity(state.segments.len() + 1);
    for live in &state.segments {
        let id = live.segment.id.to_string();
        let entry = before.manifest.segments.iter().find(|entry| entry.id == id);
        let entry = entry.ok_or_else(|| Error::Internal(format!("segment {id} has no entry")))?;
        if live.len() > 0 {
            segments.push(with_mask(dir, entry, live, generation)?);
        }
    }
    if let Some(lake) = dir.parent() {
        markers::note_reach(lake);
    }
    let segment = match &state.frozen {
        Some(frozen) => build(engine, dir, state, frozen)?,
        None => None,
    };
    let segment = segment.map(|(entry, segment)| {
        segments.push(entry);
        segment
    });
    let manifest = Manifest {
        generation,
        parent: Some(before.digest.clone()),
        created: manifest::now(),
        sequence: state.sequence,
        committed: state.committed,
        epoch: engine.epoch(),
        next_row: state.next_row,
        records: segments.iter().map(SegmentEntry::live).sum(),
        vectors: state.vectors() as u64,
        dimensions: state.dimensions,
        segments,
        ..before.manifest.clone()
    };
    Ok((engine.commit(dir, manifest)?, segment))
}

/// The entry of a segment with the mask of a state, which is written if it has grown.
fn with_mask(
    dir: &Path,
    entry: &SegmentEntry,
    live: &Live,
    generation: u64,
) -> Result<SegmentEntry> {
    let known = entry.deletes.as_ref().map_or(0, |deletes| deletes.records);
    if known == live.deleted.len() {
        return Ok(entry.clone());
    }
    let deletes = write_deletes(dir, live.segment.id, generation, &live.deleted)?;
    Ok(SegmentEntry {
        deletes: Some(deletes),
        ..entry.clone()
    })
}

fn build(
    engine: &Engine,
    dir: &Path,
    state: &State,
    frozen: &Memtable,
) -> Result<Option<(SegmentEntry, Segment)>> {
    let mut builder = SegmentBuilder::new(dir, engine.settings(), state.dimensions)?;
    let control = engine.control();
    for (row, heap) in frozen.rows.iter() {
        control.check()?;
        let parts = heap.record.parts();
        let vector = match &frozen.index {
            Some(index) if heap.record.has_vector => index.get(row)?,
            _ => None,
        };
        builder.push(
            row,
            state.shared.hash(parts.id),
            (parts.id, parts.text, parts.metadata),
            vector.as_deref(),
        )?;
    }
    builder.finish(control)
}

/// Positions, in the segment of a table, of the rows that a later version of the table lacks.
fn gone(before: &Memtable, now: Option<&Memtable>) -> RoaringBitmap {
    if now.is_some_and(|now| now.len() == before.len()) {
        return RoaringBitmap::new();
    }
    let rows = before.rows.iter().zip(0_u32..);
    rows.filter(|((row, _), _)| now.is_none_or(|now| now.rows.get(*row).is_none()))
        .map(|(_, position)| position)
        .collect()
}
