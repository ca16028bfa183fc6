//! Vectors on their way into an index: in memory while they are few, in a mapped file beyond.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use mapping::Mapping;

use crate::error::IoContext;
use crate::pieces::{BufferedFile, buffered};
use crate::{Result, files};

/// Bytes kept in memory.
const MEMORY: usize = 128 << 20;

/// A row-major matrix that grows.
pub(super) struct Spool {
    path: PathBuf,
    values: Vec<f32>,
    file: Option<BufferedFile>,
    len: usize,
}

impl Spool {
    /// `path`: where a file may be made; it is gone afterwards.
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            values: Vec::new(),
            file: None,
            len: 0,
        }
    }

    pub(super) fn push(&mut self, vector: &[f32]) -> Result<()> {
        self.values.extend_from_slice(vector);
        self.len += vector.len();
        if size_of_val(&*self.values) >= MEMORY {
            self.spill()?;
        }
        Ok(())
    }

    fn spill(&mut self) -> Result<()> {
        let out = match &mut self.file {
            Some(out) => out,
            none => none.insert(buffered(
                File::options()
                    .read(true)
                    .write(true)
                    .create_new(true)
                    .open(&self.path)
                    .at(&self.path)?,
            )),
        };
        for value in &self.values {
            out.write_all(&value.to_ne_bytes()).at(&self.path)?;
        }
        self.values.clear();
        Ok(())
    }

    /// The whole matrix.
    pub(super) fn matrix(&mut self) -> Result<Matrix<'_>> {
        if self.file.is_none() {
            return Ok(Matrix::Heap(&self.values));
        }
        self.spill()?;
        self.values = Vec::new();
        let Some(out) = &mut self.file else {
            return Ok(Matrix::Heap(&[]));
        };
        out.flush().at(&self.path)?;
        let map = Mapping::of(&self.path, &out.get_ref().0).at(&self.path)?;
        Ok(Matrix::Mapped(map, self.len))
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            let _ = files::remove_file(Path::new(&self.path));
        }
    }
}

/// What a spool holds.
pub(super) enum Matrix<'a> {
    Heap(&'a [f32]),
    Mapped(Mapping, usize),
}

impl Matrix<'_> {
    pub(super) fn values(&self) -> &[f32] {
        match self {
            Self::Heap(values) => values,
            Self::Mapped(map, len) => {
                // SAFETY: every bit pattern is an `f32`; a map starts at a page, so nothing is left over at its start.
                let (_, values, _) = unsafe { map.align_to::<f32>() };
                values.get(..*len).unwrap_or_default()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spilled_matrix_is_the_same_and_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::new(dir.path().join("v"));
        let row = |i: usize| [i as f32, -1.5, f32::MIN_POSITIVE];
        for i in 0..1000 {
            spool.push(&row(i)).unwrap();
            if i == 300 {
                spool.spill().unwrap();
            }
        }
        let expected: Vec<f32> = (0..1000).flat_map(row).collect();
        assert_eq!(spool.matrix().unwrap().values(), expected);
        drop(spool);
        assert!(files::names(dir.path()).unwrap().is_empty());
        let mut small = Spool::new(dir.path().join("w"));
        small.push(&[1.0]).unwrap();
        assert_eq!(small.matrix().unwrap().values(), [1.0]);
    }
}
