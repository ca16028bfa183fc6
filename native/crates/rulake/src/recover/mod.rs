//! Opening what is damaged, as far as it is intact. What is damaged is moved into a directory `damaged-<time>`, and told.

mod collection;
mod lake_file;
mod sessions;

use std::path::{Path, PathBuf};

use crate::Result;
use crate::manifest::now;

pub(crate) use collection::set_aside;

/// Where what is damaged in a directory goes.
fn place(dir: &Path) -> PathBuf {
    dir.join(format!("damaged-{}", now()))
}

/// Sees to the files that belong to all collections. Tells what was damaged; nothing if nothing was.
///
/// # Errors
/// `IO`, `UNSUPPORTED_FORMAT`.
pub(crate) fn lake(dir: &Path) -> Result<Vec<String>> {
    let mut told = lake_file::recover(dir)?;
    told.extend(sessions::recover(dir)?);
    Ok(told)
}
