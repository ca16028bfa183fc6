//! What a search has left behind on its way through the lists.

/// The lists of a part that were passed, visited or not.
pub(crate) struct Passed {
    lists: usize,
    rows: usize,
    allowed: usize,
    /// Share of all rows of the part that are allowed.
    share: f32,
}

impl Passed {
    /// None yet, of a part where so many of all rows are allowed.
    pub(crate) fn new(allowed: usize, rows: usize) -> Self {
        Self {
            lists: 0,
            rows: 0,
            allowed: 0,
            share: allowed as f32 / rows.max(1) as f32,
        }
    }

    pub(crate) fn add(&mut self, rows: usize, allowed: usize) {
        self.lists += 1;
        self.rows += rows;
        self.allowed += allowed;
    }

    /// How many lists as full of allowed rows as the whole part hold those that were passed; none counts more than once.
    ///
    /// The farther down the way a list is, the less it is expected to hold, since the lists before it have most of the near
    /// rows. Under a filter that lets few of these through they have not.
    pub(crate) fn place(&self) -> f32 {
        let lists = self.lists as f32;
        if self.allowed == self.rows {
            return lists;
        }
        let full = self.allowed as f32 / self.rows as f32;
        lists * (full / self.share).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_lists_count_without_a_filter_and_under_one_that_is_even() {
        let (mut all, mut even) = (Passed::new(1000, 1000), Passed::new(100, 1000));
        for list in 0..5 {
            let count = f32::from(u8::try_from(list).unwrap());
            assert!((all.place() - count).abs() < 1e-6);
            assert!((even.place() - count).abs() < 1e-6);
            all.add(100, 100);
            even.add(100, 10);
        }
    }

    #[test]
    fn lists_that_hold_little_of_what_is_allowed_count_little() {
        let mut far = Passed::new(300, 1000);
        for _ in 0..4 {
            far.add(100, 3);
        }
        assert!((far.place() - 0.4).abs() < 1e-6);
        let mut near = Passed::new(300, 1000);
        near.add(100, 100);
        near.add(100, 90);
        assert!((near.place() - 2.0).abs() < 1e-6);
    }
}
