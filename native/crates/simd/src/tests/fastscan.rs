//! `fastscan`.

use super::{Random, chunked_lengths, compared_tables, scalar};

/// The documented sum, from a matrix of codes and not from packed bytes.
fn sums(codes: &[Vec<u8>], lut: &[u8]) -> Vec<u32> {
    let sum = |vector: &Vec<u8>| {
        let entries = vector
            .iter()
            .enumerate()
            .map(|(g, &code)| lut[16 * g + usize::from(code)]);
        entries.map(u32::from).sum()
    };
    codes.iter().map(sum).collect()
}

fn pack(codes: &[Vec<u8>], groups: usize) -> Vec<u8> {
    let mut packed = Vec::new();
    for block in codes.chunks_exact(32) {
        for g in 0..groups {
            let (low, high) = block.split_at(16);
            packed.extend(
                low.iter()
                    .zip(high)
                    .map(|(low, high)| low[g] | high[g] << 4),
            );
        }
    }
    packed
}

#[test]
fn sums_are_exact_at_every_level() {
    let mut random = Random::new(11);
    // Sums are flushed every 256 groups at some levels.
    for groups in chunked_lengths()
        .map(|length| length / 4)
        .chain([240, 256, 272, 512, 528, 4096])
    {
        for blocks in 0..=5 {
            let codes = random.vec(32 * blocks, |random| {
                random.vec(groups, |random| random.byte() & 15)
            });
            let random_lut = random.vec(16 * groups, Random::byte);
            let ends_lut = random.vec(
                16 * groups,
                |random| if random.below(2) == 0 { 0 } else { 255 },
            );
            for lut in [
                random_lut,
                ends_lut,
                vec![255; 16 * groups],
                vec![1; 16 * groups],
            ] {
                // One byte off alignment, so that no kernel may assume any.
                let packed = [vec![0xa5], pack(&codes, groups)].concat();
                let expected = sums(&codes, &lut);
                let lut = [vec![0x5a], lut].concat();
                for kernels in compared_tables().chain([scalar()]) {
                    let mut out = vec![u32::MAX; 32 * blocks];
                    kernels.fastscan(&packed[1..], &lut[1..], &mut out);
                    assert_eq!(out, expected, "{} {groups} x {blocks}", kernels.level());
                }
            }
        }
    }
}

#[test]
fn the_largest_table_does_not_overflow() {
    let groups = 16_384 / 4;
    let codes = vec![0xff; groups * 16 * 3];
    for kernels in compared_tables().chain([scalar()]) {
        let mut out = vec![0; 96];
        kernels.fastscan(&codes, &vec![255; groups * 16], &mut out);
        assert_eq!(out, vec![255 * groups as u32; 96], "{}", kernels.level());
    }
}

#[test]
#[should_panic(expected = "codes are not blocks")]
fn a_short_code_buffer_is_rejected() {
    scalar().fastscan(&[0; 511], &[0; 256], &mut [0; 64]);
}

#[test]
#[should_panic(expected = "multiple of 16")]
fn a_ragged_table_is_rejected() {
    scalar().fastscan(&[0; 240], &[0; 240], &mut [0; 32]);
}
