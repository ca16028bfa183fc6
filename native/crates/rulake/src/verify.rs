//! Reading every byte of a collection and comparing it with what it should be.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use rabitq::{Control, Index, OpenOptions, Verify};

use crate::engine::Engine;
use crate::manifest::{self, FileEntry, INDEX_FILE, Manifest, ROWS_FILE};
use crate::rows::RowsFile;
use crate::{Error, Result, digest, wal};

/// What was read and what was wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Files read.
    pub files: usize,
    /// Bytes read.
    pub bytes: u64,
    /// Records of the newest checkpoint and the log.
    pub records: usize,
    /// Damages; none if all is well.
    pub problems: Vec<Problem>,
}

/// One damage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file; the collection's directory for a disagreement between files.
    pub path: PathBuf,
    /// Expected and found.
    pub reason: String,
}

impl VerifyReport {
    fn problem(&mut self, path: &Path, reason: impl Into<String>) {
        self.problems.push(Problem {
            path: path.to_owned(),
            reason: reason.into(),
        });
    }

    /// Notes an error, and takes only those that are no finding as such.
    fn note(&mut self, path: &Path, error: Error) -> Result<()> {
        match error {
            Error::Index(rabitq::Error::Cancelled) => Err(error),
            Error::Corrupt { path, reason } | Error::UnsupportedFormat { path, reason } => {
                self.problem(&path, reason);
                Ok(())
            }
            other => {
                self.problem(path, other.to_string());
                Ok(())
            }
        }
    }
}

/// Checks the files of a collection while nothing removes them, and the state in memory.
pub(crate) fn run(engine: &Engine, cancel: Option<&AtomicBool>) -> Result<VerifyReport> {
    let mut report = VerifyReport::default();
    // No checkpoint may replace the files meanwhile.
    let _checkpoint = engine.checkpoint();
    let state = engine.state();
    report.records = state.rows.len();
    if let Some(dir) = engine.dir() {
        let control = Control {
            cancel,
            progress: None,
        };
        check_generations(&mut report, dir, control)?;
        check_logs(&mut report, dir)?;
    }
    let place = engine.dir().unwrap_or(Path::new("")).to_owned();
    if let Some(stored) = &state.stored
        && let Err(error) = stored.verify()
    {
        report.note(&place, error)?;
    }
    for (row, slot) in state.rows.iter() {
        let view = state.view_slot(slot)?;
        let parts = match view.parts(row) {
            Ok(parts) => parts,
            Err(error) => {
                report.note(&place, error)?;
                continue;
            }
        };
        if state.find(parts.id)?.1 != Some(row) {
            report.problem(
                &place,
                format!("id {:?} does not lead to its row {row}", parts.id),
            );
        }
        if parts.has_vector
            && !state
                .index
                .as_ref()
                .map_or(Ok(false), |index| index.contains(row))?
        {
            report.problem(
                &place,
                format!("the vector of {:?} is not in the index", parts.id),
            );
        }
    }
    Ok(report)
}

fn check_generations(report: &mut VerifyReport, dir: &Path, control: Control<'_>) -> Result<()> {
    let mut parent: Option<(u64, String)> = None;
    for generation in manifest::generations(dir)? {
        control.check()?;
        let path = manifest::path(dir, generation);
        report.files += 1;
        report.bytes += std::fs::metadata(&path).map_or(0, |meta| meta.len());
        let (manifest, digest) = match manifest::read(dir, generation) {
            Ok(read) => read,
            Err(error) => {
                report.note(&path, error)?;
                continue;
            }
        };
        if let Some((number, parent)) = &parent
            && *number + 1 == generation
            && manifest.parent.as_ref() != Some(parent)
        {
            report.problem(
                &path,
                format!("its parent is not the manifest of generation {number}"),
            );
        }
        for file in &manifest.files {
            control.check()?;
            check_file(report, dir, file)?;
        }
        check_agreement(report, dir, &manifest)?;
        parent = Some((generation, digest));
    }
    Ok(())
}

fn check_file(report: &mut VerifyReport, dir: &Path, file: &FileEntry) -> Result<()> {
    let path = dir.join(&file.name);
    match digest::of_file(&path) {
        Ok((length, shake256)) => {
            report.files += 1;
            report.bytes += length;
            if length != file.length {
                report.problem(
                    &path,
                    format!("{length} bytes, the manifest states {}", file.length),
                );
            } else if shake256 != file.shake256 {
                report.problem(
                    &path,
                    format!(
                        "its digest is {shake256}, the manifest states {}",
                        file.shake256
                    ),
                );
            }
        }
        Err(error) => report.note(&path, error)?,
    }
    Ok(())
}

/// Rows and index of a checkpoint, each by its own checksums and against one another.
fn check_agreement(report: &mut VerifyReport, dir: &Path, manifest: &Manifest) -> Result<()> {
    let Some(rows) = manifest.file(ROWS_FILE) else {
        return Ok(());
    };
    let path = dir.join(&rows.name);
    let rows = match RowsFile::open(&path).and_then(|rows| rows.verify().map(|()| rows)) {
        Ok(rows) => rows,
        Err(error) => return report.note(&path, error),
    };
    if rows.len() as u64 != manifest.records {
        report.problem(
            &path,
            format!(
                "{} records, the manifest states {}",
                rows.len(),
                manifest.records
            ),
        );
    }
    let Some(entry) = manifest.file(INDEX_FILE) else {
        return Ok(());
    };
    let path = dir.join(&entry.name);
    let opened = Index::open(
        &path,
        OpenOptions {
            verify: Verify::Full,
        },
        Control::default(),
    );
    let known = opened.and_then(|index| index.ids());
    let mut known = match known {
        Ok(known) => known,
        Err(error) => return report.note(&path, error.into()),
    };
    known.sort_unstable();
    for position in 0..rows.len() {
        if rows.has_vector(position)? && known.binary_search(&rows.row(position)?).is_err() {
            report.problem(
                &path,
                format!("the vector of {:?} is missing", rows.id(position)?),
            );
        }
    }
    Ok(())
}

fn check_logs(report: &mut VerifyReport, dir: &Path) -> Result<()> {
    let logs = wal::list(&wal::dir(dir))?;
    let last = logs.len().saturating_sub(1);
    for (i, (header, path)) in logs.iter().enumerate() {
        report.files += 1;
        let read = wal::read_log(path, *header, |_, kind, payload, offset| {
            let reason =
                || format!("the record at offset {offset} has a payload that makes no sense");
            wal::decode(kind, payload)
                .map(drop)
                .ok_or_else(|| Error::corrupt(path, reason()))
        });
        match read {
            Ok(tail) => {
                report.bytes += tail.length;
                // The last log may be in the middle of being written.
                if tail.good < tail.length && i < last {
                    report.problem(path, format!("a damaged record at offset {}", tail.good));
                }
            }
            Err(error) => report.note(path, error)?,
        }
    }
    Ok(())
}
