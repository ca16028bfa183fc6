//! From raw vectors to a part, in parallel and the same for any number of threads.

use std::borrow::Cow;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;
use simd::Kernels;

use crate::encode::Encoder;
use crate::noise::NoiseShaper;
use crate::pack::{self, BLOCK};
use crate::part::{Codes, Part, order_by_id};
use crate::rotate::Rotation;
use crate::section::Section;
use crate::{Bits, BuildOptions, Control, Metric, Result};

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
            return Center {
                point: vec![0.0; dimensions],
                rows: norms.len(),
                shaper: None,
            };
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
        let mut center = Center {
            point,
            rows: norms.len(),
            shaper: None,
        };
        if !self.options.keeps_raw() && bits != Bits::One {
            let kernels = simd::kernels();
            let row = |i: usize| &vectors[i * dimensions..(i + 1) * dimensions];
            center.shaper =
                NoiseShaper::from_residuals(self.rotation.padded(), norms.len(), |i, out| {
                    self.residual(&center, row(i), norms[i], out);
                    self.rotation.apply(kernels, out);
                });
        }
        center
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
        let kernels = simd::kernels();
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
                || {
                    (
                        Encoder::new(bits, padded, center.shaper.as_ref()),
                        vec![0.0f32; padded],
                    )
                },
                |(encoder, residual),
                 ((((((signs, add), rescale), error), rows), vectors), norms)| {
                    control.check()?;
                    for (i, (vector, &norm)) in
                        vectors.chunks_exact(dimensions).zip(norms).enumerate()
                    {
                        self.residual(center, vector, norm, residual);
                        add[i] = self.additive(kernels, center, &residual[..dimensions]);
                        self.rotation.apply(kernels, residual);
                        let encoded =
                            encoder.encode(kernels, residual, cross_term(self.options.metric));
                        rescale[i] = encoded.sign.rescale;
                        error[i] = encoded.sign.error;
                        let middle = 1u8 << (bits.total() - 1);
                        let target = &mut signs[i / BLOCK * block..(i / BLOCK + 1) * block];
                        pack::put_signs(
                            target,
                            i % BLOCK,
                            encoder.codes().iter().map(|&code| code >= middle),
                        );
                        if row_bytes > 0 {
                            let row = &mut rows[i * row_bytes..(i + 1) * row_bytes];
                            pack::put_row(
                                bits,
                                row,
                                encoded.full.rescale,
                                encoded.full.error,
                                encoder.codes(),
                            );
                        }
                    }
                    report(control, &done, norms.len(), total);
                    Ok(())
                },
            )?;
        let max_add = match self.options.metric {
            Metric::L2 => 0.0,
            _ => add[..total].iter().fold(0.0f32, |m, v| m.max(v.abs())),
        };
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

    /// `vector - center`, the vector normalised for cosine, padded with zeros.
    fn residual(&self, center: &Center, vector: &[f32], norm: f32, out: &mut [f32]) {
        let scale = scale(self.options.metric, norm);
        let (body, rest) = out.split_at_mut(vector.len());
        for ((out, &value), &middle) in body.iter_mut().zip(vector).zip(&center.point) {
            *out = value * scale - middle;
        }
        rest.fill(0.0);
    }

    /// The part of a distance that depends on the row alone.
    fn additive(&self, kernels: &Kernels, center: &Center, residual: &[f32]) -> f32 {
        match self.options.metric {
            Metric::L2 => kernels.dot(residual, residual),
            Metric::Cosine | Metric::InnerProduct => -kernels.dot(residual, &center.point),
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

/// Tells the listener about every 64th part of the work.
fn report(control: Control<'_>, done: &AtomicUsize, rows: usize, total: usize) {
    let before = done.fetch_add(rows, Ordering::Relaxed);
    let step = total.div_ceil(64).max(1);
    if before / step != (before + rows) / step || before + rows == total {
        control.report("encode", before + rows, total);
    }
}
