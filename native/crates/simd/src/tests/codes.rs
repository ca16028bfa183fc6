//! `dot_u4_i8`, `dot_u8_i16`, `quantize`.

use super::{DRAWS, Random, bits, chunked_lengths, compared_tables, lengths, scalar};
use crate::kernels::{Kernels, QuantizeSums};

fn wrapping_dot(codes: &[u8], query: impl Iterator<Item = i32>) -> i32 {
    codes
        .iter()
        .zip(query)
        .fold(0, |sum, (&code, q)| sum.wrapping_add(i32::from(code) * q))
}

/// Codes by dimension, from nibble rows.
fn unpack(rows: &[u8]) -> Vec<u8> {
    rows.chunks_exact(32)
        .flat_map(|chunk| {
            chunk
                .iter()
                .map(|byte| byte & 15)
                .chain(chunk.iter().map(|byte| byte >> 4))
        })
        .collect()
}

#[test]
fn dot_u4_i8_is_exact_at_every_level() {
    let mut random = Random::new(21);
    for dimensions in chunked_lengths() {
        let rows = [
            vec![0xff; dimensions / 2 + 1],
            random.vec(dimensions / 2 + 1, Random::byte),
        ];
        let queries = [
            vec![127; dimensions + 1],
            vec![-127; dimensions + 1],
            vec![-128; dimensions + 1],
            random.vec(dimensions + 1, |random| random.byte() as i8),
        ];
        for row in &rows {
            for query in &queries {
                let (row, query) = (&row[1..], &query[1..]);
                let expected = wrapping_dot(&unpack(row), query.iter().copied().map(i32::from));
                for kernels in compared_tables().chain([scalar()]) {
                    let actual = kernels.dot_u4_i8(row, query);
                    assert_eq!(actual, expected, "{} {dimensions}", kernels.level());
                }
            }
        }
    }
}

#[test]
fn dot_u8_i16_is_exact_at_every_level() {
    let mut random = Random::new(22);
    for dimensions in chunked_lengths() {
        let rows = [
            vec![0xff; dimensions + 1],
            random.vec(dimensions + 1, Random::byte),
        ];
        // The constant queries reach 2^31 at 8192 dimensions, where the sum must wrap alike.
        let queries = [
            vec![i16::MAX; dimensions + 1],
            vec![i16::MIN; dimensions + 1],
            random.vec(dimensions + 1, |random| random.bits() as i16),
            random.vec(dimensions + 1, |random| (random.unit() * 1000.0) as i16),
        ];
        for row in &rows {
            for query in &queries {
                let (row, query) = (&row[1..], &query[1..]);
                let expected = wrapping_dot(row, query.iter().copied().map(i32::from));
                for kernels in compared_tables().chain([scalar()]) {
                    let actual = kernels.dot_u8_i16(row, query);
                    assert_eq!(actual, expected, "{} {dimensions}", kernels.level());
                }
            }
        }
    }
}

/// Codes and sums, the latter comparable.
fn quantized(
    kernels: &Kernels,
    x: &[f32],
    [scale, offset, max]: [f32; 3],
) -> (Vec<u8>, u32, u32, u32) {
    let mut codes = vec![0x77; x.len()];
    let QuantizeSums {
        dot,
        sum,
        sum_squares,
    } = kernels.quantize(x, scale, offset, max, &mut codes);
    (codes, bits(dot), sum, sum_squares)
}

const QUANTIZERS: [[f32; 3]; 8] = [
    [7.5, 8.0, 15.0],
    [127.5, 128.0, 255.0],
    [100.0, 0.0, 15.0],
    [-3.0, 1.0, 1.0],
    [1e30, -1e30, 255.0],
    [f32::INFINITY, 0.5, 7.0],
    [1.0, f32::NAN, 15.0],
    [2.0, 2.0, 2.5],
];

#[test]
fn quantize_follows_its_definition() {
    let mut random = Random::new(23);
    for len in lengths() {
        for draw in DRAWS {
            let x = random.vec(len, draw);
            for quantizer in QUANTIZERS {
                let [scale, offset, max] = quantizer;
                let (codes, dot, sum, sum_squares) = quantized(scalar(), &x, quantizer);
                for (&value, &code) in x.iter().zip(&codes) {
                    // `as` sends NaN to zero, as documented.
                    let expected = (value * scale + offset).floor().clamp(0.0, max) as u8;
                    assert_eq!(code, expected, "{value} {quantizer:?}");
                }
                let decoded: Vec<f32> = codes.iter().copied().map(f32::from).collect();
                assert_eq!(dot, bits(scalar().dot(&x, &decoded)));
                assert_eq!(sum, codes.iter().copied().map(u32::from).sum());
                assert_eq!(
                    sum_squares,
                    codes.iter().map(|&code| u32::from(code).pow(2)).sum()
                );
            }
        }
    }
}

#[test]
fn quantize_is_equal_at_every_level() {
    for kernels in compared_tables() {
        let mut random = Random::new(24);
        for len in lengths() {
            for draw in DRAWS {
                let x = random.vec(len + 1, draw);
                for quantizer in QUANTIZERS {
                    let actual = quantized(kernels, &x[1..], quantizer);
                    let expected = quantized(scalar(), &x[1..], quantizer);
                    assert_eq!(actual, expected, "{} {len} {quantizer:?}", kernels.level());
                }
            }
        }
    }
}

#[test]
fn quantize_sums_fit_at_the_longest_input() {
    let len = crate::MAX_QUANTIZE_LEN;
    let x = vec![1.0; len];
    for kernels in compared_tables().chain([scalar()]) {
        let (_, _, sum, sum_squares) = quantized(kernels, &x, [1e9, 0.0, 255.0]);
        assert_eq!((sum, sum_squares), (255 * len as u32, 65_025 * len as u32));
    }
}

#[test]
#[should_panic(expected = "0..=255")]
fn quantize_rejects_codes_beyond_a_byte() {
    scalar().quantize(&[1.0], 1.0, 0.0, 256.0, &mut [0]);
}
