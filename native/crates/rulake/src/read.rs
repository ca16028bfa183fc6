//! Reading a state: search, get, count.

use std::cmp::Ordering;
use std::sync::atomic::AtomicBool;

use rabitq::{AllowList, Control, Metric, SearchOptions};
use rayon::prelude::*;

use crate::filter::View;
use crate::options::{Include, SearchRequest};
use crate::select::Matches;
use crate::state::{Place, State};
use crate::view::RowView;
use crate::{Error, Result};

/// A record as a reader gets it. Parts that were not asked for, or that it does not have, are absent.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The id.
    pub id: String,
    /// The text.
    pub text: Option<String>,
    /// The metadata, byte by byte as it came.
    pub metadata: Option<String>,
    /// The vector, as it was given.
    pub vector: Option<Vec<f32>>,
}

/// An answer of a search.
#[derive(Clone, Debug, PartialEq)]
pub struct Match {
    /// The record.
    pub record: Found,
    /// Similarity, higher is better; see [`rabitq::Metric::score`].
    pub score: f64,
    /// As in [`rabitq::Hit`].
    pub distance: f64,
}

impl Found {
    /// What a reader asks for of a record.
    pub(crate) fn new(state: &State, place: Place, include: Include) -> Result<Self> {
        let view = state.view(place)?;
        Self::of_view(state, place, &view, view.id()?, include)
    }

    /// Likewise, where the view of the record and its id are at hand.
    pub(crate) fn of_view(
        state: &State,
        place: Place,
        view: &RowView<'_>,
        id: &str,
        include: Include,
    ) -> Result<Self> {
        let text = if include.text { view.text()? } else { None };
        let metadata = if include.metadata {
            view.metadata_json()?
        } else {
            None
        };
        Ok(Self {
            id: id.to_owned(),
            text: text.map(str::to_owned),
            metadata: metadata.map(str::to_owned),
            vector: if include.vector {
                state.vector(place)?
            } else {
                None
            },
        })
    }

    pub(crate) fn bytes(&self) -> usize {
        let part = |part: &Option<String>| part.as_ref().map_or(0, String::len);
        64 + self.id.len()
            + part(&self.text)
            + part(&self.metadata)
            + self.vector.as_ref().map_or(0, |v| v.len() * 4)
    }
}

impl SearchRequest {
    pub(crate) fn check(&self) -> Result<()> {
        if self.k == 0 {
            return Err(rabitq::Error::InvalidK { got: 0 }.into());
        }
        if self.min_score.is_some_and(f64::is_nan) {
            return Err(Error::InvalidOption {
                option: "minScore",
                reason: "must be a number, got NaN".into(),
            });
        }
        self.options(None).validate()?;
        Ok(())
    }

    pub(crate) fn options<'a>(&self, allow: Option<&'a AllowList>) -> SearchOptions<'a> {
        SearchOptions {
            allow,
            recall_target: self.recall_target,
            ..SearchOptions::default()
        }
    }
}

/// # Errors
/// `DIMENSION_MISMATCH`.
pub(crate) fn check_vectors(dimensions: usize, vectors: &[f32], queries: usize) -> Result<()> {
    if dimensions.checked_mul(queries) == Some(vectors.len()) {
        return Ok(());
    }
    let got = vectors.len() / queries.max(1);
    Err(rabitq::Error::DimensionMismatch {
        expected: dimensions,
        got,
    }
    .into())
}

/// Searches for each of several vectors in a row-major matrix.
pub(crate) fn search(
    state: &State,
    metric: Metric,
    vectors: &[f32],
    queries: usize,
    request: &SearchRequest,
    cancel: Option<&AtomicBool>,
) -> Result<Vec<Vec<Match>>> {
    request.check()?;
    let control = Control {
        cancel,
        progress: None,
    };
    let Some(dimensions) = state.dimensions else {
        return Ok(vec![Vec::new(); queries]);
    };
    check_vectors(dimensions, vectors, queries)?;
    let matches = match &request.filter {
        Some(filter) => state.matching(filter, cancel)?,
        None => None,
    };
    let answer = |vector: &[f32]| {
        let hits = nearest(state, vector, request, matches.as_deref(), control)?;
        let ids = state.ids(hits.iter().map(|(place, _)| *place))?;
        let mut found = Vec::with_capacity(hits.len());
        for ((place, distance), id) in hits.into_iter().zip(ids) {
            let score = metric.score(distance);
            if request.min_score.is_some_and(|least| score < least) {
                break;
            }
            found.push(Match {
                record: Found::of_view(state, place, &state.view(place)?, id, request.include)?,
                score,
                distance,
            });
        }
        Ok(found)
    };
    if queries == 1 {
        return Ok(vec![answer(vectors)?]);
    }
    vectors.par_chunks_exact(dimensions).map(answer).collect()
}

/// The best `k` of all parts; of equally near ones, those of lower rows.
fn nearest(
    state: &State,
    vector: &[f32],
    request: &SearchRequest,
    matches: Option<&Matches>,
    control: Control<'_>,
) -> Result<Vec<(Place, f64)>> {
    let mut found = Vec::new();
    let indexes = state.indexes();
    for (index, source) in &indexes {
        let allow = matches.and_then(|matches| matches.allow(*source));
        if allow.is_some_and(|allow| allow.ids().is_empty()) {
            continue;
        }
        let hits = index.search(
            vector,
            request.k.min(index.len().max(1)),
            &request.options(allow),
            control,
        )?;
        let hits = hits.into_iter();
        found.extend(hits.map(|hit| (source.place(hit.id), hit.distance)));
    }
    if indexes.len() > 1 {
        // Stable: parts and their answers come in order of rows.
        found.sort_by(|a, b| a.1.partial_cmp(&b.1).unwrap_or(Ordering::Equal));
        found.truncate(request.k);
    }
    Ok(found)
}

/// The records with these ids, in this order; missing ones are skipped.
pub(crate) fn get(state: &State, ids: &[String], include: Include) -> Result<Vec<Found>> {
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        if let Some(place) = state.find(id)?.1 {
            found.push(Found::new(state, place, include)?);
        }
    }
    Ok(found)
}

/// Number of records that satisfy a filter.
pub(crate) fn count(
    state: &State,
    filter: Option<&str>,
    cancel: Option<&AtomicBool>,
) -> Result<usize> {
    match filter {
        None => Ok(state.len()),
        Some(filter) => Ok(state
            .matching(filter, cancel)?
            .map_or(state.len(), |matches| matches.count(state))),
    }
}
