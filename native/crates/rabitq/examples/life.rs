//! Measures an index whose rows come and go, beside one built anew from the rows it has at the end.
//!
//! `cargo run --release -p rabitq --example life -- <folder> <dimensions> [kind]`
//! where the folder holds `base.f32` and `queries.f32`. The index begins with the first half of the rows; in ten rounds half
//! of these leave and as many of the second half come, and upkeep runs after each.

use std::path::Path;
use std::time::Instant;

use rabitq::{BuildOptions, Control, Index, Kind, Metric, SearchOptions};

fn floats(path: &Path) -> Vec<f32> {
    std::fs::read(path)
        .unwrap()
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
        .collect()
}

/// CPU seconds of this process.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap();
    stat.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}

fn measure(name: &str, index: &Index, queries: &[f32], truth: &[Vec<i64>]) {
    let dimensions = index.options().dimensions;
    for recall_target in [Some(0.9), Some(0.95), Some(0.99)] {
        let options = SearchOptions {
            recall_target,
            ..SearchOptions::default()
        };
        let (start, mut found) = (cpu(), 0);
        for (query, truth) in queries.chunks_exact(dimensions).zip(truth) {
            let hits = index
                .search(query, 10, &options, Control::default())
                .unwrap();
            found += hits.iter().filter(|hit| truth.contains(&hit.id)).count();
        }
        println!(
            "{name}, target {recall_target:?}: recall@10 {:.4}, {:.1} us of CPU a query",
            found as f64 / (truth.len() * 10) as f64,
            (cpu() - start) / truth.len() as f64 * 1e6
        );
    }
    println!("  {:?}", index.stats());
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let folder = Path::new(&arguments[0]);
    let dimensions: usize = arguments[1].parse().unwrap();
    let kind = arguments
        .get(2)
        .map_or(Kind::RabitqIvf, |name| Kind::from_name(name).unwrap());
    let (base, queries) = (
        floats(&folder.join("base.f32")),
        floats(&folder.join("queries.f32")),
    );
    let half = base.len() / dimensions / 2;
    let rows =
        |range: std::ops::Range<usize>| &base[range.start * dimensions..range.end * dimensions];
    let options = BuildOptions::new(kind, dimensions, Metric::Cosine);
    let index = Index::build(rows(0..half), None, &options, Control::default()).unwrap();

    let (mut adding, mut added, mut deleting, mut keeping) = (0.0, 0, 0.0, 0.0);
    for round in 0..10 {
        let gone: Vec<i64> = (0..half as i64)
            .filter(|id| id.wrapping_mul(0x9E37_79B9) >> 7 & 1 == 0 && id % 10 == round)
            .collect();
        let start = Instant::now();
        let count = index.delete(&gone).unwrap();
        deleting += start.elapsed().as_secs_f64();
        let first = half + added;
        for start in (first..first + count).step_by(1000) {
            let end = (start + 1000).min(first + count);
            let ids: Vec<i64> = (start as i64..end as i64).collect();
            let clock = Instant::now();
            index
                .add(&ids, rows(start..end), Control::default())
                .unwrap();
            adding += clock.elapsed().as_secs_f64();
        }
        added += count;
        let start = cpu();
        let clock = Instant::now();
        while index.maintain(Control::default()).unwrap() {}
        keeping += clock.elapsed().as_secs_f64().max(cpu() - start);
    }
    println!(
        "{added} rows added at {:.0} a second, deleted at {:.0} a second, upkeep {keeping:.1} s",
        added as f64 / adding,
        added as f64 / deleting
    );

    let all: Vec<(i64, Vec<f32>)> = index.rows().unwrap().collect::<Result<_, _>>().unwrap();
    let (ids, vectors): (Vec<i64>, Vec<Vec<f32>>) = all.into_iter().unzip();
    let vectors = vectors.concat();
    let exact = BuildOptions::new(Kind::FlatF32, dimensions, Metric::Cosine);
    let exact = Index::build(&vectors, Some(&ids), &exact, Control::default()).unwrap();
    let truth = exact
        .search_batch(&queries, 10, &SearchOptions::default(), Control::default())
        .unwrap();
    let truth: Vec<Vec<i64>> = truth
        .iter()
        .map(|hits| hits.iter().map(|hit| hit.id).collect())
        .collect();
    let fresh = Index::build(&vectors, Some(&ids), &options, Control::default()).unwrap();
    for _ in 0..2 {
        measure("kept", &index, &queries, &truth);
        measure("built anew", &fresh, &queries, &truth);
    }
}
