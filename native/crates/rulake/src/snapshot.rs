//! Names of states.

use std::fmt;

use crate::ulid::Ulid;

/// The name of a state of a collection: when it was committed, and its number. As text it has 26 characters and sorts by
/// time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotId(u128);

impl SnapshotId {
    /// `committed` in milliseconds since 1970.
    #[must_use]
    pub fn new(committed: u64, sequence: u64) -> Self {
        Self(Ulid::new(committed, u128::from(sequence)).value())
    }

    /// Reads the text; `None` if it is not one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Ulid::parse(text).map(|ulid| Self(ulid.value()))
    }

    /// When the state was committed, in milliseconds since 1970.
    #[must_use]
    pub fn committed(self) -> u64 {
        Ulid::from(self.0).ms()
    }

    /// Number of the state; later states of the collection have higher ones.
    #[must_use]
    pub fn sequence(self) -> u64 {
        Ulid::from(self.0).low()
    }
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ulid::from(self.0).fmt(f)
    }
}
