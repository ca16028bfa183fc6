//! Hierarchical k-means: a few coarse clusters, and finer ones inside each.
//!
//! Training `k` clusters flat compares every point with `k` centroids; in two levels it is about `2 sqrt(k)`, at little loss
//! for centroids that only have to divide the work.

use rayon::prelude::*;
use simd::Kernels;

use crate::{Control, Result};

/// Lloyd iterations a level.
const ITERATIONS: usize = 8;

/// Points a coarse cluster is trained on; all are divided among the clusters afterwards.
const COARSE_SAMPLE: usize = 512;

/// Points of one task.
const TASK: usize = 512;

/// At most `count` centroids of the points (row-major, `width` numbers each). The same points and seed give the same
/// centroids for any number of threads.
pub(crate) fn train(
    points: &[f32],
    width: usize,
    count: usize,
    seed: u64,
    control: Control<'_>,
) -> Result<Vec<f32>> {
    let total = points.len() / width;
    let coarse = (count as f64).sqrt().round() as usize;
    if coarse < 4 {
        return lloyd(points, width, count, seed, control);
    }
    let step = (total / (coarse * COARSE_SAMPLE)).max(1);
    let some: Vec<f32> = points
        .chunks_exact(width)
        .step_by(step)
        .flatten()
        .copied()
        .collect();
    let coarse_centroids = lloyd(&some, width, coarse, seed, control)?;
    drop(some);
    let assignment = assign(points, width, &coarse_centroids);
    let mut members: Vec<Vec<u32>> = vec![vec![]; coarse];
    for (point, &cluster) in assignment.iter().enumerate() {
        members[cluster as usize].push(point as u32);
    }
    // Shares in proportion to size, rounded so that they add up; a cluster too small for one goes to its neighbours.
    let mut before = 0;
    let shares: Vec<usize> = members
        .iter()
        .map(|members| {
            let after = before + members.len();
            let share = (count * after + total / 2) / total - (count * before + total / 2) / total;
            before = after;
            share
        })
        .collect();
    let fine: Result<Vec<Vec<f32>>> = members
        .par_iter()
        .zip(shares)
        .enumerate()
        .filter(|(_, (_, share))| *share > 0)
        .map(|(cluster, (members, share))| {
            let row = |&point: &u32| {
                points[point as usize * width..(point as usize + 1) * width]
                    .iter()
                    .copied()
            };
            let own: Vec<f32> = members.iter().flat_map(row).collect();
            lloyd(&own, width, share, seed ^ (cluster as u64 + 1), control)
        })
        .collect::<Vec<_>>()
        .into_iter()
        .collect();
    Ok(fine?.concat())
}

/// Plain k-means. Clusters that lose all points keep their centroid.
pub(crate) fn lloyd(
    points: &[f32],
    width: usize,
    k: usize,
    seed: u64,
    control: Control<'_>,
) -> Result<Vec<f32>> {
    let kernels = simd::kernels();
    let total = points.len() / width;
    let k = k.clamp(1, total.max(1));
    let mut centroids = Vec::with_capacity(k * width);
    for point in draw(total, k, seed) {
        centroids.extend_from_slice(&points[point * width..(point + 1) * width]);
    }
    for _ in 0..ITERATIONS {
        control.check()?;
        let halves = halves(&centroids, width);
        let tasks: Vec<(Vec<f32>, Vec<u32>)> = points
            .par_chunks(width * TASK)
            .map(|points| {
                let (mut sums, mut counts) = (vec![0.0; k * width], vec![0; k]);
                for point in points.chunks_exact(width) {
                    let at = nearest(kernels, &centroids, &halves, point) as usize;
                    kernels.axpy(1.0, point, &mut sums[at * width..(at + 1) * width]);
                    counts[at] += 1;
                }
                (sums, counts)
            })
            .collect();
        let (mut sums, mut counts) = (vec![0.0; k * width], vec![0u32; k]);
        for (task_sums, task_counts) in tasks {
            kernels.axpy(1.0, &task_sums, &mut sums);
            counts
                .iter_mut()
                .zip(task_counts)
                .for_each(|(a, b)| *a += b);
        }
        for (at, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            for (centroid, sum) in centroids[at * width..(at + 1) * width]
                .iter_mut()
                .zip(&sums[at * width..])
            {
                *centroid = sum / count as f32;
            }
        }
    }
    Ok(centroids)
}

/// The nearest centroid of each point.
pub(crate) fn assign(points: &[f32], width: usize, centroids: &[f32]) -> Vec<u32> {
    let (kernels, halves) = (simd::kernels(), halves(centroids, width));
    points
        .par_chunks_exact(width)
        .map(|point| nearest(kernels, centroids, &halves, point))
        .collect()
}

/// Half the squared length of each centroid: less the product with a point, it orders them by distance.
pub(crate) fn halves(centroids: &[f32], width: usize) -> Vec<f32> {
    let kernels = simd::kernels();
    let centroids = centroids.chunks_exact(width);
    centroids.map(|c| kernels.dot(c, c) / 2.0).collect()
}

fn nearest(kernels: &Kernels, centroids: &[f32], halves: &[f32], point: &[f32]) -> u32 {
    let mut best = (f32::INFINITY, 0);
    for (i, (centroid, half)) in centroids.chunks_exact(point.len()).zip(halves).enumerate() {
        let distance = half - kernels.dot(point, centroid);
        if distance < best.0 {
            best = (distance, i as u32);
        }
    }
    best.1
}

/// `k` different numbers below `total`: one from each of `k` equal stretches.
fn draw(total: usize, k: usize, seed: u64) -> impl Iterator<Item = usize> {
    let mut state = seed;
    (0..k).filter(move |_| total > 0).map(move |i| {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let (start, end) = (i * total / k, (i + 1) * total / k);
        start + ((z ^ (z >> 31)) % (end - start).max(1) as u64) as usize
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separate_clusters_are_found() {
        let width = 64;
        let points: Vec<f32> = (0..4000 * width)
            .map(|i| {
                if i % width == (i / width) % 40 {
                    10.0
                } else {
                    ((i * 7919) % 101) as f32 / 1000.0
                }
            })
            .collect();
        let centroids = train(&points, width, 40, 3, Control::default()).unwrap();
        let kernels = simd::kernels();
        let halves = halves(&centroids, width);
        let spread = |center: &dyn Fn(&[f32]) -> usize| -> f32 {
            let distance = |p: &[f32]| {
                kernels.l2_squared(p, &centroids[center(p) * width..(center(p) + 1) * width])
            };
            points.chunks_exact(width).map(distance).sum()
        };
        // Two points of different clusters are 200 apart; a cluster without a centroid of its own costs half of that.
        let (own, any) = (
            spread(&|p| nearest(kernels, &centroids, &halves, p) as usize),
            spread(&|_| 0),
        );
        assert!(own < 0.4 * any, "{own} beside {any}");
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .build()
            .unwrap();
        assert_eq!(
            pool.install(|| train(&points, width, 40, 3, Control::default()).unwrap()),
            centroids
        );
    }

    #[test]
    fn fewer_points_than_clusters() {
        assert_eq!(
            train(&[1.0, 2.0, 3.0, 4.0], 2, 9, 1, Control::default())
                .unwrap()
                .len(),
            4
        );
    }
}
