//! Durable collections of vectors, texts and metadata in a directory.
//!
//! ```text
//! rulake.json                             format version and id of the lake
//! LOCK                                    held by the one process that writes
//! <collection>/
//!   manifest/<20-digit generation>.json   a checkpoint: files with length and SHAKE-256, digest of the manifest before
//!   seg/<generation>/rows.bin             its ids, texts and metadata
//!   seg/<generation>/index.rbq            its vectors
//!   wal/<epoch>-<first sequence>.log      what was committed since
//! ```
//!
//! A write is acknowledged when its log record is fsynced. A checkpoint is committed by creating the next manifest,
//! which must not exist. The newest two checkpoints are kept, with the log after the older one.

mod blocks;
mod bundle;
mod checkpoint;
mod collection;
mod digest;
mod draft;
mod engine;
mod error;
mod files;
mod filter;
mod ids;
mod json;
mod lake;
mod load;
mod lock;
mod manifest;
mod name;
mod options;
mod queue;
mod read;
mod record;
mod rows;
mod sealed;
mod state;
mod suggest;
mod table;
mod threads;
mod value;
mod verify;
mod wal;
mod witness;
mod writer;

pub use bundle::{
    Bundle, Content, Draft, FileEntry, LoadOptions, Loaded, PublishOptions, Role, Signature,
    TABLE_FILE,
};
pub use collection::{Collection, CollectionStats};
pub use error::{Category, Error, Result};
pub use lake::{Lake, LakeOptions};
pub use name::{MAX_NAME, check_name};
pub use options::{CollectionOptions, Durability, Include, IndexChoice, SearchRequest, Selection};
pub use queue::Commit;
pub use read::{Found, Match, Scan};
pub use record::{Batch, MAX_ID_BYTES, MAX_METADATA_BYTES, MAX_TEXT_BYTES, Record};
pub use threads::on_background_thread;
pub use verify::{Problem, VerifyReport};
pub use witness::{Generation, WitnessVersion, Witnessed};
