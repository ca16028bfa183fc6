//! What a search did, and how long each step of it took.

use crate::allow::Mask;
use crate::build::Shape;
use crate::lists::Lists;
use crate::observe::{Counts, Times};
use crate::search::{Effort, target};
use crate::state::State;
use crate::visit::Extent;
use crate::{Hit, Kind, Result, SearchOptions};

/// A search told in numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// The kind of the index.
    pub kind: Kind,
    /// Rows asked for.
    pub k: usize,
    /// What was found.
    pub hits: Vec<Hit>,
    /// Live rows.
    pub rows: usize,
    /// Live rows the allow-list lets through; nothing without one.
    pub allowed: Option<usize>,
    /// Whether every live (and allowed) row was compared by its raw vector, so that the answer is exact.
    pub exact_scan: bool,
    /// Inverted lists.
    pub lists: usize,
    /// Lists that were looked at.
    pub lists_probed: usize,
    /// Rows whose distance was estimated from their codes.
    pub rows_scanned: usize,
    /// Those of them that the bounds of their sign codes ruled out.
    pub rows_pruned: usize,
    /// Rows whose raw vector was compared.
    pub rows_reranked: usize,
    /// The recall that was aimed at; nothing if `nprobe` was given instead.
    pub recall_target: Option<f32>,
    /// The recall to be expected on average over queries like the rows; nothing where it was never measured.
    pub expected_recall: Option<f32>,
    /// How long the steps took.
    pub times: Times,
}

impl Explanation {
    pub(crate) fn new(
        shape: &Shape,
        state: &State,
        k: usize,
        options: &SearchOptions<'_>,
        counts: Counts,
        hits: Vec<Hit>,
    ) -> Result<Self> {
        let masks: Vec<Option<Mask>> = state
            .parts
            .iter()
            .map(|live| live.mask(options.allow))
            .collect::<Result<_>>()?;
        let allowed: usize = state
            .parts
            .iter()
            .zip(&masks)
            .map(|(live, mask)| mask.as_ref().map_or(live.part.rows(), |mask| mask.count))
            .sum();
        let exact_scan = counts.without_codes == allowed;
        let effort = Effort::new(shape, state, &masks, k, options)?;
        let by_estimates = shape.options.effective_bits().is_some() && !shape.options.keeps_raw();
        let capped = options.rerank_factor.or(shape.options.rerank_factor);
        let target = target(shape, options);
        let expected = match effort.extent {
            _ if exact_scan => Some(1.0),
            Extent::Nearest(_) => None,
            // Estimates are as good as the bits allow, and a cap ends the work early.
            _ if by_estimates || capped.is_some() => None,
            _ => Some(target),
        };
        Ok(Self {
            kind: shape.options.kind,
            k,
            hits,
            rows: state.rows(),
            allowed: options.allow.map(|_| allowed),
            exact_scan,
            lists: state
                .parts
                .iter()
                .filter_map(|live| live.part.lists.as_ref())
                .map(Lists::count)
                .sum(),
            lists_probed: counts.lists,
            rows_scanned: counts.scanned,
            rows_pruned: counts.pruned,
            rows_reranked: counts.compared,
            recall_target: (options.nprobe.is_none() && !by_estimates).then_some(target),
            expected_recall: expected,
            times: counts.times,
        })
    }
}
