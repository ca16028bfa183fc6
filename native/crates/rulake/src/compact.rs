//! Compaction: neighbouring segments become one, without what was deleted from them.
//!
//! Records keep their row numbers, so the log and older generations still mean the same ones. A merge leaves out what
//! its generation says is deleted, and no more: what was deleted since is in the log and would be missed when it is
//! replayed. The new segment takes over such deletions as a mask.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use mapping::Watch;
use rabitq::Control;
use roaring::RoaringBitmap;

use crate::engine::{Engine, Head};
use crate::manifest::{self, Manifest, SegmentEntry};
use crate::segment::{Live, Segment, SegmentBuilder, read_deletes, write_deletes};
use crate::state::State;
use crate::throttle::Throttle;
use crate::{Error, Result, retention};

/// Neighbours of similar size that are merged; each record is rewritten once for every power of this many flushes.
const FAN_OUT: usize = 4;
/// Records up to which sizes do not matter.
const SMALL: u64 = 4096;
/// Share of deleted records, as a divisor, from which a segment is rewritten.
const DIRTY: u64 = 4;
/// Most records of a segment that is made in the background.
const LARGEST: u64 = 16 << 20;
/// Bytes of segments that are read per second in the background.
const BACKGROUND_RATE: u64 = 64 << 20;

/// Merges all segments into one.
pub(crate) fn run(engine: &Arc<Engine>) -> Result<()> {
    let _turn = engine.compaction();
    loop {
        let manifest = newest(engine)?;
        let segments = &manifest.segments;
        let merged = segments.len() <= 1 && segments.iter().all(|s| s.deletes.is_none());
        if merged || merge(engine, &manifest, 0..segments.len(), None)? {
            return Ok(());
        }
    }
}

/// Merges what is worth it, slowly.
pub(crate) fn run_if_due(engine: &Arc<Engine>) -> Result<()> {
    let _turn = engine.compaction();
    loop {
        let manifest = newest(engine)?;
        let Some(range) = plan(&manifest.segments) else {
            return Ok(());
        };
        let mut throttle = Throttle::new(BACKGROUND_RATE);
        merge(engine, &manifest, range, Some(&mut throttle))?;
    }
}

/// The newest generation.
///
/// # Errors
/// `CLOSED` once there is none to be made any more.
fn newest(engine: &Engine) -> Result<Manifest> {
    let head = engine.head();
    let manifest = head.as_ref().map(|head| head.manifest.clone());
    manifest.ok_or_else(|| engine.ended())
}

/// The segments to merge next: the smallest neighbours of similar size with the smaller ones between them, or one that
/// is mostly deleted.
fn plan(segments: &[SegmentEntry]) -> Option<Range<usize>> {
    let tier = |entry: &SegmentEntry| (entry.live().max(SMALL) / SMALL).ilog(FAN_OUT as u64);
    let highest = segments.iter().map(tier).max()?;
    for limit in 0..=highest {
        let mut start = 0;
        for end in 0..=segments.len() {
            if end < segments.len() && tier(&segments[end]) <= limit {
                continue;
            }
            let run = &segments[start..end];
            let largest = run.iter().filter(|entry| tier(entry) == limit).count();
            let records: u64 = run.iter().map(SegmentEntry::live).sum();
            if largest >= FAN_OUT && records <= LARGEST {
                return Some(start..end);
            }
            start = end + 1;
        }
    }
    let dirty = |entry: &SegmentEntry| (entry.records - entry.live()) * DIRTY > entry.records;
    let at = segments.iter().position(dirty)?;
    Some(at..at + 1)
}

/// Merges neighbours of a generation; `false` if they have changed meanwhile in a way that calls for another plan.
fn merge(
    engine: &Arc<Engine>,
    manifest: &Manifest,
    range: Range<usize>,
    mut throttle: Option<&mut Throttle>,
) -> Result<bool> {
    let Some(dir) = engine.dir() else {
        return Ok(true);
    };
    let control = match throttle {
        Some(_) => engine.background_control(),
        None => engine.control(),
    };
    let entries = manifest.segments.get(range).unwrap_or_default();
    let Some((inputs, state)) = open_inputs(engine, dir, manifest.generation, entries)? else {
        return Ok(false);
    };
    let mut builder = SegmentBuilder::new(dir, engine.settings(), state.dimensions)?;
    for input in &inputs {
        copy(&mut builder, input, &state, &mut throttle, control)?;
        // Each byte was checked when it was first read. This is for what became of it until it was read last.
        input.segment.recheck(dir, control)?;
    }
    check_counts(dir, &inputs, builder.counts())?;
    let built = builder.finish(control)?;
    drop(state);
    let (entry, segment) = built.unzip();
    let inputs = Arc::new(inputs);
    commit(engine, dir, entries, entry, segment.map(Arc::new), &inputs)
}

/// Opens segments with what the manifest says is deleted, anew: the ones that are open may have been checked long ago,
/// and a merge would write what became of their bytes since under digests of its own. Also gives the newest state.
/// Nothing if there is a newer generation.
fn open_inputs(
    engine: &Engine,
    dir: &Path,
    generation: u64,
    entries: &[SegmentEntry],
) -> Result<Option<(Vec<Live>, Arc<State>)>> {
    // Held so that no flush replaces the generation, whose files go then.
    let head = engine.head();
    let is_newest = |head: &Head| head.manifest.generation == generation;
    if !head.as_ref().is_some_and(is_newest) {
        return Ok(None);
    }
    let state = engine.state();
    if !entries.iter().all(|entry| has(&state, &entry.id)) {
        return Ok(None);
    }
    let inputs: Result<_> = entries.iter().map(|entry| Live::open(dir, entry)).collect();
    Ok(Some((inputs?, state)))
}

/// Whether a merge has all records and vectors of its inputs, as these count them.
fn check_counts(dir: &Path, inputs: &[Live], found: (usize, usize)) -> Result<()> {
    let wanted = (
        inputs.iter().map(Live::len).sum(),
        inputs.iter().map(Live::vectors).sum(),
    );
    if found == wanted {
        return Ok(());
    }
    let reason = format!(
        "{} records and {} vectors can be read of segments that have {} and {}",
        found.0, found.1, wanted.0, wanted.1
    );
    Err(Error::corrupt(dir, reason))
}

fn copy(
    builder: &mut SegmentBuilder,
    input: &Live,
    state: &State,
    throttle: &mut Option<&mut Throttle>,
    control: Control<'_>,
) -> Result<()> {
    let segment = &input.segment;
    for number in 0..segment.rows.blocks() {
        control.check()?;
        let block = segment.rows.block(number)?;
        let mut bytes = block.bytes();
        for position in block.positions() {
            if !input.has(position) {
                continue;
            }
            let vector = match &segment.index {
                Some(index) => index.get(position as i64)?,
                None => None,
            };
            bytes += vector.as_ref().map_or(0, |vector| vector.len() * 4);
            let id = segment.rows.id(position)?;
            builder.push(
                segment.rows.row(position)?,
                state.shared.hash(id),
                (id, block.text(position), block.metadata(position)),
                vector.as_deref(),
            )?;
        }
        if let Some(throttle) = throttle {
            throttle.pass(bytes as u64);
        }
    }
    Ok(())
}

/// Puts a merged segment in the place of its inputs, in a new generation and in the newest state.
fn commit(
    engine: &Arc<Engine>,
    dir: &Path,
    entries: &[SegmentEntry],
    merged: Option<SegmentEntry>,
    segment: Option<Arc<Segment>>,
    inputs: &Arc<Vec<Live>>,
) -> Result<bool> {
    let mut head = engine.head();
    let Some(before) = &*head else {
        return Err(engine.ended());
    };
    let same = |a: &SegmentEntry, b: &SegmentEntry| a.id == b.id;
    let all = &before.manifest.segments;
    let start = entries
        .first()
        .and_then(|first| all.iter().position(|entry| same(entry, first)));
    let now = start.and_then(|start| all.get(start..start + entries.len()));
    let (Some(start), Some(now)) = (start, now) else {
        discard(dir, merged.as_ref());
        return Ok(false);
    };
    if !now.iter().zip(entries).all(|(a, b)| same(a, b)) {
        discard(dir, merged.as_ref());
        return Ok(false);
    }
    let generation = before.manifest.generation + 1;
    let mut gone = RoaringBitmap::new();
    if let Some(segment) = &segment {
        for (input, entry) in inputs.iter().zip(now) {
            carry_over(input, &read_deletes(dir, entry)?, segment, &mut gone)?;
        }
    }
    let merged = match (merged, &segment) {
        (Some(entry), Some(segment)) if !gone.is_empty() => Some(SegmentEntry {
            deletes: Some(write_deletes(dir, segment.id, generation, &gone)?),
            ..entry
        }),
        (merged, _) => merged,
    };
    let mut segments = all.clone();
    segments.splice(start..start + entries.len(), merged);
    let manifest = Manifest {
        generation,
        parent: Some(before.digest.clone()),
        created: manifest::now(),
        epoch: engine.epoch(),
        segments,
        ..before.manifest.clone()
    };
    *head = Some(engine.commit(dir, manifest)?);
    let (engine_again, inputs) = (engine.clone(), inputs.clone());
    engine.on_writer(move |_| {
        let mut next = (*engine_again.state()).clone();
        let first = inputs.first().and_then(|input| {
            let id = input.segment.id;
            next.segments.iter().position(|live| live.segment.id == id)
        });
        let Some(first) = first else {
            return Err(Error::Internal(
                "the merged segments are not in the state".into(),
            ));
        };
        let range = first..first + inputs.len();
        let mut gone = RoaringBitmap::new();
        let mut live = None;
        if let Some(segment) = segment {
            let now = next.segments.get(range.clone()).unwrap_or_default();
            for (input, now) in inputs.iter().zip(now) {
                carry_over(input, &now.deleted, &segment, &mut gone)?;
            }
            live = Some(Live::new(segment, gone)?);
        }
        next.segments.splice(range, live);
        engine_again.publish(next);
        Ok(())
    })??;
    retention::apply(dir, engine.retention())?;
    Ok(true)
}

/// Adds the positions, in a merged segment, of what was deleted from an input since it was read.
fn carry_over(
    input: &Live,
    now: &RoaringBitmap,
    merged: &Segment,
    gone: &mut RoaringBitmap,
) -> Result<()> {
    let watch = Watch::begin();
    for position in now - &*input.deleted {
        let row = input.segment.rows.row(position as usize)?;
        if let Some(at) = merged.rows.position_of(row)? {
            gone.insert(at as u32);
        }
    }
    Ok(watch.check()?)
}

fn has(state: &State, id: &str) -> bool {
    let mut all = state.segments.iter();
    all.any(|live| live.segment.id.to_string() == id)
}

/// Removes a segment that is not needed after all.
fn discard(dir: &Path, entry: Option<&SegmentEntry>) {
    if let Some(entry) = entry {
        // What stays is removed with other files that no manifest names.
        let _ = crate::files::remove_dir(&dir.join(crate::segment::DIRECTORY).join(&entry.id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(records: u64, deleted: u64) -> SegmentEntry {
        let deletes = (deleted > 0).then(|| manifest::DeletesEntry {
            file: manifest::FileEntry {
                name: String::new(),
                length: 0,
                shake256: String::new(),
                ends: 0,
            },
            records: deleted,
        });
        SegmentEntry {
            id: String::new(),
            records,
            vectors: 0,
            first_row: 0,
            last_row: 0,
            files: Vec::new(),
            deletes,
        }
    }

    fn planned(sizes: &[u64]) -> Option<Range<usize>> {
        let entries: Vec<_> = sizes.iter().map(|size| entry(*size, 0)).collect();
        plan(&entries)
    }

    #[test]
    fn small_neighbours_of_similar_size_are_merged_first() {
        assert_eq!(planned(&[]), None);
        assert_eq!(planned(&[10, 20, 30]), None);
        assert_eq!(planned(&[10, 20, 30, 40]), Some(0..4));
        assert_eq!(planned(&[1_000_000, 10, 20, 30, 40]), Some(1..5));
        assert_eq!(planned(&[1_000_000, 10, 20, 1_000_000, 30, 40]), None);
        assert_eq!(planned(&[1_000_000; 4]), Some(0..4));
        assert_eq!(planned(&[1_000_000, 1_000_000, 10, 1_000_000, 10]), None);
        assert_eq!(
            planned(&[1_000_000, 1_000_000, 10, 1_000_000, 1_000_000, 9]),
            Some(0..6)
        );
        assert_eq!(planned(&[8 << 20; 4]), None);
    }

    #[test]
    fn a_segment_that_is_mostly_gone_is_rewritten() {
        assert_eq!(plan(&[entry(1000, 0), entry(1000, 300)]), Some(1..2));
        assert_eq!(plan(&[entry(1000, 250)]), None);
    }

    #[test]
    fn flushes_of_one_size_are_rewritten_a_logarithmic_number_of_times() {
        let mut sizes: Vec<u64> = Vec::new();
        let mut written = 0;
        for _ in 0..1024 {
            sizes.push(40_000);
            while let Some(range) = planned(&sizes) {
                let merged = sizes[range.clone()].iter().sum();
                written += merged;
                sizes.splice(range, [merged]);
            }
            assert!(sizes.len() <= 20, "{sizes:?}");
        }
        assert!(written / (1024 * 40_000) <= 6, "{written}");
    }
}
