//! The smallest of many distances, a few at a time, without sorting them all.

use simd::Kernels;

/// One distance in so many tells where the smallest lie.
const SAMPLED: usize = 16;

/// Fewest distances among which a threshold is guessed: among fewer it saves nothing.
const MANY: usize = 512;

/// A place and its distance in one number that sorts the farthest first, equal ones by falling place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(u64);

impl Key {
    pub(crate) fn new(distance: f32, place: u32) -> Self {
        let bits = distance.to_bits();
        // As an integer a float grows with its value if it is positive, and falls if it is negative.
        let ascending = bits ^ (((bits as i32 >> 31) as u32) | 1 << 31);
        Self(!(u64::from(ascending) << 32 | u64::from(place)))
    }

    fn distance(self) -> f32 {
        let ascending = (!self.0 >> 32) as u32;
        let negative = ascending >> 31 == 0;
        f32::from_bits(ascending ^ if negative { u32::MAX } else { 1 << 31 })
    }

    pub(crate) fn place(self) -> u32 {
        !self.0 as u32
    }
}

/// Places, of which the nearest are taken away again and again.
pub(crate) struct Nearest {
    distances: Vec<f32>,
    /// Those that were not taken, in no order, as far as they are known.
    keys: Vec<Key>,
    /// Only places of at most this distance became keys as yet, if any did.
    known: Option<f32>,
    taken: usize,
}

impl Nearest {
    pub(crate) fn new(distances: Vec<f32>) -> Self {
        Self {
            distances,
            keys: vec![],
            known: None,
            taken: 0,
        }
    }

    /// Takes the nearest `wanted` places away, in no order; so many are left at least.
    pub(crate) fn take(&mut self, kernels: &Kernels, wanted: usize) -> Vec<Key> {
        if self.keys.len() < wanted && self.keys.len() + self.taken < self.distances.len() {
            self.learn(kernels, wanted);
        }
        let rest = self.keys.len() - wanted;
        if rest > 0 {
            // The nearest to the end, where they are taken off.
            self.keys.select_nth_unstable(rest);
        }
        self.taken += wanted;
        self.keys.split_off(rest)
    }

    /// Makes keys of as many places as are wanted, at least: at first those below a guess, then all others.
    fn learn(&mut self, kernels: &Kernels, wanted: usize) {
        let many = self.distances.len() >= MANY && self.known.is_none();
        if many && let Some(guess) = self.guess(wanted) {
            let mut near = Vec::with_capacity(4 * wanted);
            kernels.select_le(&self.distances, guess, 0, &mut near);
            if near.len() >= wanted {
                let key = |place: u32| Key::new(self.distances[place as usize], place);
                self.keys.extend(near.into_iter().map(key));
                self.known = Some(guess);
                return;
            }
        }
        let known = self.known;
        let is_known = |distance: f32| known.is_some_and(|known| distance <= known);
        let all = (0..).zip(&self.distances);
        let unknown = all.filter(|(_, distance)| !is_known(**distance));
        self.keys
            .extend(unknown.map(|(place, &distance)| Key::new(distance, place)));
        self.known = Some(f32::INFINITY);
    }

    /// A distance that a few more than the wanted places do not exceed, probably; nothing if that is most of them.
    fn guess(&self, wanted: usize) -> Option<f32> {
        let mut sample: Vec<Key> = self
            .distances
            .iter()
            .step_by(SAMPLED)
            .map(|&distance| Key::new(distance, 0))
            .collect();
        let more = wanted.div_ceil(SAMPLED) * 3 / 2 + 2;
        let at = sample.len().checked_sub(more)?;
        let (_, guess, _) = sample.select_nth_unstable(at);
        Some(guess.distance())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn takes_the_nearest_whatever_the_portions(
            distances in prop::collection::vec(-50i32..50, 1..1500),
            portions in prop::collection::vec(1usize..400, 1..12),
        ) {
            // Whole numbers, so that many are equal.
            let mut nearest = Nearest::new(distances.iter().map(|&d| d as f32).collect());
            let mut order: Vec<u32> = (0..distances.len() as u32).collect();
            order.sort_by_key(|&place| distances[place as usize]);
            let mut at = 0;
            for portion in portions {
                let portion = portion.min(distances.len() - at);
                let mut taken = nearest.take(simd::kernels(), portion);
                taken.sort_unstable_by(|a, b| b.cmp(a));
                let places: Vec<u32> = taken.into_iter().map(Key::place).collect();
                prop_assert_eq!(&places, &order[at..at + portion]);
                at += portion;
            }
        }

        #[test]
        fn loses_no_place_to_numbers_that_are_none(
            distances in prop::collection::vec(prop_oneof![
                any::<f32>(),
                Just(f32::NAN),
                Just(f32::INFINITY),
                Just(f32::NEG_INFINITY),
            ], 1..1500),
            portions in prop::collection::vec(1usize..400, 12),
        ) {
            let mut nearest = Nearest::new(distances.clone());
            let mut left = distances.len();
            let mut seen = vec![false; left];
            for portion in portions {
                for key in nearest.take(simd::kernels(), portion.min(left)) {
                    prop_assert!(!std::mem::replace(&mut seen[key.place() as usize], true));
                    left -= 1;
                }
            }
            prop_assert_eq!(seen.iter().filter(|seen| !**seen).count(), left);
        }

        #[test]
        fn keys_keep_distances(distance in any::<f32>()) {
            prop_assert_eq!(Key::new(distance, 7).distance().to_bits(), distance.to_bits());
            prop_assert_eq!(Key::new(distance, 7).place(), 7);
        }
    }
}
