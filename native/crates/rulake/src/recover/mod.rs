//! Opening what is damaged, as far as it is intact. What is damaged is moved into a directory `damaged-<time>`, and told.

mod collection;
mod lake_file;
mod sessions;

use std::path::{Path, PathBuf};

use crate::error::IoContext;
use crate::manifest::now;
use crate::{Result, files, lock};

pub(crate) use collection::set_aside;

/// Where what is damaged in a directory goes.
fn place(dir: &Path) -> PathBuf {
    dir.join(format!("damaged-{}", now()))
}

/// Moves away a directory in the place of the lock's file, which nobody can hold.
///
/// # Errors
/// `IO`.
pub(crate) fn lock_file(lake: &Path) -> Result<Vec<String>> {
    let path = lake.join(lock::NAME);
    if !path.is_dir() {
        return Ok(Vec::new());
    }
    let place = place(lake);
    files::create_dir(&place)?;
    std::fs::rename(&path, place.join(lock::NAME)).at(&path)?;
    Ok(vec![format!("{} was a directory", lock::NAME)])
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
