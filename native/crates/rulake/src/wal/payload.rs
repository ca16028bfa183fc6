//! What is inside a record of the log.
//!
//! Upsert: first row i64, records u32, dimensions u32; for each record flags u8 (1 vector, 2 text, 4 metadata), lengths
//! of id u16, text u32, metadata u32, then these bytes; last the vectors as f32. The records take the row numbers from
//! the first row on. Delete: count u32, rows i64.

use crate::record::{Batch, Record};

const VECTOR: u8 = 1;
const TEXT: u8 = 2;
const METADATA: u8 = 4;

/// A change read back.
#[derive(Debug)]
pub(crate) enum Change {
    Upsert { first_row: i64, batch: Batch },
    Delete { rows: Vec<i64> },
}

/// Bytes an upsert takes.
pub(crate) fn upsert_len(batch: &Batch) -> usize {
    let part = |part: &Option<Box<str>>| part.as_ref().map_or(0, |text| text.len());
    let records: usize = batch
        .records
        .iter()
        .map(|r| 11 + r.id.len() + part(&r.text) + part(&r.metadata))
        .sum();
    16 + records + batch.vectors.len() * 4
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "lengths are capped when a record is made, counts by the payload's size"
)]
pub(crate) fn encode_upsert(out: &mut Vec<u8>, first_row: i64, batch: &Batch) {
    out.reserve(upsert_len(batch));
    out.extend_from_slice(&first_row.to_le_bytes());
    out.extend_from_slice(&(batch.records.len() as u32).to_le_bytes());
    out.extend_from_slice(&(batch.dimensions as u32).to_le_bytes());
    for record in &batch.records {
        let text = record.text.as_deref();
        let metadata = record.metadata.as_deref();
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        out.push(
            flag(record.has_vector, VECTOR)
                | flag(text.is_some(), TEXT)
                | flag(metadata.is_some(), METADATA),
        );
        out.extend_from_slice(&(record.id.len() as u16).to_le_bytes());
        out.extend_from_slice(&(text.map_or(0, str::len) as u32).to_le_bytes());
        out.extend_from_slice(&(metadata.map_or(0, str::len) as u32).to_le_bytes());
        for part in [Some(&*record.id), text, metadata].into_iter().flatten() {
            out.extend_from_slice(part.as_bytes());
        }
    }
    let start = out.len();
    out.resize(start + batch.vectors.len() * 4, 0);
    let (slots, _) = out
        .get_mut(start..)
        .unwrap_or_default()
        .as_chunks_mut::<4>();
    for (slot, x) in slots.iter_mut().zip(&batch.vectors) {
        *slot = x.to_le_bytes();
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "far fewer rows than 2^32 fit in a payload"
)]
pub(crate) fn encode_delete(out: &mut Vec<u8>, rows: &[i64]) {
    out.reserve(4 + rows.len() * 8);
    out.extend_from_slice(&(rows.len() as u32).to_le_bytes());
    for row in rows {
        out.extend_from_slice(&row.to_le_bytes());
    }
}

/// Reads a payload; `None` if it is not what an encoder makes.
pub(crate) fn decode(kind: super::Kind, payload: &[u8]) -> Option<Change> {
    let mut input = Input(payload);
    let change = match kind {
        super::Kind::Mark => return None,
        super::Kind::Upsert => upsert(&mut input)?,
        super::Kind::Delete => {
            let count = input.u32()? as usize;
            let rows = input.take(count.checked_mul(8)?)?;
            Change::Delete {
                rows: rows
                    .as_chunks::<8>()
                    .0
                    .iter()
                    .map(|row| i64::from_le_bytes(*row))
                    .collect(),
            }
        }
    };
    input.0.is_empty().then_some(change)
}

fn upsert(input: &mut Input<'_>) -> Option<Change> {
    let first_row = i64::from_le_bytes(input.array()?);
    let count = input.u32()? as usize;
    let mut batch = Batch {
        dimensions: input.u32()? as usize,
        bytes: input.0.len(),
        ..Batch::default()
    };
    let mut with_vector = 0_usize;
    for _ in 0..count {
        let [flags] = input.array()?;
        let id_len = usize::from(u16::from_le_bytes(input.array()?));
        let text_len = input.u32()? as usize;
        let metadata_len = input.u32()? as usize;
        let id = input.text(id_len)?;
        let text = if flags & TEXT != 0 {
            Some(input.text(text_len)?)
        } else {
            None
        };
        let metadata = if flags & METADATA != 0 {
            Some(input.text(metadata_len)?)
        } else {
            None
        };
        let has_vector = flags & VECTOR != 0;
        with_vector += usize::from(has_vector);
        batch.records.push(Record {
            id,
            text,
            metadata,
            has_vector,
        });
    }
    let floats = input.take(with_vector.checked_mul(batch.dimensions)?.checked_mul(4)?)?;
    batch.vectors = floats
        .as_chunks::<4>()
        .0
        .iter()
        .map(|x| f32::from_le_bytes(*x))
        .collect();
    Some(Change::Upsert { first_row, batch })
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn text(&mut self, n: usize) -> Option<Box<str>> {
        std::str::from_utf8(self.take(n)?).ok().map(Into::into)
    }
}
