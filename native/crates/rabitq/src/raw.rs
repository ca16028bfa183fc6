//! Raw vectors: where they lie, and how one is read.

use std::borrow::Cow;

use rayon::prelude::*;

use crate::halves::Halves;
use crate::section::{Scattered, Section};
use crate::validate::norm_squared;
use crate::{BuildOptions, Error, RawPrecision, Result};

/// Chunks of fewer rows are copied together when they meet; larger ones are shared.
const SMALL_CHUNK: usize = 16 * 1024;

/// Raw vectors of the rows of a part.
///
/// They stay where they came in, in chunks, and are found by slot: rows that are grouped, regrouped and merged move their
/// codes, which are a sixth of the size.
#[derive(Clone)]
pub(crate) struct RawRows {
    width: usize,
    chunks: Vec<Chunk>,
    /// Slot of each row; its own number if absent.
    slots: Option<Section<u32>>,
}

/// Vectors in consecutive slots.
#[derive(Clone)]
struct Chunk {
    first: usize,
    rows: usize,
    values: Values,
}

/// Rows of numbers in the precision they are kept in.
#[derive(Clone)]
pub(crate) enum Values {
    F32(Section<f32>),
    F16(Halves),
}

impl Values {
    fn rows(&self, width: usize) -> usize {
        match self {
            Self::F32(values) => values.len() / width,
            Self::F16(halves) => halves.exponents.len(),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::F32(values) => values.bytes(),
            Self::F16(halves) => halves.values.bytes() + halves.exponents.bytes(),
        }
    }

    fn is_mapped(&self) -> bool {
        match self {
            Self::F32(values) => values.is_mapped(),
            Self::F16(halves) => halves.values.is_mapped(),
        }
    }

    fn damaged(&self, reason: String) -> Error {
        match self {
            Self::F32(values) => values.damaged(reason),
            Self::F16(halves) => halves.values.damaged(reason),
        }
    }
}

/// Rows that lie one behind the other, as they are kept: numbers, and exponents in half precision.
pub(crate) enum Stretch<'a> {
    F32(&'a [f32]),
    F16(&'a [u16], &'a [i8]),
}

impl RawRows {
    /// One chunk, in the order of the rows or, with slots, in another.
    pub(crate) fn new(width: usize, values: Values, slots: Option<Section<u32>>) -> Self {
        let chunk = Chunk {
            first: 0,
            rows: values.rows(width),
            values,
        };
        Self {
            width,
            chunks: vec![chunk],
            slots,
        }
    }

    /// The same vectors for rows in another order: row `i` is what row `order[i]` was.
    pub(crate) fn ordered(mut self, order: Section<u32>) -> Result<Self> {
        self.slots = Some(match &self.slots {
            None => order,
            Some(slots) => {
                let slots = slots.all()?;
                let order = order.all()?.iter();
                order
                    .map(|&row| slots[row as usize])
                    .collect::<Vec<_>>()
                    .into()
            }
        });
        Ok(self)
    }

    /// Numbers in a vector.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Calls `act` with the vector of a row.
    #[inline]
    pub(crate) fn with<T>(&self, row: usize, act: impl FnOnce(&[f32]) -> T) -> Result<T> {
        self.with_slot(self.slot(row)?, act)
    }

    /// Calls `act` with the vector in a slot.
    #[inline]
    pub(crate) fn with_slot<T>(&self, slot: usize, act: impl FnOnce(&[f32]) -> T) -> Result<T> {
        let (chunk, row) = self.locate(slot)?;
        match &chunk.values {
            Values::F32(values) => {
                let at = row * self.width;
                Ok(act(values.get(at..at + self.width)?))
            }
            Values::F16(halves) => halves.with(row, self.width, act),
        }
    }

    /// Asks for the place of a row's vector ahead of its use.
    pub(crate) fn prefetch_place(&self, row: usize) {
        if let Some(slots) = &self.slots {
            slots.prefetch(row..row + 1);
        }
    }

    /// Asks for the vector in a slot ahead of its use.
    #[inline]
    pub(crate) fn prefetch(&self, slot: usize) {
        let Ok((chunk, row)) = self.locate(slot) else {
            return;
        };
        let numbers = row * self.width..(row + 1) * self.width;
        match &chunk.values {
            Values::F32(values) => values.prefetch(numbers),
            Values::F16(halves) => halves.values.prefetch(numbers),
        }
    }

    /// Where the vector of a row lies.
    #[inline]
    pub(crate) fn slot(&self, row: usize) -> Result<usize> {
        match &self.slots {
            None => Ok(row),
            Some(slots) => Ok(slots.at(row)? as usize),
        }
    }

    /// [`RawRows::slot`] of so many rows; nothing if it is the row's own number.
    pub(crate) fn slots(&self, reads: usize) -> Result<Option<Scattered<'_, u32>>> {
        let slots = self.slots.as_ref();
        slots.map(|slots| slots.scattered(reads)).transpose()
    }

    #[inline]
    fn chunk_of(&self, slot: usize) -> usize {
        let after = self.chunks.partition_point(|chunk| chunk.first <= slot);
        after.saturating_sub(1)
    }

    /// The chunk of a slot and the row within it.
    #[inline]
    fn locate(&self, slot: usize) -> Result<(&Chunk, usize)> {
        let chunk = &self.chunks[self.chunk_of(slot)];
        let row = slot - chunk.first;
        if row < chunk.rows {
            return Ok((chunk, row));
        }
        // Slots of a file are its word; those made here are right.
        Err(chunk
            .values
            .damaged(format!("a row has vector {slot}, past the last")))
    }

    /// Calls `act` with the vectors of some rows, as many at a time as lie one behind the other, up to `most`.
    pub(crate) fn runs(
        &self,
        rows: &[usize],
        most: usize,
        mut act: impl FnMut(Stretch<'_>) -> Result<()>,
    ) -> Result<()> {
        let slots = rows.iter().map(|&row| self.slot(row));
        let slots = slots.collect::<Result<Vec<usize>>>()?;
        let runs = slots.chunk_by(|a, b| a + 1 == *b && self.chunk_of(*a) == self.chunk_of(*b));
        for run in runs.flat_map(|run| run.chunks(most)) {
            let (chunk, row) = self.locate(run[0])?;
            let (rows, numbers) = (
                row..row + run.len(),
                row * self.width..(row + run.len()) * self.width,
            );
            act(match &chunk.values {
                Values::F32(values) => Stretch::F32(values.get(numbers)?),
                Values::F16(halves) => {
                    Stretch::F16(halves.values.get(numbers)?, halves.exponents.get(rows)?)
                }
            })?;
        }
        Ok(())
    }

    /// Some rows of some parts, in that order. Chunks are shared, except small ones and those on the heap of which less
    /// than half is wanted.
    pub(crate) fn gather(width: usize, sources: &[(&Self, &[usize])]) -> Result<Self> {
        let mut out = Gathered::new(width);
        let mut slots = Vec::with_capacity(sources.iter().map(|(_, rows)| rows.len()).sum());
        for (raw, rows) in sources {
            let wanted = rows.iter().map(|&row| raw.slot(row));
            let wanted = wanted.collect::<Result<Vec<usize>>>()?;
            let mut counts = vec![0; raw.chunks.len()];
            for &slot in &wanted {
                raw.locate(slot)?;
                counts[raw.chunk_of(slot)] += 1;
            }
            let shared: Vec<Option<usize>> = raw
                .chunks
                .iter()
                .zip(&counts)
                .map(|(chunk, &count)| {
                    let sparse = !chunk.values.is_mapped() && count * 2 < chunk.rows;
                    (count >= SMALL_CHUNK && !sparse).then(|| out.share(chunk))
                })
                .collect();
            for slot in wanted {
                let at = raw.chunk_of(slot);
                let within = slot - raw.chunks[at].first;
                slots.push(match shared[at] {
                    Some(first) => first + within,
                    None => out.copy(&raw.chunks[at], within)?,
                } as u32);
            }
        }
        out.close();
        let in_order = slots
            .iter()
            .enumerate()
            .all(|(row, &slot)| slot as usize == row);
        Ok(Self {
            width,
            chunks: out.chunks,
            slots: (!in_order).then(|| slots.into()),
        })
    }

    /// Bytes of the vectors, those of deleted rows included.
    pub(crate) fn bytes(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.values.bytes()).sum()
    }

    /// Those of [`RawRows::bytes`] that are mapped from a file.
    pub(crate) fn mapped_bytes(&self) -> usize {
        let mapped = self.chunks.iter().filter(|chunk| chunk.values.is_mapped());
        mapped.map(|chunk| chunk.values.bytes()).sum()
    }
}

/// Chunks on their way together. Rows that are copied go into a chunk that is still open.
struct Gathered {
    width: usize,
    chunks: Vec<Chunk>,
    end: usize,
    numbers: Vec<f32>,
    halves: Vec<u16>,
    exponents: Vec<i8>,
}

impl Gathered {
    fn new(width: usize) -> Self {
        Self {
            width,
            chunks: vec![],
            end: 0,
            numbers: vec![],
            halves: vec![],
            exponents: vec![],
        }
    }

    fn share(&mut self, chunk: &Chunk) -> usize {
        self.close();
        let first = self.end;
        self.push(chunk.values.clone());
        first
    }

    fn copy(&mut self, chunk: &Chunk, row: usize) -> Result<usize> {
        let range = row * self.width..(row + 1) * self.width;
        let open = match &chunk.values {
            Values::F32(values) => {
                self.numbers.extend_from_slice(values.get(range)?);
                self.numbers.len() / self.width
            }
            Values::F16(halves) => {
                self.halves.extend_from_slice(halves.values.get(range)?);
                self.exponents.push(halves.exponents.at(row)?);
                self.exponents.len()
            }
        };
        Ok(self.end + open - 1)
    }

    /// All chunks of an index have one precision, so only one of the two is open.
    fn close(&mut self) {
        if !self.numbers.is_empty() {
            let mut numbers = std::mem::take(&mut self.numbers);
            numbers.shrink_to_fit();
            self.push(Values::F32(numbers.into()));
        }
        if !self.exponents.is_empty() {
            let mut values = std::mem::take(&mut self.halves);
            values.shrink_to_fit();
            let halves = Halves {
                values: values.into(),
                exponents: std::mem::take(&mut self.exponents).into(),
            };
            self.push(Values::F16(halves));
        }
    }

    fn push(&mut self, values: Values) {
        let rows = values.rows(self.width);
        self.chunks.push(Chunk {
            first: self.end,
            rows,
            values,
        });
        self.end += rows;
    }
}

/// The vectors of an addition, in its order: kept with the rows, or only looked at to make their codes.
pub(crate) enum Vectors<'a> {
    Kept(RawRows),
    Passing(Cow<'a, [f32]>, usize),
}

impl<'a> Vectors<'a> {
    pub(crate) fn new(options: &BuildOptions, vectors: Cow<'a, [f32]>) -> Self {
        let width = options.dimensions;
        if options.keeps_raw() {
            let values = match options.raw {
                RawPrecision::F32 => Values::F32(vectors.into_owned().into()),
                RawPrecision::F16 => Values::F16(Halves::of(&vectors, width)),
            };
            Self::Kept(RawRows::new(width, values, None))
        } else {
            Self::Passing(vectors, width)
        }
    }

    /// Calls `act` with the vector of a row.
    pub(crate) fn with<T>(&self, row: usize, act: impl FnOnce(&[f32]) -> T) -> Result<T> {
        match self {
            Self::Kept(raw) => raw.with(row, act),
            Self::Passing(vectors, width) => Ok(act(&vectors[row * width..(row + 1) * width])),
        }
    }

    /// Squared norms of the vectors as they are kept, given those before.
    ///
    /// # Errors
    /// `NORM_OUT_OF_RANGE` where rounding led there.
    pub(crate) fn norms(&self, options: &BuildOptions, norms: Vec<f32>) -> Result<Vec<f32>> {
        if options.raw == RawPrecision::F32 {
            return Ok(norms);
        }
        let (kernels, metric) = (simd::kernels(), options.metric);
        (0..norms.len())
            .into_par_iter()
            .map(|row| self.with(row, |vector| norm_squared(kernels, metric, row, vector))?)
            .collect()
    }

    pub(crate) fn into_kept(self) -> Option<RawRows> {
        match self {
            Self::Kept(raw) => Some(raw),
            Self::Passing(..) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(numbers: std::ops::Range<usize>) -> RawRows {
        RawRows::new(
            2,
            Values::F32(
                numbers
                    .flat_map(|i| [i as f32, -(i as f32)])
                    .collect::<Vec<_>>()
                    .into(),
            ),
            None,
        )
    }

    fn read(raw: &RawRows, count: usize) -> Vec<usize> {
        (0..count)
            .map(|row| raw.with(row, |v| v[0] as usize).unwrap())
            .collect()
    }

    #[test]
    fn gathering_shares_large_chunks_and_copies_small_and_sparse_ones() {
        let (large, small, sparse) = (rows(0..40_000), rows(50_000..50_010), rows(60_000..100_000));
        let some: Vec<usize> = (0..40_000).filter(|row| row % 3 > 0).collect();
        let few: Vec<usize> = (0..40_000).step_by(2).skip(1).collect();
        let sources = [
            (&small, &[9, 3][..]),
            (&large, &some[..]),
            (&small, &[4, 5][..]),
            (&sparse, &few[..]),
        ];
        let gathered = RawRows::gather(2, &sources).unwrap();
        let want: Vec<usize> = [50_009, 50_003]
            .into_iter()
            .chain(some.iter().copied())
            .chain([50_004, 50_005])
            .chain(few.iter().map(|row| 60_000 + row))
            .collect();
        assert_eq!(read(&gathered, want.len()), want);
        assert_eq!(gathered.bytes(), (2 + 40_000 + 2 + few.len()) * 8);
        let mut seen = vec![];
        let all: Vec<usize> = (0..want.len()).collect();
        gathered
            .runs(&all, 1000, |stretch| {
                let Stretch::F32(values) = stretch else {
                    panic!("rows were kept in f32")
                };
                assert!(values.len() <= 2000);
                seen.extend(values.iter().step_by(2).map(|v| *v as usize));
                Ok(())
            })
            .unwrap();
        assert_eq!(seen, want);
        let reversed: Vec<u32> = (0..want.len() as u32).rev().collect();
        let reversed = gathered.ordered(reversed.into()).unwrap();
        assert_eq!(
            read(&reversed, want.len()),
            want.iter().rev().copied().collect::<Vec<_>>()
        );
    }
}
