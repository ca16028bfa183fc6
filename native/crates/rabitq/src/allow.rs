//! Which rows a filtered search may return.

/// A set of ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowList {
    ids: Vec<i64>,
}

impl AllowList {
    /// A set of any ids, in any order, repeats welcome. `O(n log n)`, `O(n)` when already ascending.
    #[must_use]
    pub fn new(mut ids: Vec<i64>) -> Self {
        if !ids.is_sorted_by(|a, b| a < b) {
            ids.sort_unstable();
            ids.dedup();
        }
        Self { ids }
    }

    /// The ids, ascending.
    #[must_use]
    pub fn ids(&self) -> &[i64] {
        &self.ids
    }
}
