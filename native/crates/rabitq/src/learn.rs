//! Learning from the rows themselves how far a search has to look.

use rayon::prelude::*;

use crate::bounds::Bounds;
use crate::build::{Center, Shape};
use crate::coded::Coded;
use crate::curves::{MIN_NEIGHBOURS, NEIGHBOURS, RECALLS, WIDEST, normal_width};
use crate::lists::Lists;
use crate::pack::{self, BLOCK};
use crate::part::Part;
use crate::query::{Query, lengthened};
use crate::route::{Reckoning, Route};
use crate::scan::{Scan, Span};
use crate::sweep::Sweep;
use crate::topk::TopK;
use crate::{Control, Metric, Result};

/// Parts of at most this many rows learn nothing: all their lists are visited, and bounds are as wide as a normal distribution
/// wants them. There is little to save, and queries unlike the rows lose nothing.
const FEW_ROWS: usize = 8192;

/// Rows that play queries: at most so many, and fewer where there are more rows and lists than so many in all.
const TRIALS: usize = 512;
const TRIAL_ROWS: usize = 1 << 29;
const TRIAL_LISTS: usize = 1 << 21;

/// Width of the bounds with which the truth is found.
const TRUTH_WIDTH: f32 = 3.5;

/// Nearest rows that are found: more than are asked for, since those in the first lists set the limit for the later ones.
const KNOWN: usize = 160;

/// Slopes that are tried.
const SLOPES: [f32; 10] = [2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0];

/// The largest slope is taken that costs at most this much more than the best: the steeper, the more a query unlike the
/// rows is helped.
const SLOPE_COST: f64 = 1.05;

/// Where slopes are compared: the place of 10 in [`NEIGHBOURS`], and a recall.
const SLOPE_AT: (usize, f32) = (1, 0.95);

/// What visiting a list costs, in rows.
const LIST_COST: u32 = 30;

/// Trials that tell how many rows are visited.
const COST_TRIALS: usize = 96;

/// Standard errors of a recall that was measured on the trials, by which all targets are raised.
const CAUTION: f32 = 1.0;

/// One row that played a query.
struct Trial {
    /// Of all lists, in the order of its route: where their rows lie, the unit of their spread, and how many they are.
    lists: Vec<(f32, f32, u32)>,
    /// The nearest rows, nearest first.
    nearest: Vec<Neighbour>,
    /// For each of [`NEIGHBOURS`] the rank of the last of so many, in the terms of the route.
    limits: [f32; NEIGHBOURS.len()],
}

struct Neighbour {
    /// Place of its list on the route.
    place: usize,
    /// For each of [`NEIGHBOURS`] the rank of the last of so many that the lists before hold, in the terms of the route.
    limits: [f32; NEIGHBOURS.len()],
    /// For each of [`NEIGHBOURS`] the width its bounds must have so that it is not ruled out.
    widths: [f32; NEIGHBOURS.len()],
}

/// The numbers of [`crate::curves::Curves`] for a part whose codes and lists are complete. Nothing if it is small or keeps no
/// raw vectors.
///
/// Rows play queries: their nearest rows are searched for with wide bounds and in all lists.
pub(crate) fn learn(
    shape: &Shape,
    center: &Center,
    part: &Part,
    control: Control<'_>,
) -> Result<Vec<f32>> {
    let rows = part.rows();
    if rows <= FEW_ROWS || part.codes.is_none() || part.raw.is_none() {
        return Ok(vec![]);
    }
    let lists = part.lists.as_ref().map_or(1, Lists::count);
    let trials = TRIALS
        .min(TRIAL_ROWS / rows)
        .min(TRIAL_LISTS / lists)
        .max(TRIALS / 8);
    let trials: Vec<Result<Option<Trial>>> = (0..trials)
        .into_par_iter()
        .map(|trial| {
            control.check()?;
            run(shape, center, part, trial * rows / trials, control)
        })
        .collect();
    let trials: Vec<Trial> = trials
        .into_iter()
        .filter_map(Result::transpose)
        .collect::<Result<_>>()?;
    if trials.is_empty() {
        return Ok(vec![]);
    }
    let slope = match part.lists {
        Some(_) => best_slope(&trials),
        None => 0.0,
    };
    let mut numbers = vec![slope];
    let mut visited = vec![];
    for neighbours in 0..NEIGHBOURS.len() {
        let scores = scores(&trials, neighbours, slope);
        let raised = |recall| raised(recall, neighbours, trials.len());
        let cuts = RECALLS.map(|recall| quantile(&scores, 1.0 - raised(recall)));
        numbers.extend(cuts);
        let some = &trials[..trials.len().min(COST_TRIALS)];
        let seen = (some.len() * rows) as f32;
        let share = |&cut: &f32| -> f32 {
            (visited_rows(some, neighbours, slope, cut, 0) as f32 / seen).max(f32::MIN_POSITIVE)
        };
        visited.extend(
            cuts.par_iter()
                .map(|cut| share(cut).ln())
                .collect::<Vec<_>>(),
        );
    }
    for neighbours in 0..NEIGHBOURS.len() {
        let of = |trial: &Trial| -> Vec<f32> {
            let nearest = trial.nearest.iter().take(NEIGHBOURS[neighbours]);
            nearest.map(|row| row.widths[neighbours]).collect()
        };
        let widths = sorted(trials.iter().flat_map(of).collect());
        numbers.extend(RECALLS.map(|recall| {
            let recall = raised(recall, neighbours, trials.len());
            // Too few rows to tell such a recall.
            if (1.0 - recall) * (widths.len() as f32) < 1.0 {
                return normal_width(recall);
            }
            quantile(&widths, recall).clamp(0.0, WIDEST)
        }));
    }
    numbers.extend(visited);
    Ok(numbers)
}

/// Nothing for a row that no other is near to.
fn run(
    shape: &Shape,
    center: &Center,
    part: &Part,
    row: usize,
    control: Control<'_>,
) -> Result<Option<Trial>> {
    let (Some(codes), Some(raw)) = (&part.codes, &part.raw) else {
        return Ok(None);
    };
    let vector = raw.with(row, <[f32]>::to_vec)?;
    let norm_squared = part.norms.at(row)?;
    // As a search does.
    let lengthened = match shape.options.metric {
        Metric::InnerProduct => lengthened(&vector, norm_squared, part.typical_length()?),
        Metric::Cosine | Metric::L2 => None,
    };
    let (asked, asked_squared) = match &lengthened {
        Some((longer, factor)) => (longer, f64::from(norm_squared) * factor * factor),
        None => (&vector, f64::from(norm_squared)),
    };
    let query = Query::new(shape, center, asked, asked_squared as f32, TRUTH_WIDTH);
    let Some(estimator) = query.estimator().filter(|_| !query.is_directionless()) else {
        return Ok(None);
    };
    let scan = Scan {
        query: &query,
        part,
        first: 0,
        mask: None,
        allowed: part.rows(),
        listed: None,
        control,
    };
    let coded = Coded {
        scan: &scan,
        codes,
        estimator,
    };
    let (mut sweep, mut bounds) = (Sweep::new(coded, KNOWN + 1), Bounds::default());
    let metric = query.metric();
    let most = NEIGHBOURS[NEIGHBOURS.len() - 1];
    let mut top = TopK::new(KNOWN + 1);
    let mut spans = vec![];
    let mut places = vec![];
    let unlimited = crate::curves::Cut {
        slope: 1.0,
        threshold: 0.0,
    };
    let reckoning = Reckoning::new(metric, estimator, unlimited);
    let mut lists = vec![];
    if let Some(known) = &part.lists {
        let (kernels, radii) = (query.kernels(), known.radii.all()?);
        let extents = known.extents()?;
        places.resize(known.count(), 0);
        for (place, stop) in Route::new(known, kernels, estimator, metric)?
            .next(known.count())
            .into_iter()
            .enumerate()
        {
            let held = extents.of(stop.list);
            let span = Span {
                row: held.row,
                block: held.block,
                rows: held.rows,
                reach: known.reach(kernels, estimator, stop.list)?,
            };
            let (middle, spread) = reckoning.spread(stop, radii[stop.list as usize]);
            lists.push((middle, spread, span.rows as u32));
            places[stop.list as usize] = place;
            spans.push(span);
        }
    } else {
        spans.push(Span {
            row: 0,
            block: 0,
            rows: part.rows(),
            reach: estimator.center(),
        });
    }
    for span in &spans {
        sweep.by_bounds(span, &mut top, &mut ())?;
    }
    sweep.finish(&mut top, &mut ())?;
    let mut others = top.into_sorted();
    // Copies of the row, too: a query has none, and they are found where it is.
    let own = query.rank(&vector, norm_squared);
    others.retain(|candidate| candidate.row != row as u64 && candidate.rank != own);
    let Some(last) = others.last() else {
        return Ok(None);
    };
    let rank = |at: usize| others.get(at).unwrap_or(last).rank;
    let searched = NEIGHBOURS.map(|k| k.max(MIN_NEIGHBOURS));
    let place = |at: u64| -> Result<usize> {
        let Some(lists) = &part.lists else {
            return Ok(0);
        };
        let starts = lists.starts.all()?;
        Ok(places[starts.partition_point(|&start| u64::from(start) <= at) - 1])
    };
    let held: Vec<usize> = others
        .iter()
        .map(|other| place(other.row))
        .collect::<Result<_>>()?;
    let nearest = others.iter().zip(&held).take(most).map(|(other, &place)| {
        let limits = searched.map(|k| {
            if part.lists.is_none() {
                // Ruled out, it would leave the best to the others.
                return rank(k);
            }
            let before = others.iter().zip(&held).filter(|(_, at)| **at < place);
            before
                .map(|(other, _)| other.rank)
                .nth(k - 1)
                .unwrap_or(last.rank)
        });
        let ranks = limits.map(|limit| limit as f32);
        Ok(Neighbour {
            place,
            limits: limits.map(|limit| reckoning.limit(limit)),
            widths: widths(
                &coded,
                &spans[place],
                other.row as usize,
                ranks,
                &mut bounds,
            )?,
        })
    });
    Ok(Some(Trial {
        nearest: nearest.collect::<Result<_>>()?,
        limits: searched.map(|k| reckoning.limit(rank(k - 1))),
        lists,
    }))
}

/// Widths that the bounds of a row of a span must have to reach limits, if those of the query are [`TRUTH_WIDTH`].
fn widths<const N: usize>(
    coded: &Coded<'_>,
    span: &Span,
    row: usize,
    limits: [f32; N],
    bounds: &mut Bounds,
) -> Result<[f32; N]> {
    let at = row - span.row;
    let block = span.part(at / BLOCK * BLOCK, BLOCK);
    bounds.fill(coded, &block)?;
    let (codes, estimator) = (coded.codes, coded.estimator);
    let lane = at % BLOCK;
    let slot = block.block * BLOCK + lane;
    let needed = |estimate: f32, error: f32, slack: f32, limit: f32| {
        let excess = estimate - slack - limit;
        if excess <= 0.0 {
            0.0
        } else {
            excess / error * TRUTH_WIDTH
        }
    };
    let rescale = codes.rescale.at(slot)?.abs();
    let sign_error = rescale * estimator.sign_deviation * span.reach.error;
    let sign_slack = rescale * estimator.signs(span.reach).slack - sign_error;
    let estimate = bounds.estimate(lane as u32);
    let mut widths = limits.map(|limit| needed(estimate, sign_error, sign_slack, limit));
    if !coded.signs_only() {
        let (estimate, lower) = coded.refine(&block, bounds.pick(lane as u32))?;
        let width = codes.row_bytes();
        let (factors, _) = pack::row_parts(codes.rows.get(row * width..(row + 1) * width)?);
        let error = factors.error * span.reach.error;
        let slack = estimate - lower - error;
        for (widest, limit) in widths.iter_mut().zip(limits) {
            *widest = widest.max(needed(estimate, error, slack, limit));
        }
    }
    Ok(widths)
}

/// A recall among some of [`NEIGHBOURS`], and so much more that one measured on so many trials is mostly reached.
///
/// The neighbours of a trial are neither independent, which would divide the variance by their number, nor all found or lost
/// together, which would leave it as it is.
fn raised(recall: f32, neighbours: usize, trials: usize) -> f32 {
    let samples = trials as f32 * (NEIGHBOURS[neighbours] as f32).sqrt();
    let error = (recall * (1.0 - recall) / samples).sqrt();
    (recall + CAUTION * error).min(1.0)
}

/// How near a list is to a limit, the higher the nearer: the threshold with which it is just visited.
fn score(trial: &Trial, limit: f32, slope: f32, place: usize) -> f32 {
    let (middle, spread, _) = trial.lists[place];
    slope * (limit - middle) / spread - ((place + 1) as f32).ln()
}

/// Scores of the lists that hold the nearest rows, ascending.
fn scores(trials: &[Trial], neighbours: usize, slope: f32) -> Vec<f32> {
    let of = |trial: &Trial| -> Vec<f32> {
        let nearest = trial.nearest.iter().take(NEIGHBOURS[neighbours]);
        let places = nearest.filter(|_| !trial.lists.is_empty());
        places
            .map(|row| score(trial, row.limits[neighbours], slope, row.place))
            .collect()
    };
    sorted(trials.iter().flat_map(of).collect())
}

fn best_slope(trials: &[Trial]) -> f32 {
    let (neighbours, recall) = SLOPE_AT;
    let cost = |&slope: &f32| -> f64 {
        let threshold = quantile(&scores(trials, neighbours, slope), 1.0 - recall);
        visited_rows(trials, neighbours, slope, threshold, LIST_COST) as f64
    };
    let costs = SLOPES.map(|slope| cost(&slope));
    let least = costs.iter().copied().fold(f64::INFINITY, f64::min);
    let good = SLOPES.iter().zip(costs);
    good.filter(|(_, cost)| *cost <= SLOPE_COST * least)
        .map(|(slope, _)| *slope)
        .fold(SLOPES[0], f32::max)
}

/// Rows of the lists that all trials together visit, and so many more for each list.
fn visited_rows(trials: &[Trial], neighbours: usize, slope: f32, threshold: f32, more: u32) -> u64 {
    let of = |trial: &Trial| -> u64 {
        let limit = trial.limits[neighbours];
        let visited =
            (0..trial.lists.len()).filter(|&place| score(trial, limit, slope, place) >= threshold);
        visited
            .map(|place| u64::from(trial.lists[place].2 + more))
            .sum()
    };
    trials.par_iter().map(of).sum()
}

/// The value below which a share of the ascending values lies.
fn quantile(values: &[f32], share: f32) -> f32 {
    let at = (f64::from(share) * values.len() as f64).floor() as usize;
    values
        .get(at.min(values.len().saturating_sub(1)))
        .copied()
        .unwrap_or(0.0)
}

fn sorted(mut values: Vec<f32>) -> Vec<f32> {
    values.sort_unstable_by(f32::total_cmp);
    values
}
