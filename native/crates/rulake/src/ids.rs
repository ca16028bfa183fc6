//! From record ids to rows: a hash table that shares what it can with the states before it.
//!
//! Only hashes and rows are kept; the ids themselves are in the rows. Entries are sorted by hash and cut into shards by
//! the hash's upper bits, so that a change copies one shard of a few hundred entries.

use std::sync::Arc;

use crate::Result;

/// Entries of a shard on average, at most.
const SHARD: usize = 256;

type Shard = Vec<(u64, i64)>;

/// Rows by the hash of their id. Cloning is cheap; changing a clone leaves the original alone.
#[derive(Clone, Debug)]
pub(crate) struct IdMap {
    /// `1 << bits` of them.
    shards: Vec<Arc<Shard>>,
    bits: u32,
    len: usize,
}

impl Default for IdMap {
    fn default() -> Self {
        Self {
            shards: vec![Arc::default()],
            bits: 0,
            len: 0,
        }
    }
}

impl IdMap {
    /// The row that has this hash and of which `is_it` holds.
    pub(crate) fn find(
        &self,
        hash: u64,
        is_it: impl Fn(i64) -> Result<bool>,
    ) -> Result<Option<i64>> {
        let Some(shard) = self.shards.get(self.shard_of(hash)) else {
            return Ok(None);
        };
        let start = shard.partition_point(|entry| entry.0 < hash);
        for &(_, row) in shard
            .get(start..)
            .unwrap_or_default()
            .iter()
            .take_while(|entry| entry.0 == hash)
        {
            if is_it(row)? {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    /// Adds an entry.
    pub(crate) fn insert(&mut self, hash: u64, row: i64) {
        if self.len >= self.shards.len() * SHARD {
            self.split();
        }
        let shard = self.shard_of(hash);
        if let Some(shard) = self.shards.get_mut(shard) {
            let shard = Arc::make_mut(shard);
            let at = shard.partition_point(|entry| *entry < (hash, row));
            shard.insert(at, (hash, row));
            self.len += 1;
        }
    }

    /// Takes an entry out.
    pub(crate) fn remove(&mut self, hash: u64, row: i64) {
        let shard = self.shard_of(hash);
        if let Some(shard) = self.shards.get_mut(shard)
            && let Ok(at) = shard.binary_search(&(hash, row))
        {
            Arc::make_mut(shard).remove(at);
            self.len -= 1;
        }
    }

    fn shard_of(&self, hash: u64) -> usize {
        // A shift by 64 is not one.
        if self.bits == 0 {
            0
        } else {
            (hash >> (64 - self.bits)) as usize
        }
    }

    fn split(&mut self) {
        self.bits += 1;
        let middle = |shard: usize| (2 * shard as u64 + 1) << (64 - self.bits);
        self.shards = std::mem::take(&mut self.shards)
            .into_iter()
            .enumerate()
            .flat_map(|(i, shard)| {
                let (low, high) =
                    shard.split_at(shard.partition_point(|entry| entry.0 < middle(i)));
                [Arc::new(low.to_vec()), Arc::new(high.to_vec())]
            })
            .collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Spreads over all bits, and collides for every 1,000th pair.
    fn hash(row: i64) -> u64 {
        (row as u64 % 1000 + (row as u64 / 2000) * 1000).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    #[test]
    fn entries_are_found_by_hash_and_row_while_shards_split() {
        let mut map = IdMap::default();
        for row in 0..10_000 {
            map.insert(hash(row), row);
        }
        assert_eq!(map.len, 10_000);
        for row in 0..10_000 {
            assert_eq!(map.find(hash(row), |r| Ok(r == row)).unwrap(), Some(row));
            assert_eq!(map.find(hash(row), |r| Ok(r == -1)).unwrap(), None);
        }
        let full = map.clone();
        for row in (0..10_000).step_by(2) {
            map.remove(hash(row), row);
            map.remove(hash(row), row);
        }
        assert_eq!(map.len, 5000);
        for row in 0..10_000 {
            let odd = (row % 2 == 1).then_some(row);
            assert_eq!(map.find(hash(row), |r| Ok(r == row)).unwrap(), odd);
            assert_eq!(full.find(hash(row), |r| Ok(r == row)).unwrap(), Some(row));
        }
        assert!(map.shards.iter().all(|shard| shard.is_sorted()));
    }
}
