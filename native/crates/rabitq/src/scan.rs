//! Scanning a part for the rows nearest to a query.

use std::cell::Cell;

use crate::bitset::Bitset;
use crate::pack::{self, BLOCK};
use crate::part::{Codes, Part};
use crate::query::{Estimator, Query, Reach};
use crate::topk::{Candidate, TopK};
use crate::{Control, Result};

/// Rows whose bounds are held at a time; a multiple of [`BLOCK`]. Their three arrays stay in a core's L2 cache.
const CHUNK: usize = 32 * 1024;

/// Rows of one search for a threshold, so that it tightens while a chunk is looked through.
const STRIDE: usize = 1024;

/// Relative rounding error allowed for in comparisons of estimates with exact ranks.
const ROUNDING: f32 = 1e-5;

/// Consecutive rows that were encoded around the same point, beginning at a block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub row: usize,
    pub block: usize,
    pub rows: usize,
    pub reach: Reach,
}

impl Span {
    /// At most [`CHUNK`] rows from `start` on.
    fn part(&self, start: usize) -> Self {
        let rows = (self.rows - start).min(CHUNK);
        Self {
            row: self.row + start,
            block: self.block + start / BLOCK,
            rows,
            reach: self.reach,
        }
    }
}

/// One query against one part.
pub(crate) struct Scan<'a> {
    pub query: &'a Query<'a>,
    pub part: &'a Part,
    /// Position of the part's first row in the whole index.
    pub first: u64,
    /// Rows that may be returned; all if absent.
    pub mask: Option<&'a Bitset>,
    pub control: Control<'a>,
}

/// Arrays reused by all scans of a thread.
#[derive(Default)]
struct Scratch {
    sums: Vec<u32>,
    estimates: Vec<f32>,
    lowers: Vec<f32>,
    picks: Vec<u32>,
    survivors: Vec<(f32, f32, u32)>,
}

thread_local! {
    static SCRATCH: Cell<Scratch> = Cell::default();
}

impl Scan<'_> {
    /// Ranks every allowed row by its raw vector.
    pub(crate) fn exact(&self, top: &mut TopK) -> Result<()> {
        let rows = self.part.rows();
        for start in (0..rows).step_by(STRIDE) {
            self.control.check()?;
            let range = start..(start + STRIDE).min(rows);
            match self.mask {
                None => range
                    .into_iter()
                    .try_for_each(|row| self.push_exact(row, top))?,
                Some(mask) => mask
                    .iter(range)
                    .try_for_each(|row| self.push_exact(row, top))?,
            }
        }
        Ok(())
    }

    /// Ranks by raw vector every row of the spans whose lower bound reaches the best `k`.
    pub(crate) fn by_bounds(
        &self,
        codes: &Codes,
        estimator: &Estimator,
        spans: &[Span],
        top: &mut TopK,
    ) -> Result<()> {
        let kernels = self.query.kernels();
        let rounding = f64::from(ROUNDING * (estimator.magnitude + codes.max_add));
        let tolerance = |limit: f64| {
            ((limit + limit.abs() * f64::from(ROUNDING) + rounding) as f32).min(f32::MAX)
        };
        self.chunks(codes, estimator, spans, |span, scratch| {
            // The best estimates first: their exact ranks give a limit that few lower bounds of the chunk reach.
            if span.rows >= STRIDE || top.limit() == f64::INFINITY {
                let mut seeds = TopK::new(top.capacity());
                each_below(scratch, &mut seeds, tolerance(top.limit()));
                for seed in seeds.into_sorted() {
                    let row = seed.row as usize;
                    scratch.lowers[row] = f32::INFINITY;
                    self.push_exact(span.row + row, top)?;
                }
            }
            let Scratch {
                sums,
                estimates,
                lowers,
                picks,
                survivors,
            } = scratch;
            picks.clear();
            survivors.clear();
            let limit = tolerance(top.limit());
            kernels.select_le(lowers, limit, 0, picks);
            let width = codes.row_bytes();
            for &pick in picks.iter() {
                let at = pick as usize;
                let (estimate, lower) = if width == 0 {
                    (estimates[at], lowers[at])
                } else {
                    let code = codes
                        .rows
                        .get((span.row + at) * width..(span.row + at + 1) * width)?;
                    estimator.refine(kernels, span.reach, sums[at], code)
                };
                if lower <= limit {
                    survivors.push((estimate, lower, pick));
                }
            }
            survivors.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.2.cmp(&b.2)));
            for &(_, lower, pick) in survivors.iter() {
                if lower <= tolerance(top.limit()) {
                    self.push_exact(span.row + pick as usize, top)?;
                }
            }
            Ok(())
        })
    }

    /// Ranks rows of the spans by the estimate of their whole code; ranks in `top` are estimates.
    pub(crate) fn by_estimates(
        &self,
        codes: &Codes,
        estimator: &Estimator,
        spans: &[Span],
        top: &mut TopK,
    ) -> Result<()> {
        let kernels = self.query.kernels();
        let width = codes.row_bytes();
        self.chunks(codes, estimator, spans, |span, scratch| {
            let push = |at: usize, scratch: &Scratch, top: &mut TopK| -> Result<()> {
                let row = span.row + at;
                let estimate = if width == 0 {
                    scratch.estimates[at]
                } else {
                    let code = codes.rows.get(row * width..(row + 1) * width)?;
                    estimator
                        .refine(kernels, span.reach, scratch.sums[at], code)
                        .0
                };
                self.push(f64::from(estimate), row, top)
            };
            let mut seeds = TopK::new(top.capacity());
            each_below(scratch, &mut seeds, top.limit() as f32);
            for seed in seeds.into_sorted() {
                let at = seed.row as usize;
                scratch.lowers[at] = f32::INFINITY;
                push(at, scratch, top)?;
            }
            if width == 0 {
                return Ok(());
            }
            let mut picks = std::mem::take(&mut scratch.picks);
            picks.clear();
            kernels.select_le(
                &scratch.lowers,
                (top.limit() as f32).min(f32::MAX),
                0,
                &mut picks,
            );
            for &pick in &picks {
                if f64::from(scratch.lowers[pick as usize]) <= top.limit() {
                    push(pick as usize, scratch, top)?;
                }
            }
            scratch.picks = picks;
            Ok(())
        })
    }

    /// Rank of one row of a part without lists from its code and the unrounded query.
    pub(crate) fn estimate(&self, codes: &Codes, estimator: &Estimator, row: usize) -> Result<f64> {
        if self.query.is_right_angled(self.part.norms.at(row)?) {
            return Ok(0.0);
        }
        let (block, width) = (pack::block_bytes(codes.padded), codes.row_bytes());
        let signs = codes
            .signs
            .get(row / BLOCK * block..(row / BLOCK + 1) * block)?;
        let signs = pack::signs(signs, row % BLOCK, codes.padded);
        let mut numbers = vec![0.0; codes.padded];
        let (add, rescale) = if width == 0 {
            pack::unpack(codes.bits, &[], signs, &mut numbers);
            (codes.add.at(row)?, codes.rescale.at(row)?)
        } else {
            let (factors, body) = pack::row_parts(codes.rows.get(row * width..(row + 1) * width)?);
            pack::unpack(codes.bits, body, signs, &mut numbers);
            (factors.add, factors.rescale)
        };
        Ok(f64::from(estimator.estimate(
            self.query.kernels(),
            estimator.center(),
            &numbers,
            add,
            rescale,
        )))
    }

    /// Rank of one row from its raw vector.
    pub(crate) fn rank(&self, row: usize) -> Result<f64> {
        let Some(raw) = &self.part.raw else {
            return Ok(f64::INFINITY);
        };
        let norm = self.part.norms.at(row)?;
        raw.with(row, |vector| self.query.rank(vector, norm))
    }

    fn push_exact(&self, row: usize, top: &mut TopK) -> Result<()> {
        let rank = self.rank(row)?;
        if rank <= top.limit() {
            self.push(rank, row, top)
        } else {
            Ok(())
        }
    }

    fn push(&self, rank: f64, row: usize, top: &mut TopK) -> Result<()> {
        let order = self.first + self.part.order(row)? as u64;
        top.push(Candidate {
            rank,
            order,
            row: self.first + row as u64,
        });
        Ok(())
    }

    /// Fills sums, estimates and lower bounds chunk by chunk; rows outside the mask are infinitely far.
    fn chunks(
        &self,
        codes: &Codes,
        estimator: &Estimator,
        spans: &[Span],
        mut visit: impl FnMut(&Span, &mut Scratch) -> Result<()>,
    ) -> Result<()> {
        let mut scratch = SCRATCH.take();
        let chunks = spans.iter().flat_map(|span| {
            (0..span.rows)
                .step_by(CHUNK)
                .map(move |start| span.part(start))
        });
        let mut chunks = chunks.map(|chunk| {
            self.control.check()?;
            self.bounds(codes, estimator, &chunk, &mut scratch)?;
            visit(&chunk, &mut scratch)
        });
        let result = chunks.try_for_each(|result| result);
        drop(chunks);
        SCRATCH.set(scratch);
        result
    }

    fn bounds(
        &self,
        codes: &Codes,
        estimator: &Estimator,
        span: &Span,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let kernels = self.query.kernels();
        let block = pack::block_bytes(codes.padded);
        let blocks = span.rows.div_ceil(BLOCK);
        let slots = span.block * BLOCK..(span.block + blocks) * BLOCK;
        scratch.sums.resize(slots.len(), 0);
        scratch.estimates.resize(slots.len(), 0.0);
        scratch.lowers.resize(slots.len(), 0.0);
        let signs = codes
            .signs
            .get(span.block * block..(span.block + blocks) * block)?;
        kernels.fastscan(signs, &estimator.lut, &mut scratch.sums);
        kernels.bounds(
            &scratch.sums,
            codes.add.get(slots.clone())?,
            codes.rescale.get(slots.clone())?,
            codes.error.get(slots)?,
            &estimator.signs(span.reach),
            &mut scratch.estimates,
            &mut scratch.lowers,
        );
        // What fills up the last block has infinite factors, in a sound file.
        scratch.estimates.truncate(span.rows);
        scratch.lowers.truncate(span.rows);
        if let Some(mask) = self.mask {
            for row in mask.gaps(span.row..span.row + span.rows) {
                scratch.estimates[row - span.row] = f32::INFINITY;
                scratch.lowers[row - span.row] = f32::INFINITY;
            }
        }
        Ok(())
    }
}

/// Offers `top` the rows of a chunk by estimate, looking only at those the limit lets in. Infinite estimates are no rows.
fn each_below(scratch: &mut Scratch, top: &mut TopK, limit: f32) {
    let Scratch {
        estimates, picks, ..
    } = scratch;
    let kernels = simd::kernels();
    for (stride, values) in estimates.chunks(STRIDE).enumerate() {
        picks.clear();
        let limit = limit.min(top.limit() as f32).min(f32::MAX);
        kernels.select_le(values, limit, (stride * STRIDE) as u32, picks);
        for &pick in picks.iter() {
            top.push(Candidate::in_order(
                f64::from(estimates[pick as usize]),
                u64::from(pick),
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::build::Shape;
    use crate::raw::Vectors;
    use crate::rotate::Rotation;
    use crate::table::Table;
    use crate::{Bits, BuildOptions, Kind, Metric, validate};

    /// Uneven lengths, a common offset, heavy tails: nothing the rotation is told about.
    fn vectors(rows: usize, dimensions: usize, seed: u64) -> Vec<f32> {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut next = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        };
        (0..rows * dimensions)
            .map(|i| 0.3 + next() * (1.0 + (i % 7) as f32) + next().powi(9))
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        /// Three deviations are 99.7 % of a normal distribution; lengths within a rotation are not quite independent of it.
        #[test]
        fn bounds_hold_for_99_of_100_pairs(dimensions in 1usize..500, seed in any::<u64>(), metric in 0usize..3, five in any::<bool>()) {
            let metric = [Metric::Cosine, Metric::InnerProduct, Metric::L2][metric];
            let bits = if five { Bits::Five } else { Bits::Eight };
            let options = BuildOptions { bits: Some(bits), seed, ..BuildOptions::new(Kind::RabitqPlus, dimensions, metric) };
            let shape = Shape { rotation: Rotation::from_options(&options), options };
            let rows = 320;
            let data = vectors(rows, dimensions, seed);
            let norms = validate::norms_squared(simd::kernels(), metric, dimensions, &data).unwrap();
            let data = Vectors::new(&shape.options, data.into());
            let center = shape.center(&data, &norms).unwrap();
            let table = Table { ids: (0..rows as i64).collect(), vectors: data, norms };
            let part = shape.part(&center, table, Control::default()).unwrap();
            let codes = part.codes.as_ref().unwrap();
            let (mut sign_misses, mut full_misses, mut pairs) = (0, 0, 0);
            for vector in vectors(20, dimensions, !seed).chunks_exact(dimensions) {
                let norm = validate::norm_squared(simd::kernels(), metric, 0, vector).unwrap();
                let query = Query::new(&shape, &center, vector, norm, 3.0);
                let estimator = query.estimator().unwrap();
                let scan = Scan { query: &query, part: &part, first: 0, mask: None, control: Control::default() };
                let mut scratch = Scratch::default();
                let span = Span { row: 0, block: 0, rows, reach: estimator.center() };
                scan.bounds(codes, estimator, &span, &mut scratch).unwrap();
                for row in 0..rows {
                    let truth = scan.rank(row).unwrap();
                    let allowance = f64::from(ROUNDING * (estimator.magnitude + codes.max_add)) + truth.abs() * 1e-5;
                    let misses = |estimate: f32, lower: f32| {
                        let bound = f64::from(estimate - lower) + allowance;
                        usize::from((f64::from(estimate) - truth).abs() > bound)
                    };
                    sign_misses += misses(scratch.estimates[row], scratch.lowers[row]);
                    let width = codes.row_bytes();
                    let code = codes.rows.get(row * width..(row + 1) * width).unwrap();
                    let (estimate, lower) = estimator.refine(query.kernels(), span.reach, scratch.sums[row], code);
                    full_misses += misses(estimate, lower);
                    pairs += 1;
                }
            }
            prop_assert!(sign_misses * 100 <= pairs, "signs: {sign_misses} of {pairs} at {dimensions} dimensions, {metric}");
            prop_assert!(full_misses * 100 <= pairs, "{bits:?}: {full_misses} of {pairs} at {dimensions} dimensions, {metric}");
        }
    }
}
