//! Writing `filter.rbm`.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use roaring::RoaringBitmap;

use super::layout::{FLAG_BITMAPS, MAGIC, MAX_FIELDS, MAX_STRING};
use crate::blocks::{BlockWriter, Written};
use crate::json::parse_object;
use crate::ulid::Ulid;
use crate::value::{Interner, Key, Object, Value};
use crate::{Error, Result};

/// Most parts of a path that a filter can name.
const MAX_PARTS: usize = 16;
/// Bytes of distinct strings of a field beyond which it is not worth an index.
const MAX_FIELD_BYTES: usize = 1 << 30;

/// Positions with one value.
enum Posting {
    One(u32),
    Many(RoaringBitmap),
}

impl Posting {
    fn push(&mut self, position: u32) {
        match self {
            Self::One(first) if *first == position => {}
            Self::One(first) => *self = Self::Many([*first, position].into_iter().collect()),
            Self::Many(positions) => {
                positions.insert(position);
            }
        }
    }
}

/// Distinct values and where they are.
struct Dictionary<K>(HashMap<K, Posting>);

impl<K> Default for Dictionary<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

#[derive(Default)]
struct Field {
    path: String,
    parts: usize,
    /// Only on the way to fields that are indexed.
    passed: bool,
    present: RoaringBitmap,
    null: RoaringBitmap,
    yes: RoaringBitmap,
    no: RoaringBitmap,
    arrays: RoaringBitmap,
    /// Records whose metadata has to be looked at.
    check: RoaringBitmap,
    strings: Dictionary<Box<str>>,
    numbers: Dictionary<u64>,
    item_strings: Dictionary<Box<str>>,
    item_numbers: Dictionary<u64>,
    bytes: usize,
}

/// Collects the metadata of a segment's records.
#[derive(Default)]
pub(crate) struct FilterBuilder {
    interner: Interner,
    /// What to index, with all that is below; everything if not given.
    wanted: Option<Arc<[String]>>,
    fields: Vec<Field>,
    by_path: HashMap<String, usize>,
    /// Field of a key inside another field; `usize::MAX` stands for the top.
    children: HashMap<(usize, Key), Option<usize>>,
    /// Fields that get a section.
    indexed: usize,
    /// Some paths were left out.
    incomplete: bool,
    records: u32,
}

const TOP: usize = usize::MAX;

impl FilterBuilder {
    /// Indexes some paths, or all of them.
    pub(crate) fn new(wanted: Option<Arc<[String]>>) -> Self {
        Self {
            incomplete: wanted.is_some(),
            wanted,
            ..Self::default()
        }
    }

    /// Adds the next record.
    pub(crate) fn push(&mut self, metadata: Option<&str>) -> Result<()> {
        let position = self.records;
        self.records += 1;
        if let Some(text) = metadata {
            let object = parse_object(text, &self.interner)
                .map_err(|error| Error::Internal(error.reason.into()))?;
            self.object(TOP, &object, position);
        }
        Ok(())
    }

    fn object(&mut self, parent: usize, object: &Object, position: u32) {
        for (key, value) in object.members() {
            let Some(field) = self.field(parent, *key) else {
                continue;
            };
            if !self.fields[field].passed {
                self.member(field, value, position);
            }
            if let Value::Object(inner) = value {
                self.object(field, inner, position);
            }
        }
    }

    fn member(&mut self, field: usize, value: &Value, position: u32) {
        if self.fields[field].present.max() == Some(position) {
            // `{"a.b": 1, "a": {"b": 2}}`: a filter has rules for it.
            self.fields[field].check.insert(position);
        }
        self.value(field, value, position);
    }

    fn field(&mut self, parent: usize, key: Key) -> Option<usize> {
        if let Some(known) = self.children.get(&(parent, key)) {
            return *known;
        }
        let name = self.interner.text(key);
        let (path, parts) = match self.fields.get(parent) {
            Some(parent) => (format!("{}.{name}", parent.path), parent.parts),
            None => (name.to_string(), 0),
        };
        let parts = parts + 1 + name.matches('.').count();
        let field = if parts > MAX_PARTS {
            // No filter can name it.
            None
        } else if let Some(known) = self.by_path.get(&path) {
            Some(*known)
        } else {
            self.new_field(path, parts)
        };
        self.children.insert((parent, key), field);
        field
    }

    fn new_field(&mut self, path: String, parts: usize) -> Option<usize> {
        let below = |path: &str, above: &str| {
            let rest = path.strip_prefix(above);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let wanted = self.wanted.as_deref();
        let indexed = wanted.is_none_or(|wanted| wanted.iter().any(|other| below(&path, other)));
        let leads_on =
            || wanted.is_some_and(|wanted| wanted.iter().any(|other| below(other, &path)));
        if !indexed && !leads_on() {
            return None;
        }
        if indexed && self.indexed >= MAX_FIELDS {
            self.incomplete = true;
            return None;
        }
        self.indexed += usize::from(indexed);
        self.fields.push(Field {
            path: path.clone(),
            parts,
            passed: !indexed,
            ..Field::default()
        });
        self.by_path.insert(path, self.fields.len() - 1);
        Some(self.fields.len() - 1)
    }

    /// Whoever asks for a path that was to be indexed and that no record has should not have to look at every record.
    fn add_missing(&mut self) {
        let wanted = self.wanted.take();
        for path in wanted.iter().flat_map(|wanted| wanted.iter()) {
            if self.indexed < MAX_FIELDS && !self.by_path.contains_key(path) {
                self.indexed += 1;
                self.fields.push(Field {
                    path: path.clone(),
                    ..Field::default()
                });
            }
        }
    }

    fn value(&mut self, field: usize, value: &Value, position: u32) {
        let field = &mut self.fields[field];
        field.present.insert(position);
        match value {
            Value::Null => field.null.insert(position),
            Value::Bool(true) => field.yes.insert(position),
            Value::Bool(false) => field.no.insert(position),
            Value::Number(number) => put(&mut field.numbers, bits(*number), position),
            Value::String(text) => {
                if !put_string(&mut field.strings, &mut field.bytes, text, position) {
                    field.check.insert(position);
                }
                true
            }
            Value::Object(_) => field.check.insert(position),
            Value::Array(items) => {
                field.arrays.insert(position);
                let mut plain = !items.is_empty();
                for item in items {
                    plain &= match item {
                        Value::String(text) => {
                            put_string(&mut field.item_strings, &mut field.bytes, text, position)
                        }
                        Value::Number(number) => {
                            put(&mut field.item_numbers, bits(*number), position)
                        }
                        _ => false,
                    };
                }
                if !plain {
                    field.check.insert(position);
                }
                true
            }
        };
    }

    /// Writes the file, which must not exist.
    pub(crate) fn finish(mut self, path: &Path, segment: Ulid) -> Result<Written> {
        self.add_missing();
        self.fields.retain(|field| !field.passed);
        self.fields.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        let mut sections = Vec::with_capacity(self.fields.len());
        for field in &mut self.fields {
            sections.push(encode(field)?);
        }
        let mut directory = Vec::new();
        let mut offset = 0_u64;
        for (field, section) in self.fields.iter().zip(&sections) {
            directory.extend_from_slice(&offset.to_le_bytes());
            directory.extend_from_slice(&(section.len() as u64).to_le_bytes());
            directory.extend_from_slice(&(field.path.len() as u32).to_le_bytes());
            directory.extend_from_slice(field.path.as_bytes());
            offset += section.len() as u64;
        }
        let mut out = BlockWriter::create(path)?;
        out.write(&MAGIC)?;
        out.write(&segment.bytes())?;
        out.write(&self.records.to_le_bytes())?;
        out.write(&u32::from(self.incomplete).to_le_bytes())?;
        out.write(&(self.fields.len() as u64).to_le_bytes())?;
        out.write(&(directory.len() as u64).to_le_bytes())?;
        out.write(&directory)?;
        for section in &sections {
            out.write(section)?;
        }
        out.finish()
    }
}

/// Equal numbers have equal bits.
fn bits(number: f64) -> u64 {
    (number + 0.0).to_bits()
}

fn put<K: Eq + std::hash::Hash>(dictionary: &mut Dictionary<K>, key: K, position: u32) -> bool {
    dictionary
        .0
        .entry(key)
        .and_modify(|posting| posting.push(position))
        .or_insert(Posting::One(position));
    true
}

/// `false` if the string is too long to be indexed.
fn put_string(
    dictionary: &mut Dictionary<Box<str>>,
    bytes: &mut usize,
    text: &str,
    position: u32,
) -> bool {
    if let Some(posting) = dictionary.0.get_mut(text) {
        posting.push(position);
        return true;
    }
    if text.len() > MAX_STRING || *bytes > MAX_FIELD_BYTES {
        return false;
    }
    *bytes += text.len();
    put(dictionary, text.into(), position)
}

fn encode(field: &mut Field) -> Result<Vec<u8>> {
    let bitmaps: [&RoaringBitmap; FLAG_BITMAPS] = [
        &field.present,
        &field.null,
        &field.yes,
        &field.no,
        &field.arrays,
        &field.check,
    ];
    let parts = [
        strings(&mut field.strings)?,
        numbers(&mut field.numbers)?,
        strings(&mut field.item_strings)?,
        numbers(&mut field.item_numbers)?,
    ];
    let mut section = Vec::new();
    for bitmap in bitmaps {
        section.extend_from_slice(&(bitmap.serialized_size() as u64).to_le_bytes());
    }
    for part in &parts {
        section.extend_from_slice(&(part.len() as u64).to_le_bytes());
    }
    for bitmap in bitmaps {
        serialize(bitmap, &mut section)?;
    }
    for part in parts {
        section.extend_from_slice(&part);
    }
    Ok(section)
}

fn serialize(bitmap: &RoaringBitmap, out: &mut Vec<u8>) -> Result<()> {
    bitmap
        .serialize_into(out)
        .map_err(|error| Error::Internal(error.to_string()))
}

fn strings(dictionary: &mut Dictionary<Box<str>>) -> Result<Vec<u8>> {
    let mut entries: Vec<_> = std::mem::take(&mut dictionary.0).into_iter().collect();
    entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let mut keys = Vec::new();
    let mut starts = vec![0_u8; 4];
    for (text, _) in &entries {
        keys.extend_from_slice(text.as_bytes());
        starts.extend_from_slice(&offset(keys.len())?);
    }
    starts.extend_from_slice(&keys);
    postings(&starts, entries.into_iter().map(|(_, posting)| posting))
}

fn numbers(dictionary: &mut Dictionary<u64>) -> Result<Vec<u8>> {
    let mut entries: Vec<_> = std::mem::take(&mut dictionary.0)
        .into_iter()
        .map(|(bits, posting)| (f64::from_bits(bits), posting))
        .collect();
    entries.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let keys: Vec<u8> = entries
        .iter()
        .flat_map(|entry| entry.0.to_le_bytes())
        .collect();
    postings(&keys, entries.into_iter().map(|(_, posting)| posting))
}

/// Count u32, for each value its number of positions u32 and the position or the start of its bitmap u32; the keys; the
/// bitmaps.
fn postings(keys: &[u8], values: impl ExactSizeIterator<Item = Posting>) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    out.extend_from_slice(&offset(values.len())?);
    let mut bitmaps = Vec::new();
    for posting in values {
        let (count, at) = match posting {
            Posting::One(position) => (1_u32, position.to_le_bytes()),
            Posting::Many(positions) => {
                let at = offset(bitmaps.len())?;
                serialize(&positions, &mut bitmaps)?;
                (positions.len() as u32, at)
            }
        };
        out.extend_from_slice(&count.to_le_bytes());
        out.extend_from_slice(&at);
    }
    out.extend_from_slice(keys);
    out.extend_from_slice(&bitmaps);
    Ok(out)
}

fn offset(length: usize) -> Result<[u8; 4]> {
    u32::try_from(length)
        .map(u32::to_le_bytes)
        .map_err(|_| Error::Internal("a field has more than 4 GiB of values".into()))
}
