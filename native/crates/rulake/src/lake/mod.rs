//! A directory of collections.

mod inner;
mod replace;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use crate::collection::Collection;
use crate::error::IoContext;
use crate::options::{CollectionOptions, Retention};
use crate::session::Session;
use crate::{CollectionStats, Error, Result, files};

pub(crate) use inner::Inner;
pub(crate) use replace::INCOMING;
pub use replace::Replacement;

/// How a lake is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LakeOptions {
    /// Without the right to write, and without the lock: the lake is seen as it is now.
    pub read_only: bool,
    /// Open damaged collections as far as they are intact; [`Collection::lost`] tells what is not.
    pub recover: bool,
    /// Bytes of texts and metadata that are kept decompressed.
    pub cache_bytes: usize,
    /// Which generations stay readable after newer ones.
    pub retention: Retention,
}

impl Default for LakeOptions {
    fn default() -> Self {
        Self {
            read_only: false,
            recover: false,
            cache_bytes: 64 << 20,
            retention: Retention::default(),
        }
    }
}

impl LakeOptions {
    /// For readers.
    #[must_use]
    pub fn read_only() -> Self {
        Self {
            read_only: true,
            ..Self::default()
        }
    }
}

/// A handle on a lake. Handles on one directory in one process share the lake; it closes with the last of them.
pub struct Lake {
    inner: Arc<Inner>,
    place: Option<Arc<Place>>,
    closed: Arc<AtomicBool>,
}

/// A directory some handle of this process is, or was, on.
#[derive(Default)]
struct Place {
    /// The lake and the number of handles. Locked while it opens or closes, so that nobody meets it halfway.
    lake: Mutex<Option<(Arc<Inner>, usize)>>,
}

/// Places by directory and whether it is only read. The first handle's other options hold for all.
type Places = HashMap<(PathBuf, bool), Arc<Place>>;

static PLACES: LazyLock<Mutex<Places>> = LazyLock::new(Mutex::default);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lake {
    /// Opens a directory, and makes a lake of it if it is missing or empty.
    ///
    /// # Errors
    /// `LAKE_LOCKED`, `NOT_A_LAKE`, `UNSUPPORTED_FORMAT`, `CORRUPT_FILE`, `FILE_NOT_FOUND` (read-only), `IO`.
    pub fn open(path: &Path, options: LakeOptions) -> Result<Self> {
        if !options.read_only {
            files::create_dir(path)?;
        }
        let path = path.canonicalize().at(path)?;
        let place = lock(&PLACES)
            .entry((path.clone(), options.read_only))
            .or_default()
            .clone();
        let mut lake = lock(&place.lake);
        let inner = match &mut *lake {
            Some((inner, handles)) => {
                *handles += 1;
                inner.clone()
            }
            none => {
                let inner = Arc::new(Inner::open(path, options)?);
                *none = Some((inner.clone(), 1));
                inner
            }
        };
        drop(lake);
        Ok(Self {
            inner,
            place: Some(place),
            closed: Arc::default(),
        })
    }

    /// A lake that is gone when it is closed.
    #[must_use]
    pub fn in_memory() -> Self {
        Self {
            inner: Arc::new(Inner::in_memory()),
            place: None,
            closed: Arc::default(),
        }
    }

    fn open_inner(&self) -> Result<&Inner> {
        if self.closed.load(Ordering::Relaxed) {
            Err(Error::Closed { what: "lake" })
        } else {
            Ok(&self.inner)
        }
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.inner.path.as_deref()
    }

    /// Opens a collection, and creates it if it is missing.
    ///
    /// # Errors
    /// `INVALID_NAME`, `COLLECTION_MISMATCH`, `COLLECTION_NOT_FOUND` (read-only), `CLOSED`, `CORRUPT_FILE`, `IO`.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "callers make them for the call"
    )]
    pub fn collection(&self, name: &str, options: CollectionOptions) -> Result<Collection> {
        let engine = self.open_inner()?.collection(name, &options)?;
        Ok(Collection::new(engine, self.closed.clone()))
    }

    /// Begins a session.
    ///
    /// # Errors
    /// `READ_ONLY`, `CLOSED`.
    pub fn session(&self) -> Result<Session> {
        if self.open_inner()?.options.read_only {
            return Err(Error::ReadOnly);
        }
        Ok(Session::new(self.inner.clone()))
    }

    /// What a session sees of a collection, what it has written so far included: a handle for reading.
    ///
    /// # Errors
    /// `CONFLICT` if the collection was dropped or replaced since the session began; `CLOSED`, those of
    /// [`Lake::collection`].
    pub fn view(&self, session: &Session, name: &str) -> Result<Collection> {
        self.open_inner()?;
        let (engine, state) = session.view(name)?;
        Ok(Collection::of_session(engine, self.closed.clone(), state))
    }

    /// Names of the collections, sorted.
    ///
    /// # Errors
    /// `CLOSED`, `IO`.
    pub fn list(&self) -> Result<Vec<String>> {
        self.open_inner()?.list()
    }

    /// Sizes and counts of every collection, by name. Those that are dropped meanwhile are left out.
    ///
    /// # Errors
    /// `CLOSED`, `CORRUPT_FILE`, `IO`.
    pub fn stats(&self) -> Result<Vec<CollectionStats>> {
        let inner = self.open_inner()?;
        let mut all = Vec::new();
        for name in inner.list()? {
            let Some(engine) = inner.existing(&name)? else {
                continue;
            };
            match Collection::new(engine, self.closed.clone()).stats() {
                Err(Error::Dropped { .. }) => {}
                stats => all.push(stats?),
            }
        }
        Ok(all)
    }

    /// Removes a collection and everything in it; `false` if there is none. Handles on it fail with `CLOSED` from then on.
    ///
    /// # Errors
    /// `INVALID_NAME`, `READ_ONLY`, `CLOSED`, `IO`.
    pub fn drop_collection(&self, name: &str) -> Result<bool> {
        self.open_inner()?.drop_collection(name)
    }

    /// Ends the use of this handle and of its collections. Closing twice is harmless.
    ///
    /// # Errors
    /// What the last flush met; everything acknowledged is durable all the same.
    pub fn close(&self) -> Result<()> {
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let Some(place) = &self.place else {
            return self.inner.close();
        };
        let mut lake = lock(&place.lake);
        match &mut *lake {
            Some((inner, handles)) if *handles > 1 && Arc::ptr_eq(inner, &self.inner) => {
                *handles -= 1;
                Ok(())
            }
            Some(_) => {
                let closed = self.inner.close();
                drop(lock(&self.inner.lock).take());
                *lake = None;
                closed
            }
            None => Ok(()),
        }
    }
}

impl Drop for Lake {
    fn drop(&mut self) {
        // What was acknowledged is durable; a flush that fails now would have been only a convenience.
        let _ = self.close();
    }
}
