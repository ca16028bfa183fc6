//! The best rows seen so far.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// A row and its rank value: smaller is better, ties go to the earlier row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Candidate {
    pub rank: f64,
    /// Position in insertion order over the whole index.
    pub order: u64,
    /// Position in the order rows lie in.
    pub row: u64,
}

impl Candidate {
    /// Where rows lie in insertion order.
    pub(crate) fn in_order(rank: f64, row: u64) -> Self {
        Self {
            rank,
            order: row,
            row,
        }
    }
}

impl Eq for Candidate {}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank
            .total_cmp(&other.rank)
            .then(self.order.cmp(&other.order))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Keeps the `capacity` best candidates.
pub(crate) struct TopK {
    capacity: usize,
    heap: BinaryHeap<Candidate>,
}

impl TopK {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            heap: BinaryHeap::with_capacity(capacity.min(4096) + 1),
        }
    }

    pub(crate) fn push(&mut self, candidate: Candidate) {
        if self.heap.len() < self.capacity {
            self.heap.push(candidate);
        } else if let Some(mut worst) = self.heap.peek_mut()
            && candidate < *worst
        {
            *worst = candidate;
        }
    }

    /// Rank a newcomer must not exceed to be kept; infinite while there is room.
    pub(crate) fn limit(&self) -> f64 {
        match self.heap.peek() {
            Some(worst) if self.heap.len() >= self.capacity => worst.rank,
            _ => f64::INFINITY,
        }
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Best first.
    pub(crate) fn into_sorted(self) -> Vec<Candidate> {
        self.heap.into_sorted_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_to_the_earlier_row() {
        let mut top = TopK::new(2);
        for row in [5, 3, 4, 1, 2] {
            top.push(Candidate::in_order(1.0, row));
        }
        assert_eq!(
            top.into_sorted().iter().map(|c| c.row).collect::<Vec<_>>(),
            [1, 2]
        );
    }
}
