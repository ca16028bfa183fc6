//! Writing a log file.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use super::reach::Reach;
use super::record::{HEADER, Header, Kind};
use crate::error::IoContext;
use crate::files::sync_dir;
use crate::pieces::Pieces;
use crate::{Error, Result};

const MAGIC: [u8; 8] = *b"RLWAL\0\0\x01";
/// Bytes before the first record.
pub(super) const LOG_HEADER: usize = 32;

/// What a log file says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LogHeader {
    /// Counts the openings for writing.
    pub(crate) epoch: u64,
    /// Sequence of the first record.
    pub(crate) first_sequence: u64,
    /// See [`owner`]; 0 where it does not matter.
    pub(crate) owner: u32,
}

/// What the logs of a collection say of it, so that those of others are told from them: never 0.
pub(crate) fn owner(hash_key: [u8; 16]) -> u32 {
    crc32c::crc32c(&hash_key).max(1)
}

impl LogHeader {
    pub(crate) fn file_name(self) -> String {
        format!("{:010}-{:020}.log", self.epoch, self.first_sequence)
    }

    pub(crate) fn from_file_name(name: &str) -> Option<Self> {
        let (epoch, sequence) = name.strip_suffix(".log")?.split_once('-')?;
        let header = Self {
            epoch: epoch.parse().ok()?,
            first_sequence: sequence.parse().ok()?,
            owner: 0,
        };
        (header.file_name() == name).then_some(header)
    }

    pub(super) fn encode(self) -> [u8; LOG_HEADER] {
        let mut out = [0; LOG_HEADER];
        out[0..8].copy_from_slice(&MAGIC);
        out[8..16].copy_from_slice(&self.epoch.to_le_bytes());
        out[16..24].copy_from_slice(&self.first_sequence.to_le_bytes());
        out[24..28].copy_from_slice(&self.owner.to_le_bytes());
        let crc = crc32c::crc32c(&out[..28]);
        out[28..32].copy_from_slice(&crc.to_le_bytes());
        out
    }
}

/// A log open for appending. After the first failure nothing more is written to it.
#[derive(Debug)]
pub(crate) struct Log {
    header: LogHeader,
    path: PathBuf,
    file: File,
    /// Sequence of the newest record.
    last: u64,
    /// Sequence of the newest record handed to the operating system.
    written: u64,
    /// Records up to here are fsynced.
    synced: u64,
    bytes: u64,
    buffer: Vec<u8>,
}

impl Log {
    /// Creates a log, durably. Everything before `first_sequence` is durable already.
    pub(crate) fn create(dir: &Path, header: LogHeader) -> Result<Self> {
        let path = dir.join(header.file_name());
        let mut file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .open(&path)
            .at(&path)?;
        let written = file
            .write_all(&header.encode())
            .and_then(|()| file.sync_data())
            .at(&path);
        if let Err(error) = written.and_then(|()| sync_dir(dir)) {
            // For want of space, say: the next attempt needs the name.
            let _ = std::fs::remove_file(&path);
            return Err(error);
        }
        let last = header.first_sequence.saturating_sub(1);
        let bytes = LOG_HEADER as u64;
        let log = Self {
            header,
            path,
            file,
            last,
            written: last,
            synced: last,
            bytes,
            buffer: Vec::new(),
        };
        log.note_reach();
        Ok(log)
    }

    /// Adds a change to what [`Log::write`] will write; its sequence is the next one. `payload` appends its payload.
    pub(crate) fn append(&mut self, committed: u64, payload: impl FnOnce(&mut Vec<u8>)) -> u64 {
        self.last += 1;
        self.push(
            Header {
                kind: Kind::Change,
                sequence: self.last,
                watermark: self.synced,
                committed,
            },
            payload,
        );
        self.last
    }

    fn push(&mut self, header: Header, payload: impl FnOnce(&mut Vec<u8>)) {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&[0; HEADER]);
        payload(&mut self.buffer);
        if let Some((head, payload)) = self
            .buffer
            .get_mut(start..)
            .and_then(|record| record.split_first_chunk_mut())
        {
            *head = header.encode(payload);
        }
    }

    /// Takes back everything appended and not yet written.
    pub(crate) fn discard(&mut self) {
        self.buffer.clear();
        self.last = self.written;
    }

    /// Hands the appended records to the operating system.
    pub(crate) fn write(&mut self) -> Result<()> {
        let mut out = Pieces(&self.file);
        out.write_all(&self.buffer).at(&self.path)?;
        self.bytes += self.buffer.len() as u64;
        self.written = self.last;
        self.buffer.clear();
        // One huge batch should not hold its memory for ever.
        self.buffer.shrink_to(1 << 20);
        Ok(())
    }

    /// Makes everything written durable and leaves a mark that says so.
    pub(crate) fn sync(&mut self) -> Result<()> {
        if self.synced == self.last {
            return Ok(());
        }
        self.file.sync_data().at(&self.path)?;
        self.synced = self.last;
        self.push(
            Header {
                kind: Kind::Mark,
                sequence: self.last,
                watermark: self.synced,
                committed: 0,
            },
            |_| (),
        );
        self.write()
    }

    /// Whether something was written that is not yet durable.
    pub(crate) fn is_dirty(&self) -> bool {
        self.synced < self.written
    }

    /// Bytes in the file.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Makes everything durable, the last mark included, and notes where it ends.
    pub(crate) fn close(mut self) -> Result<()> {
        self.sync()?;
        self.file.sync_data().at(&self.path)?;
        if self.last >= self.header.first_sequence {
            self.note_reach();
        }
        Ok(())
    }

    /// Notes beside the log how far it is durable.
    pub(crate) fn note_reach(&self) {
        if let Some(dir) = self.path.parent() {
            let _ = Reach::new(self.header, self.synced).write(dir);
        }
    }
}

/// The owner in a log's header; nothing if there is no such header.
pub(crate) fn owner_in(path: &Path) -> Option<u32> {
    let mut header = [0; LOG_HEADER];
    File::open(path)
        .and_then(|mut file| file.read_exact(&mut header))
        .ok()?;
    let [.., a, b, c, d, _, _, _, _] = header;
    header
        .starts_with(&MAGIC)
        .then(|| u32::from_le_bytes([a, b, c, d]))
}

/// Reads a log's header, which must agree with the file's name.
pub(super) fn check_header(path: &Path, bytes: &[u8], expected: LogHeader) -> Result<()> {
    let found = bytes
        .first_chunk::<LOG_HEADER>()
        .ok_or_else(|| Error::corrupt(path, "the header is cut off"))?;
    let [.., a, b, c, d, _, _, _, _] = *found;
    let owner = u32::from_le_bytes([a, b, c, d]);
    if *found == (LogHeader { owner, ..expected }).encode() {
        // Older versions wrote 0.
        if expected.owner == 0 || owner == 0 || owner == expected.owner {
            return Ok(());
        }
        return Err(Error::corrupt(path, "it is the log of another collection"));
    }
    if found[..7] == MAGIC[..7]
        && found[7] > MAGIC[7]
        && crc32c::crc32c(&found[..28]).to_le_bytes() == found[28..]
    {
        let reason = format!(
            "log format {} is newer than this version of rulake reads",
            found[7]
        );
        return Err(Error::UnsupportedFormat {
            path: path.to_owned(),
            reason,
        });
    }
    Err(Error::corrupt(path, "the header is not what its name says"))
}
