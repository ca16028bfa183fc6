//! Damage to a file of any kind.

use crate::choices::Choices;

/// Cuts, copies, and changes bytes, numbers and the punctuation of JSON; `other` is content to put behind.
pub fn scramble(bytes: &mut Vec<u8>, other: &[u8], choices: &mut Choices<'_>) {
    for _ in 0..=choices.below(3) {
        match choices.below(8) {
            0 => bytes.truncate(choices.below(bytes.len() + 1)),
            1 => bytes.extend_from_slice(other),
            2 if !bytes.is_empty() => {
                let (from, to) = (choices.below(bytes.len()), choices.below(bytes.len()));
                let len = choices.below(100).min(bytes.len() - from.max(to));
                bytes.copy_within(from..from + len, to);
            }
            3 | 4 => {
                let width = choices.pick(&[1, 2, 4, 8]);
                // Fields are aligned to their width, more often than not.
                let at = choices.below(bytes.len()) / width * width;
                if let Some(field) = bytes.get_mut(at..at + width) {
                    let mut word = [0; 8];
                    word[..width].copy_from_slice(field);
                    let value = choices.number(u64::from_le_bytes(word));
                    field.copy_from_slice(&value.to_le_bytes()[..width]);
                }
            }
            5 => {
                let at = choices.below(bytes.len() + 1);
                let digit = choices.pick(b"0123456789-\"{}[],:ntf\\");
                bytes.insert(at, digit);
            }
            _ if bytes.is_empty() => {}
            6 => {
                bytes.remove(choices.below(bytes.len()));
            }
            _ => {
                let at = choices.below(bytes.len());
                bytes[at] = choices.byte();
            }
        }
    }
}
