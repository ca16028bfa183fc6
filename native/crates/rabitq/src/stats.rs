//! What an index holds, in numbers.

use crate::lists::Lists;
use crate::state::State;

/// Counts and sizes of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Live rows.
    pub rows: usize,
    /// Deleted rows that still take space until the next save.
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
}

impl Stats {
    pub(crate) fn of(state: &State) -> Self {
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
        }
    }
}
