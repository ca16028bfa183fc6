//! Index files damaged behind their checksums' back: an error or an answer, never a panic, a read out of bounds, or memory
//! beyond what the file justifies. `native/fuzz` runs the same cases under a coverage-guided fuzzer and the address
//! sanitizer.

mod choices;
mod damage;
mod exercise;
mod heap;
mod seeds;
mod upstream;

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use choices::Choices;
use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestError, TestRunner};
use rabitq::{Control, Index, OpenOptions, Verify};

#[global_allocator]
static HEAP: heap::Counted = heap::Counted;

/// What one case may hold beyond the file's own size: additions of a case take a few megabytes.
const SPARE_BYTES: usize = 64 << 20;

/// No case takes a tenth of a second; this is for machines that are very busy.
const LONGEST_CASE: Duration = Duration::from_secs(60);

/// A directory in memory if there is one: cases are many, and save with fsync.
fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        tempfile::tempdir_in(memory).unwrap()
    } else {
        tempfile::tempdir().unwrap()
    }
}

/// Runs the case of a byte string, alone, because it counts memory.
fn case(dir: &Path, seeds: &[Vec<u8>], bytes: &[u8]) {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut choices = Choices::new(bytes);
    let path = dir.join("index");
    let (before, start) = (heap::mark(), Instant::now());
    let file = if choices.once_in(8) {
        upstream::rbpx(&mut choices)
    } else {
        let seed = seeds::pick(seeds, &mut choices);
        let damaged = damage::damage(seed, seeds, &mut choices);
        if !damaged.repaired && damaged.bytes != seed {
            std::fs::write(&path, &damaged.bytes).unwrap();
            let verify = Verify::Full;
            let opened = Index::open(&path, OpenOptions { verify }, Control::default());
            assert!(opened.is_err(), "wrong checksums, and yet it opened");
        }
        damaged.bytes
    };
    std::fs::write(&path, &file).unwrap();
    exercise::exercise(&path, &mut choices);
    let held = heap::peak().saturating_sub(before);
    assert!(
        held < SPARE_BYTES + 20 * file.len(),
        "{held} bytes held for a file of {}",
        file.len()
    );
    let took = start.elapsed();
    assert!(took < LONGEST_CASE, "{took:?} for one case");
}

fn run(cases: u32, seed: RngSeed) {
    let dir = scratch();
    let seeds = seeds::seeds(dir.path());
    let mut runner = TestRunner::new(ProptestConfig {
        cases,
        rng_seed: seed,
        failure_persistence: None,
        max_shrink_time: 60_000,
        ..ProptestConfig::default()
    });
    let bytes = prop::collection::vec(any::<u8>(), 0..160);
    let outcome = runner.run(&bytes, |bytes| {
        case(dir.path(), &seeds, &bytes);
        Ok(())
    });
    if let Err(TestError::Fail(reason, bytes)) = outcome {
        panic!("{reason}\nfor the bytes {bytes:?}");
    }
    outcome.unwrap();
}

#[test]
fn damaged_files_are_refused_or_answer() {
    run(4000, RngSeed::Fixed(1));
}

/// `RULAKE_FUZZ_SECONDS` (120) of cases that differ from run to run.
#[test]
#[ignore = "takes minutes; part of `npm run test:heavy`"]
fn damaged_files_are_refused_or_answer_at_length() {
    let seconds = std::env::var("RULAKE_FUZZ_SECONDS").map_or(120, |text| text.parse().unwrap());
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(seconds) {
        run(2000, RngSeed::Random);
    }
}

#[test]
fn repair_leaves_a_sound_file_as_it_is() {
    let dir = scratch();
    for seed in seeds::seeds(dir.path()) {
        let mut copy = seed.clone();
        damage::repair(&mut copy, false);
        assert_eq!(copy, seed);
    }
}
