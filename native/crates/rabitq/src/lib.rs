//! RaBitQ vector indexes: rotation, codes, estimator, exact reranking, and the index file.
//!
//! Gao & Long, "RaBitQ", SIGMOD 2024 (arXiv 2405.12497); Gao et al., extended RaBitQ, SIGMOD 2025 (arXiv 2409.09913).

mod allow;
mod control;
mod error;
mod hit;
mod index;
mod kind;
mod metric;
mod options;

pub use allow::AllowList;
pub use control::{Control, Progress};
pub use error::{Error, Result};
pub use hit::Hit;
pub use index::{Index, OpenOptions, Rows, Stats, Verify};
pub use kind::Kind;
pub use metric::Metric;
pub use options::{Bits, BuildOptions, MAX_DIMENSIONS, MAX_ID, SearchOptions};
