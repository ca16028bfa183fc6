//! Which changes some logs tell of.

/// Stretches of sequences.
#[derive(Debug, Default)]
pub(crate) struct Coverage(Vec<(u64, u64)>);

impl Coverage {
    /// A log tells of these, both ends included; of none if `last` is below `first`.
    pub(crate) fn add(&mut self, first: u64, last: u64) {
        self.0.push((first, last));
    }

    /// The last sequence above `from` and up to `to` that is missing.
    pub(crate) fn missing(&self, from: u64, to: u64) -> Option<u64> {
        let mut needed = to;
        while needed > from {
            let covering = self.0.iter().filter(|it| (it.0..=it.1).contains(&needed));
            match covering.map(|it| it.0).min() {
                Some(first) => needed = first.saturating_sub(1),
                None => return Some(needed),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_gap_is_found() {
        let mut coverage = Coverage::default();
        assert_eq!(coverage.missing(3, 3), None);
        assert_eq!(coverage.missing(2, 3), Some(3));
        for (first, last) in [(1, 2), (4, 3), (5, 7), (6, 9), (0, 0)] {
            coverage.add(first, last);
        }
        assert_eq!(coverage.missing(4, 9), None);
        assert_eq!(coverage.missing(0, 9), Some(4));
        assert_eq!(coverage.missing(0, 3), Some(3));
        assert_eq!(coverage.missing(0, 2), None);
        assert_eq!(coverage.missing(0, u64::MAX), Some(u64::MAX));
    }
}
