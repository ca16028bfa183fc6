//! What a part learned of its own rows: how far a search has to look for a recall.

use std::f64::consts::FRAC_1_SQRT_2;

/// Numbers of neighbours that are learned for; others lie between them or, above, go on as they do, half as fast.
pub(crate) const NEIGHBOURS: [usize; 3] = [1, 10, 100];

/// Recalls that are learned for.
pub(crate) const RECALLS: [f32; 15] = [
    0.5, 0.65, 0.75, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999, 0.9995, 0.9999,
];

/// A search for fewer looks for this many all the same: the distance of the nearest row alone says little about how far
/// the others are.
pub(crate) const MIN_NEIGHBOURS: usize = 4;

/// Beyond these nothing changes any more.
const MOST_NEIGHBOURS: f64 = 1e4;

const TABLE: usize = NEIGHBOURS.len() * RECALLS.len();

/// Numbers of [`Curves`] in a file.
pub(crate) const CURVES: usize = 1 + 3 * TABLE;

/// Bounds of this width hold for all but one pair in thirty thousand.
pub(crate) const WIDEST: f32 = 4.0;

/// A view of learned numbers: a slope, then for each of [`NEIGHBOURS`] and [`RECALLS`] a threshold, then likewise a width, then
/// likewise the share of rows in the lists that are visited.
#[derive(Clone, Copy)]
pub(crate) struct Curves<'a>(&'a [f32]);

/// Which lists a search visits: those whose distance is below its limit, pushed out by `slope · (threshold + ln rank)` spreads
/// of the list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    pub slope: f32,
    pub threshold: f32,
}

impl<'a> Curves<'a> {
    /// Nothing if nothing was learned.
    pub(crate) fn new(numbers: &'a [f32]) -> Option<Self> {
        (numbers.len() == CURVES).then_some(Self(numbers))
    }

    /// Where to stop visiting lists, for a recall among this many nearest rows.
    pub(crate) fn cut(&self, neighbours: f64, recall: f32) -> Option<Cut> {
        let threshold = self.at(1, neighbours, recall)?;
        (self.0[0] > 0.0).then_some(Cut {
            slope: self.0[0],
            threshold,
        })
    }

    /// Deviations that bounds of rows have to allow for.
    pub(crate) fn width(&self, neighbours: f64, recall: f32) -> Option<f32> {
        self.at(1 + TABLE, neighbours, recall)
    }

    /// Share of all rows that the visited lists hold, about.
    pub(crate) fn visited(&self, neighbours: f64, recall: f32) -> Option<f64> {
        let share = self.at(1 + 2 * TABLE, neighbours, recall)?;
        Some(f64::from(share.exp()).min(1.0))
    }

    /// Between learned recalls as the loss goes, between learned numbers as their logarithm goes. Nothing above the last recall.
    fn at(&self, table: usize, neighbours: f64, recall: f32) -> Option<f32> {
        let above = RECALLS.iter().position(|&known| known >= recall)?;
        let row = |row: usize| {
            let values = &self.0[table + row * RECALLS.len()..][..RECALLS.len()];
            let Some(below) = above.checked_sub(1) else {
                return values[0];
            };
            let loss = |recall: f32| (1.0 - recall).ln();
            let part = (loss(RECALLS[below]) - loss(recall))
                / (loss(RECALLS[below]) - loss(RECALLS[above]));
            values[below] + part * (values[above] - values[below])
        };
        let last = NEIGHBOURS.len() - 1;
        let place = neighbours.clamp(1.0, MOST_NEIGHBOURS).log10() as f32;
        let low = (place as usize).min(last - 1);
        let beyond = (place - last as f32).max(0.0);
        let part = (place - low as f32).min(1.0) + beyond / 2.0;
        Some(row(low) + part * (row(low + 1) - row(low)))
    }
}

/// Deviations that a normal estimate of a row within a limit stays below with this probability: the width of bounds that
/// reach a recall whatever the rows are like.
pub(crate) fn normal_width(recall: f32) -> f32 {
    let (mut low, mut high) = (-WIDEST, WIDEST);
    for _ in 0..24 {
        let middle = f32::midpoint(low, high);
        if normal(f64::from(middle)) < f64::from(recall) {
            low = middle;
        } else {
            high = middle;
        }
    }
    high.max(0.0)
}

/// The normal distribution function, to 1e-7 (Abramowitz & Stegun, 7.1.26).
fn normal(x: f64) -> f64 {
    let z = x.abs() * FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let poly = t
        * (0.254_829_592
            + t * (-0.284_496_736
                + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))));
    let tail = 0.5 * poly * (-z * z).exp();
    if x < 0.0 { tail } else { 1.0 - tail }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_normal_quantiles() {
        for (recall, width) in [(0.5, 0.0), (0.9, 1.2816), (0.99, 2.3263), (0.999, 3.0902)] {
            assert!((normal_width(recall) - width).abs() < 1e-3, "{recall}");
        }
        assert!(normal_width(1.0) >= 3.99);
    }

    #[test]
    fn lies_between_what_was_learned() {
        let mut numbers = vec![8.0];
        numbers.extend((0..3 * TABLE).map(|i| i as f32));
        let curves = Curves::new(&numbers).unwrap();
        let cut = |k, recall| curves.cut(k, recall).unwrap().threshold;
        assert!((cut(1.0, 0.9) - 5.0).abs() < 1e-4);
        assert!((cut(10.0, 0.9) - 20.0).abs() < 1e-4);
        assert!((cut(1e6, 0.9) - 50.0).abs() < 1e-4);
        assert!(cut(3.0, 0.9) > 5.0 && cut(3.0, 0.9) < 20.0);
        assert!(cut(1.0, 0.91) > 5.0 && cut(1.0, 0.91) < 6.0);
        assert!((cut(1.0, 0.1) - 0.0).abs() < 1e-4);
        assert!(curves.cut(1.0, 0.99999).is_none());
        assert!(Curves::new(&[]).is_none());
    }
}
