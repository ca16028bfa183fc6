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

use simd::Kernels;

use crate::Bits;

/// What turns `<x', q>` into a distance: `distance ≈ add + query part + rescale · <x', q>`, within `error · eps · |q|`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Factors {
    pub rescale: f32,
    pub error: f32,
}

/// Scratch space to encode one row after another.
pub(crate) struct Encoder {
    bits: Bits,
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

impl Encoder {
    pub(crate) fn new(bits: Bits, padded: usize) -> Self {
        Self {
            bits,
            codes: vec![0; padded],
            trial: vec![0; padded],
        }
    }

    /// The code of the last row, one value of `0..2^bits` a coordinate.
    pub(crate) fn codes(&self) -> &[u8] {
        &self.codes
    }

    /// Encodes a rotated residual. `cross` is -2 for squared distances and -1 for inner products.
    pub(crate) fn encode(&mut self, kernels: &Kernels, residual: &[f32], cross: f32) -> Encoded {
        let norm_squared = f64::from(kernels.dot(residual, residual));
        if norm_squared == 0.0 {
            let middle = 1u8 << (self.bits.total() - 1);
            self.codes.fill(middle);
            return Encoded::default();
        }
        let d = residual.len() as f64;
        let sum: f64 = residual.iter().map(|&v| f64::from(v)).sum();
        let magnitude: f64 = residual.iter().map(|&v| f64::from(v.abs())).sum();
        let sign = factors(norm_squared, magnitude / 2.0, d / 4.0, d, cross);
        let full = match self.bits {
            Bits::One => {
                for (code, &v) in self.codes.iter_mut().zip(residual) {
                    *code = u8::from(v >= 0.0);
                }
                sign
            }
            Bits::Five | Bits::Eight => self.fit(kernels, residual, norm_squared, sum, cross),
        };
        Encoded { sign, full }
    }

    /// Tries a few quantizer steps and keeps the code closest in angle to the residual.
    fn fit(
        &mut self,
        kernels: &Kernels,
        residual: &[f32],
        norm_squared: f64,
        sum: f64,
        cross: f32,
    ) -> Factors {
        let d = residual.len() as f64;
        let levels = 1u32 << self.bits.total();
        let half = levels as f32 / 2.0;
        let shift = -f64::from(levels - 1) / 2.0;
        let sigma = (norm_squared / d).sqrt() as f32;
        let mut best = (0.0, 0.0, 0.0);
        for step in STEPS {
            let scale = 1.0 / (gaussian_step(self.bits) * step * sigma);
            if !scale.is_finite() {
                continue;
            }
            let sums =
                kernels.quantize(residual, scale, half, (levels - 1) as f32, &mut self.trial);
            let dot = f64::from(sums.dot) + shift * sum;
            let length =
                sums.sum_squares as f64 + 2.0 * shift * f64::from(sums.sum) + d * shift * shift;
            let quality = dot * dot.abs() / length;
            if quality > best.0 {
                best = (quality, dot, length);
                std::mem::swap(&mut self.codes, &mut self.trial);
            }
        }
        if best.0 == 0.0 {
            // A residual so small that no step is finite: its sign bits are all that can be kept.
            for (code, &v) in self.codes.iter_mut().zip(residual) {
                *code = if v >= 0.0 {
                    (levels / 2) as u8
                } else {
                    (levels / 2 - 1) as u8
                };
            }
            return factors(
                norm_squared,
                residual.iter().map(|&v| f64::from(v.abs())).sum::<f64>() / 2.0,
                d / 4.0,
                d,
                cross,
            );
        }
        factors(norm_squared, best.1, best.2, d, cross)
    }
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
