//! Where a code's bits lie: FastScan blocks for the signs, nibble or byte rows for the rest.
//!
//! A block holds the sign bits of 32 rows. For each group of 4 coordinates it has 16 bytes; byte `j` carries the 4 bits of
//! row `j` in its low nibble and those of row `j + 16` in its high nibble, so that one byte shuffle looks up 32 rows
//! (André, Kermarrec & Le Scouarnec, "Cache locality is not enough", VLDB 2015).

use crate::Bits;

/// Rows in a FastScan block.
pub(crate) const BLOCK: usize = 32;

/// Bytes of a block for `padded` coordinates.
pub(crate) fn block_bytes(padded: usize) -> usize {
    padded / 4 * 16
}

/// Bytes of the three factors in front of a full code.
const ROW_HEAD: usize = 12;

/// The factors of a whole code, beside it so that they come with the same cache line.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct RowFactors {
    pub add: f32,
    pub rescale: f32,
    pub error: f32,
}

/// Bytes of one row of [`ROW_HEAD`] and the full code; 0 for sign-only codes.
pub(crate) fn row_bytes(bits: Bits, padded: usize) -> usize {
    match bits {
        Bits::One => 0,
        Bits::Five => ROW_HEAD + padded / 2,
        Bits::Eight => ROW_HEAD + padded,
    }
}

/// Sets the sign bits of row `lane` in a zeroed block: those of codes from `middle` on.
pub(crate) fn put_signs(block: &mut [u8], lane: usize, codes: &[u8], middle: u8) {
    let (byte, shift) = (lane % 16, lane / 16 * 4);
    for (group, codes) in block.chunks_exact_mut(16).zip(codes.chunks_exact(4)) {
        let bit = |i: usize| u8::from(codes[i] >= middle) << i;
        group[byte] |= (bit(0) | bit(1) | bit(2) | bit(3)) << shift;
    }
}

/// Sign bits of row `lane`.
pub(crate) fn signs(block: &[u8], lane: usize, padded: usize) -> impl Iterator<Item = bool> {
    let (byte, shift) = (lane % 16, lane / 16 * 4);
    (0..padded).map(move |i| block[i / 4 * 16 + byte] >> (shift + i % 4) & 1 == 1)
}

/// Copies the sign bits of a row from one block to a zeroed lane of another.
pub(crate) fn move_signs(from: &[u8], from_lane: usize, to: &mut [u8], to_lane: usize) {
    let (source, source_shift) = (from_lane % 16, from_lane / 16 * 4);
    let (target, target_shift) = (to_lane % 16, to_lane / 16 * 4);
    for (from, to) in from.chunks_exact(16).zip(to.chunks_exact_mut(16)) {
        to[target] |= (from[source] >> source_shift & 0x0F) << target_shift;
    }
}

/// Writes the part of a code that the sign block does not hold: the low 4 of 5 bits as nibbles, or all 8 bits as bytes.
pub(crate) fn put_row(bits: Bits, row: &mut [u8], factors: RowFactors, codes: &[u8]) {
    let (head, body) = row.split_at_mut(ROW_HEAD);
    let factors = [factors.add, factors.rescale, factors.error];
    for (bytes, factor) in head.chunks_exact_mut(4).zip(factors) {
        bytes.copy_from_slice(&factor.to_le_bytes());
    }
    match bits {
        Bits::One => {}
        Bits::Five => {
            for (out, codes) in body.chunks_exact_mut(32).zip(codes.chunks_exact(64)) {
                for ((byte, low), high) in out.iter_mut().zip(&codes[..32]).zip(&codes[32..]) {
                    *byte = (low & 0x0F) | (high & 0x0F) << 4;
                }
            }
        }
        Bits::Eight => body.copy_from_slice(codes),
    }
}

/// The factors and the code bytes of a row.
pub(crate) fn row_parts(row: &[u8]) -> (RowFactors, &[u8]) {
    let (head, body) = row.split_at(ROW_HEAD);
    let float =
        |at: usize| f32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    (
        RowFactors {
            add: float(0),
            rescale: float(4),
            error: float(8),
        },
        body,
    )
}

/// The whole code of a row as numbers, from its sign bits and, beyond one bit, its code bytes.
pub(crate) fn unpack(bits: Bits, body: &[u8], signs: impl Iterator<Item = bool>, out: &mut [f32]) {
    match bits {
        Bits::One => {
            for (value, sign) in out.iter_mut().zip(signs) {
                *value = f32::from(u8::from(sign));
            }
        }
        Bits::Five => {
            for (i, (value, sign)) in out.iter_mut().zip(signs).enumerate() {
                let byte = body[i / 64 * 32 + i % 32];
                let low = if i % 64 < 32 { byte & 0x0F } else { byte >> 4 };
                *value = f32::from(low | u8::from(sign) << 4);
            }
        }
        Bits::Eight => {
            for (value, byte) in out.iter_mut().zip(body) {
                *value = f32::from(*byte);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_comes_back_from_any_lane() {
        let padded = 128;
        for bits in [Bits::Five, Bits::Eight] {
            let levels = 1u32 << bits.total();
            for lane in 0..BLOCK {
                let codes: Vec<u8> = (0..padded)
                    .map(|i| ((i * 37 + lane * 11) as u32 % levels) as u8)
                    .collect();
                let mut block = vec![0; block_bytes(padded)];
                put_signs(&mut block, lane, &codes, (levels / 2) as u8);
                let mut moved = vec![0; block_bytes(padded)];
                move_signs(&block, lane, &mut moved, (lane + 5) % BLOCK);
                let mut row = vec![0; row_bytes(bits, padded)];
                let factors = RowFactors {
                    add: -2.0,
                    rescale: 1.5,
                    error: 0.25,
                };
                put_row(bits, &mut row, factors, &codes);
                let (back, body) = row_parts(&row);
                assert_eq!(back, factors);
                let mut out = vec![0.0; padded];
                unpack(
                    bits,
                    body,
                    signs(&moved, (lane + 5) % BLOCK, padded),
                    &mut out,
                );
                assert_eq!(out, codes.iter().map(|&c| f32::from(c)).collect::<Vec<_>>());
            }
        }
    }
}
