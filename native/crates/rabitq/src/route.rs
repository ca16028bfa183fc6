//! The way from a query to the lists worth looking at.

use simd::Kernels;

use crate::curves::Cut;
use crate::lists::Lists;
use crate::pack::BLOCK;
use crate::query::{Estimator, Reach};
use crate::{Metric, Result};

/// Lists whose codes are compared whole, for each list that is wanted, and beside them: sign codes tell near lists only roughly.
const SPARE: (usize, usize) = (2, 16);

/// By product, the best rows of a list lie so many radii beyond its centroid, about: long rows are found where lists are wide.
const LEAD: f32 = 0.7;

/// The lists of a part in the order of their distance from a query, found a few at a time.
pub(crate) struct Route<'a> {
    lists: &'a Lists,
    kernels: &'a Kernels,
    estimator: &'a Estimator,
    codes: &'a [u8],
    /// What is the same for all lists.
    reach: Reach,
    sums: Vec<u32>,
    estimates: Vec<f32>,
    /// Lists whose whole code was not looked at yet, in no order.
    rough: Vec<u32>,
    /// Those that were and still wait with the key they are ordered by, nearest last.
    waiting: Vec<(f32, Stop)>,
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
            routes.error.all()?,
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
        Ok(Self {
            lead,
            radii,
            lists,
            kernels,
            estimator,
            codes: routes.rows.all()?,
            reach,
            sums,
            estimates,
            rough: (0..lists.count() as u32).collect(),
            waiting: vec![],
            taken: 0,
        })
    }

    /// The next lists, nearest first, by product those with the nearest rows to be expected; fewer at the end.
    pub(crate) fn next(&mut self, wanted: usize) -> Vec<Stop> {
        let count = self.lists.count();
        self.taken = (self.taken + wanted).min(count);
        let looked_at = count - self.rough.len();
        let more = (SPARE.0 * self.taken + SPARE.1)
            .min(count)
            .saturating_sub(looked_at);
        if more > 0 {
            self.look_at(more);
        }
        let rest = self.waiting.len().saturating_sub(wanted);
        let nearest = self.waiting.drain(rest..).rev();
        nearest.map(|(_, stop)| stop).collect()
    }

    fn look_at(&mut self, more: usize) {
        let Self {
            rough, estimates, ..
        } = self;
        let rest = rough.len() - more;
        if rest > 0 {
            // The nearest to the end, where they are taken off.
            rough.select_nth_unstable_by(rest, |a, b| {
                estimates[*b as usize].total_cmp(&estimates[*a as usize])
            });
        }
        let width = self.lists.routes.row_bytes();
        for list in self.rough.drain(rest..) {
            let at = list as usize;
            let code = &self.codes[at * width..(at + 1) * width];
            let (distance, _) =
                self.estimator
                    .refine(self.kernels, self.reach, self.sums[at], code);
            let lead = self.radii.get(at).map_or(0.0, |radius| self.lead * radius);
            self.waiting
                .push((distance - lead, Stop { list, distance }));
        }
        self.waiting
            .sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(b.1.list.cmp(&a.1.list)));
    }
}

/// Tells from a list's distance, its spread and its place on the way whether its rows may still be among the nearest.
///
/// A row of a list lies about `distance + radius²` from the query, squared, give or take a share of
/// `2 · |query - centroid| · radius`, the spread. How large a share is learned: the same for all lists, but growing with the
/// logarithm of the list's place, since the first lists hold more of the nearest rows than their distances tell.
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

    /// The rank of a row that is the nearest to be expected in a list, in the terms of [`Stop::distance`].
    pub(crate) fn nearest(&self, stop: Stop, radius: f32, place: usize) -> f32 {
        let (middle, spread) = self.spread(stop, radius);
        middle + spread * (self.cut.threshold + ((place + 1) as f32).ln()) / self.cut.slope
    }

    /// Where the rows of a list lie, and the unit of their spread.
    pub(crate) fn spread(&self, stop: Stop, radius: f32) -> (f32, f32) {
        match self.metric {
            Metric::InnerProduct => (stop.distance, self.query_length * radius),
            Metric::Cosine | Metric::L2 => {
                let distance = stop.distance.max(0.0);
                (
                    distance + radius * radius,
                    2.0 * distance.sqrt() * radius + f32::MIN_POSITIVE,
                )
            }
        }
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
