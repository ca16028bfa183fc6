//! How a search would be done.

use std::sync::atomic::AtomicBool;

use serde::Serialize;

use crate::Result;
use crate::state::{Source, State};

/// What a search looks at.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The state that is searched.
    pub snapshot: String,
    /// Records there.
    pub records: usize,
    /// Records that satisfy the filter; all without one.
    pub matching: usize,
    /// The parts that are searched one after the other, older ones first.
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
    /// Whether the search passes over the part.
    pub skipped: bool,
}

/// What a search with a filter looks at.
pub(crate) fn explain(
    state: &State,
    filter: Option<&str>,
    cancel: Option<&AtomicBool>,
) -> Result<Plan> {
    let matches = match filter {
        Some(filter) => state.matching(filter, cancel)?,
        None => None,
    };
    let mut parts = Vec::new();
    for (i, live) in state.segments.iter().enumerate() {
        let matching = matches.as_ref().and_then(|matches| matches.segments.get(i));
        let matching = matching.map_or(live.len() as u64, |selected| {
            selected.positions.len() - selected.positions.intersection_len(&live.deleted)
        });
        parts.push(part(
            live.segment.id.to_string(),
            (live.len(), live.deleted.len() as usize, matching as usize),
            live.index.as_deref(),
        ));
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
            parts.push(part(
                "memory".into(),
                (table.len(), 0, matching),
                table.index.as_deref(),
            ));
        }
    }
    Ok(Plan {
        snapshot: state.snapshot().to_string(),
        records: state.len(),
        matching: parts.iter().map(|part| part.matching).sum(),
        parts,
    })
}

fn part(
    part: String,
    (records, deleted, matching): (usize, usize, usize),
    index: Option<&rabitq::Index>,
) -> PartPlan {
    PartPlan {
        part,
        records,
        deleted,
        vectors: index.map_or(0, rabitq::Index::len),
        matching,
        index: index.map(|index| index.options().kind.name()),
        lists: index.map_or(0, |index| index.stats().lists),
        skipped: matching == 0 || index.is_none_or(rabitq::Index::is_empty),
    }
}
