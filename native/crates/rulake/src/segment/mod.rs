//! Segments: immutable runs of records on disk.

mod build;
mod cache;
mod deletes;
mod layout;
mod rows;
mod sink;
mod spool;
mod write;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use rabitq::{Control, Index, OpenOptions, Verify};
use roaring::RoaringBitmap;

pub(crate) use build::SegmentBuilder;
pub(crate) use cache::BlockCache;
pub(crate) use rows::{Block, RowsFile};

use crate::filter_index::FilterFile;
use crate::manifest::{DeletesEntry, FileEntry, SegmentEntry};
use crate::select::{Few, Selected};
use crate::ulid::Ulid;
use crate::{Error, Result, files};

pub(crate) const ROWS_FILE: &str = "rows.arrow";
pub(crate) const IDS_FILE: &str = "rows.idx";
pub(crate) const INDEX_FILE: &str = "index.rbq";
pub(crate) const FILTER_FILE: &str = "filter.rbm";

/// Where the segments of a collection are.
pub(crate) const DIRECTORY: &str = "seg";

/// Directory of a segment, relative to the collection.
pub(crate) fn directory(id: Ulid) -> String {
    format!("{DIRECTORY}/{id}")
}

/// The files of a segment, open for reading.
pub(crate) struct Segment {
    pub(crate) id: Ulid,
    /// Tells it from all others in this process.
    number: u64,
    pub(crate) rows: RowsFile,
    pub(crate) filter: FilterFile,
    /// Over positions; without deletions.
    pub(crate) index: Option<Arc<Index>>,
    pub(crate) first_row: i64,
    pub(crate) last_row: i64,
    /// Answers of the last few filters.
    pub(crate) remembered: Mutex<Few<Selected>>,
}

impl Segment {
    /// Opens what a manifest names.
    ///
    /// # Errors
    /// `CORRUPT_FILE`, `UNSUPPORTED_FORMAT`, `FILE_NOT_FOUND`, `IO`.
    pub(crate) fn open(collection: &Path, entry: &SegmentEntry) -> Result<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        for file in &entry.files {
            file.check_ends(collection)?;
        }
        let id = entry.ulid(collection)?;
        let dir = collection.join(directory(id));
        let rows = RowsFile::open(&dir, id)?;
        let disagree = |what: &str| {
            let reason = format!("its {what} are not those that the manifest states");
            Error::corrupt(&dir, reason)
        };
        if rows.len() as u64 != entry.records || rows.len() == 0 {
            return Err(disagree("records"));
        }
        if (rows.row(0)?, rows.row(rows.len() - 1)?) != (entry.first_row, entry.last_row) {
            return Err(disagree("rows"));
        }
        let filter = FilterFile::open(&dir.join(FILTER_FILE), id, rows.len())?;
        let index = if entry.vectors > 0 {
            let path = dir.join(INDEX_FILE);
            let options = OpenOptions::default();
            Some(Arc::new(Index::open(&path, options, Control::default())?))
        } else {
            None
        };
        if index.as_ref().map_or(0, |index| index.len()) as u64 != entry.vectors {
            return Err(disagree("vectors"));
        }
        Ok(Self {
            id,
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            rows,
            filter,
            index,
            first_row: entry.first_row,
            last_row: entry.last_row,
            remembered: Mutex::default(),
        })
    }

    /// Checks all that a merge reads of it, what was checked before included.
    ///
    /// # Errors
    /// `CORRUPT_FILE`, `FILE_NOT_FOUND`, `IO`, `CANCELLED`.
    pub(crate) fn recheck(&self, collection: &Path, control: Control<'_>) -> Result<()> {
        self.rows.recheck()?;
        if self.index.is_some() {
            let path = collection.join(directory(self.id)).join(INDEX_FILE);
            let verify = OpenOptions {
                verify: Verify::Full,
            };
            Index::open(&path, verify, control)?;
        }
        Ok(())
    }

    /// The block that holds a position, which walks do not leave in the cache: what they read once, nobody needs again.
    pub(crate) fn passing_block(&self, position: usize, cache: &BlockCache) -> Result<Arc<Block>> {
        let block = self.rows.block_of(position)?;
        let key = (self.number, u32::try_from(block).unwrap_or(u32::MAX));
        match cache.get(key) {
            Some(found) => self.checked(found, position),
            None => self.checked(Arc::new(self.rows.block(block)?), position),
        }
    }

    /// A block, if it has the position for which `rows.idx` has led to it.
    fn checked(&self, block: Arc<Block>, position: usize) -> Result<Arc<Block>> {
        if block.positions().contains(&position) {
            return Ok(block);
        }
        Err(self.rows.corrupt(position, "leads to another block"))
    }

    /// The block that holds a position, from the cache if it is there.
    pub(crate) fn block_at(&self, position: usize, cache: &BlockCache) -> Result<Arc<Block>> {
        let block = self.rows.block_of(position)?;
        let key = (self.number, u32::try_from(block).unwrap_or(u32::MAX));
        if let Some(found) = cache.get(key) {
            return self.checked(found, position);
        }
        let block = Arc::new(self.rows.block(block)?);
        cache.put(key, &block);
        self.checked(block, position)
    }
}

/// A segment and which of its records are gone.
#[derive(Clone)]
pub(crate) struct Live {
    pub(crate) segment: Arc<Segment>,
    /// Positions.
    pub(crate) deleted: Arc<RoaringBitmap>,
    /// The vectors of the records that are left.
    pub(crate) index: Option<Arc<Index>>,
}

impl Live {
    /// A segment without the records of a mask.
    pub(crate) fn new(segment: Arc<Segment>, deleted: RoaringBitmap) -> Result<Self> {
        let whole = Self {
            index: segment.index.clone(),
            segment,
            deleted: Arc::default(),
        };
        whole.without(deleted)
    }

    /// Opens a segment with its mask.
    pub(crate) fn open(collection: &Path, entry: &SegmentEntry) -> Result<Self> {
        Self::new(
            Arc::new(Segment::open(collection, entry)?),
            read_deletes(collection, entry)?,
        )
    }

    /// Records that are left.
    pub(crate) fn len(&self) -> usize {
        self.segment.rows.len() - self.deleted.len() as usize
    }

    pub(crate) fn vectors(&self) -> usize {
        self.index.as_ref().map_or(0, |index| index.len())
    }

    pub(crate) fn has(&self, position: usize) -> bool {
        !self.deleted.contains(position as u32)
    }

    /// Position of a row number, if the record is left.
    pub(crate) fn position_of(&self, row: i64) -> Result<Option<usize>> {
        if !(self.segment.first_row..=self.segment.last_row).contains(&row) {
            return Ok(None);
        }
        let position = self.segment.rows.position_of(row)?;
        Ok(position.filter(|position| self.has(*position)))
    }

    /// Position of an id, if the record is left.
    pub(crate) fn find(&self, hash: u64, id: &str) -> Result<Option<usize>> {
        let position = self.segment.rows.find(hash, id)?;
        Ok(position.filter(|position| self.has(*position)))
    }

    /// The same segment with a larger mask.
    pub(crate) fn without(&self, deleted: RoaringBitmap) -> Result<Self> {
        if deleted == *self.deleted {
            return Ok(self.clone());
        }
        let index = match &self.index {
            Some(index) => {
                let gone = &deleted - &*self.deleted;
                let next = index.fork();
                next.delete(&gone.iter().map(i64::from).collect::<Vec<_>>())?;
                Some(Arc::new(next))
            }
            None => None,
        };
        Ok(Self {
            segment: self.segment.clone(),
            deleted: Arc::new(deleted),
            index,
        })
    }

    /// Positions that are left, ascending.
    pub(crate) fn positions(&self, from: usize) -> impl Iterator<Item = usize> {
        (from..self.segment.rows.len()).filter(|position| self.has(*position))
    }
}

/// The mask a manifest names.
pub(crate) fn read_deletes(collection: &Path, entry: &SegmentEntry) -> Result<RoaringBitmap> {
    let Some(stated) = &entry.deletes else {
        return Ok(RoaringBitmap::new());
    };
    stated.file.check_ends(collection)?;
    let path = collection.join(&stated.file.name);
    let records = usize::try_from(entry.records).unwrap_or(usize::MAX);
    let deleted = deletes::read(&path, entry.ulid(collection)?, records)?;
    if deleted.len() != stated.records {
        let reason = format!(
            "it deletes {} records, the manifest states {}",
            deleted.len(),
            stated.records
        );
        return Err(Error::corrupt(&path, reason));
    }
    Ok(deleted)
}

/// Writes a mask for a generation, durably.
pub(crate) fn write_deletes(
    collection: &Path,
    id: Ulid,
    generation: u64,
    deleted: &RoaringBitmap,
) -> Result<DeletesEntry> {
    let name = format!("{}/deletes-{generation:020}.rbm", directory(id));
    let path = collection.join(&name);
    // What a crash has left of an attempt at the same generation.
    files::remove_file(&path)?;
    let written = deletes::write(&path, id, deleted)?;
    files::sync_dir(&collection.join(directory(id)))?;
    Ok(DeletesEntry {
        file: FileEntry::new(collection, name, written.length, written.digest)?,
        records: deleted.len(),
    })
}
