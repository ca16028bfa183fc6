//! Files that appear whole or not at all.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use crate::error::IoContext;
use crate::ulid::Ulid;
use crate::{Error, Result};

/// Start of the names of files that are not yet what they will be; removed when a lake is opened for writing.
pub(crate) const DRAFT: &str = ".draft-";

/// What is wrong with anything else in the place of a file.
pub(crate) const NOT_A_FILE: &str = "it is not a regular file";

/// Makes entries of a directory durable. Windows keeps directories durable by itself and cannot open them as files.
pub(crate) fn sync_dir(dir: &Path) -> Result<()> {
    if cfg!(windows) {
        return Ok(());
    }
    File::open(dir).and_then(|dir| dir.sync_all()).at(dir)
}

/// Creates a directory and its parents, and makes each new entry durable.
pub(crate) fn create_dir(dir: &Path) -> Result<()> {
    if dir.is_dir() {
        // Who made it may have been killed at once. Where the parent cannot be read, it was somebody else.
        let _ = sync_name(dir);
        return Ok(());
    }
    if let Some(parent) = parent(dir) {
        create_dir(parent)?;
    }
    add_dir(dir)
}

/// Creates a directory in one that is there, durably; one that exists is fine. A parent that is gone stays so.
pub(crate) fn add_dir(dir: &Path) -> Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    match fs::create_dir(dir) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        other => other.at(dir)?,
    }
    sync_name(dir)
}

/// Makes the name of a directory durable.
fn sync_name(dir: &Path) -> Result<()> {
    sync_dir(parent(dir).unwrap_or(Path::new(".")))
}

fn parent(dir: &Path) -> Option<&Path> {
    dir.parent().filter(|parent| !parent.as_os_str().is_empty())
}

/// Where the content of a file is until it is whole: a place of its own, as others may be about to write the same file.
fn draft(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{DRAFT}{}-{name}", Ulid::unique()))
}

/// Creates a file with this content, durably, unless one of that name exists: `false` then. Nobody ever sees a part of it.
pub(crate) fn create_new(path: &Path, content: &[u8]) -> Result<bool> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let draft = draft(path);
    let written = File::create(&draft).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()
    });
    if written.is_err() {
        let _ = fs::remove_file(&draft);
    }
    written.at(&draft)?;
    // A hard link refuses to replace, which a rename would not.
    let linked = match fs::hard_link(&draft, path) {
        Ok(()) => true,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => false,
        // File systems without links: one writer holds the lock, so looking first is enough.
        Err(_) if path.exists() => false,
        Err(_) => {
            fs::rename(&draft, path).at(path)?;
            sync_dir(dir)?;
            return Ok(true);
        }
    };
    remove_file(&draft)?;
    sync_dir(dir)?;
    Ok(linked)
}

/// Gives a file this content, durably. Nobody ever sees a part of it, and after an error it is as before.
pub(crate) fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let draft = draft(path);
    let written = File::create(&draft).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()
    });
    if let Err(error) = written.and_then(|()| fs::rename(&draft, path)) {
        let _ = fs::remove_file(&draft);
        return Err(error).at(path);
    }
    sync_dir(dir)
}

/// Lets two directories change places, at once; `false` where the system cannot do that.
pub(crate) fn exchange(one: &Path, other: &Path) -> Result<bool> {
    #[cfg(any(target_os = "linux", target_vendor = "apple"))]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        use rustix::io::Errno;
        match renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE) {
            Ok(()) => Ok(true),
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => Ok(false),
            Err(error) => Err(error.into()).at(one),
        }
    }
    #[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
    {
        let _ = (one, other);
        Ok(false)
    }
}

/// Opens a file for reading, unless it is a device, a pipe or a directory, of which reading might never end.
pub(crate) fn open(path: &Path) -> Result<File> {
    let found = match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            return Err(Error::corrupt(path, "what it should be in is no directory"));
        }
        found => found.at(path)?,
    };
    if !found.is_file() {
        return Err(Error::corrupt(path, NOT_A_FILE));
    }
    File::open(path).at(path)
}

/// All bytes of a file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes).at(path)?;
    Ok(bytes)
}

/// All bytes of a file; nothing if it is missing.
pub(crate) fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>> {
    match read(path) {
        Err(error) if error.code() == "FILE_NOT_FOUND" => Ok(None),
        read => read.map(Some),
    }
}

/// Removes a file; a missing one is fine. A directory in its place is damage.
pub(crate) fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(_) if path.symlink_metadata().is_ok_and(|found| found.is_dir()) => {
            Err(Error::corrupt(path, NOT_A_FILE))
        }
        removed => removed.at(path),
    }
}

/// Removes a directory and all in it; a missing one is fine.
pub(crate) fn remove_dir(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error).at(path),
        _ => Ok(()),
    }
}

/// Removes whatever has a name; nothing is fine.
pub(crate) fn remove(path: &Path) -> Result<()> {
    if path.symlink_metadata().is_ok_and(|found| found.is_dir()) {
        remove_dir(path)
    } else {
        remove_file(path)
    }
}

/// Names in a directory, sorted; none if there is no directory.
pub(crate) fn names(dir: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        other => other.at(dir)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        if let Ok(name) = entry.at(dir)?.file_name().into_string() {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Removes drafts a crash has left behind.
pub(crate) fn remove_drafts(dir: &Path) -> Result<()> {
    for name in names(dir)?.iter().filter(|name| name.starts_with(DRAFT)) {
        remove_file(&dir.join(name))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_existing_file_is_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("1.json");
        assert!(create_new(&path, b"first").unwrap());
        assert!(!create_new(&path, b"second").unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(names(dir.path()).unwrap(), ["1.json"]);
    }

    #[test]
    fn who_replaces_a_file_at_once_with_others_leaves_it_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("reach.json");
        let contents: Vec<Vec<u8>> = (0..4).map(|i| vec![i; 1000]).collect();
        replace(&path, &contents[0]).unwrap();
        std::thread::scope(|scope| {
            let (path, contents) = (&path, &contents);
            for content in contents {
                scope.spawn(move || {
                    for _ in 0..50 {
                        replace(path, content).unwrap();
                        assert!(contents.contains(&fs::read(path).unwrap()));
                    }
                });
            }
        });
        assert_eq!(names(dir.path()).unwrap(), ["reach.json"]);
    }

    #[test]
    fn drafts_are_cleared() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(format!("{DRAFT}9-x")), b"half").unwrap();
        fs::write(dir.path().join("kept"), b"").unwrap();
        remove_drafts(dir.path()).unwrap();
        assert_eq!(names(dir.path()).unwrap(), ["kept"]);
    }
}
