//! Options on their way in, facts about an index on their way out.

use napi_derive::napi;
use rabitq::{AllowList, Bits, BuildOptions, Index, Kind, Metric, RawPrecision, SearchOptions};

use crate::error::{Failure, Result};
use crate::input::InputBuffer;

/// How an index is built; see `BuildOptions` in TypeScript. Already checked there for type, here for range.
#[napi(object, object_to_js = false)]
pub struct IndexParameters {
    /// Class name.
    pub kind: String,
    /// Numbers in a vector.
    pub dimensions: u32,
    /// `cosine`, `ip` or `l2`.
    pub metric: String,
    /// Seed of the rotation.
    #[napi(ts_type = "number | undefined")]
    pub seed: Option<f64>,
    /// Bits a dimension.
    #[napi(ts_type = "number | undefined")]
    pub bits: Option<u32>,
    /// Cap of exact comparisons, in multiples of `k`.
    #[napi(ts_type = "number | undefined")]
    pub rerank_factor: Option<u32>,
    /// Inverted lists.
    #[napi(ts_type = "number | undefined")]
    pub lists: Option<u32>,
    /// `f32` or `f16`.
    #[napi(ts_type = "string | undefined")]
    pub raw: Option<String>,
}

/// How one search is done; checked in TypeScript.
#[napi(object, object_to_js = false)]
#[derive(Clone, Copy)]
pub struct SearchParameters {
    /// Hits wanted.
    pub k: f64,
    /// Recall to reach on average.
    #[napi(ts_type = "number | undefined")]
    pub recall_target: Option<f64>,
    /// Cap of exact comparisons, in multiples of `k`.
    #[napi(ts_type = "number | undefined")]
    pub rerank_factor: Option<u32>,
    /// Inverted lists to visit.
    #[napi(ts_type = "number | undefined")]
    pub nprobe: Option<u32>,
}

/// What never changes about an index.
#[napi(object, object_from_js = false)]
pub struct IndexInfo {
    /// Class name.
    pub kind: String,
    /// Numbers in a vector.
    pub dimensions: u32,
    /// `cosine`, `ip` or `l2`.
    pub metric: String,
    /// Seed of the rotation.
    pub seed: f64,
    /// Bits a dimension, if there are codes.
    pub bits: Option<u32>,
    /// Cap of exact comparisons, in multiples of `k`.
    pub rerank_factor: Option<u32>,
}

/// Sizes and counts; see [`rabitq::Stats`].
#[napi(object, object_from_js = false)]
pub struct IndexCounts {
    /// Live rows.
    pub rows: f64,
    /// Deleted rows that still take space.
    pub deleted: f64,
    /// Bytes of codes and factors.
    pub code_bytes: f64,
    /// Bytes of raw vectors.
    pub raw_bytes: f64,
    /// Bytes mapped from a file.
    pub mapped_bytes: f64,
    /// Bytes on the heap.
    pub heap_bytes: f64,
    /// Immutable parts.
    pub parts: u32,
    /// Inverted lists.
    pub lists: u32,
    /// Rows outside the lists.
    pub ungrouped: f64,
    /// Longest list as a multiple of the mean.
    pub imbalance: f64,
    /// Mean error of the codes as a multiple of that at building.
    pub drift: f64,
}

/// Through text: 0.995 as `f32` would reach JavaScript as 0.9950000047683716.
pub fn shortest(number: f32) -> f64 {
    number.to_string().parse().unwrap_or(f64::from(number))
}

/// What a search asks for, owned.
pub struct Wanted {
    k: usize,
    allow: Option<Vec<i64>>,
    recall_target: Option<f32>,
    rerank_factor: Option<u32>,
    nprobe: Option<u32>,
}

impl Wanted {
    /// Takes over the ids of the filter.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`k` saturates, and a target needs no more digits"
    )]
    pub fn new(parameters: SearchParameters, filter: Option<&InputBuffer>) -> Self {
        Self {
            k: parameters.k as usize,
            allow: filter.map(|filter| filter.take().ids),
            recall_target: parameters.recall_target.map(|target| target as f32),
            rerank_factor: parameters.rerank_factor,
            nprobe: parameters.nprobe,
        }
    }

    /// Calls `search` with `k` cut to the size of the index, so that no search prepares for more than there is.
    pub fn with<T>(
        self,
        index: &Index,
        search: impl FnOnce(usize, &SearchOptions<'_>) -> rabitq::Result<T>,
    ) -> Result<T> {
        let allow = self.allow.map(AllowList::new);
        let k = self.k.min(index.len().max(1));
        let options = SearchOptions {
            allow: allow.as_ref(),
            recall_target: self.recall_target,
            rerank_factor: self.rerank_factor,
            nprobe: self.nprobe,
        };
        Ok(search(k, &options)?)
    }
}

impl IndexParameters {
    /// The options in the crate's terms, every one checked.
    pub fn into_options(self) -> Result<BuildOptions> {
        let unknown = |option: &'static str, value: &str| {
            Failure::new("INVALID_OPTION", format!("unknown {option} '{value}'"))
                .with("option", option)
        };
        let kind = Kind::from_name(&self.kind).ok_or_else(|| unknown("kind", &self.kind))?;
        let metric =
            Metric::from_name(&self.metric).ok_or_else(|| unknown("metric", &self.metric))?;
        let mut options = BuildOptions::new(kind, self.dimensions as usize, metric);
        if let Some(seed) = self.seed {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a safe integer from 0"
            )]
            let seed = seed as u64;
            options.seed = seed;
        }
        options.bits = self.bits.map(Bits::from_total).transpose()?;
        options.rerank_factor = self.rerank_factor;
        options.lists = self.lists;
        options.raw = match self.raw.as_deref() {
            None | Some("f32") => RawPrecision::F32,
            Some("f16") => RawPrecision::F16,
            Some(other) => return Err(unknown("raw", other)),
        };
        options.validate()?;
        Ok(options)
    }
}

impl From<&BuildOptions> for IndexInfo {
    fn from(options: &BuildOptions) -> Self {
        Self {
            kind: options.kind.name().to_owned(),
            dimensions: u32::try_from(options.dimensions).unwrap_or(u32::MAX),
            metric: options.metric.name().to_owned(),
            #[expect(clippy::cast_precision_loss, reason = "seeds come from JavaScript")]
            seed: options.seed as f64,
            bits: options.effective_bits().map(Bits::total),
            rerank_factor: options.rerank_factor,
        }
    }
}

impl From<rabitq::Stats> for IndexCounts {
    fn from(stats: rabitq::Stats) -> Self {
        Self {
            rows: to_number(stats.rows),
            deleted: to_number(stats.deleted),
            code_bytes: to_number(stats.code_bytes),
            raw_bytes: to_number(stats.raw_bytes),
            mapped_bytes: to_number(stats.mapped_bytes),
            heap_bytes: to_number(stats.heap_bytes),
            parts: u32::try_from(stats.parts).unwrap_or(u32::MAX),
            lists: u32::try_from(stats.lists).unwrap_or(u32::MAX),
            ungrouped: to_number(stats.ungrouped),
            imbalance: stats.imbalance,
            drift: stats.drift,
        }
    }
}

/// A size as a JavaScript number.
#[expect(clippy::cast_precision_loss, reason = "sizes stay far below 2^53")]
pub fn to_number(size: usize) -> f64 {
    size as f64
}

/// An id that JavaScript has checked.
#[expect(
    clippy::cast_possible_truncation,
    reason = "JavaScript checks that ids are safe integers"
)]
pub fn to_id(id: f64) -> i64 {
    id as i64
}
