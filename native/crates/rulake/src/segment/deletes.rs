//! Which records of a segment are gone: `deletes-<generation>.rbm`, written anew when that changes.
//!
//! The body of the [block file](crate::blocks) is the magic `RLDEL\0\0\1`, the id of the segment (16 bytes), and the
//! positions as a Roaring bitmap in its portable format (github.com/RoaringBitmap/RoaringFormatSpec).

use std::path::Path;

use roaring::RoaringBitmap;

use crate::blocks::{BlockFile, BlockWriter, Written};
use crate::ulid::Ulid;
use crate::{Error, Result};

const MAGIC: [u8; 8] = *b"RLDEL\0\0\x01";

/// Writes a mask to a file, which must not exist.
pub(super) fn write(path: &Path, segment: Ulid, deleted: &RoaringBitmap) -> Result<Written> {
    let mut bytes = Vec::with_capacity(24 + deleted.serialized_size());
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&segment.bytes());
    deleted
        .serialize_into(&mut bytes)
        .map_err(|error| Error::Internal(error.to_string()))?;
    let mut out = BlockWriter::create(path)?;
    out.write(&bytes)?;
    out.finish()
}

/// Reads the mask of a segment with this many records.
pub(super) fn read(path: &Path, segment: Ulid, records: usize) -> Result<RoaringBitmap> {
    let file = BlockFile::open(path)?;
    let corrupt = |reason: &str| Error::corrupt(path, reason);
    let body = file.read(0..file.len())?;
    let Some(rest) = body.strip_prefix(&MAGIC) else {
        if body.starts_with(&MAGIC[..7]) {
            return Err(Error::UnsupportedFormat {
                path: path.to_owned(),
                reason: format!(
                    "format {} is newer than this version of rulake reads",
                    body[7]
                ),
            });
        }
        return Err(corrupt("not a mask of deleted records"));
    };
    let Some(rest) = rest.strip_prefix(&segment.bytes()) else {
        return Err(corrupt("it belongs to another segment"));
    };
    let deleted =
        RoaringBitmap::deserialize_from(rest).map_err(|error| corrupt(&error.to_string()))?;
    if deleted.max().is_some_and(|last| last as usize >= records) {
        return Err(corrupt("it deletes records that the segment does not have"));
    }
    Ok(deleted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_comes_back_only_for_its_own_segment() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("d");
        let deleted: RoaringBitmap = (0..100_000).filter(|i| i % 7 < 3).collect();
        let (mine, other) = (Ulid::unique(), Ulid::unique());
        write(&path, mine, &deleted).unwrap();
        assert_eq!(read(&path, mine, 100_000).unwrap(), deleted);
        assert_eq!(
            read(&path, other, 100_000).unwrap_err().code(),
            "CORRUPT_FILE"
        );
        assert_eq!(
            read(&path, mine, 99_000).unwrap_err().code(),
            "CORRUPT_FILE"
        );
    }
}
