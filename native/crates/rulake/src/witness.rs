//! The witness of upstream's `table.rulake.json` (crate `ruvector-rulake`): SHAKE-256 over what describes a table.
//!
//! It covers the description, not the vectors. Bundles of this crate put the digest of their content into the
//! generation, so that one witness stands for every byte.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// Start of every witnessed text; upstream kept it when version 2 came.
const PREFIX: &[u8] = b"rulake-bundle-witness-v1|";

/// Which state of a table is meant: a counter, or any text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Generation {
    /// A counter, a JSON number in full 64 bits.
    Number(u64),
    /// Any text.
    Opaque(String),
}

/// How the generation enters the witness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WitnessVersion {
    /// As it is; a number and a text of the same eight bytes are not told apart.
    V1,
    /// After a byte that tells numbers (0) from texts (1).
    V2,
}

/// What a witness covers.
#[derive(Clone, Copy, Debug)]
pub struct Witnessed<'a> {
    /// Where the data comes from.
    pub data_ref: &'a str,
    /// Numbers in a vector.
    pub dimensions: u64,
    /// Seed of upstream's rotation.
    pub rotation_seed: u64,
    /// Candidates upstream reranks for each answer.
    pub rerank_factor: u64,
    /// Which state.
    pub generation: &'a Generation,
}

impl Witnessed<'_> {
    /// The witness, 64 hexadecimal digits.
    #[must_use]
    pub fn witness(&self, version: WitnessVersion) -> String {
        let number;
        let (tag, generation): (u8, &[u8]) = match self.generation {
            Generation::Number(n) => {
                number = n.to_le_bytes();
                (0, &number)
            }
            Generation::Opaque(text) => (1, text.as_bytes()),
        };
        let tag: &[u8] = match version {
            WitnessVersion::V1 => &[],
            WitnessVersion::V2 => &[tag],
        };
        let mut digest = Digest::default();
        digest.update(PREFIX);
        digest.update(&(self.data_ref.len() as u64).to_le_bytes());
        digest.update(self.data_ref.as_bytes());
        digest.update(b"|");
        for number in [self.dimensions, self.rotation_seed, self.rerank_factor] {
            digest.update(&number.to_le_bytes());
        }
        digest.update(b"|");
        digest.update(&((tag.len() + generation.len()) as u64).to_le_bytes());
        digest.update(tag);
        digest.update(generation);
        digest.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn witness(generation: &Generation, version: WitnessVersion) -> String {
        let witnessed = Witnessed {
            data_ref: "gs://bucket/x.parquet",
            dimensions: 128,
            rotation_seed: 42,
            rerank_factor: 20,
            generation,
        };
        witnessed.witness(version)
    }

    #[test]
    fn version_2_is_what_the_upstream_crate_gives() {
        // From ruvector-rulake 2.3.0, `RuLakeBundle::new`.
        assert_eq!(
            witness(&Generation::Number(7), WitnessVersion::V2),
            "7eac1775d1f76a4db88672655fc64977287ec60eda47c6df3a19bacfd0c038cd"
        );
        assert_eq!(
            witness(&Generation::Opaque("abc".into()), WitnessVersion::V2),
            "77ca6a13399b738b6ff79fce1598ba29aaae39a3e9edbbfe665dbde778c2e688"
        );
    }

    #[test]
    fn version_1_has_no_tag() {
        // From Python's hashlib.shake_256 over the text without the tag.
        assert_eq!(
            witness(&Generation::Number(7), WitnessVersion::V1),
            "60d629f25f2b6520c60de660fc12b312305d6ffbaf5da88c7275ea7f04b31779"
        );
        assert_eq!(
            witness(&Generation::Opaque("abc".into()), WitnessVersion::V1),
            "7738a26d7bd15f8755158743a52333f0c9e12ded9e2eda72709cab844eda2f7d"
        );
        let same = Generation::Opaque(String::from_utf8(7_u64.to_le_bytes().to_vec()).unwrap());
        assert_eq!(
            witness(&same, WitnessVersion::V1),
            witness(&Generation::Number(7), WitnessVersion::V1)
        );
        assert_ne!(
            witness(&same, WitnessVersion::V2),
            witness(&Generation::Number(7), WitnessVersion::V2)
        );
    }

    #[test]
    fn every_part_counts() {
        let generation = Generation::Number(u64::MAX);
        let plain = Witnessed {
            data_ref: "a",
            dimensions: 1,
            rotation_seed: u64::MAX,
            rerank_factor: 2,
            generation: &generation,
        };
        let all = [
            plain,
            Witnessed {
                data_ref: "b",
                ..plain
            },
            Witnessed {
                dimensions: 2,
                ..plain
            },
            Witnessed {
                rotation_seed: u64::MAX - 1,
                ..plain
            },
            Witnessed {
                rerank_factor: 3,
                ..plain
            },
        ];
        let mut seen: Vec<_> = all.map(|one| one.witness(WitnessVersion::V2)).into();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), all.len());
    }
}
