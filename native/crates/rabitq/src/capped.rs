//! The comparisons of a search that may make only so many: those of all parts together, at the very end.

use std::cmp::Ordering;

use crate::Result;
use crate::coded::Coded;
use crate::scan::AHEAD;
use crate::topk::TopK;

/// A row whose lower bound reaches the best so far.
#[derive(Clone, Copy)]
pub(crate) struct Survivor {
    pub estimate: f32,
    pub lower: f32,
    pub row: usize,
}

impl Survivor {
    /// The best estimates first: their exact ranks give a limit that few lower bounds reach.
    pub(crate) fn by_estimate(&self, other: &Self) -> Ordering {
        let by_estimate = self.estimate.total_cmp(&other.estimate);
        by_estimate.then(self.row.cmp(&other.row))
    }
}

/// Ranks by raw vector at most `most` of the survivors of all parts, those with the best estimates that still may be among
/// the best. Returns how many were compared.
pub(crate) fn compare(
    found: &[(Coded<'_>, Vec<Survivor>)],
    most: usize,
    top: &mut TopK,
) -> Result<usize> {
    let mut rows = Vec::with_capacity(found.iter().map(|(_, rows)| rows.len()).sum());
    for (part, (_, survivors)) in found.iter().enumerate() {
        rows.extend(survivors.iter().map(|&row| (part, row)));
    }
    rows.sort_unstable_by(|(part, row), (other, than)| row.by_estimate(than).then(part.cmp(other)));
    let prefetch = |&(part, row): &(usize, Survivor)| {
        found[part].0.scan.part.prefetch_vector(row.row);
    };
    rows.iter().take(AHEAD).for_each(prefetch);
    let mut compared = 0;
    for (at, &(part, Survivor { lower, row, .. })) in rows.iter().enumerate() {
        if compared == most {
            break;
        }
        if let Some(later) = rows.get(at + AHEAD) {
            prefetch(later);
        }
        let coded = &found[part].0;
        if lower <= coded.tolerated(top.limit()) {
            coded.scan.push_exact(row, top)?;
            compared += 1;
        }
    }
    Ok(compared)
}
