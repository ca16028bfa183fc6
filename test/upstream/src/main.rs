//! Reads bundles with the upstream crates, and writes some. Prints JSON.
//!
//! ```text
//! upstream read <directory> <file of vectors> <query as JSON> <k>
//! upstream write <directory> <rows> <dimensions>
//! ```

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use ruvector_rulake::cache::Consistency;
use ruvector_rulake::{
    BackendAdapter, FsBackend, LocalBackend, RuLake, RuLakeBundle, SearchResult,
};
use serde_json::{Value, json};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// What the lakes here are made with; `write` passes it on to rulake in the bundle.
const SEED: u64 = u64::MAX;
const RERANK: usize = 64;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let printed = match words[..] {
        ["read", dir, file, query, k] => read(
            dir.as_ref(),
            file,
            &serde_json::from_str::<Vec<f32>>(query)?,
            k.parse()?,
        )?,
        ["write", dir, rows, dimensions] => {
            write(dir.as_ref(), rows.parse()?, dimensions.parse()?)?
        }
        _ => return Err("see the first lines of main.rs".into()),
    };
    println!("{printed}");
    Ok(())
}

/// The description, and what a search finds by either file.
fn read(dir: &Path, file: &str, query: &[f32], k: usize) -> Outcome<Value> {
    let bundle = RuLakeBundle::read_from_dir(dir)?;
    let warmed = RuLake::new(bundle.rerank_factor, bundle.rotation_seed)
        .with_consistency(Consistency::Frozen);
    warmed.register_backend(Arc::new(LocalBackend::new("warm")))?;
    let key = ("warm".to_owned(), "table".to_owned());
    let rows = warmed.warm_from_dir(&key, dir)?;
    let by_index = warmed.search_one("warm", "table", query, k)?;

    let backend = FsBackend::new("fs", dir)?;
    backend.register("table", file)?;
    let pulled = backend.pull_vectors("table")?;
    let primed = RuLake::new(bundle.rerank_factor, bundle.rotation_seed);
    primed.register_backend(Arc::new(backend))?;
    let by_vectors = primed.search_one("fs", "table", query, k)?;
    Ok(json!({
        "json": bundle.to_json()?,
        "rows": rows,
        "byIndex": hits(&by_index),
        "byVectors": hits(&by_vectors),
        "ids": pulled.ids,
        "vectors": pulled.vectors,
    }))
}

/// A bundle with an index, and `c.ruvec1` beside it; the answers to expect from either.
fn write(dir: &Path, rows: usize, dimensions: usize) -> Outcome<Value> {
    let vectors: Vec<Vec<f32>> = (0..rows)
        .map(|row| {
            (0..dimensions)
                .map(|d| ((row * 31 + d * 7) as f32 * 0.37).sin())
                .collect()
        })
        .collect();
    // The index keeps positions; other ids do not survive there.
    let positions: Vec<u64> = (0..rows as u64).collect();
    let ids: Vec<u64> = positions
        .iter()
        .map(|row| row * 1_000_000_007 + 5)
        .collect();
    let local = LocalBackend::new("local");
    local.put_collection("table", dimensions, positions, vectors.clone())?;
    let lake = RuLake::new(RERANK, SEED);
    lake.register_backend(Arc::new(local))?;
    let query = vectors[rows / 2].clone();
    let found = lake.search_one("local", "table", &query, 10)?;
    let key = ("local".to_owned(), "table".to_owned());
    lake.save_cache_to_dir(&key, dir)?;
    let files = FsBackend::new("fs", dir)?;
    files.write("table", "c.ruvec1", dimensions, &ids, &vectors)?;
    let bundle = RuLakeBundle::read_from_dir(dir)?;
    Ok(json!({
        "witness": bundle.rvf_witness,
        "dataRef": bundle.data_ref,
        "query": query,
        "hits": hits(&found),
        "ids": ids,
        "vectors": vectors,
    }))
}

fn hits(found: &[SearchResult]) -> Value {
    found
        .iter()
        .map(|hit| json!({ "id": hit.id, "score": hit.score }))
        .collect()
}
