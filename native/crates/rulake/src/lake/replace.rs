//! Putting a collection in the place of another, so that a crash leaves the old or the new one.
//!
//! The new one is made in a directory `.incoming-<ulid>`, which is worth nothing. It and the old one then change places,
//! in one step, which is the commit. Where the system has no such step, renaming it to `.next-<name>` is: from then on
//! every opening for writing puts it in its place, if that was not done before, and readers take it for the collection.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::inner::{check_new, doom};
use super::{Inner, Lake, lock};
use crate::collection::Collection;
use crate::engine::Engine;
use crate::error::IoContext;
use crate::name::check_name;
use crate::options::{CollectionOptions, Settings};
use crate::ulid::Ulid;
use crate::writer::Writer;
use crate::{Error, Result, files, load};

/// Start of the names of collections in the making.
pub(crate) const INCOMING: &str = ".incoming-";
/// Start of the names of collections that are about to get their place.
pub(super) const NEXT: &str = ".next-";

/// A collection that is to take the place of another, or of none. Gone when it is dropped before
/// [`Replacement::commit`].
pub struct Replacement {
    lake: Arc<Inner>,
    lake_closed: Arc<AtomicBool>,
    name: String,
    engine: Arc<Engine>,
    committed: bool,
}

impl Lake {
    /// Begins to make a collection that shall replace the one of a name. That one stays as it is meanwhile.
    ///
    /// # Errors
    /// `INVALID_NAME`, `INVALID_OPTION`, `READ_ONLY`, `CLOSED`, `IO`.
    pub fn replace(&self, name: &str, options: &CollectionOptions) -> Result<Replacement> {
        let inner = self.open_inner()?;
        if inner.options.read_only {
            return Err(Error::ReadOnly);
        }
        Ok(Replacement {
            engine: inner.incoming(name, options)?,
            lake: self.inner.clone(),
            lake_closed: self.closed.clone(),
            name: name.to_owned(),
            committed: false,
        })
    }
}

impl Inner {
    fn incoming(&self, name: &str, options: &CollectionOptions) -> Result<Arc<Engine>> {
        check_name(name)?;
        let settings = Settings::new(options)?;
        let collections = lock(&self.collections);
        check_new(name, &self.names(&collections)?)?;
        drop(collections);
        let Some(path) = &self.path else {
            return Ok(Arc::new(self.engine_in_memory(name, settings)));
        };
        let dir = path.join(format!("{INCOMING}{}", Ulid::unique()));
        load::create(&dir, name, &settings)?;
        Ok(Arc::new(self.engine_at(name, dir, options)?))
    }
}

impl Replacement {
    /// A handle on the collection in the making; it ends with the replacement.
    #[must_use]
    pub fn collection(&self) -> Collection {
        Collection::new(self.engine.clone(), self.lake_closed.clone())
    }

    /// Makes everything durable and puts the collection in its place, at once for everybody. Handles on the one that was
    /// there, and on this one, fail with `CLOSED` from then on.
    ///
    /// # Errors
    /// `IO`, `WRITER_POISONED`, `WRITER_FENCED`, `CLOSED`: the old collection is still there then, unless `IO` came so
    /// late that the next opening completes the change.
    pub fn commit(mut self) -> Result<()> {
        let _no_session = self.lake.markers();
        let mut collections = lock(&self.lake.collections);
        let (Some(lake), Some(dir)) = (&self.lake.path, self.engine.dir()) else {
            let before = collections.insert(self.name.clone(), self.engine.clone());
            self.committed = true;
            if let Some(before) = before {
                before.abandon();
            }
            return Ok(());
        };
        self.engine.on_writer(Writer::settle)??;
        self.engine.close()?;
        self.engine.check_lease()?;
        check_new(&self.name, &self.lake.names(&collections)?)?;
        if let Some(before) = collections.remove(&self.name) {
            before.abandon();
        }
        let place = lake.join(&self.name);
        let replaces = place.exists();
        let in_place = if replaces {
            files::exchange(dir, &place)?
        } else {
            std::fs::rename(dir, &place).at(dir)?;
            true
        };
        if !in_place {
            std::fs::rename(dir, committed(lake, &self.name)).at(dir)?;
        }
        self.committed = true;
        self.engine.mark_dropped();
        files::sync_dir(lake)?;
        if !in_place {
            finish(lake, &self.name)
        } else if replaces {
            files::remove_dir(dir)
        } else {
            Ok(())
        }
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if self.committed {
            return;
        }
        self.engine.abandon();
        if let Some(dir) = self.engine.dir() {
            // What stays is removed by the next opening.
            let _ = files::remove_dir(dir);
        }
    }
}

/// Where a collection is between its commit and its place.
pub(super) fn committed(lake: &Path, name: &str) -> PathBuf {
    lake.join(format!("{NEXT}{name}"))
}

/// Puts a committed collection in its place.
fn finish(lake: &Path, name: &str) -> Result<()> {
    let (dir, next) = (lake.join(name), committed(lake, name));
    let doomed = if dir.exists() {
        Some(doom(lake, name)?)
    } else {
        None
    };
    std::fs::rename(&next, &dir).at(&next)?;
    files::sync_dir(lake)?;
    match doomed {
        Some(doomed) => files::remove_dir(&doomed),
        None => Ok(()),
    }
}

/// Completes what a crash has interrupted, and removes what was not committed.
pub(super) fn finish_all(lake: &Path) -> Result<()> {
    for entry in files::names(lake)? {
        if let Some(name) = entry.strip_prefix(NEXT)
            && check_name(name).is_ok()
        {
            finish(lake, name)?;
        } else if entry.starts_with(INCOMING) {
            files::remove_dir(&lake.join(entry))?;
        }
    }
    Ok(())
}
