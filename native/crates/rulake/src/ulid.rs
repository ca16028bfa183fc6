//! Ids that sort by time, in the form of ULIDs (github.com/ulid/spec): 48 bits of milliseconds since 1970 and 80 more,
//! as 26 digits of Crockford's base 32.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::digest::Digest;
use crate::manifest::now;

const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LENGTH: usize = 26;
const LOW_BITS: u32 = 80;

/// Such an id. Orders as its text does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ulid(u128);

impl Ulid {
    /// `low` has 80 bits.
    pub(crate) fn new(ms: u64, low: u128) -> Self {
        Self(u128::from(ms) << LOW_BITS | low & ((1 << LOW_BITS) - 1))
    }

    /// One that nobody else has.
    pub(crate) fn unique() -> Self {
        let mut low = [0; 16];
        low[..10].copy_from_slice(&random::<10>());
        Self::new(now(), u128::from_le_bytes(low))
    }

    pub(crate) fn ms(self) -> u64 {
        (self.0 >> LOW_BITS) as u64
    }

    pub(crate) fn value(self) -> u128 {
        self.0
    }

    /// The lower 64 bits.
    pub(crate) fn low(self) -> u64 {
        self.0 as u64
    }

    pub(crate) fn bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.len() != LENGTH || text.as_bytes().first() > Some(&b'7') {
            return None;
        }
        let mut value = 0_u128;
        for byte in text.bytes() {
            let digit = DIGITS.iter().position(|digit| *digit == byte)?;
            value = value << 5 | digit as u128;
        }
        Some(Self(value))
    }
}

impl From<u128> for Ulid {
    fn from(value: u128) -> Self {
        Self(value)
    }
}

impl fmt::Display for Ulid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: String = (0..LENGTH as u32)
            .rev()
            .map(|i| char::from(DIGITS[(self.0 >> (5 * i)) as usize & 31]))
            .collect();
        f.write_str(&text)
    }
}

/// Bytes that cannot be guessed and do not repeat, in any process.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let mut digest = Digest::default();
    for part in [
        RandomState::new().hash_one(0),
        RandomState::new().hash_one(1),
        now(),
        u64::from(std::process::id()),
        COUNTER.fetch_add(1, Ordering::Relaxed),
    ] {
        digest.update(&part.to_le_bytes());
    }
    digest.finish_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_orders_as_the_value_and_comes_back() {
        let ids = [
            Ulid::new(0, 0),
            Ulid::new(0, 7),
            Ulid::new(1, 1 << 79),
            Ulid::new(1_795_149_459_000, 31),
            Ulid::new((1 << 48) - 1, u128::MAX),
        ];
        for pair in ids.windows(2) {
            assert!(pair[0].to_string() < pair[1].to_string());
        }
        for id in ids {
            assert_eq!(Ulid::parse(&id.to_string()), Some(id));
        }
        assert_eq!(ids[3].ms(), 1_795_149_459_000);
        assert_eq!(ids[3].low(), 31);
        for text in [
            "",
            "8ZZZZZZZZZZZZZZZZZZZZZZZZZ",
            "0000000000000000000000000U",
            "00000000000000000000000000000",
        ] {
            assert_eq!(Ulid::parse(text), None);
        }
        // The specification's own example of a time.
        assert!(
            Ulid::new(1_469_922_850_259, 0)
                .to_string()
                .starts_with("01ARZ3NDEK")
        );
    }

    #[test]
    fn unique_ones_differ() {
        assert_ne!(Ulid::unique(), Ulid::unique());
        assert_ne!(random::<16>(), random::<16>());
    }
}
