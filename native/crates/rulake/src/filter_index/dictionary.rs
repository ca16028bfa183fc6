//! Values of a field in ascending order, and the records that have them.

use std::marker::PhantomData;
use std::ops::Range;
use std::path::Path;

use roaring::RoaringBitmap;

use super::file::u32_at;
use crate::{Error, Result};

/// A dictionary in the bytes of a file.
pub(crate) struct Dictionary<'a, K> {
    path: &'a Path,
    bytes: &'a [u8],
    count: usize,
    _keys: PhantomData<K>,
}

/// Keys that are strings.
pub(crate) enum Strings {}
/// Keys that are numbers.
pub(crate) enum Numbers {}

impl<'a, K> Dictionary<'a, K> {
    pub(super) fn new(path: &'a Path, bytes: &'a [u8]) -> Result<Self> {
        let count = u32_at(bytes, 0).map(|count| count as usize);
        let count =
            count.filter(|count| count.checked_mul(12).is_some_and(|n| n + 4 <= bytes.len()));
        Ok(Self {
            path,
            bytes,
            count: count.ok_or_else(|| Error::corrupt(path, "a dictionary is cut off"))?,
            _keys: PhantomData,
        })
    }

    fn corrupt(&self) -> Error {
        Error::corrupt(self.path, "a dictionary points outside itself")
    }

    fn keys_start(&self) -> usize {
        4 + self.count * 8
    }

    /// Where `before` stops to hold; it holds for a first run of the values.
    fn partition_point(&self, mut before: impl FnMut(usize) -> Result<bool>) -> Result<usize> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low.midpoint(high);
            if before(middle)? {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// Adds the records of some values; `bitmaps` is where bitmaps start.
    fn add(&self, values: Range<usize>, bitmaps: usize, to: &mut RoaringBitmap) -> Result<()> {
        let mut single = Vec::new();
        for i in values {
            let at = 4 + i * 8;
            let (Some(count), Some(start)) = (u32_at(self.bytes, at), u32_at(self.bytes, at + 4))
            else {
                return Err(self.corrupt());
            };
            if count == 1 {
                single.push(start);
                continue;
            }
            let bytes = bitmaps
                .checked_add(start as usize)
                .and_then(|start| self.bytes.get(start..))
                .ok_or_else(|| self.corrupt())?;
            *to |= RoaringBitmap::deserialize_from(bytes).map_err(|_| self.corrupt())?;
        }
        single.sort_unstable();
        single.dedup();
        *to |= RoaringBitmap::from_sorted_iter(single).map_err(|_| self.corrupt())?;
        Ok(())
    }
}

impl Dictionary<'_, Strings> {
    fn start(&self, i: usize) -> Result<usize> {
        let start = u32_at(self.bytes, self.keys_start() + i * 4);
        start
            .map(|start| start as usize)
            .ok_or_else(|| self.corrupt())
    }

    fn text_start(&self) -> usize {
        self.keys_start() + (self.count + 1) * 4
    }

    fn key(&self, i: usize) -> Result<&str> {
        let base = self.text_start();
        let bytes = self
            .bytes
            .get(base + self.start(i)?..base + self.start(i + 1)?);
        bytes
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .ok_or_else(|| self.corrupt())
    }

    fn add_range(&self, values: Range<usize>, to: &mut RoaringBitmap) -> Result<()> {
        let bitmaps = self.text_start() + self.start(self.count)?;
        self.add(values, bitmaps, to)
    }

    /// Records with exactly this string.
    pub(crate) fn equal(&self, text: &str, to: &mut RoaringBitmap) -> Result<()> {
        let at = self.partition_point(|i| Ok(self.key(i)? < text))?;
        if at < self.count && self.key(at)? == text {
            self.add_range(at..at + 1, to)?;
        }
        Ok(())
    }

    /// Records with a string of a run that starts and ends where `before` and `within` stop to hold.
    pub(crate) fn between(
        &self,
        before: impl Fn(&str) -> bool,
        within: impl Fn(&str) -> bool,
        to: &mut RoaringBitmap,
    ) -> Result<()> {
        let start = self.partition_point(|i| Ok(before(self.key(i)?)))?;
        let end = self.partition_point(|i| {
            let key = self.key(i)?;
            Ok(before(key) || within(key))
        })?;
        self.add_range(start..end.max(start), to)
    }

    /// Records with a string that a condition holds for, looking at every one.
    pub(crate) fn wherever(
        &self,
        holds: impl Fn(&str) -> bool,
        to: &mut RoaringBitmap,
    ) -> Result<()> {
        for i in 0..self.count {
            if holds(self.key(i)?) {
                self.add_range(i..i + 1, to)?;
            }
        }
        Ok(())
    }

    /// All records with a string.
    pub(crate) fn all(&self) -> Result<RoaringBitmap> {
        let mut all = RoaringBitmap::new();
        self.wherever(|_| true, &mut all)?;
        Ok(all)
    }
}

impl Dictionary<'_, Numbers> {
    fn key(&self, i: usize) -> Result<f64> {
        let at = self.keys_start() + i * 8;
        let bytes = self
            .bytes
            .get(at..)
            .and_then(|rest| rest.first_chunk::<8>());
        bytes
            .map(|bytes| f64::from_le_bytes(*bytes))
            .ok_or_else(|| self.corrupt())
    }

    /// Records with a number of a run that starts and ends where `before` and `within` stop to hold.
    pub(crate) fn between(
        &self,
        before: impl Fn(f64) -> bool,
        within: impl Fn(f64) -> bool,
        to: &mut RoaringBitmap,
    ) -> Result<()> {
        let start = self.partition_point(|i| Ok(before(self.key(i)?)))?;
        let end = self.partition_point(|i| {
            let key = self.key(i)?;
            Ok(before(key) || within(key))
        })?;
        self.add(
            start..end.max(start),
            self.keys_start() + self.count * 8,
            to,
        )
    }

    /// Records with exactly this number.
    pub(crate) fn equal(&self, number: f64, to: &mut RoaringBitmap) -> Result<()> {
        self.between(|key| key < number, |key| key <= number, to)
    }

    /// All records with a number.
    pub(crate) fn all(&self) -> Result<RoaringBitmap> {
        let mut all = RoaringBitmap::new();
        self.between(|_| false, |_| true, &mut all)?;
        Ok(all)
    }
}
