//! Our own index without Node.js: the step `overhead` of the benchmark, whose other ways to search are called from
//! JavaScript.

use std::error::Error;
use std::fs;
use std::path::Path;

use bench_peers::clock::timed_round;
use bench_peers::matrix::read_rows;
use bench_peers::request::Request;
use rabitq::{Control, Index, OpenOptions, SearchOptions};
use serde_json::json;

fn main() -> Result<(), Box<dyn Error>> {
    let request = Request::from_arguments()?;
    let mut queries = read_rows(&request.queries, request.dimensions)?;
    queries.truncate(request.query_count);
    let index = Index::open(
        Path::new(&request.index),
        OpenOptions::default(),
        Control::default(),
    )?;
    let options = SearchOptions::default();
    let mut rounds = Vec::new();
    // The first round warms up.
    for round in 0..=request.rounds {
        let measured = timed_round(&queries, |query| {
            let hits = index.search(query, request.k, &options, Control::default())?;
            std::hint::black_box(&hits);
            Ok(())
        })?;
        if round > 0 {
            rounds.push(measured);
        }
    }
    let result = json!([{ "id": "rust", "what": "Rust", "rounds": rounds }]);
    fs::write(&request.result, serde_json::to_vec(&result)?)?;
    Ok(())
}
