//! A sorted list of rows that shares what it can with the versions before it.

use std::sync::Arc;

/// Most rows of a chunk; a change copies one chunk and the list of chunks.
const CHUNK: usize = 512;
/// Chunks smaller than this are joined with a neighbour when rows leave.
const SPARSE: usize = 128;

type Chunk<T> = Vec<(i64, T)>;

/// Rows in ascending order. Cloning is cheap; changing a clone leaves the original alone.
#[derive(Clone, Debug)]
pub(crate) struct RowTable<T> {
    /// None is empty.
    chunks: Vec<Arc<Chunk<T>>>,
    len: usize,
}

impl<T> Default for RowTable<T> {
    fn default() -> Self {
        Self {
            chunks: Vec::new(),
            len: 0,
        }
    }
}

impl<T: Clone> RowTable<T> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn get(&self, row: i64) -> Option<&T> {
        let chunk = self.chunks.get(self.chunk_of(row)?)?;
        let at = chunk.binary_search_by_key(&row, |entry| entry.0).ok()?;
        chunk.get(at).map(|entry| &entry.1)
    }

    /// Adds a row above all others.
    pub(crate) fn push(&mut self, row: i64, slot: T) {
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
    pub(crate) fn remove(&mut self, row: i64) -> Option<T> {
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

    pub(crate) fn last(&self) -> Option<i64> {
        self.chunks
            .last()
            .and_then(|chunk| chunk.last())
            .map(|entry| entry.0)
    }

    /// The rows from `start` on.
    pub(crate) fn iter_from(&self, start: i64) -> impl Iterator<Item = (i64, &T)> {
        let first = self.chunk_of(start).unwrap_or(0);
        let chunks = self.chunks.get(first..).unwrap_or_default();
        chunks
            .iter()
            .flat_map(|chunk| chunk.iter())
            .map(|(row, slot)| (*row, slot))
            .skip_while(move |(row, _)| *row < start)
    }

    /// All rows.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (i64, &T)> {
        self.iter_from(i64::MIN)
    }

    /// The rows in pieces for several threads.
    pub(crate) fn chunks(&self) -> &[Arc<Chunk<T>>] {
        &self.chunks
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn rows(table: &RowTable<i64>) -> Vec<i64> {
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
                    table.push(next, next);
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
                    let found = table.get(row).map(|slot| *slot == row);
                    prop_assert_eq!(found, model.contains(&row).then_some(true));
                }
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
            table.push(row, row);
        }
        for row in (0..100_000).filter(|row| row % 100 != 0) {
            table.remove(row);
        }
        assert_eq!(table.len(), 1000);
        assert!(table.chunks.len() <= 20, "{}", table.chunks.len());
    }
}
