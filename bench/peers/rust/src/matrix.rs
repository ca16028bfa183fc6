//! The raw little-endian files of a data set.

use std::fs;
use std::io;

/// The rows of a file of `f32`.
pub fn read_rows(file: &str, dimensions: usize) -> io::Result<Vec<Vec<f32>>> {
    let bytes = fs::read(file)?;
    Ok(bytes
        .chunks_exact(dimensions * 4)
        .map(|row| numbers(row, f32::from_le_bytes))
        .collect())
}

/// The rows of a file of `f32`, scaled to length 1: this crate knows only the Euclidean distance, which orders unit
/// vectors as the cosine does.
pub fn read_unit_rows(file: &str, dimensions: usize) -> io::Result<Vec<Vec<f32>>> {
    Ok(read_rows(file, dimensions)?
        .into_iter()
        .map(|row| {
            let length = row
                .iter()
                .map(|x| f64::from(*x).powi(2))
                .sum::<f64>()
                .sqrt();
            row.iter()
                .map(|x| (f64::from(*x) / length) as f32)
                .collect()
        })
        .collect())
}

/// A file of `i32`.
pub fn read_ints(file: &str) -> io::Result<Vec<i32>> {
    Ok(numbers(&fs::read(file)?, i32::from_le_bytes))
}

fn numbers<T>(bytes: &[u8], decode: fn([u8; 4]) -> T) -> Vec<T> {
    bytes
        .as_chunks()
        .0
        .iter()
        .map(|&chunk| decode(chunk))
        .collect()
}
