//! One answer of a search.

/// A row near the query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// The row's id.
    pub id: i64,
    /// Cosine: `1 - cos`. Inner product: the negated product. L2: Euclidean, not squared.
    /// Exact (up to `f32` sums) where raw vectors are kept, estimated otherwise.
    pub distance: f64,
}
