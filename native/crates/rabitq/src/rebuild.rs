//! Making all codes anew: on building, on compacting, and when an index has outgrown its center.

use crate::build::Shape;
use crate::ivf;
use crate::learn::learn;
use crate::part::Part;
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
            _ => {
                let mut part = self.part(&center, table, control)?;
                part.curves = learn(self, &center, &part, control)?.into();
                part
            }
        };
        Ok(State::new(center, part))
    }

    /// The live rows of a state as if they had just come. Kinds that keep no raw vectors keep their codes.
    pub(crate) fn compacted(&self, state: &State, control: Control<'_>) -> Result<State> {
        if self.options.keeps_raw() {
            return self.state(Table::of(state, None, self.options.dimensions)?, control);
        }
        let sources = state.parts.iter();
        let sources: Vec<(&Part, Vec<usize>)> = sources
            .map(|live| Ok((&*live.part, live.live_rows()?)))
            .collect::<Result<_>>()?;
        Ok(state.with_only(Part::gather(&sources)?))
    }
}
