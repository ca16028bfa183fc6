//! What the handles, the writer and the checkpoints of a collection share.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, mpsc};
use std::thread::{self, JoinHandle};

use crate::checkpoint;
use crate::manifest::Manifest;
use crate::options::Settings;
use crate::queue::{Queue, Write};
use crate::state::State;
use crate::threads::spawn_background;
use crate::writer::Writer;
use crate::{Error, Result};

/// Log bytes from which a checkpoint is made in the background, unless the checkpoint itself is several times larger.
const CHECKPOINT_BYTES: u64 = 64 << 20;
/// Log bytes that closing leaves to the next open to replay.
const CLOSE_BYTES: u64 = 256 << 10;

/// The newest checkpoint.
#[derive(Clone, Debug)]
pub(crate) struct Checkpoint {
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
    epoch: u64,
    replayed: u64,
    state: RwLock<Arc<State>>,
    queue: Queue,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// Held while a checkpoint is made; `None` in memory.
    checkpoint: Mutex<Option<Checkpoint>>,
    in_background: AtomicBool,
    wal_bytes: AtomicU64,
    checkpoint_bytes: AtomicU64,
    generation: AtomicU64,
    /// Log bytes at which a checkpoint has failed, for want of space perhaps: the next attempt waits for as much again.
    failed_at: AtomicU64,
    dropped: AtomicBool,
}

/// What opening has found.
pub(crate) struct Opened {
    pub(crate) state: State,
    pub(crate) checkpoint: Option<Checkpoint>,
    pub(crate) epoch: u64,
    /// Bytes of the logs that were replayed.
    pub(crate) replayed: u64,
}

impl Engine {
    pub(crate) fn new(
        name: &str,
        dir: Option<PathBuf>,
        settings: Settings,
        read_only: bool,
        opened: Opened,
    ) -> Self {
        let manifest = opened
            .checkpoint
            .as_ref()
            .map(|checkpoint| &checkpoint.manifest);
        let checkpoint_bytes = manifest.map_or(0, Manifest::bytes);
        let generation = manifest.map_or(0, |manifest| manifest.generation);
        Self {
            name: name.to_owned(),
            dir,
            settings,
            read_only,
            epoch: opened.epoch,
            replayed: opened.replayed,
            state: RwLock::new(Arc::new(opened.state)),
            queue: Queue::default(),
            writer: Mutex::default(),
            checkpoint: Mutex::new(opened.checkpoint),
            in_background: AtomicBool::new(false),
            wal_bytes: AtomicU64::new(opened.replayed),
            checkpoint_bytes: AtomicU64::new(checkpoint_bytes),
            generation: AtomicU64::new(generation),
            failed_at: AtomicU64::new(0),
            dropped: AtomicBool::new(false),
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

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(crate) fn queue(&self) -> &Queue {
        &self.queue
    }

    /// The newest state.
    pub(crate) fn state(&self) -> Arc<State> {
        self.state
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// A look at the newest state that cannot end with freeing it, which takes long.
    pub(crate) fn peek<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Only for the writer. Gives the state before.
    pub(crate) fn publish(&self, state: State) -> Arc<State> {
        let state = Arc::new(state);
        std::mem::replace(
            &mut *self.state.write().unwrap_or_else(PoisonError::into_inner),
            state,
        )
    }

    pub(crate) fn checkpoint(&self) -> MutexGuard<'_, Option<Checkpoint>> {
        self.checkpoint
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn wal_bytes(&self) -> u64 {
        self.wal_bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn checkpoint_bytes(&self) -> u64 {
        self.checkpoint_bytes.load(Ordering::Relaxed)
    }

    /// `manifest` is the newest, the log after it has `wal_bytes`.
    pub(crate) fn note_checkpoint(&self, manifest: Option<&Manifest>, wal_bytes: u64) {
        self.wal_bytes.store(wal_bytes, Ordering::Relaxed);
        if let Some(manifest) = manifest {
            self.checkpoint_bytes
                .store(manifest.bytes(), Ordering::Relaxed);
            self.generation
                .store(manifest.generation, Ordering::Relaxed);
        }
    }

    pub(crate) fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Number of the newest checkpoint; 0 in memory.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// # Errors
    /// `CLOSED` once the collection was dropped.
    pub(crate) fn check_open(&self) -> Result<()> {
        if self.dropped.load(Ordering::Relaxed) {
            Err(Error::Closed { what: "collection" })
        } else {
            Ok(())
        }
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
        self.start()?;
        let (sender, receiver) = mpsc::sync_channel(1);
        let queued = self.queue.task(Box::new(move |writer| {
            let _ = sender.send(task(writer));
        }));
        if !queued {
            return Err(Error::Closed { what: "collection" });
        }
        receiver
            .recv()
            .map_err(|_| Error::Internal("the writer panicked".into()))
    }

    /// Starts the writer's thread if this is the first write.
    fn start(self: &Arc<Self>) -> Result<()> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if writer.is_none() && !self.queue.is_closed() {
            let engine = self.clone();
            let thread = thread::Builder::new()
                .name("rulake-writer".into())
                .spawn(move || Writer::new(engine.clone(), engine.replayed).run());
            *writer = Some(thread.map_err(|source| Error::Io {
                path: self.dir.clone().unwrap_or_default(),
                source,
            })?);
        }
        Ok(())
    }

    /// Starts a checkpoint in the background if one is due. Called by the writer.
    pub(crate) fn after_commit(self: &Arc<Self>, wal_bytes: u64) {
        self.wal_bytes.store(wal_bytes, Ordering::Relaxed);
        let failed_at = self.failed_at.load(Ordering::Relaxed);
        let due = self.dir.is_some()
            && wal_bytes > CHECKPOINT_BYTES.max(self.checkpoint_bytes() / 2)
            || self.wants_other_index(&self.state());
        let waits = failed_at > 0 && wal_bytes < failed_at + CHECKPOINT_BYTES;
        if !due || waits || self.in_background.swap(true, Ordering::AcqRel) {
            return;
        }
        let engine = self.clone();
        let started = spawn_background("rulake-checkpoint", move || {
            // A failure, out of disk space for instance, loses nothing: the log stays.
            let failed = checkpoint::run(&engine).is_err();
            engine
                .failed_at
                .store(if failed { wal_bytes } else { 0 }, Ordering::Relaxed);
            engine.in_background.store(false, Ordering::Release);
        });
        if started.is_err() {
            self.in_background.store(false, Ordering::Release);
        }
    }

    /// Whether the index is of another kind than the number of vectors calls for. It never goes back to a smaller kind.
    pub(crate) fn wants_other_index(&self, state: &State) -> bool {
        let wanted = self.settings.index.kind(state.vectors);
        state
            .index
            .as_ref()
            .is_some_and(|index| index.options().kind != wanted && wanted != rabitq::Kind::FlatF32)
    }

    /// Finishes what is queued, makes a last checkpoint if the log is long, and stops the writer.
    pub(crate) fn close(self: &Arc<Self>) -> Result<()> {
        let worthwhile = self.wal_bytes() > CLOSE_BYTES.max(self.checkpoint_bytes() / 8);
        let last = if self.dir.is_some() && !self.read_only && worthwhile && !self.queue.is_closed()
        {
            checkpoint::run(self)
        } else {
            // One in the background finishes first.
            drop(self.checkpoint());
            Ok(())
        };
        self.queue.close();
        let writer = self
            .writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(writer) = writer {
            let _ = writer.join();
        }
        last
    }

    /// Closes without a checkpoint: the files are about to go.
    pub(crate) fn abandon(self: &Arc<Self>) {
        self.dropped.store(true, Ordering::Relaxed);
        drop(self.checkpoint());
        self.queue.close();
        let writer = self
            .writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(writer) = writer {
            let _ = writer.join();
        }
    }
}
