//! An index over vectors: build, search, change, save.

use std::path::Path;

use crate::{BuildOptions, Control, Hit, Result, SearchOptions};

/// How much of a file is checked before it is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verify {
    /// Everything for files up to 64 MiB, larger files block by block when first read.
    #[default]
    Auto,
    /// Every byte on opening.
    Full,
    /// Block by block when first read.
    Lazy,
}

/// How an index file is opened.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenOptions {
    /// How much of the file is checked on opening.
    pub verify: Verify,
}

/// What an index holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Stats {
    /// Live rows.
    pub rows: usize,
    /// Deleted rows that still take space until the next save.
    pub deleted: usize,
    /// Bytes of codes and factors.
    pub code_bytes: usize,
    /// Bytes of raw vectors.
    pub raw_bytes: usize,
    /// Bytes that are mapped from a file rather than held on the heap.
    pub mapped_bytes: usize,
    /// Bytes on the heap.
    pub heap_bytes: usize,
    /// Immutable parts the rows are spread over.
    pub parts: usize,
}

/// An index. Shared freely between threads; readers never wait for writers.
pub struct Index {}

/// A consistent view of the rows of an index at one moment, in insertion order.
pub struct Rows {}

impl Iterator for Rows {
    type Item = Result<(i64, Vec<f32>)>;
    fn next(&mut self) -> Option<Self::Item> {
        todo!()
    }
}

#[expect(unused_variables, clippy::missing_errors_doc)]
impl Index {
    /// `vectors` is row-major; ids default to `0..n`. `n = 0` is legal.
    pub fn build(vectors: &[f32], ids: Option<&[i64]>, options: &BuildOptions, control: Control<'_>) -> Result<Self> {
        todo!()
    }
    /// Opens a saved index (mapped) or an upstream `rbpx` file (rebuilt), told apart by their magic.
    pub fn open(path: &Path, options: OpenOptions, control: Control<'_>) -> Result<Self> {
        todo!()
    }
    /// Writes atomically (temporary file, fsync, rename, fsync of the directory). A path ending in `.rbpx` gets the upstream format.
    pub fn save(&self, path: &Path, control: Control<'_>) -> Result<()> {
        todo!()
    }
    /// Best first; ties in insertion order; at most `k`, fewer if the index (or the allow-list) is smaller.
    pub fn search(&self, query: &[f32], k: usize, options: &SearchOptions<'_>, control: Control<'_>) -> Result<Vec<Hit>> {
        todo!()
    }
    /// One answer a query (row-major matrix), in parallel on the current rayon pool.
    pub fn search_batch(&self, queries: &[f32], k: usize, options: &SearchOptions<'_>, control: Control<'_>) -> Result<Vec<Vec<Hit>>> {
        todo!()
    }
    /// Appends rows; an id that exists already is replaced (its row moves to the end). All or nothing.
    pub fn add(&self, ids: &[i64], vectors: &[f32], control: Control<'_>) -> Result<()> {
        todo!()
    }
    /// Removes rows, missing ids are ignored; returns how many were there. Duplicates count once.
    pub fn delete(&self, ids: &[i64]) -> Result<usize> {
        todo!()
    }
    /// The vector as it was given. `NO_RAW_VECTORS` if the kind keeps none.
    pub fn get(&self, id: i64) -> Result<Option<Vec<f32>>> {
        todo!()
    }
    /// Whether a live row has this id.
    pub fn contains(&self, id: i64) -> Result<bool> {
        todo!()
    }
    /// Iterates over `(id, vector)`. `NO_RAW_VECTORS` if the kind keeps none.
    pub fn rows(&self) -> Result<Rows> {
        todo!()
    }
    /// Live ids, in insertion order.
    pub fn ids(&self) -> Result<Vec<i64>> {
        todo!()
    }
    /// Live rows.
    pub fn len(&self) -> usize {
        todo!()
    }
    /// Whether no row is live.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The options it was built with.
    pub fn options(&self) -> &BuildOptions {
        todo!()
    }
    /// Sizes and counts.
    pub fn stats(&self) -> Stats {
        todo!()
    }
}
