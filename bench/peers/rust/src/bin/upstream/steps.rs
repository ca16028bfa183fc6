//! Building and searching, measured.

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Write};
use std::time::Instant;

use ruvector_rabitq::persist::{load_index, save_index};
use ruvector_rabitq::{AnnIndex, RabitqPlusIndex, SearchResult};
use serde_json::{Value, json};

use bench_peers::clock::{Stopwatch, peak_bytes, resident_bytes, timed_round};
use bench_peers::matrix::{read_ints, read_unit_rows};
use bench_peers::request::Request;

const SEED: u64 = 42;

pub fn build(request: &Request) -> Result<Value, Box<dyn Error>> {
    let rows = read_unit_rows(&request.base, request.dimensions)?;
    let items = rows.into_iter().enumerate().collect();
    let factor = request.rerank_factors()?.first().copied().unwrap_or(20);
    let watch = Stopwatch::start();
    let index = RabitqPlusIndex::from_vectors_parallel(request.dimensions, SEED, factor, items)?;
    let built = watch.read();
    let peak = peak_bytes();
    // Saving asks for the rows once more; a copy kept from before would count as memory of the build.
    let rows = read_unit_rows(&request.base, request.dimensions)?;
    let items: Vec<(usize, Vec<f32>)> = rows.into_iter().enumerate().collect();
    let watch = Stopwatch::start();
    let mut file = BufWriter::new(File::create(&request.index)?);
    save_index(&index, SEED, &items, &mut file)?;
    file.flush()?;
    let saved = watch.read();
    Ok(json!({
        "build": built.json(),
        "save": saved.json(),
        "diskBytes": fs::metadata(&request.index)?.len(),
        "memoryBytes": index.memory_bytes(),
        "peakBytes": peak,
    }))
}

pub fn search(request: &Request) -> Result<Value, Box<dyn Error>> {
    let mut queries = read_unit_rows(&request.queries, request.dimensions)?;
    queries.truncate(request.query_count);
    let truth = read_ints(&request.truth)?;
    let (resident_before, private_before) = resident_bytes();

    let watch = Stopwatch::start();
    let mut file = BufReader::new(File::open(&request.index)?);
    let mut index = load_index(&mut file)?;
    let load = watch.read();
    let watch = Stopwatch::start();
    index.search(&queries[0], request.k)?;
    let first = watch.read();

    let mut points = Vec::new();
    let mut memory = None;
    for factor in request.rerank_factors()? {
        index.set_rerank_factor(factor);
        points.push(measure(&index, &queries, &truth, request)?);
        memory.get_or_insert_with(|| (resident_bytes(), peak_bytes()));
    }
    let ((resident, private), peak) = memory.ok_or("the request has no points")?;
    Ok(json!({
        "load": load.json(),
        "firstQuery": first.json(),
        "residentBytes": resident.saturating_sub(resident_before),
        "privateBytes": private.saturating_sub(private_before),
        "peakBytes": peak,
        "points": points,
    }))
}

fn measure(
    index: &RabitqPlusIndex,
    queries: &[Vec<f32>],
    truth: &[i32],
    request: &Request,
) -> Result<Value, Box<dyn Error>> {
    // Recall is taken from a round that is not timed and warms the caches.
    let mut found = 0;
    for (query, nearest) in queries.iter().zip(truth.chunks_exact(request.truth_depth)) {
        let nearest = &nearest[..request.k];
        let hits = index.search(query, request.k)?;
        found += hits
            .iter()
            .take(request.k)
            .filter(|hit| nearest.contains(&(hit.id as i32)))
            .count();
    }
    let started = Instant::now();
    let mut rounds = Vec::new();
    while rounds.is_empty()
        || (rounds.len() < request.rounds && started.elapsed().as_secs_f64() < request.seconds)
    {
        rounds.push(timed_round(queries, |query| {
            let hits: Vec<SearchResult> = index.search(query, request.k)?;
            std::hint::black_box(&hits);
            Ok(())
        })?);
    }
    Ok(json!({
        "recall": found as f64 / (queries.len() * request.k) as f64,
        "rounds": rounds,
    }))
}
