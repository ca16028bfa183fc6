//! What a vector must be before an index takes it.

use std::collections::HashSet;

use rayon::prelude::*;
use simd::Kernels;

use crate::{Error, MAX_ID, Metric, Result};

/// Largest squared norm: estimates and distances of such vectors still fit an `f32`.
const MAX_NORM_SQUARED: f32 = 1e36;

/// Smallest squared norm, other than zero, that a cosine can be taken of.
const MIN_COSINE_NORM_SQUARED: f32 = 1e-30;

/// Squared norm of one vector. A cosine is refused to short vectors; the zero vector has one, 0.
///
/// # Errors
/// `NOT_FINITE`, `NORM_OUT_OF_RANGE`.
pub(crate) fn norm_squared(
    kernels: &Kernels,
    metric: Metric,
    row: usize,
    vector: &[f32],
) -> Result<f32> {
    let norm = kernels.dot(vector, vector);
    let degenerate = metric == Metric::Cosine && norm < MIN_COSINE_NORM_SQUARED;
    if norm <= MAX_NORM_SQUARED && !degenerate {
        return Ok(norm);
    }
    if let Some(position) = vector.iter().position(|v| !v.is_finite()) {
        return Err(Error::NotFinite {
            row,
            position,
            value: vector[position],
        });
    }
    if degenerate && vector.iter().all(|&v| v == 0.0) {
        return Ok(0.0);
    }
    let exact = vector.iter().map(|&v| f64::from(v) * f64::from(v)).sum();
    Err(Error::NormOutOfRange {
        row,
        norm_squared: exact,
    })
}

/// Squared norms of a row-major matrix; the first bad row wins.
pub(crate) fn norms_squared(
    kernels: &Kernels,
    metric: Metric,
    dimensions: usize,
    vectors: &[f32],
) -> Result<Vec<f32>> {
    const ROWS: usize = 1024;
    let chunks: Result<Vec<Vec<f32>>> = vectors
        .par_chunks(dimensions * ROWS)
        .enumerate()
        .map(|(chunk, rows)| {
            let norms = rows.chunks_exact(dimensions).enumerate();
            norms
                .map(|(row, vector)| norm_squared(kernels, metric, chunk * ROWS + row, vector))
                .collect()
        })
        .collect::<Vec<_>>()
        .into_iter()
        .collect();
    Ok(chunks?.concat())
}

/// Number of rows in a row-major matrix.
///
/// # Errors
/// `DIMENSION_MISMATCH` if the length is no multiple of `dimensions`.
pub(crate) fn row_count(dimensions: usize, vectors: &[f32]) -> Result<usize> {
    if vectors.len().is_multiple_of(dimensions) {
        Ok(vectors.len() / dimensions)
    } else {
        Err(Error::DimensionMismatch {
            expected: vectors.len().next_multiple_of(dimensions),
            got: vectors.len(),
        })
    }
}

/// # Errors
/// `ID_COUNT_MISMATCH`, `INVALID_OPTION` beyond safe integers, `DUPLICATE_ID`.
pub(crate) fn ids(ids: &[i64], rows: usize) -> Result<()> {
    if ids.len() != rows {
        return Err(Error::IdCountMismatch {
            ids: ids.len(),
            vectors: rows,
        });
    }
    if let Some(id) = ids
        .iter()
        .find(|id| id.unsigned_abs() > MAX_ID.unsigned_abs())
    {
        return Err(Error::InvalidOption {
            option: "ids",
            reason: format!("{id} is no safe integer"),
        });
    }
    if ids.is_sorted_by(|a, b| a < b) {
        return Ok(());
    }
    let mut seen = HashSet::with_capacity(ids.len());
    match ids.iter().find(|id| !seen.insert(**id)) {
        Some(&id) => Err(Error::DuplicateId { id }),
        None => Ok(()),
    }
}
