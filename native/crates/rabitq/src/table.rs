//! Rows on their way into a part.

use crate::Result;
use crate::raw::{RawRows, Vectors};
use crate::state::State;

/// Rows as columns: ids, vectors, squared norms.
pub(crate) struct Table<'a> {
    pub ids: Vec<i64>,
    pub vectors: Vectors<'a>,
    pub norms: Vec<f32>,
}

impl Table<'_> {
    /// The live rows of a state in insertion order, then those of `more`. Vectors are shared, not copied. For kinds that
    /// keep raw vectors.
    pub(crate) fn of(state: &State, more: Option<Table<'_>>, dimensions: usize) -> Result<Self> {
        let mut table = Self {
            ids: Vec::with_capacity(state.rows()),
            vectors: Vectors::Passing(vec![].into(), dimensions),
            norms: Vec::with_capacity(state.rows()),
        };
        let mut sources = vec![];
        for live in &state.parts {
            let Some(raw) = &live.part.raw else { continue };
            let rows = live.live_rows()?;
            for &row in &rows {
                table.ids.push(live.part.ids.at(row)?);
                table.norms.push(live.part.norms.at(row)?);
            }
            sources.push((raw.clone(), rows));
        }
        if let Some(more) = more
            && let Vectors::Kept(raw) = more.vectors
        {
            sources.push((raw, (0..more.norms.len()).collect()));
            table.ids.extend(more.ids);
            table.norms.extend(more.norms);
        }
        let sources: Vec<(&RawRows, &[usize])> = sources
            .iter()
            .map(|(raw, rows)| (raw, rows.as_slice()))
            .collect();
        table.vectors = Vectors::Kept(RawRows::gather(dimensions, &sources)?);
        Ok(table)
    }
}
