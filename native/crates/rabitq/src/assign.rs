//! The nearest list of a row, without a look at all of them.

use simd::Kernels;

use crate::build::Shape;
use crate::columns::Columns;
use crate::ivf::encode_points;
use crate::kmeans;
use crate::pack::{self, BLOCK};
use crate::part::Codes;
use crate::query::lookup_table;
use crate::{Bits, Control, Result};

/// Groups of centroids that are looked into: nearly always one of these has the nearest.
const GROUPS: usize = 8;

/// Centroids that are compared exactly, those with the best estimates.
const CANDIDATES: usize = 8;

/// Centroids by groups: a row is compared with the groups' middles, then with the sign codes of the centroids in the
/// nearest groups, then with the best of those. `O(sqrt(lists))`.
pub(crate) struct Assigner<'a> {
    kernels: &'static Kernels,
    width: usize,
    offsets: &'a [f32],
    middles: Vec<f32>,
    halves: Vec<f32>,
    groups: Vec<Group>,
    codes: Codes,
}

struct Group {
    members: Vec<u32>,
    block: usize,
}

/// Space for one row after the other.
#[derive(Default)]
pub(crate) struct Scratch {
    middles: Vec<(f32, usize)>,
    sums: Vec<u32>,
    estimates: Vec<f32>,
    picks: Vec<u32>,
    candidates: Vec<(f32, u32)>,
}

impl<'a> Assigner<'a> {
    /// `offsets` are centroids, rotated and relative to the center.
    ///
    /// # Errors
    /// `CANCELLED`.
    pub(crate) fn new(shape: &Shape, offsets: &'a [f32], control: Control<'_>) -> Result<Self> {
        let (kernels, width) = (simd::kernels(), shape.rotation.padded());
        let count = offsets.len() / width;
        let middles = (count as f64).sqrt().round() as usize;
        let middles = kmeans::lloyd(offsets, width, middles, shape.options.seed, control)?;
        let mut members = vec![vec![]; middles.len() / width];
        for (list, group) in kmeans::assign(offsets, width, &middles).iter().enumerate() {
            members[*group as usize].push(list as u32);
        }
        let sizes = members.iter().map(Vec::len);
        let mut columns = Columns::new(Bits::One, width, sizes);
        let mut slots = columns.slots();
        let (mut groups, mut block) = (vec![], 0);
        for members in members {
            let (mut own, later) = slots.split_at(members.len());
            slots = later;
            let points = members
                .iter()
                .map(|&list| &offsets[list as usize * width..(list as usize + 1) * width]);
            let add = |offset: &[f32]| (kernels.dot(offset, offset), -2.0);
            encode_points(Bits::One, width, points, add, &mut own);
            let blocks = members.len().div_ceil(BLOCK);
            groups.push(Group { members, block });
            block += blocks;
        }
        Ok(Self {
            kernels,
            width,
            offsets,
            halves: kmeans::halves(&middles, width),
            middles,
            groups,
            codes: columns.finish(crate::Metric::L2),
        })
    }

    /// The list nearest to a rotated row, and its squared distance.
    ///
    /// # Errors
    /// None; the codes are on the heap.
    pub(crate) fn nearest(&self, row: &[f32], scratch: &mut Scratch) -> Result<(u32, f32)> {
        let Scratch {
            middles,
            sums,
            estimates,
            picks,
            candidates,
        } = scratch;
        middles.clear();
        let distances = self.middles.chunks_exact(self.width).zip(&self.halves);
        middles.extend(
            distances
                .enumerate()
                .map(|(group, (middle, half))| (half - self.kernels.dot(row, middle), group)),
        );
        if middles.len() > GROUPS {
            middles.select_nth_unstable_by(GROUPS - 1, |a, b| a.0.total_cmp(&b.0));
            middles.truncate(GROUPS);
        }
        let (table, step, lowest) = lookup_table(row);
        let bias = lowest - 0.5 * row.iter().sum::<f32>();
        candidates.clear();
        let block_bytes = pack::block_bytes(self.width);
        for &(_, group) in middles.iter() {
            let Group { members, block } = &self.groups[group];
            let blocks = *block..block + members.len().div_ceil(BLOCK);
            sums.resize(blocks.len() * BLOCK, 0);
            let signs = blocks.start * block_bytes..blocks.end * block_bytes;
            self.kernels
                .fastscan(self.codes.signs.get(signs)?, &table, sums);
            let slots = blocks.start * BLOCK..blocks.end * BLOCK;
            let (add, rescale) = (
                self.codes.add.get(slots.clone())?,
                self.codes.rescale.get(slots)?,
            );
            estimates.resize(sums.len(), 0.0);
            for (((estimate, &sum), add), rescale) in
                estimates.iter_mut().zip(sums.iter()).zip(add).zip(rescale)
            {
                *estimate = add + rescale * (step * sum as f32 + bias);
            }
            let limit = match candidates.get(CANDIDATES - 1) {
                Some(worst) => worst.0,
                None => f32::MAX,
            };
            picks.clear();
            self.kernels.select_le(estimates, limit, 0, picks);
            for &pick in picks.iter() {
                let at = pick as usize;
                offer(candidates, (estimates[at], members[at]));
            }
        }
        let exact = candidates.iter().map(|&(_, list)| {
            let at = list as usize * self.width;
            let offset = &self.offsets[at..at + self.width];
            (self.kernels.l2_squared(row, offset), list)
        });
        let best = exact.min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        Ok(best.map_or((0, f32::INFINITY), |(distance, list)| (list, distance)))
    }
}

/// Keeps the lowest [`CANDIDATES`], in ascending order.
fn offer(best: &mut Vec<(f32, u32)>, next: (f32, u32)) {
    if best.len() == CANDIDATES {
        if next.0 >= best[CANDIDATES - 1].0 {
            return;
        }
        best.pop();
    }
    let at = best.partition_point(|known| known.0 <= next.0);
    best.insert(at, next);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rotate::Rotation;
    use crate::{BuildOptions, Kind, Metric};

    #[test]
    fn the_nearest_list_is_missed_by_little() {
        let options = BuildOptions::new(Kind::RabitqIvf, 64, Metric::L2);
        let shape = Shape {
            rotation: Rotation::from_options(&options),
            options,
        };
        let number = |a: usize, b: usize| {
            let mut z = (a * 64 + b + 1) as u64;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            (z >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        };
        let points = |range: std::ops::Range<usize>| -> Vec<f32> {
            range
                .flat_map(|i| (0..64).map(move |j| number(i % 40 + 90_000, j) + 0.6 * number(i, j)))
                .collect()
        };
        let offsets = points(0..1500);
        let assigner = Assigner::new(&shape, &offsets, Control::default()).unwrap();
        let mut excess = 0.0f32;
        let mut scratch = Scratch::default();
        let rows = points(2000..3000);
        for row in rows.chunks_exact(64) {
            let distance =
                |list: usize| simd::kernels().l2_squared(row, &offsets[list * 64..(list + 1) * 64]);
            let want = (0..1500)
                .min_by(|a, b| distance(*a).total_cmp(&distance(*b)))
                .unwrap();
            let got = assigner.nearest(row, &mut scratch).unwrap().0 as usize;
            excess += distance(got) / distance(want) - 1.0;
        }
        assert!(excess < 50.0, "{} of the distance", excess / 1000.0);
    }
}
