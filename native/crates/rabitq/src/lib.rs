//! RaBitQ vector indexes: rotation, codes, estimator, exact reranking, and the index file.
//!
//! Gao & Long, "RaBitQ", SIGMOD 2024 (arXiv 2405.12497); Gao et al., extended RaBitQ, SIGMOD 2025 (arXiv 2409.09913).

mod allow;
mod assign;
mod bitset;
mod build;
mod columns;
mod control;
mod encode;
mod error;
mod file;
mod header;
mod hit;
mod index;
mod ivf;
mod kind;
mod kmeans;
mod learn;
mod lists;
mod mapped;
mod metric;
mod noise;
mod options;
mod pack;
mod part;
mod query;
mod raw;
mod rbpx;
mod rebuild;
mod recommend;
mod rotate;
mod row;
mod rows;
mod scan;
mod search;
mod section;
mod state;
mod stats;
mod table;
mod topk;
mod validate;
mod writer;

pub use allow::AllowList;
pub use control::{Control, Progress};
pub use error::{Error, Result};
pub use file::{OpenOptions, Verify};
pub use hit::Hit;
pub use index::Index;
pub use kind::Kind;
pub use metric::Metric;
pub use options::{Bits, BuildOptions, MAX_DIMENSIONS, MAX_ID, SearchOptions};
pub use recommend::{Recommendation, recommend};
pub use rows::Rows;
pub use stats::Stats;
