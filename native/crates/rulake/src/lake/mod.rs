//! A directory of collections.

mod replace;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, RwLock, RwLockWriteGuard, Weak};

use serde::{Deserialize, Serialize};

use crate::collection::Collection;
use crate::engine::{Engine, Opened};
use crate::error::IoContext;
use crate::lock::Lock;
use crate::manifest::{FORMAT, Version, now};
use crate::markers::{self, Markers};
use crate::name::check_name;
use crate::options::{CollectionOptions, Retention, Settings};
use crate::segment::BlockCache;
use crate::session::Session;
use crate::state::{Shared, State};
use crate::ulid::Ulid;
use crate::{Error, Result, files, load, recover, sealed, ulid};

pub use replace::Replacement;

const LAKE_FILE: &str = "rulake.json";
/// Start of the names of collections on their way out.
const DROPPED: &str = ".dropped-";

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

/// `rulake.json`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LakeFile {
    format: u32,
    id: String,
    /// Milliseconds since 1970.
    created: u64,
}

/// A lake that is open, whatever the number of handles on it.
pub(crate) struct Inner {
    /// None in memory.
    path: Option<PathBuf>,
    options: LakeOptions,
    /// Shared by all collections.
    cache: Arc<BlockCache>,
    collections: Mutex<HashMap<String, Arc<Engine>>>,
    /// Let go on closing.
    lock: Mutex<Option<Arc<Lock>>>,
    /// Held while a session over several collections commits; `None` in memory.
    markers: Mutex<Option<Markers>>,
    /// Closed while such a session becomes visible.
    gate: RwLock<()>,
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
        let inner = Inner {
            path: None,
            options: LakeOptions::default(),
            cache: Arc::new(BlockCache::new(0)),
            collections: Mutex::default(),
            lock: Mutex::default(),
            markers: Mutex::default(),
            gate: RwLock::default(),
        };
        Self {
            inner: Arc::new(inner),
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
    /// `CLOSED`, those of [`Lake::collection`].
    pub fn view(&self, session: &Session, name: &str) -> Result<Collection> {
        self.open_inner()?;
        let (engine, state) = session.view(name)?;
        Ok(Collection::new(engine, self.closed.clone()).pinned(state))
    }

    /// Names of the collections, sorted.
    ///
    /// # Errors
    /// `CLOSED`, `IO`.
    pub fn list(&self) -> Result<Vec<String>> {
        self.open_inner()?.list()
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

impl Inner {
    fn open(path: PathBuf, options: LakeOptions) -> Result<Self> {
        let file = path.join(LAKE_FILE);
        let is_lake = file.exists();
        if !is_lake {
            let others = files::names(&path)?;
            let foreign = others
                .iter()
                .find(|name| *name != "LOCK" && !name.starts_with(files::DRAFT));
            if options.read_only || foreign.is_some() {
                let reason = match foreign {
                    Some(name) => {
                        format!("it has no {LAKE_FILE} but other files, '{name}' for one")
                    }
                    None => format!("it has no {LAKE_FILE}"),
                };
                return Err(Error::NotALake { path, reason });
            }
        }
        let lock = if options.read_only {
            None
        } else {
            Some(Arc::new(Lock::acquire(&path)?))
        };
        if !is_lake {
            let content = LakeFile {
                format: FORMAT,
                id: Ulid::unique().to_string(),
                created: now(),
            };
            files::create_new(&file, &sealed::seal(&content)?.0)?;
        }
        let bytes = std::fs::read(&file).at(&file)?;
        let (version, _): (Version, _) = sealed::unseal(&file, &bytes)?;
        if version.format > FORMAT {
            let reason = format!(
                "lake format {} is newer than the {FORMAT} this version of rulake reads",
                version.format
            );
            return Err(Error::UnsupportedFormat { path: file, reason });
        }
        let _: (LakeFile, _) = sealed::unseal(&file, &bytes)?;
        if !options.read_only {
            files::remove_drafts(&path)?;
            replace::finish_all(&path)?;
            markers::prune(&path)?;
            for name in files::names(&path)?
                .iter()
                .filter(|name| name.starts_with(DROPPED))
            {
                files::remove_dir(&path.join(name))?;
            }
        }
        Ok(Self {
            markers: Mutex::new(Some(Markers::new(&path))),
            gate: RwLock::default(),
            path: Some(path),
            options,
            cache: Arc::new(BlockCache::new(options.cache_bytes)),
            collections: Mutex::default(),
            lock: Mutex::new(lock),
        })
    }

    /// The newest states of the collections that are open, as of one moment.
    pub(crate) fn states(&self) -> HashMap<String, Arc<State>> {
        let _gate = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        lock(&self.collections)
            .iter()
            .map(|(name, engine)| (name.clone(), engine.state()))
            .collect()
    }

    pub(crate) fn markers(&self) -> MutexGuard<'_, Option<Markers>> {
        lock(&self.markers)
    }

    /// Keeps sessions from beginning.
    pub(crate) fn close_gate(&self) -> RwLockWriteGuard<'_, ()> {
        self.gate.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn collection(
        &self,
        name: &str,
        options: &CollectionOptions,
    ) -> Result<Arc<Engine>> {
        check_name(name)?;
        let wanted = Settings::new(options)?;
        // Held while one opens: nobody opens it twice.
        let mut collections = lock(&self.collections);
        // What a reader has found to be replaced is opened anew.
        if let Some(engine) = collections.get(name)
            && !engine.is_dropped()
        {
            engine
                .settings()
                .check(name, engine.state().dimensions, options)?;
            return Ok(engine.clone());
        }
        let engine = match &self.path {
            None => self.engine_in_memory(name, wanted),
            Some(path) => {
                let mut dir = path.join(name);
                if !load::exists(&dir)? {
                    let known = self.names(&collections)?;
                    let replacement = replace::committed(path, name);
                    if self.options.read_only && load::exists(&replacement)? {
                        dir = replacement;
                    } else if self.options.read_only {
                        return Err(Error::NoCollection {
                            name: name.to_owned(),
                            known,
                        });
                    } else {
                        check_new(name, &known)?;
                        load::create(&dir, name, &wanted)?;
                    }
                }
                self.engine_at(name, dir, options)?
            }
        };
        let engine = Arc::new(engine);
        collections.insert(name.to_owned(), engine.clone());
        Ok(engine)
    }

    fn engine_in_memory(&self, name: &str, settings: Settings) -> Engine {
        let shared = Shared::new(ulid::random(), self.cache.clone());
        let mut state = State::empty(Arc::new(shared));
        state.dimensions = settings.dimensions;
        let opened = Opened {
            state,
            head: None,
            epoch: 0,
            lease: None,
            replayed: 0,
            lost: Vec::new(),
        };
        Engine::new(name, None, settings, (false, Retention::default()), opened)
    }

    /// Opens what a directory holds.
    fn engine_at(&self, name: &str, dir: PathBuf, options: &CollectionOptions) -> Result<Engine> {
        let LakeOptions {
            read_only,
            recover,
            retention,
            ..
        } = self.options;
        let lost = if recover && !read_only {
            recover::set_aside(&dir)?
        } else {
            Vec::new()
        };
        let (settings, mut opened) = load::open(&dir, &self.cache, read_only)?;
        opened.lost = lost;
        opened.lease = Some(
            lock(&self.lock)
                .as_ref()
                .map_or_else(Weak::new, Arc::downgrade),
        )
        .filter(|_| !read_only);
        settings.check(name, opened.state.dimensions, options)?;
        Ok(Engine::new(
            name,
            Some(dir),
            settings,
            (read_only, retention),
            opened,
        ))
    }

    fn list(&self) -> Result<Vec<String>> {
        self.names(&lock(&self.collections))
    }

    fn names(&self, open: &HashMap<String, Arc<Engine>>) -> Result<Vec<String>> {
        let mut names = Vec::new();
        match &self.path {
            None => names.extend(open.keys().cloned()),
            Some(path) => {
                for name in files::names(path)? {
                    if check_name(&name).is_ok() && load::exists(&path.join(&name))? {
                        names.push(name);
                    }
                }
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn drop_collection(&self, name: &str) -> Result<bool> {
        check_name(name)?;
        if self.options.read_only {
            return Err(Error::ReadOnly);
        }
        let mut collections = lock(&self.collections);
        let open = collections.remove(name);
        if let Some(engine) = &open {
            engine.abandon();
        }
        let Some(path) = &self.path else {
            return Ok(open.is_some());
        };
        let dir = path.join(name);
        if !load::exists(&dir)? {
            return Ok(false);
        }
        files::remove_dir(&doom(path, name)?)?;
        Ok(true)
    }

    fn close(&self) -> Result<()> {
        let mut first = Ok(());
        for (_, engine) in lock(&self.collections).drain() {
            first = first.and(engine.close());
            if self.path.is_none() {
                // Handles on it may live on for long; nothing else refers to what it held.
                let shared = engine.state().shared.clone();
                engine.publish(State::empty(shared));
            }
        }
        first
    }
}

/// Whether a collection may be made beside others.
fn check_new(name: &str, known: &[String]) -> Result<()> {
    let mut others = known.iter().filter(|other| *other != name);
    if others.any(|other| other.eq_ignore_ascii_case(name)) {
        return Err(Error::InvalidName {
            name: name.to_owned(),
            reason: "another collection differs from it only in upper and lower case",
        });
    }
    Ok(())
}

/// Takes a collection out of the lake: one rename, so that a crash leaves all of it or nothing. Gives what to remove.
fn doom(lake: &Path, name: &str) -> Result<PathBuf> {
    let dir = lake.join(name);
    let doomed = lake.join(format!("{DROPPED}{name}-{}", Ulid::unique()));
    std::fs::rename(&dir, &doomed).at(&dir)?;
    files::sync_dir(lake)?;
    Ok(doomed)
}
