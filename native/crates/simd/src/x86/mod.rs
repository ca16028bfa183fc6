//! Kernels for x86-64.

mod avx2;
mod avx512;

use crate::kernels::Kernels;

/// The tables this CPU can run, the best last.
pub(crate) fn detected() -> impl DoubleEndedIterator<Item = &'static Kernels> {
    // Every CPU with AVX2 has F16C.
    let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("f16c");
    let avx512 = avx2
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vnni");
    let vbmi = avx512 && is_x86_feature_detected!("avx512vbmi");
    [
        (avx2, &avx2::KERNELS),
        (avx512, &avx512::KERNELS),
        (vbmi, &avx512::KERNELS_VBMI),
    ]
    .into_iter()
    .filter_map(|(detected, kernels)| detected.then_some(kernels))
}

/// A type of one byte, for loads of codes and queries.
trait Byte {}
impl Byte for u8 {}
impl Byte for i8 {}
