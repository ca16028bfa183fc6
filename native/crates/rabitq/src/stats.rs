//! What an index holds, in numbers.

use crate::Kind;
use crate::lists::Lists;
use crate::state::State;

/// Counts and sizes of an index.
#[derive(Clone, Debug, PartialEq)]
pub struct Stats {
    /// Live rows.
    pub rows: usize,
    /// Deleted rows that still take space, until upkeep, compaction or saving.
    pub deleted: usize,
    /// Bytes of codes and factors.
    pub code_bytes: usize,
    /// Bytes of raw vectors.
    pub raw_bytes: usize,
    /// Bytes that are mapped from a file rather than held on the heap.
    pub mapped_bytes: usize,
    /// Bytes on the heap.
    pub heap_bytes: usize,
    /// Immutable parts the rows are spread over.
    pub parts: usize,
    /// Inverted lists of the parts that have them.
    pub lists: usize,
    /// Live rows of a grouped index outside its lists: all of them are looked at by every search.
    pub ungrouped: usize,
    /// Rows of the longest list, deleted ones included, as a multiple of the mean; 0 without lists.
    pub imbalance: f64,
    /// Mean error of the codes in lists as a multiple of what it was when all were made. It grows when rows come that are
    /// far from every centroid; 1 is as built, 0 not known.
    pub drift: f64,
}

impl Stats {
    pub(crate) fn of(kind: Kind, state: &State) -> Self {
        let grouped = || {
            let mut parts = state.parts.iter().map(|live| &live.part);
            parts.find_map(|part| Some((part, part.lists.as_ref()?)))
        };
        let sum = |pick: &dyn Fn(&crate::state::Live) -> usize| state.parts.iter().map(pick).sum();
        let masks: usize = sum(&|live| live.alive.as_ref().map_or(0, |alive| alive.bytes()));
        let mapped = sum(&|live| live.part.mapped_bytes());
        let total: usize = sum(&|live| live.part.bytes());
        Self {
            rows: state.rows(),
            deleted: state.deleted(),
            code_bytes: sum(&|live| live.part.code_bytes()),
            raw_bytes: sum(&|live| live.part.raw_bytes()),
            mapped_bytes: mapped,
            heap_bytes: total - mapped + masks,
            parts: state.parts.len(),
            lists: sum(&|live| live.part.lists.as_ref().map_or(0, Lists::count)),
            ungrouped: if kind == Kind::RabitqIvf {
                state.ungrouped()
            } else {
                0
            },
            imbalance: grouped().map_or(0.0, |(_, lists)| lists.imbalance()),
            drift: match grouped().and_then(|(part, _)| part.codes.as_ref()) {
                Some(codes) if state.first_error > 0.0 => {
                    f64::from(codes.mean_error) / f64::from(state.first_error)
                }
                _ => 0.0,
            },
        }
    }
}
