//! Kernels for AVX2.

use std::arch::x86_64::*;

use super::Byte;
use crate::kernels::{Blocks, BoundParams, Kernels, Pick, QuantizeSums};
use crate::level::Level;
use crate::scalar;

/// The AVX2 table.
pub(crate) static KERNELS: Kernels = Kernels {
    level: Level::Avx2,
    dot,
    l2_squared,
    axpy,
    fht,
    fastscan,
    bounds,
    prune,
    select_le,
    dot_u4_i8,
    dot_u8_i16,
    quantize,
    widen_f16,
    narrow_f16,
};

#[target_feature(enable = "avx2")]
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    scalar::dot(a, b)
}

#[target_feature(enable = "avx2")]
pub(super) fn l2_squared(a: &[f32], b: &[f32]) -> f32 {
    scalar::l2_squared(a, b)
}

#[target_feature(enable = "avx2")]
fn bounds(
    acc: &[u32],
    f_add: &[f32],
    f_rescale: &[f32],
    params: &BoundParams,
    estimates: &mut [f32],
    lowers: &mut [f32],
) {
    scalar::bounds(acc, f_add, f_rescale, params, estimates, lowers);
}

#[target_feature(enable = "avx2")]
#[inline]
fn load_bytes<T: Byte>(bytes: &[T; 32]) -> __m256i {
    // SAFETY: `T` is one byte wide, so 32 bytes are readable; the load needs no alignment.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

#[target_feature(enable = "avx2")]
#[inline]
fn load_words(words: &[i16; 16]) -> __m256i {
    // SAFETY: 16 values of two bytes are readable; the load needs no alignment.
    unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
}

#[target_feature(enable = "avx2")]
#[inline]
fn load_floats(floats: &[f32; 8]) -> __m256 {
    // SAFETY: eight floats are readable; the load needs no alignment.
    unsafe { _mm256_loadu_ps(floats.as_ptr()) }
}

#[target_feature(enable = "avx2")]
#[inline]
fn store_floats(floats: &mut [f32; 8], value: __m256) {
    // SAFETY: eight floats are writable; the store needs no alignment.
    unsafe { _mm256_storeu_ps(floats.as_mut_ptr(), value) }
}

/// Sum of eight `i32`, wrapping.
#[target_feature(enable = "avx2")]
#[inline]
fn sum_i32(x: __m256i) -> i32 {
    let x = _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256::<1>(x));
    let x = _mm_add_epi32(x, _mm_shuffle_epi32::<0b01_00_11_10>(x));
    let x = _mm_add_epi32(x, _mm_shuffle_epi32::<0b10_11_00_01>(x));
    _mm_cvtsi128_si32(x)
}

/// Sum of the two 128-bit halves, in 16-bit lanes.
#[target_feature(enable = "avx2")]
#[inline]
fn add_halves(x: __m256i) -> __m128i {
    _mm_add_epi16(_mm256_castsi256_si128(x), _mm256_extracti128_si256::<1>(x))
}

#[target_feature(enable = "avx2")]
fn axpy(scale: f32, x: &[f32], y: &mut [f32]) {
    scalar::axpy(scale, x, y);
}

#[target_feature(enable = "avx2")]
fn fht(x: &mut [f32]) {
    let (chunks, rest) = x.as_chunks_mut::<8>();
    if !rest.is_empty() {
        return scalar::fht(x);
    }
    match chunks.len() {
        1 => fht_registers::<1>(chunks),
        2 => fht_registers::<2>(chunks),
        4 => fht_registers::<4>(chunks),
        _ => fht_registers::<8>(chunks),
    }
    scalar::fht_from(x, 64);
}

/// The butterflies between registers `STRIDE` apart, if there are as many. The stride is a constant
/// so that the loop unrolls and the array stays in registers.
#[target_feature(enable = "avx2")]
#[inline]
fn fht_stage<const N: usize, const STRIDE: usize>(registers: &mut [__m256; N]) {
    for i in 0..N {
        if i & STRIDE == 0 && i + STRIDE < N {
            let (a, b) = (registers[i], registers[i + STRIDE]);
            registers[i] = _mm256_add_ps(a, b);
            registers[i + STRIDE] = _mm256_sub_ps(a, b);
        }
    }
}

/// Transforms every `N` chunks, in as many registers.
#[target_feature(enable = "avx2")]
#[inline]
fn fht_registers<const N: usize>(chunks: &mut [[f32; 8]]) {
    for chunks in chunks.as_chunks_mut::<N>().0 {
        let mut registers = [_mm256_setzero_ps(); N];
        for (register, chunk) in registers.iter_mut().zip(chunks.iter()) {
            let x = load_floats(chunk);
            // Each stage adds the partner, or subtracts from it where the stride's bit is set.
            let partner = _mm256_permute_ps::<0b10_11_00_01>(x);
            let x = _mm256_blend_ps::<0xaa>(_mm256_add_ps(x, partner), _mm256_sub_ps(partner, x));
            let partner = _mm256_permute_ps::<0b01_00_11_10>(x);
            let x = _mm256_blend_ps::<0xcc>(_mm256_add_ps(x, partner), _mm256_sub_ps(partner, x));
            let partner = _mm256_permute2f128_ps::<0x01>(x, x);
            *register =
                _mm256_blend_ps::<0xf0>(_mm256_add_ps(x, partner), _mm256_sub_ps(partner, x));
        }
        fht_stage::<N, 1>(&mut registers);
        fht_stage::<N, 2>(&mut registers);
        fht_stage::<N, 4>(&mut registers);
        for (chunk, register) in chunks.iter_mut().zip(registers) {
            store_floats(chunk, register);
        }
    }
}

/// Groups whose sums fit 16 bits: `256 * 255 < 2^16`.
const FLUSH_GROUPS: usize = 256;

/// A byte shuffle looks up 16 vectors of a group at once, two groups in a register.
///
/// The bytes it yields are summed in 16-bit lanes without unpacking: `all` adds them as pairs,
/// `odd` adds the upper byte of each pair, and `all - odd * 256` is the sum of the lower ones,
/// whatever carried.
#[target_feature(enable = "avx2")]
pub(super) fn fastscan(codes: &[u8], lut: &[u8], out: &mut [u32]) {
    let (out_blocks, _) = out.as_chunks_mut::<32>();
    let nibble = _mm256_set1_epi8(15);
    for (block, out) in out_blocks.iter_mut().enumerate() {
        let codes = &codes[block * lut.len()..][..lut.len()];
        let mut sums = [_mm256_setzero_si256(); 4];
        let segments = codes
            .chunks(16 * FLUSH_GROUPS)
            .zip(lut.chunks(16 * FLUSH_GROUPS));
        for (codes, lut) in segments {
            let mut all = [_mm256_setzero_si256(); 2];
            let mut odd = [_mm256_setzero_si256(); 2];
            let (codes, _) = codes.as_chunks();
            let (tables, _) = lut.as_chunks();
            for (codes, table) in codes.iter().zip(tables) {
                let codes = load_bytes::<u8>(codes);
                let table = load_bytes::<u8>(table);
                let halves = [codes, _mm256_srli_epi16::<4>(codes)];
                for half in 0..2 {
                    let index = _mm256_and_si256(halves[half], nibble);
                    let entries = _mm256_shuffle_epi8(table, index);
                    all[half] = _mm256_add_epi16(all[half], entries);
                    odd[half] = _mm256_add_epi16(odd[half], _mm256_srli_epi16::<8>(entries));
                }
            }
            for half in 0..2 {
                let even = _mm256_sub_epi16(all[half], _mm256_slli_epi16::<8>(odd[half]));
                let (even, odd) = (add_halves(even), add_halves(odd[half]));
                let first = _mm256_cvtepu16_epi32(_mm_unpacklo_epi16(even, odd));
                let last = _mm256_cvtepu16_epi32(_mm_unpackhi_epi16(even, odd));
                sums[2 * half] = _mm256_add_epi32(sums[2 * half], first);
                sums[2 * half + 1] = _mm256_add_epi32(sums[2 * half + 1], last);
            }
        }
        for (out, sums) in out.as_chunks_mut::<8>().0.iter_mut().zip(sums) {
            // SAFETY: eight values of four bytes are writable; the store needs no alignment.
            unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), sums) }
        }
    }
}

#[target_feature(enable = "avx2")]
pub(super) fn prune(
    blocks: &Blocks<'_>,
    lut: &[u8],
    params: &BoundParams,
    limit: f32,
    out: &mut Vec<Pick>,
) {
    scalar::prune_blocks(blocks, lut, params, limit, out, |codes, lut, sums| {
        fastscan(codes, lut, sums);
    });
}

/// Compares 32 values at a time: in a long list hardly any pass.
#[target_feature(enable = "avx2")]
fn select_le(values: &[f32], threshold: f32, base: u32, out: &mut Vec<u32>) {
    let limit = _mm256_set1_ps(threshold);
    let (chunks, tail) = values.as_chunks::<32>();
    let mut base = base;
    for chunk in chunks {
        let mut passed = 0u32;
        for (i, values) in chunk.as_chunks().0.iter().enumerate() {
            let le = _mm256_cmp_ps::<_CMP_LE_OQ>(load_floats(values), limit);
            passed |= (_mm256_movemask_ps(le) as u32) << (8 * i);
        }
        while passed != 0 {
            out.push(base + passed.trailing_zeros());
            passed &= passed - 1;
        }
        base += 32;
    }
    scalar::select_le(tail, threshold, base, out);
}

/// Four chunks are summed in 16 bits before they are widened: `4 * 2 * 2 * 15 * 128 < 2^15`.
#[target_feature(enable = "avx2")]
fn dot_u4_i8(codes: &[u8], query: &[i8]) -> i32 {
    let nibble = _mm256_set1_epi8(15);
    let mut sum = _mm256_setzero_si256();
    let (codes, _) = codes.as_chunks::<32>();
    let (query, _) = query.as_chunks::<32>();
    for (codes, query) in codes.chunks(4).zip(query.chunks(8)) {
        let mut words = _mm256_setzero_si256();
        for (codes, query) in codes.iter().zip(query.as_chunks::<2>().0) {
            let codes = load_bytes(codes);
            let low = _mm256_and_si256(codes, nibble);
            let high = _mm256_and_si256(_mm256_srli_epi16::<4>(codes), nibble);
            let low = _mm256_maddubs_epi16(low, load_bytes(&query[0]));
            let high = _mm256_maddubs_epi16(high, load_bytes(&query[1]));
            words = _mm256_add_epi16(words, _mm256_add_epi16(low, high));
        }
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(words, _mm256_set1_epi16(1)));
    }
    sum_i32(sum)
}

#[target_feature(enable = "avx2")]
fn dot_u8_i16(codes: &[u8], query: &[i16]) -> i32 {
    let mut sums = [_mm256_setzero_si256(); 4];
    let (codes, _) = codes.as_chunks::<64>();
    let (query, _) = query.as_chunks::<64>();
    for (codes, query) in codes.iter().zip(query) {
        let (codes, _) = codes.as_chunks::<16>();
        let (query, _) = query.as_chunks::<16>();
        for i in 0..4 {
            // SAFETY: 16 bytes are readable; the load needs no alignment.
            let codes = unsafe { _mm_loadu_si128(codes[i].as_ptr().cast()) };
            let codes = _mm256_cvtepu8_epi16(codes);
            sums[i] = _mm256_add_epi32(sums[i], _mm256_madd_epi16(codes, load_words(&query[i])));
        }
    }
    let low = _mm256_add_epi32(sums[0], sums[1]);
    let high = _mm256_add_epi32(sums[2], sums[3]);
    sum_i32(_mm256_add_epi32(low, high))
}

#[target_feature(enable = "avx2")]
fn quantize(x: &[f32], scale: f32, offset: f32, max: f32, codes: &mut [u8]) -> QuantizeSums {
    let zero = _mm256_setzero_ps();
    let (scales, offsets) = (_mm256_set1_ps(scale), _mm256_set1_ps(offset));
    let maxima = _mm256_set1_ps(max);
    // Packing works within 128-bit halves; this brings groups of four codes back in order.
    let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    let mut dots = [zero; 4];
    let mut sums = _mm256_setzero_si256();
    let mut squares = _mm256_setzero_si256();

    let (x_chunks, x_tail) = x.as_chunks::<32>();
    let (code_chunks, code_tail) = codes.as_chunks_mut::<32>();
    for (x, codes) in x_chunks.iter().zip(code_chunks) {
        let (x, _) = x.as_chunks();
        let mut quantized = [_mm256_setzero_si256(); 4];
        for i in 0..4 {
            let x = load_floats(&x[i]);
            let value = _mm256_add_ps(_mm256_mul_ps(x, scales), offsets);
            // The maximum of a NaN and its second operand is the second operand. Truncation is
            // floor, because nothing negative remains.
            let value = _mm256_min_ps(_mm256_max_ps(value, zero), maxima);
            quantized[i] = _mm256_cvttps_epi32(value);
            let product = _mm256_mul_ps(x, _mm256_cvtepi32_ps(quantized[i]));
            dots[i] = _mm256_add_ps(dots[i], product);
        }
        let low = _mm256_packs_epi32(quantized[0], quantized[1]);
        let high = _mm256_packs_epi32(quantized[2], quantized[3]);
        let bytes = _mm256_packus_epi16(low, high);
        let low_squares = _mm256_madd_epi16(low, low);
        let high_squares = _mm256_madd_epi16(high, high);
        squares = _mm256_add_epi32(squares, _mm256_add_epi32(low_squares, high_squares));
        sums = _mm256_add_epi64(sums, _mm256_sad_epu8(bytes, _mm256_setzero_si256()));
        let bytes = _mm256_permutevar8x32_epi32(bytes, order);
        // SAFETY: 32 bytes are writable; the store needs no alignment.
        unsafe { _mm256_storeu_si256(codes.as_mut_ptr().cast(), bytes) }
    }

    let mut lanes = [0.0; scalar::LANES];
    for (lanes, dots) in lanes.as_chunks_mut().0.iter_mut().zip(dots) {
        store_floats(lanes, dots);
    }
    let main = scalar::Quantized {
        lanes,
        // The upper halves of the 64-bit sums are zero.
        sum: sum_i32(sums) as u32,
        sum_squares: sum_i32(squares) as u32,
    };
    main.finish(x_tail, scale, offset, max, code_tail)
}

#[target_feature(enable = "avx2,f16c")]
fn widen_f16(halves: &[u16], scale: f32, out: &mut [f32]) {
    let ((halves, rest), (out, last)) = (halves.as_chunks::<8>(), out.as_chunks_mut::<8>());
    for (halves, out) in halves.iter().zip(out) {
        // SAFETY: 8 values of two bytes are readable; the load needs no alignment.
        let halves = unsafe { _mm_loadu_si128(halves.as_ptr().cast()) };
        let values = _mm256_mul_ps(_mm256_cvtph_ps(halves), _mm256_set1_ps(scale));
        // SAFETY: 8 floats are writable; the store needs no alignment.
        unsafe { _mm256_storeu_ps(out.as_mut_ptr(), values) };
    }
    scalar::widen_f16(rest, scale, last);
}

#[target_feature(enable = "avx2,f16c")]
pub(super) fn narrow_f16(values: &[f32], scale: f32, out: &mut [u16]) {
    let ((values, rest), (out, last)) = (values.as_chunks::<8>(), out.as_chunks_mut::<8>());
    for (values, out) in values.iter().zip(out) {
        // SAFETY: 8 floats are readable; the load needs no alignment.
        let values = unsafe { _mm256_loadu_ps(values.as_ptr()) };
        let scaled = _mm256_mul_ps(values, _mm256_set1_ps(scale));
        let halves = _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(scaled);
        // SAFETY: 8 values of two bytes are writable; the store needs no alignment.
        unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), halves) };
    }
    scalar::narrow_f16(rest, scale, last);
}
