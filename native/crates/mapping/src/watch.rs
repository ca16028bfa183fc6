//! Whether bytes were lost while something was done with them.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{Ordering, fence};

use crate::slots;

/// A piece of work that reads mappings: begun before the first is read, asked before its result is used.
#[derive(Clone, Copy, Debug)]
pub struct Watch(u64);

impl Watch {
    /// Begins now.
    #[must_use]
    pub fn begin() -> Self {
        Self(slots::tears())
    }

    /// Whether all that was read since is what the files had, whoever read it.
    ///
    /// # Errors
    /// The file that has lost something.
    pub fn check(self) -> Result<(), Torn> {
        // What was read must have been read before this asks.
        fence(Ordering::SeqCst);
        if slots::tears() == self.0 {
            return Ok(());
        }
        let torn = slots::all().filter(|slot| slot.tear() > self.0);
        let last = torn.max_by_key(|slot| slot.tear());
        Err(Torn {
            path: last.map_or_else(PathBuf::new, slots::Slot::path),
        })
    }
}

/// A mapped file has lost bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    /// The file.
    pub path: PathBuf,
}

impl Torn {
    /// What is wrong with the file.
    pub const REASON: &'static str =
        "bytes were lost while it was open: another program has cut it short, or the disk fails";
}

impl fmt::Display for Torn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), Self::REASON)
    }
}

impl std::error::Error for Torn {}
