//! Upstream's two files of vectors, and ours of records.
//!
//! Both of upstream's are little-endian rows of an id and `f32` components behind 24 and 32 bytes of header; see
//! `docs/format.md`. Neither has a checksum: the list of a bundle's files does that.

use std::fs::File;
use std::io::{self, BufRead, BufWriter, Read, Seek, SeekFrom, Write};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::pieces::PIECE;

const RUVEC1: &[u8; 8] = b"ruvec1\0\0";
const RBPX: &[u8; 8] = b"rbpx0001";
/// Most rows of either file.
pub(crate) const MAX_ROWS: u64 = 100_000_000;

/// The header of a file of vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct VectorsHead {
    pub(crate) kind: VectorsKind,
    pub(crate) dimensions: u64,
    pub(crate) rows: u64,
}

/// Which of upstream's files it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VectorsKind {
    /// 64-bit ids.
    Ruvec1,
    /// 32-bit ids, and what an index is built with.
    Rbpx { seed: u64, rerank: u32 },
}

impl VectorsHead {
    fn id_bytes(&self) -> usize {
        match self.kind {
            VectorsKind::Ruvec1 => 8,
            VectorsKind::Rbpx { .. } => 4,
        }
    }

    fn head_bytes(&self) -> u64 {
        match self.kind {
            VectorsKind::Ruvec1 => 24,
            VectorsKind::Rbpx { .. } => 32,
        }
    }

    /// Length of the whole file; none if it is beyond all bounds.
    pub(crate) fn file_bytes(&self) -> Option<u64> {
        let row = self
            .dimensions
            .checked_mul(4)?
            .checked_add(self.id_bytes() as u64)?;
        self.rows.checked_mul(row)?.checked_add(self.head_bytes())
    }

    fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(32);
        match self.kind {
            VectorsKind::Ruvec1 => {
                bytes.extend(RUVEC1);
                bytes.extend(self.rows.to_le_bytes());
                bytes.extend((self.dimensions as u32).to_le_bytes());
                bytes.extend(0_u32.to_le_bytes());
            }
            VectorsKind::Rbpx { seed, rerank } => {
                bytes.extend(RBPX);
                bytes.extend(1_u32.to_le_bytes());
                bytes.extend((self.dimensions as u32).to_le_bytes());
                bytes.extend(seed.to_le_bytes());
                bytes.extend(rerank.to_le_bytes());
                bytes.extend((self.rows as u32).to_le_bytes());
            }
        }
        bytes
    }

    /// Reads a header; what is wrong with it otherwise.
    pub(crate) fn read(input: &mut impl Read) -> io::Result<Result<Self, String>> {
        let mut head = [0; 24];
        input.read_exact(&mut head)?;
        let word =
            |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
        if head.starts_with(RUVEC1) {
            let head = Self {
                kind: VectorsKind::Ruvec1,
                rows: long(8),
                dimensions: word(16).into(),
            };
            return Ok(head.check(word(20) == 0));
        }
        if !head.starts_with(RBPX) {
            return Ok(Err("it is neither a ruvec1 nor an rbpx file".into()));
        }
        let mut tail = [0; 8];
        input.read_exact(&mut tail)?;
        let [a, b, c, d, e, f, g, h] = tail;
        let head = Self {
            kind: VectorsKind::Rbpx {
                seed: long(16),
                rerank: u32::from_le_bytes([a, b, c, d]),
            },
            dimensions: word(12).into(),
            rows: u32::from_le_bytes([e, f, g, h]).into(),
        };
        Ok(head.check(word(8) == 1))
    }

    fn check(self, version: bool) -> Result<Self, String> {
        if version
            && self.rows <= MAX_ROWS
            && (1..=rabitq::MAX_DIMENSIONS as u64).contains(&self.dimensions)
        {
            return Ok(self);
        }
        Err(format!(
            "an impossible header: {} rows of {} dimensions",
            self.rows, self.dimensions
        ))
    }
}

/// Writes a file of vectors whose number is known at the end.
pub(crate) struct VectorsWriter {
    out: BufWriter<File>,
    head: VectorsHead,
}

impl VectorsWriter {
    pub(crate) fn new(file: File, kind: VectorsKind, dimensions: usize) -> io::Result<Self> {
        let head = VectorsHead {
            kind,
            dimensions: dimensions as u64,
            rows: 0,
        };
        let mut out = BufWriter::with_capacity(PIECE, file);
        out.write_all(&head.to_bytes())?;
        Ok(Self { out, head })
    }

    pub(crate) fn push(&mut self, id: u64, vector: impl Iterator<Item = f32>) -> io::Result<()> {
        match self.head.kind {
            VectorsKind::Ruvec1 => self.out.write_all(&id.to_le_bytes())?,
            VectorsKind::Rbpx { .. } => self.out.write_all(&(id as u32).to_le_bytes())?,
        }
        for component in vector {
            self.out.write_all(&component.to_le_bytes())?;
        }
        self.head.rows += 1;
        Ok(())
    }

    /// Makes the ids of the first `rows` rows their positions.
    pub(crate) fn number_rows(&mut self, rows: u64) -> io::Result<()> {
        let row_bytes = self.head.id_bytes() as u64 + 4 * self.head.dimensions;
        let end = self.out.stream_position()?;
        for row in 0..rows {
            self.out
                .seek(SeekFrom::Start(self.head.head_bytes() + row * row_bytes))?;
            self.out
                .write_all(&row.to_le_bytes()[..self.head.id_bytes()])?;
        }
        self.out.seek(SeekFrom::Start(end))?;
        Ok(())
    }

    /// Writes the number of rows where it belongs, and makes everything durable.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.out.seek(SeekFrom::Start(0))?;
        self.out.write_all(&self.head.to_bytes())?;
        self.out.flush()?;
        self.out.get_ref().sync_all()
    }
}

/// Reads the rows after a header.
pub(crate) struct VectorsReader {
    id_bytes: usize,
    row: Vec<u8>,
    vector: Vec<f32>,
}

impl VectorsReader {
    pub(crate) fn new(head: &VectorsHead) -> Self {
        Self {
            id_bytes: head.id_bytes(),
            row: vec![0; head.id_bytes() + 4 * head.dimensions as usize],
            vector: Vec::with_capacity(head.dimensions as usize),
        }
    }

    /// The next row: its id and its vector.
    pub(crate) fn next(&mut self, input: &mut impl Read) -> io::Result<(u64, &[f32])> {
        input.read_exact(&mut self.row)?;
        let (id, vector) = self.row.split_at(self.id_bytes);
        let id = id
            .iter()
            .rev()
            .fold(0, |id, &byte| id << 8 | u64::from(byte));
        self.vector.clear();
        let words = vector.chunks_exact(4).map(|b| [b[0], b[1], b[2], b[3]]);
        self.vector.extend(words.map(f32::from_le_bytes));
        Ok((id, &self.vector))
    }
}

/// A line of the file of records.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecordLine {
    pub(crate) id: String,
    /// Position of its vector among the vectors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) vector: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<String>,
    /// A JSON object as it was given, with spaces for line breaks between its tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) metadata: Option<Box<RawValue>>,
}

impl RecordLine {
    pub(crate) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer(&mut *out, self)?;
        out.write_all(b"\n")
    }

    /// The next line; what is wrong with it otherwise; none at the end.
    pub(crate) fn read(
        input: &mut impl BufRead,
        line: &mut Vec<u8>,
    ) -> io::Result<Option<Result<Self, String>>> {
        line.clear();
        if input.read_until(b'\n', line)? == 0 {
            return Ok(None);
        }
        if line.pop() != Some(b'\n') {
            return Ok(Some(Err("the last line is cut off".into())));
        }
        Ok(Some(
            serde_json::from_slice(line).map_err(|error| error.to_string()),
        ))
    }
}

/// Metadata as it goes into a line.
pub(crate) fn raw_metadata(mut text: String) -> Result<Box<RawValue>, String> {
    // JSON strings hold no line breaks as such, so they are between tokens.
    if text.contains(['\n', '\r']) {
        text = text.replace(['\n', '\r'], " ");
    }
    RawValue::from_string(text).map_err(|error| error.to_string())
}

/// The number an id is, if writing that number gives the id again.
pub(crate) fn as_number(id: &str) -> Option<u64> {
    let canonical = id == "0" || !id.starts_with(['0', '+']);
    id.parse().ok().filter(|_| canonical)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_decimals_are_numbers() {
        for (id, number) in [
            ("0", Some(0)),
            ("7", Some(7)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("07", None),
            ("+7", None),
            ("-7", None),
            ("7.0", None),
            ("", None),
            ("٣", None),
        ] {
            assert_eq!(as_number(id), number, "{id}");
        }
    }

    #[test]
    fn metadata_stays_on_its_line() {
        let raw = raw_metadata("{\n \"a\": \"x\\ny\",\r\n \"b\": 1e2 }".into()).unwrap();
        assert_eq!(raw.get(), "{  \"a\": \"x\\ny\",   \"b\": 1e2 }");
        assert!(raw_metadata("{".into()).is_err());
    }

    #[test]
    fn absurd_headers_are_refused_without_overflow() {
        let mut bytes = RUVEC1.to_vec();
        bytes.extend(u64::MAX.to_le_bytes());
        bytes.extend(u32::MAX.to_le_bytes());
        bytes.extend(0_u32.to_le_bytes());
        assert!(VectorsHead::read(&mut bytes.as_slice()).unwrap().is_err());
        let head = VectorsHead {
            kind: VectorsKind::Ruvec1,
            dimensions: u64::MAX,
            rows: u64::MAX,
        };
        assert_eq!(head.file_bytes(), None);
    }
}
