//! The random rotation that makes every dimension of a code carry the same information.
//!
//! Four rounds of random sign flips and a fast Hadamard transform, with a Givens step between the halves where the length
//! is no power of two (the "`FhtKac`" rotator of the RaBitQ library). Orthogonal at every length, `O(d log d)`, and built
//! from additions and one multiplication per value in a fixed order, so its results do not depend on the CPU.

use std::f32::consts::FRAC_1_SQRT_2;

use simd::Kernels;

use crate::BuildOptions;

const ROUNDS: usize = 4;

/// Codes are laid out for this many dimensions at a time.
const GRANULE: usize = 64;

/// Dimensions up to which a vector is short.
const SHORT: usize = 128;

/// Number of coordinates a vector has after rotation: a multiple of 64 that is at least its dimensions.
///
/// Short vectors whose code is all that is kept get half as many coordinates more: every one of them is another noisy look
/// at the vector, and rounding errors find directions that no query has (`noise.rs`).
pub(crate) fn padded(options: &BuildOptions) -> usize {
    let dimensions = options.dimensions;
    let spare = if dimensions <= SHORT && !options.keeps_raw() {
        dimensions / 2
    } else {
        0
    };
    (dimensions + spare).next_multiple_of(GRANULE)
}

/// An isometry from the dimensions of a vector to its padded coordinates.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rotation {
    padded: usize,
    /// One word a coordinate and round: 0 or the sign bit of an `f32`.
    flips: Vec<u32>,
}

impl Rotation {
    /// Draws the signs from the seed with `SplitMix64` (Steele, Lea & Flood, OOPSLA 2014).
    pub(crate) fn from_options(options: &BuildOptions) -> Self {
        let padded = padded(options);
        let mut state = options.seed;
        let mut words = Vec::with_capacity(ROUNDS * padded / 64);
        for _ in 0..ROUNDS * padded / 64 {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            words.push(z ^ (z >> 31));
        }
        Self::from_words(padded, &words)
    }

    /// The rotation whose sign bits are these words, as a file holds them.
    pub(crate) fn from_words(padded: usize, words: &[u64]) -> Self {
        let flips = words
            .iter()
            .flat_map(|word| (0..64).map(move |bit| (((word >> bit) & 1) as u32) << 31))
            .collect();
        Self { padded, flips }
    }

    /// Sign bits, 64 a word, round after round.
    pub(crate) fn words(&self) -> Vec<u64> {
        self.flips
            .chunks(64)
            .map(|c| {
                c.iter()
                    .enumerate()
                    .fold(0, |w, (i, f)| w | (u64::from(f >> 31) << i))
            })
            .collect()
    }

    /// Number of sign words for a padded length.
    pub(crate) fn word_count(padded: usize) -> usize {
        ROUNDS * padded / 64
    }

    pub(crate) fn padded(&self) -> usize {
        self.padded
    }

    /// Rotates in place. `x` holds `padded` numbers, zeros behind the vector's own.
    pub(crate) fn apply(&self, kernels: &Kernels, x: &mut [f32]) {
        debug_assert_eq!(x.len(), self.padded);
        let n = self.padded;
        let power = 1usize << n.ilog2();
        let scale = 1.0 / (power as f32).sqrt();
        for (round, flips) in self.flips.chunks_exact(n).enumerate() {
            for (v, flip) in x.iter_mut().zip(flips) {
                *v = f32::from_bits(v.to_bits() ^ flip);
            }
            let start = if round % 2 == 0 { 0 } else { n - power };
            let window = &mut x[start..start + power];
            kernels.fht(window);
            for v in window.iter_mut() {
                *v *= scale;
            }
            if power != n {
                let (low, high) = x.split_at_mut(n / 2);
                for (a, b) in low.iter_mut().zip(high) {
                    (*a, *b) = ((*a + *b) * FRAC_1_SQRT_2, (*a - *b) * FRAC_1_SQRT_2);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kind, Metric};

    fn rotation(dimensions: usize, seed: u64) -> Rotation {
        let kind = if seed.is_multiple_of(2) {
            Kind::Rabitq
        } else {
            Kind::RabitqPlus
        };
        Rotation::from_options(&BuildOptions {
            seed,
            ..BuildOptions::new(kind, dimensions, Metric::L2)
        })
    }

    fn unit(n: usize, i: usize) -> Vec<f32> {
        let mut v = vec![0.0; n];
        v[i] = 1.0;
        v
    }

    #[test]
    fn is_orthogonal_at_every_dimension() {
        let kernels = simd::kernels();
        for (dimensions, seed) in [1, 2, 3, 4, 96, 100, 384, 768, 1536, 8192]
            .into_iter()
            .flat_map(|d| [(d, 7), (d, 8)])
        {
            let rotation = rotation(dimensions, seed);
            let n = rotation.padded();
            let picks: Vec<usize> = (0..dimensions).step_by(dimensions.div_ceil(24)).collect();
            let columns: Vec<Vec<f32>> = picks
                .iter()
                .map(|&i| {
                    let mut v = unit(n, i);
                    rotation.apply(kernels, &mut v);
                    v
                })
                .collect();
            for (i, a) in columns.iter().enumerate() {
                for (j, b) in columns.iter().enumerate() {
                    let dot: f64 = a
                        .iter()
                        .zip(b)
                        .map(|(x, y)| f64::from(*x) * f64::from(*y))
                        .sum();
                    let want = f64::from(u8::from(i == j));
                    assert!(
                        (dot - want).abs() < 1e-5,
                        "dimensions {dimensions}: column {i} x {j} is {dot}"
                    );
                }
            }
        }
    }

    #[test]
    fn spreads_a_single_coordinate_over_all() {
        for dimensions in [1, 100, 384] {
            let rotation = rotation(dimensions, 3);
            let n = rotation.padded();
            let mut v = unit(n, 0);
            rotation.apply(simd::kernels(), &mut v);
            let largest = v.iter().fold(0.0f32, |m, x| m.max(x.abs()));
            assert!(
                largest < 6.0 / (n as f32).sqrt(),
                "dimensions {dimensions}: a coordinate of {largest}"
            );
        }
    }

    #[test]
    fn survives_a_round_trip_through_words() {
        let first = rotation(100, 99);
        let words = first.words();
        assert_eq!(words.len(), Rotation::word_count(first.padded()));
        assert_eq!(Rotation::from_words(first.padded(), &words), first);
        assert_ne!(rotation(100, 98), first);
    }
}
