//! Which index fits a collection.

use crate::search::DEFAULT_RECALL;
use crate::{Bits, BuildOptions, Error, Kind, MAX_DIMENSIONS, Metric, Result, pack, rotate};

/// Rows up to which an exact scan answers within about a millisecond at 384 dimensions.
const EXACT_COMPONENTS: usize = 10_000 * 384;

/// A recommended index and what to expect of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Recommendation {
    /// The kind to build.
    pub kind: Kind,
    /// Bits a dimension, where the kind has codes.
    pub bits: Option<Bits>,
    /// One sentence of reasons.
    pub why: String,
    /// Expected recall@10 on text embeddings.
    pub recall: f32,
    /// Bytes of the whole index, raw vectors included where the kind keeps them.
    pub memory_bytes: usize,
}

/// Recommends for `rows` vectors of `dimensions` numbers and a recall@10 in `(0, 1]`.
///
/// Expected recalls are those measured on `MiniLM` embeddings of `WordNet` glosses (117k x 384); see `bench/README.md`.
///
/// # Errors
/// `INVALID_DIMENSIONS`, `INVALID_OPTION`.
pub fn recommend(rows: usize, dimensions: usize, recall_target: f32) -> Result<Recommendation> {
    if !(1..=MAX_DIMENSIONS).contains(&dimensions) {
        return Err(Error::InvalidDimensions { got: dimensions });
    }
    if !(recall_target > 0.0 && recall_target <= 1.0) {
        let reason = format!("must be above 0 and at most 1, got {recall_target}");
        return Err(Error::InvalidOption {
            option: "recallTarget",
            reason,
        });
    }
    let (kind, bits, recall, why) = if rows.saturating_mul(dimensions) <= EXACT_COMPONENTS
        || recall_target == 1.0
    {
        let why = if recall_target == 1.0 {
            "only an exact scan promises a recall of 1".to_owned()
        } else {
            format!("{rows} rows are few enough to compare exactly in about a millisecond")
        };
        (Kind::FlatF32, None, 1.0, why)
    } else if recall_target > 0.95 {
        let mut why = "1+4-bit codes find the candidates, raw vectors rank the few that can still be among the best".to_owned();
        if recall_target > DEFAULT_RECALL {
            why += "; name this recallTarget in searches, too";
        }
        (
            Kind::RabitqPlus,
            Some(Bits::Five),
            recall_target.max(DEFAULT_RECALL),
            why,
        )
    } else {
        let why = "1+4-bit codes alone reach this recall at about a sixth of the memory".to_owned();
        (Kind::RabitqAsym, Some(Bits::Five), 0.95, why)
    };
    Ok(Recommendation {
        kind,
        bits,
        why,
        recall,
        memory_bytes: rows.saturating_mul(row_bytes(kind, bits, dimensions)),
    })
}

fn row_bytes(kind: Kind, bits: Option<Bits>, dimensions: usize) -> usize {
    let options = BuildOptions {
        bits,
        ..BuildOptions::new(kind, dimensions, Metric::Cosine)
    };
    let padded = rotate::padded(&options);
    let id_and_norm = 12;
    let codes = bits.map_or(0, |bits| padded / 8 + 12 + pack::row_bytes(bits, padded));
    let raw = if matches!(kind, Kind::FlatF32 | Kind::RabitqPlus) {
        4 * dimensions
    } else {
        0
    };
    id_and_norm + codes + raw
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_with_the_collection_and_the_target() {
        assert_eq!(recommend(1000, 384, 0.9).unwrap().kind, Kind::FlatF32);
        assert_eq!(
            recommend(1_000_000, 384, 0.99).unwrap().kind,
            Kind::RabitqPlus
        );
        let lean = recommend(1_000_000, 384, 0.9).unwrap();
        assert_eq!(lean.kind, Kind::RabitqAsym);
        assert!(lean.memory_bytes < 1_000_000 * 384 * 4 / 5);
        assert_eq!(recommend(1_000_000, 384, 1.0).unwrap().kind, Kind::FlatF32);
        for target in [0.01, 0.95, 0.96, 0.99, 0.998, 0.999, 1.0] {
            let advice = recommend(1_000_000, 384, target).unwrap();
            assert!(advice.recall >= target, "{advice:?} for {target}");
        }
        assert!(
            recommend(10, 0, 0.9).is_err()
                && recommend(10, 8, 0.0).is_err()
                && recommend(10, 8, f32::NAN).is_err()
        );
    }
}
