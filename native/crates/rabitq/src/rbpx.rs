//! The upstream index file of the crate `ruvector-rabitq`, read and written.
//!
//! Little-endian: magic `rbpx0001`, version 1 (`u32`), dimensions (`u32`), seed (`u64`), rerank factor (`u32`), rows
//! (`u32`), then for each row its id (`u32`) and its `f32` components. No codes and no checksum: reading builds the index.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use mapping::Watch;

use crate::file::unsupported;
use crate::mapped::MappedFile;
use crate::section::as_bytes;
use crate::state::State;
use crate::writer::AtomicFile;
use crate::{BuildOptions, Control, Error, Index, Kind, MAX_DIMENSIONS, Metric, Result};

const MAGIC: &[u8; 8] = b"rbpx0001";
const HEAD_BYTES: usize = 32;
const MAX_RERANK: u32 = 1024;
const MAX_ROWS: u32 = 100_000_000;

/// Whether a file starts like an upstream index.
pub(crate) fn is_rbpx(path: &Path, file: &File) -> Result<bool> {
    Ok(MappedFile::head(path, file, MAGIC.len())? == MAGIC)
}

/// Reads and builds. Upstream ranks by squared Euclidean distance, so the metric is l2.
pub(crate) fn read(path: &Path, file: File, control: Control<'_>) -> Result<Index> {
    let io = |source| Error::Io {
        path: path.into(),
        source,
    };
    let corrupt = |reason: String| Error::Corrupt {
        path: path.into(),
        reason,
    };
    let length = file.metadata().map_err(io)?.len();
    if length < HEAD_BYTES as u64 {
        return Err(corrupt("the file ends inside its header".into()));
    }
    let mut input = BufReader::with_capacity(1 << 20, file);
    let mut head = [0; HEAD_BYTES];
    input.read_exact(&mut head).map_err(io)?;
    let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let (version, dimensions, rerank, rows) = (word(8), word(12) as usize, word(24), word(28));
    let seed = u64::from(word(16)) | u64::from(word(20)) << 32;
    if version != 1 {
        return Err(unsupported(
            path,
            format!("rbpx version {version}; this build reads version 1"),
        ));
    }
    if !(1..=MAX_DIMENSIONS).contains(&dimensions) || rerank > MAX_RERANK || rows > MAX_ROWS {
        return Err(corrupt(format!(
            "impossible header: {dimensions} dimensions, rerank factor {rerank}, {rows} rows"
        )));
    }
    let row_bytes = 4 + 4 * dimensions;
    let expected = HEAD_BYTES as u64 + u64::from(rows) * row_bytes as u64;
    if length != expected {
        return Err(corrupt(format!(
            "{expected} bytes expected, {length} found"
        )));
    }
    let mut ids = Vec::with_capacity(rows as usize);
    let mut vectors = Vec::with_capacity(rows as usize * dimensions);
    let mut row = vec![0; row_bytes];
    for _ in 0..rows {
        input.read_exact(&mut row).map_err(io)?;
        let mut words = row.chunks_exact(4).map(|b| [b[0], b[1], b[2], b[3]]);
        ids.extend(words.next().map(|b| i64::from(u32::from_le_bytes(b))));
        vectors.extend(words.map(f32::from_le_bytes));
    }
    let options = BuildOptions {
        seed,
        rerank_factor: (rerank > 0).then_some(rerank),
        ..BuildOptions::new(Kind::RabitqPlus, dimensions, Metric::L2)
    };
    // The format has no checksum: what cannot be a vector or an id list is the only damage that shows.
    Index::build(vectors, Some(&ids), &options, control).map_err(|error| match error {
        Error::Cancelled => error,
        other => corrupt(other.to_string()),
    })
}

/// Writes the raw rows. Upstream has nothing but squared distances, 32-bit ids and raw vectors.
pub(crate) fn write(
    path: &Path,
    options: &BuildOptions,
    state: &State,
    control: Control<'_>,
) -> Result<()> {
    let refused = |reason: String| Error::InvalidOption {
        option: "path",
        reason,
    };
    if options.kind != Kind::RabitqPlus || options.metric != Metric::L2 {
        let (kind, metric) = (options.kind, options.metric);
        return Err(refused(format!(
            "an rbpx file holds a RabitqPlusIndex with metric l2, this is a {kind} with metric {metric}"
        )));
    }
    let rows = u32::try_from(state.rows())
        .ok()
        .filter(|&rows| rows <= MAX_ROWS);
    let rows = rows.ok_or_else(|| {
        refused(format!(
            "an rbpx file holds at most {MAX_ROWS} rows, this index has {}",
            state.rows()
        ))
    })?;
    let mut out = AtomicFile::create(path, Watch::begin())?;
    out.write(MAGIC)?;
    out.write(&1u32.to_le_bytes())?;
    out.write(&(options.dimensions as u32).to_le_bytes())?;
    out.write(&options.seed.to_le_bytes())?;
    out.write(
        &options
            .rerank_factor
            .unwrap_or(DEFAULT_RERANK)
            .to_le_bytes(),
    )?;
    out.write(&rows.to_le_bytes())?;
    for live in &state.parts {
        let Some(raw) = &live.part.raw else { continue };
        control.check()?;
        for row in live.live_rows()? {
            let id = live.part.ids.at(row)?;
            let id = u32::try_from(id).map_err(|_| {
                refused(format!(
                    "an rbpx file holds ids below 2^32, this index has {id}"
                ))
            })?;
            out.write(&id.to_le_bytes())?;
            raw.with(row, |vector| out.write(as_bytes(vector)))??;
        }
    }
    out.commit()
}

/// What upstream's own examples use; it has no bound-driven reranking to fall back on.
const DEFAULT_RERANK: u32 = 20;
