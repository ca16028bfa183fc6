//! Making all codes anew: on building, when an index has outgrown its center, and when rows wait outside the lists.

use crate::build::Shape;
use crate::ivf::{self, Centroids};
use crate::state::State;
use crate::table::Table;
use crate::{Control, Kind, Result};

impl Shape {
    /// A first state: center, centroids where the kind has them, codes.
    pub(crate) fn state(&self, table: Table<'_>, control: Control<'_>) -> Result<State> {
        let center = self.center(&table.vectors, &table.norms)?;
        let part = match self.options.effective_bits() {
            Some(bits) if self.options.kind == Kind::RabitqIvf && !table.ids.is_empty() => {
                ivf::build(self, &center, bits, table, control)?
            }
            _ => self.part(&center, table, control)?,
        };
        Ok(State::new(center, part))
    }

    /// The same rows in the lists of their nearest known centroids, whichever part they were in.
    pub(crate) fn regrouped(&self, state: &State, control: Control<'_>) -> Result<State> {
        let table = Table::of(state, None, self.options.dimensions)?;
        let lists = state.parts.iter().find_map(|live| live.part.lists.as_ref());
        let (Some(bits), Some(lists)) = (self.options.effective_bits(), lists) else {
            return self.state(table, control);
        };
        if table.ids.is_empty() {
            return self.state(table, control);
        }
        let centroids = Centroids {
            offsets: lists.offsets.all()?.to_vec(),
            routes: lists.routes.clone(),
        };
        let part = ivf::group(self, &state.center, bits, centroids, table, control)?;
        Ok(State::around(state.center.clone(), part))
    }
}
