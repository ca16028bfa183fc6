//! Libraries that tests put in front of the C library.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiles `shim.c` of a test into a directory; nothing without a C compiler.
pub fn compile(test: &str, dir: &Path) -> Option<PathBuf> {
    let shim = dir.join("shim.so");
    let source = format!("tests/{test}/shim.c");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&shim)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(&source))
        .arg("-ldl")
        .status();
    if compiled.is_ok_and(|status| status.success()) {
        return Some(shim);
    }
    println!("skipped: no C compiler to build {source} with");
    None
}
