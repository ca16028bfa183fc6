//! Damage to index files that goes past their checksums, by the layout in `docs/index-format.md`.

use crate::choices::Choices;

const HEADER: usize = 4096;
const CHECKED: usize = HEADER - 4;
const VERSION: usize = 8;
const FILE_LENGTH: usize = 16;
const BODY_END: usize = 24;
const TABLE_CHECKSUM: usize = 68;
const SECTION_COUNT: usize = 76;
const ENTRIES: usize = 96;
const ENTRY: usize = 24;

/// Offset and width of every header field.
const FIELDS: [(usize, usize); 19] = [
    (0, 8),
    (VERSION, 4),
    (12, 4),
    (FILE_LENGTH, 8),
    (BODY_END, 8),
    (32, 8),
    (40, 8),
    (48, 8),
    (56, 4),
    (60, 4),
    (64, 4),
    (TABLE_CHECKSUM, 4),
    (72, 1),
    (73, 1),
    (74, 1),
    (75, 1),
    (SECTION_COUNT, 4),
    (80, 4),
    (84, 4),
];

/// An index file after a few changes.
pub struct Damaged {
    pub bytes: Vec<u8>,
    /// Whether the checksums were computed anew, so that only its contents can give it away.
    pub repaired: bool,
}

/// Changes a file as `choices` says. `others` are files of other indexes to take pieces from.
pub fn damage(file: &[u8], others: &[Vec<u8>], choices: &mut Choices<'_>) -> Damaged {
    let mut bytes = file.to_vec();
    for _ in 0..=choices.below(4) {
        if bytes.len() < HEADER {
            break;
        }
        match choices.below(12) {
            0 | 1 => set_field(&mut bytes, choices),
            2 | 3 => set_entry(&mut bytes, choices),
            4 => rearrange(&mut bytes, choices),
            5 => resize(&mut bytes, others, choices),
            6 => copy_within(&mut bytes, choices),
            7 => flip(&mut bytes, choices),
            _ => set_value(&mut bytes, choices),
        }
    }
    let repaired = !choices.once_in(16);
    if repaired {
        repair(&mut bytes, choices.once_in(16));
    }
    Damaged { bytes, repaired }
}

fn get(bytes: &[u8], at: usize, width: usize) -> u64 {
    let mut word = [0; 8];
    if let Some(field) = bytes.get(at..at + width) {
        word[..width].copy_from_slice(field);
    }
    u64::from_le_bytes(word)
}

fn set(bytes: &mut [u8], at: usize, width: usize, value: u64) {
    if let Some(field) = bytes.get_mut(at..at + width) {
        field.copy_from_slice(&value.to_le_bytes()[..width]);
    }
}

fn entries(bytes: &[u8]) -> usize {
    (get(bytes, SECTION_COUNT, 4) as usize).min((CHECKED - ENTRIES) / ENTRY)
}

fn set_field(bytes: &mut [u8], choices: &mut Choices<'_>) {
    let (at, width) = choices.pick(&FIELDS);
    let value = choices.number(get(bytes, at, width));
    set(bytes, at, width, value);
}

/// Tag, offset or length of a section: past the end, unaligned, over another section.
fn set_entry(bytes: &mut [u8], choices: &mut Choices<'_>) {
    let at = ENTRIES + choices.below(entries(bytes)) * ENTRY + choices.below(3) * 8;
    let other = ENTRIES + choices.below(entries(bytes)) * ENTRY + choices.below(3) * 8;
    let value = match choices.below(4) {
        0 => get(bytes, other, 8),
        1 => get(bytes, BODY_END, 8).wrapping_sub(get(bytes, at, 8)),
        2 => choices.number(get(bytes, at, 8)) & !63,
        _ => choices.number(get(bytes, at, 8)),
    };
    set(bytes, at, 8, value);
}

/// Sections twice, missing, or under each other's tags.
fn rearrange(bytes: &mut [u8], choices: &mut Choices<'_>) {
    let count = entries(bytes);
    let one = ENTRIES + choices.below(count) * ENTRY;
    let two = ENTRIES + choices.below(count) * ENTRY;
    let last = ENTRIES + count.saturating_sub(1) * ENTRY;
    match choices.below(4) {
        0 => {
            let (a, b) = (get(bytes, one, 8), get(bytes, two, 8));
            set(bytes, one, 8, b);
            set(bytes, two, 8, a);
        }
        1 => bytes.copy_within(one..one + ENTRY, two),
        2 => {
            bytes.copy_within(last..last + ENTRY, one);
            set(bytes, SECTION_COUNT, 4, count.saturating_sub(1) as u64);
        }
        _ if last + 2 * ENTRY <= CHECKED => {
            bytes.copy_within(one..one + ENTRY, last + ENTRY);
            set(bytes, SECTION_COUNT, 4, count as u64 + 1);
        }
        _ => {}
    }
}

/// Cuts the file, lengthens it or puts another behind it; the header may agree with the new length or not.
fn resize(bytes: &mut Vec<u8>, others: &[Vec<u8>], choices: &mut Choices<'_>) {
    match choices.below(3) {
        0 => bytes.truncate(choices.below(bytes.len())),
        1 => bytes.resize(bytes.len() + choices.below(70_000), choices.byte()),
        _ if others.is_empty() => {}
        _ => bytes.extend_from_slice(&others[choices.below(others.len())]),
    }
    if choices.once_in(2) && bytes.len() >= HEADER {
        let end = bytes.len() as u64;
        set(bytes, BODY_END, 8, end);
    }
}

fn copy_within(bytes: &mut [u8], choices: &mut Choices<'_>) {
    let len = choices.below(256).min(bytes.len());
    let (from, to) = (
        choices.below(bytes.len() - len + 1),
        choices.below(bytes.len() - len + 1),
    );
    bytes.copy_within(from..from + len, to);
}

fn flip(bytes: &mut [u8], choices: &mut Choices<'_>) {
    for _ in 0..=choices.below(8) {
        let at = choices.below(bytes.len());
        bytes[at] ^= 1 << choices.below(8);
    }
}

/// A number inside a section: row numbers past the rows, list sizes that do not add up, factors that are none.
fn set_value(bytes: &mut [u8], choices: &mut Choices<'_>) {
    let entry = ENTRIES + choices.below(entries(bytes)) * ENTRY;
    let (start, length) = (get(bytes, entry + 8, 8), get(bytes, entry + 16, 8));
    let width = choices.pick(&[1, 4, 4, 4, 8]);
    let slots = length as usize / width;
    let run = 1 + choices.below(4) * choices.below(16);
    for slot in 0..run.min(slots) {
        let at = (start as usize)
            .saturating_add((choices.below(slots) + slot) % slots * width)
            .min(bytes.len());
        let value = if width == 4 && choices.once_in(2) {
            u64::from(choices.float().to_bits())
        } else {
            choices.number(get(bytes, at, width))
        };
        set(bytes, at, width, value);
    }
}

/// Writes the checksums that the contents ask for and, unless it shall lie, the length.
pub fn repair(bytes: &mut Vec<u8>, keep_length: bool) {
    if bytes.len() < HEADER {
        return;
    }
    if let Ok(end) = usize::try_from(get(bytes, BODY_END, 8))
        && (HEADER..=bytes.len()).contains(&end)
    {
        let block = if get(bytes, VERSION, 4) == 1 {
            64 << 10
        } else {
            4 << 10
        };
        let sums: Vec<u8> = bytes[HEADER..end]
            .chunks(block)
            .flat_map(|block| crc32c::crc32c(block).to_le_bytes())
            .collect();
        bytes.truncate(end);
        bytes.extend_from_slice(&sums);
        set(bytes, TABLE_CHECKSUM, 4, crc32c::crc32c(&sums).into());
        if !keep_length {
            let length = bytes.len() as u64;
            set(bytes, FILE_LENGTH, 8, length);
        }
    }
    let sum = crc32c::crc32c(&bytes[..CHECKED]);
    set(bytes, CHECKED, 4, sum.into());
}
