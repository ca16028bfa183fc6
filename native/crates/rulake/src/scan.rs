//! Walking over the records of a state.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rabitq::Control;

use crate::Result;
use crate::filter::View;
use crate::options::Include;
use crate::read::Found;
use crate::segment::Block;
use crate::select::Matches;
use crate::state::{Place, Source, State};
use crate::view::RowView;

/// The records of one state, in order of their last upsert.
pub struct Scan {
    state: Arc<State>,
    matches: Option<Arc<Matches>>,
    include: Include,
    /// The part, and the position or row in it, to go on from; `None` at the end.
    next: Option<(Source, i64)>,
    /// The block of a segment that the last record was in.
    block: Option<(usize, Arc<Block>)>,
}

impl Scan {
    pub(crate) fn new(
        state: Arc<State>,
        filter: Option<&str>,
        include: Include,
        cancel: Option<&AtomicBool>,
    ) -> Result<Self> {
        let matches = match filter {
            Some(filter) => state.matching(filter, cancel)?,
            None => None,
        };
        let next = Some((first(&state), i64::MIN));
        Ok(Self {
            state,
            matches,
            include,
            next,
            block: None,
        })
    }

    pub(crate) fn include(&self) -> Include {
        self.include
    }

    pub(crate) fn dimensions(&self) -> Option<usize> {
        self.state.dimensions
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
        let control = Control {
            cancel,
            progress: None,
        };
        let mut chunk = Vec::new();
        let mut room = bytes;
        while let Some((source, from)) = self.next {
            if chunk.len() >= rows || room == 0 {
                break;
            }
            control.check()?;
            let ids = self.ids(source, from, rows - chunk.len());
            let Some(&last) = ids.last() else {
                self.next = next(&self.state, source).map(|source| (source, i64::MIN));
                continue;
            };
            self.next = Some((source, last + 1));
            for (i, id) in ids.into_iter().enumerate() {
                if i % 256 == 0 {
                    control.check()?;
                }
                if room == 0 {
                    self.next = Some((source, id));
                    break;
                }
                let found = self.found(source.place(id))?;
                room = room.saturating_sub(found.bytes());
                chunk.push(found);
            }
        }
        Ok(chunk)
    }

    fn found(&mut self, place: Place) -> Result<Found> {
        let (state, include) = (&self.state, self.include);
        let Place::Stored(i, position) = place else {
            return Found::new(state, place, include);
        };
        if !include.text && !include.metadata {
            return Found::new(state, place, include);
        }
        let segment = &state.live(i)?.segment;
        let block = match self.block.take() {
            Some((of, block)) if of == i && block.positions().contains(&position) => block,
            _ => segment.passing_block(position, &state.shared.cache)?,
        };
        let view = RowView::in_block(&state.shared, segment, position, &block);
        let found = Found::of_view(state, place, &view, view.id()?, include);
        self.block = Some((i, block));
        found
    }

    /// The next ids of a part, at most `count`.
    fn ids(&self, source: Source, from: i64, count: usize) -> Vec<i64> {
        let allowed = self.matches.as_ref().map(|matches| matches.allow(source));
        match (source, allowed) {
            (Source::Segment(i), None) => {
                let from = usize::try_from(from).unwrap_or(0);
                let live = self.state.segments.get(i);
                let positions = live.into_iter().flat_map(|live| live.positions(from));
                positions.take(count).map(|at| at as i64).collect()
            }
            (Source::Segment(i), Some(_)) => {
                let selected = self.matches.as_ref().and_then(|m| m.segments.get(i));
                let (Some(live), Some(selected)) = (self.state.segments.get(i), selected) else {
                    return Vec::new();
                };
                let from = u32::try_from(from.max(0)).unwrap_or(u32::MAX);
                let positions = selected.positions.range(from..);
                let left = positions.filter(|position| !live.deleted.contains(*position));
                left.take(count).map(i64::from).collect()
            }
            (_, Some(allowed)) => {
                let ids = allowed.map_or(&[][..], |allow| allow.ids());
                let start = ids.partition_point(|id| *id < from);
                let ids = ids.get(start..).unwrap_or_default();
                ids.iter().take(count).copied().collect()
            }
            (source, None) => {
                let table = match source {
                    Source::Frozen => self.state.frozen.as_ref(),
                    _ => Some(&self.state.fresh),
                };
                let rows = table
                    .into_iter()
                    .flat_map(|table| table.rows.iter_from(from));
                rows.take(count).map(|(row, _)| row).collect()
            }
        }
    }
}

fn first(state: &State) -> Source {
    if state.segments.is_empty() {
        Source::Frozen
    } else {
        Source::Segment(0)
    }
}

fn next(state: &State, source: Source) -> Option<Source> {
    match source {
        Source::Segment(i) if i + 1 < state.segments.len() => Some(Source::Segment(i + 1)),
        Source::Segment(_) => Some(Source::Frozen),
        Source::Frozen => Some(Source::Fresh),
        Source::Fresh => None,
    }
}

impl State {
    /// All places, in ascending order of rows.
    pub(crate) fn places(&self) -> impl Iterator<Item = Place> {
        let stored = self.segments.iter().enumerate().flat_map(|(i, live)| {
            live.positions(0)
                .map(move |position| Place::Stored(i, position))
        });
        let frozen = self.frozen.iter().flat_map(|table| table.rows.iter());
        let fresh = self.fresh.rows.iter();
        stored
            .chain(frozen.map(|(row, _)| Place::Frozen(row)))
            .chain(fresh.map(|(row, _)| Place::Fresh(row)))
    }
}
