//! The index file: a 4 KiB header, 64-byte aligned sections, a checksum for every 4 KiB of them.
//!
//! Little-endian throughout. `docs/index-format.md` has the whole layout; version 1 files stay readable.

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use mapping::Watch;

use crate::build::Shape;
use crate::curves::CURVES;
use crate::halves::Halves;
use crate::header::{HEADER_BYTES, Header, SectionEntry, Tag, Version};
use crate::lists::{Lists, layout, lengths, radii};
use crate::mapped::MappedFile;
use crate::pack::{self, BLOCK};
use crate::part::{Codes, Part};
use crate::raw::{RawRows, Stretch, Values};
use crate::rotate::Rotation;
use crate::section::{Plain, Section, as_bytes};
use crate::state::State;
use crate::writer::AtomicFile;
use crate::{Bits, Control, Error, Index, RawPrecision, Result};

/// Files up to this size are checked whole on opening.
const EAGER_BYTES: u64 = 64 << 20;

/// How much of a file is checked before it is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verify {
    /// Everything for files up to 64 MiB, larger files block by block when first read.
    #[default]
    Auto,
    /// Every byte on opening.
    Full,
    /// Block by block when first read.
    Lazy,
}

/// How an index file is opened.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenOptions {
    /// How much of the file is checked on opening.
    pub verify: Verify,
}

/// Maps an index file.
pub(crate) fn open(path: &Path, file: &File, options: OpenOptions) -> Result<Index> {
    let header = Header::decode(path, &MappedFile::head(path, file, HEADER_BYTES)?)?;
    let map = MappedFile::map(path, file, header.file_length)?;
    let table = &map[header.body_end as usize..];
    header.check_table(path, table)?;
    let checksums = table
        .chunks_exact(4)
        .map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect();
    let file = Arc::new(MappedFile::new(
        path,
        map,
        HEADER_BYTES..header.body_end as usize,
        header.version.check_block(),
        checksums,
    ));
    let eager = match options.verify {
        Verify::Auto => header.file_length <= EAGER_BYTES,
        Verify::Full => true,
        Verify::Lazy => false,
    };
    if eager {
        file.verify()?;
    }

    let rows = header.rows as usize;
    let padded = crate::rotate::padded(&header.options);
    let sections = Sections {
        header: &header,
        file: &file,
    };
    let words = sections.required::<u64>(Tag::Rotation, Rotation::word_count(padded))?;
    let point = sections.required::<f32>(Tag::Center, header.options.dimensions)?;
    let mut lists = match header.lists as usize {
        0 => None,
        count => Some(sections.lists(count, padded)?),
    };
    let blocks = match &lists {
        None => rows.div_ceil(BLOCK),
        Some(lists) => lists.blocks.at(lists.count())? as usize,
    };
    let codes = match header.options.effective_bits() {
        None => None,
        Some(bits) => Some(Codes {
            bits,
            padded,
            signs: sections.required(Tag::Signs, blocks * pack::block_bytes(padded))?,
            add: sections.required(Tag::Add, blocks * BLOCK)?,
            rescale: sections.required(Tag::Rescale, blocks * BLOCK)?,
            rows: sections.required(Tag::Codes, rows * pack::row_bytes(bits, padded))?,
            max_add: header.max_add,
            mean_error: header.mean_error,
        }),
    };
    let rotation = Rotation::from_words(padded, words.all()?);
    let shape = Shape {
        options: header.options.clone(),
        rotation,
    };
    let center = shape.center_at(point.all()?.to_vec(), header.center_rows as usize);
    // Files of earlier versions have neither radii nor lengths.
    if let Some(lists) = &mut lists
        && lists.lengths.len() != lists.count()
    {
        lists.lengths = lengths(lists.offsets.all()?, &center.rotated).into();
    }
    if let (Some(lists), Some(codes)) = (&mut lists, &codes)
        && lists.radii.len() != lists.count()
    {
        let (starts, blocks) = (lists.starts.all()?, lists.blocks.all()?);
        lists.radii = radii(starts, blocks, codes, header.options.metric)?.into();
    }
    let raw = if header.options.keeps_raw() {
        Some(sections.raw(rows, lists.as_ref())?)
    } else {
        None
    };
    let part = Part {
        ids: sections.required(Tag::Ids, rows)?,
        by_id: sections.optional(Tag::ById, rows)?,
        norms: sections.required(Tag::Norms, rows)?,
        raw,
        codes,
        lists,
        curves: sections
            .optional(Tag::Curves, CURVES)?
            .unwrap_or_else(|| vec![].into()),
        length: OnceLock::new(),
    };
    let state = State {
        first_error: header.first_error,
        ..State::new(center, part)
    };
    Ok(Index::from_state(shape, state))
}

struct Sections<'a> {
    header: &'a Header,
    file: &'a Arc<MappedFile>,
}

impl Sections<'_> {
    fn optional<T: Plain>(&self, tag: Tag, len: usize) -> Result<Option<Section<T>>> {
        let Some(entry) = self.header.sections.iter().find(|entry| entry.tag == tag) else {
            return Ok(None);
        };
        if entry.length != (len * size_of::<T>()) as u64 {
            let found = entry.length;
            return Err(self.file.damaged(format!(
                "section {tag:?}: {len} values expected, {found} bytes found"
            )));
        }
        Ok(Some(Section::mapped(
            self.file.clone(),
            entry.offset as usize,
            len,
        )))
    }

    fn lists(&self, count: usize, padded: usize) -> Result<Lists> {
        let rows = self.header.rows as usize;
        let bits = self.header.options.effective_bits().unwrap_or(Bits::Five);
        let slots = count.next_multiple_of(BLOCK);
        let lists = Lists {
            order: self.required(Tag::Order, rows)?,
            starts: self.required(Tag::Starts, count + 1)?,
            blocks: self.required(Tag::Blocks, count + 1)?,
            offsets: self.required(Tag::Offsets, count * padded)?,
            routes: Codes {
                bits,
                padded,
                signs: self.required(Tag::RouteSigns, slots / BLOCK * pack::block_bytes(padded))?,
                add: self.required(Tag::RouteAdd, slots)?,
                rescale: self.required(Tag::RouteRescale, slots)?,
                rows: self.required(Tag::RouteCodes, count * pack::row_bytes(bits, padded))?,
                max_add: 0.0,
                mean_error: 0.0,
            },
            radii: match self.optional(Tag::Radii, count)? {
                Some(radii) => radii,
                None => vec![].into(),
            },
            lengths: match self.optional(Tag::Lengths, count)? {
                Some(lengths) => lengths,
                None => vec![].into(),
            },
        };
        // A checksum only says that the bytes are those written; sizes that contradict each other would lead a scan astray.
        let (starts, blocks) = (lists.starts.all()?, lists.blocks.all()?);
        let ascending = starts.is_sorted() && starts[0] == 0 && starts[count] as usize == rows;
        let sizes: Vec<u32> = starts
            .windows(2)
            .map(|pair| pair[1].saturating_sub(pair[0]))
            .collect();
        if !ascending || layout(&sizes).1 != blocks {
            return Err(self
                .file
                .damaged("the lists do not add up to the rows".into()));
        }
        Ok(lists)
    }

    /// Raw rows lie in insertion order; in files of grouped indexes that earlier versions wrote, list by list.
    fn raw(&self, rows: usize, lists: Option<&Lists>) -> Result<RawRows> {
        let width = self.header.options.dimensions;
        let in_order = lists.map(|lists| lists.order.clone());
        if self.header.options.raw == RawPrecision::F16 {
            let halves = Halves {
                values: self.required(Tag::RawHalves, rows * width)?,
                exponents: self.required(Tag::RawExponents, rows)?,
            };
            return Ok(RawRows::new(width, Values::F16(halves), in_order));
        }
        let (values, slots) = match self.optional(Tag::RawInOrder, rows * width)? {
            Some(values) => (Values::F32(values), in_order),
            None => (Values::F32(self.required(Tag::Raw, rows * width)?), None),
        };
        Ok(RawRows::new(width, values, slots))
    }

    fn required<T: Plain>(&self, tag: Tag, len: usize) -> Result<Section<T>> {
        self.optional(tag, len)?
            .ok_or_else(|| self.file.damaged(format!("section {tag:?} is missing")))
    }
}

/// Writes the live rows of a state as one part.
pub(crate) fn save(path: &Path, shape: &Shape, state: &State, control: Control<'_>) -> Result<()> {
    let watch = Watch::begin();
    let sources: Vec<(&Part, Vec<usize>)> = match state.grouped() {
        Some(part) => vec![(part, part.in_order()?)],
        None => state
            .parts
            .iter()
            .map(|live| Ok((&*live.part, live.live_rows()?)))
            .collect::<Result<_>>()?,
    };
    let rows = state.rows();
    // Everything but raw vectors is gathered in memory; those are copied through a buffer. A grouped part stays as it is.
    let part = if let Some(part) = state.grouped() {
        part.clone()
    } else {
        let lean: Vec<Part> = sources
            .iter()
            .map(|(part, _)| Part {
                raw: None,
                ..(*part).clone()
            })
            .collect();
        let rows = sources.iter().map(|(_, rows)| rows.clone());
        let curves = sources.first().map(|(part, _)| part.curves.clone());
        Part {
            curves: curves.unwrap_or_else(|| vec![].into()),
            ..Part::gather(&lean.iter().zip(rows).collect::<Vec<_>>())?
        }
    };
    control.check()?;

    let mut out = Body {
        file: AtomicFile::create(path, watch)?,
        sections: vec![],
        checks: Checks::default(),
    };
    out.file.write(&[0; HEADER_BYTES])?;
    out.section(Tag::Rotation, &shape.rotation.words())?;
    out.section(Tag::Center, &state.center.point)?;
    out.section(Tag::Ids, part.ids.all()?)?;
    if let Some(by_id) = &part.by_id {
        out.section(Tag::ById, by_id.all()?)?;
    }
    out.section(Tag::Norms, part.norms.all()?)?;
    let empty = || -> Vec<f32> { vec![] };
    match (&part.codes, shape.options.effective_bits()) {
        (Some(codes), _) => {
            out.section(Tag::Signs, codes.signs.all()?)?;
            out.section(Tag::Add, codes.add.all()?)?;
            out.section(Tag::Rescale, codes.rescale.all()?)?;
            out.section(Tag::Codes, codes.rows.all()?)?;
        }
        (None, Some(_)) => {
            for tag in [Tag::Signs, Tag::Add, Tag::Rescale, Tag::Codes] {
                out.section(tag, &empty())?;
            }
        }
        (None, None) => {}
    }
    if let Some(lists) = &part.lists {
        out.section(Tag::Order, lists.order.all()?)?;
        out.section(Tag::Starts, lists.starts.all()?)?;
        out.section(Tag::Blocks, lists.blocks.all()?)?;
        out.section(Tag::Offsets, lists.offsets.all()?)?;
        out.section(Tag::RouteSigns, lists.routes.signs.all()?)?;
        out.section(Tag::RouteAdd, lists.routes.add.all()?)?;
        out.section(Tag::RouteRescale, lists.routes.rescale.all()?)?;
        out.section(Tag::RouteCodes, lists.routes.rows.all()?)?;
        out.section(Tag::Radii, lists.radii.all()?)?;
        out.section(Tag::Lengths, lists.lengths.all()?)?;
    }
    if part.curves.len() == CURVES {
        out.section(Tag::Curves, part.curves.all()?)?;
    }
    if shape.options.keeps_raw() {
        let tag = match (shape.options.raw, &part.lists) {
            (RawPrecision::F16, _) => Tag::RawHalves,
            (RawPrecision::F32, Some(_)) => Tag::RawInOrder,
            (RawPrecision::F32, None) => Tag::Raw,
        };
        let exponents = out.raw(tag, &sources, rows, control)?;
        if tag == Tag::RawHalves {
            out.section(Tag::RawExponents, &exponents)?;
        }
    }
    out.finish(shape, state, &part)
}

/// The sections of a file as they are written.
struct Body {
    file: AtomicFile,
    sections: Vec<SectionEntry>,
    checks: Checks,
}

impl Body {
    fn section<T: Plain>(&mut self, tag: Tag, values: &[T]) -> Result<()> {
        self.begin(tag)?;
        self.write(as_bytes(values))
    }

    fn begin(&mut self, tag: Tag) -> Result<()> {
        let padding = self.file.position().next_multiple_of(64) - self.file.position();
        let padding = &[0; 64][..padding as usize];
        self.checks.update(padding);
        self.file.write(padding)?;
        self.sections.push(SectionEntry {
            tag,
            offset: self.file.position(),
            length: 0,
        });
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.checks.update(bytes);
        self.file.write(bytes)?;
        if let Some(section) = self.sections.last_mut() {
            section.length = self.file.position() - section.offset;
        }
        Ok(())
    }

    /// Writes raw rows and returns their exponents, if they have some.
    fn raw(
        &mut self,
        tag: Tag,
        sources: &[(&Part, Vec<usize>)],
        total: usize,
        control: Control<'_>,
    ) -> Result<Vec<i8>> {
        const RUN: usize = 4096;
        self.begin(tag)?;
        let (mut done, mut all_exponents) = (0, vec![]);
        for (part, rows) in sources {
            let Some(raw) = &part.raw else { continue };
            raw.runs(rows, RUN, |stretch| {
                control.check()?;
                match stretch {
                    Stretch::F32(values) => {
                        self.write(as_bytes(values))?;
                        done += values.len() / raw.width();
                    }
                    Stretch::F16(values, exponents) => {
                        self.write(as_bytes(values))?;
                        all_exponents.extend_from_slice(exponents);
                        done += exponents.len();
                    }
                }
                control.report("write", done, total);
                Ok(())
            })?;
        }
        Ok(all_exponents)
    }

    fn finish(mut self, shape: &Shape, state: &State, part: &Part) -> Result<()> {
        let codes = part.codes.as_ref();
        let body_end = self.file.position();
        let table: Vec<u8> = std::mem::take(&mut self.checks)
            .finish()
            .iter()
            .flat_map(|sum| sum.to_le_bytes())
            .collect();
        self.file.write(&table)?;
        let header = Header {
            version: Version::NEWEST,
            options: shape.options.clone(),
            rows: part.rows() as u64,
            center_rows: state.center.rows as u64,
            max_add: codes.map_or(0.0, |codes| codes.max_add),
            lists: part.lists.as_ref().map_or(0, Lists::count) as u32,
            mean_error: codes.map_or(0.0, |codes| codes.mean_error),
            first_error: state.first_error,
            body_end,
            file_length: self.file.position(),
            table_checksum: crc32c::crc32c(&table),
            sections: self.sections,
        };
        self.file.write_head(&header.encode())?;
        self.file.commit()
    }
}

/// Checksums of consecutive blocks.
#[derive(Default)]
struct Checks {
    done: Vec<u32>,
    current: u32,
    filled: usize,
}

impl Checks {
    fn update(&mut self, mut bytes: &[u8]) {
        const CHECK_BLOCK: usize = Version::NEWEST.check_block();
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(CHECK_BLOCK - self.filled));
            self.current = crc32c::crc32c_append(self.current, now);
            self.filled += now.len();
            if self.filled == CHECK_BLOCK {
                self.done.push(std::mem::take(&mut self.current));
                self.filled = 0;
            }
            bytes = later;
        }
    }

    fn finish(mut self) -> Vec<u32> {
        if self.filled > 0 {
            self.done.push(self.current);
        }
        self.done
    }
}

/// The error for a file that is not ours.
pub(crate) fn unsupported(path: &Path, reason: impl Into<String>) -> Error {
    Error::UnsupportedFormat {
        path: path.into(),
        reason: reason.into(),
    }
}
