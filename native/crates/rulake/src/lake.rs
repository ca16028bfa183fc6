//! A directory of collections.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::collection::Collection;
use crate::engine::{Engine, Opened};
use crate::error::IoContext;
use crate::lock::Lock;
use crate::manifest::{FORMAT, Version, now};
use crate::name::check_name;
use crate::options::{CollectionOptions, Settings};
use crate::state::{Shared, State};
use crate::{Error, Result, digest, files, load, sealed};

const LAKE_FILE: &str = "rulake.json";
/// Start of the names of collections on their way out.
const DROPPED: &str = ".dropped-";

/// How a lake is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct LakeOptions {
    /// Without the right to write, and without the lock: the lake is seen as it is now.
    pub read_only: bool,
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
struct Inner {
    /// None in memory.
    path: Option<PathBuf>,
    options: LakeOptions,
    collections: Mutex<HashMap<String, Arc<Engine>>>,
    /// Let go on closing.
    lock: Mutex<Option<Lock>>,
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

/// Places by directory and the way it is opened.
type Places = HashMap<(PathBuf, LakeOptions), Arc<Place>>;

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
            .entry((path.clone(), options))
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
            collections: Mutex::default(),
            lock: Mutex::default(),
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
    pub fn collection(&self, name: &str, options: CollectionOptions) -> Result<Collection> {
        let engine = self.open_inner()?.collection(name, options)?;
        Ok(Collection::new(engine, self.closed.clone()))
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
    /// What the last checkpoint met; everything acknowledged is durable all the same.
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
        // What was acknowledged is durable; a checkpoint that fails now would have been only a convenience.
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
            Some(Lock::acquire(&path)?)
        };
        if !is_lake {
            let content = LakeFile {
                format: FORMAT,
                id: new_id(&path),
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
            for name in files::names(&path)?
                .iter()
                .filter(|name| name.starts_with(DROPPED))
            {
                files::remove_dir(&path.join(name))?;
            }
        }
        Ok(Self {
            path: Some(path),
            options,
            collections: Mutex::default(),
            lock: Mutex::new(lock),
        })
    }

    fn collection(&self, name: &str, options: CollectionOptions) -> Result<Arc<Engine>> {
        check_name(name)?;
        let wanted = Settings::new(options)?;
        // Held while one opens: nobody opens it twice.
        let mut collections = lock(&self.collections);
        if let Some(engine) = collections.get(name) {
            engine
                .settings()
                .check(name, engine.state().dimensions, options)?;
            return Ok(engine.clone());
        }
        let engine = match &self.path {
            None => {
                let mut state = State::empty(Arc::new(Shared::default()));
                state.dimensions = wanted.dimensions;
                let opened = Opened {
                    state,
                    checkpoint: None,
                    epoch: 0,
                    replayed: 0,
                };
                Engine::new(name, None, wanted, false, opened)
            }
            Some(path) => {
                let dir = path.join(name);
                if !load::exists(&dir)? {
                    let known = self.names(&collections)?;
                    if self.options.read_only {
                        return Err(Error::NoCollection {
                            name: name.to_owned(),
                            known,
                        });
                    }
                    if known.iter().any(|other| other.eq_ignore_ascii_case(name)) {
                        let reason =
                            "another collection differs from it only in upper and lower case";
                        return Err(Error::InvalidName {
                            name: name.to_owned(),
                            reason,
                        });
                    }
                    load::create(&dir, name, &wanted)?;
                }
                let (settings, opened) = load::open(&dir, self.options.read_only)?;
                settings.check(name, opened.state.dimensions, options)?;
                Engine::new(name, Some(dir), settings, self.options.read_only, opened)
            }
        };
        let engine = Arc::new(engine);
        collections.insert(name.to_owned(), engine.clone());
        Ok(engine)
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
        // One rename, so that a crash leaves all of it or nothing.
        let doomed = path.join(format!("{DROPPED}{name}-{}", new_id(&dir)));
        std::fs::rename(&dir, &doomed).at(&dir)?;
        files::sync_dir(path)?;
        files::remove_dir(&doomed)?;
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

/// Sixteen bytes nobody else has.
fn new_id(path: &Path) -> String {
    use std::hash::{BuildHasher, RandomState};
    let random = RandomState::new().hash_one(path);
    digest::of_bytes(
        format!(
            "{random} {} {} {}",
            now(),
            std::process::id(),
            path.display()
        )
        .as_bytes(),
    )
    .chars()
    .take(32)
    .collect()
}
