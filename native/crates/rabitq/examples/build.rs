//! Measures building: wall and CPU time by step, and the most memory it held beside its input.
//!
//! `cargo run --release -p rabitq --example build -- <folder> <dimensions> [rows] [kind]`
//! where the folder holds `base.f32`. More rows than it has are extended from them: two real rows mixed 4 to 1, and a
//! little noise. Memory is read from `/proc`, so Linux only.

use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;

use rabitq::{BuildOptions, Control, Index, Kind, Metric, OpenOptions, Progress, SearchOptions};

fn floats(path: &Path) -> Vec<f32> {
    std::fs::read(path)
        .unwrap()
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
        .collect()
}

/// Rows in the manner of `base`, which come first.
fn extended(base: &[f32], dimensions: usize, rows: usize) -> Vec<f32> {
    let known = base.len() / dimensions;
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state >> 11
    };
    let mut out = Vec::with_capacity(rows * dimensions);
    out.extend_from_slice(&base[..rows.min(known) * dimensions]);
    for _ in known..rows {
        let (a, b) = (next() as usize % known, next() as usize % known);
        let row = |i: usize| &base[i * dimensions..(i + 1) * dimensions];
        for (a, b) in row(a).iter().zip(row(b)) {
            let noise = (next() % 2001) as f32 / 1000.0 - 1.0;
            out.push(0.8 * a + 0.2 * b + 0.02 * noise);
        }
    }
    out
}

/// A line of `/proc/self/status`, in MB.
fn memory(field: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<f64>()
        .unwrap()
        / 1000.0
}

/// CPU seconds of this process.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let dimensions: usize = arguments[1].parse().unwrap();
    let base = floats(&Path::new(&arguments[0]).join("base.f32"));
    let rows = arguments
        .get(2)
        .map_or(base.len() / dimensions, |rows| rows.parse().unwrap());
    let kind = arguments
        .get(3)
        .map_or(Kind::RabitqIvf, |name| Kind::from_name(name).unwrap());
    let vectors = extended(&base, dimensions, rows);
    let query = base[..dimensions].to_vec();
    drop(base);
    let raw = (vectors.len() * 4) as f64 / 1e6;

    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = memory("VmRSS:") - raw;
    let (start, cpu_before) = (Instant::now(), cpu());
    let steps = Mutex::new(vec![("validate", start, cpu_before)]);
    let listen = |progress: Progress| {
        let mut steps = steps.lock().unwrap();
        if steps.last().unwrap().0 != progress.phase {
            steps.push((progress.phase, Instant::now(), cpu()));
        }
    };
    let control = Control {
        progress: Some(&listen),
        ..Control::default()
    };
    let options = BuildOptions::new(kind, dimensions, Metric::Cosine);
    let index = Index::build(vectors, None, &options, control).unwrap();
    let (wall, spent) = (start.elapsed(), cpu() - cpu_before);
    let peak = memory("VmHWM:") - before;
    println!(
        "{kind} of {rows} x {dimensions}: {wall:.2?} wall, {spent:.1} s CPU, \
         peak {:.2} x raw with the input, then {:.2} x",
        peak / raw,
        (memory("VmRSS:") - before) / raw
    );
    let mut steps = steps.into_inner().unwrap();
    steps.push(("end", start + wall, cpu_before + spent));
    for pair in steps.windows(2) {
        let (wall, cpu) = (pair[1].1 - pair[0].1, pair[1].2 - pair[0].2);
        println!("  {}: {wall:.2?} wall, {cpu:.1} s CPU", pair[0].0);
    }
    println!("  {:?}", index.stats());

    let folder = std::env::temp_dir();
    let file = folder.join(format!("rabitq-build-{}.rbq", std::process::id()));
    index.save(&file, Control::default()).unwrap();
    drop(index);
    let before = memory("RssAnon:");
    let start = Instant::now();
    let index = Index::open(&file, OpenOptions::default(), Control::default()).unwrap();
    let opened = start.elapsed();
    let start = Instant::now();
    index
        .search(&query, 10, &SearchOptions::default(), Control::default())
        .unwrap();
    println!(
        "open {opened:.1?}, first query {:.1?} (files in the page cache), heap {:.1} MB",
        start.elapsed(),
        memory("RssAnon:") - before
    );
    std::fs::remove_file(&file).unwrap();
}
