//! Blocks of rows that were read and decompressed lately.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use super::rows::Block;

/// A segment, by a number of its own in this process, and one of its blocks.
pub(crate) type Key = (u64, u32);

#[derive(Debug, Default)]
struct Inner {
    blocks: HashMap<Key, (Arc<Block>, u64)>,
    /// Keys by the time of their last use.
    order: BTreeMap<u64, Key>,
    clock: u64,
    bytes: usize,
}

/// A cache of a bounded number of bytes; what was used longest ago goes first.
#[derive(Debug)]
pub(crate) struct BlockCache {
    capacity: usize,
    inner: Mutex<Inner>,
}

impl BlockCache {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            inner: Mutex::default(),
        }
    }

    pub(crate) fn get(&self, key: Key) -> Option<Arc<Block>> {
        let mut guard = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let inner = &mut *guard;
        let (block, used) = inner.blocks.get_mut(&key)?;
        inner.clock += 1;
        inner.order.remove(used);
        *used = inner.clock;
        inner.order.insert(inner.clock, key);
        Some(block.clone())
    }

    pub(crate) fn put(&self, key: Key, block: &Arc<Block>) {
        let bytes = block.bytes();
        if bytes > self.capacity / 2 {
            return;
        }
        let mut guard = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let inner = &mut *guard;
        inner.clock += 1;
        if let Some((before, used)) = inner.blocks.insert(key, (block.clone(), inner.clock)) {
            inner.order.remove(&used);
            inner.bytes -= before.bytes();
        }
        inner.order.insert(inner.clock, key);
        inner.bytes += bytes;
        while inner.bytes > self.capacity
            && let Some((_, oldest)) = inner.order.pop_first()
        {
            if let Some((gone, _)) = inner.blocks.remove(&oldest) {
                inner.bytes -= gone.bytes();
            }
        }
    }

    #[cfg(test)]
    fn bytes(&self) -> usize {
        self.inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_goes_first_and_bytes_stay_bounded() {
        let block = Arc::new(Block::of_texts(&["x".repeat(1000).as_str(); 4]));
        let cache = BlockCache::new(block.bytes() * 3);
        for i in 0..3 {
            cache.put((1, i), &block);
        }
        assert!(cache.get((1, 0)).is_some());
        cache.put((1, 3), &block);
        assert!(cache.get((1, 1)).is_none());
        assert!(cache.get((1, 0)).is_some() && cache.get((1, 3)).is_some());
        cache.put((1, 3), &block);
        assert_eq!(cache.bytes(), block.bytes() * 3);
        let huge = Arc::new(Block::of_texts(&["y".repeat(100_000).as_str()]));
        cache.put((2, 0), &huge);
        assert!(cache.get((2, 0)).is_none());
    }
}
