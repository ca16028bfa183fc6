//! Files of a bundle as untrusted input: what is opened is a regular file of the bundle's directory, and what is read
//! is what was listed.

use std::fs::{self, File, Metadata};
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};

use rabitq::Control;

use super::content::FileEntry;
use crate::digest::Digest;
use crate::error::IoContext;
use crate::{Error, Result};

/// Bytes hashed between two looks at the flag that cancels.
const PIECE: usize = 1 << 20;

/// Times a file is opened anew because another took its place meanwhile: a bundle may be published while it is opened.
const ATTEMPTS: usize = 16;

/// Opens a file that must be a regular one, not a link to something elsewhere. Gives its length, too.
pub(crate) fn open(path: &Path) -> Result<(File, u64)> {
    for _ in 0..ATTEMPTS {
        if let Some(opened) = try_open(path)? {
            return Ok(opened);
        }
    }
    Err(refused(path, "it was exchanged while it was opened"))
}

fn refused(path: &Path, reason: &str) -> Error {
    Error::UnsafeBundle {
        path: path.to_owned(),
        reason: reason.into(),
    }
}

/// Nothing if another file took its place meanwhile.
fn try_open(path: &Path) -> Result<Option<(File, u64)>> {
    // Before opening, because that would wait for the other end of a pipe.
    let named = fs::symlink_metadata(path).at(path)?;
    if named.is_symlink() {
        let reason = "it is a symbolic link; files of a bundle are in its directory";
        return Err(refused(path, reason));
    }
    if !named.is_file() {
        return Err(refused(path, "it is no regular file"));
    }
    let file = File::open(path).at(path)?;
    let opened = file.metadata().at(path)?;
    let same = opened.is_file() && is_same(&named, &opened);
    Ok(same.then_some((file, opened.len())))
}

#[cfg(unix)]
fn is_same(a: &Metadata, b: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

#[cfg(not(unix))]
fn is_same(a: &Metadata, b: &Metadata) -> bool {
    a.len() == b.len()
}

/// A file of a bundle whose bytes are, or were a moment ago, those listed.
pub(crate) struct Source {
    path: PathBuf,
    entry: FileEntry,
    file: File,
}

impl Source {
    /// Opens a listed file and compares its length.
    pub(crate) fn open(dir: &Path, entry: &FileEntry) -> Result<Self> {
        let path = dir.join(&entry.name);
        let (file, length) = open(&path)?;
        if length != entry.bytes {
            let reason = format!("{length} bytes, the bundle states {}", entry.bytes);
            return Err(Error::corrupt(&path, reason));
        }
        Ok(Self {
            path,
            entry: entry.clone(),
            file,
        })
    }

    /// Reads all of it and compares the digest.
    pub(crate) fn verify(&mut self, control: Control<'_>) -> Result<()> {
        let mut reader = self.reader(control)?;
        let mut piece = vec![0; PIECE];
        while reader
            .read(&mut piece)
            .map_err(|error| reader.error(error))?
            > 0
        {}
        reader.finish()
    }

    /// Reads it from the start, and compares the digest at the end once more: the file may have been changed since.
    pub(crate) fn reader<'a>(&'a mut self, control: Control<'a>) -> Result<Hashing<'a>> {
        self.file.rewind().at(&self.path)?;
        Ok(Hashing {
            source: self,
            control,
            digest: Digest::default(),
            left: self.entry.bytes,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Digests what passes through it.
pub(crate) struct Hashing<'a> {
    source: &'a Source,
    control: Control<'a>,
    digest: Digest,
    /// Bytes of the stated length that were not read yet.
    left: u64,
}

impl Read for Hashing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.control.check().is_err() {
            // Told apart from the system's errors in `error`.
            return Err(io::Error::other("cancelled"));
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let room = buffer.len().min(most).min(PIECE);
        let read = (&self.source.file).read(&mut buffer[..room])?;
        self.digest.update(&buffer[..read]);
        self.left -= read as u64;
        Ok(read)
    }
}

impl Hashing<'_> {
    /// To be called when everything was read.
    pub(crate) fn finish(self) -> Result<()> {
        let path = &self.source.path;
        let found = self.digest.finish();
        if self.left == 0 && found == self.source.entry.shake256 {
            return Ok(());
        }
        let stated = &self.source.entry.shake256;
        Err(Error::corrupt(
            path,
            format!("its SHAKE-256 is {found}, the bundle states {stated}"),
        ))
    }

    /// The error behind one of [`Read::read`].
    pub(crate) fn error(&self, source: io::Error) -> Error {
        match self.control.check() {
            Err(cancelled) => cancelled.into(),
            Ok(()) => Error::Io {
                path: self.source.path.clone(),
                source,
            },
        }
    }
}
