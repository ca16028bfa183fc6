//! Answers on their way out: numbers in typed arrays, never an object for each hit.

use napi::bindgen_prelude::{Float32ArraySlice, Float64ArraySlice, ToNapiValue};
use napi::{Env, sys};
use napi_derive::napi;
use rabitq::Hit;

/// `id, distance` pairs that become one `Float64Array`.
///
/// Copied into memory of the JavaScript engine: Electron refuses memory of ours.
pub struct HitList(pub Vec<f64>);

impl ToNapiValue for HitList {
    unsafe fn to_napi_value(env: sys::napi_env, list: Self) -> napi::Result<sys::napi_value> {
        let array = Float64ArraySlice::copy_from(&Env::from_raw(env), list.0)?;
        // SAFETY: `env` is the caller's, and the array was made in it just now.
        unsafe { ToNapiValue::to_napi_value(env, array) }
    }
}

/// The pairs of a [`HitList`].
pub fn interleave(hits: &[Hit]) -> Vec<f64> {
    #[expect(clippy::cast_precision_loss, reason = "ids are safe integers")]
    hits.iter()
        .flat_map(|hit| [hit.id as f64, hit.distance])
        .collect()
}

/// The answers of a batch search, read in pieces.
#[napi]
pub struct BatchHits {
    k: usize,
    ids: Vec<f64>,
    distances: Vec<f32>,
}

impl BatchHits {
    /// Lines up the answers, `k` places each; those without a hit hold NaN and infinity.
    pub fn new(k: usize, answers: &[Vec<Hit>]) -> Self {
        let mut ids = Vec::with_capacity(k * answers.len());
        let mut distances = Vec::with_capacity(k * answers.len());
        for hits in answers {
            for place in 0..k {
                let hit = hits.get(place);
                #[expect(clippy::cast_precision_loss, reason = "ids are safe integers")]
                ids.push(hit.map_or(f64::NAN, |hit| hit.id as f64));
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "batch distances are f32 by contract"
                )]
                distances.push(hit.map_or(f32::INFINITY, |hit| hit.distance as f32));
            }
        }
        Self { k, ids, distances }
    }
}

#[napi]
impl BatchHits {
    /// Places for each query.
    #[napi(getter, catch_unwind)]
    pub fn k(&self) -> u32 {
        u32::try_from(self.k).unwrap_or(u32::MAX)
    }

    /// Places in all.
    #[napi(getter, catch_unwind)]
    pub fn length(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "sizes stay far below 2^53")]
        let length = self.ids.len() as f64;
        length
    }

    /// Copies places from `start` on, as many as both arrays hold, and returns how many.
    #[napi(catch_unwind)]
    pub fn read(
        &self,
        start: f64,
        ids: Float64ArraySlice<'_>,
        distances: Float32ArraySlice<'_>,
    ) -> u32 {
        let (mut ids, mut distances) = (ids, distances);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an offset into our vectors"
        )]
        let start = (start as usize).min(self.ids.len());
        let count = ids.len().min(distances.len()).min(self.ids.len() - start);
        let range = start..start + count;
        // SAFETY: the source is our own memory, and no other Rust reference to the target exists during the call.
        copy(unsafe { ids.as_mut() }, &self.ids[range.clone()]);
        // SAFETY: as above.
        copy(unsafe { distances.as_mut() }, &self.distances[range]);
        u32::try_from(count).unwrap_or(u32::MAX)
    }
}

fn copy<T: Copy>(target: &mut [T], source: &[T]) {
    if let Some(target) = target.get_mut(..source.len()) {
        target.copy_from_slice(source);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_lined_up_and_gaps_are_marked() {
        let hit = |id, distance| Hit { id, distance };
        let batch = BatchHits::new(
            2,
            &[
                vec![hit(-7, 0.5), hit(1 << 40, 1.0)],
                vec![hit(3, 0.0)],
                vec![],
            ],
        );
        assert_eq!(batch.ids[..3], [-7.0, 1_099_511_627_776.0, 3.0]);
        assert!(batch.ids[3..].iter().all(|id| id.is_nan()));
        assert_eq!(
            batch.distances,
            [0.5, 1.0, 0.0, f32::INFINITY, f32::INFINITY, f32::INFINITY]
        );
        assert_eq!(
            interleave(&[hit(1, 0.25), hit(2, 0.5)]),
            [1.0, 0.25, 2.0, 0.5]
        );
    }
}
