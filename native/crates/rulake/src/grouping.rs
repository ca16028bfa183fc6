//! Lists for the vectors of a collection in memory, which has no segments that would have them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use rabitq::{Index, Kind};

use crate::Result;
use crate::draft::rebuilt;
use crate::engine::Engine;
use crate::writer::Writer;

impl Engine {
    /// Whether there are so many vectors that they should be in lists, and twice or half as many as when they were last.
    pub(crate) fn is_grouping_due(&self) -> bool {
        let vectors = self.peek(|state| state.fresh.vectors());
        let wanted = self.settings().index.kind_of_segment(vectors);
        let grouped = self.grouped().load(Ordering::Relaxed);
        wanted == Kind::RabitqIvf && !(grouped / 2 + 1..2 * grouped).contains(&vectors)
    }
}

/// Builds lists from all vectors if they are many, beside whatever is written meanwhile.
///
/// # Errors
/// `CANCELLED` when the collection closes; `CLOSED`.
pub(crate) fn run(engine: &Arc<Engine>) -> Result<()> {
    let _one = engine.compaction();
    let state = engine.state();
    let (settings, vectors) = (engine.settings(), state.fresh.vectors());
    let kind = settings.index.kind_of_segment(vectors);
    let Some(index) = state
        .fresh
        .index
        .as_deref()
        .filter(|_| kind == Kind::RabitqIvf)
    else {
        return Ok(());
    };
    let options = settings.build_options(kind, index.options().dimensions);
    let grouped = rebuilt(index, &state.fresh, &options, engine.background_control())?;
    let next_row = state.next_row;
    // Else it would be freed on the writer's thread, if others came since.
    drop(state);
    engine.on_writer(move |writer| writer.replace_index(grouped, next_row))??;
    engine.grouped().store(vectors, Ordering::Relaxed);
    Ok(())
}

impl Writer {
    /// Puts an index of all vectors below a row in the place of the one in memory.
    fn replace_index(&mut self, index: Index, next_row: i64) -> Result<()> {
        let mut next = (*self.engine().state()).clone();
        let Some(before) = next.fresh.index.take() else {
            return Ok(());
        };
        let mut gone = index.ids()?;
        gone.retain(|row| next.fresh.rows.get(*row).is_none());
        index.delete(&gone)?;
        let (mut rows, mut vectors) = (Vec::new(), Vec::new());
        for (row, _) in next.fresh.rows.iter_from(next_row) {
            if let Some(vector) = before.get(row)? {
                rows.push(row);
                vectors.extend_from_slice(&vector);
            }
        }
        index.add(&rows, &vectors, rabitq::Control::default())?;
        next.fresh.index = Some(Arc::new(index));
        self.engine().publish(next);
        Ok(())
    }
}
