//! Half precision.

use super::{Random, compared_tables, lengths, scalar};

/// The value of binary16 bits, from its definition.
fn value(half: u16) -> f64 {
    let (exponent, fraction) = (i32::from(half >> 10 & 31), f64::from(half & 0x3ff));
    let magnitude = match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024.0 + fraction) * 2f64.powi(exponent - 25),
    };
    if half & 0x8000 == 0 {
        magnitude
    } else {
        -magnitude
    }
}

#[test]
fn every_half_is_widened_exactly_and_comes_back() {
    let halves: Vec<u16> = (0..=u16::MAX).collect();
    let (mut wide, mut back) = (vec![0.0; halves.len()], vec![0; halves.len()]);
    scalar().widen_f16(&halves, 1.0, &mut wide);
    scalar().narrow_f16(&wide, 1.0, &mut back);
    for ((&half, &wide), &back) in halves.iter().zip(&wide).zip(&back) {
        if value(half).is_nan() {
            assert!(wide.is_nan() && value(back).is_nan(), "{half:#x}");
        } else {
            assert_eq!(
                f64::from(wide).to_bits(),
                value(half).to_bits(),
                "{half:#x}"
            );
            assert_eq!(back, half);
        }
    }
}

#[test]
fn numbers_between_two_halves_go_to_the_nearer_and_ties_to_the_even_one() {
    for half in 0..0x7c00_u16 {
        let (low, high) = (
            value(half),
            if half == 0x7bff {
                65_536.0
            } else {
                value(half + 1)
            },
        );
        let middle = low.midpoint(high) as f32;
        let even = half + (half & 1);
        let inputs = [middle.next_down(), middle, middle.next_up(), -middle];
        let mut out = [0; 4];
        scalar().narrow_f16(&inputs, 1.0, &mut out);
        assert_eq!(out, [half, even, half + 1, even | 0x8000], "{half:#x}");
    }
}

#[test]
fn every_level_gives_the_same_bits() {
    let mut random = Random::new(16);
    for length in lengths() {
        let values: Vec<f32> = (0..length)
            .map(|_| match random.below(4) {
                0 => random.wild(),
                1 => f32::from_bits(random.bits() as u32),
                _ => random.unit() * 2f32.powi(random.below(44) as i32 - 28),
            })
            .collect();
        let halves: Vec<u16> = (0..length).map(|_| random.bits() as u16).collect();
        for scale in [1.0, 2f32.powi(-7), 2f32.powi(40)] {
            let (mut want, mut want_wide) = (vec![0; length], vec![0.0; length]);
            scalar().narrow_f16(&values, scale, &mut want);
            scalar().widen_f16(&halves, scale, &mut want_wide);
            for kernels in compared_tables() {
                let (mut got, mut wide) = (vec![0; length], vec![0.0; length]);
                kernels.narrow_f16(&values, scale, &mut got);
                kernels.widen_f16(&halves, scale, &mut wide);
                for i in 0..length {
                    let same =
                        got[i] == want[i] || value(got[i]).is_nan() && value(want[i]).is_nan();
                    assert!(
                        same,
                        "{}: {} gives {:#x}",
                        kernels.level(),
                        values[i],
                        got[i]
                    );
                    let same = wide[i].to_bits() == want_wide[i].to_bits();
                    assert!(same || wide[i].is_nan() && want_wide[i].is_nan());
                }
            }
        }
    }
}
