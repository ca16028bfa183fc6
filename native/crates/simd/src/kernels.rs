//! The kernel table and its safe front: every length is asserted here, before a kernel runs.

use crate::level::Level;
use crate::prefetch::prefetch;

/// Vectors in one FastScan block.
const BLOCK: usize = 32;

/// The longest input of [`Kernels::quantize`]: `255^2 * 65536` still fits a `u32`.
pub const MAX_QUANTIZE_LEN: usize = 65_536;

/// Constants of one query against one list, for [`Kernels::bounds`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BoundParams {
    /// Width of one step of the quantised lookup table.
    pub delta: f32,
    /// Value of an accumulator of zero, in units of the inner product.
    pub bias: f32,
    /// The query's additive term, `g_add`.
    pub add: f32,
    /// How far the inner product can be off.
    pub slack: f32,
}

/// What [`Kernels::quantize`] measured of the codes `u` it wrote for `x`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct QuantizeSums {
    /// Sum of `x[i] * u[i]`, in the canonical lanes.
    pub dot: f32,
    /// Sum of `u[i]`.
    pub sum: u32,
    /// Sum of `u[i]` squared.
    pub sum_squares: u32,
}

/// Blocks of 32 vectors each, for [`Kernels::prune`]: FastScan codes and the factors of every vector.
#[derive(Clone, Copy, Debug)]
pub struct Blocks<'a> {
    /// As for [`Kernels::fastscan`].
    pub codes: &'a [u8],
    /// Additive factors.
    pub f_add: &'a [f32],
    /// Factors of the inner product.
    pub f_rescale: &'a [f32],
    /// Blocks whose memory is asked for ahead of them.
    pub ahead: usize,
}

impl Blocks<'_> {
    /// Asks for the memory of a later block, if there is one: the CPU finds out late that a short list goes on.
    #[inline(always)]
    pub(crate) fn prefetch_after(&self, block: usize, bytes: usize) {
        let block = block + self.ahead;
        let slots = block * BLOCK..(block + 1) * BLOCK;
        if let Some(codes) = self.codes.get(block * bytes..(block + 1) * bytes) {
            prefetch(codes);
            for factors in [self.f_add, self.f_rescale] {
                prefetch(factors.get(slots.clone()).unwrap_or_default());
            }
        }
    }
}

/// A vector that [`Kernels::prune`] left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pick {
    /// Its place: `32 · block + vector`.
    pub place: u32,
    /// Its FastScan sum.
    pub sum: u32,
}

pub(crate) type FloatPair = unsafe fn(&[f32], &[f32]) -> f32;
pub(crate) type Axpy = unsafe fn(f32, &[f32], &mut [f32]);
pub(crate) type Fht = unsafe fn(&mut [f32]);
pub(crate) type FastScan = unsafe fn(&[u8], &[u8], &mut [u32]);
pub(crate) type Bounds = unsafe fn(&[u32], &[f32], &[f32], &BoundParams, &mut [f32], &mut [f32]);
pub(crate) type Prune = unsafe fn(&Blocks<'_>, &[u8], &BoundParams, f32, &mut Vec<Pick>);
pub(crate) type SelectLe = unsafe fn(&[f32], f32, u32, &mut Vec<u32>);
pub(crate) type DotU4I8 = unsafe fn(&[u8], &[i8]) -> i32;
pub(crate) type DotU8I16 = unsafe fn(&[u8], &[i16]) -> i32;
pub(crate) type WidenF16 = unsafe fn(&[u16], f32, &mut [f32]);
pub(crate) type NarrowF16 = unsafe fn(&[f32], f32, &mut [u16]);
pub(crate) type Quantize = unsafe fn(&[f32], f32, f32, f32, &mut [u8]) -> QuantizeSums;

/// The kernels of one CPU level.
///
/// Get one from [`kernels()`](crate::kernels()) (the best for this CPU) or
/// [`for_level`](crate::for_level). All levels return the same bits; see the crate documentation.
///
/// The fields are `unsafe fn` because a function compiled for a CPU feature may only run where that
/// feature exists. A table is handed out only after its features were detected, and that is all the
/// safety of the calls below rests on: the kernels themselves are sound for slices of any length.
pub struct Kernels {
    pub(crate) level: Level,
    pub(crate) dot: FloatPair,
    pub(crate) l2_squared: FloatPair,
    pub(crate) axpy: Axpy,
    pub(crate) fht: Fht,
    pub(crate) fastscan: FastScan,
    pub(crate) bounds: Bounds,
    pub(crate) prune: Prune,
    pub(crate) select_le: SelectLe,
    pub(crate) dot_u4_i8: DotU4I8,
    pub(crate) dot_u8_i16: DotU8I16,
    pub(crate) quantize: Quantize,
    pub(crate) widen_f16: WidenF16,
    pub(crate) narrow_f16: NarrowF16,
}

impl Kernels {
    /// The level these kernels were built for.
    pub fn level(&self) -> Level {
        self.level
    }

    /// Inner product of two vectors of equal length, in the canonical lanes.
    ///
    /// # Panics
    /// If the lengths differ.
    #[inline]
    pub fn dot(&self, a: &[f32], b: &[f32]) -> f32 {
        assert_eq!(a.len(), b.len(), "dot: lengths differ");
        // SAFETY: this table's CPU features were detected before it was handed out.
        unsafe { (self.dot)(a, b) }
    }

    /// Squared Euclidean distance of two vectors of equal length, in the canonical lanes: each term
    /// is `d * d` with `d = a[i] - b[i]`.
    ///
    /// # Panics
    /// If the lengths differ.
    #[inline]
    pub fn l2_squared(&self, a: &[f32], b: &[f32]) -> f32 {
        assert_eq!(a.len(), b.len(), "l2_squared: lengths differ");
        // SAFETY: this table's CPU features were detected before it was handed out.
        unsafe { (self.l2_squared)(a, b) }
    }

    /// Adds `scale * x` to `y`, elementwise, with a separate multiply and add.
    ///
    /// # Panics
    /// If the lengths differ.
    #[inline]
    pub fn axpy(&self, scale: f32, x: &[f32], y: &mut [f32]) {
        assert_eq!(x.len(), y.len(), "axpy: lengths differ");
        // SAFETY: this table's CPU features were detected before it was handed out.
        unsafe { (self.axpy)(scale, x, y) }
    }

    /// Fast Walsh-Hadamard transform in place, natural order, not normalised: applying it twice
    /// multiplies by the length. `O(n log n)`; the stage of stride `h` replaces `(a, b)`, `h` apart,
    /// by `(a + b, a - b)`, for `h` = 1, 2, 4 and so on.
    ///
    /// # Panics
    /// If the length is not a power of two.
    #[inline]
    pub fn fht(&self, x: &mut [f32]) {
        assert!(
            x.len().is_power_of_two(),
            "fht: length {} is not a power of two",
            x.len()
        );
        // SAFETY: this table's CPU features were detected before it was handed out.
        unsafe { (self.fht)(x) }
    }

    /// FastScan (André et al., VLDB 2015): for every vector of every block, the sum of one table
    /// entry per group of 4 dimensions.
    ///
    /// * `lut`: `groups x 16` entries, `groups` a multiple of 16 (dimensions padded to a multiple
    ///   of 64).
    /// * `codes`: `blocks x groups x 16` bytes. Byte `j` of a group holds the 4-bit code of vector
    ///   `j` in its low nibble and that of vector `j + 16` in its high nibble.
    /// * `out`: `blocks x 32` sums, `out[32 b + v] = sum over g of lut[16 g + code(b, v, g)]`,
    ///   exact for any table of fewer than 2^24 groups.
    ///
    /// # Panics
    /// If the shapes do not agree.
    #[inline]
    pub fn fastscan(&self, codes: &[u8], lut: &[u8], out: &mut [u32]) {
        assert!(
            lut.len().is_multiple_of(256),
            "fastscan: groups are not a multiple of 16"
        );
        assert!(
            out.len().is_multiple_of(BLOCK),
            "fastscan: out is not a multiple of 32"
        );
        assert_eq!(
            Some(codes.len()),
            (out.len() / BLOCK).checked_mul(lut.len()),
            "fastscan: codes are not blocks x groups x 16 bytes"
        );
        // SAFETY: this table's CPU features were detected before it was handed out.
        unsafe { (self.fastscan)(codes, lut, out) }
    }

    /// RaBitQ distance estimates and their lower bounds from FastScan sums, elementwise:
    ///
    /// ```text
    /// ip       = delta * acc + bias
    /// estimate = (f_add + add) + f_rescale * ip
    /// lower    = estimate - |f_rescale| * slack
    /// ```
    ///
    /// # Panics
    /// If the slices differ in length.
    #[inline]
    pub fn bounds(
        &self,
        acc: &[u32],
        f_add: &[f32],
        f_rescale: &[f32],
        params: &BoundParams,
        estimates: &mut [f32],
        lowers: &mut [f32],
    ) {
        let len = acc.len();
        assert!(
            [f_add.len(), f_rescale.len(), estimates.len(), lowers.len()] == [len; 4],
            "bounds: lengths differ"
        );
        // SAFETY: this table's CPU features were detected before it was handed out.
        unsafe { (self.bounds)(acc, f_add, f_rescale, params, estimates, lowers) }
    }

    /// Appends the vectors of some blocks whose lower bound is at most `limit`, ascending: what [`Kernels::fastscan`],
    /// [`Kernels::bounds`] and [`Kernels::select_le`] find one after the other, in one pass that writes nothing else down.
    ///
    /// # Panics
    /// If the shapes do not agree, or places exceed `u32::MAX`.
    #[inline]
    pub fn prune(
        &self,
        blocks: &Blocks<'_>,
        lut: &[u8],
        params: &BoundParams,
        limit: f32,
        out: &mut Vec<Pick>,
    ) {
        let len = blocks.f_add.len();
        assert!(
            lut.len().is_multiple_of(256),
            "prune: groups are not a multiple of 16"
        );
        assert!(
            len.is_multiple_of(BLOCK) && u32::try_from(len).is_ok(),
            "prune: factors are not those of whole blocks"
        );
        assert!(blocks.f_rescale.len() == len, "prune: lengths differ");
        assert_eq!(
            Some(blocks.codes.len()),
            (len / BLOCK).checked_mul(lut.len()),
            "prune: codes are not blocks x groups x 16 bytes"
        );
        // SAFETY: this table's CPU features were detected before it was handed out.
        unsafe { (self.prune)(blocks, lut, params, limit, out) }
    }

    /// Appends `base + i` for every `i` with `values[i] <= threshold`, ascending. A NaN on either
    /// side never matches.
    ///
    /// # Panics
    /// If `base + values.len()` exceeds `u32::MAX`.
    #[inline]
    pub fn select_le(&self, values: &[f32], threshold: f32, base: u32, out: &mut Vec<u32>) {
        assert!(
            values.len() <= (u32::MAX - base) as usize,
            "select_le: ids exceed u32"
        );
        // SAFETY: this table's CPU features were detected before it was handed out.
        unsafe { (self.select_le)(values, threshold, base, out) }
    }

    /// Inner product of a row of 4-bit codes with an 8-bit query.
    ///
    /// Codes come in chunks of 32 bytes for 64 dimensions: byte `j` of chunk `c` holds dimension
    /// `64 c + j` in its low nibble and `64 c + 32 + j` in its high nibble. Exact below 2^20
    /// dimensions (beyond, the sum wraps).
    ///
    /// # Panics
    /// If `codes.len()` is not a multiple of 32 or `query.len()` is not twice that length.
    #[inline]
    pub fn dot_u4_i8(&self, codes: &[u8], query: &[i8]) -> i32 {
        assert!(
            codes.len().is_multiple_of(32),
            "dot_u4_i8: codes are not whole chunks"
        );
        assert_eq!(query.len(), 2 * codes.len(), "dot_u4_i8: lengths differ");
        // SAFETY: this table's CPU features were detected before it was handed out.
        unsafe { (self.dot_u4_i8)(codes, query) }
    }

    /// Inner product of a row of 8-bit codes with a 16-bit query, modulo 2^32: exact if
    /// `255 * sum of |query[i]| < 2^31`, which the caller ensures by the query's scale.
    ///
    /// # Panics
    /// If the lengths differ or are not a multiple of 64.
    #[inline]
    pub fn dot_u8_i16(&self, codes: &[u8], query: &[i16]) -> i32 {
        assert!(
            codes.len().is_multiple_of(64),
            "dot_u8_i16: codes are not whole chunks"
        );
        assert_eq!(codes.len(), query.len(), "dot_u8_i16: lengths differ");
        // SAFETY: this table's CPU features were detected before it was handed out.
        unsafe { (self.dot_u8_i16)(codes, query) }
    }

    /// Writes `codes[i] = clamp(floor(x[i] * scale + offset), 0, max)` and returns sums over the
    /// codes. A NaN becomes code 0 (and makes `dot` a NaN).
    ///
    /// # Panics
    /// If the lengths differ or exceed [`MAX_QUANTIZE_LEN`], or `max` is not within `0..=255`.
    #[inline]
    pub fn quantize(
        &self,
        x: &[f32],
        scale: f32,
        offset: f32,
        max: f32,
        codes: &mut [u8],
    ) -> QuantizeSums {
        assert_eq!(x.len(), codes.len(), "quantize: lengths differ");
        assert!(
            x.len() <= MAX_QUANTIZE_LEN,
            "quantize: more than {MAX_QUANTIZE_LEN} values"
        );
        assert!(
            (0.0..=255.0).contains(&max),
            "quantize: max is not within 0..=255"
        );
        // SAFETY: this table's CPU features were detected before it was handed out.
        unsafe { (self.quantize)(x, scale, offset, max, codes) }
    }

    /// Half-precision numbers (IEEE 754 binary16, as their bits) times `scale`, elementwise. The
    /// conversion is exact; only the product is rounded.
    ///
    /// # Panics
    /// If the lengths differ.
    #[inline]
    pub fn widen_f16(&self, halves: &[u16], scale: f32, out: &mut [f32]) {
        assert_eq!(halves.len(), out.len(), "widen_f16: lengths differ");
        // SAFETY: this table's CPU features were detected before it was handed out.
        unsafe { (self.widen_f16)(halves, scale, out) }
    }

    /// `scale * values` in half precision, elementwise, rounded to nearest, ties to even; infinite
    /// beyond 65,504.
    ///
    /// # Panics
    /// If the lengths differ.
    #[inline]
    pub fn narrow_f16(&self, values: &[f32], scale: f32, out: &mut [u16]) {
        assert_eq!(values.len(), out.len(), "narrow_f16: lengths differ");
        // SAFETY: this table's CPU features were detected before it was handed out.
        unsafe { (self.narrow_f16)(values, scale, out) }
    }
}
