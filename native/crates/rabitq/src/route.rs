//! The way from a query to the lists worth looking at.

use simd::Kernels;

use crate::curves::Cut;
use crate::lists::Lists;
use crate::nearest::{Key, Nearest};
use crate::pack::BLOCK;
use crate::query::{Estimator, Reach};
use crate::{Metric, Result};

/// Lists whose codes are compared whole for every four that are wanted, and beside them: sign codes tell near lists only
/// roughly.
const SPARE: (usize, usize) = (5, 8);

/// Lists whose codes are asked for before they are looked at.
const AHEAD: usize = 6;

/// By product, the best rows of a list lie so many radii beyond its centroid, about: long rows are found where lists are wide.
const LEAD: f32 = 0.7;

/// How much the lengths of residuals add to the spread of a list. Those of a normal distribution of `n` equal variances have
/// `|r|²` with variance `2 R⁴ / n`, beside `4 |q - c|² R² / n` of `2 <q - c, r>`.
const RESIDUALS: f32 = 0.5;

/// Least spread of a list, as a share of its distance. Copies of one row have none, and their distance is rounded.
const LEAST_SPREAD: f32 = 1.0 / 32.0;

/// The lists of a part in the order of their distance from a query, found a few at a time.
pub(crate) struct Route<'a> {
    lists: &'a Lists,
    kernels: &'a Kernels,
    estimator: &'a Estimator,
    codes: &'a [u8],
    /// What is the same for all lists.
    reach: Reach,
    sums: Vec<u32>,
    /// Lists whose whole code was not looked at yet.
    rough: Nearest,
    /// Lists that were, in no order.
    looked_at: Vec<Stop>,
    /// Their places in [`Route::looked_at`], of those that still wait, in no order.
    waiting: Vec<Key>,
    /// What a list is nearer for each unit of its radius.
    lead: f32,
    radii: &'a [f32],
    /// Lists handed out.
    taken: usize,
}

/// A list on the way of a query.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stop {
    pub list: u32,
    /// Of the centroid: squared distance from the query, or negated product.
    pub distance: f32,
    /// How far off that may be.
    pub doubt: f32,
}

impl<'a> Route<'a> {
    /// `metric` is that of the centroids' codes.
    pub(crate) fn new(
        lists: &'a Lists,
        kernels: &'a Kernels,
        estimator: &'a Estimator,
        metric: Metric,
    ) -> Result<Self> {
        let routes = &lists.routes;
        let slots = lists.count().next_multiple_of(BLOCK);
        let (mut sums, mut estimates, mut lowers) =
            (vec![0; slots], vec![0.0; slots], vec![0.0; slots]);
        kernels.fastscan(routes.signs.all()?, &estimator.lut, &mut sums);
        let reach = estimator.routing(metric);
        kernels.bounds(
            &sums,
            routes.add.all()?,
            routes.rescale.all()?,
            &estimator.signs(reach),
            &mut estimates,
            &mut lowers,
        );
        let (lead, radii) = match metric {
            Metric::InnerProduct => (LEAD * estimator.length(), lists.radii.all()?),
            Metric::Cosine | Metric::L2 => (0.0, [].as_slice()),
        };
        for (estimate, radius) in estimates.iter_mut().zip(radii) {
            *estimate -= lead * radius;
        }
        estimates.truncate(lists.count());
        Ok(Self {
            lead,
            radii,
            lists,
            kernels,
            estimator,
            codes: routes.rows.all()?,
            reach,
            sums,
            rough: Nearest::new(estimates),
            looked_at: vec![],
            waiting: vec![],
            taken: 0,
        })
    }

    /// The next lists, nearest first, by product those with the nearest rows to be expected; fewer at the end.
    pub(crate) fn next(&mut self, wanted: usize) -> Vec<Stop> {
        let count = self.lists.count();
        self.taken = (self.taken + wanted).min(count);
        let wide = (SPARE.0 * self.taken / 4 + SPARE.1).min(count);
        if wide > self.looked_at.len() {
            self.look_at(wide - self.looked_at.len());
        }
        let rest = self.waiting.len().saturating_sub(wanted);
        if rest > 0 {
            self.waiting.select_nth_unstable(rest);
        }
        self.waiting[rest..].sort_unstable();
        let nearest = self.waiting.drain(rest..).rev();
        nearest
            .map(|key| self.looked_at[key.place() as usize])
            .collect()
    }

    fn look_at(&mut self, more: usize) {
        let chosen = self.rough.take(self.kernels, more);
        self.looked_at.reserve(more);
        self.waiting.reserve(more);
        let width = self.lists.routes.row_bytes();
        let code = |key: Key| {
            let at = key.place() as usize;
            &self.codes[at * width..(at + 1) * width]
        };
        for (i, &key) in chosen.iter().enumerate() {
            if let Some(&later) = chosen.get(i + AHEAD) {
                simd::prefetch(code(later));
            }
            let (list, at) = (key.place(), key.place() as usize);
            let (distance, lower) =
                self.estimator
                    .refine(self.kernels, self.reach, self.sums[at], code(key));
            let lead = self.radii.get(at).map_or(0.0, |radius| self.lead * radius);
            let stop = Stop {
                list,
                distance,
                doubt: distance - lower,
            };
            let place = self.looked_at.len() as u32;
            self.waiting.push(Key::new(distance - lead, place));
            self.looked_at.push(stop);
        }
    }
}

/// Tells from a list's distance, its spread and its place on the way whether its rows may still be among the nearest.
///
/// A row of a list lies about `distance + radius²` from the query, squared, give or take a share of the spread,
/// `2 · radius · √(distance + radius² / 2)`. Its first term is due to the directions of rows from the centroid, its second to
/// their distances from it, which is all there is to a query at the centroid. How large a share is learned: the same for all
/// lists, but growing with the logarithm of the list's place, since the first lists hold more of the nearest rows than their
/// distances tell.
#[derive(Clone, Copy)]
pub(crate) struct Reckoning {
    metric: Metric,
    query_length: f32,
    cut: Cut,
}

impl Reckoning {
    pub(crate) fn new(metric: Metric, estimator: &Estimator, cut: Cut) -> Self {
        Self {
            metric,
            query_length: match metric {
                Metric::InnerProduct => estimator.length(),
                Metric::Cosine | Metric::L2 => 0.0,
            },
            cut,
        }
    }

    /// The rank of a row that is the nearest to be expected in a list, in the terms of [`Stop::distance`]. `place` is a number
    /// of lists, see [`crate::passed::Passed::place`].
    pub(crate) fn nearest(&self, stop: Stop, radius: f32, place: f32) -> f32 {
        let (middle, spread) = self.spread(stop, radius);
        middle + spread * (self.cut.threshold + (place + 1.0).ln()) / self.cut.slope
    }

    /// Where the rows of a list lie, and the unit of their spread.
    pub(crate) fn spread(&self, stop: Stop, radius: f32) -> (f32, f32) {
        let distance = stop.distance;
        let (middle, spread) = match self.metric {
            Metric::InnerProduct => (distance, self.query_length * radius),
            Metric::Cosine | Metric::L2 => {
                let distance = distance.max(0.0);
                (
                    distance + radius * radius,
                    2.0 * (distance + RESIDUALS * radius * radius).sqrt() * radius,
                )
            }
        };
        let least = LEAST_SPREAD * distance.abs() + f32::MIN_POSITIVE;
        (middle, spread.max(least))
    }

    /// A rank of rows in the terms of [`Stop::distance`].
    pub(crate) fn limit(&self, rank: f64) -> f32 {
        match self.metric {
            // Of unit vectors.
            Metric::Cosine => (2.0 + 2.0 * rank) as f32,
            Metric::InnerProduct | Metric::L2 => rank as f32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::Query;
    use crate::sample::Sample;
    use crate::{BuildOptions, Kind, validate};

    #[test]
    fn centroids_are_as_far_as_their_codes_tell_but_for_the_doubt() {
        const ROWS: usize = 2000;
        const DIMENSIONS: usize = 96;
        let number = |i: usize| {
            let mut z = (i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            (z >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        };
        // Off the origin, and of uneven lengths.
        let data: Vec<f32> = (0..ROWS * DIMENSIONS)
            .map(|i| (number(i) + 0.3) * (1.0 + (i / DIMENSIONS % 3) as f32))
            .collect();
        for metric in [Metric::Cosine, Metric::InnerProduct, Metric::L2] {
            let options = BuildOptions::new(Kind::RabitqIvf, DIMENSIONS, metric);
            let Sample {
                shape,
                center,
                part,
            } = Sample::build(options, &data);
            let kernels = simd::kernels();
            let lists = part.lists.as_ref().unwrap();
            let lengths = lists.lengths.all().unwrap();
            let (mut misses, mut pairs) = (0, 0);
            for vector in data.chunks_exact(DIMENSIONS).step_by(50) {
                let norm = validate::norm_squared(kernels, metric, 0, vector).unwrap();
                let query = Query::new(&shape, &center, vector, norm, 3.0);
                let estimator = query.estimator().unwrap();
                let mut route = Route::new(lists, kernels, estimator, metric).unwrap();
                for stop in route.next(lists.count()) {
                    let exact = lists.reach(kernels, estimator, stop.list).unwrap();
                    let rough = estimator.rough_reach(stop, lengths[stop.list as usize]);
                    let allowance = 1e-5 * estimator.magnitude;
                    let is_near = (rough.add - exact.add).abs() <= rough.doubt + allowance;
                    let is_wide = rough.error >= exact.error * 0.999;
                    misses += usize::from(!is_near || !is_wide);
                    pairs += 1;
                }
            }
            assert!(pairs > 1000, "{pairs}");
            assert!(misses * 100 <= pairs, "{metric}: {misses} of {pairs}");
        }
    }
}
