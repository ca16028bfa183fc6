//! Reading `filter.rbm`: nothing when it is opened, of a field only what a condition asks for.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::OnceLock;

use roaring::RoaringBitmap;

use super::dictionary::{Dictionary, Numbers, Strings};
use super::layout::{DICTIONARIES, FLAG_BITMAPS, HEADER, MAGIC};
use crate::blocks::BlockFile;
use crate::ulid::Ulid;
use crate::{Error, Result};

/// The filter index of a segment, open for reading.
#[derive(Debug)]
pub(crate) struct FilterFile {
    file: BlockFile,
    incomplete: bool,
    fields: usize,
    directory: Range<usize>,
    /// Section of each path, once one was asked for.
    paths: OnceLock<HashMap<Box<str>, Range<usize>>>,
}

/// What is known of a path.
pub(crate) enum Lookup<'a> {
    Field(Field<'a>),
    /// No record has it.
    Nowhere,
    /// It was left out.
    Unknown,
}

/// The index of one path.
pub(crate) struct Field<'a> {
    file: &'a FilterFile,
    bitmaps: [Range<usize>; FLAG_BITMAPS],
    dictionaries: [Range<usize>; DICTIONARIES],
}

impl FilterFile {
    /// # Errors
    /// `CORRUPT_FILE`, `UNSUPPORTED_FORMAT`, `IO`.
    pub(crate) fn open(path: &Path, segment: Ulid, records: usize) -> Result<Self> {
        let file = BlockFile::open(path)?;
        let corrupt = |reason: &str| Error::corrupt(path, reason);
        if file.len() < HEADER {
            return Err(corrupt("the header is missing"));
        }
        let header = file.read(0..HEADER)?;
        if header[..8] != MAGIC {
            if header[..7] == MAGIC[..7] {
                return Err(Error::UnsupportedFormat {
                    path: path.to_owned(),
                    reason: format!(
                        "format {} is newer than this version of rulake reads",
                        header[7]
                    ),
                });
            }
            return Err(corrupt("not a filter index"));
        }
        if header[8..24] != segment.bytes() {
            return Err(corrupt("it belongs to another segment"));
        }
        let word = |at: usize| u32_at(header, at).unwrap_or(u32::MAX);
        if word(24) as usize != records {
            return Err(corrupt("it is about another number of records"));
        }
        let size = |at: usize| u64_at(header, at).and_then(|n| usize::try_from(n).ok());
        let end = size(40).and_then(|length| length.checked_add(HEADER));
        let (Some(fields), Some(end)) = (size(32), end.filter(|end| *end <= file.len())) else {
            return Err(corrupt("the header states impossible sizes"));
        };
        let incomplete = word(28) != 0;
        Ok(Self {
            file,
            incomplete,
            fields,
            directory: HEADER..end,
            paths: OnceLock::new(),
        })
    }

    /// The index of a path.
    pub(crate) fn field(&self, path: &str) -> Result<Lookup<'_>> {
        let paths = if let Some(paths) = self.paths.get() {
            paths
        } else {
            let read = self.read_directory()?;
            self.paths.get_or_init(|| read)
        };
        match paths.get(path) {
            Some(section) => Ok(Lookup::Field(self.section(section.clone())?)),
            None if self.incomplete => Ok(Lookup::Unknown),
            None => Ok(Lookup::Nowhere),
        }
    }

    fn read_directory(&self) -> Result<HashMap<Box<str>, Range<usize>>> {
        let bytes = self.file.read(self.directory.clone())?;
        let mut paths = HashMap::new();
        let mut at = 0;
        for i in 0..self.fields {
            let entry = || {
                let size = |at| u64_at(bytes, at).and_then(|n| usize::try_from(n).ok());
                let start = size(at)?.checked_add(self.directory.end)?;
                let end = start.checked_add(size(at + 8)?)?;
                let length = u32_at(bytes, at + 16)? as usize;
                let path = bytes.get(at + 20..at.checked_add(20)?.checked_add(length)?)?;
                let path = std::str::from_utf8(path).ok()?;
                Some((path, start..end, 20 + length))
            };
            let (path, section, length) = entry()
                .filter(|(_, section, _)| section.end <= self.file.len())
                .ok_or_else(|| {
                    self.corrupt(&format!("entry {i} of the directory is impossible"))
                })?;
            paths.insert(path.into(), section);
            at += length;
        }
        Ok(paths)
    }

    fn section(&self, section: Range<usize>) -> Result<Field<'_>> {
        let impossible = || self.corrupt("a section states impossible sizes");
        let head = (FLAG_BITMAPS + DICTIONARIES) * 8;
        let bytes = self
            .file
            .read(section.start..section.start.saturating_add(head))?;
        let mut at = section.start + head;
        let mut part = |i: usize| {
            let length = u64_at(bytes, i * 8).and_then(|n| usize::try_from(n).ok());
            let end = length.and_then(|length| at.checked_add(length));
            let end = end
                .filter(|end| *end <= section.end)
                .ok_or_else(impossible)?;
            let range = at..end;
            at = end;
            Ok::<_, Error>(range)
        };
        let mut bitmaps = [const { 0..0 }; FLAG_BITMAPS];
        for (i, bitmap) in bitmaps.iter_mut().enumerate() {
            *bitmap = part(i)?;
        }
        let mut dictionaries = [const { 0..0 }; DICTIONARIES];
        for (i, dictionary) in dictionaries.iter_mut().enumerate() {
            *dictionary = part(FLAG_BITMAPS + i)?;
        }
        Ok(Field {
            file: self,
            bitmaps,
            dictionaries,
        })
    }

    /// Reads every byte and every part.
    pub(crate) fn verify(&self) -> Result<()> {
        self.file.read(0..self.file.len())?;
        for section in self.read_directory()?.into_values() {
            let field = self.section(section)?;
            for i in 0..FLAG_BITMAPS {
                field.bitmap(i)?;
            }
            field.strings()?.all()?;
            field.item_strings()?.all()?;
            field.numbers()?.all()?;
            field.item_numbers()?.all()?;
        }
        Ok(())
    }

    fn corrupt(&self, reason: &str) -> Error {
        Error::corrupt(self.file.path(), reason)
    }
}

impl<'a> Field<'a> {
    fn bitmap(&self, i: usize) -> Result<RoaringBitmap> {
        let bytes = self.file.file.read(self.bitmaps[i].clone())?;
        RoaringBitmap::deserialize_from(bytes)
            .map_err(|error| self.file.corrupt(&format!("a bitmap: {error}")))
    }

    pub(crate) fn present(&self) -> Result<RoaringBitmap> {
        self.bitmap(0)
    }

    pub(crate) fn null(&self) -> Result<RoaringBitmap> {
        self.bitmap(1)
    }

    pub(crate) fn flag(&self, flag: bool) -> Result<RoaringBitmap> {
        self.bitmap(if flag { 2 } else { 3 })
    }

    pub(crate) fn arrays(&self) -> Result<RoaringBitmap> {
        self.bitmap(4)
    }

    /// Records of which the index does not know enough.
    pub(crate) fn check(&self) -> Result<RoaringBitmap> {
        self.bitmap(5)
    }

    fn dictionary<K>(&self, i: usize) -> Result<Dictionary<'a, K>> {
        let bytes = self.file.file.read(self.dictionaries[i].clone())?;
        Dictionary::new(self.file.file.path(), bytes)
    }

    pub(crate) fn strings(&self) -> Result<Dictionary<'a, Strings>> {
        self.dictionary(0)
    }

    pub(crate) fn numbers(&self) -> Result<Dictionary<'a, Numbers>> {
        self.dictionary(1)
    }

    pub(crate) fn item_strings(&self) -> Result<Dictionary<'a, Strings>> {
        self.dictionary(2)
    }

    pub(crate) fn item_numbers(&self) -> Result<Dictionary<'a, Numbers>> {
        self.dictionary(3)
    }
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let chunk = bytes.get(at..)?.first_chunk::<8>()?;
    Some(u64::from_le_bytes(*chunk))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let chunk = bytes.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*chunk))
}
