//! Kernels for AArch64. Advanced SIMD is part of the base architecture, so the compiler vectorises
//! the scalar loops too; here is what it cannot find by itself.

use std::arch::aarch64::*;
use std::arch::asm;

use crate::kernels::{Blocks, BoundParams, Kernels, Pick};
use crate::level::Level;
use crate::scalar;

/// The table for every AArch64 CPU.
static KERNELS: Kernels = Kernels {
    level: Level::Neon,
    dot: scalar::dot,
    l2_squared: scalar::l2_squared,
    axpy: scalar::axpy,
    fht: scalar::fht,
    fastscan,
    bounds: scalar::bounds,
    prune,
    select_le,
    dot_u4_i8,
    dot_u8_i16,
    quantize: scalar::quantize,
    widen_f16: scalar::widen_f16,
    narrow_f16: scalar::narrow_f16,
};

/// The table for CPUs with the dot-product extension.
static KERNELS_DOTPROD: Kernels = Kernels {
    level: Level::Neon,
    dot: scalar::dot,
    l2_squared: scalar::l2_squared,
    axpy: scalar::axpy,
    fht: scalar::fht,
    fastscan,
    bounds: scalar::bounds,
    prune,
    select_le,
    dot_u4_i8: dot_u4_i8_dotprod,
    dot_u8_i16,
    quantize: scalar::quantize,
    widen_f16: scalar::widen_f16,
    narrow_f16: scalar::narrow_f16,
};

/// The tables this CPU can run, the best last.
pub(crate) fn detected() -> impl DoubleEndedIterator<Item = &'static Kernels> {
    let dotprod = std::arch::is_aarch64_feature_detected!("dotprod");
    [(true, &KERNELS), (dotprod, &KERNELS_DOTPROD)]
        .into_iter()
        .filter_map(|(detected, kernels)| detected.then_some(kernels))
}

#[target_feature(enable = "neon")]
#[inline]
fn load_u8(bytes: &[u8; 16]) -> uint8x16_t {
    // SAFETY: 16 bytes are readable; the load needs no alignment beyond that of a byte.
    unsafe { vld1q_u8(bytes.as_ptr()) }
}

#[target_feature(enable = "neon")]
#[inline]
fn load_i8(bytes: &[i8; 16]) -> int8x16_t {
    // SAFETY: 16 bytes are readable; the load needs no alignment beyond that of a byte.
    unsafe { vld1q_s8(bytes.as_ptr()) }
}

/// Groups whose sums fit 16 bits: `256 * 255 < 2^16`.
const FLUSH_GROUPS: usize = 256;

/// A table lookup finds the entries of 16 vectors of a group at once. Groups are taken in pairs,
/// because the widening addition of two groups costs what the widening of one does.
#[target_feature(enable = "neon")]
fn fastscan(codes: &[u8], lut: &[u8], out: &mut [u32]) {
    let (out_blocks, _) = out.as_chunks_mut::<32>();
    for (block, out) in out_blocks.iter_mut().enumerate() {
        let codes = &codes[block * lut.len()..][..lut.len()];
        *out = [0; 32];
        let segments = codes
            .chunks(16 * FLUSH_GROUPS)
            .zip(lut.chunks(16 * FLUSH_GROUPS));
        for (codes, lut) in segments {
            let mut sums = [vdupq_n_u16(0); 4];
            let (codes, _) = codes.as_chunks::<16>();
            let (tables, _) = lut.as_chunks::<16>();
            let (code_pairs, _) = codes.as_chunks::<2>();
            let (table_pairs, _) = tables.as_chunks::<2>();
            for (codes, tables) in code_pairs.iter().zip(table_pairs) {
                let (first, second) = (
                    look_up(&codes[0], &tables[0]),
                    look_up(&codes[1], &tables[1]),
                );
                for half in 0..2 {
                    let (a, b) = (first[half], second[half]);
                    let low = vaddl_u8(vget_low_u8(a), vget_low_u8(b));
                    sums[2 * half] = vaddq_u16(sums[2 * half], low);
                    sums[2 * half + 1] = vaddq_u16(sums[2 * half + 1], vaddl_high_u8(a, b));
                }
            }
            for (out, sums) in out.as_chunks_mut::<8>().0.iter_mut().zip(sums) {
                // SAFETY: the pointers lead to four values each, readable and writable.
                unsafe {
                    let (low, high) = (out.as_mut_ptr(), out.as_mut_ptr().add(4));
                    vst1q_u32(low, vaddw_u16(vld1q_u32(low), vget_low_u16(sums)));
                    vst1q_u32(high, vaddw_high_u16(vld1q_u32(high), sums));
                }
            }
        }
    }
}

#[target_feature(enable = "neon")]
fn prune(blocks: &Blocks<'_>, lut: &[u8], params: &BoundParams, limit: f32, out: &mut Vec<Pick>) {
    scalar::prune_blocks(blocks, lut, params, limit, out, |codes, lut, sums| {
        fastscan(codes, lut, sums);
    });
}

/// The table's entries for the low and for the high nibbles.
#[target_feature(enable = "neon")]
#[inline]
fn look_up(codes: &[u8; 16], table: &[u8; 16]) -> [uint8x16_t; 2] {
    let (codes, table) = (load_u8(codes), load_u8(table));
    let low = vandq_u8(codes, vdupq_n_u8(15));
    let high = vshrq_n_u8::<4>(codes);
    [vqtbl1q_u8(table, low), vqtbl1q_u8(table, high)]
}

/// Compares 16 values at a time: in a long list hardly any pass.
#[target_feature(enable = "neon")]
fn select_le(values: &[f32], threshold: f32, base: u32, out: &mut Vec<u32>) {
    let limit = vdupq_n_f32(threshold);
    let (chunks, tail) = values.as_chunks::<16>();
    let mut base = base;
    for chunk in chunks {
        let mut le = [vdup_n_u16(0); 4];
        for (le, values) in le.iter_mut().zip(chunk.as_chunks::<4>().0) {
            // SAFETY: four floats are readable; the load needs no alignment beyond theirs.
            let values = unsafe { vld1q_f32(values.as_ptr()) };
            *le = vmovn_u32(vcleq_f32(values, limit));
        }
        let low = vmovn_u16(vcombine_u16(le[0], le[1]));
        let high = vmovn_u16(vcombine_u16(le[2], le[3]));
        // A shift that narrows leaves four bits for every value.
        let nibbles = vshrn_n_u16::<4>(vreinterpretq_u16_u8(vcombine_u8(low, high)));
        let mut passed = vget_lane_u64::<0>(vreinterpret_u64_u8(nibbles));
        while passed != 0 {
            let i = passed.trailing_zeros() / 4;
            out.push(base + i);
            passed &= !(15 << (4 * i));
        }
        base += 16;
    }
    scalar::select_le(tail, threshold, base, out);
}

/// Codes of a chunk in the order of the query, 16 dimensions each.
#[target_feature(enable = "neon")]
#[inline]
fn unpack(codes: &[u8; 32]) -> [int8x16_t; 4] {
    let (codes, _) = codes.as_chunks::<16>();
    let (first, second) = (load_u8(&codes[0]), load_u8(&codes[1]));
    let nibble = vdupq_n_u8(15);
    [
        vreinterpretq_s8_u8(vandq_u8(first, nibble)),
        vreinterpretq_s8_u8(vandq_u8(second, nibble)),
        vreinterpretq_s8_u8(vshrq_n_u8::<4>(first)),
        vreinterpretq_s8_u8(vshrq_n_u8::<4>(second)),
    ]
}

/// Four chunks are summed in 16 bits before they are widened: `4 * 4 * 15 * 128 < 2^15`.
#[target_feature(enable = "neon")]
fn dot_u4_i8(codes: &[u8], query: &[i8]) -> i32 {
    let mut sum = vdupq_n_s32(0);
    let (codes, _) = codes.as_chunks::<32>();
    let (query, _) = query.as_chunks::<64>();
    for (codes, query) in codes.chunks(4).zip(query.chunks(4)) {
        let mut low = vdupq_n_s16(0);
        let mut high = vdupq_n_s16(0);
        for (codes, query) in codes.iter().zip(query) {
            for (codes, query) in unpack(codes).into_iter().zip(query.as_chunks::<16>().0) {
                let query = load_i8(query);
                low = vmlal_s8(low, vget_low_s8(codes), vget_low_s8(query));
                high = vmlal_high_s8(high, codes, query);
            }
        }
        sum = vpadalq_s16(vpadalq_s16(sum, low), high);
    }
    vaddvq_s32(sum)
}

#[target_feature(enable = "neon,dotprod")]
fn dot_u4_i8_dotprod(codes: &[u8], query: &[i8]) -> i32 {
    let mut sums = [vdupq_n_s32(0); 4];
    let (codes, _) = codes.as_chunks::<32>();
    let (query, _) = query.as_chunks::<64>();
    for (codes, query) in codes.iter().zip(query) {
        let codes = unpack(codes);
        for ((sum, codes), query) in sums.iter_mut().zip(codes).zip(query.as_chunks::<16>().0) {
            *sum = add_dot(*sum, codes, load_i8(query));
        }
    }
    vaddvq_s32(vaddq_s32(
        vaddq_s32(sums[0], sums[1]),
        vaddq_s32(sums[2], sums[3]),
    ))
}

/// `vdotq_s32`, whose intrinsic is unstable (<https://github.com/rust-lang/rust/issues/117224>).
#[target_feature(enable = "neon,dotprod")]
#[inline]
fn add_dot(mut sum: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    // SAFETY: the instruction exists where the feature does, and touches only these registers.
    unsafe {
        asm!(
            "sdot {sum:v}.4s, {a:v}.16b, {b:v}.16b",
            sum = inout(vreg) sum,
            a = in(vreg) a,
            b = in(vreg) b,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sum
}

#[target_feature(enable = "neon")]
fn dot_u8_i16(codes: &[u8], query: &[i16]) -> i32 {
    let mut sums = [vdupq_n_s32(0); 4];
    let (codes, _) = codes.as_chunks::<16>();
    let (query, _) = query.as_chunks::<16>();
    for (codes, query) in codes.iter().zip(query) {
        let codes = load_u8(codes);
        let low = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(codes)));
        let high = vreinterpretq_s16_u16(vmovl_high_u8(codes));
        let (halves, _) = query.as_chunks::<8>();
        // SAFETY: eight values of two bytes are readable behind each pointer.
        let query = unsafe { [vld1q_s16(halves[0].as_ptr()), vld1q_s16(halves[1].as_ptr())] };
        for (half, codes) in [low, high].into_iter().enumerate() {
            let (first, second) = (vget_low_s16(codes), vget_low_s16(query[half]));
            sums[2 * half] = vmlal_s16(sums[2 * half], first, second);
            sums[2 * half + 1] = vmlal_high_s16(sums[2 * half + 1], codes, query[half]);
        }
    }
    vaddvq_s32(vaddq_s32(
        vaddq_s32(sums[0], sums[1]),
        vaddq_s32(sums[2], sums[3]),
    ))
}
