//! `dot`, `l2_squared`, `axpy`, `fht`, `bounds`, `select_le`.

use super::{DRAWS, Random, all_bits, bits, compared_tables, lengths, scalar};
use crate::kernels::{BoundParams, Kernels};

/// The crate documentation's definition of an `f32` sum, word for word.
fn canonical_sum(terms: &[f32]) -> f32 {
    let mut lanes = vec![0.0f32; 32];
    for (i, term) in terms.iter().enumerate() {
        lanes[i % 32] += term;
    }
    while lanes.len() > 1 {
        let half = lanes.len() / 2;
        lanes = (0..half).map(|j| lanes[j] + lanes[j + half]).collect();
    }
    lanes[0]
}

type Reduction = fn(&Kernels, &[f32], &[f32]) -> f32;
type Term = fn(f32, f32) -> f32;

const REDUCTIONS: [(&str, Reduction, Term); 2] = [
    ("dot", Kernels::dot, |x, y| x * y),
    ("l2_squared", Kernels::l2_squared, |x, y| (x - y) * (x - y)),
];

#[test]
fn sums_follow_the_canonical_order() {
    let mut random = Random::new(1);
    for len in lengths() {
        for draw in DRAWS {
            let (a, b) = (random.vec(len, draw), random.vec(len, draw));
            for (name, reduce, term) in REDUCTIONS {
                let terms: Vec<f32> = a.iter().zip(&b).map(|(&x, &y)| term(x, y)).collect();
                assert_eq!(
                    bits(reduce(scalar(), &a, &b)),
                    bits(canonical_sum(&terms)),
                    "{name} {len}"
                );
            }
        }
    }
}

#[test]
fn sums_are_equal_at_every_level() {
    for kernels in compared_tables() {
        let mut random = Random::new(2);
        for len in lengths() {
            for draw in DRAWS {
                for shift in [0, 1, 3] {
                    let (a, b) = (
                        random.vec(len + shift, draw),
                        random.vec(len + 2 * shift, draw),
                    );
                    let (a, b) = (&a[shift..], &b[2 * shift..]);
                    for (name, reduce, _) in REDUCTIONS {
                        assert_eq!(
                            bits(reduce(kernels, a, b)),
                            bits(reduce(scalar(), a, b)),
                            "{name} {} {len}",
                            kernels.level()
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn fht_follows_the_butterflies() {
    let mut random = Random::new(3);
    for log in 0..12 {
        for draw in DRAWS {
            let mut actual = random.vec(1 << log, draw);
            let mut expected = actual.clone();
            for stage in 0..log {
                let stride = 1 << stage;
                for i in (0..1 << log).filter(|i| i & stride == 0) {
                    let (a, b) = (expected[i], expected[i + stride]);
                    (expected[i], expected[i + stride]) = (a + b, a - b);
                }
            }
            scalar().fht(&mut actual);
            assert_eq!(all_bits(&actual), all_bits(&expected), "{}", 1 << log);
        }
    }
}

#[test]
fn fht_is_equal_at_every_level() {
    for kernels in compared_tables() {
        let mut random = Random::new(4);
        for log in 0..14 {
            for draw in DRAWS {
                for shift in [0, 1, 5] {
                    let mut actual = random.vec((1 << log) + shift, draw);
                    let mut expected = actual.clone();
                    kernels.fht(&mut actual[shift..]);
                    scalar().fht(&mut expected[shift..]);
                    assert_eq!(
                        all_bits(&actual),
                        all_bits(&expected),
                        "{} {}",
                        kernels.level(),
                        1 << log
                    );
                }
            }
        }
    }
}

#[test]
#[should_panic(expected = "power of two")]
fn fht_rejects_other_lengths() {
    scalar().fht(&mut [0.0; 12]);
}

#[test]
fn bounds_are_equal_at_every_level() {
    let mut random = Random::new(5);
    let run = |kernels: &Kernels, acc: &[u32], factors: &[Vec<f32>; 2], params: &BoundParams| {
        let (mut estimates, mut lowers) = (vec![0.0; acc.len()], vec![0.0; acc.len()]);
        let [f_add, f_rescale] = factors;
        kernels.bounds(acc, f_add, f_rescale, params, &mut estimates, &mut lowers);
        (all_bits(&estimates), all_bits(&lowers))
    };
    for len in lengths() {
        for draw in DRAWS {
            let acc = random.vec(len, |random| random.bits() as u32 >> random.below(32));
            let factors = [(); 2].map(|()| random.vec(len, draw));
            let mut one = || draw(&mut random);
            let params = BoundParams {
                delta: one(),
                bias: one(),
                add: one(),
                slack: one(),
            };
            let expected = run(scalar(), &acc, &factors, &params);
            for i in 0..len {
                let ip = params.delta * acc[i] as f32 + params.bias;
                let estimate = (factors[0][i] + params.add) + factors[1][i] * ip;
                let margin = factors[1][i].abs() * params.slack;
                assert_eq!(expected.0[i], bits(estimate));
                assert_eq!(expected.1[i], bits(estimate - margin));
            }
            for kernels in compared_tables() {
                let actual = run(kernels, &acc, &factors, &params);
                assert_eq!(actual, expected, "{} {len}", kernels.level());
            }
        }
    }
}

#[test]
fn select_le_follows_its_definition_at_every_level() {
    let mut random = Random::new(6);
    for len in lengths() {
        for draw in DRAWS {
            let values = random.vec(len + 1, draw);
            let values = &values[1..];
            let drawn = draw(&mut random);
            let present = values.first().copied().unwrap_or(0.0);
            for threshold in [
                drawn,
                present,
                f32::INFINITY,
                f32::NEG_INFINITY,
                f32::NAN,
                -0.0,
            ] {
                let base = random.bits() as u32 >> 1;
                let mut expected = vec![7, 8];
                expected.extend(
                    (0..len)
                        .filter(|&i| values[i] <= threshold)
                        .map(|i| base + i as u32),
                );
                for kernels in compared_tables().chain([scalar()]) {
                    let mut actual = vec![7, 8];
                    kernels.select_le(values, threshold, base, &mut actual);
                    assert_eq!(actual, expected, "{} {len} {threshold}", kernels.level());
                }
            }
        }
    }
}

#[test]
fn select_le_reaches_the_last_id() {
    for kernels in compared_tables().chain([scalar()]) {
        let mut out = Vec::new();
        kernels.select_le(&[1.0; 70], 1.0, u32::MAX - 70, &mut out);
        assert_eq!(out, (u32::MAX - 70..u32::MAX).collect::<Vec<_>>());
    }
}

#[test]
fn scaled_additions_are_equal_at_every_level() {
    for kernels in compared_tables() {
        let mut random = Random::new(9);
        for len in lengths() {
            for draw in DRAWS {
                let (x, y) = (random.vec(len, draw), random.vec(len, draw));
                let scale = random.vec(1, draw)[0];
                let want: Vec<f32> = x.iter().zip(&y).map(|(x, y)| y + scale * x).collect();
                let mut got = y.clone();
                kernels.axpy(scale, &x, &mut got);
                assert_eq!(all_bits(&got), all_bits(&want), "{} {len}", kernels.level());
            }
        }
    }
}
