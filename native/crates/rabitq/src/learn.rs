//! Learning from the rows themselves how many lists a search has to visit.

use rayon::prelude::*;

use crate::build::{Center, Shape};
use crate::lists::{Lists, probe_steps};
use crate::part::Part;
use crate::query::Query;
use crate::scan::Scan;
use crate::topk::TopK;
use crate::{Control, Result};

/// Rows that play queries.
const QUERIES: usize = 400;

/// Nearest rows that are looked for, the query itself aside.
const NEAREST: usize = 10;

/// Share of a query's nearest rows in its first lists, one entry for each of [`probe_steps`], as a mean over rows of a part
/// that was just grouped. They are searched for with wide bounds and in all lists: where rows have no groups to speak of,
/// the nearest lie in lists far down the row.
pub(crate) fn learn(
    shape: &Shape,
    center: &Center,
    part: &Part,
    lists: &Lists,
    control: Control<'_>,
) -> Result<Vec<f32>> {
    let rows = part.rows();
    let starts = lists.starts.all()?;
    let (Some(codes), Some(raw)) = (&part.codes, &part.raw) else {
        return Ok(vec![]);
    };
    let queries = QUERIES.min(rows);
    let trial = |trial: usize| -> Result<Vec<usize>> {
        control.check()?;
        let row = trial * rows / queries;
        let vector = raw.with(row, <[f32]>::to_vec)?;
        let query = Query::new(shape, center, &vector, part.norms.at(row)?, 2.5);
        let Some(estimator) = query.estimator().filter(|_| !query.is_directionless()) else {
            return Ok(vec![]);
        };
        let near = lists.nearest(query.kernels(), estimator, lists.count())?;
        let spans = lists.spans(query.kernels(), estimator, &near)?;
        let scan = Scan {
            query: &query,
            part,
            first: 0,
            mask: None,
            control,
        };
        let mut top = TopK::new(NEAREST + 1);
        scan.by_bounds(codes, estimator, &spans, &mut top)?;
        let mut others = top.into_sorted();
        others.retain(|candidate| candidate.row != row as u64);
        others.truncate(NEAREST);
        let visit = |row: u64| {
            let list = starts.partition_point(|&start| u64::from(start) <= row) - 1;
            near.iter().position(|&visited| visited as usize == list)
        };
        Ok(others.iter().filter_map(|other| visit(other.row)).collect())
    };
    let visits: Vec<Result<Vec<usize>>> = (0..queries).into_par_iter().map(trial).collect();
    let visits = visits.into_iter().collect::<Result<Vec<_>>>()?.concat();
    let total = visits.len().max(1) as f32;
    let within = |step: usize| visits.iter().filter(|&&visit| visit < step).count() as f32 / total;
    Ok(probe_steps(lists.count()).map(within).collect())
}
