//! One query against one part, row by row.

use crate::bitset::Bitset;
use crate::observe::{Observer, Stage};
use crate::pack::{self, BLOCK};
use crate::part::{Codes, Part};
use crate::query::{Estimator, Query, Reach};
use crate::topk::{Candidate, TopK};
use crate::{Control, Result};

/// Rows between two looks at the cancel flag.
const STRIDE: usize = 1024;

/// Rows whose raw vectors are asked for before they are looked at.
pub(crate) const AHEAD: usize = 6;

/// Consecutive rows that were encoded around the same point, beginning at a block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub row: usize,
    pub block: usize,
    pub rows: usize,
    pub reach: Reach,
}

impl Span {
    /// At most so many rows from `start` on.
    pub(crate) fn part(&self, start: usize, most: usize) -> Self {
        Self {
            row: self.row + start,
            block: self.block + start / BLOCK,
            rows: (self.rows - start).min(most),
            reach: self.reach,
        }
    }
}

/// One query against one part.
pub(crate) struct Scan<'a> {
    pub query: &'a Query<'a>,
    pub part: &'a Part,
    /// Position of the part's first row in the whole index.
    pub first: u64,
    /// Rows that may be returned; all if absent.
    pub mask: Option<&'a Bitset>,
    /// How many those are.
    pub allowed: usize,
    /// The same rows in the order of their ids, if they are few.
    pub listed: Option<&'a [u32]>,
    pub control: Control<'a>,
}

impl Scan<'_> {
    /// Ranks every allowed row by its raw vector.
    pub(crate) fn exact_all<O: Observer>(&self, top: &mut TopK, observer: &mut O) -> Result<()> {
        let Some(listed) = self.listed else {
            return self.exact(0..self.part.rows(), top, observer);
        };
        let start = observer.now();
        // Ids mostly grow in the order rows came in, in which their vectors lie.
        let rows = listed.iter().map(|&row| row as usize);
        self.exact_scattered((rows, listed.len()), top)?;
        observer.compared(listed.len());
        observer.spent(Stage::Rerank, start);
        Ok(())
    }

    /// Ranks every allowed row of a range by its raw vector.
    pub(crate) fn exact<O: Observer>(
        &self,
        rows: std::ops::Range<usize>,
        top: &mut TopK,
        observer: &mut O,
    ) -> Result<()> {
        let start = observer.now();
        let compared = match self.mask {
            None => {
                for at in rows.clone().step_by(STRIDE) {
                    self.control.check()?;
                    let mut some = at..(at + STRIDE).min(rows.end);
                    some.try_for_each(|row| self.push_exact(row, top))?;
                }
                rows.len()
            }
            Some(mask) => {
                let count = mask.count_in(rows.clone());
                self.exact_scattered((mask.iter(rows), count), top)?;
                count
            }
        };
        observer.compared(compared);
        observer.spent(Stage::Rerank, start);
        Ok(())
    }

    /// Ranks so many rows that lie apart, asking for the memory of each ahead of it.
    fn exact_scattered(
        &self,
        (mut rows, count): (impl Iterator<Item = usize>, usize),
        top: &mut TopK,
    ) -> Result<()> {
        let Some(raw) = &self.part.raw else {
            return Ok(());
        };
        let (slots, norms) = (raw.slots(count)?, self.part.norms.scattered(count)?);
        let mut batch = Vec::new();
        loop {
            self.control.check()?;
            batch.clear();
            // These reads do not wait for each other.
            for row in rows.by_ref().take(STRIDE) {
                let slot = match &slots {
                    None => row,
                    Some(slots) => slots.at(row)? as usize,
                };
                batch.push((row, slot, norms.at(row)?));
            }
            if batch.is_empty() {
                return Ok(());
            }
            for (at, &(row, slot, norm)) in batch.iter().enumerate() {
                if let Some(&(_, later, _)) = batch.get(at + AHEAD) {
                    raw.prefetch(later);
                }
                let rank = raw.with_slot(slot, |vector| self.query.rank(vector, norm))?;
                if rank <= top.limit() {
                    self.push(rank, row, top)?;
                }
            }
        }
    }

    /// Rank of one row of a part without lists from its code and the unrounded query.
    pub(crate) fn estimate(&self, codes: &Codes, estimator: &Estimator, row: usize) -> Result<f64> {
        if self.query.is_right_angled(self.part.norms.at(row)?) {
            return Ok(0.0);
        }
        let (block, width) = (pack::block_bytes(codes.padded), codes.row_bytes());
        let signs = codes
            .signs
            .get(row / BLOCK * block..(row / BLOCK + 1) * block)?;
        let signs = pack::signs(signs, row % BLOCK, codes.padded);
        let mut numbers = vec![0.0; codes.padded];
        let (add, rescale) = if width == 0 {
            pack::unpack(codes.bits, &[], signs, &mut numbers);
            (codes.add.at(row)?, codes.rescale.at(row)?)
        } else {
            let (factors, body) = pack::row_parts(codes.rows.get(row * width..(row + 1) * width)?);
            pack::unpack(codes.bits, body, signs, &mut numbers);
            (factors.add, factors.rescale)
        };
        Ok(f64::from(estimator.estimate(
            self.query.kernels(),
            estimator.center(),
            &numbers,
            add,
            rescale,
        )))
    }

    /// Rank of one row from its raw vector.
    pub(crate) fn rank(&self, row: usize) -> Result<f64> {
        let Some(raw) = &self.part.raw else {
            return Ok(f64::INFINITY);
        };
        let norm = self.part.norms.at(row)?;
        raw.with(row, |vector| self.query.rank(vector, norm))
    }

    pub(crate) fn push_exact(&self, row: usize, top: &mut TopK) -> Result<()> {
        let rank = self.rank(row)?;
        if rank <= top.limit() {
            self.push(rank, row, top)
        } else {
            Ok(())
        }
    }

    pub(crate) fn push(&self, rank: f64, row: usize, top: &mut TopK) -> Result<()> {
        let order = self.first + self.part.order(row)? as u64;
        top.push(Candidate {
            rank,
            order,
            row: self.first + row as u64,
        });
        Ok(())
    }
}
