//! Measures recall and single-thread speed on vectors in raw `f32` files, for work on the engine itself.
//!
//! `cargo run --release -p rabitq --example measure -- <folder> <dimensions> [name=value ...]`
//!
//! where the folder holds `base.f32` and `queries.f32`, row-major; the truth is what a `FlatF32Index` finds.
//!
//! | name | what |
//! |---|---|
//! | `kind`, `metric`, `bits`, `rerank` | of the index; `RabitqIvfIndex`, `cosine` |
//! | `rows` | only so many of the first |
//! | `sigma` | rows are scaled by `exp(sigma · normal)`: uneven norms |
//! | `like` | queries `as-given`, `mid` (between two rows), `noisy` (rows with noise), `gauss` (random directions) |
//! | `churn` | builds with so much less than all rows, adds them in rounds while as many of the first are deleted: `0.5` |
//! | `save` | `yes`: saves and opens the index after churn |
//! | `k`, `targets`, `queries` | comma-separated, and how many: `1,10,100`, `0.9,0.95,default,0.99,0.999`, 1000 |
//! | `filters` | shares of rows allowed, in percent: `0.1,1,10,50` |
//! | `allow` | which rows these are: at `random`, the most like row `anchor` (`topic`), the least like it (`far`), the longest (`long`) |
//! | `filter-targets` | comma-separated: `default` |

use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

use rabitq::{
    AllowList, Bits, BuildOptions, Control, Hit, Index, Kind, Metric, OpenOptions, SearchOptions,
};

fn floats(path: &Path) -> Vec<f32> {
    std::fs::read(path)
        .unwrap()
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
        .collect()
}

/// Normal numbers, the same every time.
struct Normal(u64);

impl Normal {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn next(&mut self) -> f32 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        (radius * (2.0 * std::f64::consts::PI * self.uniform()).cos()) as f32
    }
}

struct Arguments(HashMap<String, String>);

impl Arguments {
    fn get<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        self.0.get(name).map_or(default, String::as_str)
    }

    fn numbers(&self, name: &str, default: &str) -> Vec<f64> {
        let list = self.get(name, default).split(',');
        list.filter_map(|number| number.parse().ok()).collect()
    }
}

fn main() {
    let mut given = std::env::args().skip(1);
    let folder = given.next().expect("a folder");
    let dimensions: usize = given.next().expect("dimensions").parse().unwrap();
    let named = given.map(|pair| {
        let (name, value) = pair.split_once('=').expect("name=value");
        (name.to_owned(), value.to_owned())
    });
    let arguments = Arguments(named.collect());
    let folder = Path::new(&folder);
    let mut base = floats(&folder.join("base.f32"));
    if let Some(&rows) = arguments.numbers("rows", "").first() {
        base.truncate(rows as usize * dimensions);
    }
    let mut normal = Normal(7);
    if let Some(sigma) = arguments.numbers("sigma", "").first() {
        for row in base.chunks_exact_mut(dimensions) {
            let scale = (sigma * f64::from(normal.next())).exp() as f32;
            for value in row {
                *value *= scale;
            }
        }
    }
    let count = arguments.numbers("queries", "1000")[0] as usize;
    let queries = queries(&arguments, folder, &base, dimensions, count, &mut normal);
    let index = build(&arguments, &base, dimensions);
    let rows: Vec<(i64, Vec<f32>)> = index
        .rows()
        .map_or_else(|_| vec![], |rows| rows.collect::<Result<_, _>>().unwrap());
    let (ids, vectors): (Vec<i64>, Vec<Vec<f32>>) = rows.into_iter().unzip();
    let options = BuildOptions::new(Kind::FlatF32, dimensions, index.options().metric);
    let exact = if ids.is_empty() {
        Index::build(&base, None, &options, Control::default())
    } else {
        Index::build(vectors.concat(), Some(&ids), &options, Control::default())
    };
    let exact = exact.unwrap();
    drop((vectors, base));
    let bench = Bench {
        index: &index,
        exact: &exact,
        queries: &queries,
        dimensions,
    };
    for k in arguments.numbers("k", "1,10,100") {
        bench.targets(&arguments, k as usize);
    }
    for share in arguments.numbers("filters", "") {
        bench.filters(&arguments, &ids, share / 100.0);
    }
}

fn queries(
    arguments: &Arguments,
    folder: &Path,
    base: &[f32],
    dimensions: usize,
    count: usize,
    normal: &mut Normal,
) -> Vec<f32> {
    let rows = base.len() / dimensions;
    let row = |i: usize| &base[i % rows * dimensions..(i % rows + 1) * dimensions];
    let length = |v: &[f32]| v.iter().map(|x| x * x).sum::<f32>().sqrt();
    let some = |i: usize| i * 7919 % rows;
    match arguments.get("like", "as-given") {
        "as-given" => {
            let mut queries = floats(&folder.join("queries.f32"));
            queries.truncate(count * dimensions);
            queries
        }
        "mid" => (0..count)
            .flat_map(|i| {
                let (a, b) = (row(some(i)), row(some(i) + rows / 3));
                a.iter().zip(b).map(|(a, b)| (a + b) / 2.0)
            })
            .collect(),
        "noisy" => (0..count)
            .flat_map(|i| {
                let unit = 0.7 * length(row(some(i))) / (dimensions as f32).sqrt();
                let noisy: Vec<f32> = row(some(i))
                    .iter()
                    .map(|v| v + unit * normal.next())
                    .collect();
                noisy
            })
            .collect(),
        "gauss" => (0..count * dimensions).map(|_| normal.next()).collect(),
        other => panic!("like={other} is unknown"),
    }
}

fn build(arguments: &Arguments, base: &[f32], dimensions: usize) -> Index {
    let number = |name: &str| arguments.numbers(name, "").first().map(|&n| n as u32);
    let kind = Kind::from_name(arguments.get("kind", "RabitqIvfIndex")).unwrap();
    let metric = Metric::from_name(arguments.get("metric", "cosine")).unwrap();
    let options = BuildOptions {
        bits: number("bits").map(|bits| Bits::from_total(bits).unwrap()),
        rerank_factor: number("rerank"),
        lists: number("lists"),
        ..BuildOptions::new(kind, dimensions, metric)
    };
    let churn = arguments.numbers("churn", "0")[0];
    let rows = base.len() / dimensions;
    let start = Instant::now();
    let first = ((1.0 - churn) * rows as f64) as usize;
    let built = &base[..first * dimensions];
    let mut index = Index::build(built, None, &options, Control::default()).unwrap();
    println!(
        "{kind} {metric}: {} rows built in {:.2?}, {:?}",
        index.len(),
        start.elapsed(),
        index.stats()
    );
    const ROUNDS: usize = 20;
    let step = |round: usize| first + (rows - first) * round / ROUNDS;
    for round in 0..ROUNDS {
        let (from, to) = (step(round), step(round + 1));
        if from == to {
            continue;
        }
        let ids: Vec<i64> = (from as i64..to as i64).collect();
        let vectors = &base[from * dimensions..to * dimensions];
        index.add(&ids, vectors, Control::default()).unwrap();
        // Spread over all rows that were there first.
        let gone = (0..to - from).map(|i| ((i * ROUNDS + round) % first) as i64);
        index.delete(&gone.collect::<Vec<_>>()).unwrap();
    }
    if arguments.get("save", "no") == "yes" {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index.rbq");
        index.save(&path, Control::default()).unwrap();
        index = Index::open(&path, OpenOptions::default(), Control::default()).unwrap();
    }
    if churn > 0.0 {
        println!("after churn: {:?}", index.stats());
    }
    index
}

struct Bench<'a> {
    index: &'a Index,
    exact: &'a Index,
    queries: &'a [f32],
    dimensions: usize,
}

impl Bench<'_> {
    fn targets(&self, arguments: &Arguments, k: usize) {
        let flat = SearchOptions::default();
        let truth = self
            .exact
            .search_batch(self.queries, k, &flat, Control::default())
            .unwrap();
        for target in arguments
            .get("targets", "0.9,0.95,default,0.99,0.999")
            .split(',')
        {
            let options = SearchOptions {
                recall_target: target.parse().ok(),
                ..SearchOptions::default()
            };
            let (found, times) = self.run(self.index, k, &options);
            let explained = self.explained(k, &options);
            println!(
                "k {k:3} target {target:7}: recall {:.4}  {}  {explained}",
                recall(&truth, &found),
                speed(times)
            );
        }
    }

    fn filters(&self, arguments: &Arguments, ids: &[i64], share: f64) {
        let wanted = ((ids.len() as f64 * share) as usize).max(1);
        let at = arguments.numbers("anchor", "0")[0] as usize;
        let (_, anchor) = self.exact.rows().unwrap().nth(at).unwrap().unwrap();
        let anchor = &anchor;
        for name in arguments.get("allow", "random,topic,far,long").split(',') {
            let allowed = self.allowed(name, anchor, ids, wanted);
            let rows = allowed.len();
            let allow = AllowList::new(allowed);
            let with = |target: Option<f32>| SearchOptions {
                allow: Some(&allow),
                recall_target: target,
                ..SearchOptions::default()
            };
            for k in [1, 10, 100] {
                let (truth, exact) = self.run(self.exact, k, &with(None));
                for target in arguments.get("filter-targets", "default").split(',') {
                    let options = with(target.parse().ok());
                    let (found, times) = self.run(self.index, k, &options);
                    println!(
                        "filter {:4.1} % {name} ({rows} rows) k {k:3} target {target:7}: recall {:.4}  {}  exact scan {}  {}",
                        share * 100.0,
                        recall(&truth, &found),
                        speed(times),
                        speed(exact.clone()),
                        self.explained(k, &options)
                    );
                }
            }
        }
    }

    /// About so many rows, of those of the truth.
    fn allowed(&self, name: &str, anchor: &[f32], ids: &[i64], wanted: usize) -> Vec<i64> {
        let ordered = |query: &[f32]| -> Vec<i64> {
            let all = SearchOptions::default();
            let hits = self
                .exact
                .search(query, ids.len(), &all, Control::default());
            hits.unwrap().iter().map(|hit| hit.id).collect()
        };
        match name {
            "random" => {
                let every = (ids.len() / wanted) as i64;
                let chosen = ids.iter().copied();
                chosen
                    .filter(|id| (id.wrapping_mul(0x9E37_79B9) >> 7) % every == 0)
                    .collect()
            }
            // The rows most like one query are one topic; other queries ask for it, too.
            "topic" => ordered(anchor)[..wanted].to_vec(),
            "far" => ordered(anchor).split_off(ids.len() - wanted),
            "long" => {
                let mut rows: Vec<(f32, i64)> = self
                    .exact
                    .rows()
                    .unwrap()
                    .map(|row| {
                        let (id, vector) = row.unwrap();
                        (vector.iter().map(|x| x * x).sum::<f32>(), id)
                    })
                    .collect();
                rows.sort_by(|a, b| b.0.total_cmp(&a.0));
                rows.into_iter().take(wanted).map(|(_, id)| id).collect()
            }
            other => panic!("allow={other} is unknown"),
        }
    }

    fn run(
        &self,
        index: &Index,
        k: usize,
        options: &SearchOptions<'_>,
    ) -> (Vec<Vec<Hit>>, Vec<f64>) {
        let mut times = vec![];
        let found = self.queries.chunks_exact(self.dimensions).map(|query| {
            let start = Instant::now();
            let hits = index.search(query, k, options, Control::default()).unwrap();
            times.push(start.elapsed().as_secs_f64() * 1e6);
            hits
        });
        (found.collect(), times)
    }

    /// Means over some queries.
    fn explained(&self, k: usize, options: &SearchOptions<'_>) -> String {
        const SOME: usize = 200;
        let (mut sums, mut times) = ([0; 4], [0.0; 4]);
        for query in self.queries.chunks_exact(self.dimensions).take(SOME) {
            let told = self.index.explain(query, k, options, Control::default());
            let told = told.unwrap();
            let scanned = told.rows_scanned;
            let numbers = [
                told.lists_probed,
                scanned,
                scanned - told.rows_pruned,
                told.rows_reranked,
            ];
            sums.iter_mut()
                .zip(numbers)
                .for_each(|(sum, number)| *sum += number);
            let spent = told.times;
            let stages = [spent.prepare, spent.route, spent.scan, spent.rerank];
            times
                .iter_mut()
                .zip(stages)
                .for_each(|(sum, time)| *sum += time.as_secs_f64());
        }
        let [lists, scanned, refined, reranked] = sums.map(|sum| sum / SOME);
        let [prepare, route, scan, rerank] = times.map(|time| time * 1e6 / SOME as f64);
        format!(
            "lists {lists}, scanned {scanned}, refined {refined}, reranked {reranked}; \
             us: prepare {prepare:.1}, route {route:.1}, scan {scan:.1}, rerank {rerank:.1}"
        )
    }
}

fn recall(truth: &[Vec<Hit>], found: &[Vec<Hit>]) -> f64 {
    let total: usize = truth.iter().map(Vec::len).sum();
    let both = truth.iter().zip(found).map(|(truth, found)| {
        // Rows as near as the last one count, too.
        let last = truth.last().map_or(0.0, |hit| hit.distance);
        let right =
            |hit: &&Hit| hit.distance <= last || truth.iter().any(|true_hit| true_hit.id == hit.id);
        found.iter().filter(right).count().min(truth.len())
    });
    both.sum::<usize>() as f64 / total.max(1) as f64
}

fn speed(mut times: Vec<f64>) -> String {
    times.sort_by(f64::total_cmp);
    let mean = times.iter().sum::<f64>() / times.len() as f64;
    let median = times[times.len() / 2];
    format!(
        "median {median:6.1} us ({:6.0}/s), mean {mean:6.1} us",
        1e6 / median
    )
}
