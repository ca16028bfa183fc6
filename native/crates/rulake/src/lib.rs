//! Durable collections of vectors, texts and metadata in a directory.

mod digest;
mod error;
mod files;
mod filter;
mod json;
mod name;
mod record;
mod sealed;
mod value;
mod wal;

pub use error::{Category, Error, Result};
pub use name::{MAX_NAME, check_name};
pub use record::{Batch, MAX_ID_BYTES, MAX_METADATA_BYTES, MAX_TEXT_BYTES, Record};
