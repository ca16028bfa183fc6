//! The estimator is unbiased, seen through the public API: an index without raw vectors reports estimates.

use rabitq::{Bits, BuildOptions, Control, Index, Kind, Metric, SearchOptions};

fn gaussian(rows: usize, dimensions: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut uniform = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        ((state >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    };
    let mut gauss =
        move || (-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos();
    (0..rows * dimensions).map(|_| gauss() as f32).collect()
}

/// Estimated minus true squared distance, relative to `2 |r| |q|`, over every pair.
fn errors(bits: Bits, dimensions: usize, seed: u64) -> Vec<f64> {
    let (rows, queries) = (800, 12);
    let data = gaussian(rows, dimensions, seed);
    let options = BuildOptions {
        bits: Some(bits),
        seed,
        ..BuildOptions::new(Kind::Rabitq, dimensions, Metric::L2)
    };
    let index = Index::build(&data, None, &options, Control::default()).unwrap();
    let mean: Vec<f32> = (0..dimensions)
        .map(|i| data.iter().skip(i).step_by(dimensions).sum::<f32>() / rows as f32)
        .collect();
    let square = |a: &[f32], b: &[f32]| {
        a.iter()
            .zip(b)
            .map(|(a, b)| f64::from(a - b).powi(2))
            .sum::<f64>()
    };
    let mut errors = vec![];
    for query in gaussian(queries, dimensions, seed + 1000).chunks_exact(dimensions) {
        for hit in index
            .search(query, rows, &SearchOptions::default(), Control::default())
            .unwrap()
        {
            let row = &data[hit.id as usize * dimensions..(hit.id as usize + 1) * dimensions];
            let scale = 2.0 * square(row, &mean).sqrt() * square(query, &mean).sqrt();
            errors.push((hit.distance.powi(2) - square(query, row)) / scale);
        }
    }
    errors
}

/// Standard deviation the papers give for a code of so many bits: `sqrt((1/cos² - 1) / (d - 1))`, with the mean cosine
/// between a Gaussian vector and its code.
fn deviation(bits: Bits, dimensions: usize) -> f64 {
    let cosine: f64 = match bits {
        Bits::One => 0.798,
        Bits::Five => 0.9988,
        Bits::Eight => 0.99997,
    };
    let spare = if dimensions <= 128 { dimensions / 2 } else { 0 };
    let padded = (dimensions + spare).next_multiple_of(64) as f64;
    ((1.0 / cosine.powi(2) - 1.0) / (padded - 1.0)).sqrt()
}

#[test]
fn estimates_are_unbiased_and_as_tight_as_the_papers_say() {
    for dimensions in [64, 100, 384, 768] {
        for bits in [Bits::One, Bits::Five, Bits::Eight] {
            let errors = errors(bits, dimensions, 5);
            let count = errors.len() as f64;
            let mean = errors.iter().sum::<f64>() / count;
            let spread = (errors.iter().map(|e| e * e).sum::<f64>() / count).sqrt();
            let expected = deviation(bits, dimensions);
            println!(
                "{dimensions} x {bits:?}: mean {mean:.6}, spread {spread:.6}, expected {expected:.6}"
            );
            assert!(
                mean.abs() < 0.1 * expected,
                "{dimensions} x {bits:?}: mean error {mean} beside a spread of {expected}"
            );
            assert!(
                spread < 1.35 * expected,
                "{dimensions} x {bits:?}: spread {spread}, expected {expected}"
            );
        }
    }
}
