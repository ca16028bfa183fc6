//! Every kernel at every level of this CPU, on data in the cache and out of it.
//!
//! ```text
//! cargo bench -p simd                              all, in about six minutes
//! cargo bench -p simd -- fastscan/384              those whose name contains a text
//! ```
//!
//! A name is kernel, dimensions, place of the data, level. A time is that of one vector (of one value for kernels without
//! dimensions), whatever number of them a call takes, and counts processor time where the system tells it (Unix).

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use simd::{Blocks, BoundParams, Kernels};

/// Where the data of a benchmark lies, by its size: within the second-level cache of a core, or beyond the last-level one.
const PLACES: [(&str, usize); 2] = [("cached", 256 << 10), ("memory", 128 << 20)];

/// Of small, usual and large embedding models.
const DIMENSIONS: [usize; 3] = [384, 768, 1536];

/// Nanoseconds this thread has spent on a processor: what others do there meanwhile does not count, though they share the
/// caches.
#[cfg(unix)]
fn now() -> f64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer leads to a `timespec`, which the call fills.
    let status = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(status, 0, "no clock for the time of a thread");
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// Nanoseconds since the first call.
#[cfg(not(unix))]
fn now() -> f64 {
    static FIRST: std::sync::LazyLock<std::time::Instant> =
        std::sync::LazyLock::new(std::time::Instant::now);
    FIRST.elapsed().as_secs_f64() * 1e9
}

/// What [`now`] measures, in fractions of a nanosecond.
struct ProcessorTime;

impl Measurement for ProcessorTime {
    type Intermediate = f64;
    type Value = f64;

    fn start(&self) -> f64 {
        now()
    }

    fn end(&self, start: f64) -> f64 {
        now() - start
    }

    fn add(&self, a: &f64, b: &f64) -> f64 {
        a + b
    }

    fn zero(&self) -> f64 {
        0.0
    }

    fn to_f64(&self, value: &f64) -> f64 {
        *value
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

/// Benchmarks of one kernel.
struct Bench<'a> {
    group: BenchmarkGroup<'a, ProcessorTime>,
}

impl<'a> Bench<'a> {
    fn new(criterion: &'a mut Criterion<ProcessorTime>, kernel: &str) -> Self {
        let mut group = criterion.benchmark_group(kernel);
        group
            .warm_up_time(Duration::from_millis(200))
            .measurement_time(Duration::from_millis(800))
            .sample_size(20);
        Self { group }
    }

    /// Times `pass`, which handles `vectors` of them, at every level.
    fn run(&mut self, name: &str, vectors: usize, mut pass: impl FnMut(&Kernels)) {
        for level in simd::available() {
            let Some(kernels) = simd::for_level(level) else {
                continue;
            };
            self.group
                .bench_function(format!("{name}/{level}"), |bencher| {
                    bencher.iter_custom(|wanted| {
                        let passes = wanted.div_ceil(vectors as u64);
                        let start = now();
                        for _ in 0..passes {
                            pass(kernels);
                        }
                        let share = wanted as f64 / (passes * vectors as u64) as f64;
                        (now() - start) * share
                    });
                });
        }
    }

    /// Times a kernel that takes one row of `width(dimensions)` values at a time, in order.
    fn rows<T: Copy, Q>(
        &mut self,
        width: fn(usize) -> usize,
        value: fn(u32) -> T,
        query: fn(usize) -> Q,
        kernel: impl Fn(&Kernels, &[T], &Q),
    ) {
        for dimensions in DIMENSIONS {
            let (width, query) = (width(dimensions), query(dimensions));
            for (place, bytes) in PLACES {
                let rows = bytes / size_of::<T>() / width;
                let data = values(rows * width, value);
                self.run(&format!("{dimensions}/{place}"), rows, |kernels| {
                    for row in data.chunks_exact(width) {
                        kernel(kernels, row, &query);
                    }
                });
            }
        }
    }
}

/// Random values, the same in every run.
fn values<T>(len: usize, value: fn(u32) -> T) -> Vec<T> {
    let mut state = 1u64;
    let next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        value((state >> 33) as u32)
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// Uniform in `-1..1`.
fn unit(random: u32) -> f32 {
    random as f32 / (1u32 << 30) as f32 - 1.0
}

fn byte(random: u32) -> u8 {
    random as u8
}

fn sums(criterion: &mut Criterion<ProcessorTime>) {
    let query = |dimensions| values(dimensions, unit);
    let mut bench = Bench::new(criterion, "dot");
    bench.rows(
        |d| d,
        unit,
        query,
        |kernels, row, query| {
            black_box(kernels.dot(row, query));
        },
    );
    drop(bench);
    let mut bench = Bench::new(criterion, "l2_squared");
    bench.rows(
        |d| d,
        unit,
        query,
        |kernels, row, query| {
            black_box(kernels.l2_squared(row, query));
        },
    );
}

fn codes(criterion: &mut Criterion<ProcessorTime>) {
    let mut bench = Bench::new(criterion, "dot_u4_i8");
    bench.rows(
        |d| d / 2,
        byte,
        |d| values(d, |random| random as i8),
        |kernels, row, query| {
            black_box(kernels.dot_u4_i8(row, query));
        },
    );
    drop(bench);
    let mut bench = Bench::new(criterion, "dot_u8_i16");
    bench.rows(
        |d| d,
        byte,
        |d| values(d, |random| random as i16 / 32),
        |kernels, row, query| {
            black_box(kernels.dot_u8_i16(row, query));
        },
    );
    drop(bench);
    let mut bench = Bench::new(criterion, "quantize");
    for dimensions in DIMENSIONS {
        let mut out = vec![0; dimensions];
        for (place, bytes) in PLACES {
            let rows = bytes / 4 / dimensions;
            let data = values(rows * dimensions, unit);
            bench.run(&format!("{dimensions}/{place}"), rows, |kernels| {
                for row in data.chunks_exact(dimensions) {
                    black_box(kernels.quantize(row, 7.5, 8.0, 15.0, black_box(&mut out)));
                }
            });
        }
    }
}

/// Kernels that change their vectors in place.
fn in_place(criterion: &mut Criterion<ProcessorTime>) {
    let mut bench = Bench::new(criterion, "axpy");
    for dimensions in DIMENSIONS {
        let x = values(dimensions, unit);
        for (place, bytes) in PLACES {
            let rows = bytes / 4 / dimensions;
            let mut data = values(rows * dimensions, unit);
            // A factor so small that sums stay what they are.
            bench.run(&format!("{dimensions}/{place}"), rows, |kernels| {
                for row in data.chunks_exact_mut(dimensions) {
                    kernels.axpy(1e-20, &x, row);
                }
            });
        }
    }
    drop(bench);
    let mut bench = Bench::new(criterion, "fht");
    for length in DIMENSIONS.map(|dimensions| 1 << dimensions.ilog2()) {
        for (place, bytes) in PLACES {
            let rows = bytes / 4 / length;
            // Zeros stay finite however often they are transformed.
            let mut data = vec![0.0; rows * length];
            bench.run(&format!("{length}/{place}"), rows, |kernels| {
                for row in data.chunks_exact_mut(length) {
                    kernels.fht(black_box(row));
                }
            });
        }
    }
}

fn scans(criterion: &mut Criterion<ProcessorTime>) {
    let mut bench = Bench::new(criterion, "fastscan");
    for dimensions in DIMENSIONS {
        let lut = values(4 * dimensions, byte);
        for (place, bytes) in PLACES {
            let rows = bytes / (dimensions / 8) / 32 * 32;
            let data = values(rows * dimensions / 8, byte);
            let mut out = vec![0; 4096.min(rows)];
            bench.run(&format!("{dimensions}/{place}"), rows, |kernels| {
                for block in data.chunks(out.len() * dimensions / 8) {
                    let vectors = block.len() * 8 / dimensions;
                    kernels.fastscan(block, &lut, black_box(&mut out[..vectors]));
                }
            });
        }
    }
    drop(bench);
    let mut bench = Bench::new(criterion, "bounds");
    let params = BoundParams {
        delta: 0.01,
        bias: -1.0,
        add: 1.0,
        slack: 0.1,
    };
    for (place, bytes) in PLACES {
        let rows = bytes / 20;
        let acc = values(rows, |random| random >> 16);
        let factors = [0; 2].map(|_: u8| values(rows, unit));
        let (mut estimates, mut lowers) = (vec![0.0; rows], vec![0.0; rows]);
        bench.run(place, rows, |kernels| {
            let [add, rescale] = &factors;
            let (estimates, lowers) = (black_box(&mut estimates), black_box(&mut lowers));
            kernels.bounds(&acc, add, rescale, &params, estimates, lowers);
        });
    }
    drop(bench);
    let mut bench = Bench::new(criterion, "prune");
    for dimensions in DIMENSIONS {
        let lut = values(4 * dimensions, byte);
        for (place, bytes) in PLACES {
            let rows = bytes / (dimensions / 8 + 8) / 32 * 32;
            let codes = values(rows * dimensions / 8, byte);
            let [f_add, f_rescale] = [0; 2].map(|_: u8| values(rows, unit));
            let blocks = Blocks {
                codes: &codes,
                f_add: &f_add,
                f_rescale: &f_rescale,
                ahead: 1,
            };
            let mut picks = Vec::new();
            // Lists let hardly anything through.
            let limit = -1e9;
            bench.run(&format!("{dimensions}/{place}"), rows, |kernels| {
                picks.clear();
                kernels.prune(&blocks, &lut, &params, limit, black_box(&mut picks));
            });
        }
    }
    drop(bench);
    let mut bench = Bench::new(criterion, "select_le");
    for (share, threshold) in [("none", -2.0), ("1 in 100", -0.98), ("half", 0.0)] {
        for (place, bytes) in PLACES {
            let data = values(bytes / 4, unit);
            let mut out = Vec::with_capacity(data.len());
            bench.run(&format!("{share}/{place}"), data.len(), |kernels| {
                out.clear();
                kernels.select_le(&data, threshold, 0, black_box(&mut out));
            });
        }
    }
}

criterion_group!(
    name = kernels;
    config = Criterion::default().with_measurement(ProcessorTime);
    targets = scans, codes, sums, in_place
);
criterion_main!(kernels);
