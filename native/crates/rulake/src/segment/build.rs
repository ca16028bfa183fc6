//! Making a segment.

use std::path::{Path, PathBuf};

use mapping::Watch;
use rabitq::{Control, Index};

use super::spool::Spool;
use super::write::RowsWriter;
use super::{DIRECTORY, FILTER_FILE, IDS_FILE, INDEX_FILE, ROWS_FILE, Segment, directory};
use crate::blocks::Written;
use crate::filter_index::FilterBuilder;
use crate::manifest::{FileEntry, SegmentEntry};
use crate::options::Settings;
use crate::ulid::Ulid;
use crate::{Error, Result, files};

/// A segment under construction; unless it is finished, its files go.
pub(crate) struct SegmentBuilder {
    collection: PathBuf,
    dir: PathBuf,
    id: Ulid,
    /// What was read for the segment.
    watch: Watch,
    settings: Settings,
    dimensions: Option<usize>,
    rows: Option<RowsWriter>,
    filter: FilterBuilder,
    vectors: Spool,
    /// Positions with a vector.
    with_vector: Vec<i64>,
    first: i64,
    last: i64,
    finished: bool,
}

impl SegmentBuilder {
    /// Starts a segment of a collection.
    pub(crate) fn new(
        collection: &Path,
        settings: &Settings,
        dimensions: Option<usize>,
    ) -> Result<Self> {
        let id = Ulid::unique();
        let dir = collection.join(directory(id));
        // The collection is there: a merge or flush that is late must not make another.
        files::add_dir(&collection.join(DIRECTORY))?;
        files::add_dir(&dir)?;
        Ok(Self {
            collection: collection.to_owned(),
            rows: Some(RowsWriter::create(&dir, id)?),
            filter: FilterBuilder::new(settings.metadata_index.clone()),
            vectors: Spool::new(dir.join(format!("{}vectors", files::DRAFT))),
            dir,
            id,
            watch: Watch::begin(),
            settings: settings.clone(),
            dimensions,
            with_vector: Vec::new(),
            first: 0,
            last: 0,
            finished: false,
        })
    }

    /// Adds a record; its row is above all before.
    pub(crate) fn push(
        &mut self,
        row: i64,
        hash: u64,
        (id, text, metadata): (&str, Option<&str>, Option<&str>),
        vector: Option<&[f32]>,
    ) -> Result<()> {
        let Some(rows) = &mut self.rows else {
            return Err(Error::Internal("the segment is finished".into()));
        };
        let position = rows.len();
        if position == 0 {
            self.first = row;
        }
        self.last = row;
        rows.push(row, hash, id, text, metadata)?;
        self.filter.push(metadata)?;
        if let Some(vector) = vector {
            self.with_vector.push(position as i64);
            self.vectors.push(vector)?;
        }
        Ok(())
    }

    /// Records so far, and how many of them have a vector.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let records = self.rows.as_ref().map_or(0, RowsWriter::len);
        (records, self.with_vector.len())
    }

    /// Builds the index, makes everything durable and opens it. `None` if there is no record.
    pub(crate) fn finish(
        mut self,
        control: Control<'_>,
    ) -> Result<Option<(SegmentEntry, Segment)>> {
        let Some(rows) = self.rows.take() else {
            return Err(Error::Internal("the segment is finished".into()));
        };
        let count = rows.len();
        if count == 0 {
            return Ok(None);
        }
        let written = rows.finish()?;
        let name = |file: &str| format!("{}/{file}", directory(self.id));
        let entry = |file: &str, written: Written| {
            FileEntry::new(&self.collection, name(file), written.length, written.digest)
        };
        let filter = std::mem::take(&mut self.filter);
        let filter = filter.finish(&self.dir.join(FILTER_FILE), self.id)?;
        let mut entries = vec![
            entry(ROWS_FILE, written.rows)?,
            entry(IDS_FILE, written.ids)?,
            entry(FILTER_FILE, filter)?,
        ];
        let vectors = self.with_vector.len();
        if vectors > 0 {
            let dimensions = self
                .dimensions
                .ok_or_else(|| Error::Internal("vectors without dimensions".into()))?;
            let kind = self.settings.index.kind_of_segment(vectors);
            let options = self.settings.build_options(kind, dimensions);
            let ids = (vectors < count).then_some(&*self.with_vector);
            let matrix = self.vectors.matrix()?;
            let index = Index::build(matrix.values(), ids, &options, control)?;
            index.save(&self.dir.join(INDEX_FILE), control)?;
            drop(index);
            drop(matrix);
            entries.push(FileEntry::of(&self.collection, name(INDEX_FILE))?);
        }
        files::sync_dir(&self.dir)?;
        let entry = SegmentEntry {
            id: self.id.to_string(),
            records: count as u64,
            vectors: vectors as u64,
            first_row: self.first,
            last_row: self.last,
            files: entries,
            deletes: None,
        };
        let segment = Segment::open(&self.collection, &entry)?;
        self.watch.check()?;
        self.finished = true;
        Ok(Some((entry, segment)))
    }
}

impl Drop for SegmentBuilder {
    fn drop(&mut self) {
        if !self.finished {
            self.rows = None;
            // What cannot be removed now is removed with other files that no manifest names.
            let _ = files::remove_dir(&self.dir);
        }
    }
}
