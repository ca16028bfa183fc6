//! One record of a log.

/// Bytes before the payload.
pub(super) const HEADER: usize = 40;
/// Largest payload.
pub(crate) const MAX_PAYLOAD: usize = 1 << 31;

const MAGIC: [u8; 4] = *b"RLwr";

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Mark,
    Change,
}

impl Kind {
    fn number(self) -> u32 {
        match self {
            Self::Mark => 0,
            Self::Change => 1,
        }
    }

    fn from_number(number: u32) -> Option<Self> {
        [Self::Mark, Self::Change]
            .into_iter()
            .find(|kind| kind.number() == number)
    }
}

/// The fields before the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) sequence: u64,
    pub(super) watermark: u64,
    /// Milliseconds since 1970.
    pub(super) committed: u64,
}

impl Header {
    /// The bytes that precede `payload`.
    pub(super) fn encode(self, payload: &[u8]) -> [u8; HEADER] {
        let mut out = [0; HEADER];
        // A payload above `MAX_PAYLOAD` is refused before it gets here.
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        out[0..4].copy_from_slice(&MAGIC);
        out[4..8].copy_from_slice(&length.to_le_bytes());
        out[12..16].copy_from_slice(&self.kind.number().to_le_bytes());
        out[16..24].copy_from_slice(&self.sequence.to_le_bytes());
        out[24..32].copy_from_slice(&self.watermark.to_le_bytes());
        out[32..40].copy_from_slice(&self.committed.to_le_bytes());
        let crc = checksum(&out, payload);
        out[8..12].copy_from_slice(&crc.to_le_bytes());
        out
    }
}

/// A record found intact.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Found<'a> {
    pub(super) header: Header,
    pub(super) payload: &'a [u8],
}

/// What the bytes before a payload say, unchecked: the header, the length of the payload, and the checksum.
pub(super) fn head(header: &[u8; HEADER]) -> Option<(Header, usize, u32)> {
    if header[0..4] != MAGIC {
        return None;
    }
    let word = |at: usize| {
        u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
    };
    let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
    let found = Header {
        kind: Kind::from_number(word(12))?,
        sequence: long(16),
        watermark: long(24),
        committed: long(32),
    };
    Some((found, word(4) as usize, word(8)))
}

/// The record at the start of `bytes`, if it is whole and intact.
pub(super) fn decode(bytes: &[u8]) -> Option<Found<'_>> {
    let (bytes, rest) = bytes.split_first_chunk::<HEADER>()?;
    let (header, length, crc) = head(bytes)?;
    let payload = rest.get(..length)?;
    (checksum(bytes, payload) == crc).then_some(Found { header, payload })
}

fn checksum(header: &[u8; HEADER], payload: &[u8]) -> u32 {
    let crc = crc32c::crc32c(&header[12..]);
    let crc = crc32c::crc32c_append(crc, payload);
    crc32c::crc32c_append(crc, &header[4..8])
}
