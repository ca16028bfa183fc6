//! Records on their way in.

use crate::{Error, Result};

/// Most bytes of an id.
pub const MAX_ID_BYTES: usize = 1024;
/// Most bytes of a record's metadata as JSON.
pub const MAX_METADATA_BYTES: usize = 64 << 20;
/// Most bytes of a record's text.
pub const MAX_TEXT_BYTES: usize = 1 << 30;

/// Id, text and metadata of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// 1 to [`MAX_ID_BYTES`] bytes.
    pub id: Box<str>,
    /// Any text.
    pub text: Option<Box<str>>,
    /// A JSON object, kept byte by byte.
    pub metadata: Option<Box<str>>,
    /// Whether a vector belongs to it.
    pub has_vector: bool,
}

/// Records to upsert together. Vectors are in one row-major matrix, in the order of the records that have one.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub(crate) dimensions: usize,
    pub(crate) records: Vec<Record>,
    pub(crate) vectors: Vec<f32>,
    pub(crate) bytes: usize,
    /// Position of the first record in the caller's input.
    pub(crate) first: usize,
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

    /// Joins batches in this order into one.
    ///
    /// # Errors
    /// `DIMENSION_MISMATCH`.
    pub fn join(batches: Vec<Self>) -> Result<Self> {
        let mut rest = batches.into_iter();
        let Some(mut joined) = rest.next() else {
            return Ok(Self::new());
        };
        if rest.len() == 0 {
            return Ok(joined);
        }
        joined
            .records
            .reserve(rest.as_slice().iter().map(Self::len).sum());
        joined.vectors.reserve(
            rest.as_slice()
                .iter()
                .map(|batch| batch.vectors.len())
                .sum(),
        );
        for batch in rest {
            joined.check_dimensions(batch.dimensions)?;
            joined.dimensions = joined.dimensions.max(batch.dimensions);
            joined.records.extend(batch.records);
            joined.vectors.extend_from_slice(&batch.vectors);
            joined.bytes += batch.bytes;
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
    pub fn push(
        &mut self,
        id: String,
        text: Option<String>,
        metadata: Option<String>,
    ) -> Result<()> {
        self.push_record(id, text, metadata, false)
    }

    /// Adds a record with a vector. All vectors of a batch have the same length.
    ///
    /// # Errors
    /// `INVALID_ID`, `INVALID_RECORD`, `DIMENSION_MISMATCH`, `NOT_FINITE`, `INVALID_DIMENSIONS`.
    pub fn push_with_vector(
        &mut self,
        id: String,
        vector: &[f32],
        text: Option<String>,
        metadata: Option<String>,
    ) -> Result<()> {
        let row = self.first + self.records.len();
        if !(1..=rabitq::MAX_DIMENSIONS).contains(&vector.len()) {
            return Err(rabitq::Error::InvalidDimensions { got: vector.len() }.into());
        }
        self.check_dimensions(vector.len())?;
        if let Some(position) = vector.iter().position(|x| !x.is_finite()) {
            let value = vector.get(position).copied().unwrap_or(f32::NAN);
            return Err(rabitq::Error::NotFinite {
                row,
                position,
                value,
            }
            .into());
        }
        self.push_record(id, text, metadata, true)?;
        self.dimensions = vector.len();
        self.vectors.extend_from_slice(vector);
        self.bytes += size_of_val(vector);
        Ok(())
    }

    fn push_record(
        &mut self,
        id: String,
        text: Option<String>,
        metadata: Option<String>,
        has_vector: bool,
    ) -> Result<()> {
        let row = self.first + self.records.len();
        if id.is_empty() || id.len() > MAX_ID_BYTES {
            let reason = format!(
                "an id has 1 to {MAX_ID_BYTES} bytes of UTF-8, this one has {}",
                id.len()
            );
            return Err(Error::InvalidId { row, reason });
        }
        let size = |part: &Option<String>| part.as_ref().map_or(0, String::len);
        if size(&text) > MAX_TEXT_BYTES {
            return Err(Error::InvalidRecord {
                row,
                reason: format!("the text is longer than {MAX_TEXT_BYTES} bytes"),
            });
        }
        if size(&metadata) > MAX_METADATA_BYTES {
            let reason = format!("the metadata is longer than {MAX_METADATA_BYTES} bytes");
            return Err(Error::InvalidRecord { row, reason });
        }
        self.bytes += id.len() + size(&text) + size(&metadata) + 16;
        self.records.push(Record {
            id: id.into(),
            text: text.map(Into::into),
            metadata: metadata.map(Into::into),
            has_vector,
        });
        Ok(())
    }

    /// Records so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Bytes the batch takes in the log, roughly.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}
