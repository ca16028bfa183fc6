//! Which index fits a collection.

use crate::ivf::wanted_lists;
use crate::search::{DEFAULT_IVF_RECALL, DEFAULT_RECALL};
use crate::{Bits, BuildOptions, Error, Kind, MAX_DIMENSIONS, Metric, Result, pack, rotate};

/// Rows up to which an exact scan answers within about a millisecond at 384 dimensions.
const EXACT_COMPONENTS: usize = 10_000 * 384;

/// Components up to which a look at all codes is quick enough: a `RabitqPlusIndex` of 116k x 384 answers in about 0.17 ms
/// (`bench/README.md`), so these in less than a tenth of a millisecond.
const SCANNED_COMPONENTS: usize = 50_000 * 384;

/// Recall@10 of 1+4 bits without raw vectors: .974 on glosses in `MiniLM` (116k x 384), .968 on `GloVe` (340k x 100), see
/// `bench/README.md`; less a margin for other data.
const LEAN_RECALL: f32 = 0.95;

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
/// Expected recalls are what the searches of an index aim at, which held for held-back queries of `MiniLM` embeddings of
/// `WordNet` glosses (116k x 384) and of `GloVe` (340k x 100), docs/decisions/0012; without raw vectors what was measured there.
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
    let components = rows.saturating_mul(dimensions);
    let (kind, recall, why) = if components <= EXACT_COMPONENTS || recall_target == 1.0 {
        let why = if recall_target == 1.0 {
            "only an exact scan promises a recall of 1".to_owned()
        } else {
            format!("{rows} rows are few enough to compare exactly in about a millisecond")
        };
        (Kind::FlatF32, 1.0, why)
    } else if components > SCANNED_COMPONENTS {
        let mut why =
            "looking at the lists near a query takes a fraction of the time of looking at all codes"
                .to_owned();
        if recall_target > DEFAULT_IVF_RECALL {
            why += "; name this recallTarget in searches, too";
        }
        (Kind::RabitqIvf, recall_target.max(DEFAULT_IVF_RECALL), why)
    } else if recall_target > LEAN_RECALL {
        let mut why = "1+4-bit codes find the candidates, raw vectors rank the few that can still be among the best".to_owned();
        if recall_target > DEFAULT_RECALL {
            why += "; name this recallTarget in searches, too";
        }
        (Kind::RabitqPlus, recall_target.max(DEFAULT_RECALL), why)
    } else {
        let why = "1+4-bit codes alone reach this recall at about a sixth of the memory".to_owned();
        (Kind::RabitqAsym, LEAN_RECALL, why)
    };
    let bits = (kind != Kind::FlatF32).then_some(Bits::Five);
    Ok(Recommendation {
        kind,
        bits,
        why,
        recall,
        memory_bytes: memory_bytes(kind, bits, rows, dimensions),
    })
}

/// What the arrays of an index take whose ids ascend.
fn memory_bytes(kind: Kind, bits: Option<Bits>, rows: usize, dimensions: usize) -> usize {
    let options = BuildOptions {
        bits,
        ..BuildOptions::new(kind, dimensions, Metric::Cosine)
    };
    let padded = rotate::padded(&options);
    let id_and_norm = 12;
    let signs = padded / 8 + 8;
    let codes = bits.map_or(0, |bits| signs + pack::row_bytes(bits, padded));
    let raw = if options.keeps_raw() {
        4 * dimensions
    } else {
        0
    };
    let row = id_and_norm + codes + raw;
    if kind != Kind::RabitqIvf {
        return rows.saturating_mul(row);
    }
    // Where a row lies, and which row has an id; of a list its centroid, that centroid's codes, four numbers, and a block of
    // which half is empty.
    let places = 8;
    let list = 4 * padded + codes + 16 + pack::BLOCK / 2 * signs;
    rows.saturating_mul(row + places) + wanted_lists(&options, rows) * list
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Control, Index};

    #[test]
    fn grows_with_the_collection_and_the_target() {
        assert_eq!(recommend(1000, 384, 0.9).unwrap().kind, Kind::FlatF32);
        assert_eq!(
            recommend(1_000_000, 384, 0.99).unwrap().kind,
            Kind::RabitqIvf
        );
        assert_eq!(recommend(40_000, 384, 0.99).unwrap().kind, Kind::RabitqPlus);
        let lean = recommend(40_000, 384, 0.9).unwrap();
        assert_eq!(lean.kind, Kind::RabitqAsym);
        assert!(lean.memory_bytes < 40_000 * 384 * 4 / 5);
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

    #[test]
    fn memory_is_that_of_the_index() {
        for (rows, dimensions, target, kind) in [
            (2_000, 96, 0.9, Kind::FlatF32),
            (12_000, 500, 0.9, Kind::RabitqAsym),
            (12_000, 500, 0.99, Kind::RabitqPlus),
            (160_000, 124, 0.9, Kind::RabitqIvf),
        ] {
            let advice = recommend(rows, dimensions, target).unwrap();
            assert_eq!(advice.kind, kind);
            let options = BuildOptions {
                bits: advice.bits,
                lists: None,
                ..BuildOptions::new(kind, dimensions, Metric::Cosine)
            };
            let mut state = 1u32;
            let mut next = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / (1 << 24) as f32 - 0.5
            };
            let vectors: Vec<f32> = (0..rows * dimensions).map(|_| next()).collect();
            let index = Index::build(vectors, None, &options, Control::default()).unwrap();
            let (said, is) = (advice.memory_bytes as f64, index.stats().heap_bytes as f64);
            assert!((said / is - 1.0).abs() < 0.1, "{kind}: {said} for {is}");
        }
    }
}
