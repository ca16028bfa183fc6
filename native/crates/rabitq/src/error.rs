//! Everything that can go wrong in this crate.

use std::path::PathBuf;

/// The result of a fallible operation of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an index operation was refused or failed. Nothing has changed when one is returned.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Dimensions outside `1..=8192`.
    #[error("dimensions must be a whole number from 1 to {max}, got {got}", max = crate::MAX_DIMENSIONS)]
    InvalidDimensions {
        /// What was asked for.
        got: usize,
    },
    /// A vector or a matrix whose length does not fit the index.
    #[error("expected {expected} numbers, got {got}")]
    DimensionMismatch {
        /// Numbers the index needs.
        expected: usize,
        /// Numbers that were given.
        got: usize,
    },
    /// NaN or infinity inside a vector.
    #[error("vector {row} holds {value} at position {position}: every component must be finite")]
    NotFinite {
        /// Row of the vector in the call.
        row: usize,
        /// Position inside the vector.
        position: usize,
        /// The offending value.
        value: f32,
    },
    /// A vector that is too long for `f32` arithmetic to rank, or, other than zero, too short for it to take a cosine of.
    #[error("vector {row} has squared norm {norm_squared:e}, {}", limit(*norm_squared))]
    NormOutOfRange {
        /// Row of the vector in the call.
        row: usize,
        /// Its squared norm.
        norm_squared: f64,
    },
    /// `k` below 1.
    #[error("k must be at least 1, got {got}")]
    InvalidK {
        /// What was asked for.
        got: usize,
    },
    /// The same id twice in one call.
    #[error("id {id} appears more than once in one call")]
    DuplicateId {
        /// The repeated id.
        id: i64,
    },
    /// More or fewer ids than vectors.
    #[error("{ids} ids for {vectors} vectors")]
    IdCountMismatch {
        /// Ids given.
        ids: usize,
        /// Vectors given.
        vectors: usize,
    },
    /// An option with a value outside its range.
    #[error("option {option}: {reason}")]
    InvalidOption {
        /// The option's public name.
        option: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The operation needs raw vectors, which this index does not keep.
    #[error("a {kind} index keeps no raw vectors")]
    NoRawVectors {
        /// Kind of the index.
        kind: crate::Kind,
    },
    /// The file is not an index of this library, or of a later format version.
    #[error("{path}: {reason}")]
    UnsupportedFormat {
        /// The file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// The file was an index once, but its bytes are damaged.
    #[error("{path}: {reason}")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Which part, expected, found.
        reason: String,
    },
    /// The operating system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The caller's [`crate::Control`] asked to stop.
    #[error("the operation was cancelled")]
    Cancelled,
}

/// Which limit of squared norms was passed.
fn limit(norm_squared: f64) -> &'static str {
    if norm_squared > 1.0 {
        "above about 1e36: 32-bit arithmetic cannot rank it"
    } else {
        "below about 1e-30: too short for a cosine in 32-bit arithmetic"
    }
}

impl From<mapping::Torn> for Error {
    fn from(torn: mapping::Torn) -> Self {
        Self::Corrupt {
            path: torn.path,
            reason: mapping::Torn::REASON.into(),
        }
    }
}

impl Error {
    /// Stable code, the same that JavaScript sees.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidDimensions { .. } => "INVALID_DIMENSIONS",
            Self::DimensionMismatch { .. } => "DIMENSION_MISMATCH",
            Self::NotFinite { .. } => "NOT_FINITE",
            Self::NormOutOfRange { .. } => "NORM_OUT_OF_RANGE",
            Self::InvalidK { .. } => "INVALID_K",
            Self::DuplicateId { .. } => "DUPLICATE_ID",
            Self::IdCountMismatch { .. } => "ID_COUNT_MISMATCH",
            Self::InvalidOption { .. } => "INVALID_OPTION",
            Self::NoRawVectors { .. } => "NO_RAW_VECTORS",
            Self::UnsupportedFormat { .. } => "UNSUPPORTED_FORMAT",
            Self::Corrupt { .. } => "CORRUPT_FILE",
            Self::Io { source, .. } => match source.kind() {
                std::io::ErrorKind::NotFound => "FILE_NOT_FOUND",
                _ => "IO",
            },
            Self::Cancelled => "CANCELLED",
        }
    }
}
