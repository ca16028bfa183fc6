//! Records on their way in.

use crate::record::{Layout, MAX_ID_BYTES, MAX_METADATA_BYTES, MAX_TEXT_BYTES, Parts};
use crate::{Error, Result};

/// Records to upsert together. Vectors are in one row-major matrix, in the order of the records that have one.
///
/// A batch is three allocations however many records it has: who makes one is often a thread that must not wait for
/// others, and an allocator makes threads wait for one another.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub(crate) dimensions: usize,
    /// The parts of all records, one after the other.
    joined: String,
    entries: Vec<Entry>,
    pub(crate) vectors: Vec<f32>,
    /// Position of the first record in the caller's input.
    first: usize,
}

/// A record of a batch.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Where its parts begin.
    start: usize,
    layout: Layout,
    has_vector: bool,
}

impl Batch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A batch that goes on where others end: errors count records from `first`.
    #[must_use]
    pub fn continuing(first: usize) -> Self {
        Self {
            first,
            ..Self::default()
        }
    }

    /// Makes room for more records, with so many bytes of ids, texts and metadata and so many numbers in their vectors.
    pub fn reserve(&mut self, records: usize, bytes: usize, numbers: usize) {
        self.entries.reserve(records);
        self.joined.reserve(bytes);
        self.vectors.reserve(numbers);
    }

    /// Joins batches in this order into one.
    ///
    /// # Errors
    /// `DIMENSION_MISMATCH`.
    pub fn join(batches: Vec<Self>) -> Result<Self> {
        let mut rest = batches.into_iter();
        let Some(mut joined) = rest.next() else {
            return Ok(Self::new());
        };
        let sum = |size: fn(&Self) -> usize| rest.as_slice().iter().map(size).sum();
        joined.reserve(
            sum(Self::len),
            sum(|b| b.joined.len()),
            sum(|b| b.vectors.len()),
        );
        for batch in rest {
            joined.check_dimensions(batch.dimensions)?;
            joined.dimensions = joined.dimensions.max(batch.dimensions);
            let start = joined.joined.len();
            joined.joined.push_str(&batch.joined);
            joined
                .entries
                .extend(batch.entries.iter().map(|entry| Entry {
                    start: start + entry.start,
                    ..*entry
                }));
            joined.vectors.extend_from_slice(&batch.vectors);
        }
        Ok(joined)
    }

    fn check_dimensions(&self, got: usize) -> Result<()> {
        if self.dimensions == 0 || got == 0 || self.dimensions == got {
            return Ok(());
        }
        Err(rabitq::Error::DimensionMismatch {
            expected: self.dimensions,
            got,
        }
        .into())
    }

    /// Adds a record without a vector: it can be read and filtered, but no search finds it.
    ///
    /// # Errors
    /// `INVALID_ID`, `INVALID_RECORD`.
    pub fn push(&mut self, id: &str, text: Option<&str>, metadata: Option<&str>) -> Result<()> {
        let parts = Parts { id, text, metadata };
        self.check(&parts)?;
        self.append(&parts, false);
        Ok(())
    }

    /// Adds a record with a vector. All vectors of a batch have the same length.
    ///
    /// # Errors
    /// `INVALID_ID`, `INVALID_RECORD`, `DIMENSION_MISMATCH`, `NOT_FINITE`, `INVALID_DIMENSIONS`.
    pub fn push_with_vector(
        &mut self,
        id: &str,
        vector: &[f32],
        text: Option<&str>,
        metadata: Option<&str>,
    ) -> Result<()> {
        if !(1..=rabitq::MAX_DIMENSIONS).contains(&vector.len()) {
            return Err(rabitq::Error::InvalidDimensions { got: vector.len() }.into());
        }
        self.check_dimensions(vector.len())?;
        if let Some(position) = vector.iter().position(|x| !x.is_finite()) {
            let value = vector.get(position).copied().unwrap_or(f32::NAN);
            return Err(rabitq::Error::NotFinite {
                row: self.next(),
                position,
                value,
            }
            .into());
        }
        let parts = Parts { id, text, metadata };
        self.check(&parts)?;
        self.append(&parts, true);
        self.dimensions = vector.len();
        self.vectors.extend_from_slice(vector);
        Ok(())
    }

    fn check(&self, parts: &Parts<'_>) -> Result<()> {
        let row = self.next();
        if parts.id.is_empty() || parts.id.len() > MAX_ID_BYTES {
            let reason = format!(
                "an id has 1 to {MAX_ID_BYTES} bytes of UTF-8, this one has {}",
                parts.id.len()
            );
            return Err(Error::InvalidId { row, reason });
        }
        let size = |part: Option<&str>| part.map_or(0, str::len);
        if size(parts.text) > MAX_TEXT_BYTES {
            let reason = format!("the text is longer than {MAX_TEXT_BYTES} bytes");
            return Err(Error::InvalidRecord { row, reason });
        }
        if size(parts.metadata) > MAX_METADATA_BYTES {
            let reason = format!("the metadata is longer than {MAX_METADATA_BYTES} bytes");
            return Err(Error::InvalidRecord { row, reason });
        }
        Ok(())
    }

    /// Adds a record that was checked, but not its vector.
    pub(crate) fn append(&mut self, parts: &Parts<'_>, has_vector: bool) {
        self.entries.push(Entry {
            start: self.joined.len(),
            layout: Layout::of(parts),
            has_vector,
        });
        for part in [Some(parts.id), parts.text, parts.metadata] {
            self.joined.push_str(part.unwrap_or_default());
        }
    }

    /// A record, and whether it has a vector.
    pub(crate) fn record(&self, i: usize) -> Option<(Parts<'_>, bool)> {
        self.entries.get(i).map(|entry| self.view(entry))
    }

    /// The records in their order, and whether each has a vector.
    pub(crate) fn records(&self) -> impl ExactSizeIterator<Item = (Parts<'_>, bool)> {
        self.entries.iter().map(|entry| self.view(entry))
    }

    fn view(&self, entry: &Entry) -> (Parts<'_>, bool) {
        let joined = self.joined.get(entry.start..).unwrap_or_default();
        (entry.layout.split(joined), entry.has_vector)
    }

    /// Position of the next record in the caller's input.
    fn next(&self) -> usize {
        self.first + self.len()
    }

    /// Records so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes the batch takes in the log, roughly.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.joined.len() + 16 * self.len() + size_of_val(&*self.vectors)
    }
}
