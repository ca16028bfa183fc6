//! Codes and factors of rows, column by column, while they are made.

use std::sync::atomic::AtomicUsize;

use rayon::prelude::*;

use crate::build::{Center, Shape, report};
use crate::encode::sign_deviation;
use crate::pack::{self, BLOCK, RowFactors};
use crate::part::Codes;
use crate::raw::Vectors;
use crate::row::{EncodedRow, RowEncoder};
use crate::{Bits, Control, Metric, Result};

/// Consecutive rows around one point. Every run begins a new block.
#[derive(Clone, Copy)]
pub(crate) struct Run<'a> {
    pub rows: usize,
    /// The point, relative to the center and rotated; the center itself if absent.
    pub offset: Option<&'a [f32]>,
}

/// Rows that have codes around the same point already.
pub(crate) struct Known<'a> {
    pub codes: &'a Codes,
    /// Number and slot of each row there, by its place among the vectors; [`Known::NONE`] for those without.
    pub rows: &'a [(u32, u32)],
}

impl Known<'_> {
    pub(crate) const NONE: (u32, u32) = (u32::MAX, u32::MAX);

    fn find(&self, row: usize) -> Option<(usize, usize)> {
        let (row, slot) = self.rows[row];
        ((row, slot) != Self::NONE).then_some((row as usize, slot as usize))
    }
}

/// Encodes rows run after run, in parallel. `order` has the place of each row among `vectors` and `norms`; without it they
/// come in that order. Codes that are known are copied.
#[expect(clippy::too_many_arguments, reason = "what a code depends on")]
pub(crate) fn encode(
    shape: &Shape,
    center: &Center,
    bits: Bits,
    runs: &[Run<'_>],
    (vectors, norms): (&Vectors<'_>, &[f32]),
    order: Option<&[u32]>,
    known: Option<&Known<'_>>,
    control: Control<'_>,
) -> Result<Codes> {
    let mut columns = Columns::new(bits, shape.rotation.padded(), runs.iter().map(|r| r.rows));
    let (done, total) = (AtomicUsize::new(0), norms.len());
    let mut rest = columns.slots();
    let mut first = 0;
    let mut tasks = Vec::with_capacity(runs.len());
    for run in runs {
        let (slots, later) = rest.split_at(run.rows);
        rest = later;
        tasks.push((first, run, slots));
        first += run.rows;
    }
    tasks.into_par_iter().try_for_each_init(
        || RowEncoder::new(shape, center, bits),
        |encoder, (first, run, mut slots)| -> Result<()> {
            control.check()?;
            for i in 0..run.rows {
                let from = order.map_or(first + i, |order| order[first + i] as usize);
                if let Some(known) = known
                    && let Some((row, slot)) = known.find(from)
                {
                    slots.copy(i, known.codes, row, slot)?;
                    continue;
                }
                let row = vectors.with(from, |vector| {
                    encoder.encode(vector, norms[from], run.offset)
                })?;
                slots.put(i, &row, encoder.codes());
            }
            report(control, "encode", &done, run.rows, total);
            Ok(())
        },
    )?;
    Ok(columns.finish(shape.options.metric))
}

/// The columns of codes while they are filled.
pub(crate) struct Columns {
    bits: Bits,
    padded: usize,
    signs: Vec<u8>,
    add: Vec<f32>,
    rescale: Vec<f32>,
    rows: Vec<u8>,
}

impl Columns {
    /// Room for runs of so many rows.
    pub(crate) fn new(bits: Bits, padded: usize, runs: impl Iterator<Item = usize>) -> Self {
        let (rows, blocks) = runs.fold((0, 0), |(rows, blocks), run| {
            (rows + run, blocks + run.div_ceil(BLOCK))
        });
        Self {
            bits,
            padded,
            signs: vec![0; blocks * pack::block_bytes(padded)],
            add: vec![f32::INFINITY; blocks * BLOCK],
            rescale: vec![0.0; blocks * BLOCK],
            rows: vec![0; rows * pack::row_bytes(bits, padded)],
        }
    }

    pub(crate) fn slots(&mut self) -> Slots<'_> {
        Slots {
            bits: self.bits,
            padded: self.padded,
            signs: &mut self.signs,
            add: &mut self.add,
            rescale: &mut self.rescale,
            rows: &mut self.rows,
        }
    }

    pub(crate) fn finish(self, metric: Metric) -> Codes {
        Codes {
            bits: self.bits,
            padded: self.padded,
            max_add: max_add(metric, &self.add),
            mean_error: mean_error(&self.add, &self.rescale, self.padded),
            signs: self.signs.into(),
            add: self.add.into(),
            rescale: self.rescale.into(),
            rows: self.rows.into(),
        }
    }
}

/// Where the codes and factors of consecutive rows go, beginning at a block.
pub(crate) struct Slots<'a> {
    bits: Bits,
    padded: usize,
    signs: &'a mut [u8],
    add: &'a mut [f32],
    rescale: &'a mut [f32],
    rows: &'a mut [u8],
}

impl Slots<'_> {
    /// The slots of so many rows, which fill up their last block, and those behind.
    pub(crate) fn split_at(self, rows: usize) -> (Self, Self) {
        let blocks = rows.div_ceil(BLOCK);
        let (bits, padded) = (self.bits, self.padded);
        let (signs, later_signs) = self.signs.split_at_mut(blocks * pack::block_bytes(padded));
        let (add, later_add) = self.add.split_at_mut(blocks * BLOCK);
        let (rescale, later_rescale) = self.rescale.split_at_mut(blocks * BLOCK);
        let (codes, later_codes) = self.rows.split_at_mut(rows * pack::row_bytes(bits, padded));
        (
            Self {
                bits,
                padded,
                signs,
                add,
                rescale,
                rows: codes,
            },
            Slots {
                bits,
                padded,
                signs: later_signs,
                add: later_add,
                rescale: later_rescale,
                rows: later_codes,
            },
        )
    }

    /// Stores a row that was just encoded.
    pub(crate) fn put(&mut self, i: usize, row: &EncodedRow, codes: &[u8]) {
        self.add[i] = row.sign_add;
        self.rescale[i] = row.sign.rescale;
        let middle = 1u8 << (self.bits.total() - 1);
        pack::put_signs(self.block(i), i % BLOCK, codes, middle);
        let factors = RowFactors {
            add: row.full_add,
            rescale: row.full.rescale,
            error: row.full.error,
        };
        let width = pack::row_bytes(self.bits, self.padded);
        if width > 0 {
            let row = &mut self.rows[i * width..(i + 1) * width];
            pack::put_row(self.bits, row, factors, codes);
        }
    }

    /// Stores a row as it is in other columns, given its number and its slot there.
    pub(crate) fn copy(&mut self, i: usize, from: &Codes, row: usize, slot: usize) -> Result<()> {
        self.add[i] = from.add.at(slot)?;
        self.rescale[i] = from.rescale.at(slot)?;
        let (block, width) = (pack::block_bytes(self.padded), from.row_bytes());
        let signs = from
            .signs
            .get(slot / BLOCK * block..(slot / BLOCK + 1) * block)?;
        pack::move_signs(signs, slot % BLOCK, self.block(i), i % BLOCK);
        let code = from.rows.get(row * width..(row + 1) * width)?;
        self.rows[i * width..(i + 1) * width].copy_from_slice(code);
        Ok(())
    }

    fn block(&mut self, i: usize) -> &mut [u8] {
        let bytes = pack::block_bytes(self.padded);
        &mut self.signs[i / BLOCK * bytes..(i / BLOCK + 1) * bytes]
    }
}

/// Largest magnitude among the additive factors of products.
fn max_add(metric: Metric, add: &[f32]) -> f32 {
    match metric {
        Metric::L2 => 0.0,
        _ => add
            .iter()
            .filter(|v| v.is_finite())
            .fold(0.0f32, |m, v| m.max(v.abs())),
    }
}

/// Mean deviation of the rows' estimates, which grows with their distance from the point they are encoded around.
fn mean_error(add: &[f32], rescale: &[f32], padded: usize) -> f32 {
    let rows = add.iter().zip(rescale).filter(|(add, _)| add.is_finite());
    let (sum, count) = rows.fold((0.0, 0usize), |(sum, count), (_, &rescale)| {
        (sum + f64::from(rescale.abs()), count + 1)
    });
    (sum / count.max(1) as f64) as f32 * sign_deviation(padded)
}
