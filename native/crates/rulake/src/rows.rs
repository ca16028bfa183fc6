//! The rows of a checkpoint: ids, texts and metadata in one mapped file.
//!
//! The body of the [block file](crate::blocks), little-endian:
//!
//! | part | content |
//! |---|---|
//! | header, 64 bytes | magic `RLROWS\0\1`, rows u64, length of the ids u64, length of the payload u64, zeros |
//! | directory, 40 bytes a row | row i64, start of id u64, start of payload u64, lengths of text u32 and metadata u32, of id u16, flags u16 (1 vector, 2 text, 4 metadata), zeros u32 |
//! | ids | UTF-8, one after the other |
//! | payload | text, then metadata (JSON as it came), row by row |
//!
//! Rows ascend. The blocks of directory and ids are checked on opening, those of the payload when they are read.

use std::ops::Range;
use std::path::Path;
use std::sync::OnceLock;

use crate::blocks::{BlockFile, BlockWriter, Written};
use crate::json::parse_object;
use crate::value::{Interner, Object};
use crate::{Error, Result};

const MAGIC: [u8; 8] = *b"RLROWS\0\x01";
const HEADER: usize = 64;
const ENTRY: usize = 40;

const VECTOR: u16 = 1;
const TEXT: u16 = 2;
const METADATA: u16 = 4;

/// A row to be written.
#[derive(Clone, Copy)]
pub(crate) struct RowParts<'a> {
    pub(crate) row: i64,
    pub(crate) id: &'a str,
    pub(crate) text: Option<&'a str>,
    pub(crate) metadata: Option<&'a str>,
    pub(crate) has_vector: bool,
}

/// An entry of the directory.
#[derive(Clone, Copy)]
struct Entry {
    row: i64,
    id_start: usize,
    payload_start: usize,
    text_len: usize,
    metadata_len: usize,
    id_len: usize,
    flags: u16,
}

/// A rows file open for reading.
#[derive(Debug)]
pub(crate) struct RowsFile {
    file: BlockFile,
    count: usize,
    ids_start: usize,
    payload_start: usize,
    parsed: Box<[OnceLock<Option<Box<Object>>>]>,
}

impl RowsFile {
    /// # Errors
    /// `CORRUPT_FILE`, `UNSUPPORTED_FORMAT`, `IO`.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = BlockFile::open(path)?;
        let corrupt = |reason: &str| Error::corrupt(path, reason);
        if file.len() < HEADER {
            return Err(corrupt("the header is missing"));
        }
        let header = file.read(0..HEADER)?;
        if header[..8] != MAGIC {
            if header[..7] == MAGIC[..7] {
                let reason = format!(
                    "rows format {} is newer than this version of rulake reads",
                    header[7]
                );
                return Err(Error::UnsupportedFormat {
                    path: path.to_owned(),
                    reason,
                });
            }
            return Err(corrupt("not a rows file"));
        }
        let long = |at: usize| read_u64(header, at).and_then(|n| usize::try_from(n).ok());
        let (Some(count), Some(ids), Some(payload)) = (long(8), long(16), long(24)) else {
            return Err(corrupt("the header states impossible sizes"));
        };
        let ids_start = count.checked_mul(ENTRY).and_then(|n| n.checked_add(HEADER));
        let payload_start = ids_start.and_then(|n| n.checked_add(ids));
        let (Some(ids_start), Some(payload_start)) = (ids_start, payload_start) else {
            return Err(corrupt("the header states impossible sizes"));
        };
        if payload_start.checked_add(payload) != Some(file.len()) {
            return Err(corrupt("the header's sizes do not add up to the file's"));
        }
        file.read(0..payload_start)?;
        let parsed = (0..count).map(|_| OnceLock::new()).collect();
        Ok(Self {
            file,
            count,
            ids_start,
            payload_start,
            parsed,
        })
    }

    /// Row, id and whether there is a vector, of some entries; all that these entries say is checked.
    pub(crate) fn summaries(&self, positions: Range<usize>) -> Result<Vec<(i64, &str, bool)>> {
        let payload = self.file.len() - self.payload_start;
        let mut summaries = Vec::with_capacity(positions.len());
        let mut before = None;
        for position in positions {
            let entry = self.entry(position)?;
            if before.is_some_and(|before| before >= entry.row) {
                return Err(self.corrupt(position, "is out of order"));
            }
            before = Some(entry.row);
            let end = entry
                .payload_start
                .checked_add(entry.text_len)
                .and_then(|n| n.checked_add(entry.metadata_len));
            if end.is_none_or(|end| end > payload) {
                return Err(self.corrupt(position, "points outside the file"));
            }
            let id = self.id_of(position, &entry)?;
            summaries.push((entry.row, id, entry.flags & VECTOR != 0));
        }
        Ok(summaries)
    }

    /// Rows in the file.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn row(&self, position: usize) -> Result<i64> {
        self.entry(position).map(|entry| entry.row)
    }

    pub(crate) fn has_vector(&self, position: usize) -> Result<bool> {
        self.entry(position).map(|entry| entry.flags & VECTOR != 0)
    }

    pub(crate) fn id(&self, position: usize) -> Result<&str> {
        self.id_of(position, &self.entry(position)?)
    }

    fn id_of(&self, position: usize, entry: &Entry) -> Result<&str> {
        let start = self.ids_start.saturating_add(entry.id_start);
        let end = start.saturating_add(entry.id_len);
        if end > self.payload_start {
            return Err(self.corrupt(position, "points outside the file"));
        }
        self.utf8(position, self.file.read(start..end)?)
    }

    pub(crate) fn text(&self, position: usize) -> Result<Option<&str>> {
        let entry = self.entry(position)?;
        if entry.flags & TEXT == 0 {
            return Ok(None);
        }
        self.payload(position, entry.payload_start, entry.text_len)
            .map(Some)
    }

    pub(crate) fn metadata(&self, position: usize) -> Result<Option<&str>> {
        let entry = self.entry(position)?;
        if entry.flags & METADATA == 0 {
            return Ok(None);
        }
        self.payload(
            position,
            entry.payload_start.saturating_add(entry.text_len),
            entry.metadata_len,
        )
        .map(Some)
    }

    /// The metadata, parsed once and kept.
    pub(crate) fn object(&self, position: usize, interner: &Interner) -> Result<Option<&Object>> {
        let Some(cell) = self.parsed.get(position) else {
            return Err(self.corrupt(position, "does not exist"));
        };
        if let Some(object) = cell.get() {
            return Ok(object.as_deref());
        }
        let object = match self.metadata(position)? {
            Some(text) => {
                let parsed = parse_object(text, interner)
                    .map_err(|error| self.corrupt(position, error.reason))?;
                Some(Box::new(parsed))
            }
            None => None,
        };
        Ok(cell.get_or_init(|| object).as_deref())
    }

    /// Reads every byte.
    pub(crate) fn verify(&self) -> Result<()> {
        self.file.read(0..self.file.len())?;
        self.summaries(0..self.count)?;
        for position in 0..self.count {
            self.text(position)?;
            if let Some(text) = self.metadata(position)? {
                parse_object(text, &Interner::default())
                    .map_err(|error| self.corrupt(position, error.reason))?;
            }
        }
        Ok(())
    }

    fn payload(&self, position: usize, start: usize, len: usize) -> Result<&str> {
        let start = self.payload_start.saturating_add(start);
        self.utf8(position, self.file.read(start..start.saturating_add(len))?)
    }

    fn entry(&self, position: usize) -> Result<Entry> {
        let missing = || self.corrupt(position, "does not exist");
        if position >= self.count {
            return Err(missing());
        }
        let start = HEADER + position * ENTRY;
        let bytes = self
            .file
            .read(start..start + ENTRY)?
            .first_chunk::<ENTRY>()
            .ok_or_else(missing)?;
        let word = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let half = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
        let size = |at: usize| usize::try_from(long(at)).map_err(|_| missing());
        Ok(Entry {
            row: long(0).cast_signed(),
            id_start: size(8)?,
            payload_start: size(16)?,
            text_len: word(24) as usize,
            metadata_len: word(28) as usize,
            id_len: usize::from(half(32)),
            flags: half(34),
        })
    }

    fn utf8<'a>(&self, position: usize, bytes: &'a [u8]) -> Result<&'a str> {
        std::str::from_utf8(bytes).map_err(|_| self.corrupt(position, "is not UTF-8"))
    }

    fn corrupt(&self, position: usize, reason: &str) -> Error {
        Error::corrupt(self.file.path(), format!("entry {position}: {reason}"))
    }
}

/// Writes a rows file, which must not exist. `rows` is called three times and must give the same ascending rows each time.
pub(crate) fn write_rows<'a, I>(path: &Path, rows: impl Fn() -> I) -> Result<Written>
where
    I: Iterator<Item = Result<RowParts<'a>>>,
{
    let mut out = BlockWriter::create(path)?;
    let (mut count, mut ids, mut payload) = (0_u64, 0_u64, 0_u64);
    let mut directory = Vec::new();
    for row in rows() {
        let row = row?;
        let text = row.text.map_or(0, str::len);
        let metadata = row.metadata.map_or(0, str::len);
        let flag = |set: bool, flag: u16| if set { flag } else { 0 };
        let flags = flag(row.has_vector, VECTOR)
            | flag(row.text.is_some(), TEXT)
            | flag(row.metadata.is_some(), METADATA);
        directory.extend_from_slice(&row.row.to_le_bytes());
        directory.extend_from_slice(&ids.to_le_bytes());
        directory.extend_from_slice(&payload.to_le_bytes());
        #[expect(
            clippy::cast_possible_truncation,
            reason = "capped when the record was made"
        )]
        {
            directory.extend_from_slice(&(text as u32).to_le_bytes());
            directory.extend_from_slice(&(metadata as u32).to_le_bytes());
            directory.extend_from_slice(&(row.id.len() as u16).to_le_bytes());
        }
        directory.extend_from_slice(&flags.to_le_bytes());
        directory.extend_from_slice(&[0; 4]);
        count += 1;
        ids += row.id.len() as u64;
        payload += (text + metadata) as u64;
    }
    let mut header = [0_u8; HEADER];
    header[0..8].copy_from_slice(&MAGIC);
    header[8..16].copy_from_slice(&count.to_le_bytes());
    header[16..24].copy_from_slice(&ids.to_le_bytes());
    header[24..32].copy_from_slice(&payload.to_le_bytes());
    out.write(&header)?;
    out.write(&directory)?;
    drop(directory);
    for row in rows() {
        out.write(row?.id.as_bytes())?;
    }
    for row in rows() {
        let row = row?;
        for part in [row.text, row.metadata].into_iter().flatten() {
            out.write(part.as_bytes())?;
        }
    }
    out.finish()
}

fn read_u64(bytes: &[u8], at: usize) -> Option<u64> {
    bytes
        .get(at..)?
        .first_chunk::<8>()
        .map(|chunk| u64::from_le_bytes(*chunk))
}

#[cfg(test)]
mod tests;
