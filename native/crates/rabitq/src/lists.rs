//! Rows grouped around centroids, and the way from a query to the groups worth looking at.

use simd::Kernels;

use crate::Result;
use crate::pack::BLOCK;
use crate::part::Codes;
use crate::query::{Estimator, Reach};
use crate::scan::Span;
use crate::section::Section;
use crate::topk::{Candidate, TopK};

/// Rows up to which all lists are visited: there is little to save, and queries unlike the rows, from which the number of
/// lists is learned, lose nothing.
const FEW_ROWS: usize = 8192;

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
    /// Share of a query's ten nearest rows that its first lists hold, one entry for each of [`probe_steps`].
    pub curve: Section<f32>,
}

/// Numbers of lists for which recall is known: about three a doubling, up to all.
pub(crate) fn probe_steps(count: usize) -> impl Iterator<Item = usize> {
    let steps =
        (0..usize::BITS - 2).flat_map(|bit| [4usize, 5, 6, 7].map(|quarter| (quarter << bit) / 4));
    let mut last = 0;
    steps
        .map_while(move |step| {
            let here = (last < count).then(|| step.min(count));
            last = step;
            here
        })
        .scan(0, |before, step| {
            let new = step > *before;
            *before = step;
            Some(new.then_some(step))
        })
        .flatten()
}

impl Lists {
    pub(crate) fn count(&self) -> usize {
        self.starts.len() - 1
    }

    /// Lists to look at for a recall, as learned from the rows themselves.
    pub(crate) fn probes(&self, recall: f32) -> Result<usize> {
        if self.order.len() <= FEW_ROWS || recall >= 1.0 {
            return Ok(self.count());
        }
        let curve = self.curve.all()?;
        let mut below = (0, 0.0);
        for (step, &share) in probe_steps(self.count()).zip(curve) {
            if share >= recall {
                let part = (recall - below.1) / (share - below.1).max(f32::EPSILON);
                return Ok((below.0 as f32 + part * (step - below.0) as f32)
                    .ceil()
                    .max(1.0) as usize);
            }
            below = (step, share);
        }
        Ok(self.count())
    }

    /// The lists nearest to a query, nearest first.
    pub(crate) fn nearest(
        &self,
        kernels: &Kernels,
        estimator: &Estimator,
        wanted: usize,
    ) -> Result<Vec<u32>> {
        let count = self.count();
        let wanted = wanted.min(count);
        let routes = &self.routes;
        let slots = count.next_multiple_of(BLOCK);
        let (mut sums, mut estimates, mut lowers) =
            (vec![0; slots], vec![0.0; slots], vec![0.0; slots]);
        kernels.fastscan(routes.signs.all()?, &estimator.lut, &mut sums);
        let (add, rescale, error) = (
            routes.add.all()?,
            routes.rescale.all()?,
            routes.error.all()?,
        );
        // The query's own part is the same for all lists and does not change their order.
        let signs = estimator.signs(Reach::default());
        kernels.bounds(
            &sums,
            add,
            rescale,
            error,
            &signs,
            &mut estimates,
            &mut lowers,
        );

        let spare = (2 * wanted + 16).min(count);
        let mut rough: Vec<u32> = (0..count as u32).collect();
        if spare < count {
            rough.select_nth_unstable_by(spare, |a, b| {
                estimates[*a as usize].total_cmp(&estimates[*b as usize])
            });
            rough.truncate(spare);
        }
        let width = routes.row_bytes();
        let codes = routes.rows.all()?;
        let mut top = TopK::new(wanted);
        for list in rough {
            let at = list as usize;
            let (estimate, _) = estimator.refine(
                kernels,
                Reach::default(),
                sums[at],
                &codes[at * width..(at + 1) * width],
            );
            top.push(Candidate::in_order(f64::from(estimate), u64::from(list)));
        }
        Ok(top
            .into_sorted()
            .iter()
            .map(|candidate| candidate.row as u32)
            .collect())
    }

    /// The rows of some lists, in their order.
    pub(crate) fn spans(
        &self,
        kernels: &Kernels,
        estimator: &Estimator,
        lists: &[u32],
    ) -> Result<Vec<Span>> {
        let (starts, blocks, offsets) =
            (self.starts.all()?, self.blocks.all()?, self.offsets.all()?);
        let padded = self.routes.padded;
        let span = |&list: &u32| {
            let at = list as usize;
            Span {
                row: starts[at] as usize,
                block: blocks[at] as usize,
                rows: (starts[at + 1] - starts[at]) as usize,
                reach: estimator.reach(kernels, &offsets[at * padded..(at + 1) * padded]),
            }
        };
        Ok(lists.iter().map(span).collect())
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
        let tables =
            self.order.bytes() + self.starts.bytes() + self.blocks.bytes() + self.curve.bytes();
        tables + self.offsets.bytes() + self.routes.bytes()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_grow_to_the_whole() {
        assert_eq!(probe_steps(1).collect::<Vec<_>>(), [1]);
        assert_eq!(
            probe_steps(11).collect::<Vec<_>>(),
            [1, 2, 3, 4, 5, 6, 7, 8, 10, 11]
        );
        assert_eq!(probe_steps(4096).last(), Some(4096));
    }
}
