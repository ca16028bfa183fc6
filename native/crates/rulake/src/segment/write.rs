//! Writing the rows of a segment.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::{ArrayRef, RecordBatch};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions};
use arrow_schema::{ArrowError, Schema};

use super::layout::{HEADER, MAGIC, columns};
use super::sink::Sink;
use super::{IDS_FILE, ROWS_FILE};
use crate::blocks::{BlockWriter, Written};
use crate::ulid::Ulid;
use crate::{Error, Result};

/// Bytes of content after which a block ends: what a reader of one record decompresses.
const BLOCK_BYTES: usize = 32 << 10;
/// Rows after which it ends in any case.
const BLOCK_ROWS: usize = 1024;

/// Writes `rows.arrow` and `rows.idx` front to back.
pub(crate) struct RowsWriter {
    dir: PathBuf,
    segment: Ulid,
    schema: Arc<Schema>,
    out: FileWriter<Sink>,
    ids: StringBuilder,
    texts: StringBuilder,
    metadata: StringBuilder,
    pending: usize,
    pending_bytes: usize,
    /// Encoded entries of the blocks.
    blocks: Vec<u8>,
    rows: Vec<u8>,
    hashes: Vec<u64>,
    starts: Vec<u8>,
    id_bytes: Vec<u8>,
}

/// The two files.
pub(crate) struct WrittenRows {
    pub(crate) rows: Written,
    pub(crate) ids: Written,
}

impl RowsWriter {
    /// Creates the files in a directory that has none of them.
    pub(crate) fn create(dir: &Path, segment: Ulid) -> Result<Self> {
        let path = dir.join(ROWS_FILE);
        let schema = columns::schema();
        let mut sink = Sink::create(&path)?;
        let options = IpcWriteOptions::default()
            .try_with_compression(Some(CompressionType::LZ4_FRAME))
            .map_err(|error| failed(&path, error))?;
        sink.flush().map_err(|error| failed(&path, error.into()))?;
        let mut out = FileWriter::try_new_with_options(sink, &schema, options)
            .map_err(|error| failed(&path, error))?;
        out.get_mut().take_crc();
        Ok(Self {
            dir: dir.to_owned(),
            segment,
            schema,
            out,
            ids: StringBuilder::new(),
            texts: StringBuilder::new(),
            metadata: StringBuilder::new(),
            pending: 0,
            pending_bytes: 0,
            blocks: Vec::new(),
            rows: Vec::new(),
            hashes: Vec::new(),
            starts: vec![0; 4],
            id_bytes: Vec::new(),
        })
    }

    /// Rows so far.
    pub(crate) fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Adds a record; its row is above all before.
    pub(crate) fn push(
        &mut self,
        row: i64,
        hash: u64,
        id: &str,
        text: Option<&str>,
        metadata: Option<&str>,
    ) -> Result<()> {
        let bytes = id.len() + text.map_or(0, str::len) + metadata.map_or(0, str::len);
        // A column of a batch has offsets of 31 bits.
        if self.pending > 0 && self.pending_bytes.saturating_add(bytes) > i32::MAX as usize {
            self.end_block()?;
        }
        let position = u32::try_from(self.len())
            .map_err(|_| Error::Internal("more than 2^32 rows in a segment".into()))?;
        self.ids.append_value(id);
        self.texts.append_option(text);
        self.metadata.append_option(metadata);
        self.rows.extend_from_slice(&row.to_le_bytes());
        self.hashes
            .push(hash & 0xffff_ffff_0000_0000 | u64::from(position));
        self.id_bytes.extend_from_slice(id.as_bytes());
        let end = u32::try_from(self.id_bytes.len())
            .map_err(|_| Error::Internal("more than 4 GiB of ids in a segment".into()))?;
        self.starts.extend_from_slice(&end.to_le_bytes());
        self.pending += 1;
        self.pending_bytes += bytes;
        if self.pending_bytes >= BLOCK_BYTES || self.pending >= BLOCK_ROWS {
            self.end_block()?;
        }
        Ok(())
    }

    fn end_block(&mut self) -> Result<()> {
        let path = self.dir.join(ROWS_FILE);
        let arrays: Vec<ArrayRef> = vec![
            Arc::new(self.ids.finish()),
            Arc::new(self.texts.finish()),
            Arc::new(self.metadata.finish()),
        ];
        let offset = self.out.get_ref().length();
        RecordBatch::try_new(self.schema.clone(), arrays)
            .and_then(|batch| self.out.write(&batch))
            .map_err(|error| failed(&path, error))?;
        let sink = self.out.get_mut();
        let length = sink.length() - offset;
        let first = (self.hashes.len() - self.pending) as u32;
        self.blocks.extend_from_slice(&offset.to_le_bytes());
        self.blocks.extend_from_slice(&length.to_le_bytes());
        self.blocks
            .extend_from_slice(&sink.take_crc().to_le_bytes());
        self.blocks.extend_from_slice(&first.to_le_bytes());
        self.pending = 0;
        self.pending_bytes = 0;
        Ok(())
    }

    /// Ends both files and makes them durable; their directory is up to the caller.
    pub(crate) fn finish(mut self) -> Result<WrittenRows> {
        if self.pending > 0 {
            self.end_block()?;
        }
        let path = self.dir.join(ROWS_FILE);
        self.out.finish().map_err(|error| failed(&path, error))?;
        let sink = self
            .out
            .into_inner()
            .map_err(|error| failed(&path, error))?;
        let rows = sink.finish()?;
        let mut header = [0_u8; HEADER];
        header[..8].copy_from_slice(&MAGIC);
        header[8..24].copy_from_slice(&self.segment.bytes());
        header[24..32].copy_from_slice(&(self.hashes.len() as u64).to_le_bytes());
        let blocks = (self.blocks.len() / super::layout::BLOCK_ENTRY) as u64;
        header[32..40].copy_from_slice(&blocks.to_le_bytes());
        header[40..48].copy_from_slice(&(self.id_bytes.len() as u64).to_le_bytes());
        self.hashes.sort_unstable();
        let mut out = BlockWriter::create(&self.dir.join(IDS_FILE))?;
        out.write(&header)?;
        out.write(&self.blocks)?;
        out.write(&self.rows)?;
        for hash in &self.hashes {
            out.write(&hash.to_le_bytes())?;
        }
        out.write(&self.starts)?;
        out.write(&self.id_bytes)?;
        Ok(WrittenRows {
            rows,
            ids: out.finish()?,
        })
    }
}

fn failed(path: &Path, error: ArrowError) -> Error {
    match error {
        ArrowError::IoError(_, source) => Error::Io {
            path: path.to_owned(),
            source,
        },
        other => Error::Internal(format!("{}: {other}", path.display())),
    }
}
