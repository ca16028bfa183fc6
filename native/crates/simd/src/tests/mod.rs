//! Every kernel: the scalar one against its definition, every other level against scalar, bit for
//! bit, on random and adversarial input.

mod codes;
mod fastscan;
mod floats;
mod golden;
mod halves;

use std::io::{self, Write};
use std::sync::Once;

use crate::kernels::Kernels;
use crate::level::{Level, for_level, tables};

/// The tables to compare with scalar. Levels the CPU lacks are named on stderr, past the capture of
/// the test harness, so that a run without them does not pass for a full one.
fn compared_tables() -> impl Iterator<Item = &'static Kernels> {
    static REPORT: Once = Once::new();
    REPORT.call_once(|| {
        for level in [Level::Avx2, Level::Avx512, Level::Neon] {
            if for_level(level).is_none() {
                let _ = writeln!(io::stderr(), "skipped: this CPU lacks {level}");
            }
        }
    });
    tables().skip(1)
}

fn scalar() -> &'static Kernels {
    &crate::scalar::KERNELS
}

/// Every length up to 520, so around every chunk size in use, and those of large vectors.
fn lengths() -> impl Iterator<Item = usize> {
    (0..=520).chain([768, 1000, 1024, 1536, 4096, 4097, 8192])
}

/// What these lengths are padded to where codes are laid out for 64 dimensions at a time.
fn chunked_lengths() -> impl Iterator<Item = usize> {
    (0..=576)
        .step_by(64)
        .chain([768, 1024, 1536, 4096, 4160, 8192])
}

/// Marsaglia's xorshift64.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn bits(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// One of `0..bound`.
    fn below(&mut self, bound: usize) -> usize {
        ((self.bits() >> 32) as usize) % bound
    }

    fn byte(&mut self) -> u8 {
        (self.bits() >> 32) as u8
    }

    /// Uniform in `-1..1`.
    fn unit(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    /// A finite number of any magnitude whose sums stay finite: zeros of both signs and subnormals
    /// are common.
    fn wild(&mut self) -> f32 {
        match self.below(8) {
            0 => 0.0,
            1 => -0.0,
            2 => self.unit() * f32::MIN_POSITIVE,
            3 => self.unit() * 1e18,
            4 => self.unit() * 1e-20,
            _ => self.unit(),
        }
    }

    /// Any bit pattern; infinities and NaNs are common.
    fn any(&mut self) -> f32 {
        match self.below(6) {
            0 => f32::INFINITY,
            1 => f32::NEG_INFINITY,
            2 => f32::NAN,
            3 => f32::from_bits(self.bits() as u32),
            _ => self.wild(),
        }
    }

    fn vec<T>(&mut self, len: usize, mut draw: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..len).map(|_| draw(self)).collect()
    }
}

/// Bits for comparison. NaNs count as equal: their sign and payload are unspecified.
fn bits(value: f32) -> u32 {
    if value.is_nan() {
        f32::NAN.to_bits()
    } else {
        value.to_bits()
    }
}

fn all_bits(values: &[f32]) -> Vec<u32> {
    values.iter().copied().map(bits).collect()
}

/// The ways to draw `f32` input.
const DRAWS: [fn(&mut Random) -> f32; 3] = [Random::unit, Random::wild, Random::any];
