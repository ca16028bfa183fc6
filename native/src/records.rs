//! Records on their way in, in pieces that do not hold up the event loop.

use std::cell::RefCell;

use napi::Env;
use napi_derive::napi;
use rulake::Batch;

use crate::error::Failure;
use crate::job::guarded;
use crate::pool;

/// Records for one upsert.
#[napi]
pub struct UpsertBatch {
    // Only the JavaScript thread has it. Pieces are joined on another thread: growing one matrix would copy it.
    pieces: RefCell<Vec<Batch>>,
    records: RefCell<usize>,
}

#[napi]
impl UpsertBatch {
    /// An empty batch.
    #[napi(constructor, catch_unwind)]
    #[must_use]
    pub fn new() -> Self {
        Self {
            pieces: RefCell::default(),
            records: RefCell::default(),
        }
    }

    /// Adds records. `joined` holds their ids, texts and metadata as UTF-8 one after the other, `lengths` four numbers for
    /// each: bytes of the id, bytes of the text, bytes of the metadata (both one more than they are, 0 where there is none),
    /// numbers of the vector, which come from `vectors` (0: no vector). Everything is in three places so that the event loop
    /// allocates little: other threads may be in the allocator.
    ///
    /// # Errors
    /// `INVALID_ID`, `INVALID_RECORD`, `DIMENSION_MISMATCH`, `NOT_FINITE`, `INVALID_DIMENSIONS`.
    #[napi(catch_unwind)]
    pub fn push(
        &self,
        env: &Env,
        joined: &[u8],
        lengths: &[u32],
        vectors: &[f32],
    ) -> napi::Result<()> {
        guarded(env, || {
            let mut records = self.records.borrow_mut();
            let mut batch = Batch::continuing(*records);
            let piece = Piece::new(joined, lengths, vectors)?;
            batch.reserve(piece.records(), joined.len(), vectors.len());
            piece.move_to(&mut batch)?;
            *records += batch.len();
            self.pieces.borrow_mut().push(batch);
            Ok(())
        })
    }
}

/// Records as they come from JavaScript: see [`UpsertBatch::push`].
struct Piece<'a> {
    joined: &'a str,
    lengths: &'a [[u32; 4]],
    vectors: &'a [f32],
}

impl<'a> Piece<'a> {
    fn new(joined: &'a [u8], lengths: &'a [u32], vectors: &'a [f32]) -> Result<Self, Failure> {
        let joined = std::str::from_utf8(joined)
            .map_err(|error| Failure::internal(format!("records: {error}")))?;
        let (lengths, _) = lengths.as_chunks();
        Ok(Self {
            joined,
            lengths,
            vectors,
        })
    }

    fn records(&self) -> usize {
        self.lengths.len()
    }

    fn move_to(mut self, batch: &mut Batch) -> Result<(), Failure> {
        for &[id, text, metadata, numbers] in self.lengths {
            let id = self.part(id)?;
            let text = text.checked_sub(1).map(|n| self.part(n)).transpose()?;
            let metadata = metadata.checked_sub(1).map(|n| self.part(n)).transpose()?;
            let (vector, rest) = self
                .vectors
                .split_at_checked(numbers as usize)
                .ok_or_else(too_short)?;
            self.vectors = rest;
            if vector.is_empty() {
                batch.push(id, text, metadata)?;
            } else {
                batch.push_with_vector(id, vector, text, metadata)?;
            }
        }
        Ok(())
    }

    fn part(&mut self, bytes: u32) -> Result<&'a str, Failure> {
        let (part, rest) = self
            .joined
            .split_at_checked(bytes as usize)
            .ok_or_else(too_short)?;
        self.joined = rest;
        Ok(part)
    }
}

fn too_short() -> Failure {
    Failure::internal("records: less than the lengths say")
}

impl UpsertBatch {
    /// What was collected; nothing is left.
    pub fn take(&self) -> Vec<Batch> {
        *self.records.borrow_mut() = 0;
        self.pieces.take()
    }
}

impl Drop for UpsertBatch {
    fn drop(&mut self) {
        let pieces = self.take();
        if pieces.len() > 1 {
            pool::drop_later(pieces);
        }
    }
}

/// Ids for one call.
#[napi]
pub struct IdBatch {
    ids: RefCell<Vec<String>>,
}

#[napi]
impl IdBatch {
    /// An empty list.
    #[napi(constructor, catch_unwind)]
    #[must_use]
    pub fn new() -> Self {
        Self {
            ids: RefCell::default(),
        }
    }

    /// Adds ids.
    #[napi(catch_unwind)]
    pub fn push(&self, ids: Vec<String>) {
        self.ids.borrow_mut().extend(ids);
    }
}

impl IdBatch {
    /// What was collected; nothing is left.
    pub fn take(&self) -> Vec<String> {
        self.ids.take()
    }
}
