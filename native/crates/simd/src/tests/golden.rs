//! The same bits on every architecture: results of fixed input against a recorded digest.

use super::{Random, compared_tables, scalar};
use crate::kernels::{BoundParams, Kernels};

/// FNV-1a over the results of all `f32` kernels on finite input.
fn digest(kernels: &Kernels) -> u64 {
    let mut random = Random::new(31);
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    let mut add = |bits: u32| hash = (hash ^ u64::from(bits)).wrapping_mul(0x0100_0000_01b3);
    for draw in [Random::unit, Random::wild] {
        for len in [1, 31, 32, 100, 384, 768, 1000] {
            let (a, b) = (random.vec(len, draw), random.vec(len, draw));
            add(kernels.dot(&a, &b).to_bits());
            add(kernels.l2_squared(&a, &b).to_bits());

            let mut codes = vec![0; len];
            let sums = kernels.quantize(&a, 7.5, 8.0, 15.0, &mut codes);
            add(sums.dot.to_bits());
            for code in codes {
                add(code.into());
            }

            let acc = random.vec(len, |random| random.bits() as u32);
            let params = BoundParams {
                delta: 0.37,
                bias: -1.3,
                add: 0.7,
                slack: 0.11,
            };
            let (mut estimates, mut lowers) = (vec![0.0; len], vec![0.0; len]);
            kernels.bounds(&acc, &a, &b, &params, &mut estimates, &mut lowers);
            estimates
                .iter()
                .chain(&lowers)
                .for_each(|value| add(value.to_bits()));
        }
        for log in 0..11 {
            let mut x = random.vec(1 << log, draw);
            kernels.fht(&mut x);
            for value in x {
                add(value.to_bits());
            }
        }
    }
    hash
}

#[test]
fn results_are_the_recorded_bits() {
    for kernels in compared_tables().chain([scalar()]) {
        assert_eq!(
            digest(kernels),
            0x6280_f903_cc7f_3319,
            "{}",
            kernels.level()
        );
    }
}
