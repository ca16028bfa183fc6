//! Bundles: a collection as a directory that others can check before they use it, and that upstream's crates read too.
//!
//! ```text
//! table.rulake.json            description, witness and list of the files below; replaced as a whole
//! vectors-<digest>.ruvec1      the vectors, as upstream's file backend reads them
//! records-<digest>.jsonl       ids, texts and metadata, a JSON object a line
//! index.rbpx                   the vectors again, as upstream warms its cache with
//! ```
//!
//! `docs/format.md` has every byte. The description names each file with length and SHAKE-256, a digest over that list is
//! the generation, and the witness covers the generation: who knows the witness can check every byte.

mod content;
mod load;
mod payload;
mod publish;
mod source;
mod table;

pub use content::{Content, FileEntry, Role};
pub use load::{LoadOptions, Loaded};
pub use publish::{Draft, PublishOptions};
pub use table::{Bundle, Signature, TABLE_FILE};
