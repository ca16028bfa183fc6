//! One query over all parts of a state: which rows are looked at, in what way, and which are returned.

use std::sync::Arc;

use crate::bitset::Bitset;
use crate::build::Shape;
use crate::query::Query;
use crate::scan::Scan;
use crate::state::State;
use crate::topk::{Candidate, TopK};
use crate::{Control, Hit, Result, SearchOptions};

/// Allowed rows below which comparing raw vectors beats scanning the codes of all: a raw row costs about this many codes.
const RAW_ROW_COST: usize = 24;

/// Parts of at most this many rows are compared by raw vector without a look at their codes.
const SMALL_PART: usize = 512;

/// Candidates kept beyond `k` where the whole answer rests on estimates: those with a rounded query order the last places
/// a little differently than those with the query itself.
const SPARE_CANDIDATES: usize = 64;

/// Recall@10 of a search that names none.
pub(crate) const DEFAULT_RECALL: f32 = 0.998;

/// How candidates are found.
#[derive(Clone, Copy)]
enum Plan {
    /// No codes: every row is compared.
    Exact,
    /// A row is compared if its lower bound can still enter the best `k`.
    Bounds,
    /// So many rows with the best estimates are kept, and ranked anew at the end.
    Estimates(usize),
}

/// The `k` rows nearest to a validated query, best first.
pub(crate) fn nearest(
    shape: &Shape,
    state: &State,
    (query, norm_squared): (&[f32], f32),
    k: usize,
    options: &SearchOptions<'_>,
    control: Control<'_>,
) -> Result<Vec<Hit>> {
    let k = k.min(state.rows());
    if k == 0 {
        return Ok(vec![]);
    }
    let epsilon = epsilon(options.recall_target);
    let query = Query::new(shape, &state.center, query, norm_squared, epsilon);
    let masks: Vec<Option<Arc<Bitset>>> = state
        .parts
        .iter()
        .map(|live| live.mask(options.allow))
        .collect::<Result<_>>()?;
    let mut scans = Vec::with_capacity(state.parts.len());
    let mut first = 0;
    for (live, mask) in state.parts.iter().zip(&masks) {
        scans.push(Scan {
            query: &query,
            part: &live.part,
            first,
            mask: mask.as_deref(),
            control,
        });
        first += live.part.rows() as u64;
    }
    let best = if query.is_directionless() {
        first_rows(&scans, k)
    } else {
        let plan = plan(shape, k, options);
        rank(&scans, k, plan, candidates(&scans, k, plan)?)?
    };
    best.iter()
        .map(|candidate| {
            let (scan, row) = locate(&scans, candidate.row);
            Ok(Hit {
                id: scan.part.ids.at(row)?,
                distance: query.distance(candidate.rank),
            })
        })
        .collect()
}

fn plan(shape: &Shape, k: usize, options: &SearchOptions<'_>) -> Plan {
    if shape.options.effective_bits().is_none() {
        return Plan::Exact;
    }
    if !shape.options.keeps_raw() {
        return Plan::Estimates(k + SPARE_CANDIDATES);
    }
    match options.rerank_factor.or(shape.options.rerank_factor) {
        Some(factor) => Plan::Estimates(k.saturating_mul(factor as usize)),
        None => Plan::Bounds,
    }
}

fn candidates(scans: &[Scan<'_>], k: usize, plan: Plan) -> Result<Vec<Candidate>> {
    let mut top = match plan {
        Plan::Estimates(capacity) => TopK::new(capacity),
        Plan::Exact | Plan::Bounds => TopK::new(k),
    };
    for scan in scans {
        let rows = scan.part.rows();
        let allowed = scan.mask.map_or(rows, Bitset::count);
        let few = allowed <= SMALL_PART || allowed <= rows / RAW_ROW_COST;
        match (plan, &scan.part.codes, scan.query.estimator()) {
            _ if allowed == 0 => {}
            _ if few && scan.part.raw.is_some() => scan.exact(&mut top)?,
            (Plan::Bounds, Some(codes), Some(estimator)) => {
                scan.by_bounds(codes, estimator, &mut top)?;
            }
            (Plan::Estimates(_), Some(codes), Some(estimator)) => {
                scan.by_estimates(codes, estimator, &mut top)?;
            }
            _ => scan.exact(&mut top)?,
        }
    }
    Ok(top.into_sorted())
}

/// Ranks candidates by the best that is known of them.
fn rank(
    scans: &[Scan<'_>],
    k: usize,
    plan: Plan,
    candidates: Vec<Candidate>,
) -> Result<Vec<Candidate>> {
    if !matches!(plan, Plan::Estimates(_)) {
        return Ok(candidates);
    }
    let mut top = TopK::new(k);
    for Candidate { rank, row } in candidates {
        let (scan, at) = locate(scans, row);
        let rank = match (&scan.part.codes, scan.query.estimator()) {
            _ if scan.part.raw.is_some() => scan.rank(at)?,
            (Some(codes), Some(estimator)) => scan.estimate(codes, estimator, at)?,
            _ => rank,
        };
        top.push(Candidate { rank, row });
    }
    Ok(top.into_sorted())
}

/// Recall@10 and the width of the error bounds, in deviations, that reached it on the harder of two real sets: `GloVe`-100
/// (340k words); glosses in `MiniLM` (100k x 384) came out higher at every width. The papers' own default is 1.9.
const WIDTHS: [(f32, f32); 8] = [
    (0.925, 0.5),
    (0.955, 0.75),
    (0.975, 1.0),
    (0.987, 1.25),
    (0.993, 1.5),
    (0.997, 1.75),
    (0.9988, 2.0),
    (0.9995, 2.25),
];

/// Bounds of this width hold for all but one pair in thirty thousand.
const WIDEST: f32 = 4.0;

/// The narrowest known width that reaches a recall.
fn epsilon(recall_target: Option<f32>) -> f32 {
    let target = recall_target.unwrap_or(DEFAULT_RECALL);
    WIDTHS
        .iter()
        .find(|(recall, _)| *recall >= target)
        .map_or(WIDEST, |(_, width)| *width)
}

/// All rows are equally near: the first ones win.
fn first_rows(scans: &[Scan<'_>], k: usize) -> Vec<Candidate> {
    let rows = scans.iter().flat_map(|scan| {
        let allowed =
            (0..scan.part.rows()).filter(|&row| scan.mask.is_none_or(|mask| mask.get(row)));
        allowed.map(|row| Candidate {
            rank: 0.0,
            row: scan.first + row as u64,
        })
    });
    rows.take(k).collect()
}

/// The part and row at a position of the whole index.
fn locate<'a, 's>(scans: &'a [Scan<'s>], row: u64) -> (&'a Scan<'s>, usize) {
    let scan = &scans[scans.partition_point(|scan| scan.first <= row) - 1];
    (scan, (row - scan.first) as usize)
}
