//! Scanning the codes of a part for the rows nearest to a query.

use std::cell::Cell;

use simd::{Blocks, Pick};

use crate::Result;
use crate::observe::{Observer, Stage};
use crate::pack::{self, BLOCK};
use crate::part::Codes;
use crate::query::Estimator;
use crate::scan::{AHEAD, Scan, Span};
use crate::topk::{Candidate, TopK};

/// Rows whose bounds are held at a time; a multiple of [`BLOCK`]. Their three arrays stay in a core's L2 cache.
const CHUNK: usize = 32 * 1024;

/// Rows of one search for a threshold, so that it tightens while a chunk is looked through.
const STRIDE: usize = 1024;

/// Relative rounding error allowed for in comparisons of estimates with exact ranks.
const ROUNDING: f32 = 1e-5;

/// Arrays reused by all scans of a thread.
#[derive(Default)]
struct Scratch {
    sums: Vec<u32>,
    estimates: Vec<f32>,
    lowers: Vec<f32>,
    places: Vec<u32>,
    picks: Vec<Pick>,
    survivors: Vec<Survivor>,
    pending: Vec<Survivor>,
}

/// A row whose lower bound reaches the best so far.
#[derive(Clone, Copy)]
struct Survivor {
    estimate: f32,
    lower: f32,
    row: usize,
}

thread_local! {
    static SCRATCH: Cell<Scratch> = Cell::default();
}

/// A scan of codes, span after span.
pub(crate) struct Sweep<'a> {
    scan: &'a Scan<'a>,
    codes: &'a Codes,
    estimator: &'a Estimator,
    scratch: Scratch,
}

impl Drop for Sweep<'_> {
    fn drop(&mut self) {
        self.scratch.pending.clear();
        SCRATCH.set(std::mem::take(&mut self.scratch));
    }
}

impl<'a> Sweep<'a> {
    pub(crate) fn new(scan: &'a Scan<'a>, codes: &'a Codes, estimator: &'a Estimator) -> Self {
        Self {
            scan,
            codes,
            estimator,
            scratch: SCRATCH.take(),
        }
    }

    /// Ranks by raw vector every row of a span whose lower bound reaches the best `k`; those found last wait for their
    /// memory until the next span or [`Sweep::finish`]. Returns how many were compared.
    pub(crate) fn by_bounds<O: Observer>(
        &mut self,
        span: &Span,
        top: &mut TopK,
        observer: &mut O,
    ) -> Result<usize> {
        let mut compared = 0;
        for start in (0..span.rows).step_by(CHUNK) {
            compared += self.find_survivors(&span.part(start, CHUNK), top, observer)?;
            compared += self.finish(top, observer)?;
            std::mem::swap(&mut self.scratch.survivors, &mut self.scratch.pending);
        }
        Ok(compared)
    }

    /// Ranks the rows that are still waiting. Returns how many were compared.
    pub(crate) fn finish<O: Observer>(
        &mut self,
        top: &mut TopK,
        observer: &mut O,
    ) -> Result<usize> {
        let start = observer.now();
        let mut pending = std::mem::take(&mut self.scratch.pending);
        let mut compared = 0;
        for (at, &Survivor { lower, row, .. }) in pending.iter().enumerate() {
            if let Some(later) = pending.get(at + AHEAD) {
                self.scan.part.prefetch_vector(later.row);
            }
            if lower <= self.tolerated(top.limit()) {
                self.scan.push_exact(row, top)?;
                compared += 1;
            }
        }
        pending.clear();
        self.scratch.pending = pending;
        observer.compared(compared);
        observer.spent(Stage::Rerank, start);
        Ok(compared)
    }

    /// A limit for lower bounds that rounding cannot make too low.
    fn tolerated(&self, limit: f64) -> f32 {
        let rounding = ROUNDING * (self.estimator.magnitude + self.codes.max_add);
        let tolerance = limit.abs() * f64::from(ROUNDING) + f64::from(rounding);
        ((limit + tolerance) as f32).min(f32::MAX)
    }

    /// Collects the rows of a chunk that are worth comparing, the best estimates first, and asks for their memory. Returns how
    /// many were compared at once.
    fn find_survivors<O: Observer>(
        &mut self,
        span: &Span,
        top: &mut TopK,
        observer: &mut O,
    ) -> Result<usize> {
        let start = observer.now();
        self.scan.control.check()?;
        // The best estimates first: their exact ranks give a limit that few lower bounds of the chunk reach.
        let compared = if span.rows >= STRIDE || top.limit() == f64::INFINITY {
            self.pick_after_seeds(span, top)?
        } else {
            self.pick(span, self.tolerated(top.limit()))?;
            0
        };
        self.refine_picks(span, self.tolerated(top.limit()))?;
        // Saturating: damaged factors can let slots in that fill up the last block and are no rows.
        let pruned = span
            .rows
            .saturating_sub(self.scratch.picks.len() + compared);
        observer.scanned(span.rows, pruned);
        observer.compared(compared);
        observer.spent(Stage::Scan, start);
        Ok(compared)
    }

    /// Picks the rows whose bounds by sign code reach a limit.
    fn pick(&mut self, span: &Span, limit: f32) -> Result<()> {
        let params = self.estimator.signs(span.reach);
        let (blocks, picks) = (self.blocks(span)?, &mut self.scratch.picks);
        picks.clear();
        let kernels = self.scan.query.kernels();
        kernels.prune(&blocks, &self.estimator.lut, &params, limit, picks);
        // Slots that fill up the last block are no rows; damaged factors can let them in.
        let mask = self.scan.mask;
        picks.retain(|pick| {
            let place = pick.place as usize;
            place < span.rows && mask.is_none_or(|mask| mask.get(span.row + place))
        });
        Ok(())
    }

    /// Compares the rows with the best estimates, and picks the others whose bounds reach the limit after that. Returns how
    /// many were compared.
    fn pick_after_seeds(&mut self, span: &Span, top: &mut TopK) -> Result<usize> {
        self.bounds(span)?;
        let mut seeds = TopK::new(top.capacity());
        let limit = self.tolerated(top.limit());
        each_below(&mut self.scratch, &mut seeds, limit);
        let seeds = seeds.into_sorted();
        for (at, seed) in seeds.iter().enumerate() {
            if let Some(later) = seeds.get(at + AHEAD) {
                self.scan
                    .part
                    .prefetch_vector(span.row + later.row as usize);
            }
            let row = seed.row as usize;
            self.scratch.lowers[row] = f32::INFINITY;
            self.scan.push_exact(span.row + row, top)?;
        }
        let limit = self.tolerated(top.limit());
        let Scratch {
            sums,
            lowers,
            places,
            picks,
            ..
        } = &mut self.scratch;
        places.clear();
        picks.clear();
        self.scan
            .query
            .kernels()
            .select_le(lowers, limit, 0, places);
        picks.extend(places.iter().map(|&place| Pick {
            place,
            sum: sums[place as usize],
        }));
        Ok(seeds.len())
    }

    /// Collects the picked rows whose bounds by their whole code reach a limit, too, the best estimates first, and asks for
    /// their memory.
    fn refine_picks(&mut self, span: &Span, limit: f32) -> Result<()> {
        self.scratch.survivors.clear();
        if self.scratch.picks.is_empty() {
            return Ok(());
        }
        let Self {
            scan,
            codes,
            estimator,
            scratch: Scratch {
                picks, survivors, ..
            },
        } = self;
        let kernels = scan.query.kernels();
        let width = codes.row_bytes();
        let code = |pick: &Pick| {
            let row = span.row + pick.place as usize;
            row * width..(row + 1) * width
        };
        let prefetch = |pick: &Pick| {
            codes.rows.prefetch(code(pick));
            scan.part.prefetch_places(span.row + pick.place as usize);
        };
        picks.iter().take(AHEAD).for_each(prefetch);
        for (i, pick) in picks.iter().enumerate() {
            picks.get(i + AHEAD).into_iter().for_each(prefetch);
            let at = pick.place as usize;
            let (estimate, lower) = if width == 0 {
                let slot = span.block * BLOCK + at;
                let (mut estimate, mut lower) = ([0.0], [0.0]);
                kernels.bounds(
                    &[pick.sum],
                    codes.add.get(slot..slot + 1)?,
                    codes.rescale.get(slot..slot + 1)?,
                    codes.error.get(slot..slot + 1)?,
                    &estimator.signs(span.reach),
                    &mut estimate,
                    &mut lower,
                );
                (estimate[0], lower[0])
            } else {
                let code = codes.rows.get(code(pick))?;
                estimator.refine(kernels, span.reach, pick.sum, code)
            };
            if lower <= limit {
                survivors.push(Survivor {
                    estimate,
                    lower,
                    row: span.row + at,
                });
            }
        }
        survivors.sort_unstable_by(|a, b| {
            let by_estimate = a.estimate.total_cmp(&b.estimate);
            by_estimate.then(a.row.cmp(&b.row))
        });
        for survivor in survivors.iter().take(AHEAD) {
            scan.part.prefetch_vector(survivor.row);
        }
        Ok(())
    }

    /// Ranks rows of a span by the estimate of their whole code; ranks in `top` are estimates.
    pub(crate) fn by_estimates<O: Observer>(
        &mut self,
        span: &Span,
        top: &mut TopK,
        observer: &mut O,
    ) -> Result<()> {
        let start = observer.now();
        for at in (0..span.rows).step_by(CHUNK) {
            let refined = self.chunk_by_estimates(&span.part(at, CHUNK), top)?;
            let rows = (span.rows - at).min(CHUNK);
            observer.scanned(rows, rows - refined.min(rows));
        }
        observer.spent(Stage::Scan, start);
        Ok(())
    }

    fn chunk_by_estimates(&mut self, span: &Span, top: &mut TopK) -> Result<usize> {
        self.scan.control.check()?;
        self.bounds(span)?;
        let Self {
            scan,
            codes,
            estimator,
            scratch,
        } = self;
        let kernels = scan.query.kernels();
        let width = codes.row_bytes();
        let mut refined = 0;
        let mut push = |at: usize, scratch: &Scratch, top: &mut TopK| -> Result<()> {
            let row = span.row + at;
            let estimate = if width == 0 {
                scratch.estimates[at]
            } else {
                let code = codes.rows.get(row * width..(row + 1) * width)?;
                estimator
                    .refine(kernels, span.reach, scratch.sums[at], code)
                    .0
            };
            refined += 1;
            scan.push(f64::from(estimate), row, top)
        };
        let mut seeds = TopK::new(top.capacity());
        each_below(scratch, &mut seeds, top.limit() as f32);
        for seed in seeds.into_sorted() {
            let at = seed.row as usize;
            scratch.lowers[at] = f32::INFINITY;
            push(at, scratch, top)?;
        }
        if width == 0 {
            return Ok(refined);
        }
        let mut places = std::mem::take(&mut scratch.places);
        places.clear();
        kernels.select_le(
            &scratch.lowers,
            (top.limit() as f32).min(f32::MAX),
            0,
            &mut places,
        );
        for &place in &places {
            if f64::from(scratch.lowers[place as usize]) <= top.limit() {
                push(place as usize, scratch, top)?;
            }
        }
        scratch.places = places;
        Ok(refined)
    }

    /// Widths that the bounds of a row of a span must have to reach limits; `width` is that of the query as it is.
    pub(crate) fn widths<const N: usize>(
        &mut self,
        span: &Span,
        row: usize,
        width: f32,
        limits: [f32; N],
    ) -> Result<[f32; N]> {
        let at = row - span.row;
        let block = span.part(at / BLOCK * BLOCK, BLOCK);
        self.bounds(&block)?;
        let (codes, estimator) = (self.codes, self.estimator);
        let lane = at % BLOCK;
        let slot = block.block * BLOCK + lane;
        let sign = estimator.signs(span.reach);
        let needed = |estimate: f32, error: f32, slack: f32, limit: f32| {
            let excess = estimate - slack - limit;
            if excess <= 0.0 {
                0.0
            } else {
                excess / error * width
            }
        };
        let sign_error = codes.error.at(slot)? * span.reach.error;
        let sign_slack = codes.rescale.at(slot)?.abs() * sign.slack;
        let estimate = self.scratch.estimates[lane];
        let mut widths = limits.map(|limit| needed(estimate, sign_error, sign_slack, limit));
        let bytes = codes.row_bytes();
        if bytes > 0 {
            let code = codes.rows.get(row * bytes..(row + 1) * bytes)?;
            let kernels = self.scan.query.kernels();
            let (estimate, lower) =
                estimator.refine(kernels, span.reach, self.scratch.sums[lane], code);
            let (factors, _) = pack::row_parts(code);
            let error = factors.error * span.reach.error;
            let slack = estimate - lower - error;
            for (widest, limit) in widths.iter_mut().zip(limits) {
                *widest = widest.max(needed(estimate, error, slack, limit));
            }
        }
        Ok(widths)
    }

    /// The sign codes of a span, and their factors.
    fn blocks(&self, span: &Span) -> Result<Blocks<'a>> {
        let codes = self.codes;
        let bytes = pack::block_bytes(codes.padded);
        let blocks = span.block..span.block + span.rows.div_ceil(BLOCK);
        let slots = blocks.start * BLOCK..blocks.end * BLOCK;
        Ok(Blocks {
            codes: codes.signs.get(blocks.start * bytes..blocks.end * bytes)?,
            f_add: codes.add.get(slots.clone())?,
            f_rescale: codes.rescale.get(slots.clone())?,
            f_error: codes.error.get(slots)?,
        })
    }

    /// Fills sums, estimates and lower bounds; rows outside the mask are infinitely far.
    fn bounds(&mut self, span: &Span) -> Result<()> {
        let blocks = self.blocks(span)?;
        let Self {
            scan,
            estimator,
            scratch,
            ..
        } = self;
        let kernels = scan.query.kernels();
        let slots = blocks.f_add.len();
        scratch.sums.resize(slots, 0);
        scratch.estimates.resize(slots, 0.0);
        scratch.lowers.resize(slots, 0.0);
        kernels.fastscan(blocks.codes, &estimator.lut, &mut scratch.sums);
        kernels.bounds(
            &scratch.sums,
            blocks.f_add,
            blocks.f_rescale,
            blocks.f_error,
            &estimator.signs(span.reach),
            &mut scratch.estimates,
            &mut scratch.lowers,
        );
        if let Some(mask) = scan.mask {
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
        estimates, places, ..
    } = scratch;
    let kernels = simd::kernels();
    for (stride, values) in estimates.chunks(STRIDE).enumerate() {
        places.clear();
        let limit = limit.min(top.limit() as f32).min(f32::MAX);
        kernels.select_le(values, limit, (stride * STRIDE) as u32, places);
        for &place in places.iter() {
            top.push(Candidate::in_order(
                f64::from(estimates[place as usize]),
                u64::from(place),
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::build::Shape;
    use crate::query::Query;
    use crate::raw::Vectors;
    use crate::rotate::Rotation;
    use crate::table::Table;
    use crate::{Bits, BuildOptions, Control, Kind, Metric, validate};

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
                let scan = Scan { query: &query, part: &part, first: 0, mask: None, allowed: rows, listed: None, control: Control::default() };
                let span = Span { row: 0, block: 0, rows, reach: estimator.center() };
                let mut sweep = Sweep::new(&scan, codes, estimator);
                sweep.bounds(&span).unwrap();
                let scratch = &sweep.scratch;
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
