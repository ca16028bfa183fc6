//! Prints the time of every kernel at every level of this CPU.
//!
//! ```text
//! cargo run --release -p simd --example kernel_times [dimensions ...]
//! ```
//!
//! A figure is nanoseconds per vector, the least of many short runs over 4096 vectors (they fit the
//! second-level cache as 1-bit codes, not as `f32`).

use std::hint::black_box;
use std::time::{Duration, Instant};

use simd::{BoundParams, Kernels};

const VECTORS: usize = 4096;
const TIME_PER_KERNEL: Duration = Duration::from_millis(150);

/// Nanoseconds per vector: `run` handles `vectors` of them.
fn time(vectors: usize, mut run: impl FnMut()) -> f64 {
    let begin = Instant::now();
    let mut least = Duration::MAX;
    while begin.elapsed() < TIME_PER_KERNEL {
        let start = Instant::now();
        run();
        least = least.min(start.elapsed());
    }
    least.as_secs_f64() * 1e9 / vectors as f64
}

/// Input for all kernels at one number of dimensions.
struct Input {
    dimensions: usize,
    bytes: Vec<u8>,
    lut: Vec<u8>,
    query_i8: Vec<i8>,
    query_i16: Vec<i16>,
    floats: Vec<f32>,
    query: Vec<f32>,
}

impl Input {
    fn new(dimensions: usize) -> Self {
        let mut state = 1u64;
        let mut random = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) as u32
        };
        let mut unit = || random() as f32 / (1u32 << 30) as f32 - 1.0;
        let floats: Vec<f32> = (0..VECTORS * dimensions).map(|_| unit()).collect();
        let query: Vec<f32> = (0..dimensions).map(|_| unit()).collect();
        Self {
            dimensions,
            bytes: (0..VECTORS * dimensions).map(|_| random() as u8).collect(),
            lut: (0..dimensions * 4).map(|_| random() as u8).collect(),
            query_i8: query.iter().map(|q| (q * 127.0) as i8).collect(),
            query_i16: query.iter().map(|q| (q * 1000.0) as i16).collect(),
            floats,
            query,
        }
    }

    fn times(&self, kernels: &Kernels) -> Vec<(&'static str, f64)> {
        let dimensions = self.dimensions;
        let bit_codes = &self.bytes[..VECTORS * dimensions / 8];
        let mut acc = vec![0; VECTORS];
        let mut estimates = vec![0.0; VECTORS];
        let mut lowers = vec![0.0; VECTORS];
        let mut codes = vec![0; dimensions];
        let mut ids = Vec::new();
        // A list short enough to stay in the first-level cache.
        let near = |width: usize| (24_576 / width).clamp(8, VECTORS);
        let near_floats = &self.floats[..near(4 * dimensions) * dimensions];
        let near_count = near(4 * dimensions);
        // The rotation transforms the largest power of two. Zeros stay finite however often.
        let fht_len = 1 << dimensions.ilog2();
        let mut zeros = vec![0.0; near_count * fht_len];
        let params = BoundParams {
            delta: 0.01,
            bias: -1.0,
            add: 1.0,
            error: 0.5,
            slack: 0.1,
        };
        vec![
            (
                "fastscan",
                time(VECTORS, || {
                    kernels.fastscan(bit_codes, &self.lut, black_box(&mut acc));
                }),
            ),
            (
                "bounds",
                time(VECTORS, || {
                    let factors = &self.floats[..VECTORS];
                    kernels.bounds(
                        &acc,
                        factors,
                        factors,
                        factors,
                        &params,
                        black_box(&mut estimates),
                        black_box(&mut lowers),
                    );
                }),
            ),
            (
                "select_le 1%",
                time(VECTORS, || {
                    ids.clear();
                    kernels.select_le(&self.floats[..VECTORS], -0.98, 0, black_box(&mut ids));
                }),
            ),
            (
                "dot_u4_i8",
                time(VECTORS, || {
                    for row in self.bytes.chunks_exact(dimensions / 2).take(VECTORS) {
                        black_box(kernels.dot_u4_i8(row, &self.query_i8));
                    }
                }),
            ),
            (
                "dot_u8_i16",
                time(VECTORS, || {
                    for row in self.bytes.chunks_exact(dimensions) {
                        black_box(kernels.dot_u8_i16(row, &self.query_i16));
                    }
                }),
            ),
            (
                "dot, L1",
                time(near_count, || {
                    for x in near_floats.chunks_exact(dimensions) {
                        black_box(kernels.dot(x, &self.query));
                    }
                }),
            ),
            (
                "dot",
                time(VECTORS, || {
                    for x in self.floats.chunks_exact(dimensions) {
                        black_box(kernels.dot(x, &self.query));
                    }
                }),
            ),
            (
                "l2_squared, L1",
                time(near_count, || {
                    for x in near_floats.chunks_exact(dimensions) {
                        black_box(kernels.l2_squared(x, &self.query));
                    }
                }),
            ),
            (
                "quantize, L1",
                time(near_count, || {
                    for x in near_floats.chunks_exact(dimensions) {
                        black_box(kernels.quantize(x, 7.5, 8.0, 15.0, &mut codes));
                    }
                }),
            ),
            (
                "fht, L1",
                time(near_count, || {
                    for x in zeros.chunks_exact_mut(fht_len) {
                        kernels.fht(black_box(x));
                    }
                }),
            ),
        ]
    }
}

fn main() {
    let mut dimensions: Vec<usize> = std::env::args()
        .skip(1)
        .filter_map(|argument| argument.parse().ok())
        .collect();
    if dimensions.is_empty() {
        dimensions = vec![384, 768, 1024, 1536];
    }
    println!("CPU features: {}", simd::cpu_features().join(" "));
    for dimensions in dimensions {
        assert!(
            dimensions > 0 && dimensions % 64 == 0,
            "dimensions must be a multiple of 64"
        );
        let input = Input::new(dimensions);
        let levels = simd::available();
        let times: Vec<_> = levels
            .iter()
            .filter_map(|&level| simd::for_level(level))
            .map(|kernels| input.times(kernels))
            .collect();
        print!("\n{dimensions:>5} dimensions, ns");
        for level in &levels {
            print!("{level:>10}");
        }
        println!();
        for (row, (name, _)) in times[0].iter().enumerate() {
            print!("{name:>20}");
            for column in &times {
                print!("{:>10.2}", column[row].1);
            }
            println!();
        }
    }
}
