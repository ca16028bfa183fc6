//! A slice of numbers that is either on the heap or in a mapped file.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use crate::mapped::MappedFile;
use crate::{Error, Result};

/// Numbers whose bytes may come straight from a little-endian file: any bit pattern is a value.
///
/// # Safety
/// Only for types without padding and without invalid bit patterns.
pub(crate) unsafe trait Plain: Copy + Send + Sync + 'static {}

// SAFETY: primitive numbers have no padding and no invalid bit patterns.
unsafe impl Plain for u8 {}
// SAFETY: as above.
unsafe impl Plain for i8 {}
// SAFETY: as above.
unsafe impl Plain for u16 {}
// SAFETY: as above.
unsafe impl Plain for u32 {}
// SAFETY: as above.
unsafe impl Plain for u64 {}
// SAFETY: as above.
unsafe impl Plain for i64 {}
// SAFETY: as above.
unsafe impl Plain for f32 {}

#[cfg(target_endian = "big")]
compile_error!("index files are little-endian and mapped as they are");

/// An immutable array.
#[derive(Clone)]
pub(crate) enum Section<T> {
    Owned(Arc<Vec<T>>),
    Mapped {
        file: Arc<MappedFile>,
        offset: usize,
        len: usize,
    },
}

impl<T: Plain> From<Vec<T>> for Section<T> {
    fn from(values: Vec<T>) -> Self {
        Self::Owned(Arc::new(values))
    }
}

impl<T: Plain> Section<T> {
    /// `offset` is in bytes and a multiple of 64; the range lies inside the file (the header was checked).
    pub(crate) fn mapped(file: Arc<MappedFile>, offset: usize, len: usize) -> Self {
        Self::Mapped { file, offset, len }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Owned(values) => values.len(),
            Self::Mapped { len, .. } => *len,
        }
    }

    /// Values of a range; the first access to a mapped block checks it.
    ///
    /// # Errors
    /// `CORRUPT_FILE`.
    pub(crate) fn get(&self, range: Range<usize>) -> Result<&[T]> {
        match self {
            Self::Owned(values) => Ok(&values[range]),
            Self::Mapped { file, offset, len } => {
                if range.end > *len {
                    return Err(file.damaged(format!(
                        "row range {range:?} points past the {len} values of its section"
                    )));
                }
                let size = size_of::<T>();
                let bytes = file.bytes(offset + range.start * size..offset + range.end * size)?;
                // SAFETY: any bit pattern is a `T` (trait `Plain`); the prefix and suffix are checked to be empty.
                let (before, values, after) = unsafe { bytes.align_to::<T>() };
                assert!(
                    before.is_empty() && after.is_empty(),
                    "sections of {} are misaligned",
                    file.path().display()
                );
                Ok(values)
            }
        }
    }

    /// Asks for the memory of a range ahead of its use; a hint, nothing is checked.
    #[inline]
    pub(crate) fn prefetch(&self, range: Range<usize>) {
        match self {
            Self::Owned(values) => simd::prefetch(values.get(range).unwrap_or_default()),
            Self::Mapped { file, offset, len } if range.end <= *len => {
                let size = size_of::<T>();
                let bytes = offset + range.start * size..offset + range.end * size;
                simd::prefetch(file.unchecked(bytes));
            }
            Self::Mapped { .. } => {}
        }
    }

    /// The error for values that pass their checksum and still make no sense.
    pub(crate) fn damaged(&self, reason: String) -> Error {
        match self {
            Self::Owned(_) => Error::Corrupt {
                path: PathBuf::new(),
                reason,
            },
            Self::Mapped { file, .. } => file.damaged(reason),
        }
    }

    pub(crate) fn all(&self) -> Result<&[T]> {
        self.get(0..self.len())
    }

    #[inline]
    pub(crate) fn at(&self, index: usize) -> Result<T> {
        Ok(self.get(index..index + 1)?[0])
    }

    pub(crate) fn bytes(&self) -> usize {
        self.len() * size_of::<T>()
    }

    pub(crate) fn is_mapped(&self) -> bool {
        matches!(self, Self::Mapped { .. })
    }
}

/// The bytes of a slice of numbers, as they go into a file.
pub(crate) fn as_bytes<T: Plain>(values: &[T]) -> &[u8] {
    // SAFETY: `Plain` types have no padding, and the length is that of the slice.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
}
