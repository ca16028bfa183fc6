//! What the handles, the writer, flushes and compactions of a collection share.

mod background;
mod newest;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak, mpsc};
use std::thread::JoinHandle;

use crate::history::Held;
use crate::lock::Lock;
use crate::manifest::{self, Manifest};
use crate::options::{Retention, Settings};
use crate::queue::{Queue, Write};
use crate::refresh::Seen;
use crate::state::State;
use crate::threads::{BackgroundThread, spawn_background};
use crate::writer::Writer;
use crate::{Error, Result, flush, refresh};

use newest::Newest;

pub(crate) use background::FLUSH_BYTES;
pub(crate) use newest::Happened;

/// Log bytes that closing leaves to the next open to replay.
const CLOSE_BYTES: u64 = 256 << 10;

/// The newest generation.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) manifest: Manifest,
    /// Of the manifest.
    pub(crate) digest: String,
}

/// A collection that is open.
pub(crate) struct Engine {
    name: String,
    /// None in memory.
    dir: Option<PathBuf>,
    settings: Settings,
    read_only: bool,
    retention: Retention,
    epoch: u64,
    /// The right to write; gone when the lake is closed. `None` without a directory or for a reader.
    lease: Option<Weak<Lock>>,
    replayed: u64,
    state: Newest,
    queue: Queue,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// Held while a generation is made; `None` in memory, and once the collection has ended.
    head: Mutex<Option<Head>>,
    /// Held while segments are merged.
    compaction: Mutex<()>,
    flushing: AtomicBool,
    compacting: AtomicBool,
    /// Work in the background should end soon.
    stop: AtomicBool,
    wal_bytes: AtomicU64,
    segment_bytes: AtomicU64,
    generation: AtomicU64,
    /// Vectors in memory when lists were last made of them.
    grouped: AtomicUsize,
    /// Log bytes at which a flush has failed, for want of space perhaps: the next attempt waits for as much again.
    failed_at: AtomicU64,
    dropped: AtomicBool,
    lost: Vec<String>,
    held: Mutex<Held>,
    /// For a reader.
    seen: Mutex<Seen>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What opening has found.
pub(crate) struct Opened {
    pub(crate) state: State,
    pub(crate) head: Option<Head>,
    pub(crate) epoch: u64,
    /// The right to write.
    pub(crate) lease: Option<Weak<Lock>>,
    /// Bytes of the logs that were replayed.
    pub(crate) replayed: u64,
    /// What recovery has lost.
    pub(crate) lost: Vec<String>,
}

impl Engine {
    pub(crate) fn new(
        name: &str,
        dir: Option<PathBuf>,
        settings: Settings,
        (read_only, retention): (bool, Retention),
        opened: Opened,
    ) -> Self {
        let manifest = opened.head.as_ref().map(|head| &head.manifest);
        let segment_bytes = manifest.map_or(0, Manifest::bytes);
        let generation = manifest.map_or(0, |manifest| manifest.generation);
        Self {
            name: name.to_owned(),
            dir,
            settings,
            read_only,
            retention,
            epoch: opened.epoch,
            lease: opened.lease,
            replayed: opened.replayed,
            state: Newest::new(opened.state),
            queue: Queue::default(),
            writer: Mutex::default(),
            head: Mutex::new(opened.head),
            compaction: Mutex::default(),
            flushing: AtomicBool::new(false),
            compacting: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            wal_bytes: AtomicU64::new(opened.replayed),
            segment_bytes: AtomicU64::new(segment_bytes),
            generation: AtomicU64::new(generation),
            grouped: AtomicUsize::new(0),
            failed_at: AtomicU64::new(0),
            dropped: AtomicBool::new(false),
            lost: opened.lost,
            held: Mutex::default(),
            seen: Mutex::default(),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn dir(&self) -> Option<&Path> {
        self.dir.as_deref()
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn retention(&self) -> Retention {
        self.retention
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whether this process may still write: to be asked before anything is acknowledged.
    ///
    /// # Errors
    /// `WRITER_FENCED`, `CLOSED`, `IO`.
    pub(crate) fn check_lease(&self) -> Result<()> {
        match &self.lease {
            None => Ok(()),
            Some(lease) => match lease.upgrade() {
                Some(lock) => lock.check(),
                None => Err(Error::Closed { what: "lake" }),
            },
        }
    }

    pub(crate) fn queue(&self) -> &Queue {
        &self.queue
    }

    /// The newest state.
    pub(crate) fn state(&self) -> Arc<State> {
        self.state.look(Arc::clone)
    }

    /// A look at the newest state that cannot end with freeing it, which takes long.
    pub(crate) fn peek<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        self.state.look(|state| look(state))
    }

    /// Makes a state the newest. Only for the writer.
    pub(crate) fn publish(&self, state: impl Into<Arc<State>>) {
        self.state.publish(state.into());
    }

    /// Has a state become the newest when a session happens. Only for the writer, which publishes nothing else before that
    /// is decided.
    pub(crate) fn stage(&self, happened: Happened, state: Arc<State>) {
        self.state.stage(happened, state);
    }

    pub(crate) fn head(&self) -> MutexGuard<'_, Option<Head>> {
        lock(&self.head)
    }

    /// Makes a generation the newest. If it cannot be known whether that has happened, the writer stops.
    pub(crate) fn commit(self: &Arc<Self>, dir: &Path, manifest: Manifest) -> Result<Head> {
        self.check_lease()?;
        match manifest::create(dir, &manifest) {
            Ok(digest) => {
                self.note_generation(&manifest);
                Ok(Head { manifest, digest })
            }
            Err(error) => {
                if manifest::path(dir, manifest.generation).exists() {
                    let reason = error.to_string();
                    self.on_writer(move |writer| writer.poison(&reason))?;
                }
                Err(error)
            }
        }
    }

    /// One merge at a time.
    pub(crate) fn compaction(&self) -> MutexGuard<'_, ()> {
        lock(&self.compaction)
    }

    pub(crate) fn wal_bytes(&self) -> u64 {
        self.wal_bytes.load(Ordering::Relaxed)
    }

    /// Bytes of the segments of the newest generation.
    pub(crate) fn segment_bytes(&self) -> u64 {
        self.segment_bytes.load(Ordering::Relaxed)
    }

    /// `manifest` is the newest.
    pub(crate) fn note_generation(&self, manifest: &Manifest) {
        self.segment_bytes
            .store(manifest.bytes(), Ordering::Relaxed);
        self.generation
            .store(manifest.generation, Ordering::Relaxed);
    }

    /// A state that [`Engine::remembered`] tells as long as somebody holds it.
    pub(crate) fn remember(&self, state: &Arc<State>) {
        lock(&self.held).add(state);
    }

    /// States of the past that somebody holds.
    pub(crate) fn remembered(&self) -> Vec<Arc<State>> {
        lock(&self.held).all()
    }

    /// See [`Engine::is_grouping_due`].
    pub(crate) fn grouped(&self) -> &AtomicUsize {
        &self.grouped
    }

    /// What a reader saw last.
    pub(crate) fn seen(&self) -> Seen {
        lock(&self.seen).clone()
    }

    pub(crate) fn set_seen(&self, seen: Seen) {
        *lock(&self.seen) = seen;
    }

    /// The next open replays this many bytes.
    pub(crate) fn note_log(&self, wal_bytes: u64) {
        self.wal_bytes.store(wal_bytes, Ordering::Relaxed);
    }

    pub(crate) fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Number of the newest generation; 0 in memory.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// # Errors
    /// `CLOSED` once the collection was dropped.
    pub(crate) fn check_open(&self) -> Result<()> {
        if self.dropped.load(Ordering::Relaxed) {
            Err(Error::Dropped {
                collection: self.name.clone(),
            })
        } else {
            Ok(())
        }
    }

    /// Like [`Engine::check_open`]; a reader looks whether another process has dropped or replaced the collection.
    ///
    /// # Errors
    /// `CLOSED`.
    pub(crate) fn check_there(&self) -> Result<()> {
        if let Some(dir) = self.dir.as_deref().filter(|_| self.read_only)
            && matches!(refresh::is_here(self, dir), Ok(false))
        {
            self.mark_dropped();
        }
        self.check_open()
    }

    /// Handles on it fail from now on.
    pub(crate) fn mark_dropped(&self) {
        self.dropped.store(true, Ordering::Relaxed);
    }

    /// Why nothing more can be made of a collection that has ended.
    pub(crate) fn ended(&self) -> Error {
        let closed = Error::Closed { what: "collection" };
        self.check_open().err().unwrap_or(closed)
    }

    /// What a failure comes to. Whatever it looks like, that of a collection which was dropped or replaced meanwhile is
    /// just that: its files went, and what has their names now is of another. What the caller has cancelled stays so.
    pub(crate) fn failure(&self, error: Error) -> Error {
        match error {
            Error::Index(rabitq::Error::Cancelled) => error,
            _ => self.check_there().err().unwrap_or(error),
        }
    }

    /// Whether the collection was dropped.
    pub(crate) fn is_dropped(&self) -> bool {
        self.dropped.load(Ordering::Relaxed)
    }

    /// What recovery has lost.
    pub(crate) fn lost(&self) -> &[String] {
        &self.lost
    }

    /// Queues a write; it is answered on the writer's thread.
    pub(crate) fn write(self: &Arc<Self>, write: Write) {
        let refused = if self.read_only {
            Err(Error::ReadOnly)
        } else {
            self.check_open().and_then(|()| self.start())
        };
        match refused {
            Ok(()) => self.queue.write(write),
            Err(error) => write.reply.send(Err(error)),
        }
    }

    /// Runs something on the writer's thread, between commits, and waits for it.
    pub(crate) fn on_writer<T: Send + 'static>(
        self: &Arc<Self>,
        task: impl FnOnce(&mut Writer) -> T + Send + 'static,
    ) -> Result<T> {
        let (sender, receiver) = mpsc::sync_channel(1);
        self.start_on_writer(move |writer| {
            let _ = sender.send(task(writer));
        })?;
        receiver
            .recv()
            .map_err(|_| Error::Internal("the writer panicked".into()))
    }

    /// Runs something on the writer's thread, between commits.
    pub(crate) fn start_on_writer(
        self: &Arc<Self>,
        task: impl FnOnce(&mut Writer) + Send + 'static,
    ) -> Result<()> {
        self.start()?;
        if self.queue.task(Box::new(task)) {
            Ok(())
        } else {
            Err(self.ended())
        }
    }

    /// Starts the writer's thread if this is the first write.
    fn start(self: &Arc<Self>) -> Result<()> {
        let mut writer = lock(&self.writer);
        if writer.is_none() && !self.queue.is_closed() {
            let engine = self.clone();
            let thread = spawn_background(BackgroundThread::Writer, "rulake-writer", move || {
                Writer::new(engine.clone(), engine.replayed).run();
            });
            *writer = Some(thread.map_err(|source| Error::Io {
                path: self.dir.clone().unwrap_or_default(),
                source,
            })?);
        }
        Ok(())
    }

    /// Finishes what is queued, flushes if the log is long, and stops the writer.
    pub(crate) fn close(self: &Arc<Self>) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        let worthwhile = self.wal_bytes() > CLOSE_BYTES.max(self.segment_bytes() / 8);
        let last = if self.dir.is_some() && !self.read_only && worthwhile && !self.queue.is_closed()
        {
            flush::run(self)
        } else {
            Ok(())
        };
        self.end();
        last
    }

    /// Closes without a flush: the files are about to go. Merges and flushes under way are cancelled, and waited for;
    /// none begins any more, so that nothing is written to what has the collection's name next.
    pub(crate) fn abandon(self: &Arc<Self>) {
        self.mark_dropped();
        self.stop.store(true, Ordering::Relaxed);
        self.end();
    }

    fn end(&self) {
        // Merges and flushes finish first: they need the writer. Those that wait for their turn find that there is none.
        let turn = self.compaction();
        *self.head() = None;
        drop(turn);
        self.queue.close();
        let writer = lock(&self.writer).take();
        if let Some(writer) = writer {
            let _ = writer.join();
        }
    }
}
