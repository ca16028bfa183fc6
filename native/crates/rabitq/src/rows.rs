//! Walking over all rows of an index.

use std::sync::Arc;

use crate::Result;
use crate::index::raw_row;
use crate::state::State;

/// A consistent view of the rows of an index at one moment, in insertion order. Later changes do not show.
pub struct Rows {
    state: Arc<State>,
    dimensions: usize,
    part: usize,
    row: usize,
}

impl Rows {
    pub(crate) fn new(state: Arc<State>, dimensions: usize) -> Self {
        Self {
            state,
            dimensions,
            part: 0,
            row: 0,
        }
    }
}

impl Iterator for Rows {
    type Item = Result<(i64, Vec<f32>)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let live = self.state.parts.get(self.part)?;
            if self.row >= live.part.rows() {
                (self.part, self.row) = (self.part + 1, 0);
                continue;
            }
            let row = self.row;
            self.row += 1;
            if live.is_live(row) {
                let id = live.part.ids.at(row);
                return Some(id.and_then(|id| Ok((id, raw_row(live, row, self.dimensions)?))));
            }
        }
    }
}
