//! The rows of one state of a collection: a sorted list that shares what it can with the states before it.

use std::cmp::Ordering;
use std::sync::{Arc, OnceLock};

use crate::record::Record;
use crate::value::Object;

/// Most rows of a chunk; a change copies one chunk and the list of chunks.
pub(crate) const CHUNK: usize = 512;
/// Chunks smaller than this are joined with a neighbour when rows leave.
const SPARSE: usize = 128;

/// A row that is not in the checkpoint.
#[derive(Debug)]
pub(crate) struct HeapRow {
    pub(crate) record: Record,
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

/// Where a row's content is.
#[derive(Clone, Debug)]
pub(crate) enum Slot {
    Heap(Arc<HeapRow>),
    /// Position in the checkpoint's rows file.
    Stored(u32),
}

type Chunk = Vec<(i64, Slot)>;

/// Rows in ascending order. Cloning is cheap; changing a clone leaves the original alone.
#[derive(Clone, Debug, Default)]
pub(crate) struct RowTable {
    /// None is empty.
    chunks: Vec<Arc<Chunk>>,
    len: usize,
}

impl RowTable {
    /// A table of ascending rows in pieces of at most [`CHUNK`]; `None` if they do not ascend.
    pub(crate) fn from_pieces(pieces: Vec<Vec<(i64, Slot)>>) -> Option<Self> {
        let rows = pieces.iter().flatten().map(|entry| entry.0);
        if !rows.is_sorted_by(|a, b| a < b) {
            return None;
        }
        let len = pieces.iter().map(Vec::len).sum();
        let chunks = pieces
            .into_iter()
            .filter(|piece| !piece.is_empty())
            .map(Arc::new)
            .collect();
        Some(Self { chunks, len })
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn get(&self, row: i64) -> Option<&Slot> {
        let chunk = self.chunks.get(self.chunk_of(row)?)?;
        let at = chunk.binary_search_by_key(&row, |entry| entry.0).ok()?;
        chunk.get(at).map(|entry| &entry.1)
    }

    /// Adds a row above all others.
    pub(crate) fn push(&mut self, row: i64, slot: Slot) {
        debug_assert!(self.last().is_none_or(|last| last < row));
        match self.chunks.last_mut() {
            Some(chunk) if chunk.len() < CHUNK => Arc::make_mut(chunk).push((row, slot)),
            _ => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push((row, slot));
                self.chunks.push(Arc::new(chunk));
            }
        }
        self.len += 1;
    }

    /// Takes a row out.
    pub(crate) fn remove(&mut self, row: i64) -> Option<Slot> {
        let position = self.chunk_of(row)?;
        let chunk = self.chunks.get_mut(position)?;
        let at = chunk.binary_search_by_key(&row, |entry| entry.0).ok()?;
        let chunk = Arc::make_mut(chunk);
        let (_, slot) = chunk.remove(at);
        self.len -= 1;
        if chunk.is_empty() {
            self.chunks.remove(position);
        } else if chunk.len() < SPARSE {
            self.join(position);
        }
        Some(slot)
    }

    fn join(&mut self, position: usize) {
        let len = |at: usize| self.chunks.get(at).map_or(CHUNK, |chunk| chunk.len());
        let left = if position > 0 && len(position - 1) + len(position) <= CHUNK / 2 {
            position - 1
        } else {
            position
        };
        if len(left) + len(left + 1) > CHUNK / 2 {
            return;
        }
        let right = self.chunks.remove(left + 1);
        if let Some(left) = self.chunks.get_mut(left) {
            Arc::make_mut(left).extend(right.iter().cloned());
        }
    }

    /// The chunk that holds a row if any does.
    fn chunk_of(&self, row: i64) -> Option<usize> {
        let after = self
            .chunks
            .partition_point(|chunk| chunk.first().is_some_and(|entry| entry.0 <= row));
        after.checked_sub(1)
    }

    fn last(&self) -> Option<i64> {
        self.chunks
            .last()
            .and_then(|chunk| chunk.last())
            .map(|entry| entry.0)
    }

    /// The rows from `start` on.
    pub(crate) fn iter_from(&self, start: i64) -> impl Iterator<Item = (i64, &Slot)> {
        let first = self.chunk_of(start).unwrap_or(0);
        let chunks = self.chunks.get(first..).unwrap_or_default();
        chunks
            .iter()
            .flat_map(|chunk| chunk.iter())
            .map(|(row, slot)| (*row, slot))
            .skip_while(move |(row, _)| *row < start)
    }

    /// All rows.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (i64, &Slot)> {
        self.iter_from(i64::MIN)
    }

    /// The rows in pieces for several threads.
    pub(crate) fn chunks(&self) -> &[Arc<Chunk>] {
        &self.chunks
    }

    /// What has to be added to and removed from `self` to get `later`. Fast where they share chunks.
    pub(crate) fn changes(&self, later: &Self) -> (Vec<i64>, Vec<i64>) {
        let (mut added, mut removed) = (Vec::new(), Vec::new());
        let (mut old, mut new) = (Cursor::new(self), Cursor::new(later));
        loop {
            if old.skip_shared(&mut new) {
                continue;
            }
            match (old.row(), new.row()) {
                (None, None) => return (added, removed),
                (Some(row), None) => {
                    removed.push(row);
                    old.next();
                }
                (None, Some(row)) => {
                    added.push(row);
                    new.next();
                }
                (Some(a), Some(b)) => match a.cmp(&b) {
                    Ordering::Less => {
                        removed.push(a);
                        old.next();
                    }
                    Ordering::Greater => {
                        added.push(b);
                        new.next();
                    }
                    Ordering::Equal => {
                        old.next();
                        new.next();
                    }
                },
            }
        }
    }
}

/// A place in a table.
struct Cursor<'a> {
    chunks: &'a [Arc<Chunk>],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn new(table: &'a RowTable) -> Self {
        Self {
            chunks: &table.chunks,
            at: 0,
        }
    }

    fn row(&self) -> Option<i64> {
        self.chunks
            .first()
            .and_then(|chunk| chunk.get(self.at))
            .map(|entry| entry.0)
    }

    fn next(&mut self) {
        self.at += 1;
        if self
            .chunks
            .first()
            .is_none_or(|chunk| self.at >= chunk.len())
        {
            self.skip_chunk();
        }
    }

    fn skip_chunk(&mut self) {
        self.chunks = self.chunks.get(1..).unwrap_or_default();
        self.at = 0;
    }

    /// Passes over a chunk both stand at the start of.
    fn skip_shared(&mut self, other: &mut Self) -> bool {
        match (self.chunks.first(), other.chunks.first()) {
            (Some(a), Some(b)) if self.at == 0 && other.at == 0 && Arc::ptr_eq(a, b) => {
                self.skip_chunk();
                other.skip_chunk();
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn rows(table: &RowTable) -> Vec<i64> {
        table.iter().map(|(row, _)| row).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn behaves_like_a_set(steps in prop::collection::vec((1..900_usize, prop::collection::vec(any::<u16>(), 0..300)), 1..8)) {
            let mut table = RowTable::default();
            let mut model = BTreeSet::new();
            let mut next = 0_i64;
            for (pushes, removals) in steps {
                let (before, model_before) = (table.clone(), model.clone());
                for _ in 0..pushes {
                    table.push(next, Slot::Stored(next as u32));
                    model.insert(next);
                    next += 1 + (next % 3);
                }
                for removal in removals {
                    let row = i64::from(removal) % next;
                    prop_assert_eq!(table.remove(row).is_some(), model.remove(&row));
                }
                prop_assert_eq!(rows(&table), model.iter().copied().collect::<Vec<_>>());
                prop_assert_eq!(rows(&before), model_before.iter().copied().collect::<Vec<_>>());
                prop_assert_eq!(table.len(), model.len());
                prop_assert!(table.chunks.iter().all(|chunk| !chunk.is_empty()));
                for row in -1..=next {
                    let found = table.get(row).map(|slot| matches!(slot, Slot::Stored(n) if i64::from(*n) == row));
                    prop_assert_eq!(found, model.contains(&row).then_some(true));
                }
                let (added, removed) = before.changes(&table);
                prop_assert_eq!(added, model.difference(&model_before).copied().collect::<Vec<_>>());
                prop_assert_eq!(removed, model_before.difference(&model).copied().collect::<Vec<_>>());
                let middle = next / 2;
                let after: Vec<i64> = table.iter_from(middle).map(|(row, _)| row).collect();
                prop_assert_eq!(after, model.range(middle..).copied().collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn rows_that_leave_do_not_leave_splinters() {
        let mut table = RowTable::default();
        for row in 0..100_000 {
            table.push(row, Slot::Stored(0));
        }
        for row in (0..100_000).filter(|row| row % 100 != 0) {
            table.remove(row);
        }
        assert_eq!(table.len(), 1000);
        assert!(table.chunks.len() <= 20, "{}", table.chunks.len());
    }
}
