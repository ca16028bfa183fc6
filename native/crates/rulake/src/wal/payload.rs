//! What is inside a record of the log: one change, which happens as a whole.
//!
//! | bytes | |
//! |---|---|
//! | 16 | id of the session it belongs to, 0 for none |
//! | 4 | count of deletes |
//! | 8 each | rows to delete |
//! | 8 | first row: the records take the row numbers from here on |
//! | 4, 4 | records, dimensions |
//! | 11 + n each | flags u8 (1 vector, 2 text, 4 metadata), lengths of id u16, text u32, metadata u32, then these bytes |
//! | 4 each | the vectors, f32 |
//! | 4 | of a session: collections that take part; absent in changes of early versions |
//! | 2 + n each | length u16 and name of each |

use std::sync::Arc;

use crate::batch::Batch;
use crate::record::Parts;

const VECTOR: u8 = 1;
const TEXT: u8 = 2;
const METADATA: u8 = 4;

/// The session that a change belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Membership {
    /// 0: none.
    pub(crate) session: u128,
    /// Names of all collections that take part; empty if that is not known.
    pub(crate) collections: Arc<[String]>,
}

impl Membership {
    /// What follows the change of a session that was given up by the same writer. Where the membership of the change names
    /// collections, anything else that follows shows that the session has happened.
    pub(crate) fn given_up(session: u128) -> Self {
        Self {
            session,
            collections: Arc::default(),
        }
    }

    fn len(&self) -> usize {
        if self.session == 0 {
            return 0;
        }
        4 + self
            .collections
            .iter()
            .map(|name| 2 + name.len())
            .sum::<usize>()
    }
}

/// A change read back.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) membership: Membership,
    pub(crate) deletes: Vec<i64>,
    pub(crate) first_row: i64,
    pub(crate) batch: Batch,
}

impl Change {
    /// Whether this says that the session of the change before was given up: it has that session, and nothing else.
    pub(crate) fn gives_up(&self, before: &Self) -> bool {
        self.membership == Membership::given_up(before.membership.session)
            && self.deletes.is_empty()
            && self.batch.is_empty()
    }
}

/// Bytes a change takes.
pub(crate) fn change_len(membership: &Membership, deletes: &[i64], batch: &Batch) -> usize {
    let records: usize = batch.records().map(|(parts, _)| 11 + parts.len()).sum();
    36 + size_of_val(deletes) + records + batch.vectors.len() * 4 + membership.len()
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "lengths are capped when a record is made, counts by the payload's size"
)]
pub(crate) fn encode(
    out: &mut Vec<u8>,
    membership: &Membership,
    deletes: &[i64],
    first_row: i64,
    batch: &Batch,
) {
    out.reserve(change_len(membership, deletes, batch));
    out.extend_from_slice(&membership.session.to_le_bytes());
    out.extend_from_slice(&(deletes.len() as u32).to_le_bytes());
    for row in deletes {
        out.extend_from_slice(&row.to_le_bytes());
    }
    out.extend_from_slice(&first_row.to_le_bytes());
    out.extend_from_slice(&(batch.len() as u32).to_le_bytes());
    out.extend_from_slice(&(batch.dimensions as u32).to_le_bytes());
    for (Parts { id, text, metadata }, has_vector) in batch.records() {
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        out.push(
            flag(has_vector, VECTOR)
                | flag(text.is_some(), TEXT)
                | flag(metadata.is_some(), METADATA),
        );
        out.extend_from_slice(&(id.len() as u16).to_le_bytes());
        out.extend_from_slice(&(text.map_or(0, str::len) as u32).to_le_bytes());
        out.extend_from_slice(&(metadata.map_or(0, str::len) as u32).to_le_bytes());
        for part in [Some(id), text, metadata].into_iter().flatten() {
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
    if membership.session != 0 {
        out.extend_from_slice(&(membership.collections.len() as u32).to_le_bytes());
        for name in &*membership.collections {
            out.extend_from_slice(&(name.len() as u16).to_le_bytes());
            out.extend_from_slice(name.as_bytes());
        }
    }
}

/// The session a payload belongs to, 0 for none, without a look at the rest.
pub(crate) fn session_of(payload: &[u8]) -> Option<u128> {
    payload.first_chunk().copied().map(u128::from_le_bytes)
}

/// Reads a payload; `None` if it is not what [`encode`] makes.
pub(crate) fn decode(payload: &[u8]) -> Option<Change> {
    let mut input = Input(payload);
    let session = u128::from_le_bytes(input.array()?);
    let deletes = input.u32()? as usize;
    let deletes = input.take(deletes.checked_mul(8)?)?;
    let deletes = deletes.as_chunks::<8>().0.iter();
    let deletes = deletes.map(|row| i64::from_le_bytes(*row)).collect();
    let first_row = i64::from_le_bytes(input.array()?);
    let count = input.u32()? as usize;
    let mut batch = Batch::new();
    batch.dimensions = input.u32()? as usize;
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
        batch.append(&Parts { id, text, metadata }, has_vector);
    }
    let floats = input.take(with_vector.checked_mul(batch.dimensions)?.checked_mul(4)?)?;
    batch.vectors = floats
        .as_chunks::<4>()
        .0
        .iter()
        .map(|x| f32::from_le_bytes(*x))
        .collect();
    let mut collections = Vec::new();
    if session != 0 && !input.0.is_empty() {
        for _ in 0..input.u32()? {
            let length = usize::from(u16::from_le_bytes(input.array()?));
            collections.push(input.text(length)?.into());
        }
    }
    input.0.is_empty().then_some(Change {
        membership: Membership {
            session,
            collections: collections.into(),
        },
        deletes,
        first_row,
        batch,
    })
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

    fn text(&mut self, n: usize) -> Option<&'a str> {
        std::str::from_utf8(self.take(n)?).ok()
    }
}
