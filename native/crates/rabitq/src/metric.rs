//! How two vectors are compared, and how a comparison is reported.

use std::fmt;

/// The similarity a collection of vectors is ranked by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Metric {
    /// Cosine similarity; lengths do not matter. A zero vector has similarity 0 to everything.
    Cosine,
    /// Inner product; longer vectors score higher.
    InnerProduct,
    /// Euclidean distance.
    L2,
}

impl Metric {
    /// The name users write: `cosine`, `ip` or `l2`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cosine => "cosine",
            Self::InnerProduct => "ip",
            Self::L2 => "l2",
        }
    }

    /// The metric of a name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Cosine, Self::InnerProduct, Self::L2]
            .into_iter()
            .find(|m| m.name() == name)
    }

    /// Similarity of a reported distance, higher is better: `1 - d` for cosine, `-d` for inner product, `1 / (1 + d)` for l2.
    #[must_use]
    pub fn score(self, distance: f64) -> f64 {
        match self {
            Self::Cosine => 1.0 - distance,
            // Not -distance, which is -0 for 0.
            Self::InnerProduct => 0.0 - distance,
            Self::L2 => 1.0 / (1.0 + distance),
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
