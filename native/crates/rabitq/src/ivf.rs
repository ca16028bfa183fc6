//! Building a part with inverted lists.

use std::sync::OnceLock;
use std::sync::atomic::AtomicUsize;

use rayon::prelude::*;

use crate::assign::{Assigner, Scratch};
use crate::build::{Center, Shape, report};
use crate::columns::{self, Columns, Known, Run, Slots};
use crate::encode::Encoder;
use crate::kmeans;
use crate::learn::learn;
use crate::lists::{Lists, layout, lengths, radii};
use crate::part::{Codes, Part, order_by_id};
use crate::row::EncodedRow;
use crate::section::Section;
use crate::table::Table;
use crate::{Bits, BuildOptions, Control, Metric, Result};

/// Lists for `n` rows: this many times the square root.
const LISTS_PER_ROOT: f64 = 4.0;

/// Fewest rows a list is meant to have.
pub(crate) const MIN_LIST: usize = 32;

/// Rows a list that k-means is trained on.
pub(crate) const SAMPLE_PER_LIST: usize = 40;

/// Rows assigned by one task.
const ASSIGN_ROWS: usize = 256;

/// Centroids and their codes, before rows are grouped around them.
pub(crate) struct Centroids {
    offsets: Vec<f32>,
    routes: Codes,
}

impl Centroids {
    /// From points relative to the center and rotated.
    pub(crate) fn new(shape: &Shape, center: &Center, bits: Bits, offsets: Vec<f32>) -> Self {
        Self {
            routes: routes(shape, center, bits, &offsets),
            offsets,
        }
    }
}

/// Groups rows around new centroids.
pub(crate) fn build(
    shape: &Shape,
    center: &Center,
    bits: Bits,
    table: Table<'_>,
    control: Control<'_>,
) -> Result<Part> {
    let (padded, rows) = (shape.rotation.padded(), table.norms.len());
    let wanted = wanted_lists(&shape.options, rows);
    let sample = (wanted * SAMPLE_PER_LIST).min(rows);
    control.report("cluster", 0, sample);
    let mut points = vec![0.0; sample * padded];
    points
        .par_chunks_mut(padded)
        .enumerate()
        .try_for_each(|(i, point)| {
            let row = i * rows / sample;
            let norm = table.norms[row];
            table
                .vectors
                .with(row, |vector| shape.rotate(center, vector, norm, point))
        })?;
    let offsets = kmeans::train(&points, padded, wanted, shape.options.seed, control)?;
    drop(points);
    control.report("cluster", sample, sample);
    let centroids = Centroids::new(shape, center, bits, offsets);
    group(shape, center, bits, centroids, table, control)
}

/// Lists for so many rows.
pub(crate) fn wanted_lists(options: &BuildOptions, rows: usize) -> usize {
    let wanted = match options.lists {
        Some(lists) => lists as usize,
        None => (LISTS_PER_ROOT * (rows as f64).sqrt()) as usize,
    };
    wanted.clamp(1, (rows / MIN_LIST).max(1))
}

/// Groups rows around known centroids.
fn group(
    shape: &Shape,
    center: &Center,
    bits: Bits,
    centroids: Centroids,
    table: Table<'_>,
    control: Control<'_>,
) -> Result<Part> {
    let assigner = Assigner::new(shape, &centroids.offsets, control)?;
    let all: Vec<u32> = (0..table.norms.len() as u32).collect();
    let lists = assign(shape, center, &assigner, &table, &all, control)?;
    let lists = lists.into_iter().map(|(list, _)| list).collect();
    drop(all);
    drop(assigner);
    arrange(shape, center, bits, centroids, table, lists, None, control)
}

/// The nearest lists of some rows, and their squared distances.
pub(crate) fn assign(
    shape: &Shape,
    center: &Center,
    assigner: &Assigner<'_>,
    table: &Table<'_>,
    rows: &[u32],
    control: Control<'_>,
) -> Result<Vec<(u32, f32)>> {
    let done = AtomicUsize::new(0);
    let tasks: Result<Vec<Vec<(u32, f32)>>> = rows
        .par_chunks(ASSIGN_ROWS)
        .map_init(
            || (Scratch::default(), vec![0.0; shape.rotation.padded()]),
            |(scratch, rotated), task| {
                control.check()?;
                let lists = task.iter().map(|&row| {
                    let norm = table.norms[row as usize];
                    table.vectors.with(row as usize, |vector| {
                        shape.rotate(center, vector, norm, rotated);
                    })?;
                    assigner.nearest(rotated, scratch)
                });
                let lists = lists.collect();
                report(control, "assign", &done, task.len(), rows.len());
                lists
            },
        )
        .collect();
    Ok(tasks?.concat())
}

/// Lays out rows list after list. `lists` has the list of each row.
#[expect(clippy::too_many_arguments, reason = "what a grouped part is made of")]
pub(crate) fn arrange(
    shape: &Shape,
    center: &Center,
    bits: Bits,
    centroids: Centroids,
    table: Table<'_>,
    lists: Vec<u32>,
    known: Option<&Known<'_>>,
    control: Control<'_>,
) -> Result<Part> {
    let (padded, rows) = (shape.rotation.padded(), table.norms.len());
    let mut sizes = vec![0u32; centroids.offsets.len() / padded];
    for &list in &lists {
        sizes[list as usize] += 1;
    }
    let (starts, blocks) = layout(&sizes);
    let mut next = starts.clone();
    let mut order = vec![0u32; rows];
    for (row, &list) in lists.iter().enumerate() {
        order[next[list as usize] as usize] = row as u32;
        next[list as usize] += 1;
    }
    drop(lists);
    let runs: Vec<Run<'_>> = sizes
        .iter()
        .zip(centroids.offsets.chunks_exact(padded))
        .map(|(&size, offset)| Run {
            rows: size as usize,
            offset: Some(offset),
        })
        .collect();
    let source = (&table.vectors, table.norms.as_slice());
    let codes = columns::encode(
        shape,
        center,
        bits,
        &runs,
        source,
        Some(&order),
        known,
        control,
    )?;
    let ids: Vec<i64> = order.iter().map(|&row| table.ids[row as usize]).collect();
    let norms: Vec<f32> = order.iter().map(|&row| table.norms[row as usize]).collect();
    let by_id = if table.ids.is_sorted() {
        let mut rows = vec![0; rows];
        for (row, &place) in order.iter().enumerate() {
            rows[place as usize] = row as u32;
        }
        Some(rows)
    } else {
        order_by_id(&ids)
    };
    let mut lists = Lists {
        order: order.into(),
        starts: starts.into(),
        blocks: blocks.into(),
        lengths: lengths(&centroids.offsets, &center.rotated).into(),
        offsets: centroids.offsets.into(),
        routes: centroids.routes,
        radii: vec![].into(),
    };
    let raw = match table.vectors.into_kept() {
        Some(raw) => Some(raw.ordered(lists.order.clone())?),
        None => None,
    };
    let mut part = Part {
        ids: ids.into(),
        by_id: by_id.map(Section::from),
        norms: norms.into(),
        raw,
        codes: Some(codes),
        lists: None,
        curves: vec![].into(),
        length: OnceLock::new(),
    };
    if let Some(codes) = &part.codes {
        let (starts, blocks) = (lists.starts.all()?, lists.blocks.all()?);
        lists.radii = radii(starts, blocks, codes, shape.options.metric)?.into();
    }
    part.lists = Some(lists);
    part.curves = learn(shape, center, &part, control)?.into();
    Ok(part)
}

/// Codes of centroids, ranked by distance, or by product where the metric is one.
fn routes(shape: &Shape, center: &Center, bits: Bits, offsets: &[f32]) -> Codes {
    let add = |offset: &[f32]| match shape.options.metric {
        Metric::InnerProduct => (-simd::kernels().dot(offset, &center.rotated), -1.0),
        Metric::Cosine | Metric::L2 => (simd::kernels().dot(offset, offset), -2.0),
    };
    let padded = shape.rotation.padded();
    let count = offsets.len() / padded;
    let mut columns = Columns::new(bits, padded, std::iter::once(count));
    let mut slots = columns.slots();
    encode_points(bits, padded, offsets.chunks_exact(padded), add, &mut slots);
    columns.finish(shape.options.metric)
}

/// Encodes points around the center; `add` gives a point's own part of its rank and the factor of the product.
pub(crate) fn encode_points<'a>(
    bits: Bits,
    padded: usize,
    points: impl Iterator<Item = &'a [f32]>,
    add: impl Fn(&[f32]) -> (f32, f32),
    slots: &mut Slots<'_>,
) {
    let mut encoder = Encoder::new(bits, padded, None);
    for (i, point) in points.enumerate() {
        let (add, cross) = add(point);
        let encoded = encoder.encode(simd::kernels(), point, cross);
        let row = EncodedRow {
            sign_add: add,
            sign: encoded.sign,
            full_add: add,
            full: encoded.full,
        };
        slots.put(i, &row, encoder.codes());
    }
}
