//! From raw vectors to a part, in parallel and the same for any number of threads.

use std::borrow::Cow;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::noise::NoiseShaper;
use crate::pack::{self, BLOCK, RowFactors};
use crate::part::{Codes, Part, order_by_id};
use crate::rotate::Rotation;
use crate::row::{EncodedRow, RowEncoder};
use crate::section::Section;
use crate::{Bits, BuildOptions, Control, Metric, Result};
use rayon::prelude::*;

/// Rows encoded by one task, a multiple of [`BLOCK`].
const TASK_ROWS: usize = 256;

/// What all parts of an index have in common and never changes.
pub(crate) struct Shape {
    pub options: BuildOptions,
    pub rotation: Rotation,
}

/// The point residuals are taken from: the mean of the (for cosine: normalised) vectors.
pub(crate) struct Center {
    pub point: Vec<f32>,
    /// The point rotated.
    pub rotated: Vec<f32>,
    /// Rows the mean was taken of.
    pub rows: usize,
    /// Shapes the rounding of codes that are the last word on their row; a loaded index has none and rounds additions plainly.
    pub shaper: Option<NoiseShaper>,
}

impl Shape {
    /// Adds up in `f64` within fixed chunks, and chunk after chunk, so that threads do not matter.
    pub(crate) fn center(&self, vectors: &[f32], norms: &[f32]) -> Center {
        let dimensions = self.options.dimensions;
        let Some(bits) = self.options.effective_bits().filter(|_| !norms.is_empty()) else {
            return self.center_at(vec![0.0; dimensions], norms.len());
        };
        let sums: Vec<Vec<f64>> = vectors
            .par_chunks(dimensions * 4096)
            .zip(norms.par_chunks(4096))
            .map(|(vectors, norms)| {
                let mut sum = vec![0.0; dimensions];
                for (vector, &norm) in vectors.chunks_exact(dimensions).zip(norms) {
                    let scale = f64::from(scale(self.options.metric, norm));
                    for (sum, &value) in sum.iter_mut().zip(vector) {
                        *sum += scale * f64::from(value);
                    }
                }
                sum
            })
            .collect();
        let count = norms.len() as f64;
        let point = (0..dimensions)
            .map(|i| (sums.iter().map(|sum| sum[i]).sum::<f64>() / count) as f32)
            .collect();
        let mut center = self.center_at(point, norms.len());
        if !self.options.keeps_raw() && bits != Bits::One {
            let row = |i: usize| &vectors[i * dimensions..(i + 1) * dimensions];
            center.shaper =
                NoiseShaper::from_residuals(self.rotation.padded(), norms.len(), |i, out| {
                    self.rotate(&center, row(i), norms[i], out);
                });
        }
        center
    }

    /// A center at a known point.
    pub(crate) fn center_at(&self, point: Vec<f32>, rows: usize) -> Center {
        let mut rotated = point.clone();
        rotated.resize(self.rotation.padded(), 0.0);
        self.rotation.apply(simd::kernels(), &mut rotated);
        Center {
            point,
            rotated,
            rows,
            shaper: None,
        }
    }

    /// Encodes rows into a part. `vectors` and `norms` were validated.
    ///
    /// # Errors
    /// `CANCELLED`.
    pub(crate) fn part(
        &self,
        center: &Center,
        ids: Vec<i64>,
        vectors: Cow<'_, [f32]>,
        norms: Vec<f32>,
        control: Control<'_>,
    ) -> Result<Part> {
        let codes = match self.options.effective_bits() {
            None => None,
            Some(bits) => Some(self.codes(bits, center, &vectors, &norms, control)?),
        };
        let raw = self
            .options
            .keeps_raw()
            .then(|| Section::from(vectors.into_owned()));
        let by_id = order_by_id(&ids).map(Section::from);
        Ok(Part {
            ids: ids.into(),
            by_id,
            norms: norms.into(),
            raw,
            codes,
            lists: None,
        })
    }

    fn codes(
        &self,
        bits: Bits,
        center: &Center,
        vectors: &[f32],
        norms: &[f32],
        control: Control<'_>,
    ) -> Result<Codes> {
        let (dimensions, padded) = (self.options.dimensions, self.rotation.padded());
        let (block, row_bytes) = (pack::block_bytes(padded), pack::row_bytes(bits, padded));
        let total = norms.len();
        let blocks = total.div_ceil(BLOCK);
        let mut signs = vec![0u8; blocks * block];
        let mut add = vec![f32::INFINITY; blocks * BLOCK];
        let mut rescale = vec![0.0f32; blocks * BLOCK];
        let mut error = vec![0.0f32; blocks * BLOCK];
        let mut rows = vec![0u8; total * row_bytes];
        // Sign-only codes have no rows; a width of 1 keeps the zipped iterators equally long.
        let mut no_rows = vec![0u8; if row_bytes == 0 { total } else { 0 }];
        let row_slices = if row_bytes == 0 {
            &mut no_rows
        } else {
            &mut rows
        };
        let done = AtomicUsize::new(0);
        signs
            .par_chunks_mut(block * (TASK_ROWS / BLOCK))
            .zip(add.par_chunks_mut(TASK_ROWS))
            .zip(rescale.par_chunks_mut(TASK_ROWS))
            .zip(error.par_chunks_mut(TASK_ROWS))
            .zip(row_slices.par_chunks_mut(row_bytes.max(1) * TASK_ROWS))
            .zip(vectors.par_chunks(dimensions * TASK_ROWS))
            .zip(norms.par_chunks(TASK_ROWS))
            .try_for_each_init(
                || RowEncoder::new(self, center, bits),
                |encoder, ((((((signs, add), rescale), error), rows), vectors), norms)| {
                    control.check()?;
                    let mut out = Slots {
                        bits,
                        padded,
                        signs,
                        add,
                        rescale,
                        error,
                        rows,
                    };
                    for (i, (vector, &norm)) in
                        vectors.chunks_exact(dimensions).zip(norms).enumerate()
                    {
                        let row = encoder.encode(vector, norm, None);
                        out.put(i, &row, encoder.codes());
                    }
                    report(control, "encode", &done, norms.len(), total);
                    Ok(())
                },
            )?;
        let max_add = max_add(self.options.metric, &add);
        Ok(Codes {
            bits,
            padded,
            signs: signs.into(),
            add: add.into(),
            rescale: rescale.into(),
            error: error.into(),
            rows: rows.into(),
            max_add,
        })
    }
}

/// Where the codes and factors of consecutive rows go, beginning at a block.
pub(crate) struct Slots<'a> {
    pub bits: Bits,
    pub padded: usize,
    pub signs: &'a mut [u8],
    pub add: &'a mut [f32],
    pub rescale: &'a mut [f32],
    pub error: &'a mut [f32],
    pub rows: &'a mut [u8],
}

impl Slots<'_> {
    /// The slots of so many rows, which fill up their last block, and those behind.
    pub(crate) fn split_at(self, rows: usize) -> (Self, Self) {
        let blocks = rows.div_ceil(BLOCK);
        let (bits, padded) = (self.bits, self.padded);
        let (signs, later_signs) = self.signs.split_at_mut(blocks * pack::block_bytes(padded));
        let (add, later_add) = self.add.split_at_mut(blocks * BLOCK);
        let (rescale, later_rescale) = self.rescale.split_at_mut(blocks * BLOCK);
        let (error, later_error) = self.error.split_at_mut(blocks * BLOCK);
        let (codes, later_codes) = self.rows.split_at_mut(rows * pack::row_bytes(bits, padded));
        (
            Self {
                bits,
                padded,
                signs,
                add,
                rescale,
                error,
                rows: codes,
            },
            Slots {
                bits,
                padded,
                signs: later_signs,
                add: later_add,
                rescale: later_rescale,
                error: later_error,
                rows: later_codes,
            },
        )
    }

    pub(crate) fn put(&mut self, i: usize, row: &EncodedRow, codes: &[u8]) {
        self.add[i] = row.sign_add;
        self.rescale[i] = row.sign.rescale;
        self.error[i] = row.sign.error;
        let (block, width) = (
            pack::block_bytes(self.padded),
            pack::row_bytes(self.bits, self.padded),
        );
        let middle = 1u8 << (self.bits.total() - 1);
        let signs = codes.iter().map(|&code| code >= middle);
        pack::put_signs(
            &mut self.signs[i / BLOCK * block..(i / BLOCK + 1) * block],
            i % BLOCK,
            signs,
        );
        if width > 0 {
            let factors = RowFactors {
                add: row.full_add,
                rescale: row.full.rescale,
                error: row.full.error,
            };
            pack::put_row(
                self.bits,
                &mut self.rows[i * width..(i + 1) * width],
                factors,
                codes,
            );
        }
    }
}

/// What a vector is multiplied with before it is encoded.
pub(crate) fn scale(metric: Metric, norm_squared: f32) -> f32 {
    match metric {
        Metric::Cosine if norm_squared > 0.0 => (1.0 / f64::from(norm_squared).sqrt()) as f32,
        _ => 1.0,
    }
}

/// Factor of `<r, q>` in a distance.
pub(crate) fn cross_term(metric: Metric) -> f32 {
    match metric {
        Metric::L2 => -2.0,
        Metric::Cosine | Metric::InnerProduct => -1.0,
    }
}

/// Largest magnitude among the additive factors of products.
pub(crate) fn max_add(metric: Metric, add: &[f32]) -> f32 {
    match metric {
        Metric::L2 => 0.0,
        _ => add
            .iter()
            .filter(|v| v.is_finite())
            .fold(0.0f32, |m, v| m.max(v.abs())),
    }
}

/// Tells the listener about every 64th part of the work.
pub(crate) fn report(
    control: Control<'_>,
    phase: &'static str,
    done: &AtomicUsize,
    rows: usize,
    total: usize,
) {
    let before = done.fetch_add(rows, Ordering::Relaxed);
    let step = total.div_ceil(64).max(1);
    if before / step != (before + rows) / step || before + rows == total {
        control.report(phase, before + rows, total);
    }
}
