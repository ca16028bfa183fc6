//! Building a part with inverted lists.

use std::sync::atomic::AtomicUsize;

use rayon::prelude::*;

use crate::build::{Center, Shape, Slots, max_add, report};
use crate::encode::Encoder;
use crate::kmeans;
use crate::learn::learn;
use crate::lists::{Lists, layout, sign_bytes};
use crate::pack::{self, BLOCK};
use crate::part::{Codes, Part, order_by_id};
use crate::query::Estimator;
use crate::row::{EncodedRow, RowEncoder};
use crate::section::Section;
use crate::table::Table;
use crate::{Bits, Control, Metric, Result};

/// Lists for `n` rows: this many times the square root.
const LISTS_PER_ROOT: f64 = 4.0;

/// Fewest rows a list is meant to have.
const MIN_LIST: usize = 32;

/// Rows a list that k-means is trained on.
const SAMPLE_PER_LIST: usize = 40;

/// Lists whose centroids a row is compared with exactly before it is assigned.
const ASSIGN_CANDIDATES: usize = 4;

/// Centroids and their codes, before and after rows are grouped around them.
pub(crate) struct Centroids {
    pub offsets: Vec<f32>,
    pub routes: Codes,
}

/// Groups rows around new centroids.
pub(crate) fn build(
    shape: &Shape,
    center: &Center,
    bits: Bits,
    table: &Table<'_>,
    control: Control<'_>,
) -> Result<Part> {
    let (dimensions, padded, rows) = (
        shape.options.dimensions,
        shape.rotation.padded(),
        table.norms.len(),
    );
    let wanted = shape
        .options
        .lists
        .map_or((LISTS_PER_ROOT * (rows as f64).sqrt()) as usize, |lists| {
            lists as usize
        });
    let wanted = wanted.clamp(1, (rows / MIN_LIST).max(1));
    let sample = (wanted * SAMPLE_PER_LIST).min(rows);
    control.report("cluster", 0, sample);
    let mut points = vec![0.0; sample * padded];
    points
        .par_chunks_mut(padded)
        .enumerate()
        .for_each(|(i, point)| {
            let row = i * rows / sample;
            shape.rotate(
                center,
                &table.vectors[row * dimensions..(row + 1) * dimensions],
                table.norms[row],
                point,
            );
        });
    let offsets = kmeans::train(&points, padded, wanted, shape.options.seed, control)?;
    drop(points);
    control.report("cluster", sample, sample);
    let centroids = Centroids {
        routes: routes(shape, center, bits, &offsets),
        offsets,
    };
    group(shape, center, bits, centroids, table, control)
}

/// Groups rows around known centroids.
pub(crate) fn group(
    shape: &Shape,
    center: &Center,
    bits: Bits,
    centroids: Centroids,
    table: &Table<'_>,
    control: Control<'_>,
) -> Result<Part> {
    let (dimensions, padded, rows) = (
        shape.options.dimensions,
        shape.rotation.padded(),
        table.norms.len(),
    );
    let count = centroids.offsets.len() / padded;
    let mut lists = Lists {
        order: vec![].into(),
        starts: vec![0; count + 1].into(),
        blocks: vec![].into(),
        offsets: centroids.offsets.into(),
        routes: centroids.routes,
        curve: vec![].into(),
    };
    let assignment = assign(
        shape,
        center,
        bits,
        &lists,
        &table.vectors,
        &table.norms,
        control,
    )?;
    let mut sizes = vec![0u32; count];
    for &list in &assignment {
        sizes[list as usize] += 1;
    }
    let (starts, blocks) = layout(&sizes);
    let mut next = starts.clone();
    let mut order = vec![0u32; rows];
    for (row, &list) in assignment.iter().enumerate() {
        order[next[list as usize] as usize] = row as u32;
        next[list as usize] += 1;
    }
    let mut raw = vec![0.0; table.vectors.len()];
    raw.par_chunks_mut(dimensions)
        .zip(&order)
        .for_each(|(to, &from)| {
            to.copy_from_slice(
                &table.vectors[from as usize * dimensions..(from as usize + 1) * dimensions],
            );
        });
    let ids: Vec<i64> = order.iter().map(|&row| table.ids[row as usize]).collect();
    let norms: Vec<f32> = order.iter().map(|&row| table.norms[row as usize]).collect();
    let codes = encode(shape, center, bits, &lists, &sizes, &raw, &norms, control)?;
    lists.order = order.into();
    lists.starts = starts.into();
    lists.blocks = blocks.into();
    let by_id = order_by_id(&ids).map(Section::from);
    let mut part = Part {
        ids: ids.into(),
        by_id,
        norms: norms.into(),
        raw: Some(raw.into()),
        codes: Some(codes),
        lists: None,
    };
    lists.curve = learn(shape, center, &part, &lists, control)?.into();
    part.lists = Some(lists);
    Ok(part)
}

/// Codes of centroids, ranked by distance, or by product where the metric is one.
fn routes(shape: &Shape, center: &Center, bits: Bits, offsets: &[f32]) -> Codes {
    let kernels = simd::kernels();
    let padded = shape.rotation.padded();
    let mut codes = Columns::new(
        bits,
        padded,
        offsets.len() / padded,
        offsets.len() / padded.max(1),
    );
    let mut encoder = Encoder::new(bits, padded, None);
    let mut slots = codes.slots();
    for (i, offset) in offsets.chunks_exact(padded).enumerate() {
        let (add, cross) = match shape.options.metric {
            Metric::InnerProduct => (-kernels.dot(offset, &center.rotated), -1.0),
            Metric::Cosine | Metric::L2 => (kernels.dot(offset, offset), -2.0),
        };
        let encoded = encoder.encode(kernels, offset, cross);
        slots.put(
            i,
            &EncodedRow {
                sign_add: add,
                sign: encoded.sign,
                full_add: add,
                full: encoded.full,
            },
            encoder.codes(),
        );
    }
    codes.finish(shape.options.metric)
}

/// The nearest list of each row.
fn assign(
    shape: &Shape,
    center: &Center,
    bits: Bits,
    lists: &Lists,
    vectors: &[f32],
    norms: &[f32],
    control: Control<'_>,
) -> Result<Vec<u32>> {
    const TASK: usize = 256;
    let kernels = simd::kernels();
    let (dimensions, padded) = (shape.options.dimensions, shape.rotation.padded());
    let offsets = lists.offsets.all()?;
    let (done, total) = (AtomicUsize::new(0), norms.len());
    let tasks: Vec<Result<Vec<u32>>> = vectors
        .par_chunks(dimensions * TASK)
        .zip(norms.par_chunks(TASK))
        .map(|(vectors, norms)| {
            control.check()?;
            let mut list = Vec::with_capacity(norms.len());
            for (vector, &norm) in vectors.chunks_exact(dimensions).zip(norms) {
                let mut rotated = vec![0.0; padded];
                shape.rotate(center, vector, norm, &mut rotated);
                let estimator = Estimator::new(Metric::L2, bits, rotated, center, 0.0);
                let near = lists.nearest(kernels, &estimator, ASSIGN_CANDIDATES)?;
                let distance = |list: u32| {
                    let at = list as usize * padded;
                    kernels.l2_squared(estimator.rotated(), &offsets[at..at + padded])
                };
                let best = near
                    .into_iter()
                    .map(|list| (distance(list), list))
                    .min_by(|a, b| a.0.total_cmp(&b.0));
                list.push(best.map_or(0, |best| best.1));
            }
            report(control, "assign", &done, norms.len(), total);
            Ok(list)
        })
        .collect();
    Ok(tasks.into_iter().collect::<Result<Vec<_>>>()?.concat())
}

/// Encodes grouped rows, every list around its centroid.
#[expect(clippy::too_many_arguments, reason = "the columns of a part")]
fn encode(
    shape: &Shape,
    center: &Center,
    bits: Bits,
    lists: &Lists,
    sizes: &[u32],
    vectors: &[f32],
    norms: &[f32],
    control: Control<'_>,
) -> Result<Codes> {
    let (dimensions, padded) = (shape.options.dimensions, shape.rotation.padded());
    let blocks: usize = sizes
        .iter()
        .map(|size| size.div_ceil(BLOCK as u32) as usize)
        .sum();
    let offsets = lists.offsets.all()?;
    let mut columns = Columns::new(bits, padded, blocks * BLOCK, norms.len());
    let mut rest = columns.slots();
    let (mut vectors, mut norms) = (vectors, norms);
    let mut tasks = Vec::with_capacity(sizes.len());
    for (&size, offset) in sizes.iter().zip(offsets.chunks_exact(padded)) {
        let size = size as usize;
        let (slots, later) = rest.split_at(size);
        rest = later;
        let (own, later) = vectors.split_at(size * dimensions);
        vectors = later;
        let (own_norms, later) = norms.split_at(size);
        norms = later;
        tasks.push((slots, own, own_norms, offset));
    }
    let (done, total) = (
        AtomicUsize::new(0),
        sizes.iter().map(|&size| size as usize).sum(),
    );
    tasks.into_par_iter().try_for_each_init(
        || RowEncoder::new(shape, center, bits),
        |encoder, (mut slots, vectors, norms, offset)| {
            control.check()?;
            for (i, (vector, &norm)) in vectors.chunks_exact(dimensions).zip(norms).enumerate() {
                let row = encoder.encode(vector, norm, Some(offset));
                slots.put(i, &row, encoder.codes());
            }
            report(control, "encode", &done, norms.len(), total);
            Ok(())
        },
    )?;
    Ok(columns.finish(shape.options.metric))
}

/// The columns of codes while they are filled.
struct Columns {
    bits: Bits,
    padded: usize,
    signs: Vec<u8>,
    add: Vec<f32>,
    rescale: Vec<f32>,
    error: Vec<f32>,
    rows: Vec<u8>,
}

impl Columns {
    fn new(bits: Bits, padded: usize, slots: usize, rows: usize) -> Self {
        let slots = slots.next_multiple_of(BLOCK);
        Self {
            bits,
            padded,
            signs: vec![0; sign_bytes(padded, slots / BLOCK)],
            add: vec![f32::INFINITY; slots],
            rescale: vec![0.0; slots],
            error: vec![0.0; slots],
            rows: vec![0; rows * pack::row_bytes(bits, padded)],
        }
    }

    fn slots(&mut self) -> Slots<'_> {
        Slots {
            bits: self.bits,
            padded: self.padded,
            signs: &mut self.signs,
            add: &mut self.add,
            rescale: &mut self.rescale,
            error: &mut self.error,
            rows: &mut self.rows,
        }
    }

    fn finish(self, metric: Metric) -> Codes {
        let max_add = max_add(metric, &self.add);
        Codes {
            bits: self.bits,
            padded: self.padded,
            signs: self.signs.into(),
            add: self.add.into(),
            rescale: self.rescale.into(),
            error: self.error.into(),
            rows: self.rows.into(),
            max_add,
        }
    }
}
