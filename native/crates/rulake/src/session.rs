//! Changes of several collections that happen together or not at all.
//!
//! A session reads the states there were when it began, and what it has written itself (snapshot isolation). On commit,
//! every record it has written or deleted must still be as it was when the session began: the first to commit wins. So
//! does who drops or replaces a collection: sessions that have written to it fail, and those that read it from then on.
//!
//! A collection that does not exist is empty, and made when a session that has written to it is committed.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};

use crate::batch::Batch;
use crate::draft::Draft;
use crate::engine::{Engine, Happened};
use crate::filter::View;
use crate::lake::Inner;
use crate::markers::{Marker, Participant};
use crate::options::Selection;
use crate::record::Parts;
use crate::snapshot::SnapshotId;
use crate::state::{Place, State};
use crate::ulid::Ulid;
use crate::wal::Membership;
use crate::writer::{Prepared, Writer};
use crate::{Error, Result};

/// A session that is open. Dropped uncommitted, it has changed nothing.
pub struct Session {
    lake: Arc<Inner>,
    /// Collections and their states when it began, by name.
    began: HashMap<String, (Arc<Engine>, Arc<State>)>,
    parts: Mutex<BTreeMap<String, Part>>,
}

struct Part {
    /// Of a new collection, one that stands in for it.
    engine: Arc<Engine>,
    is_new: bool,
    base: Arc<State>,
    draft: Draft,
    /// Row each id that was written had when the session began.
    touched: BTreeMap<Box<str>, Option<i64>>,
}

/// What a session has done to a collection.
pub(crate) struct Effect {
    pub(crate) touched: BTreeMap<Box<str>, Option<i64>>,
    pub(crate) batch: Batch,
}

impl Session {
    pub(crate) fn new(lake: Arc<Inner>) -> Self {
        let began = lake.states();
        Self {
            lake,
            began,
            parts: Mutex::default(),
        }
    }

    fn parts(&self) -> MutexGuard<'_, BTreeMap<String, Part>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the session's part of a collection.
    fn part<T>(&self, name: &str, work: impl FnOnce(&mut Part) -> Result<T>) -> Result<T> {
        let mut parts = self.parts();
        if !parts.contains_key(name) {
            self.lake.check_open()?;
            let existing = self.lake.existing(name)?;
            let is_new = existing.is_none();
            let (engine, base) = match (self.began.get(name), existing) {
                (Some((engine, state)), Some(now)) if Arc::ptr_eq(engine, &now) => {
                    (now, state.clone())
                }
                (Some((engine, _)), _) => {
                    return Err(Error::Superseded {
                        collection: engine.name().to_owned(),
                    });
                }
                (None, Some(now)) => {
                    let state = now.state();
                    (now, state)
                }
                (None, None) => {
                    let others = parts.iter().filter(|(_, part)| part.is_new);
                    let others: Vec<String> = others.map(|(name, _)| name.clone()).collect();
                    let engine = self.lake.stand_in(name, &others)?;
                    let state = engine.state();
                    (engine, state)
                }
            };
            let part = Part {
                draft: Draft::new(&base),
                engine,
                is_new,
                base,
                touched: BTreeMap::new(),
            };
            parts.insert(name.to_owned(), part);
        }
        match parts.get_mut(name) {
            Some(part) => {
                part.engine.check_open().map_err(Error::in_session)?;
                work(part)
            }
            None => Err(Error::Internal("a part of a session vanished".into())),
        }
    }

    /// Inserts or replaces records, for this session to see and others once it is committed. Gives how many were replaced.
    ///
    /// # Errors
    /// `DIMENSION_MISMATCH`, `NORM_OUT_OF_RANGE`, `INVALID_RECORD`, `READ_ONLY`, `CLOSED`; `CONFLICT` if the collection
    /// was dropped or replaced since the session began.
    pub fn upsert(&self, name: &str, batch: Batch) -> Result<usize> {
        self.part(name, |part| {
            if part.engine.is_read_only() {
                return Err(Error::ReadOnly);
            }
            part.draft.check(part.engine.settings(), &batch)?;
            let (before, records) = (part.draft.state.len(), batch.len());
            for (parts, _) in batch.records() {
                part.touch(parts.id)?;
            }
            part.draft.upsert(batch)?;
            part.draft.index(part.engine.settings())?;
            Ok(before + records - part.draft.state.len())
        })
    }

    /// Deletes records likewise. Gives how many there were.
    ///
    /// # Errors
    /// `INVALID_FILTER`, `READ_ONLY`, `CLOSED`, `CONFLICT` likewise.
    pub fn delete(&self, name: &str, selection: &Selection) -> Result<usize> {
        self.part(name, |part| {
            if part.engine.is_read_only() {
                return Err(Error::ReadOnly);
            }
            let rows = part.draft.state.select(selection)?;
            for row in &rows {
                let state = &part.draft.state;
                let place = state.locate(*row)?;
                let id = match place {
                    Some(place) => state.view(place)?.id()?.to_owned(),
                    None => continue,
                };
                part.touch(&id)?;
            }
            let deleted = part.draft.delete(&rows)?;
            part.draft.index(part.engine.settings())?;
            Ok(deleted)
        })
    }

    /// What the session sees of a collection.
    pub(crate) fn view(&self, name: &str) -> Result<(Arc<Engine>, Arc<State>)> {
        self.part(name, |part| {
            Ok((part.engine.clone(), Arc::new(part.draft.state.clone())))
        })
    }

    /// Makes everything durable and visible, at once. Gives the new state of each collection that was written to.
    ///
    /// # Errors
    /// `CONFLICT` if another writer was first: run the session again. `IO`, `WRITER_POISONED`.
    pub fn commit(self) -> Result<Vec<(String, SnapshotId)>> {
        self.commit_parts().map_err(Error::in_session)
    }

    fn commit_parts(self) -> Result<Vec<(String, SnapshotId)>> {
        let parts = self
            .parts
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let mut effects = Vec::new();
        let mut new = Vec::new();
        for (name, part) in parts {
            if part.touched.is_empty() {
                continue;
            }
            let engine = if part.is_new {
                // Others may have made it meanwhile.
                self.lake.existing(&name)?
            } else {
                Some(part.engine.clone())
            };
            let effect = part.effect()?;
            match engine {
                // Most conflicts show here, before anything is written.
                Some(engine) => {
                    engine.check_open()?;
                    effect.check(&name, &engine.state())?;
                    effects.push((name, engine, effect));
                }
                None if effect.batch.is_empty() => {}
                None => new.push((name, effect)),
            }
        }
        if effects.len() + new.len() > 1 {
            return self.lake.commit_together(effects, new);
        }
        for (name, effect) in new {
            let engine = self.lake.made(&name)?;
            effects.push((name, engine, effect));
        }
        let Some((name, engine, effect)) = effects.pop() else {
            return Ok(Vec::new());
        };
        let snapshot = engine.on_writer(move |writer: &mut Writer| {
            let prepared = writer.prepare(&effect, &Membership::default())?;
            Ok::<_, Error>(writer.publish_prepared(prepared))
        })??;
        Ok(vec![(name, snapshot)])
    }
}

impl Part {
    fn touch(&mut self, id: &str) -> Result<()> {
        if !self.touched.contains_key(id) {
            let row = match self.base.find(id)?.1 {
                Some(place) => Some(self.base.row(place)?),
                None => None,
            };
            self.touched.insert(id.into(), row);
        }
        Ok(())
    }

    /// The records as the session leaves them.
    fn effect(self) -> Result<Effect> {
        self.draft.check_read()?;
        let state = &self.draft.state;
        let mut batch = Batch::new();
        for (row, heap) in state.fresh.rows.iter_from(self.base.next_row) {
            let Parts { id, text, metadata } = heap.record.parts();
            match state.vector(Place::Fresh(row))? {
                Some(vector) if heap.record.has_vector => {
                    batch.push_with_vector(id, &vector, text, metadata)?;
                }
                _ => batch.push(id, text, metadata)?,
            }
        }
        Ok(Effect {
            touched: self.touched,
            batch,
        })
    }
}

impl Effect {
    /// The rows to delete from a state that nobody else has changed these records in.
    ///
    /// # Errors
    /// `CONFLICT`.
    pub(crate) fn check(&self, collection: &str, state: &State) -> Result<Vec<i64>> {
        let mut rows = Vec::new();
        for (id, before) in &self.touched {
            let now = match state.find(id)?.1 {
                Some(place) => Some(state.row(place)?),
                None => None,
            };
            if now != *before {
                return Err(Error::Conflict {
                    collection: collection.to_owned(),
                    id: id.to_string(),
                });
            }
            rows.extend(now);
        }
        rows.sort_unstable();
        Ok(rows)
    }
}

/// What the writer of a collection that has prepared its part is told.
enum Decision {
    Commit,
    Abort,
}

/// A writer that waits for a decision.
struct Waiting {
    participant: Participant,
    decide: mpsc::SyncSender<Decision>,
    done: mpsc::Receiver<Result<SnapshotId>>,
}

impl Waiting {
    /// Has the writer prepare its part, and keeps it from anything else until it is told what to do.
    fn new(
        name: String,
        engine: &Arc<Engine>,
        effect: Effect,
        membership: Membership,
        happened: Happened,
    ) -> Result<Self> {
        let (prepared, is_prepared) = mpsc::sync_channel(1);
        let (decide, decision) = mpsc::sync_channel(1);
        let (finished, done) = mpsc::sync_channel(1);
        engine.start_on_writer(move |writer: &mut Writer| {
            let draft: Prepared = match writer.prepare(&effect, &membership) {
                Ok(draft) => draft,
                Err(error) => {
                    let _ = prepared.send(Err(error));
                    return;
                }
            };
            writer.stage(&draft, happened);
            let _ = prepared.send(Ok(draft.sequence()));
            let result = match decision.recv() {
                Ok(Decision::Commit) => Ok(writer.publish_prepared(draft)),
                Ok(Decision::Abort) => writer.abort_prepared(&draft, membership.session),
                Err(_) => {
                    let error = Error::Internal("a session was neither committed nor ended".into());
                    writer.poison(&error);
                    Err(error)
                }
            };
            let _ = finished.send(result);
        })?;
        let gone = |_| Error::Internal("the writer panicked".into());
        let sequence = is_prepared.recv().map_err(gone)??;
        Ok(Self {
            participant: Participant {
                name,
                sequence,
                owner: engine.state().shared.log_owner(),
            },
            decide,
            done,
        })
    }

    fn end(self, decision: Decision) -> Result<(String, SnapshotId)> {
        let _ = self.decide.send(decision);
        let gone = |_| Error::Internal("the writer panicked".into());
        Ok((self.participant.name, self.done.recv().map_err(gone)??))
    }
}

impl Inner {
    /// Makes a collection for a session, unless somebody else has done so.
    fn made(&self, name: &str) -> Result<Arc<Engine>> {
        self.check_lock()?;
        self.collection_for_session(name)
    }

    /// Commits the parts of a session, one session at a time. New collections are made when all others have agreed.
    fn commit_together(
        &self,
        effects: Vec<(String, Arc<Engine>, Effect)>,
        new: Vec<(String, Effect)>,
    ) -> Result<Vec<(String, SnapshotId)>> {
        let mut markers = self.markers();
        if let Some(markers) = &mut *markers {
            markers.begin()?;
        }
        let names = effects.iter().map(|(name, ..)| name);
        let names = names.chain(new.iter().map(|(name, _)| name));
        let membership = Membership {
            session: Ulid::unique().value(),
            collections: names.cloned().collect(),
        };
        let mut waiting: Vec<Waiting> = Vec::new();
        let happened = Happened::default();
        let there = effects.into_iter();
        let there = there.map(|(name, engine, effect)| (name, Some(engine), effect));
        let new = new.into_iter().map(|(name, effect)| (name, None, effect));
        let prepared = there.chain(new).try_for_each(|(name, engine, effect)| {
            let engine = match engine {
                Some(engine) => engine,
                None => self.made(&name)?,
            };
            let part = Waiting::new(name, &engine, effect, membership.clone(), happened.clone())?;
            waiting.push(part);
            Ok(())
        });
        if let Err(error) = prepared {
            for part in waiting {
                let _ = part.end(Decision::Abort);
            }
            return Err(error);
        }
        if let Some(markers) = &mut *markers {
            let participants = waiting.iter().map(|part| part.participant.clone());
            let participants = participants.collect();
            // After a failure the writers are left without a decision: they refuse what follows, and opening decides.
            markers.commit(&Marker {
                session: membership.session,
                participants,
            })?;
        }
        // A session that begins now sees all of it or nothing.
        let gate = self.close_gate();
        happened.store(true, Ordering::Release);
        drop(gate);
        waiting
            .into_iter()
            .map(|part| part.end(Decision::Commit))
            .collect()
    }
}
