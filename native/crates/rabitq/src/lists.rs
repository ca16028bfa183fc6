//! Rows grouped around centroids.

use std::f32::consts::PI;

use simd::Kernels;

use crate::build::cross_term;
use crate::pack::{self, BLOCK};
use crate::part::Codes;
use crate::query::{Estimator, Reach};
use crate::section::Section;
use crate::{Metric, Result};

/// Blocks of a list that are asked for ahead of it; the CPU sees by itself that the others follow.
const BLOCKS_AHEAD: usize = 1;

/// The inverted lists of a part. Row numbers follow the lists, blocks begin anew with every list.
#[derive(Clone)]
pub(crate) struct Lists {
    /// Place of each row in insertion order.
    pub order: Section<u32>,
    /// First row of each list, and the number of rows.
    pub starts: Section<u32>,
    /// First block of each list, and the number of blocks.
    pub blocks: Section<u32>,
    /// Centroids, rotated and relative to the center.
    pub offsets: Section<f32>,
    /// Codes of the centroids: routing a query is a search among them.
    pub routes: Codes,
    /// Of each list the root of the mean squared residual, at least a third of that over all lists.
    pub radii: Section<f32>,
    /// Squared lengths of the centroids, relative to the origin.
    pub lengths: Section<f32>,
}

impl Lists {
    pub(crate) fn count(&self) -> usize {
        self.starts.len() - 1
    }

    /// Where all lists lie.
    pub(crate) fn extents(&self) -> Result<Extents<'_>> {
        Ok(Extents {
            starts: self.starts.all()?,
            blocks: self.blocks.all()?,
        })
    }

    /// Where the rows of a list lie from the query.
    pub(crate) fn reach(
        &self,
        kernels: &Kernels,
        estimator: &Estimator,
        list: u32,
    ) -> Result<Reach> {
        let (at, padded) = (list as usize, self.routes.padded);
        let offset = self.offsets.get(at * padded..(at + 1) * padded)?;
        Ok(estimator.reach(kernels, offset))
    }

    /// Rows of the longest list as a multiple of the mean; 0 if a damaged file does not say.
    pub(crate) fn imbalance(&self) -> f64 {
        let Ok(starts) = self.starts.all() else {
            return 0.0;
        };
        let longest = starts.windows(2).map(|pair| pair[1] - pair[0]).max();
        let mean = self.order.len() as f64 / self.count() as f64;
        f64::from(longest.unwrap_or(0)) / mean
    }

    /// Bytes beside the codes of the rows.
    pub(crate) fn bytes(&self) -> usize {
        let tables = self.order.bytes() + self.starts.bytes() + self.blocks.bytes();
        let centroids = self.offsets.bytes() + self.radii.bytes() + self.lengths.bytes();
        tables + centroids + self.routes.bytes()
    }
}

/// Where the rows of each list lie.
#[derive(Clone, Copy)]
pub(crate) struct Extents<'a> {
    starts: &'a [u32],
    blocks: &'a [u32],
}

/// Where the rows of a list lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    /// The first.
    pub row: usize,
    /// The first block of their codes.
    pub block: usize,
    /// How many they are.
    pub rows: usize,
}

impl Extent {
    /// Asks for what looking at a list takes, ahead of it.
    pub(crate) fn prefetch(&self, codes: &Codes) {
        let bytes = pack::block_bytes(codes.padded);
        let first = self.block;
        let blocks = first..first + self.rows.div_ceil(BLOCK).min(BLOCKS_AHEAD);
        let slots = blocks.start * BLOCK..blocks.end * BLOCK;
        codes
            .signs
            .prefetch(blocks.start * bytes..blocks.end * bytes);
        codes.add.prefetch(slots.clone());
        codes.rescale.prefetch(slots);
    }
}

impl Extents<'_> {
    pub(crate) fn of(&self, list: u32) -> Extent {
        let at = list as usize;
        Extent {
            row: self.starts[at] as usize,
            block: self.blocks[at] as usize,
            rows: (self.starts[at + 1] - self.starts[at]) as usize,
        }
    }
}

/// First row and first block of each list from the numbers of rows in them.
pub(crate) fn layout(sizes: &[u32]) -> (Vec<u32>, Vec<u32>) {
    let (mut starts, mut blocks) = (vec![0], vec![0]);
    for (i, &size) in sizes.iter().enumerate() {
        starts.push(starts[i] + size);
        blocks.push(blocks[i] + size.div_ceil(BLOCK as u32));
    }
    (starts, blocks)
}

/// [`Lists::lengths`] of centroids relative to a center; both are rotated.
pub(crate) fn lengths(offsets: &[f32], center: &[f32]) -> Vec<f32> {
    let kernels = simd::kernels();
    let offsets = offsets.chunks_exact(center.len());
    let squared = |offset: &[f32]| {
        let whole: Vec<f32> = offset.iter().zip(center).map(|(o, c)| o + c).collect();
        kernels.dot(&whole, &whole)
    };
    offsets.map(squared).collect()
}

/// [`Lists::radii`] from the factors of the rows' sign codes, which grow with the residuals' lengths.
pub(crate) fn radii(
    starts: &[u32],
    blocks: &[u32],
    codes: &Codes,
    metric: Metric,
) -> Result<Vec<f32>> {
    // For a sign code `<r, x'>² / (|r|² |x'|²)` is about 2 / pi, and `|x'|²` is a quarter of the coordinates: see `encode.rs`.
    let unit = cross_term(metric).abs() * (2.0 * PI / codes.padded as f32).sqrt();
    let mut total = 0.0f64;
    let mut radii = Vec::with_capacity(blocks.len() - 1);
    for (starts, &block) in starts.windows(2).zip(blocks) {
        let (first, rows) = (block as usize * BLOCK, (starts[1] - starts[0]) as usize);
        let factors = codes.rescale.get(first..first + rows)?;
        let sum: f64 = factors.iter().map(|&f| f64::from(f / unit).powi(2)).sum();
        total += sum;
        radii.push((sum / rows.max(1) as f64).sqrt() as f32);
    }
    let rows = starts.last().map_or(1, |&rows| rows.max(1));
    let least = (total / f64::from(rows)).sqrt() as f32 / 3.0;
    Ok(radii.into_iter().map(|radius| radius.max(least)).collect())
}
