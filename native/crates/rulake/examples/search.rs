//! Measures searches through a collection beside searches of its index alone, and what comes first: opening, the first
//! query, the first one with a filter.
//!
//! `cargo run --release -p rulake --example search -- <folder> <dimensions> <rows> <lake> [queries]`
//! where the folder holds `base.f32` and `queries.f32`. More rows than it has are extended from them: two real rows mixed
//! 4 to 1, and a little noise. The lake is made if it is not there. CPU times are read from `/proc`, so Linux only.

use std::path::{Path, PathBuf};
use std::time::Instant;

use rabitq::{Control, Index, OpenOptions, SearchOptions};
use rulake::{
    Batch, Collection, CollectionOptions, Durability, Include, Lake, LakeOptions, SearchRequest,
};

const BATCH: usize = 5000;
const ROUNDS: usize = 9;
const K: usize = 10;

fn floats(path: &Path) -> Vec<f32> {
    std::fs::read(path)
        .unwrap()
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
        .collect()
}

/// Vectors in the manner of `base`, whose own come first.
struct Vectors<'a> {
    base: &'a [f32],
    dimensions: usize,
    state: u64,
}

impl Vectors<'_> {
    fn next(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state >> 11
    }

    fn row(&mut self, i: usize) -> Vec<f32> {
        let (base, d) = (self.base, self.dimensions);
        let known = base.len() / d;
        let row = |i: usize| &base[i * d..(i + 1) * d];
        if i < known {
            return row(i).to_vec();
        }
        let (a, b) = (self.next() as usize % known, self.next() as usize % known);
        let mut mixed = Vec::with_capacity(d);
        for (a, b) in row(a).iter().zip(row(b)) {
            let noise = (self.next() % 2001) as f32 / 1000.0 - 1.0;
            mixed.push(0.8 * a + 0.2 * b + 0.02 * noise);
        }
        mixed
    }
}

fn fill(docs: &Collection, base: &[f32], dimensions: usize, rows: usize) {
    let mut vectors = Vectors {
        base,
        dimensions,
        state: 0x9E37_79B9_7F4A_7C15,
    };
    for first in (0..rows).step_by(BATCH) {
        let mut batch = Batch::new();
        for i in first..(first + BATCH).min(rows) {
            let text = format!(
                "{} {i}",
                "a passage of text has about this length ".repeat(5)
            );
            let metadata = format!(r#"{{"bucket":{},"group":{}}}"#, i % 100, (i * 7 + 3) % 10);
            let vector = vectors.row(i);
            batch
                .push_with_vector(&i.to_string(), &vector, Some(&text), Some(&metadata))
                .unwrap();
        }
        docs.upsert_and_wait(batch, Durability::Buffered).unwrap();
    }
    docs.compact().unwrap();
}

/// A search whose answer is dropped.
type Work<'a> = &'a dyn Fn(&[f32]);

/// The index files of a lake.
fn index_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            index_files(&path, found);
        } else if path.ends_with("index.rbq") {
            found.push(path);
        }
    }
}

/// Microseconds of CPU time of this thread.
fn cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e3
}

fn timed(what: &str, work: impl FnOnce()) {
    let start = Instant::now();
    work();
    println!("{what}: {:.2?}", start.elapsed());
}

fn request(filter: Option<&str>, include: bool) -> SearchRequest {
    SearchRequest {
        k: K,
        filter: filter.map(str::to_owned),
        include: Include {
            text: include,
            metadata: include,
            vector: false,
        },
        ..SearchRequest::default()
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let folder = Path::new(&arguments[0]);
    let dimensions: usize = arguments[1].parse().unwrap();
    let rows: usize = arguments[2].parse().unwrap();
    let path = Path::new(&arguments[3]);
    let wanted: usize = arguments.get(4).map_or(1000, |n| n.parse().unwrap());
    let queries = floats(&folder.join("queries.f32"));
    let queries: Vec<&[f32]> = queries.chunks_exact(dimensions).take(wanted).collect();

    if !path.exists() {
        let base = floats(&folder.join("base.f32"));
        let lake = Lake::open(path, LakeOptions::default()).unwrap();
        let docs = lake
            .collection("docs", CollectionOptions::default())
            .unwrap();
        timed("fill and compact", || fill(&docs, &base, dimensions, rows));
        lake.close().unwrap();
    }

    let mut files = Vec::new();
    index_files(path, &mut files);
    let start = Instant::now();
    let lake = Lake::open(path, LakeOptions::default()).unwrap();
    let docs = lake
        .collection("docs", CollectionOptions::default())
        .unwrap();
    println!("open: {:.2?}", start.elapsed());
    let search =
        |query: &[f32], request: &SearchRequest| docs.search(query, 1, request, None).unwrap();
    let whole = request(None, true);
    let ids = request(None, false);
    timed("first query", || drop(search(queries[0], &whole)));
    timed("the same again", || drop(search(queries[0], &whole)));
    timed("second query", || drop(search(queries[1], &whole)));
    let one = request(Some(r#"{"bucket":7}"#), true);
    timed("first with a filter of 1 %", || {
        drop(search(queries[2], &one));
    });
    timed("the same filter again", || drop(search(queries[3], &one)));
    let ten = request(Some(r#"{"group":7}"#), true);
    timed("first with a filter of 10 %", || {
        drop(search(queries[4], &ten));
    });
    println!("{:?}", docs.stats().unwrap());
    // Files of older generations are kept for a while.
    let index = files
        .iter()
        .map(|file| Index::open(file, OpenOptions::default(), Control::default()).unwrap())
        .find(|index| index.len() == docs.len());
    let Some(index) = index else {
        println!("several segments: no index to compare with");
        return;
    };
    let bare = |query: &[f32]| {
        let hits = index.search(query, K, &SearchOptions::default(), Control::default());
        assert_eq!(hits.unwrap().len(), K);
    };
    let works: [(&str, Work<'_>); 3] = [
        ("index", &bare),
        ("collection, ids", &|query| drop(search(query, &ids))),
        ("with text and metadata", &|query| {
            drop(search(query, &whole));
        }),
    ];
    let mut times = [const { Vec::new() }; 3];
    for round in 0..=ROUNDS {
        for ((_, work), times) in works.iter().zip(&mut times) {
            let start = cpu();
            for query in &queries {
                work(query);
            }
            // The first round reads and checks what the others find in memory.
            if round > 0 {
                times.push((cpu() - start) / queries.len() as f64);
            }
        }
    }
    for ((what, _), times) in works.iter().zip(&mut times) {
        times.sort_by(f64::total_cmp);
        println!(
            "{what}: {:.1} µs of CPU a query, at best {:.1}",
            times[ROUNDS / 2],
            times[0]
        );
    }
}
