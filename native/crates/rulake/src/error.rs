//! Everything that can go wrong in this crate.

use std::path::{Path, PathBuf};

/// The result of a fallible operation of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// How an error behaves over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// May pass if tried again.
    Transient,
    /// Needs a change by the caller.
    Permanent,
    /// Something outside the process: disk, memory.
    Infrastructure,
}

/// Why an operation on a lake was refused or failed. A refused operation has changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process holds the writer's lock.
    #[error("{path} is open for writing by {holder}")]
    Locked {
        /// The lake.
        path: PathBuf,
        /// Process, host and time, as far as the holder has noted them.
        holder: String,
    },
    /// A directory with content that is not a lake.
    #[error("{path} is not a lake: {reason}")]
    NotALake {
        /// The directory.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// A file of a later format version.
    #[error("{path}: {reason}")]
    UnsupportedFormat {
        /// The file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// A file whose bytes are not what was written.
    #[error("{path}: {reason}")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Which part, expected, found.
        reason: String,
    },
    /// A collection none of whose generations is as it was written.
    #[error("{path}: no generation is intact: {reason}")]
    Unrecoverable {
        /// Its directory.
        path: PathBuf,
        /// What is wrong with the newest one.
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
    /// A write or fsync failed earlier; what the disk holds is known again only after reopening.
    #[error("collection '{collection}' accepts no writes since an earlier one failed: {reason}")]
    Poisoned {
        /// The collection.
        collection: String,
        /// The first failure.
        reason: String,
    },
    /// The writer's lock turned out to be lost, so another writer may be at work.
    #[error("{path}: the right to write was lost: {reason}")]
    Fenced {
        /// The file of the lock.
        path: PathBuf,
        /// What became of it.
        reason: String,
    },
    /// Another writer has changed a record that a session is about.
    #[error("record {id:?} of collection '{collection}' was changed while the session was open")]
    Conflict {
        /// The collection.
        collection: String,
        /// The record.
        id: String,
    },
    /// A session is about a collection that is no more.
    #[error("collection '{collection}' was dropped or replaced since the session began")]
    Superseded {
        /// The collection.
        collection: String,
    },
    /// A state that is not kept, or never was.
    #[error("collection '{collection}' has no snapshot {snapshot}")]
    NoSnapshot {
        /// The collection.
        collection: String,
        /// What was asked for.
        snapshot: String,
    },
    /// A name no collection may have.
    #[error("'{name}' cannot name a collection: {reason}")]
    InvalidName {
        /// The name.
        name: String,
        /// The rule it breaks.
        reason: &'static str,
    },
    /// The collection does not exist and may not be created.
    #[error(
        "there is no collection '{name}'{}",
        crate::suggest::did_you_mean(name, known)
    )]
    NoCollection {
        /// The name.
        name: String,
        /// Collections there are.
        known: Vec<String>,
    },
    /// The collection exists with another shape than asked for.
    #[error("collection '{collection}' has {option} {stored}, not {asked}")]
    Mismatch {
        /// The collection.
        collection: String,
        /// The option in question.
        option: &'static str,
        /// What is stored.
        stored: String,
        /// What was asked for.
        asked: String,
    },
    /// An id that is empty or too long.
    #[error("record {row}: {reason}")]
    InvalidId {
        /// Position of the record in the call.
        row: usize,
        /// The rule it breaks.
        reason: String,
    },
    /// Metadata that is not a JSON object, or larger than allowed.
    #[error("record {row}: {reason}")]
    InvalidRecord {
        /// Position of the record in the call.
        row: usize,
        /// What is wrong.
        reason: String,
    },
    /// A filter that cannot be understood.
    #[error("invalid filter at {at}: {reason}")]
    InvalidFilter {
        /// Where, as a path into the filter.
        at: String,
        /// What is wrong there.
        reason: String,
    },
    /// An option with a value outside its range.
    #[error("option {option}: {reason}")]
    InvalidOption {
        /// The option's public name.
        option: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// One atomic batch larger than a log record can be.
    #[error("a batch of {bytes} bytes is larger than the {max} one atomic batch may have")]
    BatchTooLarge {
        /// Size of the batch.
        bytes: u64,
        /// Largest size.
        max: u64,
    },
    /// A bundle whose description is not what its witness was made of.
    #[error("{path}: the {what} is {found}, the bundle states {stated}")]
    WitnessMismatch {
        /// The description.
        path: PathBuf,
        /// Which of its digests.
        what: &'static str,
        /// What the description states.
        stated: String,
        /// What its fields give.
        found: String,
    },
    /// A bundle with a file that is, or could be, elsewhere.
    #[error("{path}: {reason}")]
    UnsafeBundle {
        /// The file.
        path: PathBuf,
        /// Why it is not opened.
        reason: String,
    },
    /// A bundle that states no digest of its vectors.
    #[error(
        "{path} lists no digests, so nobody can tell whether its vectors are what was published"
    )]
    ContentUnverified {
        /// The description.
        path: PathBuf,
    },
    /// More bytes than the caller wants in memory.
    #[error("{path}: {bytes} bytes to read, more than the {max} allowed")]
    BundleTooLarge {
        /// The description or the file.
        path: PathBuf,
        /// Bytes there are.
        bytes: u64,
        /// Bytes allowed.
        max: u64,
    },
    /// Somebody else is publishing into the directory.
    #[error("another bundle is being published into {path}")]
    BundleLocked {
        /// The directory.
        path: PathBuf,
    },
    /// A write through a handle opened read-only.
    #[error("the lake was opened read-only")]
    ReadOnly,
    /// The handle was closed.
    #[error("the {what} is closed")]
    Closed {
        /// `lake` or `collection`.
        what: &'static str,
    },
    /// The collection is no more, by whatever handle or process.
    #[error("collection '{collection}' was dropped or replaced")]
    Dropped {
        /// The collection.
        collection: String,
    },
    /// A defect of this crate.
    #[error("internal error: {0}")]
    Internal(String),
    /// The index refused or failed.
    #[error(transparent)]
    Index(#[from] rabitq::Error),
}

impl From<mapping::Torn> for Error {
    fn from(torn: mapping::Torn) -> Self {
        Self::corrupt(&torn.path, mapping::Torn::REASON)
    }
}

impl Error {
    /// Stable code, the same that JavaScript sees.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Locked { .. } => "LAKE_LOCKED",
            Self::NotALake { .. } => "NOT_A_LAKE",
            Self::UnsupportedFormat { .. } => "UNSUPPORTED_FORMAT",
            Self::Corrupt { .. } | Self::Unrecoverable { .. } => "CORRUPT_FILE",
            Self::Io { source, .. } => match source.kind() {
                std::io::ErrorKind::NotFound => "FILE_NOT_FOUND",
                _ => "IO",
            },
            Self::Poisoned { .. } => "WRITER_POISONED",
            Self::Fenced { .. } => "WRITER_FENCED",
            Self::Conflict { .. } | Self::Superseded { .. } => "CONFLICT",
            Self::NoSnapshot { .. } => "SNAPSHOT_NOT_FOUND",
            Self::InvalidName { .. } => "INVALID_NAME",
            Self::NoCollection { .. } => "COLLECTION_NOT_FOUND",
            Self::Mismatch { .. } => "COLLECTION_MISMATCH",
            Self::InvalidId { .. } => "INVALID_ID",
            Self::InvalidRecord { .. } => "INVALID_RECORD",
            Self::InvalidFilter { .. } => "INVALID_FILTER",
            Self::InvalidOption { .. } => "INVALID_OPTION",
            Self::BatchTooLarge { .. } => "BATCH_TOO_LARGE",
            Self::WitnessMismatch { .. } => "WITNESS_MISMATCH",
            Self::UnsafeBundle { .. } => "UNSAFE_BUNDLE",
            Self::ContentUnverified { .. } => "CONTENT_UNVERIFIED",
            Self::BundleTooLarge { .. } => "BUNDLE_TOO_LARGE",
            Self::BundleLocked { .. } => "BUNDLE_LOCKED",
            Self::ReadOnly => "READ_ONLY",
            Self::Closed { .. } | Self::Dropped { .. } => "CLOSED",
            Self::Internal(_) => "INTERNAL",
            Self::Index(error) => error.code(),
        }
    }

    /// See [`Category`].
    #[must_use]
    pub fn category(&self) -> Category {
        match self {
            Self::Locked { .. }
            | Self::BundleLocked { .. }
            | Self::Conflict { .. }
            | Self::Superseded { .. } => Category::Transient,
            Self::Io { .. }
            | Self::Poisoned { .. }
            | Self::Fenced { .. }
            | Self::Index(rabitq::Error::Io { .. }) => Category::Infrastructure,
            _ => Category::Permanent,
        }
    }

    /// What to do about it, where that is not plain from the message.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Locked { .. } => {
                "One process may write at a time: close the other one, or open with { readOnly: true }."
            }
            Self::Conflict { .. } | Self::Superseded { .. } => {
                "Run the session again, with withRetry() for instance: it then sees what was committed meanwhile."
            }
            Self::NoSnapshot { .. } => {
                "history() lists the snapshots there are; open the lake with { retain } to keep more."
            }
            Self::NotALake { .. } => {
                "Give the path of a lake, or of a missing or empty directory; if it is a lake that has lost its rulake.json, open it with { recover: true }."
            }
            Self::Poisoned { .. } => {
                "Check the disk, then close and open the lake again; everything acknowledged is kept."
            }
            Self::Fenced { .. } => {
                "Somebody removed or replaced the lock, or its file system has none: make sure that one process writes, then close and open the lake again."
            }
            Self::Corrupt { .. } => {
                "Restore the file from a backup, or open with { recover: true }; verify() lists every damage."
            }
            Self::Unrecoverable { .. } => {
                "Restore the collection from a backup; its files are as they were found."
            }
            Self::Dropped { .. } => {
                "lake.collection() opens what has its name now; lake.list() tells whether there is one."
            }
            Self::BatchTooLarge { .. } => {
                "Pass the records as a generator: they are then committed in several batches."
            }
            Self::InvalidRecord { .. } => {
                "Metadata must be a JSON object, with objects and arrays at most 128 deep."
            }
            Self::WitnessMismatch { .. } | Self::UnsafeBundle { .. } => {
                "Somebody changed the bundle, or it was not copied whole: get it again from its publisher."
            }
            Self::ContentUnverified { .. } => {
                "Bundles of upstream's crates are like that: pass { allowUnverified: true } if you trust the directory."
            }
            Self::BundleTooLarge { .. } => "Raise maxBytes if the machine has the memory.",
            Self::BundleLocked { .. } => {
                "Wait until it is done, or publish into another directory."
            }
            Self::UnsupportedFormat { .. } => "It was written by a newer version: update rulake.",
            _ => return None,
        })
    }

    pub(crate) fn corrupt(path: &Path, reason: impl Into<String>) -> Self {
        Self::Corrupt {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }

    /// As a session tells it: that a collection is no more passes when the session is run again.
    pub(crate) fn in_session(self) -> Self {
        match self {
            Self::Dropped { collection } => Self::Superseded { collection },
            other => other,
        }
    }

    /// What a file that is missing means to those outside of a collection: that it is damaged. Within, a writer in another
    /// process may have removed it.
    pub(crate) fn in_collection(self) -> Self {
        match self {
            Self::Io { path, source } | Self::Index(rabitq::Error::Io { path, source })
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                Self::corrupt(&path, "it is missing")
            }
            Self::Index(rabitq::Error::Corrupt { path, reason }) => Self::Corrupt { path, reason },
            other => other,
        }
    }

    /// The same failure for one more caller: the writer answers every write of a group that failed together.
    pub(crate) fn again(&self) -> Self {
        match self {
            Self::Io { path, source } | Self::Index(rabitq::Error::Io { path, source }) => {
                Self::Io {
                    path: path.clone(),
                    source: std::io::Error::new(source.kind(), source.to_string()),
                }
            }
            Self::Fenced { path, reason } => Self::Fenced {
                path: path.clone(),
                reason: reason.clone(),
            },
            Self::Corrupt { path, reason }
            | Self::Index(rabitq::Error::Corrupt { path, reason }) => Self::corrupt(path, reason),
            Self::Poisoned { collection, reason } => Self::Poisoned {
                collection: collection.clone(),
                reason: reason.clone(),
            },
            Self::Closed { what } => Self::Closed { what },
            Self::Dropped { collection } => Self::Dropped {
                collection: collection.clone(),
            },
            other => Self::Internal(other.to_string()),
        }
    }
}

/// Attaches the path an operating-system call was about.
pub(crate) trait IoContext<T> {
    fn at(self, path: &Path) -> Result<T>;
}

impl<T> IoContext<T> for std::io::Result<T> {
    fn at(self, path: &Path) -> Result<T> {
        self.map_err(|source| Error::Io {
            path: path.to_owned(),
            source,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_with_others_is_told_the_same() {
        let path = Path::new("a");
        let source = || std::io::Error::from(std::io::ErrorKind::StorageFull);
        let collection = || "docs".to_owned();
        for error in [
            Error::Io {
                path: path.into(),
                source: source(),
            },
            Error::Index(rabitq::Error::Io {
                path: path.into(),
                source: source(),
            }),
            Error::corrupt(path, "why"),
            Error::Fenced {
                path: path.into(),
                reason: "why".into(),
            },
            Error::Poisoned {
                collection: collection(),
                reason: "why".into(),
            },
            Error::Closed { what: "lake" },
            Error::Dropped {
                collection: collection(),
            },
        ] {
            let again = error.again();
            assert_eq!(
                (again.code(), again.category(), again.to_string()),
                (error.code(), error.category(), error.to_string())
            );
        }
    }
}
