//! Temporary files of processes that were killed while they wrote.
//!
//! Whoever writes holds a lock on its file, which ends with the process, so a file that can be locked is nobody's. Process
//! ids would not tell: they are used again, and those of another container are not seen.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};

/// Where a file of this process is written before it gets its name.
pub(crate) fn temporary(target: &Path, unique: u64) -> PathBuf {
    let prefix = prefix(target);
    target.with_file_name(format!("{prefix}{}.{unique}.tmp", std::process::id()))
}

/// Claims a new file for this process; `false` if another one was faster and has removed it.
pub(crate) fn claim(temporary: &Path, file: &File) -> bool {
    match file.try_lock() {
        Ok(()) => temporary.exists(),
        Err(fs::TryLockError::WouldBlock) => false,
        // No locks here, so nobody takes files for left over either.
        Err(fs::TryLockError::Error(_)) => true,
    }
}

/// Removes what dead processes have left of files that were to be named `target`. What cannot be removed stays.
///
/// `unused` is a number this process has not used yet, nor any above: files that have it are of an earlier process with
/// the same id, as the first one of a container always has.
pub(crate) fn remove(target: &Path, unused: u64) {
    let prefix = prefix(target);
    let folder = target.parent().filter(|path| !path.as_os_str().is_empty());
    let Ok(entries) = fs::read_dir(folder.unwrap_or(Path::new("."))) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some((owner, unique)) = name.to_str().and_then(|name| owner(name, &prefix)) else {
            continue;
        };
        // Where locks belong to processes, one's own tell nothing.
        if owner == std::process::id() && unique < unused {
            continue;
        }
        if entry.file_type().is_ok_and(|kind| kind.is_file()) {
            remove_unlocked(&entry.path());
        }
    }
}

fn remove_unlocked(path: &Path) {
    if let Ok(file) = OpenOptions::new().write(true).open(path)
        && file.try_lock().is_ok()
    {
        let _ = fs::remove_file(path);
    }
}

fn prefix(target: &Path) -> String {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    format!(".{name}.")
}

/// Process id and number in the name of a temporary file.
fn owner(name: &str, prefix: &str) -> Option<(u32, u64)> {
    let (owner, unique) = name
        .strip_prefix(prefix)?
        .strip_suffix(".tmp")?
        .split_once('.')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !is_number(owner) || !is_number(unique) {
        return None;
    }
    Some((owner.parse().ok()?, unique.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_writes_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let own = format!(".a.rbq.{}.4.tmp", std::process::id());
        let earlier = format!(".a.rbq.{}.5.tmp", std::process::id());
        let left = [".a.rbq.4000000.0.tmp", ".a.rbq.1.17.tmp", &earlier];
        let others = [
            &*own,
            ".a.rbq.1.18.tmp",
            ".b.rbq.4000000.0.tmp",
            ".a.rbq.4000000.x.tmp",
            ".a.rbq.+1.0.tmp",
            ".a.rbq.4000000.0.tmp2",
            "a.rbq.4000000.0.tmp",
            "a.rbq",
        ];
        for name in left.iter().chain(&others) {
            fs::write(at(name), name).unwrap();
        }
        fs::create_dir(at(".a.rbq.4000000.1.tmp")).unwrap();
        let writing = OpenOptions::new()
            .write(true)
            .open(at(".a.rbq.1.18.tmp"))
            .unwrap();
        assert!(claim(&at(".a.rbq.1.18.tmp"), &writing));
        remove(&at("a.rbq"), 5);
        for name in others.iter().chain(&[".a.rbq.4000000.1.tmp"]) {
            assert!(at(name).exists(), "{name}");
        }
        for name in left {
            assert!(!at(name).exists(), "{name}");
        }
        drop(writing);
        remove(&at("a.rbq"), 5);
        assert!(!at(".a.rbq.1.18.tmp").exists());
        remove(Path::new("nowhere/a.rbq"), 5);
    }

    #[test]
    fn a_file_that_was_taken_for_left_over_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".a.rbq.1.0.tmp");
        let file = File::create_new(&path).unwrap();
        let other = OpenOptions::new().write(true).open(&path).unwrap();
        other.try_lock().unwrap();
        assert!(!claim(&path, &file), "it is locked");
        fs::remove_file(&path).unwrap();
        drop(other);
        assert!(!claim(&path, &file), "it is gone");
    }
}
