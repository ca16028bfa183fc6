//! From raw vectors to a part, in parallel and the same for any number of threads.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use crate::columns::{self, Run};
use crate::noise::NoiseShaper;
use crate::part::{Part, order_by_id};
use crate::raw::Vectors;
use crate::rotate::Rotation;
use crate::section::Section;
use crate::table::Table;
use crate::{Bits, BuildOptions, Control, Metric, Result};

/// Rows encoded by one task, a multiple of [`crate::pack::BLOCK`].
const TASK_ROWS: usize = 256;

/// Rows whose sum is taken by one task.
const CENTER_ROWS: usize = 4096;

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
    ///
    /// # Errors
    /// `CORRUPT_FILE` where vectors are mapped.
    pub(crate) fn center(&self, vectors: &Vectors<'_>, norms: &[f32]) -> Result<Center> {
        let dimensions = self.options.dimensions;
        let Some(bits) = self.options.effective_bits().filter(|_| !norms.is_empty()) else {
            return Ok(self.center_at(vec![0.0; dimensions], norms.len()));
        };
        let sums: Result<Vec<Vec<f64>>> = norms
            .par_chunks(CENTER_ROWS)
            .enumerate()
            .map(|(chunk, norms)| {
                let mut sum = vec![0.0; dimensions];
                for (i, &norm) in norms.iter().enumerate() {
                    let scale = f64::from(scale(self.options.metric, norm));
                    vectors.with(chunk * CENTER_ROWS + i, |vector| {
                        for (sum, &value) in sum.iter_mut().zip(vector) {
                            *sum += scale * f64::from(value);
                        }
                    })?;
                }
                Ok(sum)
            })
            .collect();
        let (sums, count) = (sums?, norms.len() as f64);
        let point = (0..dimensions)
            .map(|i| (sums.iter().map(|sum| sum[i]).sum::<f64>() / count) as f32)
            .collect();
        let mut center = self.center_at(point, norms.len());
        if let Vectors::Passing(values, _) = vectors
            && bits != Bits::One
        {
            let row = |i: usize| &values[i * dimensions..(i + 1) * dimensions];
            center.shaper =
                NoiseShaper::from_residuals(self.rotation.padded(), norms.len(), |i, out| {
                    self.rotate(&center, row(i), norms[i], out);
                });
        }
        Ok(center)
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

    /// Encodes validated rows into a part.
    ///
    /// # Errors
    /// `CANCELLED`; `CORRUPT_FILE` where vectors are mapped.
    pub(crate) fn part(
        &self,
        center: &Center,
        table: Table<'_>,
        control: Control<'_>,
    ) -> Result<Part> {
        let Table {
            ids,
            vectors,
            norms,
        } = table;
        let tasks: Vec<Run<'_>> = (0..norms.len())
            .step_by(TASK_ROWS)
            .map(|first| Run {
                rows: (norms.len() - first).min(TASK_ROWS),
                offset: None,
            })
            .collect();
        let codes = match self.options.effective_bits() {
            None => None,
            Some(bits) => {
                let rows = (&vectors, norms.as_slice());
                Some(columns::encode(
                    self, center, bits, &tasks, rows, None, None, control,
                )?)
            }
        };
        let by_id = order_by_id(&ids).map(Section::from);
        Ok(Part {
            ids: ids.into(),
            by_id,
            norms: norms.into(),
            raw: vectors.into_kept(),
            codes,
            lists: None,
            curves: vec![].into(),
            length: OnceLock::new(),
        })
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
