//! Blocks of rows that were read and decompressed lately.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::rows::Block;

/// A segment, by a number of its own in this process, and one of its blocks.
pub(crate) type Key = (u64, u32);

#[derive(Debug)]
struct Entry {
    block: Arc<Block>,
    bytes: usize,
    /// Since its turn to go came last.
    used: AtomicBool,
}

#[derive(Debug, Default)]
struct Inner {
    blocks: HashMap<Key, Entry>,
    /// Every key once; that whose turn is next comes first.
    turns: VecDeque<Key>,
    bytes: usize,
}

/// A cache of a bounded number of bytes. What came longest ago goes first, unless it was used since: then it gets another
/// turn. Searches thus only read, side by side, where keeping an order of use would have each of them write.
#[derive(Debug)]
pub(crate) struct BlockCache {
    capacity: usize,
    inner: RwLock<Inner>,
}

impl BlockCache {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            inner: RwLock::default(),
        }
    }

    pub(crate) fn get(&self, key: Key) -> Option<Arc<Block>> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let entry = inner.blocks.get(&key)?;
        entry.used.store(true, Ordering::Relaxed);
        Some(entry.block.clone())
    }

    pub(crate) fn put(&self, key: Key, block: &Arc<Block>) {
        let bytes = block.bytes();
        if bytes > self.capacity / 2 {
            return;
        }
        let mut guard = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let inner = &mut *guard;
        if inner.blocks.contains_key(&key) {
            // Two readers missed it at once; blocks never change.
            return;
        }
        while inner.bytes + bytes > self.capacity
            && let Some(next) = inner.turns.pop_front()
        {
            let stays = inner
                .blocks
                .get_mut(&next)
                .is_some_and(|entry| std::mem::take(entry.used.get_mut()));
            if stays {
                inner.turns.push_back(next);
            } else if let Some(gone) = inner.blocks.remove(&next) {
                inner.bytes -= gone.bytes;
            }
        }
        inner.turns.push_back(key);
        inner.bytes += bytes;
        let entry = Entry {
            block: block.clone(),
            bytes,
            used: AtomicBool::new(false),
        };
        inner.blocks.insert(key, entry);
    }

    #[cfg(test)]
    fn bytes(&self) -> usize {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        inner.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_used_goes_first_and_bytes_stay_bounded() {
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
