//! Advice on which index to build.

use napi::Env;
use napi_derive::napi;
use rabitq::Bits;

use crate::job::guarded;
use crate::parameters::{shortest, to_number};

/// A recommended index and what to expect of it.
#[napi(object, object_from_js = false)]
pub struct IndexAdvice {
    /// Class name.
    pub kind: String,
    /// Bits a dimension, if there are codes.
    pub bits: Option<u32>,
    /// One sentence of reasons.
    pub why: String,
    /// Expected recall@10.
    pub recall: f64,
    /// Bytes of the whole index.
    pub memory_bytes: f64,
}

/// Recommends an index; see [`rabitq::recommend`].
///
/// # Errors
/// `INVALID_DIMENSIONS`, `INVALID_OPTION`.
#[napi(catch_unwind)]
pub fn advise(
    env: &Env,
    rows: f64,
    dimensions: u32,
    recall_target: f64,
) -> napi::Result<IndexAdvice> {
    guarded(env, || {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a whole number from 0; a target needs no more digits"
        )]
        let (rows, target) = (rows as usize, recall_target as f32);
        let advice = rabitq::recommend(rows, dimensions as usize, target)?;
        Ok(IndexAdvice {
            kind: advice.kind.name().to_owned(),
            bits: advice.bits.map(Bits::total),
            why: advice.why,
            recall: shortest(advice.recall),
            memory_bytes: to_number(advice.memory_bytes),
        })
    })
}
