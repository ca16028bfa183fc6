//! Manifests: `manifest/<20-digit generation>.json`, sealed, created once and never changed. A manifest names every file
//! of a generation; what was committed later is in the log.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use rabitq::Metric;
use serde::{Deserialize, Serialize};

use crate::error::IoContext;
use crate::options::{IndexChoice, Settings};
use crate::ulid::{self, Ulid};
use crate::{Error, Result, digest, files, sealed, wal};

/// Version of this file and of the layout around it.
pub(crate) const FORMAT: u32 = 1;

/// Bytes at either end of a file that are compared on opening.
const END_BYTES: u64 = 4096;

/// Everything a generation consists of.
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
    /// When that change was committed, in milliseconds since 1970.
    pub(crate) committed: u64,
    /// Epoch of the writer; the next one takes a higher one.
    pub(crate) epoch: u64,
    pub(crate) next_row: i64,
    pub(crate) records: u64,
    pub(crate) vectors: u64,
    pub(crate) dimensions: Option<usize>,
    pub(crate) metric: String,
    pub(crate) index: String,
    /// Paths of metadata that are indexed; absent for all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) metadata_index: Option<Vec<String>>,
    /// Whether `reach.json` is beside the logs, which it is but for collections of early versions.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) reach: bool,
    /// Whether a session made it: until the logs behind the first generation have a change that happened, there is none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) session: bool,
    /// Key of the hashes of ids, so that nobody can choose ids whose hashes collide; 32 hexadecimal digits.
    pub(crate) hash_key: String,
    /// In ascending order of their rows, which do not overlap.
    pub(crate) segments: Vec<SegmentEntry>,
}

/// A segment of a generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SegmentEntry {
    pub(crate) id: String,
    /// Deleted ones included, here and in `vectors`.
    pub(crate) records: u64,
    pub(crate) vectors: u64,
    pub(crate) first_row: i64,
    pub(crate) last_row: i64,
    pub(crate) files: Vec<FileEntry>,
    pub(crate) deletes: Option<DeletesEntry>,
}

/// The mask of a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct DeletesEntry {
    pub(crate) file: FileEntry,
    /// Records it deletes.
    pub(crate) records: u64,
}

/// A file of a generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct FileEntry {
    /// Relative to the collection, with `/`.
    pub(crate) name: String,
    pub(crate) length: u64,
    pub(crate) shake256: String,
    /// Checksum (crc32c) of the first and the last 4 KiB, which are cheap to compare whenever the file is opened: no file
    /// takes the place of another unnoticed.
    pub(crate) ends: u32,
}

impl FileEntry {
    /// Entry of a file of known length and digest.
    pub(crate) fn new(dir: &Path, name: String, length: u64, shake256: String) -> Result<Self> {
        let (_, ends) = ends_of(&dir.join(&name))?;
        Ok(Self {
            name,
            length,
            shake256,
            ends,
        })
    }

    /// Entry of a file that was just written.
    pub(crate) fn of(dir: &Path, name: String) -> Result<Self> {
        let (length, shake256) = digest::of_file(&dir.join(&name))?;
        Self::new(dir, name, length, shake256)
    }

    /// Compares length and ends with the file.
    ///
    /// # Errors
    /// `CORRUPT_FILE`, `FILE_NOT_FOUND`, `IO`.
    pub(crate) fn check_ends(&self, dir: &Path) -> Result<()> {
        let path = dir.join(&self.name);
        let (length, ends) = ends_of(&path)?;
        if length != self.length {
            let reason = format!("{length} bytes, the manifest states {}", self.length);
            return Err(Error::corrupt(&path, reason));
        }
        if ends != self.ends {
            let reason = format!(
                "its first and last {END_BYTES} bytes have the checksum {ends:08x}, the manifest states {:08x}",
                self.ends
            );
            return Err(Error::corrupt(&path, reason));
        }
        Ok(())
    }
}

/// Length of a file and checksum of its ends.
fn ends_of(path: &Path) -> Result<(u64, u32)> {
    let mut file = files::open(path)?;
    let length = file.metadata().at(path)?.len();
    let mut read = |from: u64, to: u64| -> Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(to - from).unwrap_or(0)];
        file.seek(SeekFrom::Start(from))
            .and_then(|_| file.read_exact(&mut bytes))
            .at(path)?;
        Ok(bytes)
    };
    let crc = crc32c::crc32c(&read(0, length.min(END_BYTES))?);
    let rest = length.saturating_sub(END_BYTES).max(length.min(END_BYTES));
    Ok((length, crc32c::crc32c_append(crc, &read(rest, length)?)))
}

impl SegmentEntry {
    pub(crate) fn ulid(&self, collection: &Path) -> Result<Ulid> {
        Ulid::parse(&self.id).ok_or_else(|| {
            let reason = format!("the manifest names a segment '{}'", self.id);
            Error::corrupt(collection, reason)
        })
    }

    /// Records that are left.
    pub(crate) fn live(&self) -> u64 {
        let deleted = self.deletes.as_ref().map_or(0, |deletes| deletes.records);
        self.records.saturating_sub(deleted)
    }

    /// Every file of it.
    pub(crate) fn all_files(&self) -> impl Iterator<Item = &FileEntry> {
        self.files
            .iter()
            .chain(self.deletes.as_ref().map(|deletes| &deletes.file))
    }
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
            committed: now(),
            epoch: 0,
            next_row: 1,
            records: 0,
            vectors: 0,
            dimensions: settings.dimensions,
            metric: settings.metric.name().to_owned(),
            index: settings.index.name().to_owned(),
            metadata_index: settings.metadata_index.as_deref().map(<[String]>::to_vec),
            reach: true,
            session: false,
            hash_key: digest::hex(&ulid::random::<16>()),
            segments: Vec::new(),
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
            metadata_index: self.metadata_index.as_deref().map(Into::into),
        })
    }

    /// The key of the hashes of ids.
    pub(crate) fn hash_key(&self, path: &Path) -> Result<[u8; 16]> {
        u128::from_str_radix(&self.hash_key, 16)
            .ok()
            .filter(|_| self.hash_key.len() == 32)
            .map(u128::to_be_bytes)
            .ok_or_else(|| Error::corrupt(path, "its hashKey is not one"))
    }

    /// What the logs of its collection say of it, see [`wal::owner`].
    pub(crate) fn log_owner(&self, collection: &Path) -> Result<u32> {
        let key = self.hash_key(&path(collection, self.generation))?;
        Ok(wal::owner(key))
    }

    /// Every file of the generation.
    pub(crate) fn files(&self) -> impl Iterator<Item = &FileEntry> {
        self.segments.iter().flat_map(SegmentEntry::all_files)
    }

    /// Bytes of all files.
    pub(crate) fn bytes(&self) -> u64 {
        self.files().map(|file| file.length).sum()
    }

    /// What can be known to be wrong without looking at a file.
    fn check(&self, path: &Path) -> Result<()> {
        let ascending = self
            .segments
            .iter()
            .all(|segment| segment.first_row <= segment.last_row)
            && self.segments.windows(2).all(|pair| match pair {
                [before, after] => before.last_row < after.first_row,
                _ => true,
            })
            && self
                .segments
                .last()
                .is_none_or(|last| last.last_row < self.next_row);
        if !ascending {
            return Err(Error::corrupt(path, "its segments are out of order"));
        }
        if self.segments.iter().map(SegmentEntry::live).sum::<u64>() != self.records {
            return Err(Error::corrupt(path, "its records do not add up"));
        }
        Ok(())
    }
}

pub(crate) fn dir(collection: &Path) -> PathBuf {
    collection.join("manifest")
}

pub(crate) fn path(collection: &Path, generation: u64) -> PathBuf {
    dir(collection).join(format!("{generation:020}.json"))
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
    let bytes = files::read(&path)?;
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
    manifest.check(&path)?;
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
        let settings = Settings::new(&CollectionOptions::default()).unwrap();
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
