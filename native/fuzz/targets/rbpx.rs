//! Upstream index files: nearly sound ones and any bytes behind a sound magic.
#![no_main]

use fuzz::choices::Choices;
use fuzz::{exercise, scratch, upstream};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut choices = Choices::new(bytes);
    let file = if choices.once_in(2) {
        upstream::rbpx(&mut choices)
    } else {
        [b"rbpx0001\x01\0\0\0", bytes.get(1..).unwrap_or_default()].concat()
    };
    let path = scratch::dir().join("index.rbpx");
    std::fs::write(&path, file).expect("a file in the scratch directory");
    exercise::exercise(&path, &mut choices);
});
