//! Measures recall and single-thread speed on vectors in raw `f32` files, for work on the engine itself.
//!
//! `cargo run --release -p rabitq --example measure -- <folder> <dimensions> [kind] [bits] [rerank]`
//! where the folder holds `base.f32`, `queries.f32` and `truth.i32` (100 a query).

use std::path::Path;
use std::time::Instant;

use rabitq::{Bits, BuildOptions, Control, Index, Kind, Metric, SearchOptions};

fn floats(path: &Path) -> Vec<f32> {
    std::fs::read(path)
        .unwrap()
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
        .collect()
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let folder = Path::new(&arguments[0]);
    let dimensions: usize = arguments[1].parse().unwrap();
    let kind = arguments
        .get(2)
        .map_or(Kind::RabitqPlus, |name| Kind::from_name(name).unwrap());
    let bits = arguments
        .get(3)
        .map(|bits| Bits::from_total(bits.parse().unwrap()).unwrap());
    let rerank_factor = arguments.get(4).map(|factor| factor.parse().unwrap());
    let (base, queries) = (
        floats(&folder.join("base.f32")),
        floats(&folder.join("queries.f32")),
    );
    let truth: Vec<i32> = std::fs::read(folder.join("truth.i32"))
        .unwrap()
        .chunks_exact(4)
        .map(|b| i32::from_le_bytes(b.try_into().unwrap()))
        .collect();

    let start = Instant::now();
    let options = BuildOptions {
        bits,
        rerank_factor,
        ..BuildOptions::new(kind, dimensions, Metric::Cosine)
    };
    let index = Index::build(&base, None, &options, Control::default()).unwrap();
    println!(
        "{kind}: {} rows built in {:.2?}, {:?}",
        index.len(),
        start.elapsed(),
        index.stats()
    );
    for target in [
        None,
        Some(0.8),
        Some(0.9),
        Some(0.95),
        Some(0.99),
        Some(0.999),
    ] {
        let options = SearchOptions {
            recall_target: target,
            ..SearchOptions::default()
        };
        let mut times = vec![];
        let mut found = 0;
        let rounds = 3;
        for _ in 0..rounds {
            for (query, truth) in queries
                .chunks_exact(dimensions)
                .zip(truth.chunks_exact(100))
            {
                let start = Instant::now();
                let hits = index
                    .search(query, 10, &options, Control::default())
                    .unwrap();
                times.push(start.elapsed());
                found += hits
                    .iter()
                    .filter(|hit| truth[..10].contains(&(hit.id as i32)))
                    .count();
            }
        }
        times.sort();
        let (median, p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
        let recall = found as f64 / (times.len() * 10) as f64;
        println!(
            "target {target:?}: recall@10 {recall:.4}, median {median:.1?} ({:.0} QPS), p99 {p99:.1?}",
            1.0 / median.as_secs_f64()
        );
    }
}
