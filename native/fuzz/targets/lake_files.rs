//! Log, manifest, rows and index of a lake, damaged behind their checksums' back.
#![no_main]

use std::sync::LazyLock;

use fuzz::choices::Choices;
use fuzz::{lake, scratch};
use libfuzzer_sys::fuzz_target;

static LAKE: LazyLock<lake::Files> = LazyLock::new(|| lake::sample(&scratch::dir().join("sample")));

fuzz_target!(|bytes: &[u8]| {
    let mut choices = Choices::new(bytes);
    let mut files = LAKE.clone();
    for _ in 0..=choices.below(3) {
        let (first, rest) = (choices.below(files.len()), choices.below(files.len()));
        let other = files[rest].1.clone();
        let (name, content) = &mut files[first];
        lake::damage(name, content, &other, &mut choices);
    }
    let dir = scratch::dir().join("lake");
    lake::write(&dir, &files);
    lake::exercise(&dir, &mut choices);
});
