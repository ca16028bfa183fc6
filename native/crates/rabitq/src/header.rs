//! The first 4 KiB of an index file.

use std::path::Path;

use crate::file::unsupported;
use crate::{Bits, BuildOptions, Error, Kind, Metric, RawPrecision, Result};

/// Bytes of the header; the last four are its checksum.
pub(crate) const HEADER_BYTES: usize = 4096;

const MAGIC: &[u8; 8] = b"RBQINDEX";
const FIXED_BYTES: usize = 96;
const ENTRY_BYTES: usize = 24;

/// Versions of the format, which differ in nothing but their blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    One = 1,
    Two = 2,
}

impl Version {
    /// The version that is written.
    pub(crate) const NEWEST: Self = Self::Two;

    /// Bytes of the body covered by one checksum. A read of a few bytes checks that much first.
    pub(crate) const fn check_block(self) -> usize {
        match self {
            Self::One => 64 << 10,
            Self::Two => 4 << 10,
        }
    }

    fn from_number(number: u32) -> Option<Self> {
        [Self::One, Self::Two]
            .into_iter()
            .find(|version| *version as u32 == number)
    }
}

/// What a section holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tag {
    Rotation = 1,
    Center = 2,
    Ids = 3,
    ById = 4,
    Norms = 5,
    Signs = 6,
    Add = 7,
    Rescale = 8,
    Codes = 10,
    Raw = 11,
    Order = 12,
    Starts = 13,
    Blocks = 14,
    Offsets = 15,
    RouteSigns = 16,
    RouteAdd = 17,
    RouteRescale = 18,
    RouteCodes = 20,
    RawInOrder = 22,
    RawHalves = 23,
    RawExponents = 24,
    Radii = 25,
    Curves = 26,
    Lengths = 27,
}

impl Tag {
    const ALL: [Self; 24] = [
        Self::Rotation,
        Self::Center,
        Self::Ids,
        Self::ById,
        Self::Norms,
        Self::Signs,
        Self::Add,
        Self::Rescale,
        Self::Codes,
        Self::Raw,
        Self::Order,
        Self::Starts,
        Self::Blocks,
        Self::Offsets,
        Self::RouteSigns,
        Self::RouteAdd,
        Self::RouteRescale,
        Self::RouteCodes,
        Self::RawInOrder,
        Self::RawHalves,
        Self::RawExponents,
        Self::Radii,
        Self::Curves,
        Self::Lengths,
    ];

    fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|tag| *tag as u32 == number)
    }
}

/// Where a section lies in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SectionEntry {
    pub tag: Tag,
    pub offset: u64,
    pub length: u64,
}

/// The decoded header.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Header {
    pub version: Version,
    pub options: BuildOptions,
    pub rows: u64,
    pub center_rows: u64,
    pub max_add: f32,
    /// Number of inverted lists, 0 without.
    pub lists: u32,
    /// Mean error factor of the codes, 0 if unknown.
    pub mean_error: f32,
    /// The same when all codes were made last.
    pub first_error: f32,
    /// End of the sections and start of the checksum table.
    pub body_end: u64,
    pub file_length: u64,
    pub table_checksum: u32,
    pub sections: Vec<SectionEntry>,
}

impl Header {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_BYTES);
        let options = &self.options;
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&(self.version as u32).to_le_bytes());
        out.extend_from_slice(&(HEADER_BYTES as u32).to_le_bytes());
        out.extend_from_slice(&self.file_length.to_le_bytes());
        out.extend_from_slice(&self.body_end.to_le_bytes());
        out.extend_from_slice(&self.rows.to_le_bytes());
        out.extend_from_slice(&self.center_rows.to_le_bytes());
        out.extend_from_slice(&options.seed.to_le_bytes());
        out.extend_from_slice(&(options.dimensions as u32).to_le_bytes());
        out.extend_from_slice(&options.rerank_factor.unwrap_or(0).to_le_bytes());
        out.extend_from_slice(&self.max_add.to_le_bytes());
        out.extend_from_slice(&self.table_checksum.to_le_bytes());
        out.push(kind_number(options.kind));
        out.push(metric_number(options.metric));
        out.push(options.bits.map_or(0, |bits| bits.total() as u8));
        out.push(u8::from(options.raw == RawPrecision::F16));
        out.extend_from_slice(&(self.sections.len() as u32).to_le_bytes());
        out.extend_from_slice(&options.lists.unwrap_or(0).to_le_bytes());
        out.extend_from_slice(&self.lists.to_le_bytes());
        out.extend_from_slice(&self.mean_error.to_le_bytes());
        out.extend_from_slice(&self.first_error.to_le_bytes());
        out.resize(FIXED_BYTES, 0);
        for section in &self.sections {
            out.extend_from_slice(&(section.tag as u64).to_le_bytes());
            out.extend_from_slice(&section.offset.to_le_bytes());
            out.extend_from_slice(&section.length.to_le_bytes());
        }
        out.resize(HEADER_BYTES - 4, 0);
        let checksum = crc32c::crc32c(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        out
    }

    /// # Errors
    /// `UNSUPPORTED_FORMAT` for foreign files and later versions, `CORRUPT_FILE` for damaged ones.
    pub(crate) fn decode(path: &Path, bytes: &[u8]) -> Result<Self> {
        let corrupt = |reason: &str| Error::Corrupt {
            path: path.into(),
            reason: reason.into(),
        };
        if bytes.len() >= MAGIC.len() && !bytes.starts_with(MAGIC) || bytes.is_empty() {
            return Err(unsupported(
                path,
                "no index file: it does not start with RBQINDEX",
            ));
        }
        if bytes.len() < HEADER_BYTES {
            return Err(corrupt("the file ends inside its header"));
        }
        let mut fields = Fields {
            bytes,
            at: MAGIC.len(),
        };
        let mut tail = Fields {
            bytes,
            at: HEADER_BYTES - 4,
        };
        if tail.u32() != crc32c::crc32c(&bytes[..HEADER_BYTES - 4]) {
            return Err(corrupt("the header's checksum is wrong"));
        }
        let (number, header_bytes) = (fields.u32(), fields.u32() as usize);
        let Some(version) = Version::from_number(number).filter(|_| header_bytes == HEADER_BYTES)
        else {
            let newest = Version::NEWEST as u32;
            return Err(unsupported(
                path,
                format!("index format {number}; this build reads formats 1 to {newest}"),
            ));
        };
        let (file_length, body_end, rows, center_rows, seed) = (
            fields.u64(),
            fields.u64(),
            fields.u64(),
            fields.u64(),
            fields.u64(),
        );
        let (dimensions, rerank_factor) = (fields.u32() as usize, fields.u32());
        let (max_add, table_checksum) = (f32::from_bits(fields.u32()), fields.u32());
        let [kind, metric, bits, raw] = fields.u32().to_le_bytes();
        let count = fields.u32() as usize;
        let (lists_option, lists) = (fields.u32(), fields.u32());
        let errors = [fields.u32(), fields.u32()].map(f32::from_bits);
        let [mean_error, first_error] = errors.map(|e| if e.is_finite() { e } else { 0.0 });
        let options = BuildOptions {
            kind: kind_of(kind).ok_or_else(|| {
                unsupported(path, format!("index kind {kind} is unknown to this build"))
            })?,
            metric: metric_of(metric).ok_or_else(|| {
                unsupported(path, format!("metric {metric} is unknown to this build"))
            })?,
            dimensions,
            seed,
            bits: if bits == 0 {
                None
            } else {
                Some(Bits::from_total(u32::from(bits)).map_err(|_| corrupt("impossible bits"))?)
            },
            rerank_factor: (rerank_factor > 0).then_some(rerank_factor),
            lists: (lists_option > 0).then_some(lists_option),
            raw: match raw {
                0 => RawPrecision::F32,
                1 => RawPrecision::F16,
                _ => {
                    let reason = format!("raw precision {raw} is unknown to this build");
                    return Err(unsupported(path, reason));
                }
            },
        };
        options
            .validate()
            .map_err(|error| corrupt(&format!("impossible options: {error}")))?;
        if FIXED_BYTES + count * ENTRY_BYTES > HEADER_BYTES - 4 {
            return Err(corrupt("too many sections"));
        }
        fields.at = FIXED_BYTES;
        let mut sections = Vec::with_capacity(count);
        for _ in 0..count {
            let (number, offset, length) = (fields.u64(), fields.u64(), fields.u64());
            let fits = offset
                .checked_add(length)
                .is_some_and(|end| end <= body_end);
            if offset < HEADER_BYTES as u64 || !offset.is_multiple_of(64) || !fits {
                return Err(corrupt("a section lies outside the file"));
            }
            // Sections this build does not know are left alone: later versions may add some.
            if let Some(tag) = u32::try_from(number).ok().and_then(Tag::from_number) {
                sections.push(SectionEntry {
                    tag,
                    offset,
                    length,
                });
            }
        }
        let checks = body_end
            .saturating_sub(HEADER_BYTES as u64)
            .div_ceil(version.check_block() as u64);
        if body_end < HEADER_BYTES as u64
            || body_end.checked_add(checks * 4) != Some(file_length)
            || rows > u64::from(u32::MAX)
        {
            return Err(corrupt("the header's lengths contradict each other"));
        }
        Ok(Self {
            version,
            options,
            rows,
            center_rows,
            max_add,
            lists,
            mean_error,
            first_error,
            body_end,
            file_length,
            table_checksum,
            sections,
        })
    }

    /// # Errors
    /// `CORRUPT_FILE`.
    pub(crate) fn check_table(&self, path: &Path, table: &[u8]) -> Result<()> {
        if crc32c::crc32c(table) == self.table_checksum {
            return Ok(());
        }
        Err(Error::Corrupt {
            path: path.into(),
            reason: "the checksum table does not match the header".into(),
        })
    }
}

struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Fields<'_> {
    fn u32(&mut self) -> u32 {
        let b = &self.bytes[self.at..self.at + 4];
        self.at += 4;
        u32::from_le_bytes([b[0], b[1], b[2], b[3]])
    }

    fn u64(&mut self) -> u64 {
        u64::from(self.u32()) | u64::from(self.u32()) << 32
    }
}

const KINDS: [Kind; 5] = [
    Kind::FlatF32,
    Kind::Rabitq,
    Kind::RabitqPlus,
    Kind::RabitqAsym,
    Kind::RabitqIvf,
];
const METRICS: [Metric; 3] = [Metric::Cosine, Metric::InnerProduct, Metric::L2];

fn kind_number(kind: Kind) -> u8 {
    KINDS.iter().position(|k| *k == kind).unwrap_or_default() as u8
}

fn kind_of(number: u8) -> Option<Kind> {
    KINDS.get(usize::from(number)).copied()
}

fn metric_number(metric: Metric) -> u8 {
    METRICS
        .iter()
        .position(|m| *m == metric)
        .unwrap_or_default() as u8
}

fn metric_of(number: u8) -> Option<Metric> {
    METRICS.get(usize::from(number)).copied()
}
