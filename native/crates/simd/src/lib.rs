//! Vector kernels for the RaBitQ engine, one table of function pointers per CPU level.
//!
//! This is the only crate with CPU intrinsics. It has no dependencies, so that it can be built for a
//! foreign architecture with nothing but a compiler and run under an emulator.
//!
//! # Every level gives the same bits
//!
//! A segment written on one machine is verified on another, so no result may depend on the CPU:
//!
//! * Integer kernels are exact.
//! * `f32` sums use one fixed order, the *canonical lanes*: lane `j` of 32 sums the terms `32 i + j`
//!   with a separate multiply and add (a fused multiply-add rounds once instead of twice), a short
//!   last chunk counts as padded with zeros, and the lanes are folded by halves
//!   (`lane[j] + lane[j + half]`, half = 16, 8, 4, 2, 1).
//! * Elementwise kernels use separate multiplies and adds, in the order their documentation gives.
//!
//! Only the payload and sign of a NaN are unspecified.
//!
//! # Example
//!
//! ```
//! let kernels = simd::kernels();
//! assert_eq!(kernels.dot(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]), 32.0);
//! ```

mod kernels;
mod level;
#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
mod neon;
mod prefetch;
mod scalar;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(test)]
mod tests;

pub use kernels::{Blocks, BoundParams, Kernels, MAX_QUANTIZE_LEN, Pick, QuantizeSums};
pub use level::{
    Level, ParseLevelError, available, cpu_features, for_level, forced_level_problem, kernels,
};
pub use prefetch::prefetch;
