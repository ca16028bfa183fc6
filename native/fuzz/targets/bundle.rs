//! Bundles whose files and description were tampered with by somebody who can make a witness.
#![no_main]

use std::sync::LazyLock;

use fuzz::choices::Choices;
use fuzz::{bundle, scratch};
use libfuzzer_sys::fuzz_target;

static BUNDLE: LazyLock<bundle::Sample> =
    LazyLock::new(|| bundle::sample(&scratch::dir().join("sample")));

fuzz_target!(|bytes: &[u8]| {
    let mut choices = Choices::new(bytes);
    bundle::exercise(&BUNDLE, &scratch::dir().join("bundle"), &mut choices);
});
