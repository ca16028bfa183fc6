//! Plain Rust kernels: the reference for every level, and the fallback.
//!
//! Loops run over fixed-size chunks without data-dependent branches, so that the compiler vectorises
//! them for whatever features the caller was compiled with. The functions marked `inline(always)`
//! are reused as the body of kernels at other levels.

use crate::kernels::{Blocks, BoundParams, Kernels, Pick, QuantizeSums};
use crate::level::Level;

/// The scalar table.
pub(crate) static KERNELS: Kernels = Kernels {
    level: Level::Scalar,
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

/// Vectors in one FastScan block.
const BLOCK: usize = 32;

/// Number of canonical lanes of an `f32` sum.
pub(crate) const LANES: usize = 32;

/// Folds the canonical lanes by halves.
#[inline(always)]
pub(crate) fn fold(mut lanes: [f32; LANES]) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for j in 0..half {
            lanes[j] += lanes[j + half];
        }
        half /= 2;
    }
    lanes[0]
}

/// `tail` followed by zeros.
///
/// Zero padding leaves a sum's bits alone: a lane starts at +0.0, and no addition makes it -0.0.
#[inline(always)]
pub(crate) fn padded<T: Copy + Default, const N: usize>(tail: &[T]) -> [T; N] {
    let mut chunk = [T::default(); N];
    chunk[..tail.len()].copy_from_slice(tail);
    chunk
}

#[inline(always)]
fn sum_terms(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let (a_chunks, a_tail) = a.as_chunks::<LANES>();
    let (b_chunks, b_tail) = b.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for (x, y) in a_chunks.iter().zip(b_chunks) {
        for j in 0..LANES {
            lanes[j] += term(x[j], y[j]);
        }
    }
    if !a_tail.is_empty() {
        let (x, y): ([f32; LANES], [f32; LANES]) = (padded(a_tail), padded(b_tail));
        for j in 0..LANES {
            lanes[j] += term(x[j], y[j]);
        }
    }
    fold(lanes)
}

#[inline(always)]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    sum_terms(a, b, |x, y| x * y)
}

#[inline(always)]
pub(crate) fn l2_squared(a: &[f32], b: &[f32]) -> f32 {
    sum_terms(a, b, |x, y| {
        let difference = x - y;
        difference * difference
    })
}

#[inline(always)]
pub(crate) fn axpy(scale: f32, x: &[f32], y: &mut [f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += scale * x;
    }
}

#[inline(always)]
pub(crate) fn fht(x: &mut [f32]) {
    if x.len() < 16 {
        return fht_from(x, 1);
    }
    first_stages::<1>(x);
    first_stages::<4>(x);
    fht_from(x, 16);
}

/// The stages of strides `STRIDE` and `2 STRIDE`: a constant, because the compiler makes nothing of a
/// short loop of unknown length.
#[inline(always)]
fn first_stages<const STRIDE: usize>(x: &mut [f32]) {
    let (rows, _) = x.as_chunks_mut::<STRIDE>();
    let (groups, _) = rows.as_chunks_mut::<4>();
    for [a, b, c, d] in groups {
        two_stages(a, b, c, d);
    }
}

/// The stages of strides `first`, `2 first` and so on.
///
/// Two stages are done in one pass over the data: their butterflies act on the same four elements.
#[inline(always)]
pub(crate) fn fht_from(x: &mut [f32], first: usize) {
    let mut stride = first;
    while 4 * stride <= x.len() {
        for group in x.chunks_exact_mut(4 * stride) {
            let (low, high) = group.split_at_mut(2 * stride);
            let (a, b) = low.split_at_mut(stride);
            let (c, d) = high.split_at_mut(stride);
            two_stages(a, b, c, d);
        }
        stride *= 4;
    }
    if 2 * stride <= x.len() {
        for group in x.chunks_exact_mut(2 * stride) {
            let (a, b) = group.split_at_mut(stride);
            one_stage(a, b);
        }
    }
}

// The slices are arguments so that the compiler knows that they do not overlap.
#[inline(always)]
fn one_stage(a: &mut [f32], b: &mut [f32]) {
    for (a, b) in a.iter_mut().zip(b) {
        (*a, *b) = (*a + *b, *a - *b);
    }
}

#[inline(always)]
fn two_stages(a: &mut [f32], b: &mut [f32], c: &mut [f32], d: &mut [f32]) {
    for (((a, b), c), d) in a.iter_mut().zip(b).zip(c).zip(d) {
        let (sum_ab, difference_ab) = (*a + *b, *a - *b);
        let (sum_cd, difference_cd) = (*c + *d, *c - *d);
        (*a, *c) = (sum_ab + sum_cd, sum_ab - sum_cd);
        (*b, *d) = (difference_ab + difference_cd, difference_ab - difference_cd);
    }
}

fn fastscan(codes: &[u8], lut: &[u8], out: &mut [u32]) {
    let (tables, _) = lut.as_chunks::<16>();
    let (out_blocks, _) = out.as_chunks_mut::<32>();
    for (block, sums) in out_blocks.iter_mut().enumerate() {
        let (groups, _) = codes[block * lut.len()..][..lut.len()].as_chunks::<16>();
        *sums = [0; 32];
        let (low, high) = sums.split_at_mut(16);
        for (group, table) in groups.iter().zip(tables) {
            for j in 0..16 {
                low[j] += u32::from(table[usize::from(group[j] & 15)]);
                high[j] += u32::from(table[usize::from(group[j] >> 4)]);
            }
        }
    }
}

#[inline(always)]
pub(crate) fn bounds(
    acc: &[u32],
    f_add: &[f32],
    f_rescale: &[f32],
    params: &BoundParams,
    estimates: &mut [f32],
    lowers: &mut [f32],
) {
    let len = acc.len();
    let (f_add, f_rescale) = (&f_add[..len], &f_rescale[..len]);
    let (estimates, lowers) = (&mut estimates[..len], &mut lowers[..len]);
    for i in 0..len {
        let ip = params.delta * acc[i] as f32 + params.bias;
        let estimate = (f_add[i] + params.add) + f_rescale[i] * ip;
        estimates[i] = estimate;
        lowers[i] = estimate - f_rescale[i].abs() * params.slack;
    }
}

fn prune(blocks: &Blocks<'_>, lut: &[u8], params: &BoundParams, limit: f32, out: &mut Vec<Pick>) {
    prune_blocks(blocks, lut, params, limit, out, fastscan);
}

/// `fastscan` is that of the level.
#[inline(always)]
pub(crate) fn prune_blocks(
    blocks: &Blocks<'_>,
    lut: &[u8],
    params: &BoundParams,
    limit: f32,
    out: &mut Vec<Pick>,
    fastscan: impl Fn(&[u8], &[u8], &mut [u32]),
) {
    let (f_add, _) = blocks.f_add.as_chunks::<BLOCK>();
    let (f_rescale, _) = blocks.f_rescale.as_chunks::<BLOCK>();
    for (block, (f_add, f_rescale)) in f_add.iter().zip(f_rescale).enumerate() {
        blocks.prefetch_after(block, lut.len());
        let codes = &blocks.codes[block * lut.len()..][..lut.len()];
        let (mut sums, mut estimates, mut lowers) = ([0; BLOCK], [0.0; BLOCK], [0.0; BLOCK]);
        fastscan(codes, lut, &mut sums);
        bounds(&sums, f_add, f_rescale, params, &mut estimates, &mut lowers);
        // Counted without a branch, so that it vectorises.
        let within: u32 = lowers.iter().map(|&lower| u32::from(lower <= limit)).sum();
        if within > 0 {
            let first = block * BLOCK;
            let within = (0..BLOCK).filter(|&at| lowers[at] <= limit);
            out.extend(within.map(|at| Pick {
                place: (first + at) as u32,
                sum: sums[at],
            }));
        }
    }
}

pub(crate) fn select_le(values: &[f32], threshold: f32, base: u32, out: &mut Vec<u32>) {
    for (i, &value) in values.iter().enumerate() {
        if value <= threshold {
            out.push(base + i as u32);
        }
    }
}

fn dot_u4_i8(codes: &[u8], query: &[i8]) -> i32 {
    let (chunks, _) = codes.as_chunks::<32>();
    let (queries, _) = query.as_chunks::<64>();
    let mut sum = 0i32;
    for (chunk, query) in chunks.iter().zip(queries) {
        for j in 0..32 {
            let low = i32::from(chunk[j] & 15) * i32::from(query[j]);
            let high = i32::from(chunk[j] >> 4) * i32::from(query[j + 32]);
            sum = sum.wrapping_add(low + high);
        }
    }
    sum
}

#[inline(always)]
pub(crate) fn dot_u8_i16(codes: &[u8], query: &[i16]) -> i32 {
    let terms = codes
        .iter()
        .zip(query)
        .map(|(&code, &q)| i32::from(code) * i32::from(q));
    terms.fold(0, i32::wrapping_add)
}

/// Running sums of `quantize`.
pub(crate) struct Quantized {
    pub(crate) lanes: [f32; LANES],
    pub(crate) sum: u32,
    pub(crate) sum_squares: u32,
}

impl Quantized {
    #[inline(always)]
    fn add(&mut self, x: &[f32; LANES], codes: &[u8; LANES]) {
        for j in 0..LANES {
            self.lanes[j] += x[j] * f32::from(codes[j]);
        }
        for &code in codes {
            self.sum += u32::from(code);
            self.sum_squares += u32::from(code) * u32::from(code);
        }
    }

    /// Quantizes what is left after the whole chunks, and folds.
    #[inline(always)]
    pub(crate) fn finish(
        mut self,
        x: &[f32],
        scale: f32,
        offset: f32,
        max: f32,
        codes: &mut [u8],
    ) -> QuantizeSums {
        if !x.is_empty() {
            encode(x, scale, offset, max, codes);
            self.add(&padded(x), &padded(codes));
        }
        QuantizeSums {
            dot: fold(self.lanes),
            sum: self.sum,
            sum_squares: self.sum_squares,
        }
    }
}

#[inline(always)]
fn encode(x: &[f32], scale: f32, offset: f32, max: f32, codes: &mut [u8]) {
    let max = max.min(255.0);
    for (code, x) in codes.iter_mut().zip(x) {
        let value = x * scale + offset;
        // Comparisons, so that a NaN becomes zero. Truncation is floor: nothing negative remains.
        let value = if value > 0.0 { value } else { 0.0 };
        let value = if value < max { value } else { max };
        // SAFETY: the value is not a NaN and within 0..=255, because `max` is at most 255.
        *code = unsafe { value.to_int_unchecked() };
    }
}

#[inline(always)]
pub(crate) fn quantize(
    x: &[f32],
    scale: f32,
    offset: f32,
    max: f32,
    codes: &mut [u8],
) -> QuantizeSums {
    let mut sums = Quantized {
        lanes: [0.0; LANES],
        sum: 0,
        sum_squares: 0,
    };
    let (x_chunks, x_tail) = x.as_chunks::<LANES>();
    let (code_chunks, code_tail) = codes.as_chunks_mut::<LANES>();
    for (x, codes) in x_chunks.iter().zip(code_chunks) {
        encode(x, scale, offset, max, codes);
        sums.add(x, codes);
    }
    sums.finish(x_tail, scale, offset, max, code_tail)
}

/// Exact but for the product. Branch-free, so that it vectorises without a conversion instruction.
#[inline(always)]
pub(crate) fn widen_f16(halves: &[u16], scale: f32, out: &mut [f32]) {
    /// Moves a binary16 exponent, where binary32 has it, to binary32's bias: 2^112.
    const REBIAS: f32 = f32::from_bits(239 << 23);
    for (out, &half) in out.iter_mut().zip(halves) {
        let magnitude = u32::from(half & 0x7fff);
        let finite = (f32::from_bits(magnitude << 13) * REBIAS).to_bits();
        let special = if magnitude >= 0x7c00 { 0xff << 23 } else { 0 };
        let sign = u32::from(half & 0x8000) << 16;
        *out = f32::from_bits(finite | special | sign) * scale;
    }
}

/// Rounds to nearest, ties to even.
#[inline(always)]
pub(crate) fn narrow_f16(values: &[f32], scale: f32, out: &mut [u16]) {
    for (out, value) in out.iter_mut().zip(values) {
        let bits = (value * scale).to_bits();
        let magnitude = bits & 0x7fff_ffff;
        // Below 2^-14 the last place has one value, 2^-24, which is that of an f32 from 0.5 on.
        let small = (f32::from_bits(magnitude.min(0x3880_0000)) + 0.5).to_bits() - 0x3f00_0000;
        let tie = (magnitude >> 13) & 1;
        let normal = (magnitude.clamp(0x3880_0000, 0x4780_0000) - 0x3800_0000 + 0xfff + tie) >> 13;
        let finite = if magnitude < 0x3880_0000 {
            small
        } else {
            normal
        };
        let half = if magnitude > 0x7f80_0000 {
            0x7e00
        } else {
            finite.min(0x7c00)
        };
        *out = (half | bits >> 16 & 0x8000) as u16;
    }
}
