//! What is where in `rows.idx`, the index into `rows.arrow`.
//!
//! The body of the [block file](crate::blocks), little-endian; `n` rows, `b` blocks:
//!
//! | part | content |
//! |---|---|
//! | header, 64 bytes | magic `RLIDX\0\0\1`, id of the segment (16 bytes), n u64, b u64, length of the ids u64, zeros |
//! | blocks, 24 bytes each | offset of the record batch in `rows.arrow` u64, its length u64, its crc32c u32, its first position u32 |
//! | rows | n row numbers i64, ascending |
//! | hashes | n u64, ascending: the upper half of the id's hash, then the position |
//! | starts | n + 1 u32: where each id starts |
//! | ids | UTF-8, one after the other |

pub(super) const MAGIC: [u8; 8] = *b"RLIDX\0\0\x01";
pub(super) const HEADER: usize = 64;
pub(super) const BLOCK_ENTRY: usize = 24;

/// Starts of the parts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) rows: usize,
    pub(super) hashes: usize,
    pub(super) starts: usize,
    pub(super) ids: usize,
    pub(super) end: usize,
}

impl Layout {
    /// `None` if the sizes are impossible.
    pub(super) fn new(n: usize, blocks: usize, ids_len: usize) -> Option<Self> {
        let rows = blocks.checked_mul(BLOCK_ENTRY)?.checked_add(HEADER)?;
        let hashes = n.checked_mul(8)?.checked_add(rows)?;
        let starts = n.checked_mul(8)?.checked_add(hashes)?;
        let ids = n.checked_add(1)?.checked_mul(4)?.checked_add(starts)?;
        Some(Self {
            rows,
            hashes,
            starts,
            ids,
            end: ids.checked_add(ids_len)?,
        })
    }
}

/// Name and type of the columns of `rows.arrow`.
pub(super) mod columns {
    use std::sync::Arc;

    use arrow_schema::{DataType, Field, Schema};

    pub(crate) const ID: &str = "id";
    pub(crate) const TEXT: &str = "text";
    pub(crate) const METADATA: &str = "metadata";

    /// `id`, `text`, `metadata` (JSON as it came).
    pub(crate) fn schema() -> Arc<Schema> {
        Arc::new(Schema::new(vec![
            Field::new(ID, DataType::Utf8, false),
            Field::new(TEXT, DataType::Utf8, true),
            Field::new(METADATA, DataType::Utf8, true),
        ]))
    }
}
