//! One query over all parts of a state: which rows are looked at, in what way, and which are returned.

use crate::allow::{Mask, SMALL_PART, always_compared};
use crate::bitset::Bitset;
use crate::build::Shape;
use crate::capped;
use crate::coded::Coded;
use crate::curves::{Curves, MIN_NEIGHBOURS, WIDEST, normal_width};
use crate::observe::{Observer, Stage};
use crate::query::{self, Query};
use crate::scan::Scan;
use crate::state::State;
use crate::topk::{Candidate, TopK};
use crate::visit::{Extent, Measure, visit};
use crate::{Control, Hit, Kind, Metric, Result, SearchOptions};

/// Allowed rows below which comparing raw vectors beats scanning the codes of all: a raw row costs about this many codes.
const RAW_ROW_COST: usize = 24;

/// A filtered search visits about so many times the lists that one for as many neighbours does: its limit falls more slowly.
const FILTERED_COST: f64 = 2.25;

/// A filtered search aims at such a share of the loss: what is learned of all near rows promises too much where a filter
/// lets through those that are hard to find, long ones in lists of short ones for instance.
const FILTERED_LOSS: f32 = 0.75;

/// What looking at a list costs beside its rows, in codes.
const LIST_COST: f64 = 190.0;

/// Candidates kept beyond `k` where the whole answer rests on estimates: those with a rounded query order the last places
/// a little differently than those with the query itself.
const SPARE_CANDIDATES: usize = 16;

/// What a recall may lose is spent on lists, where it saves most, but for one part in so many.
const SPLIT: f32 = 10.0;

/// Recall of a search in a grouped index that names none.
pub(crate) const DEFAULT_IVF_RECALL: f32 = 0.97;

/// Recall of any other search that names none.
pub(crate) const DEFAULT_RECALL: f32 = 0.998;

/// How candidates are found.
#[derive(Clone, Copy)]
enum Plan {
    /// No codes: every row is compared.
    Exact,
    /// A row is compared if its lower bound can still enter the best `k`.
    Bounds,
    /// The same, but for at most so many rows: those with the best estimates.
    Capped(usize),
    /// So many rows with the best estimates are kept, and ranked anew at the end.
    Estimates(usize),
}

/// The `k` rows nearest to a validated query, best first.
pub(crate) fn nearest<O: Observer>(
    shape: &Shape,
    state: &State,
    (query, norm_squared): (&[f32], f32),
    k: usize,
    options: &SearchOptions<'_>,
    control: Control<'_>,
    observer: &mut O,
) -> Result<Vec<Hit>> {
    let k = k.min(state.rows());
    if k == 0 {
        return Ok(vec![]);
    }
    let start = observer.now();
    let masks: Vec<Option<Mask>> = state
        .parts
        .iter()
        .map(|live| live.mask(options.allow))
        .collect::<Result<_>>()?;
    observer.spent(Stage::Filter, start);
    let start = observer.now();
    let effort = Effort::new(shape, state, &masks, k, options)?;
    let lengthened = lengthened(shape, state, query, norm_squared)?;
    let (query, norm_squared, factor) = match &lengthened {
        Some((longer, factor)) => {
            let norm_squared = f64::from(norm_squared) * factor * factor;
            (&**longer, norm_squared as f32, *factor)
        }
        None => (query, norm_squared, 1.0),
    };
    let query = Query::new(shape, &state.center, query, norm_squared, effort.width);
    observer.spent(Stage::Prepare, start);
    let mut scans = Vec::with_capacity(state.parts.len());
    let mut first = 0;
    for (live, mask) in state.parts.iter().zip(&masks) {
        scans.push(Scan {
            query: &query,
            part: &live.part,
            first,
            mask: mask.as_ref().map(|mask| &*mask.rows),
            allowed: mask.as_ref().map_or(live.part.rows(), |mask| mask.count),
            listed: mask.as_ref().and_then(|mask| mask.listed.as_deref()),
            control,
        });
        first += live.part.rows() as u64;
    }
    let best = if query.is_directionless() {
        first_rows(&scans, k)?
    } else {
        let plan = plan(shape, k, options, &scans);
        let found = candidates(&scans, k, plan, &effort, observer)?;
        let best = rank(&scans, k, plan, found, observer)?;
        best.into_iter().take(k).collect()
    };
    best.iter()
        .map(|candidate| {
            let (scan, row) = locate(&scans, candidate.row);
            Ok(Hit {
                id: scan.part.ids.at(row)?,
                distance: query.distance(candidate.rank) / factor,
            })
        })
        .collect()
}

/// See [`query::lengthened`].
fn lengthened(
    shape: &Shape,
    state: &State,
    query: &[f32],
    norm_squared: f32,
) -> Result<Option<(Vec<f32>, f64)>> {
    if shape.options.metric != Metric::InnerProduct || shape.options.effective_bits().is_none() {
        return Ok(None);
    }
    let mut typical: f32 = 0.0;
    for live in &state.parts {
        typical = typical.max(live.part.typical_length()?);
    }
    Ok(query::lengthened(query, norm_squared, typical))
}

fn plan(shape: &Shape, k: usize, options: &SearchOptions<'_>, scans: &[Scan<'_>]) -> Plan {
    if shape.options.effective_bits().is_none() {
        return Plan::Exact;
    }
    if !shape.options.keeps_raw() {
        return Plan::Estimates(k + SPARE_CANDIDATES);
    }
    let factor = options.rerank_factor.or(shape.options.rerank_factor);
    let most = factor.map_or(usize::MAX, |factor| k.saturating_mul(factor as usize));
    // No row is compared twice.
    if most >= scans.iter().map(|scan| scan.allowed).sum() {
        Plan::Bounds
    } else {
        Plan::Capped(most)
    }
}

/// Candidates of all parts, best first.
fn candidates<O: Observer>(
    scans: &[Scan<'_>],
    k: usize,
    plan: Plan,
    effort: &Effort,
    observer: &mut O,
) -> Result<Vec<Candidate>> {
    let (mut top, measure) = match plan {
        Plan::Estimates(capacity) => (TopK::new(capacity), Measure::Estimates),
        Plan::Capped(most) => (TopK::new(k.max(MIN_NEIGHBOURS)), Measure::Capped(most)),
        Plan::Bounds => (TopK::new(k.max(MIN_NEIGHBOURS)), Measure::Bounds),
        Plan::Exact => (TopK::new(k), Measure::Bounds),
    };
    let is_capped = matches!(plan, Plan::Capped(_));
    let mut uncompared = Vec::new();
    for scan in scans {
        let by_codes = scan.part.codes.as_ref();
        let by_codes = by_codes
            .filter(|_| scan.allowed > 0 && (is_capped || !compares_all(scan, effort.visited)));
        match by_codes.and_then(|codes| Some((codes, scan.query.estimator()?))) {
            _ if scan.allowed == 0 => {}
            Some((codes, estimator)) => {
                let coded = Coded {
                    scan,
                    codes,
                    estimator,
                };
                let survivors = visit(coded, (effort.extent, measure), &mut top, observer)?;
                if !survivors.is_empty() {
                    uncompared.push((coded, survivors));
                }
            }
            _ => {
                observer.without_codes(scan.allowed);
                scan.exact_all(&mut top, observer)?;
            }
        }
    }
    if let Plan::Capped(most) = plan {
        let start = observer.now();
        observer.compared(capped::compare(&uncompared, most, &mut top)?);
        observer.spent(Stage::Rerank, start);
    }
    Ok(top.into_sorted())
}

/// Whether so few rows are allowed that their codes are not worth a look. `visited` is the share of lists that would be.
fn compares_all(scan: &Scan<'_>, visited: f64) -> bool {
    let (rows, allowed) = (scan.part.rows(), scan.allowed);
    if scan.part.raw.is_none() {
        return false;
    }
    let Some(lists) = &scan.part.lists else {
        return allowed <= SMALL_PART.max(rows / RAW_ROW_COST);
    };
    if allowed == rows {
        return rows <= SMALL_PART;
    }
    let raw = (RAW_ROW_COST * allowed) as f64;
    let count = lists.count() as f64;
    let list = LIST_COST + (raw / count).min(rows as f64 / count);
    allowed <= always_compared(rows) || raw <= FILTERED_COST * visited * count * list
}

/// Ranks candidates by the unrounded query where that tells more.
fn rank<O: Observer>(
    scans: &[Scan<'_>],
    k: usize,
    plan: Plan,
    candidates: Vec<Candidate>,
    observer: &mut O,
) -> Result<Vec<Candidate>> {
    if !matches!(plan, Plan::Estimates(_)) {
        return Ok(candidates);
    }
    let start = observer.now();
    let mut top = TopK::new(k);
    for Candidate { rank, order, row } in candidates {
        let (scan, at) = locate(scans, row);
        let rank = match (&scan.part.codes, scan.query.estimator()) {
            (Some(codes), Some(estimator)) => scan.estimate(codes, estimator, at)?,
            _ => rank,
        };
        top.push(Candidate { rank, order, row });
    }
    observer.spent(Stage::Rerank, start);
    Ok(top.into_sorted())
}

/// How hard a search tries.
pub(crate) struct Effort {
    /// Which lists of a grouped part it looks at.
    pub extent: Extent,
    /// Width of the bounds of rows, in deviations.
    pub width: f32,
    /// Share of the lists that are, about.
    pub visited: f64,
}

impl Effort {
    /// What reaches the recall that is asked for, by what the largest part learned of its rows.
    pub(crate) fn new(
        shape: &Shape,
        state: &State,
        masks: &[Option<Mask>],
        k: usize,
        options: &SearchOptions<'_>,
    ) -> Result<Self> {
        let largest = state.parts.iter().zip(masks);
        let largest = largest.max_by_key(|(live, _)| live.part.rows());
        // Of `k` rows that pass a filter the last is about as far as the `k · rows / allowed`-th of all.
        let (curves, neighbours) = match largest {
            None => (None, k as f64),
            Some((live, mask)) => {
                let share = mask
                    .as_ref()
                    .map_or(1.0, Mask::density)
                    .max(f64::MIN_POSITIVE);
                (Curves::new(live.part.curves.all()?), k as f64 / share)
            }
        };
        let grouped = shape.options.kind == Kind::RabitqIvf;
        let target = target(shape, options);
        let (share, within) = if grouped {
            let loss = match options.allow {
                Some(_) => FILTERED_LOSS * (1.0 - target),
                None => 1.0 - target,
            };
            let within = 1.0 - loss / SPLIT;
            ((1.0 - loss) / within, within)
        } else {
            (1.0, target)
        };
        let cut = curves.and_then(|curves| {
            let visited = curves.visited(neighbours, share).unwrap_or(1.0);
            Some((curves.cut(neighbours, share)?, visited))
        });
        let (extent, visited) = match (options.nprobe, cut) {
            // Nobody knows of a number that was given; it is meant to be small.
            (Some(lists), _) => (Extent::Nearest(lists as usize), 0.0),
            (None, Some((cut, visited))) if target < 1.0 => (Extent::Cut(cut, visited), visited),
            _ => (Extent::All, 1.0),
        };
        let learned = curves.and_then(|curves| curves.width(neighbours, within));
        Ok(Self {
            extent,
            visited,
            width: match learned {
                _ if target >= 1.0 => WIDEST,
                Some(width) => width,
                None => normal_width(within),
            },
        })
    }
}

/// The recall a search aims at.
pub(crate) fn target(shape: &Shape, options: &SearchOptions<'_>) -> f32 {
    options.recall_target.unwrap_or(match shape.options.kind {
        Kind::RabitqIvf => DEFAULT_IVF_RECALL,
        _ => DEFAULT_RECALL,
    })
}

/// All rows are equally near: the first ones win.
fn first_rows(scans: &[Scan<'_>], k: usize) -> Result<Vec<Candidate>> {
    let mut first = Vec::with_capacity(k);
    for scan in scans {
        for row in scan.part.in_order()? {
            if first.len() == k {
                return Ok(first);
            }
            if scan.mask.is_none_or(|mask: &Bitset| mask.get(row)) {
                first.push(Candidate::in_order(0.0, scan.first + row as u64));
            }
        }
    }
    Ok(first)
}

/// The part and row at a position of the whole index.
fn locate<'a, 's>(scans: &'a [Scan<'s>], row: u64) -> (&'a Scan<'s>, usize) {
    let scan = &scans[scans.partition_point(|scan| scan.first <= row) - 1];
    (scan, (row - scan.first) as usize)
}
