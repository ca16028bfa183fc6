//! Kernels for AVX-512 with F, BW, VL, DQ and VNNI, and VBMI where present.

use std::arch::x86_64::*;

use super::{Byte, avx2};
use crate::kernels::{Blocks, BoundParams, Kernels, Pick, QuantizeSums};
use crate::level::Level;
use crate::scalar;

/// The table without VBMI.
///
/// The `f32` sums are the AVX2 ones. Twice the width gains a third in the first-level cache, but rows
/// come from further away and seldom start at a multiple of 64 bytes, and then it loses as much
/// (Zen 5). FastScan is the AVX2 one, because a wider shuffle without VBMI gains nothing.
pub(crate) static KERNELS: Kernels = Kernels {
    level: Level::Avx512,
    dot: avx2::dot,
    l2_squared: avx2::l2_squared,
    axpy,
    fht,
    fastscan: avx2::fastscan,
    bounds,
    prune: avx2::prune,
    select_le,
    dot_u4_i8,
    dot_u8_i16,
    quantize,
    widen_f16,
    narrow_f16: avx2::narrow_f16,
};

/// The table with VBMI.
pub(crate) static KERNELS_VBMI: Kernels = Kernels {
    level: Level::Avx512,
    dot: avx2::dot,
    l2_squared: avx2::l2_squared,
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
    narrow_f16: avx2::narrow_f16,
};

#[target_feature(enable = "avx512f,avx512vl,avx512dq")]
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

#[target_feature(enable = "avx512f")]
#[inline]
fn load_bytes<T: Byte>(bytes: &[T; 64]) -> __m512i {
    // SAFETY: `T` is one byte wide, so 64 bytes are readable; the load needs no alignment.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn load_floats(floats: &[f32; 16]) -> __m512 {
    // SAFETY: 16 floats are readable; the load needs no alignment.
    unsafe { _mm512_loadu_ps(floats.as_ptr()) }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn store_floats(floats: &mut [f32; 16], value: __m512) {
    // SAFETY: 16 floats are writable; the store needs no alignment.
    unsafe { _mm512_storeu_ps(floats.as_mut_ptr(), value) }
}

#[target_feature(enable = "avx512f,avx512vl,avx512dq")]
fn axpy(scale: f32, x: &[f32], y: &mut [f32]) {
    scalar::axpy(scale, x, y);
}

#[target_feature(enable = "avx512f,avx512vl,avx512dq")]
fn fht(x: &mut [f32]) {
    let (chunks, rest) = x.as_chunks_mut::<16>();
    if !rest.is_empty() {
        return scalar::fht(x);
    }
    match chunks.len() {
        1 => fht_registers::<1>(chunks),
        2 => fht_registers::<2>(chunks),
        4 => fht_registers::<4>(chunks),
        8 => fht_registers::<8>(chunks),
        _ => fht_registers::<16>(chunks),
    }
    scalar::fht_from(x, 256);
}

/// The butterflies between registers `STRIDE` apart, if there are as many. The stride is a constant
/// so that the loop unrolls and the array stays in registers.
#[target_feature(enable = "avx512f")]
#[inline]
fn fht_stage<const N: usize, const STRIDE: usize>(registers: &mut [__m512; N]) {
    for i in 0..N {
        if i & STRIDE == 0 && i + STRIDE < N {
            let (a, b) = (registers[i], registers[i + STRIDE]);
            registers[i] = _mm512_add_ps(a, b);
            registers[i + STRIDE] = _mm512_sub_ps(a, b);
        }
    }
}

/// Transforms every `N` chunks, in as many registers.
#[target_feature(enable = "avx512f")]
#[inline]
fn fht_registers<const N: usize>(chunks: &mut [[f32; 16]]) {
    for chunks in chunks.as_chunks_mut::<N>().0 {
        let mut registers = [_mm512_setzero_ps(); N];
        for (register, chunk) in registers.iter_mut().zip(chunks.iter()) {
            let x = load_floats(chunk);
            // Each stage adds the partner, or subtracts from it where the stride's bit is set.
            let partner = _mm512_permute_ps::<0b10_11_00_01>(x);
            let x = _mm512_mask_sub_ps(_mm512_add_ps(x, partner), 0xaaaa, partner, x);
            let partner = _mm512_permute_ps::<0b01_00_11_10>(x);
            let x = _mm512_mask_sub_ps(_mm512_add_ps(x, partner), 0xcccc, partner, x);
            let partner = _mm512_shuffle_f32x4::<0b10_11_00_01>(x, x);
            let x = _mm512_mask_sub_ps(_mm512_add_ps(x, partner), 0xf0f0, partner, x);
            let partner = _mm512_shuffle_f32x4::<0b01_00_11_10>(x, x);
            *register = _mm512_mask_sub_ps(_mm512_add_ps(x, partner), 0xff00, partner, x);
        }
        fht_stage::<N, 1>(&mut registers);
        fht_stage::<N, 2>(&mut registers);
        fht_stage::<N, 4>(&mut registers);
        fht_stage::<N, 8>(&mut registers);
        for (chunk, register) in chunks.iter_mut().zip(registers) {
            store_floats(chunk, register);
        }
    }
}

/// Four groups fill a register, and their four tables another. One byte permutation brings the
/// codes of a vector together in a 32-bit lane, a second one looks all 64 up in the four tables,
/// and a byte dot product with ones adds each vector's four entries to its 32-bit sum. There is
/// nothing to unpack and nothing to flush.
///
/// One block after the other, as they lie in memory: two at a time would share the loads of the
/// table, but from memory they take three times as long (Zen 5), because two streams so close
/// together mislead the prefetcher. `UNROLL` registers at a time hide the latency of the sums.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni,avx512vbmi")]
fn fastscan(codes: &[u8], lut: &[u8], out: &mut [u32]) {
    let (out_blocks, _) = out.as_chunks_mut::<32>();
    for (block, out) in out_blocks.iter_mut().enumerate() {
        let sums = block_sums(&codes[block * lut.len()..][..lut.len()], lut);
        store_sums(out, sums);
    }
}

/// The sums of one block.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni,avx512vbmi")]
#[inline]
fn block_sums(codes: &[u8], lut: &[u8]) -> [__m512i; 2] {
    const UNROLL: usize = 2;
    let by_vector: [u8; 64] = std::array::from_fn(|i| (16 * (i % 4) + i / 4) as u8);
    let by_vector = load_bytes(&by_vector);
    // The offset of each lane's table within the register: 0, 16, 32, 48.
    let table_offset = _mm512_set1_epi32(0x3020_1000);
    let nibble = _mm512_set1_epi8(15);
    let ones = _mm512_set1_epi8(1);
    let (tables, _) = lut.as_chunks::<64>();
    let (tables, _) = tables.as_chunks::<UNROLL>();
    let (codes, _) = codes.as_chunks::<64>();
    let (codes, _) = codes.as_chunks::<UNROLL>();
    let mut sums = [[_mm512_setzero_si512(); 2]; UNROLL];
    for (codes, tables) in codes.iter().zip(tables) {
        for n in 0..UNROLL {
            let table = load_bytes::<u8>(&tables[n]);
            let codes = _mm512_permutexvar_epi8(by_vector, load_bytes(&codes[n]));
            for (half, codes) in [codes, _mm512_srli_epi16::<4>(codes)]
                .into_iter()
                .enumerate()
            {
                // (codes & nibble) | table_offset
                let index = _mm512_ternarylogic_epi32::<0xf8>(table_offset, codes, nibble);
                let entries = _mm512_permutexvar_epi8(index, table);
                sums[n][half] = _mm512_dpbusd_epi32(sums[n][half], entries, ones);
            }
        }
    }
    let total = |half: usize| {
        let rest = sums[1..].iter();
        rest.fold(sums[0][half], |sum, next| _mm512_add_epi32(sum, next[half]))
    };
    [total(0), total(1)]
}

#[target_feature(enable = "avx512f")]
#[inline]
fn store_sums(out: &mut [u32; 32], sums: [__m512i; 2]) {
    for (out, sums) in out.as_chunks_mut::<16>().0.iter_mut().zip(sums) {
        // SAFETY: 16 values of four bytes are writable; the store needs no alignment.
        unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), sums) }
    }
}

/// Sums, bounds and the comparison stay in registers: most blocks hold nothing near enough.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vnni,avx512vbmi")]
fn prune(blocks: &Blocks<'_>, lut: &[u8], params: &BoundParams, limit: f32, out: &mut Vec<Pick>) {
    let (delta, bias) = (_mm512_set1_ps(params.delta), _mm512_set1_ps(params.bias));
    let (add, slack) = (_mm512_set1_ps(params.add), _mm512_set1_ps(params.slack));
    let limit = _mm512_set1_ps(limit);
    let (f_add, _) = blocks.f_add.as_chunks::<16>();
    let (f_rescale, _) = blocks.f_rescale.as_chunks::<16>();
    for block in 0..f_add.len() / 2 {
        blocks.prefetch_after(block, lut.len());
        let sums = block_sums(&blocks.codes[block * lut.len()..][..lut.len()], lut);
        let mut within = 0;
        for half in 0..2 {
            let at = 2 * block + half;
            let ip = _mm512_add_ps(_mm512_mul_ps(delta, _mm512_cvtepu32_ps(sums[half])), bias);
            let rescale = load_floats(&f_rescale[at]);
            let estimate = _mm512_add_ps(
                _mm512_add_ps(load_floats(&f_add[at]), add),
                _mm512_mul_ps(rescale, ip),
            );
            let margin = _mm512_mul_ps(_mm512_abs_ps(rescale), slack);
            let lower = _mm512_sub_ps(estimate, margin);
            let mask = _mm512_cmp_ps_mask::<_CMP_LE_OQ>(lower, limit);
            within |= u32::from(mask) << (16 * half);
        }
        if within != 0 {
            let mut stored = [0; 32];
            store_sums(&mut stored, sums);
            while within != 0 {
                let lane = within.trailing_zeros();
                within &= within - 1;
                out.push(Pick {
                    place: 32 * block as u32 + lane,
                    sum: stored[lane as usize],
                });
            }
        }
    }
}

/// Compares 32 values at a time: in a long list hardly any pass.
#[target_feature(enable = "avx512f")]
fn select_le(values: &[f32], threshold: f32, base: u32, out: &mut Vec<u32>) {
    let limit = _mm512_set1_ps(threshold);
    let steps = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    let (chunks, tail) = values.as_chunks::<32>();
    let mut base = base;
    for chunk in chunks {
        let (halves, _) = chunk.as_chunks();
        let low = _mm512_cmp_ps_mask::<_CMP_LE_OQ>(load_floats(&halves[0]), limit);
        let high = _mm512_cmp_ps_mask::<_CMP_LE_OQ>(load_floats(&halves[1]), limit);
        if (low | high) != 0 {
            out.reserve(32);
            for (mask, first) in [(low, base), (high, base + 16)] {
                let ids = _mm512_add_epi32(_mm512_set1_epi32(first as i32), steps);
                // Compressed in the register: a compressing store is microcoded on Zen 4.
                let ids = _mm512_maskz_compress_epi32(mask, ids);
                let len = out.len();
                // SAFETY: room for 32 ids was reserved, at most 16 are in use before the second
                // store, and the ids up to the new length were written by the store.
                unsafe {
                    _mm512_storeu_si512(out.as_mut_ptr().add(len).cast(), ids);
                    out.set_len(len + mask.count_ones() as usize);
                }
            }
        }
        base += 32;
    }
    scalar::select_le(tail, threshold, base, out);
}

/// A chunk of 32 bytes is loaded into both halves of a register and the upper copy shifted, so that
/// the nibbles lie in the order of the query.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn dot_u4_i8(codes: &[u8], query: &[i8]) -> i32 {
    let nibble = _mm512_set1_epi8(15);
    let shift = _mm512_setr_epi64(0, 0, 0, 0, 4, 4, 4, 4);
    let (codes, _) = codes.as_chunks::<32>();
    let (query, _) = query.as_chunks::<64>();
    let add = |sum: __m512i, codes: &[u8; 32], query: &[i8; 64]| {
        // SAFETY: 32 bytes are readable; the load needs no alignment.
        let codes = unsafe { _mm256_loadu_si256(codes.as_ptr().cast()) };
        let codes = _mm512_srlv_epi64(_mm512_broadcast_i64x4(codes), shift);
        _mm512_dpbusd_epi32(sum, _mm512_and_si512(codes, nibble), load_bytes(query))
    };
    let mut sums = [_mm512_setzero_si512(); 2];
    let (code_pairs, code_rest) = codes.as_chunks::<2>();
    let (query_pairs, query_rest) = query.as_chunks::<2>();
    for (codes, query) in code_pairs.iter().zip(query_pairs) {
        sums[0] = add(sums[0], &codes[0], &query[0]);
        sums[1] = add(sums[1], &codes[1], &query[1]);
    }
    for (codes, query) in code_rest.iter().zip(query_rest) {
        sums[0] = add(sums[0], codes, query);
    }
    _mm512_reduce_add_epi32(_mm512_add_epi32(sums[0], sums[1]))
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn dot_u8_i16(codes: &[u8], query: &[i16]) -> i32 {
    let add = |sum: __m512i, codes: &[u8; 32], query: &[i16; 32]| {
        // SAFETY: 32 bytes and 32 values of two bytes are readable; the loads need no alignment.
        let (codes, query) = unsafe {
            (
                _mm256_loadu_si256(codes.as_ptr().cast()),
                _mm512_loadu_si512(query.as_ptr().cast()),
            )
        };
        _mm512_dpwssd_epi32(sum, _mm512_cvtepu8_epi16(codes), query)
    };
    let mut sums = [_mm512_setzero_si512(); 2];
    let (codes, _) = codes.as_chunks::<32>();
    let (query, _) = query.as_chunks::<32>();
    let (code_pairs, _) = codes.as_chunks::<2>();
    let (query_pairs, _) = query.as_chunks::<2>();
    for (codes, query) in code_pairs.iter().zip(query_pairs) {
        sums[0] = add(sums[0], &codes[0], &query[0]);
        sums[1] = add(sums[1], &codes[1], &query[1]);
    }
    _mm512_reduce_add_epi32(_mm512_add_epi32(sums[0], sums[1]))
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn quantize(x: &[f32], scale: f32, offset: f32, max: f32, codes: &mut [u8]) -> QuantizeSums {
    let zero = _mm512_setzero_ps();
    let (scales, offsets) = (_mm512_set1_ps(scale), _mm512_set1_ps(offset));
    let maxima = _mm512_set1_ps(max);
    let mut dots = [zero; 2];
    let mut sums = [_mm512_setzero_si512(); 2];
    let mut squares = [_mm512_setzero_si512(); 2];

    let (x_chunks, x_tail) = x.as_chunks::<32>();
    let (code_chunks, code_tail) = codes.as_chunks_mut::<32>();
    for (x, codes) in x_chunks.iter().zip(code_chunks) {
        let (x, _) = x.as_chunks();
        let (codes, _) = codes.as_chunks_mut::<16>();
        for i in 0..2 {
            let x = load_floats(&x[i]);
            let value = _mm512_add_ps(_mm512_mul_ps(x, scales), offsets);
            // The maximum of a NaN and its second operand is the second operand. Truncation is
            // floor, because nothing negative remains.
            let value = _mm512_min_ps(_mm512_max_ps(value, zero), maxima);
            let quantized = _mm512_cvttps_epi32(value);
            dots[i] = _mm512_add_ps(dots[i], _mm512_mul_ps(x, _mm512_cvtepi32_ps(quantized)));
            sums[i] = _mm512_add_epi32(sums[i], quantized);
            // The upper 16 bits of each code are zero, so this adds its square.
            squares[i] = _mm512_dpwssd_epi32(squares[i], quantized, quantized);
            // SAFETY: 16 bytes are writable; the store needs no alignment.
            unsafe {
                _mm_storeu_si128(
                    codes[i].as_mut_ptr().cast(),
                    _mm512_cvtepi32_epi8(quantized),
                );
            }
        }
    }

    let mut lanes = [0.0; scalar::LANES];
    for (lanes, dots) in lanes.as_chunks_mut().0.iter_mut().zip(dots) {
        store_floats(lanes, dots);
    }
    let sum = _mm512_reduce_add_epi32(_mm512_add_epi32(sums[0], sums[1])) as u32;
    let sum_squares = _mm512_reduce_add_epi32(_mm512_add_epi32(squares[0], squares[1])) as u32;
    scalar::Quantized {
        lanes,
        sum,
        sum_squares,
    }
    .finish(x_tail, scale, offset, max, code_tail)
}

#[target_feature(enable = "avx512f,avx512vl,avx512dq")]
fn widen_f16(halves: &[u16], scale: f32, out: &mut [f32]) {
    let ((halves, rest), (out, last)) = (halves.as_chunks::<16>(), out.as_chunks_mut::<16>());
    for (halves, out) in halves.iter().zip(out) {
        // SAFETY: 16 values of two bytes are readable; the load needs no alignment.
        let halves = unsafe { _mm256_loadu_si256(halves.as_ptr().cast()) };
        let values = _mm512_mul_ps(_mm512_cvtph_ps(halves), _mm512_set1_ps(scale));
        store_floats(out, values);
    }
    scalar::widen_f16(rest, scale, last);
}
