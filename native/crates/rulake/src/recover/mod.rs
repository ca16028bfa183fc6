//! Opening what is damaged, as far as it is intact. What is damaged is moved into a directory `damaged-<time>`, and told.

mod collection;
mod lake_file;
mod sessions;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::IoContext;
use crate::manifest::now;
use crate::name::check_name;
use crate::{Result, files, load, lock};

use collection::set_aside;

/// Where what is damaged in a directory goes.
fn place(dir: &Path) -> PathBuf {
    dir.join(format!("damaged-{}", now()))
}

/// Moves away what is in the place of the lock's file and nobody can hold: a directory, a link that leads nowhere.
///
/// # Errors
/// `IO`.
pub(crate) fn lock_file(lake: &Path) -> Result<Vec<String>> {
    let path = lake.join(lock::NAME);
    let what = if path.is_dir() {
        "a directory"
    } else if lock::leads_nowhere(&path) {
        "a link that leads nowhere"
    } else {
        return Ok(Vec::new());
    };
    let place = place(lake);
    files::create_dir(&place)?;
    std::fs::rename(&path, place.join(lock::NAME)).at(&path)?;
    Ok(vec![format!("{} was {what}", lock::NAME)])
}

/// What opening a damaged lake has found.
#[derive(Default)]
pub(crate) struct Recovered {
    /// Damage to what belongs to all collections.
    lake: Vec<String>,
    /// By name, of the collections that have been seen to.
    collections: Mutex<HashMap<String, Vec<String>>>,
}

impl Recovered {
    /// Sees to the files that belong to all collections, and to those that they must agree with. `told` is what was found
    /// before.
    ///
    /// # Errors
    /// `IO`, `UNSUPPORTED_FORMAT`.
    pub(crate) fn new(lake: &Path, mut told: Vec<String>) -> Result<Self> {
        told.extend(lake_file::recover(lake)?);
        let mut collections = HashMap::new();
        for name in files::names(lake)? {
            let dir = lake.join(&name);
            if check_name(&name).is_ok()
                && load::exists(&dir).unwrap_or(false)
                && let Ok(lost) = set_aside(&dir)
            {
                collections.insert(name, lost);
            }
        }
        // What collections have lost shows only now.
        told.extend(sessions::recover(lake)?);
        Ok(Self {
            lake: told,
            collections: Mutex::new(collections),
        })
    }

    /// Sees to a collection before it is opened, unless that has been done. Tells what was lost.
    ///
    /// # Errors
    /// Those of [`set_aside`].
    pub(crate) fn collection(&self, name: &str, dir: &Path) -> Result<Vec<String>> {
        let known = self.collections().remove(name);
        let lost = match known {
            Some(lost) => lost,
            None => set_aside(dir)?,
        };
        Ok([self.lake.clone(), lost].concat())
    }

    fn collections(&self) -> MutexGuard<'_, HashMap<String, Vec<String>>> {
        let collections = self.collections.lock();
        collections.unwrap_or_else(PoisonError::into_inner)
    }
}
