//! One state of a collection: what a reader sees from its first call to its last.

use std::hash::Hasher;
use std::sync::{Arc, Mutex};

use rabitq::Index;
use siphasher::sip::SipHasher13;

use crate::memtable::{HeapRow, Memtable};
use crate::pin::Pin;
use crate::segment::{BlockCache, Live};
use crate::select::Remembered;
use crate::snapshot::SnapshotId;
use crate::value::Interner;
use crate::view::RowView;
use crate::{Error, Result, wal};

/// What all states of a collection have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) interner: Interner,
    pub(crate) cache: Arc<BlockCache>,
    hash_key: [u8; 16],
}

impl Shared {
    pub(crate) fn new(hash_key: [u8; 16], cache: Arc<BlockCache>) -> Self {
        Self {
            interner: Interner::default(),
            cache,
            hash_key,
        }
    }

    pub(crate) fn hash_key(&self) -> [u8; 16] {
        self.hash_key
    }

    /// What its logs say of the collection.
    pub(crate) fn log_owner(&self) -> u32 {
        wal::owner(self.hash_key)
    }

    /// Hash of an id: the same in every process and version, see `hashKey` of the manifest.
    pub(crate) fn hash(&self, id: &str) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.hash_key);
        hasher.write(id.as_bytes());
        hasher.finish()
    }
}

/// Where a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// At a position of a segment.
    Stored(usize, usize),
    /// Under a row number of the table that is being flushed.
    Frozen(i64),
    /// Under a row number of the newest table.
    Fresh(i64),
}

/// An immutable state. Cloning it is cheap and the way to the next one.
pub(crate) struct State {
    pub(crate) shared: Arc<Shared>,
    /// In ascending order of rows.
    pub(crate) segments: Vec<Live>,
    /// Records on their way into a segment; above those of all segments.
    pub(crate) frozen: Option<Memtable>,
    /// The newest records.
    pub(crate) fresh: Memtable,
    pub(crate) dimensions: Option<usize>,
    /// Sequence of the newest change.
    pub(crate) sequence: u64,
    /// When it was committed: milliseconds since 1970, never less than before.
    pub(crate) committed: u64,
    /// Above all rows there ever were.
    pub(crate) next_row: i64,
    /// Held for a reader of the files of another process.
    pub(crate) pin: Option<Arc<Pin>>,
    pub(crate) remembered: Mutex<Remembered>,
}

impl Clone for State {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
            segments: self.segments.clone(),
            frozen: self.frozen.clone(),
            fresh: self.fresh.clone(),
            dimensions: self.dimensions,
            sequence: self.sequence,
            committed: self.committed,
            next_row: self.next_row,
            pin: self.pin.clone(),
            // They are those of the original's rows.
            remembered: Mutex::default(),
        }
    }
}

impl State {
    /// A collection nothing was ever put into.
    pub(crate) fn empty(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            segments: Vec::new(),
            frozen: None,
            fresh: Memtable::default(),
            dimensions: None,
            sequence: 0,
            committed: 0,
            next_row: 1,
            pin: None,
            remembered: Mutex::default(),
        }
    }

    /// To be called before rows change: what satisfied a filter is of those that were.
    pub(crate) fn forget_matches(&mut self) {
        self.remembered = Mutex::default();
    }

    /// Records.
    pub(crate) fn len(&self) -> usize {
        self.segments.iter().map(Live::len).sum::<usize>()
            + self.frozen.as_ref().map_or(0, Memtable::len)
            + self.fresh.len()
    }

    /// Records with a vector.
    pub(crate) fn vectors(&self) -> usize {
        self.segments.iter().map(Live::vectors).sum::<usize>()
            + self.frozen.as_ref().map_or(0, Memtable::vectors)
            + self.fresh.vectors()
    }

    /// Name of the state: sorts by time.
    pub(crate) fn snapshot(&self) -> SnapshotId {
        SnapshotId::new(self.committed, self.sequence)
    }

    /// Where an id is, and its hash.
    pub(crate) fn find(&self, id: &str) -> Result<(u64, Option<Place>)> {
        let hash = self.shared.hash(id);
        if let Some(row) = self.fresh.find(hash, id)? {
            return Ok((hash, Some(Place::Fresh(row))));
        }
        if let Some(frozen) = &self.frozen
            && let Some(row) = frozen.find(hash, id)?
        {
            return Ok((hash, Some(Place::Frozen(row))));
        }
        for (i, live) in self.segments.iter().enumerate().rev() {
            if let Some(position) = live.find(hash, id)? {
                return Ok((hash, Some(Place::Stored(i, position))));
            }
        }
        Ok((hash, None))
    }

    /// Where a row number is.
    pub(crate) fn locate(&self, row: i64) -> Result<Option<Place>> {
        if self.fresh.rows.get(row).is_some() {
            return Ok(Some(Place::Fresh(row)));
        }
        if let Some(frozen) = &self.frozen
            && frozen.rows.get(row).is_some()
        {
            return Ok(Some(Place::Frozen(row)));
        }
        let i = self
            .segments
            .partition_point(|live| live.segment.last_row < row);
        let Some(live) = self.segments.get(i) else {
            return Ok(None);
        };
        let position = live.position_of(row)?;
        Ok(position.map(|position| Place::Stored(i, position)))
    }

    /// The row number of a place.
    pub(crate) fn row(&self, place: Place) -> Result<i64> {
        match place {
            Place::Stored(i, position) => self.live(i)?.segment.rows.row(position),
            Place::Frozen(row) | Place::Fresh(row) => Ok(row),
        }
    }

    pub(crate) fn live(&self, i: usize) -> Result<&Live> {
        self.segments
            .get(i)
            .ok_or_else(|| Error::Internal(format!("there is no segment {i}")))
    }

    /// The table and row of a place in memory.
    fn table(&self, place: Place) -> Option<(&Memtable, i64)> {
        match place {
            Place::Stored(..) => None,
            Place::Frozen(row) => self.frozen.as_ref().map(|table| (table, row)),
            Place::Fresh(row) => Some((&self.fresh, row)),
        }
    }

    /// What is at a place.
    pub(crate) fn view(&self, place: Place) -> Result<RowView<'_>> {
        if let Place::Stored(i, position) = place {
            return Ok(RowView::stored(
                &self.shared,
                &self.live(i)?.segment,
                position,
            ));
        }
        Ok(RowView::heap(&self.shared, self.heap(place)?))
    }

    /// What is at a place in memory.
    fn heap(&self, place: Place) -> Result<&HeapRow> {
        let row = self
            .table(place)
            .and_then(|(table, row)| table.rows.get(row));
        row.map(|row| &**row)
            .ok_or_else(|| Error::Internal(format!("{place:?} is empty")))
    }

    /// The ids of several records. Those of segments lie far apart in mapped files: where they are is looked up for all of
    /// them before the first is read, so that the CPU waits for memory twice and not twice for each.
    pub(crate) fn ids(&self, places: impl Iterator<Item = Place> + Clone) -> Result<Vec<&str>> {
        let mut spans = Vec::with_capacity(places.size_hint().0);
        for place in places.clone() {
            spans.push(match place {
                Place::Stored(i, position) => self.live(i)?.segment.rows.span(position)?,
                Place::Frozen(_) | Place::Fresh(_) => 0..0,
            });
        }
        let mut ids = Vec::with_capacity(spans.len());
        for (place, span) in places.zip(spans) {
            ids.push(match place {
                Place::Stored(i, position) => self.live(i)?.segment.rows.id_in(position, span)?,
                Place::Frozen(_) | Place::Fresh(_) => self.heap(place)?.record.parts().id,
            });
        }
        Ok(ids)
    }

    /// The vector at a place, as it was given.
    pub(crate) fn vector(&self, place: Place) -> Result<Option<Vec<f32>>> {
        let (index, id) = match place {
            Place::Stored(i, position) => (&self.live(i)?.index, position as i64),
            _ => match self.table(place) {
                Some((table, row)) => (&table.index, row),
                None => return Ok(None),
            },
        };
        match index {
            Some(index) => Ok(index.get(id)?),
            None => Ok(None),
        }
    }

    /// The indexes that hold the vectors, in ascending order of rows, and how to make a place of an id in them.
    pub(crate) fn indexes(&self) -> Vec<(&Index, Source)> {
        let mut all = Vec::with_capacity(self.segments.len() + 2);
        for (i, live) in self.segments.iter().enumerate() {
            all.extend(
                live.index
                    .as_deref()
                    .map(|index| (index, Source::Segment(i))),
            );
        }
        let frozen = self
            .frozen
            .as_ref()
            .and_then(|table| table.index.as_deref());
        all.extend(frozen.map(|index| (index, Source::Frozen)));
        all.extend(
            self.fresh
                .index
                .as_deref()
                .map(|index| (index, Source::Fresh)),
        );
        all
    }
}

/// One of the parts of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Segment(usize),
    Frozen,
    Fresh,
}

impl Source {
    /// The place of an id of the part's index.
    pub(crate) fn place(self, id: i64) -> Place {
        match self {
            Self::Segment(i) => Place::Stored(i, usize::try_from(id).unwrap_or(usize::MAX)),
            Self::Frozen => Place::Frozen(id),
            Self::Fresh => Place::Fresh(id),
        }
    }
}
