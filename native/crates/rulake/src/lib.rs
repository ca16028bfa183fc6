//! Durable collections of vectors, texts and metadata in a directory.
//!
//! ```text
//! rulake.json                               format version and id of the lake
//! LOCK                                      held by the one process that writes
//! .sessions/<epoch>-1.log                   which sessions over several collections were committed
//! <collection>/
//!   manifest/<20-digit generation>.json     every file with length and SHAKE-256, digest of the manifest before
//!   seg/<ulid>/rows.arrow                   ids, texts, metadata of a run of records: an Arrow IPC file
//!   seg/<ulid>/rows.idx                     where in it a record is: by id, by row number, by position
//!   seg/<ulid>/index.rbq                    its vectors, raw and as codes
//!   seg/<ulid>/filter.rbm                   which of them have which metadata
//!   seg/<ulid>/deletes-<generation>.rbm     which of them are gone
//!   wal/<epoch>-<first sequence>.log        what was committed since
//!   wal/reach.json                          the newest log, and how far it reaches at least; in `.sessions`, too
//! ```
//!
//! A write is acknowledged when its log record is fsynced. The newest records are in memory as well, and become a
//! segment when there are many of them; segments are merged. A generation is committed by creating the next manifest,
//! which must not exist. Old generations are kept for a while, with the log after the oldest.

mod arrow_scan;
mod batch;
mod blocks;
mod bundle;
mod collection;
mod compact;
mod digest;
mod draft;
mod engine;
mod error;
mod explain;
mod files;
mod filter;
mod filter_index;
mod flush;
mod grouping;
mod history;
mod ids;
mod json;
mod lake;
mod lake_file;
mod load;
mod lock;
mod manifest;
mod markers;
mod memtable;
mod name;
mod options;
mod pieces;
mod pin;
mod queue;
mod read;
mod record;
mod recover;
mod refresh;
mod replay;
mod retention;
mod scan;
mod sealed;
mod segment;
mod select;
mod session;
mod snapshot;
mod state;
mod suggest;
mod table;
mod threads;
mod throttle;
mod ulid;
mod value;
mod verify;
mod view;
mod wal;
mod witness;
mod writer;

pub use batch::Batch;
pub use bundle::{
    Bundle, Content, Draft, FileEntry, LoadOptions, Loaded, PublishOptions, Role, Signature,
    TABLE_FILE,
};
pub use collection::{Collection, CollectionStats};
pub use error::{Category, Error, Result};
pub use explain::{PartPlan, PartSearch, Plan};
pub use history::HistoryEntry;
pub use lake::{Lake, LakeOptions, Replacement};
pub use name::{MAX_NAME, check_name};
pub use options::{
    CollectionOptions, Durability, Include, IndexChoice, Retention, SearchRequest, Selection,
};
pub use queue::Commit;
pub use read::{Found, Match};
pub use record::{MAX_ID_BYTES, MAX_METADATA_BYTES, MAX_TEXT_BYTES};
pub use scan::Scan;
pub use session::Session;
pub use snapshot::SnapshotId;
pub use threads::{BackgroundThread, on_background_thread};
pub use verify::{Problem, VerifyReport};
pub use witness::{Generation, WitnessVersion, Witnessed};
