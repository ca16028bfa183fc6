//! What is where in `filter.rbm`, which answers filters without reading the metadata.
//!
//! The body of the [block file](crate::blocks), little-endian:
//!
//! | part | content |
//! |---|---|
//! | header, 48 bytes | magic `RLFLT\0\0\1`, id of the segment (16 bytes), records u32, 1 if paths were left out u32, fields u64, length of the directory u64 |
//! | directory | for each field, in order of paths: start of its section u64, its length u64, length of its path u32, the path |
//! | sections | one after the other; starts count from the first |
//!
//! A field is a path as a filter writes it (`author.name`); at most 256 have a section. A section:
//!
//! | part | content |
//! |---|---|
//! | lengths | of the six bitmaps and the four dictionaries, u64 each |
//! | bitmaps | records in which the field is present; is null; is true; is false; is an array; has to be checked in the metadata itself: an object, an empty array, one with other items than strings and numbers, a string of more than 256 bytes, a path that leads to two values |
//! | dictionaries | strings; numbers; strings in arrays; numbers in arrays |
//!
//! A dictionary has its number of values u32; for each value the number of its records u32 and, if that is 1, the record,
//! otherwise the start of a bitmap, u32; the values in ascending order (strings: n + 1 starts u32 and their bytes;
//! numbers: f64); and the bitmaps. Bitmaps are Roaring bitmaps of positions in their portable format.

pub(super) const MAGIC: [u8; 8] = *b"RLFLT\0\0\x01";
pub(super) const HEADER: usize = 48;
/// Fields that get a section, at most.
pub(crate) const MAX_FIELDS: usize = 256;
/// Bytes of the longest string that is indexed.
pub(super) const MAX_STRING: usize = 256;
pub(super) const FLAG_BITMAPS: usize = 6;
pub(super) const DICTIONARIES: usize = 4;
