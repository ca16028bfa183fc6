//! How a search is done, told beside its answer.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use rabitq::{Control, Explanation, Index};
use serde::Serialize;

use crate::Result;
use crate::options::SearchRequest;
use crate::read::check_vectors;
use crate::select::Matches;
use crate::state::{Source, State};

/// What a search looked at.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The state that was searched.
    pub snapshot: String,
    /// Records there.
    pub records: usize,
    /// Records that satisfy the filter; all without one.
    pub matching: usize,
    /// Hits asked for.
    pub k: usize,
    /// Hits found, before a least score.
    pub hits: usize,
    /// Milliseconds it took to find the records that satisfy the filter.
    pub filter_milliseconds: f64,
    /// The parts that were searched one after the other, older ones first.
    pub parts: Vec<PartPlan>,
}

/// One part of a collection: a segment, or records in memory.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PartPlan {
    /// Id of the segment, or `memory`.
    pub part: String,
    /// Records that are not deleted.
    pub records: usize,
    /// Records that are, and still take space.
    pub deleted: usize,
    /// Vectors that are not deleted.
    pub vectors: usize,
    /// Records that satisfy the filter; all without one.
    pub matching: usize,
    /// Class of the index; none if there is no vector.
    pub index: Option<&'static str>,
    /// Inverted lists of the index.
    pub lists: usize,
    /// Whether the search passed over the part.
    pub skipped: bool,
    /// What the search in the index of the part did; none if it was passed over.
    pub search: Option<PartSearch>,
}

/// A search in one index; see [`rabitq::Explanation`].
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PartSearch {
    /// Whether every record that was allowed was compared by its vector.
    pub exact_scan: bool,
    /// Lists that were looked at.
    pub lists_probed: usize,
    /// Rows whose distance was estimated.
    pub rows_scanned: usize,
    /// Those of them that their bounds ruled out.
    pub rows_pruned: usize,
    /// Rows whose vector was compared.
    pub rows_reranked: usize,
    /// The recall aimed at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recall_target: Option<f32>,
    /// The recall to be expected, where it was learned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_recall: Option<f32>,
    /// How long the search took.
    pub milliseconds: f64,
}

/// Searches, and tells what the search did.
pub(crate) fn explain(
    state: &State,
    vector: &[f32],
    request: &SearchRequest,
    cancel: Option<&AtomicBool>,
) -> Result<Plan> {
    request.check()?;
    if let Some(dimensions) = state.dimensions {
        check_vectors(dimensions, vector, 1)?;
    }
    let start = Instant::now();
    let matches = match &request.filter {
        Some(filter) => state.matching(filter, cancel)?,
        None => None,
    };
    let filtered = start.elapsed();
    let search = Search {
        vector,
        request,
        matches: matches.as_deref(),
        control: Control {
            cancel,
            progress: None,
        },
    };
    let mut told = Vec::new();
    for (i, live) in state.segments.iter().enumerate() {
        let matching = matches.as_ref().and_then(|matches| matches.segments.get(i));
        let matching = matching.map_or(live.len() as u64, |selected| {
            selected.positions.len() - selected.positions.intersection_len(&live.deleted)
        });
        told.push(search.part(
            live.segment.id.to_string(),
            (live.len(), live.deleted.len() as usize, matching as usize),
            (live.index.as_deref(), Source::Segment(i)),
        )?);
    }
    let tables = [
        (state.frozen.as_ref(), Source::Frozen),
        (Some(&state.fresh), Source::Fresh),
    ];
    for (table, source) in tables {
        if let Some(table) = table
            && table.len() > 0
        {
            let allowed = matches.as_ref().and_then(|matches| matches.allow(source));
            let matching = allowed.map_or(table.len(), |allow| allow.ids().len());
            told.push(search.part(
                "memory".into(),
                (table.len(), 0, matching),
                (table.index.as_deref(), source),
            )?);
        }
    }
    let hits: usize = told.iter().map(|(_, hits)| hits).sum();
    let parts: Vec<PartPlan> = told.into_iter().map(|(part, _)| part).collect();
    Ok(Plan {
        snapshot: state.snapshot().to_string(),
        records: state.len(),
        matching: parts.iter().map(|part| part.matching).sum(),
        k: request.k,
        hits: hits.min(request.k),
        filter_milliseconds: milliseconds(filtered),
        parts,
    })
}

/// What all parts are searched with.
struct Search<'a> {
    vector: &'a [f32],
    request: &'a SearchRequest,
    matches: Option<&'a Matches>,
    control: Control<'a>,
}

impl Search<'_> {
    /// A part and the number of its hits.
    fn part(
        &self,
        part: String,
        (records, deleted, matching): (usize, usize, usize),
        (index, source): (Option<&Index>, Source),
    ) -> Result<(PartPlan, usize)> {
        let search = match index {
            Some(index) if matching > 0 && !index.is_empty() => {
                let allow = self.matches.and_then(|matches| matches.allow(source));
                let k = self.request.k.min(index.len());
                let options = self.request.options(allow);
                Some(index.explain(self.vector, k, &options, self.control)?)
            }
            _ => None,
        };
        let plan = PartPlan {
            part,
            records,
            deleted,
            vectors: index.map_or(0, Index::len),
            matching,
            index: index.map(|index| index.options().kind.name()),
            lists: index.map_or(0, |index| index.stats().lists),
            skipped: search.is_none(),
            search: search.as_ref().map(PartSearch::from),
        };
        Ok((plan, search.map_or(0, |search| search.hits.len())))
    }
}

impl From<&Explanation> for PartSearch {
    fn from(told: &Explanation) -> Self {
        Self {
            exact_scan: told.exact_scan,
            lists_probed: told.lists_probed,
            rows_scanned: told.rows_scanned,
            rows_pruned: told.rows_pruned,
            rows_reranked: told.rows_reranked,
            recall_target: told.recall_target,
            expected_recall: told.expected_recall,
            milliseconds: milliseconds(told.times.total),
        }
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
