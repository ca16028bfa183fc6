//! Scanning a part for the rows nearest to a query.

use std::cell::Cell;
use std::ops::Range;

use crate::bitset::Bitset;
use crate::pack::{self, BLOCK};
use crate::part::{Codes, Part};
use crate::query::{Estimator, Query};
use crate::topk::{Candidate, TopK};
use crate::{Bits, Control, Result};

/// Rows whose bounds are held at a time; a multiple of [`BLOCK`]. Their three arrays stay in a core's L2 cache.
const CHUNK: usize = 32 * 1024;

/// Rows of one search for a threshold, so that it tightens while a chunk is looked through.
const STRIDE: usize = 1024;

/// Relative rounding error allowed for in comparisons of estimates with exact ranks.
const ROUNDING: f32 = 1e-5;

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
                None => self.rank_rows(range, top)?,
                Some(mask) => self.rank_rows(mask.iter(range), top)?,
            }
        }
        Ok(())
    }

    /// Ranks by raw vector every row whose lower bound reaches the best `k`.
    pub(crate) fn by_bounds(
        &self,
        codes: &Codes,
        estimator: &Estimator,
        top: &mut TopK,
    ) -> Result<()> {
        self.chunks(codes, estimator, |start, scratch| {
            let kernels = self.query.kernels();
            let rounding = f64::from(ROUNDING * (estimator.magnitude + codes.max_add));
            let tolerance = |limit: f64| {
                ((limit + limit.abs() * f64::from(ROUNDING) + rounding) as f32).min(f32::MAX)
            };

            // The best estimates first: their exact ranks give a limit that few lower bounds of the chunk reach.
            let mut seeds = TopK::new(top.capacity());
            each_below(scratch, &mut seeds, tolerance(top.limit()));
            for seed in seeds.into_sorted() {
                let row = seed.row as usize;
                scratch.lowers[row] = f32::INFINITY;
                self.rank_rows(std::iter::once(start + row), top)?;
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
                let row = start + pick as usize;
                let (estimate, lower) = if width == 0 {
                    (estimates[pick as usize], lowers[pick as usize])
                } else {
                    let code = codes.rows.get(row * width..(row + 1) * width)?;
                    estimator.refine(kernels, sums[pick as usize], codes.add.at(row)?, code)
                };
                if lower <= limit {
                    survivors.push((estimate, lower, pick));
                }
            }
            survivors.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.2.cmp(&b.2)));
            for &(_, lower, pick) in survivors.iter() {
                if lower <= tolerance(top.limit()) {
                    self.rank_rows(std::iter::once(start + pick as usize), top)?;
                }
            }
            Ok(())
        })
    }

    /// Ranks rows by the estimate of their whole code; ranks in `top` are estimates.
    pub(crate) fn by_estimates(
        &self,
        codes: &Codes,
        estimator: &Estimator,
        top: &mut TopK,
    ) -> Result<()> {
        let kernels = self.query.kernels();
        let width = codes.row_bytes();
        self.chunks(codes, estimator, |start, scratch| {
            if codes.bits == Bits::One {
                let mut best = TopK::new(top.capacity());
                each_below(scratch, &mut best, top.limit() as f32);
                for candidate in best.into_sorted() {
                    top.push(Candidate {
                        rank: candidate.rank,
                        row: self.first + (start as u64) + candidate.row,
                    });
                }
                return Ok(());
            }
            let push = |row: usize, sum: u32, top: &mut TopK| -> Result<()> {
                let code = codes.rows.get(row * width..(row + 1) * width)?;
                let (estimate, _) = estimator.refine(kernels, sum, codes.add.at(row)?, code);
                top.push(Candidate {
                    rank: f64::from(estimate),
                    row: self.first + row as u64,
                });
                Ok(())
            };
            let mut seeds = TopK::new(top.capacity());
            each_below(scratch, &mut seeds, top.limit() as f32);
            for seed in seeds.into_sorted() {
                let row = seed.row as usize;
                scratch.lowers[row] = f32::INFINITY;
                push(start + row, scratch.sums[row], top)?;
            }
            scratch.picks.clear();
            kernels.select_le(
                &scratch.lowers,
                (top.limit() as f32).min(f32::MAX),
                0,
                &mut scratch.picks,
            );
            for &pick in &scratch.picks {
                if f64::from(scratch.lowers[pick as usize]) <= top.limit() {
                    push(start + pick as usize, scratch.sums[pick as usize], top)?;
                }
            }
            Ok(())
        })
    }

    /// Rank of one row from its code and the unrounded query.
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
        let rescale = if width == 0 {
            pack::unpack(codes.bits, &[], signs, &mut numbers);
            codes.rescale.at(row)?
        } else {
            let (rescale, _, body) =
                pack::row_parts(codes.rows.get(row * width..(row + 1) * width)?);
            pack::unpack(codes.bits, body, signs, &mut numbers);
            rescale
        };
        Ok(f64::from(estimator.estimate(
            self.query.kernels(),
            &numbers,
            codes.add.at(row)?,
            rescale,
        )))
    }

    /// Rank of one row from its raw vector.
    pub(crate) fn rank(&self, row: usize) -> Result<f64> {
        let Some(raw) = &self.part.raw else {
            return Ok(f64::INFINITY);
        };
        let width = self.part.raw_width();
        Ok(self.query.rank(
            raw.get(row * width..(row + 1) * width)?,
            self.part.norms.at(row)?,
        ))
    }

    fn rank_rows(&self, rows: impl Iterator<Item = usize>, top: &mut TopK) -> Result<()> {
        for row in rows {
            top.push(Candidate {
                rank: self.rank(row)?,
                row: self.first + row as u64,
            });
        }
        Ok(())
    }

    /// Fills sums, estimates and lower bounds chunk by chunk; rows outside the mask are infinitely far.
    fn chunks(
        &self,
        codes: &Codes,
        estimator: &Estimator,
        mut visit: impl FnMut(usize, &mut Scratch) -> Result<()>,
    ) -> Result<()> {
        let mut scratch = SCRATCH.take();
        let rows = self.part.rows();
        let mut result = Ok(());
        for start in (0..rows).step_by(CHUNK) {
            let range = start..(start + CHUNK).min(rows).next_multiple_of(BLOCK);
            result = self
                .control
                .check()
                .and_then(|()| self.bounds(codes, estimator, range, &mut scratch));
            result = result.and_then(|()| visit(start, &mut scratch));
            if result.is_err() {
                break;
            }
        }
        SCRATCH.set(scratch);
        result
    }

    fn bounds(
        &self,
        codes: &Codes,
        estimator: &Estimator,
        rows: Range<usize>,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let kernels = self.query.kernels();
        let block = pack::block_bytes(codes.padded);
        scratch.sums.resize(rows.len(), 0);
        scratch.estimates.resize(rows.len(), 0.0);
        scratch.lowers.resize(rows.len(), 0.0);
        let signs = codes
            .signs
            .get(rows.start / BLOCK * block..rows.end / BLOCK * block)?;
        kernels.fastscan(signs, &estimator.lut, &mut scratch.sums);
        kernels.bounds(
            &scratch.sums,
            codes.add.get(rows.clone())?,
            codes.rescale.get(rows.clone())?,
            codes.error.get(rows.clone())?,
            &estimator.signs,
            &mut scratch.estimates,
            &mut scratch.lowers,
        );
        if let Some(mask) = self.mask {
            for row in mask.gaps(rows.start..rows.end.min(self.part.rows())) {
                scratch.estimates[row - rows.start] = f32::INFINITY;
                scratch.lowers[row - rows.start] = f32::INFINITY;
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
            top.push(Candidate {
                rank: f64::from(estimates[pick as usize]),
                row: u64::from(pick),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::build::Shape;
    use crate::rotate::Rotation;
    use crate::{BuildOptions, Kind, Metric, validate};

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
            let center = shape.center(&data, &norms);
            let ids = (0..rows as i64).collect();
            let part = shape.part(&center, ids, (&data).into(), norms, Control::default()).unwrap();
            let codes = part.codes.as_ref().unwrap();
            let (mut sign_misses, mut full_misses, mut pairs) = (0, 0, 0);
            for vector in vectors(20, dimensions, !seed).chunks_exact(dimensions) {
                let norm = validate::norm_squared(simd::kernels(), metric, 0, vector).unwrap();
                let query = Query::new(&shape, &center, vector, norm, 3.0);
                let estimator = query.estimator().unwrap();
                let scan = Scan { query: &query, part: &part, first: 0, mask: None, control: Control::default() };
                let mut scratch = Scratch::default();
                scan.bounds(codes, estimator, 0..rows, &mut scratch).unwrap();
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
                    let add = codes.add.at(row).unwrap();
                    let (estimate, lower) = estimator.refine(query.kernels(), scratch.sums[row], add, code);
                    full_misses += misses(estimate, lower);
                    pairs += 1;
                }
            }
            prop_assert!(sign_misses * 100 <= pairs, "signs: {sign_misses} of {pairs} at {dimensions} dimensions, {metric}");
            prop_assert!(full_misses * 100 <= pairs, "{bits:?}: {full_misses} of {pairs} at {dimensions} dimensions, {metric}");
        }
    }
}
