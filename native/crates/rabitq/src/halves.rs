//! Vectors in half precision, each with an exponent of its own.
//!
//! A vector is stored as `2^-e` times itself, `e` chosen so that its largest component lies between 1 and 2: whatever its
//! scale, nothing overflows, and what is rounded away is small beside the vector.

use std::cell::Cell;

use rayon::prelude::*;

use crate::Result;
use crate::section::Section;

/// Rows converted by one task.
const TASK_ROWS: usize = 256;

/// Exponents whose powers, and those of their negatives, are normal numbers.
const EXPONENTS: std::ops::RangeInclusive<i32> = -120..=120;

/// Rows in half precision.
#[derive(Clone)]
pub(crate) struct Halves {
    pub values: Section<u16>,
    pub exponents: Section<i8>,
}

thread_local! {
    static ROW: Cell<Vec<f32>> = Cell::default();
}

impl Halves {
    /// Rounds a row-major matrix.
    pub(crate) fn of(vectors: &[f32], width: usize) -> Self {
        let mut values = vec![0; vectors.len()];
        let mut exponents = vec![0; vectors.len() / width];
        values
            .par_chunks_mut(width * TASK_ROWS)
            .zip(exponents.par_chunks_mut(TASK_ROWS))
            .zip(vectors.par_chunks(width * TASK_ROWS))
            .for_each(|((values, exponents), vectors)| {
                let rows = values.chunks_exact_mut(width).zip(exponents);
                for ((values, exponent), vector) in rows.zip(vectors.chunks_exact(width)) {
                    *exponent = exponent_of(vector);
                    simd::kernels().narrow_f16(vector, power(-i32::from(*exponent)), values);
                }
            });
        Self {
            values: values.into(),
            exponents: exponents.into(),
        }
    }

    /// Calls `act` with a row as it was rounded.
    pub(crate) fn with<T>(
        &self,
        row: usize,
        width: usize,
        act: impl FnOnce(&[f32]) -> T,
    ) -> Result<T> {
        let halves = self.values.get(row * width..(row + 1) * width)?;
        let exponent = i32::from(self.exponents.at(row)?);
        if !EXPONENTS.contains(&exponent) {
            let reason = format!("raw vector {row} has the exponent {exponent}");
            return Err(self.exponents.damaged(reason));
        }
        let mut vector = ROW.take();
        vector.resize(width, 0.0);
        simd::kernels().widen_f16(halves, power(exponent), &mut vector);
        let out = act(&vector);
        ROW.set(vector);
        Ok(out)
    }
}

/// `e` for which the largest component, once rounded, is from `2^e` to below `2^(e + 1)`: rounding again changes nothing.
fn exponent_of(vector: &[f32]) -> i8 {
    const HALF_A_PLACE: u32 = 1 << 12;
    let largest = vector.iter().fold(0.0f32, |most, v| most.max(v.abs()));
    let exponent = ((largest.to_bits() + HALF_A_PLACE) >> 23) as i32 - 127;
    exponent.clamp(*EXPONENTS.start(), *EXPONENTS.end()) as i8
}

/// A power of two.
fn power(exponent: i32) -> f32 {
    f32::from_bits(((exponent + 127) as u32) << 23)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_any_scale_lose_little_and_nothing_twice() {
        let width = 7;
        for scale in [1.0f32, 3e-15, 7e17, 1e-37] {
            let vectors: Vec<f32> = (0..700)
                .map(|i| ((i * 37 % 101) as f32 - 50.3) / 17.0 * scale)
                .collect();
            let halves = Halves::of(&vectors, width);
            let read = |halves: &Halves| -> Vec<f32> {
                (0..100)
                    .flat_map(|row| halves.with(row, width, <[f32]>::to_vec).unwrap())
                    .collect()
            };
            let rounded = read(&halves);
            for (row, (got, want)) in rounded
                .chunks_exact(width)
                .zip(vectors.chunks_exact(width))
                .enumerate()
            {
                let largest = want.iter().fold(0.0f32, |m, v| m.max(v.abs()));
                for (got, want) in got.iter().zip(want) {
                    assert!(
                        (got - want).abs() <= largest / 2048.0,
                        "row {row}: {got} for {want}"
                    );
                }
            }
            assert_eq!(read(&Halves::of(&rounded, width)), rounded);
        }
        let zero = Halves::of(&[0.0, -0.0], 2);
        assert_eq!(zero.with(0, 2, <[f32]>::to_vec).unwrap(), [0.0, -0.0]);
    }
}
