//! Reading a bundle into a collection of its own, in memory.

use std::io::{BufReader, Read};
use std::path::Path;
use std::sync::atomic::AtomicBool;

use rabitq::{Control, Metric};

use super::content::{Content, FileEntry, Role};
use super::payload::{RecordLine, VectorsHead, VectorsKind, VectorsReader};
use super::publish::INDEX_NAME;
use super::source::{self, Hashing, Source};
use super::table::{Bundle, TABLE_FILE};
use crate::name::check_name;
use crate::{Batch, Collection, CollectionOptions, Durability, Error, IndexChoice, Lake, Result};

/// Records and bytes of one upsert.
const BATCH_ROWS: usize = 10_000;
const BATCH_BYTES: usize = 32 << 20;
/// Name of the collection in a bundle that does not tell.
const UNNAMED: &str = "bundle";

/// How a bundle is loaded.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// Most bytes of the files that are read into memory.
    pub max_bytes: u64,
    /// Read a file of vectors that no digest covers, which is all that bundles of upstream have.
    pub allow_unverified: bool,
    /// Which file that is; `index.rbpx` if not given.
    pub file: Option<String>,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            max_bytes: 16 << 30,
            allow_unverified: false,
            file: None,
        }
    }
}

/// The content of a bundle.
pub struct Loaded {
    /// Holds the collection, and nothing else.
    pub lake: Lake,
    /// A copy: nothing that happens to the files later changes it.
    pub collection: Collection,
}

impl Bundle {
    /// Reads the files of this bundle: all digests first, then the content, which is digested once more on the way.
    ///
    /// # Errors
    /// `CONTENT_UNVERIFIED`, `CORRUPT_FILE`, `UNSAFE_BUNDLE`, `UNSUPPORTED_FORMAT`, `BUNDLE_TOO_LARGE`,
    /// `FILE_NOT_FOUND`, `INVALID_OPTION`, `IO`, `CANCELLED`.
    pub fn load(
        &self,
        dir: &Path,
        options: &LoadOptions,
        cancel: Option<&AtomicBool>,
    ) -> Result<Loaded> {
        let control = Control {
            cancel,
            progress: None,
        };
        match &self.content {
            Some(content) => self.load_content(dir, content, options, control),
            None if options.allow_unverified => self.load_upstream(dir, options, control),
            None => Err(Error::ContentUnverified {
                path: dir.join(TABLE_FILE),
            }),
        }
    }

    fn load_content(
        &self,
        dir: &Path,
        content: &Content,
        options: &LoadOptions,
        control: Control<'_>,
    ) -> Result<Loaded> {
        let table = dir.join(TABLE_FILE);
        if options.file.is_some() {
            return Err(Error::InvalidOption {
                option: "file",
                reason: "the bundle lists its files".into(),
            });
        }
        let metric =
            Metric::from_name(&content.metric).ok_or_else(|| Error::UnsupportedFormat {
                path: table.clone(),
                reason: format!(
                    "metric '{}' is unknown to this version of rulake",
                    content.metric
                ),
            })?;
        let used = || {
            [Role::Records, Role::Vectors]
                .into_iter()
                .filter_map(|role| content.file(role))
        };
        check_size(&table, used().map(|file| file.bytes), options)?;
        let open = |role| {
            content
                .file(role)
                .map(|file: &FileEntry| Source::open(dir, file))
                .transpose()
        };
        let (mut records, mut vectors) = (open(Role::Records)?, open(Role::Vectors)?);
        for file in records.iter_mut().chain(&mut vectors) {
            file.verify(control)?;
        }
        let index = IndexChoice::from_name(&content.index).unwrap_or_default();
        let target = Target::new(&content.collection, self.dim, metric, index)?;
        let Some(records) = &mut records else {
            return target.finish(&table, content.records);
        };
        let path = records.path().to_owned();
        let vectors = match &mut vectors {
            Some(source) => {
                let path = source.path().to_owned();
                let mut reader = BufReader::with_capacity(1 << 20, source.reader(control)?);
                let head = read_head(&path, &mut reader)?;
                let expected = VectorsHead {
                    kind: VectorsKind::Ruvec1,
                    dimensions: self.dim,
                    rows: content.vectors,
                };
                if head != expected {
                    return Err(Error::corrupt(
                        &path,
                        "its header is not what the bundle states",
                    ));
                }
                Some((path, reader, VectorsReader::new(&head)))
            }
            None => None,
        };
        let reader = BufReader::with_capacity(1 << 20, records.reader(control)?);
        let target = join(target, &path, reader, vectors)?;
        target.finish(&table, content.records)
    }

    /// A bundle of upstream: vectors and numbers for ids, compared by Euclidean distance.
    fn load_upstream(
        &self,
        dir: &Path,
        options: &LoadOptions,
        control: Control<'_>,
    ) -> Result<Loaded> {
        let name = options.file.as_deref().unwrap_or(INDEX_NAME);
        let path = dir.join(name);
        if check_name(name).is_err() {
            return Err(Error::UnsafeBundle {
                path: dir.join(TABLE_FILE),
                reason: format!("{name:?} is no name for a file of a bundle"),
            });
        }
        let (file, length) = source::open(&path)?;
        check_size(&path, [length].into_iter(), options)?;
        let mut reader = BufReader::with_capacity(1 << 20, file);
        let head = read_head(&path, &mut reader)?;
        if head.file_bytes() != Some(length) {
            let reason = format!(
                "{length} bytes; its header states {} rows of {} dimensions",
                head.rows, head.dimensions
            );
            return Err(Error::corrupt(&path, reason));
        }
        let agrees = match head.kind {
            VectorsKind::Ruvec1 => head.dimensions == self.dim,
            VectorsKind::Rbpx { seed, rerank } => {
                (head.dimensions, seed, u64::from(rerank))
                    == (self.dim, self.rotation_seed, self.rerank_factor)
            }
        };
        if !agrees {
            let reason = "dimensions, seed or rerank factor are not those of the bundle";
            return Err(Error::corrupt(&path, reason));
        }
        let mut target = Target::new(UNNAMED, self.dim, Metric::L2, IndexChoice::Auto)?;
        let mut rows = VectorsReader::new(&head);
        for _ in 0..head.rows {
            let (id, vector) = rows
                .next(&mut reader)
                .map_err(|error| io_error(&path, error))?;
            target.push(&path, &id.to_string(), Some(vector), None, None)?;
            target.flush_if_full(&path, control)?;
        }
        target.flush(&path)?;
        target.finish(&path, head.rows)
    }
}

type VectorFile<'a> = (std::path::PathBuf, BufReader<Hashing<'a>>, VectorsReader);

/// Reads records beside their vectors.
fn join(
    mut target: Target,
    path: &Path,
    mut records: BufReader<Hashing<'_>>,
    mut vectors: Option<VectorFile<'_>>,
) -> Result<Target> {
    let mut line = Vec::new();
    let mut position = 0;
    loop {
        let read = RecordLine::read(&mut records, &mut line)
            .map_err(|error| records.get_ref().error(error))?;
        let Some(record) = read else { break };
        let record = record.map_err(|reason| {
            Error::corrupt(path, format!("line {}: {reason}", target.lines + 1))
        })?;
        let vector = match (record.vector, &mut vectors) {
            (None, _) => None,
            (Some(stated), Some((path, reader, rows))) if stated == position => {
                position += 1;
                let next = rows.next(reader);
                Some(
                    next.map_err(|error| cut_off(path, reader.get_ref(), error))?
                        .1,
                )
            }
            (Some(stated), _) => {
                let reason = format!(
                    "line {}: vector {stated} where {position} is next",
                    target.lines + 1
                );
                return Err(Error::corrupt(path, reason));
            }
        };
        let metadata = record.metadata.as_ref().map(|raw| raw.get());
        target.push(path, &record.id, vector, record.text.as_deref(), metadata)?;
        target.flush_if_full(path, Control::default())?;
    }
    target.flush(path)?;
    records.into_inner().finish()?;
    if let Some((path, mut reader, _)) = vectors {
        let rest = reader
            .read(&mut [0])
            .map_err(|error| reader.get_ref().error(error))?;
        if rest > 0 {
            return Err(Error::corrupt(&path, "there are vectors without a record"));
        }
        reader.into_inner().finish()?;
    }
    Ok(target)
}

/// The collection under way.
struct Target {
    lake: Lake,
    collection: Collection,
    batch: Batch,
    lines: usize,
}

impl Target {
    fn new(name: &str, dim: u64, metric: Metric, index: IndexChoice) -> Result<Self> {
        let lake = Lake::in_memory();
        let options = CollectionOptions {
            dimensions: (dim > 0).then_some(dim as usize),
            metric: Some(metric),
            index: Some(index),
            metadata_index: None,
        };
        Ok(Self {
            collection: lake.collection(name, options)?,
            lake,
            batch: Batch::new(),
            lines: 0,
        })
    }

    fn push(
        &mut self,
        path: &Path,
        id: &str,
        vector: Option<&[f32]>,
        text: Option<&str>,
        metadata: Option<&str>,
    ) -> Result<()> {
        self.lines += 1;
        match vector {
            Some(vector) => self.batch.push_with_vector(id, vector, text, metadata),
            None => self.batch.push(id, text, metadata),
        }
        .map_err(|error| as_damage(path, error))
    }

    fn flush_if_full(&mut self, path: &Path, control: Control<'_>) -> Result<()> {
        if self.batch.len() < BATCH_ROWS && self.batch.bytes() < BATCH_BYTES {
            return Ok(());
        }
        control.check()?;
        self.flush(path)
    }

    fn flush(&mut self, path: &Path) -> Result<()> {
        let batch = std::mem::replace(&mut self.batch, Batch::continuing(self.lines));
        if batch.is_empty() {
            return Ok(());
        }
        let done = self.collection.upsert_and_wait(batch, Durability::Buffered);
        done.map(drop).map_err(|error| as_damage(path, error))
    }

    /// Makes sure that no record replaced another, and builds the index that so many vectors call for.
    fn finish(self, path: &Path, records: u64) -> Result<Loaded> {
        let found = self.collection.len() as u64;
        if found != records {
            let reason = format!("{found} different ids for {records} records");
            return Err(Error::corrupt(path, reason));
        }
        self.collection.compact()?;
        Ok(Loaded {
            lake: self.lake,
            collection: self.collection,
        })
    }
}

/// What a caller's record would be refused for is damage in a file.
fn as_damage(path: &Path, error: Error) -> Error {
    match error {
        Error::Index(rabitq::Error::Cancelled) | Error::Io { .. } | Error::Internal(_) => error,
        other => Error::corrupt(path, other.to_string()),
    }
}

fn check_size(path: &Path, sizes: impl Iterator<Item = u64>, options: &LoadOptions) -> Result<()> {
    let bytes = sizes.fold(0, u64::saturating_add);
    if bytes <= options.max_bytes {
        return Ok(());
    }
    Err(Error::BundleTooLarge {
        path: path.to_owned(),
        bytes,
        max: options.max_bytes,
    })
}

fn read_head(path: &Path, reader: &mut impl Read) -> Result<VectorsHead> {
    VectorsHead::read(reader)
        .map_err(|error| io_error(path, error))?
        .map_err(|reason| Error::corrupt(path, reason))
}

fn io_error(path: &Path, source: std::io::Error) -> Error {
    match source.kind() {
        std::io::ErrorKind::UnexpectedEof => Error::corrupt(path, "the file is cut off"),
        _ => Error::Io {
            path: path.to_owned(),
            source,
        },
    }
}

fn cut_off(path: &Path, reader: &Hashing<'_>, error: std::io::Error) -> Error {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => io_error(path, error),
        _ => reader.error(error),
    }
}
