//! A query made ready for scanning: normalised, centred, rotated, and quantized for the integer kernels.

use std::cell::OnceCell;

use simd::{BoundParams, Kernels};

use crate::build::{Center, Shape};
use crate::encode::sign_deviation;
use crate::pack;
use crate::route::Stop;
use crate::{Bits, Metric};

/// How many standard deviations of rounding error the bounds allow for. Table and query rounding are sums of hundreds of
/// independent roundings, so four deviations are passed about once in 30,000 rows.
const ROUNDING_DEVIATIONS: f32 = 4.0;

/// A query and everything derived from it.
pub(crate) struct Query<'a> {
    kernels: &'static Kernels,
    shape: &'a Shape,
    center: &'a Center,
    vector: &'a [f32],
    norm_squared: f32,
    epsilon: f32,
    /// Made for the first part whose codes are looked at.
    estimator: OnceCell<Option<Estimator>>,
}

/// The query's own part of a distance, and one deviation of an estimate per unit of the row's error factor.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reach {
    pub add: f32,
    pub error: f32,
    /// How far off `add` may be.
    pub doubt: f32,
}

/// The centred, rotated query and its quantized forms.
pub(crate) struct Estimator {
    metric: Metric,
    epsilon: f32,
    /// Relative to the center.
    rotated: Vec<f32>,
    /// Of [`Estimator::rotated`].
    length_squared: f32,
    /// Relative to the origin.
    whole: Vec<f32>,
    /// Of [`Estimator::whole`].
    whole_squared: f32,
    sum: f32,
    delta: f32,
    bias: f32,
    slack: f32,
    pub sign_deviation: f32,
    center: Reach,
    pub lut: Vec<u8>,
    full: FullCode,
    /// Magnitudes that bound the rounding error of an estimate, beside those of the row.
    pub magnitude: f32,
}

/// Constants for whole codes: `<x', q> = sign_weight · acc + step · dot + bias`.
struct FullCode {
    bits: Bits,
    step: f32,
    bias: f32,
    sign_weight: f32,
    slack: f32,
    bytes: Vec<i8>,
    words: Vec<i16>,
}

/// A query by product, multiplied so that it is about as long as a typical row, and by how much. Rows come in the same order
/// for a query of any length, but one much shorter than they are would be lost in the rounding errors of the codes around
/// it.
///
/// The factor is a power of two: products are those of the query itself when they are divided by it. Nothing for a query that
/// is long enough, or has no length.
pub(crate) fn lengthened(
    vector: &[f32],
    norm_squared: f32,
    typical: f32,
) -> Option<(Vec<f32>, f64)> {
    let ratio = f64::from(typical) / f64::from(norm_squared).sqrt();
    if !ratio.is_finite() || ratio < 2.0 {
        return None;
    }
    let factor = ratio.log2().floor().exp2();
    let longer = vector.iter().map(|&x| (f64::from(x) * factor) as f32);
    Some((longer.collect(), factor))
}

impl<'a> Query<'a> {
    /// `vector` and its squared norm were validated; `epsilon` is the width of the error bound in deviations.
    pub(crate) fn new(
        shape: &'a Shape,
        center: &'a Center,
        vector: &'a [f32],
        norm_squared: f32,
        epsilon: f32,
    ) -> Self {
        Self {
            kernels: simd::kernels(),
            shape,
            center,
            vector,
            norm_squared,
            epsilon,
            estimator: OnceCell::new(),
        }
    }

    /// A zero vector has no direction: every row is equally far by angle and by product.
    pub(crate) fn is_directionless(&self) -> bool {
        self.metric() != Metric::L2 && self.norm_squared == 0.0
    }

    /// By convention a zero vector has cosine 0 to everything.
    pub(crate) fn is_right_angled(&self, row_norm_squared: f32) -> bool {
        self.metric() == Metric::Cosine && (self.norm_squared == 0.0 || row_norm_squared == 0.0)
    }

    /// Nothing for an index without codes.
    pub(crate) fn estimator(&self) -> Option<&Estimator> {
        let make = || {
            let options = &self.shape.options;
            let bits = options.effective_bits()?;
            let mut rotated = vec![0.0; self.shape.rotation.padded()];
            self.shape
                .rotate(self.center, self.vector, self.norm_squared, &mut rotated);
            let (metric, epsilon) = (options.metric, self.epsilon);
            Some(Estimator::new(metric, bits, rotated, self.center, epsilon))
        };
        self.estimator.get_or_init(make).as_ref()
    }

    pub(crate) fn metric(&self) -> Metric {
        self.shape.options.metric
    }

    pub(crate) fn kernels(&self) -> &'static Kernels {
        self.kernels
    }

    /// Rank of a raw row, smaller is better: squared distance, negated product or negated cosine.
    ///
    /// Never -0, which sorts before 0: rows at one distance keep their order.
    pub(crate) fn rank(&self, row: &[f32], row_norm_squared: f32) -> f64 {
        match self.metric() {
            Metric::L2 => f64::from(self.kernels.l2_squared(self.vector, row)),
            Metric::InnerProduct => 0.0 - f64::from(self.kernels.dot(self.vector, row)),
            Metric::Cosine if self.is_right_angled(row_norm_squared) => 0.0,
            // Products of two f32 are exact in f64, so a vector's cosine with itself is exactly 1.
            Metric::Cosine => {
                let length = (f64::from(self.norm_squared) * f64::from(row_norm_squared)).sqrt();
                0.0 - (f64::from(self.kernels.dot(self.vector, row)) / length).clamp(-1.0, 1.0)
            }
        }
    }

    /// The distance users see for a rank, exact or estimated.
    pub(crate) fn distance(&self, rank: f64) -> f64 {
        match self.metric() {
            Metric::L2 => rank.max(0.0).sqrt(),
            // An estimate may be -0.
            Metric::InnerProduct => 0.0 + rank,
            Metric::Cosine => 1.0 + rank.clamp(-1.0, 1.0),
        }
    }
}

impl Estimator {
    /// From a query that is rotated and taken relative to a center.
    pub(crate) fn new(
        metric: Metric,
        bits: Bits,
        rotated: Vec<f32>,
        center: &Center,
        epsilon: f32,
    ) -> Self {
        let kernels = simd::kernels();
        let length_squared = kernels.dot(&rotated, &rotated);
        let whole: Vec<f32> = rotated
            .iter()
            .zip(&center.rotated)
            .map(|(q, c)| q + c)
            .collect();
        let add = match metric {
            Metric::L2 => length_squared,
            Metric::Cosine | Metric::InnerProduct => -kernels.dot(&whole, &center.rotated),
        };
        let sum = rotated.iter().map(|&v| f64::from(v)).sum::<f64>() as f32;
        let (lut, delta, lowest) = lookup_table(&rotated);
        let groups = (rotated.len() / 4) as f32;
        let slack = delta * (ROUNDING_DEVIATIONS * (groups / 12.0).sqrt()).min(groups / 2.0);
        let full = FullCode::new(bits, &rotated, sum, slack, delta, lowest);
        Self {
            metric,
            epsilon,
            delta,
            bias: lowest - 0.5 * sum,
            slack,
            sign_deviation: sign_deviation(rotated.len()),
            center: Reach {
                add,
                error: epsilon * length_squared.sqrt(),
                doubt: 0.0,
            },
            magnitude: add.abs() + length_squared,
            rotated,
            length_squared,
            whole_squared: kernels.dot(&whole, &whole),
            whole,
            sum,
            lut,
            full,
        }
    }

    /// The query's part of distances to rows that were encoded around the center.
    pub(crate) fn center(&self) -> Reach {
        self.center
    }

    /// The query's part of distances to centroids, whose codes were made for a metric of their own.
    pub(crate) fn routing(&self, metric: Metric) -> Reach {
        match metric {
            Metric::InnerProduct => self.center,
            Metric::Cosine | Metric::L2 => Reach {
                add: self.length_squared,
                ..self.center
            },
        }
    }

    /// Of the whole query.
    pub(crate) fn length(&self) -> f32 {
        self.whole_squared.sqrt()
    }

    /// The query's part of distances to rows that were encoded around a point so far from the center.
    pub(crate) fn reach(&self, kernels: &Kernels, offset: &[f32]) -> Reach {
        let length_squared = kernels.l2_squared(&self.rotated, offset);
        let add = match self.metric {
            Metric::L2 => length_squared,
            Metric::Cosine | Metric::InnerProduct => {
                self.center.add - kernels.dot(&self.whole, offset)
            }
        };
        Reach {
            add,
            error: self.epsilon * length_squared.sqrt(),
            doubt: 0.0,
        }
    }

    /// [`Estimator::reach`] without a look at the centroid, whose squared length relative to the origin is known.
    pub(crate) fn rough_reach(&self, stop: Stop, length_squared: f32) -> Reach {
        let Stop {
            distance, doubt, ..
        } = stop;
        let lengths = self.whole_squared + length_squared;
        let (add, doubt, farthest) = match self.metric {
            Metric::L2 => (distance, doubt, distance + doubt),
            // |q - c|² = |q|² + |c|² - 2 <q, c>
            Metric::Cosine => ((distance - lengths) / 2.0, doubt / 2.0, distance + doubt),
            Metric::InnerProduct => (distance, doubt, lengths + 2.0 * (distance + doubt)),
        };
        Reach {
            add,
            error: self.epsilon * farthest.max(0.0).sqrt(),
            doubt,
        }
    }

    /// Constants for the estimates of sign codes. What is in doubt is taken for near.
    pub(crate) fn signs(&self, reach: Reach) -> BoundParams {
        BoundParams {
            delta: self.delta,
            bias: self.bias,
            add: reach.add - reach.doubt,
            slack: self.slack + self.sign_deviation * reach.error,
        }
    }

    /// Estimate and lower bound of a row's rank from its whole code. `acc` is its FastScan sum.
    pub(crate) fn refine(
        &self,
        kernels: &Kernels,
        reach: Reach,
        acc: u32,
        row: &[u8],
    ) -> (f32, f32) {
        let (factors, body) = pack::row_parts(row);
        let dot = match self.full.bits {
            Bits::Eight => kernels.dot_u8_i16(body, &self.full.words),
            _ => kernels.dot_u4_i8(body, &self.full.bytes),
        };
        let product =
            self.full.sign_weight * acc as f32 + self.full.step * dot as f32 + self.full.bias;
        let estimate = (factors.add + reach.add) + factors.rescale * product;
        let margin = factors.error * reach.error + factors.rescale.abs() * self.full.slack;
        (estimate, estimate - (margin + reach.doubt))
    }

    /// Estimate with the query as it is, from the row's whole code as numbers.
    pub(crate) fn estimate(
        &self,
        kernels: &Kernels,
        reach: Reach,
        codes: &[f32],
        add: f32,
        rescale: f32,
    ) -> f32 {
        let shift = -0.5 * ((1u32 << self.full.bits.total()) - 1) as f32;
        let product = kernels.dot(&self.rotated, codes) + shift * self.sum;
        (add + reach.add) + rescale * product
    }
}

/// Which of 4 coordinates each of their 16 subsets has: bit `j` of its number stands for coordinate `j`.
const SUBSETS: [[f32; 4]; 16] = {
    let mut subsets = [[0.0; 4]; 16];
    let mut at = 0;
    while at < 64 {
        subsets[at / 4][at % 4] = ((at / 4) >> (at % 4) & 1) as f32;
        at += 1;
    }
    subsets
};

/// Added to a small number that is not negative, it leaves the nearest integer in the last bits.
const ROUNDS: f32 = (1u32 << 23) as f32;

/// For each 4 coordinates the 16 sums of their subsets, as 8-bit steps above the group's smallest sum.
/// Returns the table, the step, and the total of the smallest sums.
pub(crate) fn lookup_table(rotated: &[f32]) -> (Vec<u8>, f32, f32) {
    let widest = rotated
        .chunks_exact(4)
        .map(|q| q.iter().map(|v| v.abs()).sum::<f32>())
        .fold(0.0, f32::max);
    let delta = widest / 255.0;
    let inverse = if delta > 0.0 { 1.0 / delta } else { 0.0 };
    let mut lut = vec![0; rotated.len() * 4];
    let mut lowest = 0.0f64;
    for (q, steps) in rotated.chunks_exact(4).zip(lut.chunks_exact_mut(16)) {
        let smallest: f32 = q.iter().map(|v| v.min(0.0)).sum();
        lowest += f64::from(smallest);
        for (step, [a, b, c, d]) in steps.iter_mut().zip(SUBSETS) {
            let sum = q[0] * a + q[1] * b + q[2] * c + q[3] * d;
            *step = ((sum - smallest) * inverse + ROUNDS).to_bits() as u8;
        }
    }
    (lut, delta, lowest as f32)
}

impl FullCode {
    fn new(bits: Bits, rotated: &[f32], sum: f32, slack: f32, delta: f32, lowest: f32) -> Self {
        let d = rotated.len() as f32;
        let largest = rotated.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        match bits {
            Bits::One => Self {
                bits,
                step: 0.0,
                bias: 0.0,
                sign_weight: 0.0,
                slack: 0.0,
                bytes: vec![],
                words: vec![],
            },
            Bits::Five => {
                let step = largest / 127.0;
                let bytes: Vec<i8> = rotated.iter().map(|&v| quantized(v, step) as i8).collect();
                let rounded = step * bytes.iter().map(|&v| f32::from(v)).sum::<f32>();
                // The middle of the low 4 bits, 7.5, meets the unrounded sum; only deviations from it feel the rounding.
                let bias = 16.0 * lowest + 7.5 * (sum - rounded) - 15.5 * sum;
                let slack = 16.0 * slack + ROUNDING_DEVIATIONS * step * (d * 21.25 / 12.0).sqrt();
                Self {
                    bits,
                    step,
                    bias,
                    sign_weight: 16.0 * delta,
                    slack,
                    bytes,
                    words: vec![],
                }
            }
            Bits::Eight => {
                // The kernel adds in i32: 255 times the sum of magnitudes has to stay below 2^31.
                let magnitudes: f32 = rotated.iter().map(|v| v.abs()).sum();
                let step = (largest / 32767.0).max(255.0 * 1.01 * magnitudes / 2_147_483_648.0);
                let words: Vec<i16> = rotated.iter().map(|&v| quantized(v, step) as i16).collect();
                let rounded = step * words.iter().map(|&v| f32::from(v)).sum::<f32>();
                let slack = ROUNDING_DEVIATIONS * step * (d * 5461.25 / 12.0).sqrt();
                Self {
                    bits,
                    step,
                    bias: -127.5 * rounded,
                    sign_weight: 0.0,
                    slack,
                    bytes: vec![],
                    words,
                }
            }
        }
    }
}

fn quantized(value: f32, step: f32) -> f32 {
    if step > 0.0 {
        (value / step).round()
    } else {
        0.0
    }
}
