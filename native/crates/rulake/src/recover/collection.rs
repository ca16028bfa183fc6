//! Opening a damaged collection: the newest generation of which every byte is as written, and the log after it up to its
//! first bad record.

use std::fs;
use std::path::{Path, PathBuf};

use super::place;
use crate::error::IoContext;
use crate::manifest::{self, Manifest};
use crate::segment::DIRECTORY;
use crate::{Error, Result, digest, files, wal};

/// Sets aside what is damaged, so that opening succeeds. Tells what was lost; nothing if nothing is damaged.
///
/// # Errors
/// `CORRUPT_FILE` if no generation is intact: all stays as it is then; `IO`.
pub(crate) fn set_aside(dir: &Path) -> Result<Vec<String>> {
    let mut aside = Aside {
        dir,
        place: place(dir),
        lost: Vec::new(),
    };
    let mut newest = None;
    let mut damaged = Vec::new();
    for generation in manifest::generations(dir)?.into_iter().rev() {
        match check(dir, generation) {
            Ok(manifest) if newest.is_none() => {
                let owner = manifest.log_owner(dir)?;
                newest = Some((manifest.sequence, owner, manifest.reach));
            }
            Ok(_) => {}
            Err(error) => damaged.push((generation, error)),
        }
    }
    let Some((sequence, owner, expected)) = newest else {
        let newest = damaged.into_iter().next();
        return Err(Error::Unrecoverable {
            path: dir.to_owned(),
            reason: newest.map_or("there is no manifest".into(), |(_, error)| {
                error.to_string()
            }),
        });
    };
    for (generation, error) in damaged {
        aside.take(&manifest::path(dir, generation))?;
        aside.lost.push(format!("generation {generation}: {error}"));
    }
    files::sync_dir(&manifest::dir(dir))?;
    for place in [dir.join(DIRECTORY), wal::dir(dir)] {
        if place.symlink_metadata().is_ok() && !place.is_dir() {
            aside.take(&place)?;
            let reason = format!("{}: it is no directory", place.display());
            aside.lost.push(reason);
        }
    }
    aside.logs(sequence, owner, expected)?;
    aside.past(sequence, owner)?;
    Ok(aside.lost)
}

/// Reads every byte of a generation.
fn check(dir: &Path, generation: u64) -> Result<Manifest> {
    let (manifest, _) = manifest::read(dir, generation)?;
    for file in manifest.files() {
        let path = dir.join(&file.name);
        let (length, shake256) = digest::of_file(&path)?;
        if (length, &shake256) != (file.length, &file.shake256) {
            let reason = format!("{length} bytes of digest {shake256}, the manifest states others");
            return Err(Error::corrupt(&path, reason));
        }
    }
    Ok(manifest)
}

struct Aside<'a> {
    dir: &'a Path,
    place: PathBuf,
    lost: Vec<String>,
}

impl Aside<'_> {
    /// Moves a file away.
    fn take(&self, path: &Path) -> Result<()> {
        files::create_dir(&self.place)?;
        let target = self.place.join(path.file_name().unwrap_or_default());
        fs::rename(path, &target).at(path)?;
        files::sync_dir(&self.place)
    }

    /// Copies a file, durably, and gives its bytes.
    fn keep(&self, path: &Path) -> Result<Vec<u8>> {
        files::create_dir(&self.place)?;
        let bytes = files::read(path)?;
        files::replace(
            &self.place.join(path.file_name().unwrap_or_default()),
            &bytes,
        )?;
        Ok(bytes)
    }

    /// Keeps the logs from a sequence on as far as they are intact and without gaps. `expected`: `reach.json` must be there.
    fn logs(&mut self, sequence: u64, owner: u32, expected: bool) -> Result<()> {
        let wal = wal::dir(self.dir);
        files::create_dir(&wal)?;
        let reach = if expected {
            wal::Reach::expect(&wal).map(Some)
        } else {
            wal::Reach::read(&wal)
        };
        let logs = wal::list(&wal, owner)?;
        let mut reached = sequence;
        let mut ended = false;
        for (i, (header, path)) in logs.iter().enumerate() {
            let next = logs.get(i + 1).map(|(next, _)| next.first_sequence);
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let found = wal::intact(path, *header);
            if let Some(next) = next.filter(|next| *next <= sequence + 1) {
                // Only states of the past need it.
                let fence = wal::fence(&logs, *header);
                let is_whole = |found: wal::Intact| {
                    let ends = found.good == found.length || found.last + 1 >= fence;
                    !found.damaged && ends && found.last + 1 >= next
                };
                if found.is_ok_and(is_whole) {
                    continue;
                }
                self.lost
                    .push(format!("{name}: states of the past that need it"));
                self.take(path)?;
                continue;
            }
            if ended || header.first_sequence > reached + 1 {
                self.lost.push(format!(
                    "{name}: all of it, for what comes before it is missing"
                ));
                self.take(path)?;
                ended = true;
                continue;
            }
            let intact = match found {
                Ok(intact) => intact,
                Err(error) => {
                    self.lost.push(format!("{name}: all of it: {error}"));
                    self.take(path)?;
                    ended = true;
                    continue;
                }
            };
            let fence = wal::fence(&logs, *header);
            reached = reached.max(intact.last.min(fence - 1));
            // The end of the last log may be torn by a crash: opening sees to it.
            let whole = intact.good == intact.length || intact.last + 1 >= fence;
            if whole || i + 1 == logs.len() && !intact.damaged {
                continue;
            }
            self.lost.push(format!(
                "{name}: what follows the change of sequence {}, {} bytes",
                intact.last,
                intact.length - intact.good
            ));
            ended = true;
            if intact.good == 0 {
                self.take(path)?;
            } else {
                let bytes = self.keep(path)?;
                let kept = usize::try_from(intact.good).unwrap_or(usize::MAX);
                files::replace(path, bytes.get(..kept).unwrap_or(&bytes))?;
            }
        }
        let missed = match reach {
            Ok(None) => Ok(()),
            Ok(Some(reach)) => reach.check(&wal),
            Err(error) => Err(error),
        };
        if let Err(error) = missed {
            if !ended {
                self.lost.push(error.to_string());
            }
            let path = wal::reach_path(&wal);
            if path.symlink_metadata().is_ok() {
                self.take(&path)?;
            }
            if expected {
                wal::Reach::begin(&wal)?;
            }
        }
        files::sync_dir(&wal)
    }

    /// Moves away the generations from which the logs do not lead on to the one of a sequence, which is opened: what came
    /// after them cannot be told any more.
    fn past(&mut self, sequence: u64, owner: u32) -> Result<()> {
        let logs = wal::list(&wal::dir(self.dir), owner)?;
        let mut coverage = wal::Coverage::default();
        for (header, path) in &logs {
            if let Ok(found) = wal::intact(path, *header) {
                let end = wal::fence(&logs, *header).saturating_sub(1);
                coverage.add(header.first_sequence, found.last.min(end));
            }
        }
        let Some(missing) = coverage.missing(0, sequence) else {
            return Ok(());
        };
        let (before, mut oldest) = (self.lost.len(), sequence);
        for generation in manifest::generations(self.dir)? {
            let (manifest, _) = manifest::read(self.dir, generation)?;
            if manifest.sequence >= missing {
                oldest = oldest.min(manifest.sequence);
            } else {
                self.take(&manifest::path(self.dir, generation))?;
                self.lost.push(format!(
                    "generation {generation}: no log has the change of sequence {missing}, which came later"
                ));
            }
        }
        if self.lost.len() == before {
            return Ok(());
        }
        files::sync_dir(&manifest::dir(self.dir))?;
        // The logs that led on from them.
        for pair in logs.windows(2) {
            if let [(_, path), (next, _)] = pair
                && next.first_sequence <= oldest + 1
            {
                self.take(path)?;
            }
        }
        files::sync_dir(&wal::dir(self.dir))
    }
}
