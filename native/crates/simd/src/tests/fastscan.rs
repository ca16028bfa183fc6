//! `fastscan`, `prune`.

use super::{DRAWS, Random, chunked_lengths, compared_tables, scalar};
use crate::kernels::{Blocks, BoundParams, Kernels, Pick};

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

/// What `prune` is documented to find.
fn pruned(
    kernels: &Kernels,
    blocks: &Blocks<'_>,
    lut: &[u8],
    params: &BoundParams,
    limit: f32,
) -> Vec<Pick> {
    let len = blocks.f_add.len();
    let (mut sums, mut estimates, mut lowers) = (vec![0; len], vec![0.0; len], vec![0.0; len]);
    kernels.fastscan(blocks.codes, lut, &mut sums);
    kernels.bounds(
        &sums,
        blocks.f_add,
        blocks.f_rescale,
        params,
        &mut estimates,
        &mut lowers,
    );
    let mut places = vec![];
    kernels.select_le(&lowers, limit, 0, &mut places);
    let pick = |place: u32| Pick {
        place,
        sum: sums[place as usize],
    };
    places.into_iter().map(pick).collect()
}

#[test]
fn pruning_leaves_what_three_kernels_leave_at_every_level() {
    let mut random = Random::new(12);
    let mut left = 0;
    for groups in chunked_lengths().map(|length| length / 4) {
        for (len, draw) in (0..4)
            .map(|blocks| 32 * blocks)
            .zip(DRAWS.into_iter().cycle())
        {
            // One byte or number off alignment, so that no kernel may assume any.
            let codes = random.vec(1 + len / 2 * groups, Random::byte);
            let lut = random.vec(1 + 16 * groups, Random::byte);
            let [f_add, f_rescale] = [(); 2].map(|()| random.vec(1 + len, draw));
            let blocks = Blocks {
                codes: &codes[1..],
                f_add: &f_add[1..],
                f_rescale: &f_rescale[1..],
                ahead: len / 32,
            };
            let params = BoundParams {
                delta: draw(&mut random),
                bias: draw(&mut random),
                add: draw(&mut random),
                slack: draw(&mut random),
            };
            for limit in [draw(&mut random), f32::MAX, f32::NEG_INFINITY, f32::NAN] {
                let expected = pruned(scalar(), &blocks, &lut[1..], &params, limit);
                left += expected.len();
                for kernels in compared_tables().chain([scalar()]) {
                    let mut actual = vec![];
                    kernels.prune(&blocks, &lut[1..], &params, limit, &mut actual);
                    assert_eq!(actual, expected, "{} {groups} {len}", kernels.level());
                }
            }
        }
    }
    assert!(left > 1000, "{left}");
}
