//! One query against the codes of a part.

use simd::{Blocks, Pick};

use crate::Result;
use crate::pack::{self, BLOCK};
use crate::part::Codes;
use crate::query::Estimator;
use crate::scan::{Scan, Span};

/// Relative rounding error allowed for in comparisons of estimates with exact ranks.
pub(crate) const ROUNDING: f32 = 1e-5;

/// A query, a part, its codes, and what tells distances from them.
#[derive(Clone, Copy)]
pub(crate) struct Coded<'a> {
    pub scan: &'a Scan<'a>,
    pub codes: &'a Codes,
    pub estimator: &'a Estimator,
}

impl<'a> Coded<'a> {
    /// Whether there is nothing but the signs.
    pub(crate) fn signs_only(&self) -> bool {
        self.codes.row_bytes() == 0
    }

    /// A limit for lower bounds that rounding cannot make too low.
    pub(crate) fn tolerated(&self, limit: f64) -> f32 {
        let rounding = ROUNDING * (self.estimator.magnitude + self.codes.max_add);
        let tolerance = limit.abs() * f64::from(ROUNDING) + f64::from(rounding);
        ((limit + tolerance) as f32).min(f32::MAX)
    }

    /// The sign codes of a span, and their factors.
    pub(crate) fn blocks(&self, span: &Span) -> Result<Blocks<'a>> {
        let codes = self.codes;
        let bytes = pack::block_bytes(codes.padded);
        let blocks = span.block..span.block + span.rows.div_ceil(BLOCK);
        let slots = blocks.start * BLOCK..blocks.end * BLOCK;
        Ok(Blocks {
            codes: codes.signs.get(blocks.start * bytes..blocks.end * bytes)?,
            f_add: codes.add.get(slots.clone())?,
            f_rescale: codes.rescale.get(slots)?,
            ahead: codes.blocks_ahead(),
        })
    }

    /// Picks the rows of a span whose bounds by sign code reach a limit.
    pub(crate) fn pick(&self, span: &Span, limit: f64, picks: &mut Vec<Pick>) -> Result<()> {
        let (blocks, lut) = (self.blocks(span)?, &self.estimator.lut);
        let params = self.estimator.signs(span.reach);
        let kernels = self.scan.query.kernels();
        picks.clear();
        kernels.prune(&blocks, lut, &params, self.tolerated(limit), picks);
        // Slots that fill up the last block are no rows; damaged factors can let them in.
        let mask = self.scan.mask;
        picks.retain(|pick| {
            let place = pick.place as usize;
            place < span.rows && mask.is_none_or(|mask| mask.get(span.row + place))
        });
        Ok(())
    }

    /// Asks for the whole code of a picked row, ahead of [`Coded::refine`].
    pub(crate) fn prefetch(&self, span: &Span, pick: Pick) {
        let (row, width) = (span.row + pick.place as usize, self.codes.row_bytes());
        self.codes.rows.prefetch(row * width..(row + 1) * width);
    }

    /// Estimate and lower bound of a picked row's rank from all that its code tells.
    pub(crate) fn refine(&self, span: &Span, pick: Pick) -> Result<(f32, f32)> {
        let Self {
            codes, estimator, ..
        } = self;
        let kernels = self.scan.query.kernels();
        let (at, width) = (pick.place as usize, codes.row_bytes());
        if width > 0 {
            let row = span.row + at;
            let code = codes.rows.get(row * width..(row + 1) * width)?;
            return Ok(estimator.refine(kernels, span.reach, pick.sum, code));
        }
        let slot = span.block * BLOCK + at;
        let slot = slot..slot + 1;
        let (mut estimate, mut lower) = ([0.0], [0.0]);
        kernels.bounds(
            &[pick.sum],
            codes.add.get(slot.clone())?,
            codes.rescale.get(slot)?,
            &estimator.signs(span.reach),
            &mut estimate,
            &mut lower,
        );
        Ok((estimate[0], lower[0]))
    }
}
