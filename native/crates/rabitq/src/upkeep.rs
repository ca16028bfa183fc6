//! Work that keeps an index fast while rows come and go. Searches and changes go on meanwhile.

use std::sync::{Arc, PoisonError};

use mapping::Watch;

use crate::state::State;
use crate::table::Table;
use crate::{Control, Index, Kind, Result};

/// Rows outside the lists, or deleted ones in them, that are not worth a round.
const FEW: usize = 1024;

/// Share of all rows, as a divisor, from which rows outside the lists are worth a round.
const OUTSIDE_SHARE: usize = 50;

/// The same for deleted rows in the lists, which cost a search their scan and little else.
const DELETED_SHARE: usize = 5;

impl Index {
    /// Whether [`Index::maintain`] has something to do. Cheap enough to ask after every change.
    pub fn needs_upkeep(&self) -> bool {
        if self.options().kind != Kind::RabitqIvf {
            return false;
        }
        let state = self.snapshot();
        let grouped = state.parts.iter().find(|live| live.part.lists.is_some());
        let deleted = grouped.map_or(0, |live| live.part.rows() - live.rows);
        state.held == 0
            && (state.ungrouped() > FEW.max(state.rows() / OUTSIDE_SHARE)
                || deleted > FEW.max((deleted + state.rows()) / DELETED_SHARE))
    }

    /// One round of upkeep of a grouped index, if one is due: rows outside the lists join them, deleted rows go, lists are
    /// split and dissolved. Returns whether anything changed.
    ///
    /// Meant for a thread in the background. Searches and changes wait for it no longer than for each other; what changes
    /// during a round is carried over at its end. A `progress` listener that sleeps is a rate cap: it is called from the
    /// threads that do the work.
    ///
    /// # Errors
    /// `CANCELLED`; `CORRUPT_FILE` if a mapped block turns out damaged. The index is as before then.
    pub fn maintain(&self, control: Control<'_>) -> Result<bool> {
        let Ok(_turn) = self.upkeep.try_lock() else {
            return Ok(false);
        };
        if !self.needs_upkeep() {
            return Ok(false);
        }
        self.rework(|state| self.shape.regrouped(state, control), control)
    }

    /// Makes the index what building it from its rows would make it: center, lists and codes anew, nothing deleted. The
    /// same rows in the same order give the same file afterwards, whatever happened before. Kinds that keep no raw vectors
    /// keep their codes and lose their deleted rows.
    ///
    /// Takes as long as a build; searches and changes go on meanwhile. Not to be called on a thread of a rayon pool that
    /// other calls share: it waits for its turn.
    ///
    /// # Errors
    /// `CANCELLED`; `CORRUPT_FILE` if a mapped block turns out damaged. The index is as before then.
    pub fn compact(&self, control: Control<'_>) -> Result<()> {
        let _turn = self.upkeep.lock().unwrap_or_else(PoisonError::into_inner);
        while !self.rework(|state| self.shape.compacted(state, control), control)? {
            control.check()?;
        }
        Ok(())
    }

    /// Puts what `make` makes of the current rows in their place, with the changes since then. `false` if all rows were
    /// replaced meanwhile.
    fn rework(
        &self,
        make: impl FnOnce(&State) -> Result<State>,
        control: Control<'_>,
    ) -> Result<bool> {
        let _hold = Hold(self);
        let watch = Watch::begin();
        let held = self.replace(watch, |current| {
            let held = current.holding(current.parts.len());
            Ok(Some((held.clone(), held)))
        })?;
        let Some(mut seen) = held else {
            return Ok(false);
        };
        let mut next = make(&seen)?;
        loop {
            let step = self.replace(watch, |current| {
                let Some(dead) = current.died_since(&seen)? else {
                    return Ok(None);
                };
                let (mut kept, _) = next.without(&dead)?;
                let tail = &current.parts[seen.parts.len()..];
                if tail.is_empty() || Arc::ptr_eq(&next.center, &current.center) {
                    kept.parts.extend_from_slice(tail);
                    return Ok(Some((kept, Step::Done)));
                }
                // Their codes belong to the center that was: made anew, but not under this lock.
                let held = current.holding(current.parts.len());
                Ok(Some((held.clone(), Step::Encode { kept, held })))
            })?;
            match step {
                None => return Ok(false),
                Some(Step::Done) => return Ok(true),
                Some(Step::Encode { kept, held }) => {
                    let late = State {
                        parts: held.parts[seen.parts.len()..].to_vec(),
                        ..held.clone()
                    };
                    let table = Table::of(&late, None, self.options().dimensions)?;
                    next = kept.with(self.shape.part(&next.center, table, control)?)?;
                    seen = held;
                }
            }
        }
    }
}

/// What is left to do when a round is to be published.
enum Step {
    Done,
    /// Rows were added that need other codes.
    Encode {
        kept: State,
        held: State,
    },
}

/// Lets go of held parts, however a round ends.
struct Hold<'a>(&'a Index);

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        let released = self.0.replace(Watch::begin(), |current| {
            let mut released = current.holding(0);
            released.parts.retain(|live| live.rows > 0);
            Ok((current.held > 0).then_some((released, ())))
        });
        drop(released);
    }
}
