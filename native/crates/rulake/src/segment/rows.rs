//! Reading the rows of a segment: `rows.arrow`, an Arrow IPC file, by way of `rows.idx`.
//!
//! Opening reads neither: ids and row numbers are looked up in the mapped `rows.idx`, whose blocks are checked when they
//! are first read; texts and metadata come from one record batch, checked by the checksum that `rows.idx` has of it.

use std::ops::Range;
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch, StringArray};
use arrow_buffer::Buffer;
use arrow_ipc::MetadataVersion;
use arrow_ipc::reader::FileDecoder;
use mapping::{Mapping, Torn};

use super::layout::{BLOCK_ENTRY, HEADER, Layout, MAGIC, columns};
use super::{IDS_FILE, ROWS_FILE};
use crate::blocks::BlockFile;
use crate::error::IoContext;
use crate::ulid::Ulid;
use crate::{Error, Result, files};

/// The start of an Arrow IPC file.
const ARROW_MAGIC: [u8; 6] = *b"ARROW\x31";

/// The marker and the length of the metadata of a message in it.
const MESSAGE_HEAD: usize = 8;

/// The rows of a segment, open for reading. Positions count from 0.
#[derive(Debug)]
pub(crate) struct RowsFile {
    arrow_path: PathBuf,
    arrow: Mapping,
    index: BlockFile,
    layout: Layout,
    count: usize,
    blocks: usize,
}

/// Neighbouring records, decompressed.
#[derive(Debug)]
pub(crate) struct Block {
    first: usize,
    texts: StringArray,
    metadata: StringArray,
}

impl Block {
    /// Positions of its records.
    pub(crate) fn positions(&self) -> Range<usize> {
        self.first..self.first + self.texts.len()
    }

    pub(crate) fn text(&self, position: usize) -> Option<&str> {
        value(&self.texts, position.wrapping_sub(self.first))
    }

    pub(crate) fn metadata(&self, position: usize) -> Option<&str> {
        value(&self.metadata, position.wrapping_sub(self.first))
    }

    /// Bytes on the heap.
    pub(crate) fn bytes(&self) -> usize {
        self.texts.get_array_memory_size() + self.metadata.get_array_memory_size()
    }

    #[cfg(test)]
    pub(crate) fn of_texts(texts: &[&str]) -> Self {
        Self {
            first: 0,
            texts: StringArray::from(texts.to_vec()),
            metadata: StringArray::new_null(texts.len()),
        }
    }
}

fn value(array: &StringArray, at: usize) -> Option<&str> {
    (at < array.len() && array.is_valid(at)).then(|| array.value(at))
}

impl RowsFile {
    /// Opens the rows of a segment.
    ///
    /// # Errors
    /// `CORRUPT_FILE`, `UNSUPPORTED_FORMAT`, `IO`.
    pub(crate) fn open(dir: &Path, segment: Ulid) -> Result<Self> {
        let index = BlockFile::open(&dir.join(IDS_FILE))?;
        let corrupt = |reason: &str| Error::corrupt(index.path(), reason);
        if index.len() < HEADER {
            return Err(corrupt("the header is missing"));
        }
        let header = index.read(0..HEADER)?;
        if header[..8] != MAGIC {
            if header[..7] == MAGIC[..7] {
                let reason = format!(
                    "format {} is newer than this version of rulake reads",
                    header[7]
                );
                return Err(Error::UnsupportedFormat {
                    path: index.path().to_owned(),
                    reason,
                });
            }
            return Err(corrupt("not an index of rows"));
        }
        if header[8..24] != segment.bytes() {
            return Err(corrupt("it belongs to another segment"));
        }
        let size = |at: usize| u64_at(header, at).and_then(|n| usize::try_from(n).ok());
        let (Some(count), Some(blocks), Some(ids)) = (size(24), size(32), size(40)) else {
            return Err(corrupt("the header states impossible sizes"));
        };
        let layout = Layout::new(count, blocks, ids).filter(|layout| layout.end == index.len());
        let Some(layout) = layout else {
            return Err(corrupt("the header's sizes do not add up to the file's"));
        };
        let arrow_path = dir.join(ROWS_FILE);
        let file = files::open(&arrow_path)?;
        let arrow = Mapping::of(&arrow_path, &file).at(&arrow_path)?;
        if !arrow.starts_with(&ARROW_MAGIC) || !arrow.ends_with(&ARROW_MAGIC) {
            return Err(Error::corrupt(
                &arrow_path,
                "it is cut off or not an Arrow IPC file",
            ));
        }
        Ok(Self {
            arrow_path,
            arrow,
            index,
            layout,
            count,
            blocks,
        })
    }

    /// Rows in the segment.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Record batches in the segment.
    pub(crate) fn blocks(&self) -> usize {
        self.blocks
    }

    fn long(&self, start: usize, i: usize) -> Result<u64> {
        let at = start + i * 8;
        let bytes = self.index.read(at..at + 8)?;
        u64_at(bytes, 0).ok_or_else(|| self.corrupt(i, "is missing"))
    }

    fn check(&self, position: usize) -> Result<()> {
        if position < self.count {
            Ok(())
        } else {
            Err(self.corrupt(position, "does not exist"))
        }
    }

    /// Row number of a position.
    pub(crate) fn row(&self, position: usize) -> Result<i64> {
        self.check(position)?;
        self.long(self.layout.rows, position).map(u64::cast_signed)
    }

    /// Position of a row number.
    pub(crate) fn position_of(&self, row: i64) -> Result<Option<usize>> {
        if self.count == 0 {
            return Ok(None);
        }
        // Rows without gaps are where they should be.
        let guess = row.wrapping_sub(self.row(0)?);
        if let Ok(guess) = usize::try_from(guess)
            && guess < self.count
            && self.row(guess)? == row
        {
            return Ok(Some(guess));
        }
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low.midpoint(high);
            match self.row(middle)?.cmp(&row) {
                std::cmp::Ordering::Equal => return Ok(Some(middle)),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Ok(None)
    }

    /// The id at a position.
    pub(crate) fn id(&self, position: usize) -> Result<&str> {
        self.id_in(position, self.span(position)?)
    }

    /// Where the id at a position is in the file.
    pub(crate) fn span(&self, position: usize) -> Result<Range<usize>> {
        self.check(position)?;
        let at = self.layout.starts + position * 4;
        let ends = self.index.read(at..at + 8)?;
        let (Some(start), Some(end)) = (u32_at(ends, 0), u32_at(ends, 4)) else {
            return Err(self.corrupt(position, "is missing"));
        };
        let (start, end) = (start as usize, end as usize);
        let (start, end) = (self.layout.ids + start, self.layout.ids + end);
        if start > end || end > self.layout.end {
            return Err(self.corrupt(position, "points outside the file"));
        }
        Ok(start..end)
    }

    /// The id at a position, which is where [`Self::span`] says.
    pub(crate) fn id_in(&self, position: usize, span: Range<usize>) -> Result<&str> {
        std::str::from_utf8(self.index.read(span)?)
            .map_err(|_| self.corrupt(position, "has an id that is not UTF-8"))
    }

    /// Position of an id with this hash.
    pub(crate) fn find(&self, hash: u64, id: &str) -> Result<Option<usize>> {
        let key = hash >> 32;
        let mut at = self.first_hash(key)?;
        while at < self.count {
            let entry = self.long(self.layout.hashes, at)?;
            if entry >> 32 != key {
                break;
            }
            let position = (entry & 0xffff_ffff) as usize;
            if self.id(position)? == id {
                return Ok(Some(position));
            }
            at += 1;
        }
        Ok(None)
    }

    /// Where the hashes from `key` on start. Hashes spread evenly, so guessing the place beats halving.
    fn first_hash(&self, key: u64) -> Result<usize> {
        let (mut low, mut high) = (0, self.count);
        let (mut low_key, mut high_key) = (0_u64, 1_u64 << 32);
        while low < high {
            let share = (key.saturating_sub(low_key)) as f64 / (high_key - low_key).max(1) as f64;
            let guess = low + ((high - low) as f64 * share) as usize;
            // A step towards the middle keeps an uneven spread from making this a walk.
            let middle = guess
                .clamp(low + (high - low) / 16, high - 1 - (high - low) / 16)
                .clamp(low, high - 1);
            let found = self.long(self.layout.hashes, middle)? >> 32;
            if found < key {
                low = middle + 1;
                low_key = found;
            } else {
                high = middle;
                high_key = found.max(low_key);
            }
        }
        Ok(low)
    }

    /// The block that holds a position.
    pub(crate) fn block_of(&self, position: usize) -> Result<usize> {
        self.check(position)?;
        // Blocks are about equally long in rows, so the search begins near where it ends, in wider and wider steps.
        let guess = (position as u128 * self.blocks as u128 / self.count as u128) as usize;
        let (mut low, mut high) = (guess, guess + 1);
        let mut step = 1;
        while low > 0 && self.first_of(low)? > position {
            high = low;
            low = low.saturating_sub(step);
            step *= 2;
        }
        while high < self.blocks && self.first_of(high)? <= position {
            low = high;
            high = (high + step).min(self.blocks);
            step *= 2;
        }
        while low + 1 < high {
            let middle = low.midpoint(high);
            if self.first_of(middle)? <= position {
                low = middle;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    fn first_of(&self, block: usize) -> Result<usize> {
        Ok(self.block_entry(block)?.3)
    }

    /// Positions of a block.
    pub(crate) fn positions_of(&self, block: usize) -> Result<Range<usize>> {
        let first = self.first_of(block)?;
        let next = if block + 1 < self.blocks {
            self.first_of(block + 1)?
        } else {
            self.count
        };
        if first > next {
            return Err(self.corrupt(block, "is a block out of order"));
        }
        Ok(first..next)
    }

    /// Offset, length, checksum and first position.
    fn block_entry(&self, block: usize) -> Result<(usize, usize, u32, usize)> {
        if block >= self.blocks {
            return Err(self.corrupt(block, "is the number of no block"));
        }
        let at = HEADER + block * BLOCK_ENTRY;
        let bytes = self.index.read(at..at + BLOCK_ENTRY)?;
        let entry = || {
            let size = |at| u64_at(bytes, at).and_then(|n| usize::try_from(n).ok());
            Some((
                size(0)?,
                size(8)?,
                u32_at(bytes, 16)?,
                u32_at(bytes, 20)? as usize,
            ))
        };
        entry().ok_or_else(|| self.corrupt(block, "is a block with impossible sizes"))
    }

    /// Checks a record batch and decompresses it.
    pub(crate) fn block(&self, block: usize) -> Result<Block> {
        let (first, batch) = self.batch(block, Some(vec![1, 2]))?;
        let column = |name| {
            let column = batch
                .column_by_name(name)
                .and_then(|array| array.as_string_opt::<i32>());
            column
                .cloned()
                .ok_or_else(|| self.damaged(block, "a column is missing"))
        };
        Ok(Block {
            first,
            texts: column(columns::TEXT)?,
            metadata: column(columns::METADATA)?,
        })
    }

    fn batch(&self, block: usize, projection: Option<Vec<usize>>) -> Result<(usize, RecordBatch)> {
        if self.arrow.is_torn() {
            return Err(self.damaged(block, Torn::REASON));
        }
        let (offset, length, crc, _) = self.block_entry(block)?;
        let Range {
            start: first,
            end: next,
        } = self.positions_of(block)?;
        let bytes = offset
            .checked_add(length)
            .and_then(|end| self.arrow.get(offset..end))
            .ok_or_else(|| self.damaged(block, "it ends beyond the file"))?;
        let found = crc32c::crc32c(bytes);
        if found != crc {
            let reason = format!("checksum {found:08x}, expected {crc:08x}");
            return Err(self.damaged(block, &reason));
        }
        // An encapsulated message: a marker, the length of the metadata, the metadata, the body. No bytes have a right
        // checksum, too.
        let metadata = u32_at(bytes, 4).map_or(0, |n| n as usize + MESSAGE_HEAD);
        let entry = arrow_ipc::Block::new(
            offset as i64,
            i32::try_from(metadata).map_err(|_| self.damaged(block, "impossible metadata"))?,
            length.saturating_sub(metadata) as i64,
        );
        if metadata > length || length < MESSAGE_HEAD {
            return Err(self.damaged(block, "impossible metadata"));
        }
        let mut decoder = FileDecoder::new(columns::schema(), MetadataVersion::V5);
        if let Some(projection) = projection {
            decoder = decoder.with_projection(projection);
        }
        let batch = decoder
            .read_record_batch(&entry, &Buffer::from(bytes))
            .map_err(|error| self.damaged(block, &error.to_string()))?
            .filter(|batch| first.checked_add(batch.num_rows()) == Some(next))
            .ok_or_else(|| self.damaged(block, "it has another number of rows than expected"))?;
        Ok((first, batch))
    }

    /// Reads every byte and compares the two files; `visit` gets each block.
    pub(crate) fn verify(&self, mut visit: impl FnMut(&Block) -> Result<()>) -> Result<()> {
        self.index.read(0..self.index.len())?;
        let mut before = None;
        for position in 0..self.count {
            let row = self.row(position)?;
            if before.is_some_and(|before| before >= row) {
                return Err(self.corrupt(position, "is out of order"));
            }
            before = Some(row);
        }
        let mut last = 0;
        for i in 0..self.count {
            let entry = self.long(self.layout.hashes, i)?;
            if entry < last || (entry & 0xffff_ffff) as usize >= self.count {
                return Err(self.corrupt(i, "has a hash out of order"));
            }
            last = entry;
        }
        for block in 0..self.blocks {
            let (first, batch) = self.batch(block, None)?;
            let ids = batch
                .column_by_name(columns::ID)
                .and_then(|array| array.as_string_opt::<i32>())
                .ok_or_else(|| self.damaged(block, "a column is missing"))?;
            for i in 0..ids.len() {
                if self.id(first + i)? != ids.value(i) {
                    return Err(self.damaged(block, "an id differs from that in rows.idx"));
                }
            }
            visit(&self.block(block)?)?;
        }
        Ok(())
    }

    /// Checks the whole of `rows.idx`, what was checked before included. Record batches are checked whenever they are read.
    pub(crate) fn recheck(&self) -> Result<()> {
        self.index.recheck()
    }

    pub(super) fn corrupt(&self, entry: usize, reason: &str) -> Error {
        Error::corrupt(self.index.path(), format!("entry {entry}: {reason}"))
    }

    fn damaged(&self, block: usize, reason: &str) -> Error {
        Error::corrupt(&self.arrow_path, format!("record batch {block}: {reason}"))
    }
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let chunk = bytes.get(at..)?.first_chunk::<8>()?;
    Some(u64::from_le_bytes(*chunk))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let chunk = bytes.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*chunk))
}
