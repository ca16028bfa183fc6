//! From a residual to its RaBitQ code and factors.
//!
//! A residual `r` (vector minus centroid, rotated) is approximated by the grid point `x' = u + c`, where `u` holds whole
//! numbers below `2^bits` and `c = -(2^bits - 1) / 2`. For a query residual `q`,
//!
//! `<r, q>  ≈  |r|² / <r, x'> · <x', q>`
//!
//! is unbiased under the random rotation, and its error is below
//! `eps · |r| · |q| · sqrt((|x'|² |r|² / <r, x'>² - 1) / (d - 1))` with a probability that depends on `eps` alone
//! (SIGMOD 2024, theorem 3.2; SIGMOD 2025 for more than one bit). The factors below are those of a *distance*: squared
//! Euclidean, or the negated inner product.

use std::f32::consts::PI;

use simd::Kernels;

use crate::Bits;
use crate::noise::NoiseShaper;

/// What turns `<x', q>` into a distance: `distance ≈ add + query part + rescale · <x', q>`, within `error · eps · |q|`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Factors {
    pub rescale: f32,
    pub error: f32,
}

/// Scratch space to encode one row after another.
pub(crate) struct Encoder<'a> {
    bits: Bits,
    shaper: Option<&'a NoiseShaper>,
    codes: Vec<u8>,
    trial: Vec<u8>,
}

/// The factors of the sign bits alone and of the whole code.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Encoded {
    pub sign: Factors,
    pub full: Factors,
}

/// Quantizer steps tried, relative to the best step for Gaussian data. Rotated residuals are near Gaussian, but short
/// ones stray from it, and the rescaling forgives a wrong step less than a fitted one.
const STEPS: [f32; 7] = [1.0, 0.92, 1.08, 0.85, 1.17, 0.78, 1.28];

/// Best step of a uniform quantizer for a unit Gaussian (Max, "Quantizing for Minimum Distortion", 1960, extended to 8 bits).
fn gaussian_step(bits: Bits) -> f32 {
    match bits {
        Bits::One => 1.596,
        Bits::Five => 0.188,
        Bits::Eight => 0.0308,
    }
}

impl<'a> Encoder<'a> {
    pub(crate) fn new(bits: Bits, padded: usize, shaper: Option<&'a NoiseShaper>) -> Self {
        Self {
            bits,
            shaper,
            codes: vec![0; padded],
            trial: vec![0; padded],
        }
    }

    /// The code of the last row, one value of `0..2^bits` a coordinate.
    pub(crate) fn codes(&self) -> &[u8] {
        &self.codes
    }

    /// `<x', v>` for the sign code and for the whole code of the last row; `numbers` is scratch space.
    pub(crate) fn products(&self, kernels: &Kernels, v: &[f32], numbers: &mut [f32]) -> (f32, f32) {
        let middle = 1u8 << (self.bits.total() - 1);
        for (number, &code) in numbers.iter_mut().zip(&self.codes) {
            *number = if code >= middle { 0.5 } else { -0.5 };
        }
        let sign = kernels.dot(numbers, v);
        let shift = f32::from(middle) - 0.5;
        for (number, &code) in numbers.iter_mut().zip(&self.codes) {
            *number = f32::from(code) - shift;
        }
        (sign, kernels.dot(numbers, v))
    }

    /// Encodes a rotated residual. `cross` is -2 for squared distances and -1 for inner products.
    pub(crate) fn encode(&mut self, kernels: &Kernels, residual: &[f32], cross: f32) -> Encoded {
        let norm_squared = f64::from(kernels.dot(residual, residual));
        let middle = 1u8 << (self.bits.total() - 1);
        if norm_squared == 0.0 {
            self.codes.fill(middle);
            return Encoded::default();
        }
        let d = residual.len() as f64;
        for (code, &v) in self.codes.iter_mut().zip(residual) {
            *code = if v >= 0.0 { middle } else { middle - 1 };
        }
        let best = match self.bits {
            Bits::One => None,
            Bits::Five | Bits::Eight => self.fit(kernels, residual, norm_squared),
        };
        let magnitude = sum(residual, f32::abs);
        let sign = factors(norm_squared, magnitude / 2.0, d / 4.0, d, cross);
        // A residual so small that no step is finite has its sign bits and no more.
        let full = best.map_or(sign, |fit| {
            factors(norm_squared, fit.dot, fit.length, d, cross)
        });
        Encoded { sign, full }
    }

    fn fit(&mut self, kernels: &Kernels, residual: &[f32], norm_squared: f64) -> Option<Fit> {
        let nearest = self.nearest(kernels, residual, norm_squared)?;
        let shaped = self
            .shaper
            .and_then(|shaper| self.shaped(kernels, shaper, residual, norm_squared, nearest.scale));
        Some(shaped.unwrap_or(nearest))
    }

    /// Tries a few quantizer steps and keeps the code closest in angle to the residual.
    fn nearest(&mut self, kernels: &Kernels, residual: &[f32], norm_squared: f64) -> Option<Fit> {
        let d = residual.len() as f64;
        let levels = 1u32 << self.bits.total();
        let shift = -f64::from(levels - 1) / 2.0;
        let sum = sum(residual, |v| v);
        let mut best: Option<Fit> = None;
        for scale in scales(self.bits, norm_squared, d) {
            let half = levels as f32 / 2.0;
            let sums =
                kernels.quantize(residual, scale, half, (levels - 1) as f32, &mut self.trial);
            let dot = f64::from(sums.dot) + shift * sum;
            let length =
                f64::from(sums.sum_squares) + 2.0 * shift * f64::from(sums.sum) + d * shift * shift;
            let fit = Fit { scale, dot, length };
            if best
                .as_ref()
                .is_none_or(|best| fit.quality() > best.quality())
            {
                best = Some(fit);
                std::mem::swap(&mut self.codes, &mut self.trial);
            }
        }
        best
    }

    /// Rounds with errors pushed where queries do not look. The scale that fits best there makes the estimate, so the fit is
    /// handed on in the form that gives it: `|r|² / dot` has to be that scale.
    fn shaped(
        &mut self,
        kernels: &Kernels,
        shaper: &NoiseShaper,
        residual: &[f32],
        norm_squared: f64,
        scale: f32,
    ) -> Option<Fit> {
        let half = (1u32 << self.bits.total()) as f32 / 2.0;
        let target: Vec<f32> = residual.iter().map(|v| v * scale).collect();
        let mut levels = vec![0.0; residual.len()];
        shaper.round(kernels, &target, half, &mut levels);
        let (cross, square) = shaper.fit(kernels, residual, &levels);
        if cross <= 0.0 {
            return None;
        }
        for (code, &level) in self.codes.iter_mut().zip(&levels) {
            *code = (level + half - 0.5) as u8;
        }
        Some(Fit {
            scale,
            dot: norm_squared * square / cross,
            length: f64::from(kernels.dot(&levels, &levels)),
        })
    }
}

/// Adds up in lanes, so that no addition waits for the one before; the same lanes on every CPU.
fn sum(values: &[f32], term: impl Fn(f32) -> f32) -> f64 {
    const LANES: usize = 16;
    let mut lanes = [0.0f64; LANES];
    // Rotated vectors have a multiple of 64 coordinates.
    for values in values.chunks_exact(LANES) {
        for (lane, &value) in lanes.iter_mut().zip(values) {
            *lane += f64::from(term(value));
        }
    }
    lanes.iter().sum()
}

/// How a code lies to its residual: steps a unit, `<r, x'>` and `|x'|²`.
struct Fit {
    scale: f32,
    dot: f64,
    length: f64,
}

impl Fit {
    /// Grows with the cosine between the two.
    fn quality(&self) -> f64 {
        self.dot * self.dot.abs() / self.length
    }
}

/// Multipliers that take a residual to steps, the finite ones.
fn scales(bits: Bits, norm_squared: f64, d: f64) -> impl Iterator<Item = f32> {
    let sigma = (norm_squared / d).sqrt() as f32;
    STEPS
        .iter()
        .map(move |step| 1.0 / (gaussian_step(bits) * step * sigma))
        .filter(|scale| scale.is_finite())
}

/// One deviation of the estimate by a sign code of so many coordinates, per unit of its `rescale` and of `|q|`.
///
/// `|x'|²` is `d / 4`, and `<r, x'>² / (|r|² |x'|²)`, that of a random direction, is `2 / pi` but for a few hundredths.
pub(crate) fn sign_deviation(coordinates: usize) -> f32 {
    let d = coordinates as f32;
    (d / 4.0 * (1.0 - 2.0 / PI) / (d - 1.0)).sqrt()
}

/// `dot` is `<r, x'>`, `length` is `|x'|²`.
fn factors(norm_squared: f64, dot: f64, length: f64, d: f64, cross: f32) -> Factors {
    let spread = (length * norm_squared / (dot * dot) - 1.0).max(0.0) / (d - 1.0);
    let cross = f64::from(cross);
    Factors {
        rescale: (cross * norm_squared / dot) as f32,
        error: (cross.abs() * norm_squared.sqrt() * spread.sqrt()) as f32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::uniform;

    /// Normal numbers: a random direction.
    fn residual(coordinates: usize, seed: u64) -> Vec<f32> {
        let mut number = uniform(seed);
        // Never 0, which has no logarithm.
        let mut next = || number() + f32::EPSILON / 2.0;
        (0..coordinates)
            .map(|_| (-2.0 * next().ln()).sqrt() * (2.0 * PI * next()).cos())
            .collect()
    }

    #[test]
    fn deviations_of_sign_codes_are_a_constant_times_their_factor() {
        let kernels = simd::kernels();
        for coordinates in [64, 128, 384, 1536] {
            let mut encoder = Encoder::new(Bits::One, coordinates, None);
            let constant = sign_deviation(coordinates);
            let ratios: Vec<f32> = (1..=400)
                .map(|seed| {
                    let residual = residual(coordinates, seed);
                    let Factors { rescale, error } = encoder.encode(kernels, &residual, -2.0).sign;
                    error / (rescale.abs() * constant)
                })
                .collect();
            let mean = ratios.iter().sum::<f32>() / ratios.len() as f32;
            assert!((mean - 1.0).abs() < 0.01, "{coordinates}: {mean}");
            // The cosine with the signs strays by .21 / sqrt(d), and the sine by .798 / .603 of that.
            let deviation = 0.28 / 0.603 / (coordinates as f32).sqrt();
            let farthest = ratios.iter().map(|ratio| (ratio - mean).abs());
            let farthest = farthest.fold(0.0, f32::max);
            assert!(farthest < 5.0 * deviation, "{coordinates}: {farthest}");
        }
    }
}
