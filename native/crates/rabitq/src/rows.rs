//! Walking over all rows of an index.

use std::sync::Arc;

use crate::Result;
use crate::state::State;

/// A consistent view of the rows of an index at one moment, in insertion order. Later changes do not show.
pub struct Rows {
    state: Arc<State>,
    /// The part being walked over, and its live rows still to come, last first.
    part: usize,
    pending: Option<Vec<usize>>,
}

impl Rows {
    pub(crate) fn new(state: Arc<State>) -> Self {
        Self {
            state,
            part: 0,
            pending: None,
        }
    }
}

impl Iterator for Rows {
    type Item = Result<(i64, Vec<f32>)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let live = self.state.parts.get(self.part)?;
            let rows = match &mut self.pending {
                Some(rows) => rows,
                None => match live.live_rows() {
                    Ok(mut rows) => {
                        rows.reverse();
                        self.pending.insert(rows)
                    }
                    Err(error) => {
                        self.part = self.state.parts.len();
                        return Some(Err(error));
                    }
                },
            };
            if let Some(row) = rows.pop() {
                let id = live.part.ids.at(row);
                return Some(id.and_then(|id| Ok((id, live.part.vector(row)?))));
            }
            self.pending = None;
            self.part += 1;
        }
    }
}
