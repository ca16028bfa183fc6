//! A slice of numbers that is either on the heap or in a mapped file.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use crate::mapped::MappedFile;
use crate::{Error, Result};

/// So many reads here and there for each block of a section check most of its blocks.
const READS_OF_BLOCK: usize = 2;

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
    Mapped(Mapped<T>),
}

/// Values in a mapped file.
#[derive(Clone)]
pub(crate) struct Mapped<T> {
    file: Arc<MappedFile>,
    /// Where they begin in the file, in bytes.
    offset: usize,
    /// Where they begin in memory, for as long as `file` lives.
    start: *const T,
    len: usize,
}

// SAFETY: the memory behind the pointer is never written, and `file`, which keeps it mapped, goes where the pointer goes.
unsafe impl<T: Plain> Send for Mapped<T> {}
// SAFETY: as above.
unsafe impl<T: Plain> Sync for Mapped<T> {}

impl<T: Plain> Mapped<T> {
    fn bytes(&self, range: &Range<usize>) -> Range<usize> {
        let size = size_of::<T>();
        self.offset + range.start * size..self.offset + range.end * size
    }

    fn get(&self, range: Range<usize>) -> Result<&[T]> {
        if range.start > range.end || range.end > self.len {
            return Err(self.file.damaged(format!(
                "row range {range:?} points past the {} values of its section",
                self.len
            )));
        }
        self.file.check_range(self.bytes(&range))?;
        // SAFETY: `start` is aligned and begins `len` values inside the mapping (checked when it was taken), the range lies within
        // them, any bit pattern is a `T` (trait `Plain`), and nobody writes there.
        Ok(unsafe { std::slice::from_raw_parts(self.start.add(range.start), range.len()) })
    }
}

/// A section about to be read here and there.
pub(crate) struct Scattered<'a, T> {
    section: &'a Section<T>,
    /// All values, if they were checked at once.
    checked: &'a [T],
}

impl<T: Plain> Scattered<'_, T> {
    #[inline]
    pub(crate) fn at(&self, index: usize) -> Result<T> {
        match self.checked.get(index) {
            Some(&value) => Ok(value),
            None => self.section.at(index),
        }
    }
}

impl<T: Plain> From<Vec<T>> for Section<T> {
    fn from(values: Vec<T>) -> Self {
        Self::Owned(Arc::new(values))
    }
}

impl<T: Plain> Section<T> {
    /// `offset` is in bytes and a multiple of 64; the range lies inside the file (the header was checked).
    pub(crate) fn mapped(file: Arc<MappedFile>, offset: usize, len: usize) -> Self {
        let bytes = file.unchecked(offset..offset + len * size_of::<T>());
        let start = bytes.as_ptr().cast::<T>();
        assert!(
            bytes.len() == len * size_of::<T>() && start.is_aligned(),
            "a section of {} does not lie where it should",
            file.path().display()
        );
        Self::Mapped(Mapped {
            file,
            offset,
            start,
            len,
        })
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Owned(values) => values.len(),
            Self::Mapped(mapped) => mapped.len,
        }
    }

    /// Values of a range; the first access to a mapped block checks it.
    ///
    /// # Errors
    /// `CORRUPT_FILE`.
    pub(crate) fn get(&self, range: Range<usize>) -> Result<&[T]> {
        match self {
            Self::Owned(values) => Ok(&values[range]),
            Self::Mapped(mapped) => mapped.get(range),
        }
    }

    /// Asks for the memory of a range ahead of its use; a hint, nothing is checked.
    #[inline]
    pub(crate) fn prefetch(&self, range: Range<usize>) {
        match self {
            Self::Owned(values) => simd::prefetch(values.get(range).unwrap_or_default()),
            Self::Mapped(mapped) if range.end <= mapped.len => {
                simd::prefetch(mapped.file.unchecked(mapped.bytes(&range)));
            }
            Self::Mapped(_) => {}
        }
    }

    /// The error for values that pass their checksum and still make no sense.
    pub(crate) fn damaged(&self, reason: String) -> Error {
        match self {
            Self::Owned(_) => Error::Corrupt {
                path: PathBuf::new(),
                reason,
            },
            Self::Mapped(mapped) => mapped.file.damaged(reason),
        }
    }

    pub(crate) fn all(&self) -> Result<&[T]> {
        self.get(0..self.len())
    }

    #[inline]
    pub(crate) fn at(&self, index: usize) -> Result<T> {
        Ok(self.get(index..index + 1)?[0])
    }

    /// For so many reads here and there: if they would check most blocks anyway, that is done once and for all.
    pub(crate) fn scattered(&self, reads: usize) -> Result<Scattered<'_, T>> {
        let at_once = match self {
            Self::Owned(_) => true,
            Self::Mapped(mapped) => {
                reads >= READS_OF_BLOCK * self.bytes().div_ceil(mapped.file.block())
            }
        };
        Ok(Scattered {
            section: self,
            checked: if at_once { self.all()? } else { &[] },
        })
    }

    pub(crate) fn bytes(&self) -> usize {
        self.len() * size_of::<T>()
    }

    pub(crate) fn is_mapped(&self) -> bool {
        matches!(self, Self::Mapped(_))
    }
}

/// The bytes of a slice of numbers, as they go into a file.
pub(crate) fn as_bytes<T: Plain>(values: &[T]) -> &[u8] {
    // SAFETY: `Plain` types have no padding, and the length is that of the slice.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
}
