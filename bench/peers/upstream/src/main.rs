//! One step of the benchmark for the crate `ruvector-rabitq`: `build` or `search`, described by a JSON file, its
//! result written to another. The Node peers do the same in `bench/indexes/step.mjs`.

mod clock;
mod matrix;
mod request;
mod steps;

use std::error::Error;
use std::fs;

use request::{Request, Step};

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args()
        .nth(1)
        .ok_or("usage: upstream-peer <request.json>")?;
    let request = Request::read(&file)?;
    let result = match request.step {
        Step::Build => steps::build(&request)?,
        Step::Search => steps::search(&request)?,
    };
    fs::write(&request.result, serde_json::to_vec(&result)?)?;
    Ok(())
}
