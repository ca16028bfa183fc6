//! The index types a user can choose from.

use std::fmt;

/// What an index keeps of each vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Raw `f32` rows only; every search is exact.
    FlatF32,
    /// RaBitQ codes only (1 bit a dimension by default): smallest, approximate.
    Rabitq,
    /// RaBitQ codes (1+4 bits by default) and raw rows: approximate scan, exact reranking by error bound.
    RabitqPlus,
    /// As [`Kind::RabitqPlus`], with rows grouped around centroids, of which a search visits the nearest: for scale.
    RabitqIvf,
    /// RaBitQ codes (1+4 bits by default) scored against the unquantized query; raw rows only if a rerank factor is given.
    RabitqAsym,
}

impl Kind {
    /// The class name users see.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::FlatF32 => "FlatF32Index",
            Self::Rabitq => "RabitqIndex",
            Self::RabitqPlus => "RabitqPlusIndex",
            Self::RabitqAsym => "RabitqAsymIndex",
            Self::RabitqIvf => "RabitqIvfIndex",
        }
    }

    /// The kind of a class name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [
            Self::FlatF32,
            Self::Rabitq,
            Self::RabitqPlus,
            Self::RabitqAsym,
            Self::RabitqIvf,
        ]
        .into_iter()
        .find(|k| k.name() == name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
