//! One step of the benchmark for the crate `ruvector-rabitq`: `build` or `search`, described by a JSON file, its
//! result written to another. The Node peers do the same in `bench/measure/step.mjs`.

mod steps;

use std::error::Error;
use std::fs;

use bench_peers::request::{Request, Step};

fn main() -> Result<(), Box<dyn Error>> {
    let request = Request::from_arguments()?;
    let result = match request.step {
        Step::Build => steps::build(&request)?,
        Step::Search => steps::search(&request)?,
        Step::Overhead => return Err("this peer has one way to search only".into()),
    };
    fs::write(&request.result, serde_json::to_vec(&result)?)?;
    Ok(())
}
