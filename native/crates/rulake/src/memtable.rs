//! The newest records of a collection: those that are in the log and in no segment yet.

use std::sync::{Arc, OnceLock};

use rabitq::{Control, Index};

use crate::Result;
use crate::ids::IdMap;
use crate::record::Record;
use crate::state::Shared;
use crate::table::RowTable;
use crate::value::Object;

/// A record in memory.
#[derive(Debug)]
pub(crate) struct HeapRow {
    pub(crate) record: Record,
    /// The metadata, once a filter has looked at it.
    pub(crate) parsed: OnceLock<Option<Box<Object>>>,
}

impl From<Record> for HeapRow {
    fn from(record: Record) -> Self {
        Self {
            record,
            parsed: OnceLock::new(),
        }
    }
}

/// Records by row and by id. Cloning is cheap; changing a clone leaves the original alone.
#[derive(Clone, Default)]
pub(crate) struct Memtable {
    pub(crate) rows: RowTable<Arc<HeapRow>>,
    ids: IdMap,
    /// The vectors of the rows, under their row numbers.
    pub(crate) index: Option<Arc<Index>>,
}

impl Memtable {
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn vectors(&self) -> usize {
        self.index.as_ref().map_or(0, |index| index.len())
    }

    /// The row of an id with this hash.
    pub(crate) fn find(&self, hash: u64, id: &str) -> Result<Option<i64>> {
        self.ids.find(hash, |row| {
            Ok(self
                .rows
                .get(row)
                .is_some_and(|heap| heap.record.parts().id == id))
        })
    }

    /// Adds a record above all others.
    pub(crate) fn push(&mut self, row: i64, hash: u64, record: Record) {
        self.ids.insert(hash, row);
        self.rows.push(row, Arc::new(HeapRow::from(record)));
    }

    /// Takes a record out, but not its vector.
    pub(crate) fn remove(&mut self, row: i64, hash: impl FnOnce(&str) -> u64) -> bool {
        match self.rows.remove(row) {
            Some(heap) => {
                self.ids.remove(hash(heap.record.parts().id), row);
                true
            }
            None => false,
        }
    }

    /// Adds the records of a later table.
    pub(crate) fn absorb(&mut self, later: &Self, shared: &Shared) -> Result<()> {
        let mut vectors = Vec::new();
        let mut added = Vec::new();
        for (row, heap) in later.rows.iter() {
            self.ids.insert(shared.hash(heap.record.parts().id), row);
            self.rows.push(row, heap.clone());
            if let Some(index) = &later.index
                && let Some(vector) = index.get(row)?
            {
                added.push(row);
                vectors.extend_from_slice(&vector);
            }
        }
        self.index = match (&self.index, &later.index) {
            (None, later) => later.clone(),
            (before, _) if added.is_empty() => before.clone(),
            (Some(before), _) => {
                let joined = before.fork();
                joined.add(&added, &vectors, Control::default())?;
                Some(Arc::new(joined))
            }
        };
        Ok(())
    }
}
