//! Which lists of a part a search looks at, and how.

use crate::capped::Survivor;
use crate::coded::Coded;
use crate::curves::Cut;
use crate::lists;
use crate::observe::{Observer, Stage};
use crate::passed::Passed;
use crate::route::{Reckoning, Route, Stop};
use crate::scan::{Scan, Span};
use crate::sweep::Sweep;
use crate::topk::TopK;
use crate::{Metric, Result};

/// Fewest lists ranked at a time.
const FEWEST_LISTS: usize = 32;

/// Lists ranked at first, for each that is visited on average: those passed over and [`PATIENCE`] come on top.
const FIRST_LISTS: f64 = 1.8;

/// After so many lists in a row, and a share of those before them, whose rows are too far, the others are taken to be so too.
const PATIENCE: (usize, usize) = (16, 4);

/// The distance of a list is clear if it is certain but for such a share of what those of its rows differ by.
const CLEAR: f32 = 0.125;

/// Comparing raw vectors beats looking at the codes of a list if no more than so many of its rows are allowed.
const RAW_ROWS: usize = 6;

/// How much of a part is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Extent {
    /// Every list.
    All,
    /// So many lists, the nearest.
    Nearest(usize),
    /// Lists whose rows may be near enough, about such a share of them all.
    Cut(Cut, f64),
}

/// What is done with a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    /// Rows whose bounds allow it are compared.
    Bounds,
    /// They are found in the same way, but so many of them at most may be compared, by the caller.
    Capped(usize),
    /// Rows are ranked by estimate.
    Estimates,
}

/// Looks at the codes of a part: all, or those of the lists near the query. Lists go on being looked at, whatever the extent,
/// until `top` is full. Returns the rows that are left to be compared, of [`Measure::Capped`].
pub(crate) fn visit<O: Observer>(
    coded: Coded<'_>,
    (extent, measure): (Extent, Measure),
    top: &mut TopK,
    observer: &mut O,
) -> Result<Vec<Survivor>> {
    let Coded {
        scan,
        codes,
        estimator,
    } = coded;
    let mut sweep = Sweep::new(coded, top.capacity());
    if let Measure::Capped(most) = measure {
        sweep.cap(most);
    }
    let Some(lists) = &scan.part.lists else {
        let all = Span {
            row: 0,
            block: 0,
            rows: scan.part.rows(),
            reach: estimator.center(),
        };
        look_at(&mut sweep, &all, measure, top, observer)?;
        return finish(sweep, measure, top, observer);
    };
    let (kernels, metric) = (scan.query.kernels(), scan.query.metric());
    let start = observer.now();
    let mut route = Route::new(lists, kernels, estimator, metric)?;
    let (radii, lengths) = (lists.radii.all()?, lists.lengths.all()?);
    let extents = lists.extents()?;
    let reckoning = match extent {
        Extent::Cut(cut, _) => Some(Reckoning::new(metric, estimator, cut)),
        Extent::All | Extent::Nearest(_) => None,
    };
    let mut batch = match extent {
        Extent::All => lists.count(),
        Extent::Nearest(lists) => lists,
        Extent::Cut(_, share) => {
            (FIRST_LISTS * share * lists.count() as f64) as usize + FEWEST_LISTS
        }
    };
    observer.spent(Stage::Route, start);
    let mut passed = Passed::new(scan.allowed, scan.part.rows());
    let (mut place, mut beyond, mut ranked) = (0, 0, 0);
    let length = match metric {
        Metric::InnerProduct => Some(estimator.length()),
        Metric::Cosine | Metric::L2 => None,
    };
    // Where centroids are far apart beside what is within a list, their codes are too coarse to tell its rows' distances by.
    let is_clear = |stop: Stop, radius: f32| {
        stop.doubt <= CLEAR * length.map_or(radius * radius, |length| length * radius)
    };
    'visits: loop {
        let start = observer.now();
        let stops = route.next(batch);
        observer.spent(Stage::Route, start);
        if stops.is_empty() {
            break;
        }
        for (at, &stop) in stops.iter().enumerate() {
            if let Some(later) = stops.get(at + 1) {
                extents.of(later.list).prefetch(codes);
            }
            let held = extents.of(stop.list);
            let Some(allowed) = Allowed::of(scan, held) else {
                passed.add(held.rows, 0);
                continue;
            };
            let before = passed.place();
            passed.add(held.rows, allowed.count);
            let limit = sweep.expected(top);
            if limit < f64::INFINITY {
                let (near, full) = match (extent, &reckoning) {
                    (Extent::Nearest(lists), _) => (place < lists, place >= lists),
                    (Extent::Cut(..), Some(reckoning)) => {
                        let nearest = reckoning.nearest(stop, radii[stop.list as usize], before);
                        let near = nearest <= reckoning.limit(limit);
                        beyond = if near { 0 } else { beyond + 1 };
                        (near, beyond > PATIENCE.0 + place / PATIENCE.1)
                    }
                    _ => (true, false),
                };
                if full {
                    break 'visits;
                }
                if !near {
                    place += 1;
                    continue;
                }
            }
            place += 1;
            observer.visited();
            if allowed.is_few() && !matches!(measure, Measure::Capped(_)) {
                // Those that wait count for the limit only once they are compared, too.
                if top.limit() == f64::INFINITY {
                    sweep.finish(top, observer)?;
                }
                scan.exact(allowed.rows, top, observer)?;
            } else {
                let reach = match measure {
                    Measure::Bounds | Measure::Capped(_)
                        if is_clear(stop, radii[stop.list as usize]) =>
                    {
                        estimator.rough_reach(stop, lengths[stop.list as usize])
                    }
                    _ => lists.reach(kernels, estimator, stop.list)?,
                };
                let span = Span {
                    row: held.row,
                    block: held.block,
                    rows: held.rows,
                    reach,
                };
                look_at(&mut sweep, &span, measure, top, observer)?;
            }
        }
        // Half as many again, also where a filter leaves nothing of most: few searches need them.
        ranked += stops.len();
        batch = (ranked / 2).max(FEWEST_LISTS);
    }
    finish(sweep, measure, top, observer)
}

fn look_at<O: Observer>(
    sweep: &mut Sweep<'_>,
    span: &Span,
    measure: Measure,
    top: &mut TopK,
    observer: &mut O,
) -> Result<()> {
    match measure {
        Measure::Bounds | Measure::Capped(_) => sweep.by_bounds(span, top, observer),
        Measure::Estimates => sweep.by_estimates(span, top, observer),
    }
}

fn finish<O: Observer>(
    mut sweep: Sweep<'_>,
    measure: Measure,
    top: &mut TopK,
    observer: &mut O,
) -> Result<Vec<Survivor>> {
    if let Measure::Capped(_) = measure {
        return sweep.survivors(top);
    }
    sweep.finish(top, observer)?;
    Ok(vec![])
}

/// The rows of a list that may be returned.
struct Allowed {
    rows: std::ops::Range<usize>,
    count: usize,
}

impl Allowed {
    /// Nothing if there are none.
    fn of(scan: &Scan<'_>, held: lists::Extent) -> Option<Self> {
        let rows = held.row..held.row + held.rows;
        let count = match scan.mask {
            None => rows.len(),
            Some(mask) => mask.count_in(rows.clone()),
        };
        (count > 0).then_some(Self { rows, count })
    }

    fn is_few(&self) -> bool {
        self.count <= RAW_ROWS
    }
}
