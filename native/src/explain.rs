//! A search told in numbers.

use std::time::Duration;

use napi_derive::napi;
use rabitq::Explanation;

use crate::parameters::{shortest, to_number};

/// What a search did; see [`rabitq::Explanation`].
#[napi(object, object_from_js = false)]
pub struct SearchReport {
    /// Class name of the index.
    pub kind: String,
    /// Rows found.
    pub hits: f64,
    /// Live rows.
    pub rows: f64,
    /// Live rows the filter lets through.
    pub allowed_rows: Option<f64>,
    /// Whether all of them were compared by raw vector.
    pub exact_scan: bool,
    /// Inverted lists.
    pub lists: f64,
    /// Lists that were looked at.
    pub lists_probed: f64,
    /// Rows whose distance was estimated.
    pub rows_scanned: f64,
    /// Those of them that their bounds ruled out.
    pub rows_pruned: f64,
    /// Rows whose raw vector was compared.
    pub rows_reranked: f64,
    /// The recall aimed at.
    pub recall_target: Option<f64>,
    /// The recall to be expected.
    pub expected_recall: Option<f64>,
    /// How long the steps took.
    pub milliseconds: StageTimes,
}

/// Milliseconds of each step; see [`rabitq::Times`].
#[napi(object, object_from_js = false)]
pub struct StageTimes {
    /// Finding the rows of the filter.
    pub filter: f64,
    /// Rotating the query and making its tables.
    pub prepare: f64,
    /// Ranking lists.
    pub route: f64,
    /// Estimates and bounds.
    pub scan: f64,
    /// Comparing raw vectors.
    pub rerank: f64,
    /// The whole search.
    pub total: f64,
}

impl From<Explanation> for SearchReport {
    fn from(told: Explanation) -> Self {
        let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
        let times = told.times;
        Self {
            kind: told.kind.name().to_owned(),
            hits: to_number(told.hits.len()),
            rows: to_number(told.rows),
            allowed_rows: told.allowed.map(to_number),
            exact_scan: told.exact_scan,
            lists: to_number(told.lists),
            lists_probed: to_number(told.lists_probed),
            rows_scanned: to_number(told.rows_scanned),
            rows_pruned: to_number(told.rows_pruned),
            rows_reranked: to_number(told.rows_reranked),
            recall_target: told.recall_target.map(shortest),
            expected_recall: told.expected_recall.map(shortest),
            milliseconds: StageTimes {
                filter: milliseconds(times.filter),
                prepare: milliseconds(times.prepare),
                route: milliseconds(times.route),
                scan: milliseconds(times.scan),
                rerank: milliseconds(times.rerank),
                total: milliseconds(times.total),
            },
        }
    }
}
