//! Writing a bundle: the files under names of drafts first, then everything at once under their own.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use mapping::Watch;
use rabitq::{Control, Metric};

use super::content::{Content, FORMAT, FileEntry, Role};
use super::payload::{self, MAX_ROWS, RecordLine, VectorsKind, VectorsWriter};
use super::table::{Bundle, Signature, short};
use crate::error::IoContext;
use crate::pieces::PIECE;
use crate::witness::Generation;
use crate::{Collection, Error, Include, Result, digest, files};

/// What upstream's own examples use.
const SEED: u64 = 42;
const RERANK: u32 = 20;
/// Records taken from the collection at a time.
const CHUNK_ROWS: usize = 4096;
const CHUNK_BYTES: usize = 8 << 20;
/// Name that upstream looks for.
pub(crate) const INDEX_NAME: &str = "index.rbpx";

/// What a bundle says beyond what is in the collection.
#[derive(Clone, Debug)]
pub struct PublishOptions {
    /// Where the data comes from; `rulake:<collection>` if not given.
    pub data_ref: Option<String>,
    /// For upstream's index; this crate has no use for it.
    pub rotation_seed: u64,
    /// For upstream's index, at most 1,024.
    pub rerank_factor: u32,
    /// A label of upstream's.
    pub pii_policy: Option<String>,
    /// A label of upstream's.
    pub lineage_id: Option<String>,
    /// A label of upstream's.
    pub memory_class: Option<String>,
    /// Whether to write the vectors a second time, for upstream's cache.
    pub rbpx: bool,
}

impl Default for PublishOptions {
    fn default() -> Self {
        Self {
            data_ref: None,
            rotation_seed: SEED,
            rerank_factor: RERANK,
            pii_policy: None,
            lineage_id: None,
            memory_class: None,
            rbpx: true,
        }
    }
}

/// A bundle whose files are written but not yet in place. Dropped uncommitted, it leaves nothing behind.
pub struct Draft {
    dir: PathBuf,
    bundle: Bundle,
    /// Where each file of the content is now.
    drafts: Drafts,
    /// Held as long as it lives, so that no other publication into this directory is under way.
    _lock: Option<File>,
}

/// Files that go unless they are moved into place.
struct Drafts(Vec<PathBuf>);

impl Drop for Drafts {
    fn drop(&mut self) {
        for draft in &self.0 {
            let _ = fs::remove_file(draft);
        }
    }
}

impl Draft {
    /// Writes the present state of a collection, with bounded memory, and makes it durable.
    ///
    /// # Errors
    /// `INVALID_OPTION`, `BUNDLE_LOCKED`, `IO`, `CANCELLED`, `CLOSED`, `CORRUPT_FILE` (of the collection).
    pub fn write(
        collection: &Collection,
        dir: &Path,
        options: &PublishOptions,
        cancel: Option<&AtomicBool>,
    ) -> Result<Self> {
        let watch = Watch::begin();
        let mut bundle = describe(collection, options)?;
        files::create_dir(dir)?;
        let dir = dir.canonicalize().at(dir)?;
        let lock = lock(&dir)?;
        if lock.is_some() {
            files::remove_drafts(&dir)?;
        }
        let mut draft = Self {
            drafts: Drafts(Vec::new()),
            bundle: bundle.clone(),
            dir,
            _lock: lock,
        };
        let content = draft.write_files(collection, options, cancel)?;
        watch.check()?;
        bundle.dim = content.0;
        bundle.content = Some(content.1);
        bundle.seal();
        draft.bundle = bundle;
        Ok(draft)
    }

    /// The description, with its witness.
    #[must_use]
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// Puts everything in place, the description last, and removes the files of the bundle that was there before.
    ///
    /// # Errors
    /// `IO`; the bundle that was there before is still there unless its description was replaced.
    pub fn commit(mut self, signature: Option<Signature>) -> Result<Bundle> {
        self.bundle.signature = signature;
        let before = Bundle::read(&self.dir)
            .ok()
            .and_then(|bundle| bundle.content);
        let content = self.bundle.content.clone();
        let files: &[FileEntry] = content.as_ref().map_or(&[], |content| &content.files);
        for (draft, file) in self.drafts.0.iter().zip(files) {
            let path = self.dir.join(&file.name);
            fs::rename(draft, &path).at(&path)?;
        }
        files::sync_dir(&self.dir)?;
        let table = self.draft("table");
        self.bundle.write(&self.dir, &table)?;
        let kept = |name: &str| files.iter().any(|file| file.name == name);
        let index = before.is_some_and(|content| content.file(Role::Index).is_some());
        for name in files::names(&self.dir)? {
            if !kept(&name) && (is_ours(&name) || (index && name == INDEX_NAME)) {
                files::remove_file(&self.dir.join(name))?;
            }
        }
        Ok(self.bundle.clone())
    }

    fn draft(&mut self, name: &str) -> PathBuf {
        let path = self
            .dir
            .join(format!("{}{}-{name}", files::DRAFT, std::process::id()));
        self.drafts.0.push(path.clone());
        path
    }

    fn create(&mut self, name: &str) -> Result<(PathBuf, File)> {
        let path = self.draft(name);
        let file = File::create(&path).at(&path)?;
        Ok((path, file))
    }

    /// Gives the number of dimensions and the list of files.
    fn write_files(
        &mut self,
        collection: &Collection,
        options: &PublishOptions,
        cancel: Option<&AtomicBool>,
    ) -> Result<(u64, Content)> {
        let control = Control {
            cancel,
            progress: None,
        };
        let all = Include {
            vector: true,
            text: true,
            metadata: true,
        };
        let mut scan = collection.scan(None, all)?;
        let (records_path, file) = self.create("records")?;
        let mut records = BufWriter::with_capacity(PIECE, file);
        let mut vectors: Option<Vectors> = None;
        let (mut rows, mut dimensions) = (0_u64, collection.dimensions().unwrap_or(0));
        loop {
            control.check()?;
            let chunk = scan.next_chunk(CHUNK_ROWS, CHUNK_BYTES, cancel)?;
            if chunk.is_empty() {
                break;
            }
            for found in chunk {
                let position = match &found.vector {
                    Some(vector) => {
                        dimensions = vector.len();
                        let vectors = match &mut vectors {
                            Some(vectors) => vectors,
                            none => none.insert(self.create_vectors(
                                collection.metric(),
                                options,
                                vector.len(),
                            )?),
                        };
                        Some(vectors.push(&found.id, vector)?)
                    }
                    None => None,
                };
                let metadata = found.metadata.map(payload::raw_metadata).transpose();
                let line = RecordLine {
                    id: found.id,
                    vector: position,
                    text: found.text,
                    metadata: metadata
                        .map_err(|reason| Error::Internal(format!("stored metadata: {reason}")))?,
                };
                line.write(&mut records).at(&records_path)?;
                rows += 1;
            }
        }
        records
            .flush()
            .and_then(|()| records.get_ref().sync_all())
            .at(&records_path)?;
        let index = collection.stats()?.index.map_or("auto", rabitq::Kind::name);
        let mut content = Content {
            format: FORMAT,
            collection: collection.name().to_owned(),
            metric: collection.metric().name().to_owned(),
            index: index.to_owned(),
            records: rows,
            vectors: vectors.as_ref().map_or(0, |vectors| vectors.rows),
            files: vec![entry(&records_path, Role::Records)?],
        };
        if let Some(vectors) = vectors {
            content.files.extend(vectors.finish()?);
        }
        // Same order as the drafts.
        Ok((dimensions as u64, content))
    }

    fn create_vectors(
        &mut self,
        metric: Metric,
        options: &PublishOptions,
        dimensions: usize,
    ) -> Result<Vectors> {
        let start = |(path, file): (PathBuf, File), kind| {
            let writer = VectorsWriter::new(file, kind, dimensions).at(&path)?;
            Ok::<_, Error>((path, writer))
        };
        let raw = start(self.create("vectors")?, VectorsKind::Ruvec1)?;
        // Upstream ranks by Euclidean distance, which no transformation makes the order of inner products.
        let index = match metric {
            Metric::Cosine | Metric::L2 if options.rbpx => {
                let kind = VectorsKind::Rbpx {
                    seed: options.rotation_seed,
                    rerank: options.rerank_factor,
                };
                Some(start(self.create("index")?, kind)?)
            }
            _ => None,
        };
        Ok(Vectors {
            raw,
            index,
            unit: metric == Metric::Cosine,
            numeric: true,
            rows: 0,
        })
    }
}

/// The files of vectors under way.
struct Vectors {
    raw: (PathBuf, VectorsWriter),
    index: Option<(PathBuf, VectorsWriter)>,
    /// Whether the index gets vectors of length 1, so that Euclidean distances order them as cosines do.
    unit: bool,
    /// Whether every id so far is a number; rows then keep it, otherwise they are numbered.
    numeric: bool,
    rows: u64,
}

impl Vectors {
    /// Gives the position of the vector.
    fn push(&mut self, id: &str, vector: &[f32]) -> Result<u64> {
        let row = self.rows;
        if row >= MAX_ROWS {
            return Err(Error::InvalidOption {
                option: "collection",
                reason: format!("a bundle holds at most {MAX_ROWS} vectors"),
            });
        }
        let number = payload::as_number(id).filter(|_| self.numeric);
        let (path, raw) = &mut self.raw;
        if number.is_none() && self.numeric {
            raw.number_rows(row).at(path)?;
            self.numeric = false;
        }
        raw.push(number.unwrap_or(row), vector.iter().copied())
            .at(path)?;
        if let Some((path, index)) = &mut self.index {
            // Upstream takes the ids of this file for positions.
            let scale = if self.unit {
                inverse_length(vector)
            } else {
                1.0
            };
            let scaled = vector.iter().map(|&x| {
                if self.unit {
                    (f64::from(x) * scale) as f32
                } else {
                    x
                }
            });
            index.push(row, scaled).at(path)?;
        }
        self.rows += 1;
        Ok(row)
    }

    fn finish(self) -> Result<Vec<FileEntry>> {
        let (path, raw) = self.raw;
        raw.finish().at(&path)?;
        let mut entries = vec![entry(&path, Role::Vectors)?];
        if let Some((path, index)) = self.index {
            index.finish().at(&path)?;
            entries.push(entry(&path, Role::Index)?);
        }
        Ok(entries)
    }
}

/// 1 for the zero vector.
fn inverse_length(vector: &[f32]) -> f64 {
    let squared: f64 = vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    if squared > 0.0 {
        squared.sqrt().recip()
    } else {
        1.0
    }
}

fn describe(collection: &Collection, options: &PublishOptions) -> Result<Bundle> {
    let default = || format!("rulake:{}", collection.name());
    let bundle = Bundle {
        format_version: 2,
        data_ref: options.data_ref.clone().unwrap_or_else(default),
        dim: 0,
        rotation_seed: options.rotation_seed,
        rerank_factor: options.rerank_factor.into(),
        generation: Generation::Number(0),
        rvf_witness: String::new(),
        pii_policy: options.pii_policy.clone(),
        lineage_id: options.lineage_id.clone(),
        memory_class: options.memory_class.clone(),
        content: None,
        signature: None,
    };
    bundle.check_limits()?;
    Ok(bundle)
}

/// The entry of a file that was just written.
fn entry(path: &Path, role: Role) -> Result<FileEntry> {
    let (bytes, shake256) = digest::of_file(path)?;
    let name = match role {
        Role::Vectors => format!("vectors-{}.ruvec1", short(&shake256)),
        Role::Records => format!("records-{}.jsonl", short(&shake256)),
        Role::Index => INDEX_NAME.to_owned(),
    };
    Ok(FileEntry {
        role,
        name,
        bytes,
        shake256,
    })
}

/// Whether a name is one that [`entry`] gives to files of vectors and records.
fn is_ours(name: &str) -> bool {
    let middle = |start: &str, end: &str| {
        name.strip_prefix(start)?
            .strip_suffix(end)
            .map(str::to_owned)
    };
    let digits = middle("vectors-", ".ruvec1").or_else(|| middle("records-", ".jsonl"));
    digits.is_some_and(|digits| digits.len() == 16 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// The right to publish into a directory; none where directories cannot be locked.
fn lock(dir: &Path) -> Result<Option<File>> {
    let Ok(file) = File::open(dir) else {
        return Ok(None);
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(fs::TryLockError::WouldBlock) => Err(Error::BundleLocked {
            path: dir.to_owned(),
        }),
        Err(fs::TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
            Ok(None)
        }
        Err(fs::TryLockError::Error(_)) => Ok(None),
    }
}
