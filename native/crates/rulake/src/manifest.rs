//! The manifest of a checkpoint: `manifest/<20-digit generation>.json`, sealed, created once and never changed.

use std::path::{Path, PathBuf};

use rabitq::Metric;
use serde::{Deserialize, Serialize};

use crate::error::IoContext;
use crate::options::{IndexChoice, Settings};
use crate::{Error, Result, digest, files, sealed};

/// Version of this file and of the layout around it.
pub(crate) const FORMAT: u32 = 1;
pub(crate) const ROWS_FILE: &str = "rows.bin";
pub(crate) const INDEX_FILE: &str = "index.rbq";

/// Everything a checkpoint consists of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Manifest {
    pub(crate) format: u32,
    pub(crate) collection: String,
    pub(crate) generation: u64,
    /// Digest of the body of the manifest before.
    pub(crate) parent: Option<String>,
    /// Milliseconds since 1970.
    pub(crate) created: u64,
    /// Sequence of the newest change in it; the log holds the later ones.
    pub(crate) sequence: u64,
    /// Epoch of the writer; the next one takes a higher one.
    pub(crate) epoch: u64,
    pub(crate) next_row: i64,
    pub(crate) records: u64,
    pub(crate) vectors: u64,
    pub(crate) dimensions: Option<usize>,
    pub(crate) metric: String,
    pub(crate) index: String,
    /// None for an empty checkpoint.
    pub(crate) files: Vec<FileEntry>,
}

/// A file of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct FileEntry {
    /// Relative to the collection, with `/`.
    pub(crate) name: String,
    pub(crate) length: u64,
    pub(crate) shake256: String,
}

impl Manifest {
    /// The first manifest of a collection.
    pub(crate) fn first(collection: &str, settings: &Settings) -> Self {
        Self {
            format: FORMAT,
            collection: collection.to_owned(),
            generation: 1,
            parent: None,
            created: now(),
            sequence: 0,
            epoch: 0,
            next_row: 1,
            records: 0,
            vectors: 0,
            dimensions: settings.dimensions,
            metric: settings.metric.name().to_owned(),
            index: settings.index.name().to_owned(),
            files: Vec::new(),
        }
    }

    pub(crate) fn settings(&self, path: &Path) -> Result<Settings> {
        let unknown = |what: &str, name: &str| Error::UnsupportedFormat {
            path: path.to_owned(),
            reason: format!("{what} '{name}' is unknown to this version of rulake"),
        };
        Ok(Settings {
            metric: Metric::from_name(&self.metric)
                .ok_or_else(|| unknown("metric", &self.metric))?,
            index: IndexChoice::from_name(&self.index)
                .ok_or_else(|| unknown("index", &self.index))?,
            dimensions: self.dimensions,
        })
    }

    /// The file that plays a role, if the checkpoint has it.
    pub(crate) fn file(&self, role: &str) -> Option<&FileEntry> {
        self.files
            .iter()
            .find(|file| file.name.rsplit('/').next() == Some(role))
    }

    /// Bytes of all files.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.length).sum()
    }

    /// Compares the length of every file with what is on disk.
    pub(crate) fn check_lengths(&self, dir: &Path) -> Result<()> {
        for file in &self.files {
            let path = dir.join(&file.name);
            let found = std::fs::metadata(&path).at(&path)?.len();
            if found != file.length {
                return Err(Error::corrupt(
                    &path,
                    format!("{found} bytes, the manifest states {}", file.length),
                ));
            }
        }
        Ok(())
    }
}

/// Entry of a file that was just written.
pub(crate) fn entry(dir: &Path, name: String) -> Result<FileEntry> {
    let (length, shake256) = digest::of_file(&dir.join(&name))?;
    Ok(FileEntry {
        name,
        length,
        shake256,
    })
}

pub(crate) fn dir(collection: &Path) -> PathBuf {
    collection.join("manifest")
}

pub(crate) fn path(collection: &Path, generation: u64) -> PathBuf {
    dir(collection).join(format!("{generation:020}.json"))
}

/// Directory of a checkpoint's files, relative to the collection.
pub(crate) fn segment(generation: u64) -> String {
    format!("seg/{generation:020}")
}

/// Generations there are, ascending.
pub(crate) fn generations(collection: &Path) -> Result<Vec<u64>> {
    let names = files::names(&dir(collection))?;
    let number = |name: &String| {
        name.strip_suffix(".json")
            .filter(|stem| stem.len() == 20)
            .and_then(|stem| stem.parse().ok())
    };
    Ok(names.iter().filter_map(number).collect())
}

/// Reads a manifest; also gives its digest.
pub(crate) fn read(collection: &Path, generation: u64) -> Result<(Manifest, String)> {
    let path = path(collection, generation);
    let bytes = std::fs::read(&path).at(&path)?;
    // The format first: a later one may have other fields.
    let (version, _): (Version, _) = sealed::unseal(&path, &bytes)?;
    if version.format > FORMAT {
        let reason = format!(
            "format {} is newer than the {FORMAT} this version of rulake reads",
            version.format
        );
        return Err(Error::UnsupportedFormat { path, reason });
    }
    let (manifest, digest): (Manifest, _) = sealed::unseal(&path, &bytes)?;
    if manifest.generation != generation {
        return Err(Error::corrupt(
            &path,
            format!("it is the manifest of generation {}", manifest.generation),
        ));
    }
    Ok((manifest, digest))
}

/// Creates a manifest, which must not exist: that is the commit. Gives its digest.
pub(crate) fn create(collection: &Path, manifest: &Manifest) -> Result<String> {
    let (bytes, digest) = sealed::seal(manifest)?;
    let path = path(collection, manifest.generation);
    if files::create_new(&path, &bytes)? {
        return Ok(digest);
    }
    let source = std::io::Error::new(
        std::io::ErrorKind::AlreadyExists,
        "the generation exists already: another writer is at work",
    );
    Err(Error::Io { path, source })
}

#[derive(Deserialize)]
pub(crate) struct Version {
    pub(crate) format: u32,
}

/// Milliseconds since 1970.
pub(crate) fn now() -> u64 {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CollectionOptions;

    #[test]
    fn a_generation_is_created_once() {
        let dir = tempfile::tempdir().unwrap();
        files::create_dir(&super::dir(dir.path())).unwrap();
        let settings = Settings::new(CollectionOptions::default()).unwrap();
        let manifest = Manifest::first("docs", &settings);
        let digest = create(dir.path(), &manifest).unwrap();
        assert_eq!(create(dir.path(), &manifest).unwrap_err().code(), "IO");
        assert_eq!(read(dir.path(), 1).unwrap(), (manifest.clone(), digest));
        assert_eq!(generations(dir.path()).unwrap(), [1]);
        std::fs::rename(path(dir.path(), 1), path(dir.path(), 2)).unwrap();
        assert_eq!(read(dir.path(), 2).unwrap_err().code(), "CORRUPT_FILE");
        assert_eq!(manifest.settings(dir.path()).unwrap(), settings);
    }

    #[test]
    fn a_later_format_is_refused_as_such() {
        let dir = tempfile::tempdir().unwrap();
        files::create_dir(&super::dir(dir.path())).unwrap();
        let (bytes, _) =
            sealed::seal(&serde_json::json!({ "format": 2, "unheardOf": true })).unwrap();
        std::fs::write(path(dir.path(), 1), bytes).unwrap();
        assert_eq!(
            read(dir.path(), 1).unwrap_err().code(),
            "UNSUPPORTED_FORMAT"
        );
    }
}
