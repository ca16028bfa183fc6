//! A directory for the files of one process, in memory if there is such a place.

use std::path::Path;
use std::sync::LazyLock;

use tempfile::TempDir;

static DIR: LazyLock<TempDir> = LazyLock::new(|| {
    let memory = Path::new("/dev/shm");
    let dir = if memory.is_dir() {
        TempDir::new_in(memory)
    } else {
        TempDir::new()
    };
    dir.expect("a scratch directory")
});

/// The directory; it stays behind when the process ends.
pub fn dir() -> &'static Path {
    DIR.path()
}
