//! One state of a collection: what a reader sees from its first call to its last.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rabitq::{AllowList, Index};
use rayon::prelude::*;

use crate::filter::{Filter, View};
use crate::ids::IdMap;
use crate::json::parse_object;
use crate::rows::{RowParts, RowsFile};
use crate::table::{RowTable, Slot};
use crate::value::{Interner, Object};
use crate::{Error, Result};

/// Rows above which a filter is evaluated by several threads.
const PARALLEL_ROWS: usize = 16 * 1024;
/// Filters whose matches a state remembers; retrievers tend to repeat a few.
const REMEMBERED_FILTERS: usize = 4;

/// What all states of a collection have in common.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) interner: Interner,
    hasher: RandomState,
}

/// An immutable state. Cloning it is cheap and the way to the next one.
pub(crate) struct State {
    pub(crate) shared: Arc<Shared>,
    pub(crate) rows: RowTable,
    pub(crate) ids: IdMap,
    /// What the stored slots of `rows` point into.
    pub(crate) stored: Option<Arc<RowsFile>>,
    /// Holds at least the vectors of `rows`; those of other rows are left overs or not yet visible, and skipped.
    pub(crate) index: Option<Arc<Index>>,
    pub(crate) dimensions: Option<usize>,
    /// Rows with a vector.
    pub(crate) vectors: usize,
    /// Sequence of the newest change.
    pub(crate) sequence: u64,
    /// Above all rows there ever were.
    pub(crate) next_row: i64,
    matches: Mutex<Vec<(Box<str>, Arc<AllowList>)>>,
}

impl Clone for State {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
            rows: self.rows.clone(),
            ids: self.ids.clone(),
            stored: self.stored.clone(),
            index: self.index.clone(),
            dimensions: self.dimensions,
            vectors: self.vectors,
            sequence: self.sequence,
            next_row: self.next_row,
            // They are those of the original's rows.
            matches: Mutex::default(),
        }
    }
}

impl State {
    /// A collection nothing was ever put into.
    pub(crate) fn empty(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            rows: RowTable::default(),
            ids: IdMap::default(),
            stored: None,
            index: None,
            dimensions: None,
            vectors: 0,
            sequence: 0,
            next_row: 1,
            matches: Mutex::default(),
        }
    }

    pub(crate) fn hash(&self, id: &str) -> u64 {
        self.shared.hasher.hash_one(id)
    }

    /// The row of an id, and the id's hash.
    pub(crate) fn find(&self, id: &str) -> Result<(u64, Option<i64>)> {
        let hash = self.hash(id);
        let row = self.ids.find(hash, |row| {
            Ok(self
                .view(row)?
                .is_some_and(|view| view.id().is_ok_and(|other| other == id)))
        })?;
        Ok((hash, row))
    }

    /// A row's content, if the row is part of this state.
    pub(crate) fn view(&self, row: i64) -> Result<Option<RowView<'_>>> {
        self.rows
            .get(row)
            .map(|slot| self.view_slot(slot))
            .transpose()
    }

    pub(crate) fn view_slot<'a>(&'a self, slot: &'a Slot) -> Result<RowView<'a>> {
        Ok(match slot {
            Slot::Heap(row) => RowView {
                shared: &self.shared,
                place: Place::Heap(row),
            },
            Slot::Stored(position) => {
                let file = self
                    .stored
                    .as_deref()
                    .ok_or_else(|| Error::Internal("a stored row without its file".into()))?;
                RowView {
                    shared: &self.shared,
                    place: Place::Stored(file, *position as usize),
                }
            }
        })
    }

    /// The rows that satisfy a filter, ascending.
    pub(crate) fn matching(
        &self,
        filter: &Filter,
        cancel: Option<&AtomicBool>,
    ) -> Result<Vec<i64>> {
        let in_chunk = |chunk: &Arc<Vec<(i64, Slot)>>| {
            if cancel.is_some_and(|flag| flag.load(Ordering::Relaxed)) {
                return Err(rabitq::Error::Cancelled.into());
            }
            let mut rows = Vec::new();
            for (row, slot) in chunk.iter() {
                if filter.matches(&self.view_slot(slot)?)? {
                    rows.push(*row);
                }
            }
            Ok(rows)
        };
        let chunks = self.rows.chunks();
        let found: Vec<Vec<i64>> = if self.rows.len() > PARALLEL_ROWS {
            chunks.par_iter().map(in_chunk).collect::<Result<_>>()?
        } else {
            chunks.iter().map(in_chunk).collect::<Result<_>>()?
        };
        Ok(found.concat())
    }

    /// The rows that satisfy a filter, remembered for the next search with the same text.
    pub(crate) fn allowed(
        &self,
        filter: &str,
        cancel: Option<&AtomicBool>,
    ) -> Result<Option<Arc<AllowList>>> {
        let remembered = || self.matches.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, allow)) = remembered().iter().find(|(text, _)| **text == *filter) {
            return Ok(Some(allow.clone()));
        }
        let parsed = Filter::parse(filter, &self.shared.interner)?;
        if parsed.is_trivial() {
            return Ok(None);
        }
        let allow = Arc::new(AllowList::new(self.matching(&parsed, cancel)?));
        let mut matches = remembered();
        if matches.len() >= REMEMBERED_FILTERS {
            matches.remove(0);
        }
        matches.push((filter.into(), allow.clone()));
        Ok(Some(allow))
    }
}

enum Place<'a> {
    Heap(&'a crate::table::HeapRow),
    Stored(&'a RowsFile, usize),
}

/// The content of a row.
pub(crate) struct RowView<'a> {
    shared: &'a Shared,
    place: Place<'a>,
}

impl<'a> RowView<'a> {
    pub(crate) fn parts(&self, row: i64) -> Result<RowParts<'a>> {
        Ok(match self.place {
            Place::Heap(heap) => RowParts {
                row,
                id: &heap.record.id,
                text: heap.record.text.as_deref(),
                metadata: heap.record.metadata.as_deref(),
                has_vector: heap.record.has_vector,
            },
            Place::Stored(file, at) => RowParts {
                row,
                id: file.id(at)?,
                text: file.text(at)?,
                metadata: file.metadata(at)?,
                has_vector: file.has_vector(at)?,
            },
        })
    }

    pub(crate) fn has_vector(&self) -> Result<bool> {
        match self.place {
            Place::Heap(heap) => Ok(heap.record.has_vector),
            Place::Stored(file, at) => file.has_vector(at),
        }
    }
}

impl View for RowView<'_> {
    fn id(&self) -> Result<&str> {
        match self.place {
            Place::Heap(heap) => Ok(&heap.record.id),
            Place::Stored(file, at) => file.id(at),
        }
    }

    fn text(&self) -> Result<Option<&str>> {
        match self.place {
            Place::Heap(heap) => Ok(heap.record.text.as_deref()),
            Place::Stored(file, at) => file.text(at),
        }
    }

    fn metadata(&self) -> Result<Option<&Object>> {
        match self.place {
            Place::Heap(heap) => {
                if let Some(object) = heap.parsed.get() {
                    return Ok(object.as_deref());
                }
                let object = match &heap.record.metadata {
                    Some(text) => {
                        // It was checked when it was accepted.
                        let parsed = parse_object(text, &self.shared.interner);
                        Some(Box::new(
                            parsed.map_err(|error| Error::Internal(error.reason.into()))?,
                        ))
                    }
                    None => None,
                };
                Ok(heap.parsed.get_or_init(|| object).as_deref())
            }
            Place::Stored(file, at) => file.object(at, &self.shared.interner),
        }
    }
}
