//! Rows on their way into a part.

use std::borrow::Cow;

use crate::Result;
use crate::state::State;

/// Rows as columns: ids, vectors row after row, squared norms.
#[derive(Default)]
pub(crate) struct Table<'a> {
    pub ids: Vec<i64>,
    pub vectors: Cow<'a, [f32]>,
    pub norms: Vec<f32>,
}

impl Table<'_> {
    /// The live rows of a state in insertion order. Empty for kinds that keep no raw vectors.
    pub(crate) fn of(state: &State, dimensions: usize) -> Result<Self> {
        let mut table = Self::default();
        for live in &state.parts {
            let Some(raw) = &live.part.raw else { continue };
            for row in live.live_rows()? {
                table.push(
                    live.part.ids.at(row)?,
                    raw.get(row * dimensions..(row + 1) * dimensions)?,
                    live.part.norms.at(row)?,
                );
            }
        }
        Ok(table)
    }

    fn push(&mut self, id: i64, vector: &[f32], norm: f32) {
        self.ids.push(id);
        self.vectors.to_mut().extend_from_slice(vector);
        self.norms.push(norm);
    }

    pub(crate) fn extend(&mut self, ids: &[i64], vectors: &[f32], norms: &[f32]) {
        self.ids.extend_from_slice(ids);
        self.vectors.to_mut().extend_from_slice(vectors);
        self.norms.extend_from_slice(norms);
    }
}
