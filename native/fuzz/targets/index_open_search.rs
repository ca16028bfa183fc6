//! Index files damaged behind their checksums' back, then used in every way. The input is a string of choices: which file,
//! what is changed, which calls follow. `crates/rabitq/tests/fuzz` runs the same cases at random.
#![no_main]

use std::sync::LazyLock;

use fuzz::choices::Choices;
use fuzz::{damage, exercise, scratch, seeds};
use libfuzzer_sys::fuzz_target;

static SEEDS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| seeds::seeds(scratch::dir()));

fuzz_target!(|bytes: &[u8]| {
    let mut choices = Choices::new(bytes);
    let seed = seeds::pick(&SEEDS, &mut choices);
    let damaged = damage::damage(seed, &SEEDS, &mut choices);
    let path = scratch::dir().join("index");
    std::fs::write(&path, damaged.bytes).expect("a file in the scratch directory");
    exercise::exercise(&path, &mut choices);
});
