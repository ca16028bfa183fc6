//! Which records of a state satisfy a filter.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, PoisonError};

use rabitq::AllowList;
use rayon::prelude::*;
use roaring::RoaringBitmap;

use crate::filter::Filter;
use crate::filter_index::Answer;
use crate::memtable::Memtable;
use crate::options::Selection;
use crate::segment::Segment;
use crate::state::{Place, Shared, Source, State};
use crate::view::RowView;
use crate::{Error, Result};

/// Records above which a filter is evaluated by several threads.
const PARALLEL_ROWS: usize = 16 * 1024;
/// Filters whose answers a state and a segment remember; retrievers tend to repeat a few.
const REMEMBERED: usize = 4;

/// The positions of a segment that satisfy a filter, deleted ones among them.
#[derive(Debug, Default)]
pub(crate) struct Selected {
    pub(crate) positions: RoaringBitmap,
    allow: OnceLock<AllowList>,
}

impl Selected {
    fn new(positions: RoaringBitmap) -> Self {
        Self {
            positions,
            allow: OnceLock::new(),
        }
    }

    /// For the index of the segment.
    fn allow(&self) -> &AllowList {
        self.allow
            .get_or_init(|| AllowList::new(self.positions.iter().map(i64::from).collect()))
    }
}

/// The records of a state that satisfy a filter.
#[derive(Debug)]
pub(crate) struct Matches {
    /// One for each segment.
    pub(crate) segments: Vec<Arc<Selected>>,
    frozen: AllowList,
    fresh: AllowList,
}

impl Matches {
    /// Those of one part, as its index takes them.
    pub(crate) fn allow(&self, source: Source) -> Option<&AllowList> {
        match source {
            Source::Segment(i) => self.segments.get(i).map(|selected| selected.allow()),
            Source::Frozen => Some(&self.frozen),
            Source::Fresh => Some(&self.fresh),
        }
    }

    /// Number of those that are not deleted.
    pub(crate) fn count(&self, state: &State) -> usize {
        let stored: u64 = state
            .segments
            .iter()
            .zip(&self.segments)
            .map(|(live, selected)| {
                selected.positions.len() - selected.positions.intersection_len(&live.deleted)
            })
            .sum();
        stored as usize + self.frozen.ids().len() + self.fresh.ids().len()
    }

    /// Those that are not deleted, in ascending order of rows.
    pub(crate) fn places(&self, state: &State) -> Vec<Place> {
        let mut places = Vec::new();
        for (i, (live, selected)) in state.segments.iter().zip(&self.segments).enumerate() {
            let left = &selected.positions - &*live.deleted;
            places.extend(
                left.iter()
                    .map(|position| Place::Stored(i, position as usize)),
            );
        }
        places.extend(self.frozen.ids().iter().map(|row| Place::Frozen(*row)));
        places.extend(self.fresh.ids().iter().map(|row| Place::Fresh(*row)));
        places
    }
}

/// Answers of the last few filters.
pub(crate) type Remembered = Few<Matches>;

/// A few values by the text of a filter.
#[derive(Debug)]
pub(crate) struct Few<T>(Vec<(Box<str>, Arc<T>)>);

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Few<T> {
    fn get(&self, text: &str) -> Option<Arc<T>> {
        let found = self.0.iter().find(|(other, _)| **other == *text);
        found.map(|(_, value)| value.clone())
    }

    fn put(&mut self, text: &str, value: Arc<T>) {
        if self.0.len() >= REMEMBERED {
            self.0.remove(0);
        }
        self.0.push((text.into(), value));
    }
}

impl State {
    /// The records that satisfy a filter; `None` if it lets all pass.
    pub(crate) fn matching(
        &self,
        text: &str,
        cancel: Option<&AtomicBool>,
    ) -> Result<Option<Arc<Matches>>> {
        let remembered = || {
            self.remembered
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if let Some(matches) = remembered().get(text) {
            return Ok(Some(matches));
        }
        let filter = Filter::parse(text, &self.shared.interner)?;
        if filter.is_trivial() {
            return Ok(None);
        }
        let mut segments = Vec::with_capacity(self.segments.len());
        for live in &self.segments {
            segments.push(live.segment.selected(text, &filter, &self.shared, cancel)?);
        }
        let empty = Memtable::default();
        let frozen = self.frozen.as_ref().unwrap_or(&empty);
        let matches = Arc::new(Matches {
            segments,
            frozen: AllowList::new(frozen.selected(&filter, &self.shared, cancel)?),
            fresh: AllowList::new(self.fresh.selected(&filter, &self.shared, cancel)?),
        });
        remembered().put(text, matches.clone());
        Ok(Some(matches))
    }
}

impl State {
    /// The rows a selection is about, ascending.
    pub(crate) fn select(&self, selection: &Selection) -> Result<Vec<i64>> {
        let rows = |places: &mut dyn Iterator<Item = Place>| {
            places
                .map(|place| self.row(place))
                .collect::<Result<Vec<_>>>()
        };
        match selection {
            Selection::All => rows(&mut self.places()),
            Selection::Filter(text) => match self.matching(text, None)? {
                Some(matches) => rows(&mut matches.places(self).into_iter()),
                None => rows(&mut self.places()),
            },
            Selection::Ids(ids) => {
                let mut found = Vec::with_capacity(ids.len());
                for id in ids {
                    found.extend(self.find(id)?.1);
                }
                let mut rows = rows(&mut found.into_iter())?;
                rows.sort_unstable();
                rows.dedup();
                Ok(rows)
            }
        }
    }
}

impl Memtable {
    /// Rows that satisfy a filter, ascending.
    fn selected(
        &self,
        filter: &Filter,
        shared: &Shared,
        cancel: Option<&AtomicBool>,
    ) -> Result<Vec<i64>> {
        in_pieces(self.len(), self.rows.chunks(), |chunk| {
            check(cancel)?;
            let mut rows = Vec::new();
            for (row, heap) in chunk.iter() {
                if filter.matches(&RowView::heap(shared, heap))? {
                    rows.push(*row);
                }
            }
            Ok(rows)
        })
    }
}

impl Segment {
    /// Positions that satisfy a filter, remembered for the next time.
    pub(crate) fn selected(
        &self,
        text: &str,
        filter: &Filter,
        shared: &Shared,
        cancel: Option<&AtomicBool>,
    ) -> Result<Arc<Selected>> {
        let remembered = || {
            self.remembered
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if let Some(selected) = remembered().get(text) {
            return Ok(selected);
        }
        let all = RoaringBitmap::from_sorted_iter(0..self.rows.len() as u32)
            .map_err(|error| Error::Internal(error.to_string()))?;
        let answer = Answer {
            segment: self,
            shared,
            cancel,
        };
        let selected = Arc::new(Selected::new(answer.filter(filter, &all)?));
        remembered().put(text, selected.clone());
        Ok(selected)
    }

    /// Those of some positions for whose records a condition holds.
    pub(crate) fn scan(
        &self,
        within: &RoaringBitmap,
        shared: &Shared,
        cancel: Option<&AtomicBool>,
        holds: impl Fn(&RowView<'_>) -> Result<bool> + Sync,
    ) -> Result<RoaringBitmap> {
        if within.is_empty() {
            return Ok(RoaringBitmap::new());
        }
        let blocks: Vec<usize> = (0..self.rows.blocks()).collect();
        let found = in_pieces(within.len() as usize, &blocks, |&block| {
            check(cancel)?;
            let range = self.rows.positions_of(block)?;
            let wanted = range.start as u32..range.end as u32;
            let mut positions = Vec::new();
            if within.range_cardinality(wanted.clone()) == 0 {
                return Ok(positions);
            }
            let block = Arc::new(self.rows.block(block)?);
            for position in within.range(wanted) {
                let view = RowView::in_block(shared, self, position as usize, &block);
                if holds(&view)? {
                    positions.push(position);
                }
            }
            Ok(positions)
        })?;
        RoaringBitmap::from_sorted_iter(found).map_err(|error| Error::Internal(error.to_string()))
    }
}

fn check(cancel: Option<&AtomicBool>) -> Result<()> {
    if cancel.is_some_and(|flag| flag.load(Ordering::Relaxed)) {
        return Err(rabitq::Error::Cancelled.into());
    }
    Ok(())
}

/// Joins what `look` finds in each piece, by several threads if there are many rows.
fn in_pieces<P: Sync, T: Send + Clone>(
    rows: usize,
    pieces: &[P],
    look: impl Fn(&P) -> Result<Vec<T>> + Sync + Send,
) -> Result<Vec<T>> {
    let found: Vec<Vec<T>> = if rows > PARALLEL_ROWS {
        pieces.par_iter().map(look).collect::<Result<_>>()?
    } else {
        pieces.iter().map(look).collect::<Result<_>>()?
    };
    Ok(found.concat())
}
