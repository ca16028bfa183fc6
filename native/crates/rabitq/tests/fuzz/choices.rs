//! Decisions drawn from a string of bytes, which a fuzzer varies and proptest shrinks.

/// Reads decisions off the front; an exhausted string answers zero for ever.
pub struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub fn is_done(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        first
    }

    pub fn word(&mut self) -> u64 {
        (0..8).fold(0, |word, _| word << 8 | u64::from(self.byte()))
    }

    /// One of `0..bound`; zero if there is none.
    pub fn below(&mut self, bound: usize) -> usize {
        let wide = u32::from_le_bytes([self.byte(), self.byte(), self.byte(), 0]);
        wide as usize % bound.max(1)
    }

    /// True once in `n`, and for an exhausted string never.
    pub fn once_in(&mut self, n: u8) -> bool {
        self.byte() % n == n - 1
    }

    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// A number that size checks are likely to get wrong, near `known` more often than not.
    pub fn number(&mut self, known: u64) -> u64 {
        match self.below(10) {
            0 => self.pick(&[0, 1, 31, 32, 33, 63, 64, 65, 4096, 8192, 8193]),
            1 => self.pick(&[
                u64::MAX,
                u64::MAX - 63,
                1 << 63,
                u64::from(u32::MAX),
                1 << 32,
                i32::MAX as u64,
            ]),
            2 => known.wrapping_neg(),
            3 => known.wrapping_mul(self.pick(&[2, 3, 1 << 29, 1 << 32, 1 << 61])),
            4 => known / self.pick(&[2, 3, 8]),
            5 => known ^ 1 << self.below(64),
            6 => self.word(),
            _ => known.wrapping_add(self.byte().cast_signed() as u64),
        }
    }

    /// A number as a vector might hold it, or as none should.
    pub fn float(&mut self) -> f32 {
        match self.below(8) {
            0 => self.pick(&[f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0]),
            1 => self.pick(&[f32::MAX, f32::MIN, f32::MIN_POSITIVE, 1e-40, 1e18, 1e30]),
            2 => f32::from_bits(self.word() as u32),
            _ => f32::from(self.byte().cast_signed()) / 8.0,
        }
    }
}
