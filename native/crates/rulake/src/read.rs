//! Reading a state: search, get, scan.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rabitq::{AllowList, Control, Hit, Index, Metric, SearchOptions};
use rayon::prelude::*;

use crate::filter::Filter;
use crate::options::{Include, SearchRequest};
use crate::state::State;
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
    fn new(state: &State, row: i64, include: Include) -> Result<Option<Self>> {
        let Some(view) = state.view(row)? else {
            return Ok(None);
        };
        let parts = view.parts(row)?;
        let owned = |part: Option<&str>, wanted: bool| {
            if wanted {
                part.map(str::to_owned)
            } else {
                None
            }
        };
        let vector = match &state.index {
            Some(index) if include.vector && parts.has_vector => index.get(row)?,
            _ => None,
        };
        Ok(Some(Self {
            id: parts.id.to_owned(),
            text: owned(parts.text, include.text),
            metadata: owned(parts.metadata, include.metadata),
            vector,
        }))
    }

    fn bytes(&self) -> usize {
        let part = |part: &Option<String>| part.as_ref().map_or(0, String::len);
        64 + self.id.len()
            + part(&self.text)
            + part(&self.metadata)
            + self.vector.as_ref().map_or(0, |v| v.len() * 4)
    }
}

impl SearchRequest {
    fn check(&self) -> Result<()> {
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

    fn options<'a>(&self, allow: Option<&'a AllowList>) -> SearchOptions<'a> {
        SearchOptions {
            allow,
            recall_target: self.recall_target,
            ..SearchOptions::default()
        }
    }
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
    if dimensions.checked_mul(queries) != Some(vectors.len()) {
        let got = vectors.len() / queries.max(1);
        return Err(rabitq::Error::DimensionMismatch {
            expected: dimensions,
            got,
        }
        .into());
    }
    let allow = match &request.filter {
        Some(filter) => state.allowed(filter, cancel)?,
        None => None,
    };
    let answer = |vector: &[f32]| {
        let Some(index) = &state.index else {
            return Ok(Vec::new());
        };
        let hits = visible_hits(state, index, vector, request, allow.as_deref(), control)?;
        let mut matches = Vec::with_capacity(hits.len());
        for hit in hits {
            let score = metric.score(hit.distance);
            if request.min_score.is_some_and(|least| score < least) {
                break;
            }
            if let Some(record) = Found::new(state, hit.id, request.include)? {
                matches.push(Match {
                    record,
                    score,
                    distance: hit.distance,
                });
            }
        }
        Ok(matches)
    };
    if queries == 1 {
        return Ok(vec![answer(vectors)?]);
    }
    vectors.par_chunks_exact(dimensions).map(answer).collect()
}

/// The best `k` rows of the state. The index may hold rows of the states before and after, so it is asked for more
/// until there are enough.
fn visible_hits(
    state: &State,
    index: &Arc<Index>,
    vector: &[f32],
    request: &SearchRequest,
    allow: Option<&AllowList>,
    control: Control<'_>,
) -> Result<Vec<Hit>> {
    let options = request.options(allow);
    let mut k = request.k.min(state.rows.len().max(1));
    loop {
        let mut hits = index.search(vector, k, &options, control)?;
        let asked = hits.len() >= k;
        let found = hits.len();
        hits.retain(|hit| state.rows.get(hit.id).is_some());
        let strangers = found - hits.len();
        if strangers == 0 || !asked || hits.len() >= request.k {
            hits.truncate(request.k);
            return Ok(hits);
        }
        k = k.saturating_add(strangers.saturating_mul(2));
    }
}

/// The records with these ids, in this order; missing ones are skipped.
pub(crate) fn get(state: &State, ids: &[String], include: Include) -> Result<Vec<Found>> {
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        if let Some(row) = state.find(id)?.1 {
            found.extend(Found::new(state, row, include)?);
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
        None => Ok(state.rows.len()),
        Some(filter) => Ok(state
            .allowed(filter, cancel)?
            .map_or(state.rows.len(), |allow| allow.ids().len())),
    }
}

/// The records of one state, in order of their last upsert.
pub struct Scan {
    state: Arc<State>,
    filter: Option<Filter>,
    include: Include,
    /// Where to go on; `None` at the end.
    next: Option<i64>,
}

impl Scan {
    pub(crate) fn new(state: Arc<State>, filter: Option<&str>, include: Include) -> Result<Self> {
        let filter = filter
            .map(|text| Filter::parse(text, &state.shared.interner))
            .transpose()?;
        Ok(Self {
            state,
            filter,
            include,
            next: Some(i64::MIN),
        })
    }

    /// Some more records: at most `rows`, and no more once they have `bytes`. None are left if it is empty.
    ///
    /// # Errors
    /// `CORRUPT_FILE` when a damaged block is read; `CANCELLED`.
    pub fn next_chunk(
        &mut self,
        rows: usize,
        bytes: usize,
        cancel: Option<&AtomicBool>,
    ) -> Result<Vec<Found>> {
        let mut chunk = Vec::new();
        let Some(start) = self.next else {
            return Ok(chunk);
        };
        let control = Control {
            cancel,
            progress: None,
        };
        let mut room = bytes;
        let mut last = None;
        for (i, (row, slot)) in self.state.rows.iter_from(start).enumerate() {
            if chunk.len() >= rows || room == 0 {
                self.next = last.map(|last: i64| last + 1);
                return Ok(chunk);
            }
            if i % 1024 == 0 {
                control.check()?;
            }
            last = Some(row);
            if let Some(filter) = &self.filter
                && !filter.matches(&self.state.view_slot(slot)?)?
            {
                continue;
            }
            if let Some(record) = Found::new(&self.state, row, self.include)? {
                room = room.saturating_sub(record.bytes());
                chunk.push(record);
            }
        }
        self.next = None;
        Ok(chunk)
    }
}
