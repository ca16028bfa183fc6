//! A lake that is open.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockWriteGuard, Weak};

use super::{LakeOptions, lock, replace};
use crate::engine::{Engine, Opened};
use crate::error::IoContext;
use crate::lock::{self, Lock};
use crate::markers::{self, Markers};
use crate::name::check_name;
use crate::options::{CollectionOptions, Retention, Settings};
use crate::recover::{self, Recovered};
use crate::segment::BlockCache;
use crate::state::{Shared, State};
use crate::ulid::Ulid;
use crate::{Error, Result, files, lake_file, load, ulid};

/// Times a reader tries again before it takes something for damage.
const RETRIES: u32 = 3;

/// Start of the names of collections on their way out.
const DROPPED: &str = ".dropped-";

/// A lake that is open, whatever the number of handles on it.
pub(crate) struct Inner {
    /// None in memory.
    pub(super) path: Option<PathBuf>,
    pub(super) options: LakeOptions,
    /// Shared by all collections.
    pub(super) cache: Arc<BlockCache>,
    pub(super) collections: Mutex<HashMap<String, Arc<Engine>>>,
    /// Let go on closing.
    pub(super) lock: Mutex<Option<Arc<Lock>>>,
    /// Held while a session over several collections commits, and, before `collections`, by whoever ends writers: theirs
    /// may be waiting for what such a session decides. `None` in memory.
    pub(super) markers: Mutex<Option<Markers>>,
    /// Closed while such a session becomes visible.
    pub(super) gate: RwLock<()>,
    /// What recovery has found, if that was asked for.
    pub(super) recovered: Option<Recovered>,
}

impl Inner {
    pub(super) fn in_memory() -> Self {
        Self {
            path: None,
            options: LakeOptions::default(),
            cache: Arc::new(BlockCache::new(0)),
            collections: Mutex::default(),
            lock: Mutex::default(),
            markers: Mutex::default(),
            gate: RwLock::default(),
            recovered: None,
        }
    }

    /// Opens a directory, and makes a lake of it if it is empty.
    pub(super) fn open(path: PathBuf, options: LakeOptions) -> Result<Self> {
        if !lake_file::path(&path).exists() && !options.recover {
            check_empty(&path, options.read_only)?;
        }
        let recovers = options.recover && !options.read_only;
        let told = if recovers {
            recover::lock_file(&path)?
        } else {
            Vec::new()
        };
        let lock = if options.read_only {
            None
        } else {
            Some(Arc::new(Lock::acquire(&path)?))
        };
        let recovered = if recovers {
            Some(Recovered::new(&path, told)?)
        } else {
            None
        };
        if !lake_file::path(&path).exists() {
            check_empty(&path, options.read_only)?;
            if !options.read_only {
                lake_file::create(&path)?;
            }
        }
        lake_file::check(&path)?;
        if !options.read_only {
            take_over(&path)?;
        }
        Ok(Self {
            markers: Mutex::new(Some(Markers::new(&path))),
            gate: RwLock::default(),
            path: Some(path),
            options,
            cache: Arc::new(BlockCache::new(options.cache_bytes)),
            collections: Mutex::default(),
            lock: Mutex::new(lock),
            recovered,
        })
    }

    /// The collections that are open, and their newest states, as of one moment.
    pub(crate) fn states(&self) -> HashMap<String, (Arc<Engine>, Arc<State>)> {
        let _gate = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        lock(&self.collections)
            .iter()
            .map(|(name, engine)| (name.clone(), (engine.clone(), engine.state())))
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
        self.find_or_create(name, options, load::create)
    }

    /// The collection of a name that a session writes to; one that it makes is there once the session has happened.
    pub(crate) fn collection_for_session(&self, name: &str) -> Result<Arc<Engine>> {
        self.find_or_create(
            name,
            &CollectionOptions::default(),
            load::create_for_session,
        )
    }

    fn find_or_create(
        &self,
        name: &str,
        options: &CollectionOptions,
        create: impl FnOnce(&Path, &str, &Settings) -> Result<()>,
    ) -> Result<Arc<Engine>> {
        check_name(name)?;
        let wanted = Settings::new(options)?;
        // Held while one opens: nobody opens it twice.
        let mut collections = lock(&self.collections);
        if let Some(engine) = self.find(&mut collections, name, options)? {
            return Ok(engine);
        }
        let engine = match &self.path {
            None => self.engine_in_memory(name, wanted),
            Some(path) => {
                let mut known = self.names(&collections)?;
                if self.options.read_only {
                    // It may have been made a moment ago.
                    known.retain(|other| other != name);
                    return Err(Error::NoCollection {
                        name: name.to_owned(),
                        known,
                    });
                }
                check_new(name, &known)?;
                self.check_lock()?;
                let dir = path.join(name);
                create(&dir, name, &wanted)?;
                self.engine_at(name, dir, options)?
            }
        };
        let engine = Arc::new(engine);
        collections.insert(name.to_owned(), engine.clone());
        Ok(engine)
    }

    /// The collection of a name, if there is one.
    pub(crate) fn existing(&self, name: &str) -> Result<Option<Arc<Engine>>> {
        check_name(name)?;
        let options = CollectionOptions::default();
        self.find(&mut lock(&self.collections), name, &options)
    }

    fn find(
        &self,
        collections: &mut HashMap<String, Arc<Engine>>,
        name: &str,
        options: &CollectionOptions,
    ) -> Result<Option<Arc<Engine>>> {
        // What a reader finds to be dropped or replaced is opened anew.
        if let Some(engine) = collections.get(name)
            && engine.check_there().is_ok()
        {
            let dimensions = engine.state().dimensions;
            engine.settings().check(name, dimensions, options)?;
            return Ok(Some(engine.clone()));
        }
        let Some(path) = &self.path else {
            return Ok(None);
        };
        let mut failures = 0;
        let engine = loop {
            let Some(dir) = self.place(path, name)? else {
                return Ok(None);
            };
            match self.engine_at(name, dir.clone(), options) {
                // A writer in another process may be dropping it and making it anew. What fails again is damage.
                Err(_) if self.options.read_only && failures < RETRIES => failures += 1,
                opened => break opened.map_err(Error::in_collection)?,
            }
        };
        let engine = Arc::new(engine);
        collections.insert(name.to_owned(), engine.clone());
        Ok(Some(engine))
    }

    /// Where a collection is, if there is one.
    fn place(&self, lake: &Path, name: &str) -> Result<Option<PathBuf>> {
        let mut places = vec![lake.join(name)];
        if self.options.read_only {
            places.push(replace::committed(lake, name));
        }
        for place in places {
            if self.has(&place)? {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    /// Whether a directory holds a collection. A writer has removed those that never were, and knows those it makes.
    fn has(&self, dir: &Path) -> Result<bool> {
        Ok(load::exists(dir)? && !(self.options.read_only && load::is_unborn(dir)))
    }

    /// What a session writes to before there is a collection of a name. `others` are those it stands in for already.
    pub(crate) fn stand_in(&self, name: &str, others: &[String]) -> Result<Arc<Engine>> {
        if self.path.is_some() {
            let mut known = self.list()?;
            known.extend_from_slice(others);
            check_new(name, &known)?;
        }
        let settings = Settings::new(&CollectionOptions::default())?;
        Ok(Arc::new(self.engine_in_memory(name, settings)))
    }

    /// # Errors
    /// `CLOSED`.
    pub(crate) fn check_open(&self) -> Result<()> {
        if self.path.is_some() && lock(&self.lock).is_none() {
            return Err(Error::Closed { what: "lake" });
        }
        Ok(())
    }

    /// Whether this process may still write.
    ///
    /// # Errors
    /// `CLOSED`, `WRITER_FENCED`, `IO`.
    pub(crate) fn check_lock(&self) -> Result<()> {
        self.check_open()?;
        lock(&self.lock)
            .as_ref()
            .map_or(Ok(()), |lock| lock.check())
    }

    pub(super) fn engine_in_memory(&self, name: &str, settings: Settings) -> Engine {
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
    pub(super) fn engine_at(
        &self,
        name: &str,
        dir: PathBuf,
        options: &CollectionOptions,
    ) -> Result<Engine> {
        let LakeOptions {
            read_only,
            retention,
            ..
        } = self.options;
        let lost = match &self.recovered {
            Some(recovered) => recovered.collection(name, &dir)?,
            None => Vec::new(),
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

    pub(super) fn list(&self) -> Result<Vec<String>> {
        self.names(&lock(&self.collections))
    }

    pub(super) fn names(&self, open: &HashMap<String, Arc<Engine>>) -> Result<Vec<String>> {
        let mut names = Vec::new();
        match &self.path {
            None => names.extend(open.keys().cloned()),
            Some(path) => {
                for entry in files::names(path)? {
                    let name = entry.strip_prefix(replace::NEXT).unwrap_or(&entry);
                    if check_name(name).is_ok() && self.has(&path.join(&entry))? {
                        names.push(name.to_owned());
                    }
                }
            }
        }
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    pub(super) fn drop_collection(&self, name: &str) -> Result<bool> {
        check_name(name)?;
        if self.options.read_only {
            return Err(Error::ReadOnly);
        }
        self.check_lock()?;
        let _no_session = self.markers();
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

    pub(super) fn close(&self) -> Result<()> {
        let mut first = Ok(());
        let mut markers = self.markers();
        for (_, engine) in lock(&self.collections).drain() {
            first = first.and(engine.close());
            if self.path.is_none() {
                // Handles on it may live on for long; nothing else refers to what it held.
                let shared = engine.state().shared.clone();
                engine.publish(State::empty(shared));
            }
        }
        if let Some(markers) = &mut *markers {
            first = first.and(markers.close());
        }
        first
    }
}

/// Ends what the writer before has left half done. It may have been killed: what it has not made durable is, before
/// anything is removed or built on it.
fn take_over(lake: &Path) -> Result<()> {
    files::sync_dir(lake)?;
    files::remove_drafts(lake)?;
    replace::finish_all(lake)?;
    remove_unborn(lake)?;
    markers::take_over(lake)?;
    for name in files::names(lake)? {
        if name.starts_with(DROPPED) {
            files::remove_dir(&lake.join(name))?;
        }
    }
    Ok(())
}

/// Removes collections that sessions were about to make when they ended.
fn remove_unborn(lake: &Path) -> Result<()> {
    for name in files::names(lake)? {
        if check_name(&name).is_ok() && load::is_unborn(&lake.join(&name)) {
            files::remove_dir(&doom(lake, &name)?)?;
        }
    }
    Ok(())
}

/// Whether a directory may become a lake.
fn check_empty(path: &Path, read_only: bool) -> Result<()> {
    let others = files::names(path)?;
    // Made by a writer in another process since.
    if others.iter().any(|name| name == lake_file::NAME) {
        return Ok(());
    }
    let foreign = others
        .iter()
        .find(|name| *name != lock::NAME && !name.starts_with(files::DRAFT));
    let reason = match foreign {
        Some(name) => format!(
            "it has no {} but other files, '{name}' for one",
            lake_file::NAME
        ),
        // For a reader as if it were missing itself: a writer may be about to make a lake of it.
        None if read_only => {
            return Err(ErrorKind::NotFound.into()).at(&lake_file::path(path));
        }
        None => return Ok(()),
    };
    Err(Error::NotALake {
        path: path.to_owned(),
        reason,
    })
}

/// Whether a collection may be made beside others.
pub(super) fn check_new(name: &str, known: &[String]) -> Result<()> {
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
pub(super) fn doom(lake: &Path, name: &str) -> Result<PathBuf> {
    let dir = lake.join(name);
    let doomed = lake.join(format!("{DROPPED}{name}-{}", Ulid::unique()));
    std::fs::rename(&dir, &doomed).at(&dir)?;
    files::sync_dir(lake)?;
    Ok(doomed)
}
