//! Estimates and lower bounds of many rows at once, from their sign codes.

use simd::Pick;

use crate::Result;
use crate::coded::Coded;
use crate::scan::Span;
use crate::topk::{Candidate, TopK};

/// Rows of one search for a threshold, so that it tightens while a span is looked through.
pub(crate) const STRIDE: usize = 1024;

/// What the sign codes of a span tell, row after row; a last block is filled up with rows that are infinitely far.
#[derive(Default)]
pub(crate) struct Bounds {
    sums: Vec<u32>,
    estimates: Vec<f32>,
    lowers: Vec<f32>,
    places: Vec<u32>,
}

impl Bounds {
    /// Looks at all rows of a span; those outside the mask are infinitely far.
    pub(crate) fn fill(&mut self, coded: &Coded<'_>, span: &Span) -> Result<()> {
        let blocks = coded.blocks(span)?;
        let Coded {
            scan, estimator, ..
        } = coded;
        let kernels = scan.query.kernels();
        let slots = blocks.f_add.len();
        self.sums.resize(slots, 0);
        self.estimates.resize(slots, 0.0);
        self.lowers.resize(slots, 0.0);
        kernels.fastscan(blocks.codes, &estimator.lut, &mut self.sums);
        kernels.bounds(
            &self.sums,
            blocks.f_add,
            blocks.f_rescale,
            &estimator.signs(span.reach),
            &mut self.estimates,
            &mut self.lowers,
        );
        // Slots that fill up the last block are no rows; damaged factors can make them look near.
        self.estimates[span.rows..].fill(f32::INFINITY);
        self.lowers[span.rows..].fill(f32::INFINITY);
        if let Some(mask) = scan.mask {
            for row in mask.gaps(span.row..span.row + span.rows) {
                self.estimates[row - span.row] = f32::INFINITY;
                self.lowers[row - span.row] = f32::INFINITY;
            }
        }
        Ok(())
    }

    pub(crate) fn estimate(&self, place: u32) -> f32 {
        self.estimates[place as usize]
    }

    pub(crate) fn lower(&self, place: u32) -> f32 {
        self.lowers[place as usize]
    }

    pub(crate) fn pick(&self, place: u32) -> Pick {
        let sum = self.sums[place as usize];
        Pick { place, sum }
    }

    /// Takes the `most` rows with the best estimates that do not exceed a limit, best first; infinite estimates are no rows.
    pub(crate) fn take_best(&mut self, most: usize, limit: f32, picks: &mut Vec<Pick>) {
        let mut best = TopK::new(most);
        let kernels = simd::kernels();
        for (stride, values) in self.estimates.chunks(STRIDE).enumerate() {
            self.places.clear();
            let limit = limit.min(best.limit() as f32).min(f32::MAX);
            let first = (stride * STRIDE) as u32;
            kernels.select_le(values, limit, first, &mut self.places);
            for &place in &self.places {
                let estimate = self.estimates[place as usize];
                best.push(Candidate::in_order(f64::from(estimate), u64::from(place)));
            }
        }
        picks.clear();
        for candidate in best.into_sorted() {
            let place = candidate.row as u32;
            self.lowers[place as usize] = f32::INFINITY;
            picks.push(self.pick(place));
        }
    }

    /// The rows that were not taken and whose bounds reach a limit.
    pub(crate) fn others(&mut self, limit: f32, picks: &mut Vec<Pick>) {
        self.places.clear();
        simd::kernels().select_le(&self.lowers, limit, 0, &mut self.places);
        picks.clear();
        picks.extend(self.places.iter().map(|&place| self.pick(place)));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::coded::ROUNDING;
    use crate::pack::BLOCK;
    use crate::part::Codes;
    use crate::query::Query;
    use crate::sample::{Sample, uniform};
    use crate::scan::Scan;
    use crate::{Bits, BuildOptions, Control, Kind, Metric, validate};

    /// Uneven lengths, a common offset, heavy tails: nothing the rotation is told about.
    fn vectors(rows: usize, dimensions: usize, seed: u64) -> Vec<f32> {
        let mut number = uniform(seed);
        let mut next = move || 2.0 * number() - 1.0;
        (0..rows * dimensions)
            .map(|i| 0.3 + next() * (1.0 + (i % 7) as f32) + next().powi(9))
            .collect()
    }

    #[test]
    fn slots_behind_the_last_row_are_never_near() {
        let (rows, dimensions) = (5, 64);
        let options = BuildOptions::new(Kind::RabitqAsym, dimensions, Metric::L2);
        let data = vectors(rows, dimensions, 3);
        let Sample {
            shape,
            center,
            part,
        } = Sample::build(options, &data);
        // As a file may say whose checksums are right.
        let codes = Codes {
            add: vec![-1e9; BLOCK].into(),
            ..part.codes.clone().unwrap()
        };
        let query = Query::new(
            &shape,
            &center,
            &data[..dimensions],
            part.norms.at(0).unwrap(),
            3.0,
        );
        let estimator = query.estimator().unwrap();
        let scan = Scan {
            query: &query,
            part: &part,
            first: 0,
            mask: None,
            allowed: rows,
            listed: None,
            control: Control::default(),
        };
        let span = Span {
            row: 0,
            block: 0,
            rows,
            reach: estimator.center(),
        };
        let coded = Coded {
            scan: &scan,
            codes: &codes,
            estimator,
        };
        let mut bounds = Bounds::default();
        bounds.fill(&coded, &span).unwrap();
        let mut picks = vec![];
        bounds.take_best(3, f32::MAX, &mut picks);
        assert!(picks.iter().all(|pick| (pick.place as usize) < rows));
        bounds.others(f32::MAX, &mut picks);
        assert!(picks.iter().all(|pick| (pick.place as usize) < rows));
        assert_eq!(picks.len(), rows - 3);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        /// Three deviations are 99.7 % of a normal distribution; lengths within a rotation are not quite independent of it.
        #[test]
        fn bounds_hold_for_99_of_100_pairs(dimensions in 1usize..500, seed in any::<u64>(), metric in 0usize..3, five in any::<bool>()) {
            let metric = [Metric::Cosine, Metric::InnerProduct, Metric::L2][metric];
            let bits = if five { Bits::Five } else { Bits::Eight };
            let options = BuildOptions { bits: Some(bits), seed, ..BuildOptions::new(Kind::RabitqPlus, dimensions, metric) };
            let rows = 320;
            let data = vectors(rows, dimensions, seed);
            let Sample { shape, center, part } = Sample::build(options, &data);
            let codes = part.codes.as_ref().unwrap();
            let (mut sign_misses, mut full_misses, mut pairs) = (0, 0, 0);
            for vector in vectors(20, dimensions, !seed).chunks_exact(dimensions) {
                let norm = validate::norm_squared(simd::kernels(), metric, 0, vector).unwrap();
                let query = Query::new(&shape, &center, vector, norm, 3.0);
                let estimator = query.estimator().unwrap();
                let scan = Scan { query: &query, part: &part, first: 0, mask: None, allowed: rows, listed: None, control: Control::default() };
                let span = Span { row: 0, block: 0, rows, reach: estimator.center() };
                let coded = Coded { scan: &scan, codes, estimator };
                let mut bounds = Bounds::default();
                bounds.fill(&coded, &span).unwrap();
                for row in 0..rows {
                    let truth = scan.rank(row).unwrap();
                    let allowance = f64::from(ROUNDING * (estimator.magnitude + codes.max_add)) + truth.abs() * 1e-5;
                    let misses = |estimate: f32, lower: f32| {
                        let bound = f64::from(estimate - lower) + allowance;
                        usize::from((f64::from(estimate) - truth).abs() > bound)
                    };
                    sign_misses += misses(bounds.estimates[row], bounds.lowers[row]);
                    let (estimate, lower) = coded.refine(&span, bounds.pick(row as u32)).unwrap();
                    full_misses += misses(estimate, lower);
                    pairs += 1;
                }
            }
            // A rotation of few dimensions treats all pairs alike, well or not so well.
            let percent = 1 + 4 / dimensions;
            prop_assert!(sign_misses * 100 <= percent * pairs, "signs: {sign_misses} of {pairs} at {dimensions} dimensions, {metric}");
            prop_assert!(full_misses * 100 <= percent * pairs, "{bits:?}: {full_misses} of {pairs} at {dimensions} dimensions, {metric}");
        }
    }
}
