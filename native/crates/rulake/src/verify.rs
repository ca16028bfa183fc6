//! Reading every byte of a collection and comparing it with what it should be.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use rabitq::{Control, Index, OpenOptions, Verify};

use crate::engine::Engine;
use crate::filter::View;
use crate::manifest::{self, FileEntry, SegmentEntry};
use crate::markers::{self, Committed};
use crate::pin::{Pin, unless_gone};
use crate::segment::{INDEX_FILE, Live, directory};
use crate::state::State;
use crate::{Error, Result, digest, lake_file, wal};

/// A writer in another process may have removed all the generations that were listed, when these are looked at.
const ATTEMPTS: usize = 8;

/// What was read and what was wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Files read.
    pub files: usize,
    /// Bytes read.
    pub bytes: u64,
    /// Records of the newest state.
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

/// Checks the files of a collection, and the state in memory.
pub(crate) fn run(engine: &Engine, cancel: Option<&AtomicBool>) -> Result<VerifyReport> {
    let mut report = VerifyReport::default();
    let control = Control {
        cancel,
        progress: None,
    };
    // No generation may come or go meanwhile; a writer in another process leaves alone what is held.
    let head = engine.head();
    let state = engine.state();
    report.records = state.len();
    if let Some(dir) = engine.dir() {
        let mut checked = None;
        for _ in 0..ATTEMPTS {
            checked = check_generations(&mut report, dir, control)?;
            if checked.is_some() {
                break;
            }
        }
        let known = head.as_ref().map(|head| head.manifest.generation);
        if let Some(known) = known.filter(|_| checked < known) {
            report.problem(&manifest::path(dir, known), "it is gone");
        }
        let expected = head.as_ref().is_some_and(|head| head.manifest.reach);
        let owner = state.shared.log_owner();
        check_logs(&mut report, dir, owner, (state.sequence, expected))?;
        check_lake(&mut report, dir.parent().unwrap_or(dir))?;
    }
    drop(head);
    let place = engine.dir().unwrap_or(Path::new(""));
    check_state(&mut report, place, &state, control)?;
    Ok(report)
}

/// Whether every id leads to its record.
fn check_state(
    report: &mut VerifyReport,
    place: &Path,
    state: &State,
    control: Control<'_>,
) -> Result<()> {
    for (i, at) in state.places().enumerate() {
        if i % 1024 == 0 {
            control.check()?;
        }
        let view = state.view(at)?;
        match view.id().and_then(|id| Ok((id, state.find(id)?.1))) {
            Ok((_, Some(found))) if found == at => {}
            Ok((id, _)) => report.problem(place, format!("id {id:?} does not lead to its record")),
            Err(error) => report.note(place, error)?,
        }
    }
    Ok(())
}

/// Gives the newest generation that was there.
fn check_generations(
    report: &mut VerifyReport,
    dir: &Path,
    control: Control<'_>,
) -> Result<Option<u64>> {
    let mut newest = None;
    let mut parent: Option<(u64, String)> = None;
    // Generations share most of their files.
    let mut seen = HashSet::new();
    for generation in manifest::generations(dir)? {
        control.check()?;
        let path = manifest::path(dir, generation);
        let _pin = match Pin::try_new(dir, generation) {
            Ok(Some(pin)) => pin,
            Ok(None) => continue,
            Err(error) => {
                report.note(&path, error)?;
                continue;
            }
        };
        newest = Some(generation);
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
        for entry in &manifest.segments {
            for file in entry.all_files() {
                control.check()?;
                if seen.insert(file.shake256.clone()) {
                    check_file(report, dir, file)?;
                }
            }
            if let Err(error) = check_agreement(report, dir, entry, control) {
                report.note(&dir.join(&entry.id), error)?;
            }
        }
        parent = Some((generation, digest));
    }
    Ok(newest)
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

/// The files of a segment, each by its own checksums and against one another.
fn check_agreement(
    report: &mut VerifyReport,
    dir: &Path,
    entry: &SegmentEntry,
    control: Control<'_>,
) -> Result<()> {
    let live = Live::open(dir, entry)?;
    let place = dir.join(directory(live.segment.id));
    live.segment.rows.verify(|_| Ok(control.check()?))?;
    live.segment.filter.verify()?;
    if entry.vectors == 0 {
        return Ok(());
    }
    let path = place.join(INDEX_FILE);
    let verify = OpenOptions {
        verify: Verify::Full,
    };
    let ids = Index::open(&path, verify, control)?.ids()?;
    let records = live.segment.rows.len();
    if let Some(id) = ids.iter().find(|id| **id < 0 || **id >= records as i64) {
        report.problem(
            &path,
            format!("vector {id} belongs to none of {records} records"),
        );
    }
    Ok(())
}

/// `needed`: sequence up to which the logs must tell of every change since the oldest generation, whose states could not
/// be read otherwise; `expected`: `reach.json` must be there.
fn check_logs(
    report: &mut VerifyReport,
    dir: &Path,
    owner: u32,
    (needed, expected): (u64, bool),
) -> Result<()> {
    let wal = wal::dir(dir);
    let reach = if expected {
        wal::Reach::expect(&wal).map(Some)
    } else {
        wal::Reach::read(&wal)
    };
    let reach = match reach {
        Ok(reach) => reach,
        Err(error) => {
            report.note(&wal, error)?;
            None
        }
    };
    let logs = wal::list(&wal, owner)?;
    if let Some(reach) = &reach
        && let Err(error) = reach.check_list(&wal, &logs)
    {
        report.note(&wal, error)?;
    }
    let last = logs.len().saturating_sub(1);
    let mut coverage = wal::Coverage::default();
    for (i, (header, path)) in logs.iter().enumerate() {
        report.files += 1;
        let fence = wal::fence(&logs, *header);
        let next = logs
            .get(i + 1)
            .map_or(u64::MAX, |(next, _)| next.first_sequence);
        // What is damaged is a problem already.
        let assumed = next.saturating_sub(1);
        let read = wal::read_log(path, *header, |entry| {
            let offset = entry.offset;
            let reason =
                || format!("the record at offset {offset} has a payload that makes no sense");
            wal::decode(entry.payload)
                .map(drop)
                .ok_or_else(|| Error::corrupt(path, reason()))
        });
        let read = read.and_then(|tail| {
            if let Some(reach) = &reach {
                reach.check_log(path, *header, (tail.good, tail.last))?;
            }
            Ok(tail)
        });
        match unless_gone(read) {
            Ok(Some(tail)) => {
                report.bytes += tail.length;
                // The last log may be in the middle of being written.
                if tail.good < tail.length && i < last && tail.last + 1 < fence {
                    report.problem(path, format!("a damaged record at offset {}", tail.good));
                    coverage.add(header.first_sequence, assumed);
                } else {
                    coverage.add(
                        header.first_sequence,
                        tail.last.min(fence.saturating_sub(1)),
                    );
                }
            }
            // A writer in another process needs it no more.
            Ok(None) => {}
            Err(error) => {
                report.note(path, error)?;
                coverage.add(header.first_sequence, assumed);
            }
        }
    }
    // Read last: a writer in another process removes logs only when it has removed the generations that need them.
    if let Some(oldest) = oldest_sequence(dir)?
        && let Some(missing) = coverage.missing(oldest, needed)
    {
        let reason = format!(
            "none of the logs has the change of sequence {missing}, although generations from sequence {oldest} on are there"
        );
        report.problem(&wal, reason);
    }
    Ok(())
}

/// Sequence of the oldest generation that can be read.
fn oldest_sequence(dir: &Path) -> Result<Option<u64>> {
    for generation in manifest::generations(dir)? {
        if let Ok((manifest, _)) = manifest::read(dir, generation) {
            return Ok(Some(manifest.sequence));
        }
    }
    Ok(None)
}

/// Checks the files that belong to all collections.
fn check_lake(report: &mut VerifyReport, lake: &Path) -> Result<()> {
    report.files += 1;
    if let Err(error) = lake_file::check(lake) {
        report.note(&lake_file::path(lake), error)?;
    }
    if let Err(error) = Committed::read(lake) {
        report.note(&markers::dir(lake), error)?;
    }
    Ok(())
}
