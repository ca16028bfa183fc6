//! Reading logs back.

use std::fs::File;
use std::io::{Read, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::log::{LOG_HEADER, LogHeader, check_header};
use super::record::{self, HEADER, Kind};
use crate::error::IoContext;
use crate::{Error, Result, files};

/// Records after which reading a log is about as fast as looking at the heads of the others.
const HEADS: usize = 4096;

/// How a log ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tail {
    /// Bytes of header and intact records.
    pub(crate) good: u64,
    /// Bytes in the file; more than `good` if the last record is torn.
    pub(crate) length: u64,
    /// Sequence of the last record; one below the header's first if there is none.
    pub(crate) last: u64,
    /// Sequence up to which its records are known to be durable; one below the header's first if none is.
    pub(crate) synced: u64,
    /// Bytes known to be durable; marks behind them may not be.
    settled: u64,
}

/// A change read back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) sequence: u64,
    /// Milliseconds since 1970.
    pub(crate) committed: u64,
    pub(crate) payload: &'a [u8],
    /// Where the record starts in the file.
    pub(crate) offset: u64,
}

/// The logs in a directory, oldest first, as they should be there: all of one owner, or of anybody if that is 0.
pub(crate) fn list(dir: &Path, owner: u32) -> Result<Vec<(LogHeader, PathBuf)>> {
    let mut logs = Vec::new();
    for name in files::names(dir)? {
        if let Some(header) = LogHeader::from_file_name(&name) {
            logs.push((LogHeader { owner, ..header }, dir.join(name)));
        }
    }
    logs.sort_unstable();
    Ok(logs)
}

/// Sequence from which a log of the list counts for nothing: a writer of a later epoch started its own there, so that
/// what the earlier one may have written behind its back was not acknowledged.
pub(crate) fn fence(logs: &[(LogHeader, PathBuf)], log: LogHeader) -> u64 {
    let later = logs.iter().filter(|(other, _)| other.epoch > log.epoch);
    later
        .map(|(other, _)| other.first_sequence)
        .min()
        .unwrap_or(u64::MAX)
}

/// Reads a log and passes every change to `visit`. A torn tail is reported, not an error, if it can be one.
///
/// # Errors
/// `CORRUPT_FILE` naming file and offset; `IO`; what `visit` returns.
pub(crate) fn read_log(
    path: &Path,
    header: LogHeader,
    mut visit: impl FnMut(Entry<'_>) -> Result<()>,
) -> Result<Tail> {
    let bytes = files::read(path)?;
    let length = bytes.len() as u64;
    let mut last = header.first_sequence.saturating_sub(1);
    let (mut synced, mut settled) = (last, 0);
    if bytes.len() < LOG_HEADER || check_header(path, &bytes, header).is_err() {
        // A crash while the file was created leaves a part of the header and certainly no record.
        if vouched(&bytes, 0, 0).is_none() && !looks_whole(&bytes) {
            return Ok(Tail {
                good: 0,
                length,
                last,
                synced,
                settled,
            });
        }
        check_header(path, &bytes, header)?;
    }
    let mut at = LOG_HEADER;
    // Of the last change.
    let mut end = at as u64;
    while at < bytes.len() {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(found) = record::decode(rest) else {
            if let Some(witness) = vouched(&bytes, at, last + 1) {
                let reason = format!(
                    "the record at offset {at} is damaged, although the one at offset {witness} shows that it was complete"
                );
                return Err(Error::corrupt(path, reason));
            }
            break;
        };
        let expected = if found.header.kind == Kind::Mark {
            last
        } else {
            last + 1
        };
        if found.header.sequence != expected {
            let got = found.header.sequence;
            return Err(Error::corrupt(
                path,
                format!("the record at offset {at} has sequence {got}, expected {expected}"),
            ));
        }
        if found.header.watermark >= last {
            settled = end;
        }
        last = expected;
        synced = synced.max(found.header.watermark);
        if found.header.kind != Kind::Mark {
            end = (at + HEADER + found.payload.len()) as u64;
            visit(Entry {
                sequence: last,
                committed: found.header.committed,
                payload: found.payload,
                offset: at as u64,
            })?;
        }
        at += HEADER + found.payload.len();
    }
    Ok(Tail {
        good: at.min(bytes.len()) as u64,
        length,
        last,
        synced,
        settled,
    })
}

/// Makes durable what the writer before has left in a log, before anything is built on it: it may have been killed before
/// its fsync. The bytes are written once more, as they pass for written where that fsync has failed.
pub(crate) fn settle(path: &Path, tail: Tail) -> Result<()> {
    if tail.synced >= tail.last {
        return Ok(());
    }
    let again = || -> std::io::Result<()> {
        let mut file = File::options().read(true).write(true).open(path)?;
        let mut rest = Vec::new();
        file.seek(SeekFrom::Start(tail.settled))?;
        Read::by_ref(&mut file)
            .take(tail.good - tail.settled)
            .read_to_end(&mut rest)?;
        file.seek(SeekFrom::Start(tail.settled))?;
        file.write_all(&rest)?;
        file.sync_data()
    };
    again().at(path)
}

/// Whether a log has nothing after a sequence, by a look at the heads of its records: what a generation holds already
/// need not be read. `false` may also mean that only reading it all can tell.
///
/// Every head must follow the one before, and the last record be intact: then no damaged length can have led past one.
pub(crate) fn ends_by(path: &Path, header: LogHeader, sequence: u64) -> Result<bool> {
    let mut file = files::open(path)?;
    let length = file.metadata().at(path)?.len();
    let mut read = |at: u64, bytes: &mut [u8]| {
        file.seek(SeekFrom::Start(at))
            .and_then(|_| file.read_exact(bytes))
            .is_ok()
    };
    let mut start = [0; LOG_HEADER];
    if !read(0, &mut start) || check_header(path, &start, header).is_err() {
        return Ok(false);
    }
    let mut last = header.first_sequence.saturating_sub(1);
    let mut at = LOG_HEADER as u64;
    if at == length {
        return Ok(last <= sequence);
    }
    let mut head = [0; HEADER];
    for _ in 0..HEADS {
        if !read(at, &mut head) {
            return Ok(false);
        }
        let Some((found, payload, _)) = record::head(&head) else {
            return Ok(false);
        };
        let change = found.kind == Kind::Change;
        let end = at + (HEADER + payload) as u64;
        if found.sequence != last + u64::from(change) || found.sequence > sequence || end > length {
            return Ok(false);
        }
        last = found.sequence;
        if end == length {
            let mut record = vec![0; HEADER + payload];
            return Ok(read(at, &mut record) && record::decode(&record).is_some());
        }
        at = end;
    }
    Ok(false)
}

/// How much of a log is intact, and whether what follows is damage rather than the mark of a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Intact {
    pub(crate) good: u64,
    pub(crate) length: u64,
    pub(crate) last: u64,
    pub(crate) damaged: bool,
}

/// Reads a log as far as it goes.
pub(crate) fn intact(path: &Path, header: LogHeader) -> Result<Intact> {
    let bytes = files::read(path)?;
    let length = bytes.len() as u64;
    let mut last = header.first_sequence.saturating_sub(1);
    let mut at = 0;
    if check_header(path, &bytes, header).is_ok() {
        at = LOG_HEADER;
        while let Some(found) = bytes.get(at..).and_then(record::decode) {
            let expected = if found.header.kind == Kind::Mark {
                last
            } else {
                last + 1
            };
            if found.header.sequence != expected {
                break;
            }
            last = expected;
            at += HEADER + found.payload.len();
        }
    }
    let (good, damaged) = (at as u64, read_log(path, header, |_| Ok(())).is_err());
    Ok(Intact {
        good,
        length,
        last,
        damaged,
    })
}

/// A log that was created completely has a header that is not all zeros: then a mismatch is damage.
fn looks_whole(bytes: &[u8]) -> bool {
    bytes.len() >= LOG_HEADER
        && bytes
            .get(..LOG_HEADER)
            .is_some_and(|header| header.iter().any(|&b| b != 0))
}

/// Offset of an intact record after `from` that knows the record `sequence` to be durable.
fn vouched(bytes: &[u8], from: usize, sequence: u64) -> Option<usize> {
    (from + 1..bytes.len().saturating_sub(HEADER - 1)).find(|&at| {
        // `decode` reads the payload only behind a matching magic, so this is one pass over the file.
        bytes
            .get(at..)
            .and_then(record::decode)
            .is_some_and(|found| found.header.watermark >= sequence)
    })
}
