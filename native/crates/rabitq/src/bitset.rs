//! Which rows of a part count.

/// A fixed number of bits, one a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bitset {
    words: Vec<u64>,
}

impl Bitset {
    pub(crate) fn zeros(len: usize) -> Self {
        Self {
            words: vec![0; len.div_ceil(64)],
        }
    }

    pub(crate) fn ones(len: usize) -> Self {
        let mut words = vec![u64::MAX; len.div_ceil(64)];
        if let Some(last) = words.last_mut() {
            *last >>= words_padding(len);
        }
        Self { words }
    }

    pub(crate) fn clear(&mut self, index: usize) {
        self.words[index / 64] &= !(1 << (index % 64));
    }

    pub(crate) fn set(&mut self, index: usize) {
        self.words[index / 64] |= 1 << (index % 64);
    }

    pub(crate) fn get(&self, index: usize) -> bool {
        self.words[index / 64] >> (index % 64) & 1 == 1
    }

    pub(crate) fn count(&self) -> usize {
        self.words.iter().map(|w| w.count_ones() as usize).sum()
    }

    /// Set bits in `range`.
    pub(crate) fn count_in(&self, range: std::ops::Range<usize>) -> usize {
        let bits = |w: usize| {
            let below = |end: usize| match end.saturating_sub(w * 64) {
                bits if bits >= 64 => u64::MAX,
                bits => (1 << bits) - 1,
            };
            (self.words[w] & below(range.end) & !below(range.start)).count_ones() as usize
        };
        (range.start / 64..range.end.div_ceil(64).min(self.words.len()))
            .map(bits)
            .sum()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.words.len() * 8
    }

    /// Clear bits in `range`, ascending; whole words of set bits are skipped.
    pub(crate) fn gaps(&self, range: std::ops::Range<usize>) -> impl Iterator<Item = usize> {
        let words = range.start / 64..range.end.div_ceil(64).min(self.words.len());
        words
            .filter(move |&w| self.words[w] != u64::MAX)
            .flat_map(move |w| {
                (w * 64..(w + 1) * 64).filter(move |&i| self.words[w] >> (i % 64) & 1 == 0)
            })
            .filter(move |i| range.contains(i))
    }

    /// Set bits in `range`, ascending.
    pub(crate) fn iter(&self, range: std::ops::Range<usize>) -> impl Iterator<Item = usize> {
        let words = range.start / 64..range.end.div_ceil(64).min(self.words.len());
        words
            .flat_map(|w| {
                let mut word = self.words[w];
                std::iter::from_fn(move || {
                    (word != 0).then(|| {
                        let bit = word.trailing_zeros() as usize;
                        word &= word - 1;
                        w * 64 + bit
                    })
                })
            })
            .skip_while(move |&i| i < range.start)
            .take_while(move |&i| i < range.end)
    }
}

/// Unused bits of the last word.
fn words_padding(len: usize) -> usize {
    len.div_ceil(64) * 64 - len
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_and_gaps_mirror_each_other() {
        let mut bits = Bitset::ones(200);
        for i in [0, 63, 64, 130, 199] {
            bits.clear(i);
        }
        assert_eq!(bits.count(), 195);
        assert_eq!(bits.gaps(0..200).collect::<Vec<_>>(), [0, 63, 64, 130, 199]);
        assert_eq!(bits.gaps(60..131).collect::<Vec<_>>(), [63, 64, 130]);
        assert_eq!(bits.gaps(64..150).collect::<Vec<_>>(), [64, 130]);
        assert_eq!(
            bits.iter(60..70).collect::<Vec<_>>(),
            [60, 61, 62, 65, 66, 67, 68, 69]
        );
        for (start, end) in [
            (0, 200),
            (1, 64),
            (64, 64),
            (60, 131),
            (130, 131),
            (199, 200),
        ] {
            assert_eq!(
                bits.count_in(start..end),
                bits.iter(start..end).count(),
                "{start}..{end}"
            );
        }
        let mut back = Bitset::zeros(200);
        bits.iter(0..200).for_each(|i| back.set(i));
        assert_eq!(back, bits);
    }
}
