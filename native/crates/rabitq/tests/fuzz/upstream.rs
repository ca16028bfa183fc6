//! Upstream `rbpx` files from choices.

use crate::choices::Choices;

/// A header that may promise anything over a body of random words.
pub fn rbpx(choices: &mut Choices<'_>) -> Vec<u8> {
    let (dimensions, rows) = (1 + choices.below(20), choices.below(40));
    let broken = choices.byte();
    let mut out = b"rbpx0001".to_vec();
    let mut field = |bit: u8, sound: u64, width: usize| {
        let value = if broken >> bit & 1 == 1 {
            choices.number(sound)
        } else {
            sound
        };
        out.extend_from_slice(&value.to_le_bytes()[..width]);
    };
    field(0, 1, 4);
    field(1, dimensions as u64, 4);
    field(2, 7, 8);
    field(3, 20, 4);
    field(4, rows as u64, 4);
    for row in 0..rows {
        field(5, row as u64, 4);
        for column in 0..dimensions {
            let value = (row * 31 + column * 17) as f32 / 10.0;
            field(6, value.to_bits().into(), 4);
        }
    }
    if broken >> 7 == 1 {
        let length = choices.below(out.len() + 100);
        out.resize(length, 0);
    }
    out
}
