//! One query over all parts of a state: which rows are looked at, in what way, and which are returned.

use std::sync::Arc;

use crate::bitset::Bitset;
use crate::build::Shape;
use crate::query::{Estimator, Query};
use crate::scan::{Scan, Span};
use crate::state::State;
use crate::topk::{Candidate, TopK};
use crate::{Control, Hit, Kind, Result, SearchOptions};

/// Allowed rows below which comparing raw vectors beats scanning the codes of all: a raw row costs about this many codes.
const RAW_ROW_COST: usize = 24;

/// Parts of at most this many rows are compared by raw vector without a look at their codes.
const SMALL_PART: usize = 512;

/// Candidates kept beyond `k` where the whole answer rests on estimates: those with a rounded query order the last places
/// a little differently than those with the query itself.
const SPARE_CANDIDATES: usize = 16;

/// Recall@10 of a search in a grouped index that names none.
const DEFAULT_IVF_RECALL: f32 = 0.97;

/// Recall@10 of any other search that names none.
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
    let (share, epsilon) = widths(shape, options.recall_target);
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
        first_rows(&scans, k)?
    } else {
        let plan = plan(shape, k, options);
        rank(
            &scans,
            k,
            plan,
            candidates(
                &scans,
                k,
                plan,
                Probes {
                    nprobe: options.nprobe,
                    share,
                },
            )?,
        )?
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

fn candidates(scans: &[Scan<'_>], k: usize, plan: Plan, reach: Probes) -> Result<Vec<Candidate>> {
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
                visit(scan, estimator, reach, &mut top, |spans, top| {
                    scan.by_bounds(codes, estimator, spans, top)
                })?;
            }
            (Plan::Estimates(_), Some(codes), Some(estimator)) => {
                visit(scan, estimator, reach, &mut top, |spans, top| {
                    scan.by_estimates(codes, estimator, spans, top)
                })?;
            }
            _ => scan.exact(&mut top)?,
        }
    }
    Ok(top.into_sorted())
}

/// How many lists of a grouped part are looked at: a number, or as many as hold a share of the nearest rows.
#[derive(Clone, Copy)]
struct Probes {
    nprobe: Option<u32>,
    share: f32,
}

/// Scans a part: all of it, or the lists nearest to the query.
fn visit(
    scan: &Scan<'_>,
    estimator: &Estimator,
    probes: Probes,
    top: &mut TopK,
    mut scan_spans: impl FnMut(&[Span], &mut TopK) -> Result<()>,
) -> Result<()> {
    let Some(lists) = &scan.part.lists else {
        let all = Span {
            row: 0,
            block: 0,
            rows: scan.part.rows(),
            reach: estimator.center(),
        };
        return scan_spans(&[all], top);
    };
    let kernels = scan.query.kernels();
    let probes = match probes.nprobe {
        Some(lists) => lists as usize,
        None => lists.probes(probes.share)?,
    };
    let Some(mask) = scan.mask else {
        let near = lists.nearest(kernels, estimator, probes)?;
        scan_spans(&lists.spans(kernels, estimator, &near)?, top)?;
        if top.limit() == f64::INFINITY && near.len() < lists.count() {
            let all = lists.nearest(kernels, estimator, lists.count())?;
            let rest: Vec<u32> = all
                .into_iter()
                .filter(|list| !near.contains(list))
                .collect();
            scan_spans(&lists.spans(kernels, estimator, &rest)?, top)?;
        }
        return Ok(());
    };
    // A list counts by the share of its rows that are allowed, beside the share of all: where a filter leaves out whole
    // lists, others take their place.
    let near = lists.nearest(kernels, estimator, lists.count())?;
    let expected = mask.count() as f64 / lists.count() as f64;
    let mut visited = 0.0;
    for span in lists.spans(kernels, estimator, &near)? {
        let allowed = mask.count_in(span.row..span.row + span.rows);
        if allowed > 0 {
            scan_spans(&[span], top)?;
        }
        visited += allowed as f64 / expected;
        if visited >= probes as f64 && top.limit() < f64::INFINITY {
            break;
        }
    }
    Ok(())
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
    for Candidate { rank, order, row } in candidates {
        let (scan, at) = locate(scans, row);
        let rank = match (&scan.part.codes, scan.query.estimator()) {
            _ if scan.part.raw.is_some() => scan.rank(at)?,
            (Some(codes), Some(estimator)) => scan.estimate(codes, estimator, at)?,
            _ => rank,
        };
        top.push(Candidate { rank, order, row });
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

/// Share of the nearest rows that the visited lists must hold, and width of the bounds within them: the loss a recall
/// allows is spent on lists, where it saves most, but for a fifth.
fn widths(shape: &Shape, recall_target: Option<f32>) -> (f32, f32) {
    if shape.options.kind != Kind::RabitqIvf {
        return (1.0, epsilon(recall_target.unwrap_or(DEFAULT_RECALL)));
    }
    let target = recall_target.unwrap_or(DEFAULT_IVF_RECALL);
    let within = 1.0 - (1.0 - target) / 5.0;
    (target / within, epsilon(within))
}

/// The narrowest known width that reaches a recall.
fn epsilon(recall: f32) -> f32 {
    WIDTHS
        .iter()
        .find(|(known, _)| *known >= recall)
        .map_or(WIDEST, |(_, width)| *width)
}

/// All rows are equally near: the first ones win.
fn first_rows(scans: &[Scan<'_>], k: usize) -> Result<Vec<Candidate>> {
    let mut first = Vec::with_capacity(k);
    for scan in scans {
        for row in scan.part.in_order()? {
            if first.len() == k {
                return Ok(first);
            }
            if scan.mask.is_none_or(|mask| mask.get(row)) {
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
