//! The write-ahead log: what has been acknowledged since the newest generation.
//!
//! A log file is named `<epoch>-<first sequence>.log`. Its header is 32 bytes, little-endian like everything here:
//! magic `RLWAL\0\0\1`, epoch u64, first sequence u64, owner u32, crc32c of all that u32. Records follow:
//!
//! | bytes | |
//! |---|---|
//! | 4 | magic `RLwr` |
//! | 4 | length of the payload |
//! | 4 | crc32c of the 28 bytes after it, the payload, and the length |
//! | 4 | kind: 0 mark, 1 change |
//! | 8 | sequence: 1 + that of the record before; a mark repeats it |
//! | 8 | watermark: every record up to this sequence had been fsynced when this one was written |
//! | 8 | when it was committed, in milliseconds since 1970; 0 for a mark |
//! | n | payload |
//!
//! A **mark** has no payload. One is written, and not fsynced, after every fsync: it tells a record that was
//! acknowledged from one that was not. When a log ends in a bad record, a crash is the explanation only if no later
//! record vouches for it, that is, has a watermark at or above its sequence; then the tail is cut off. Otherwise the
//! bad record is damage and reported as such. Only the last log may end in a bad record, and one that a writer was still
//! at work on when another took over: what it has from where the log of a later epoch begins counts for nothing.

mod coverage;
mod log;
mod payload;
mod reach;
mod record;
mod replay;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub(crate) use coverage::Coverage;
pub(crate) use log::{Log, LogHeader, owner, owner_in};
pub(crate) use payload::{Change, Membership, change_len, decode, encode, session_of};
pub(crate) use reach::{Reach, reach_path};
pub(crate) use record::MAX_PAYLOAD;
pub(crate) use replay::{Intact, Tail, ends_by, fence, intact, list, read_log, settle};

/// Where a collection keeps its logs.
pub(crate) fn dir(collection: &Path) -> PathBuf {
    collection.join("wal")
}
