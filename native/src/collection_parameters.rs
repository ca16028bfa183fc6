//! Options of a collection on their way in, facts about it on their way out.

use napi_derive::napi;
use rulake::{Commit, HistoryEntry, Include, SearchRequest, VerifyReport};

use crate::parameters::to_number;

/// What a write did.
#[napi(object, object_from_js = false)]
pub struct WriteResult {
    /// Name of the state; later ones sort after it.
    pub snapshot: String,
    /// Records replaced or deleted.
    pub affected: f64,
}

/// Parts of a record to return.
#[napi(object, object_to_js = false)]
#[derive(Clone, Copy)]
pub struct IncludeParameters {
    /// The vector.
    pub vector: bool,
    /// The text.
    pub text: bool,
    /// The metadata.
    pub metadata: bool,
}

/// How a search is done; checked in TypeScript for type.
#[napi(object, object_to_js = false)]
pub struct CollectionSearchParameters {
    /// Records wanted.
    pub k: f64,
    /// Filter as JSON.
    #[napi(ts_type = "string | undefined")]
    pub filter: Option<String>,
    /// Recall to reach on average.
    #[napi(ts_type = "number | undefined")]
    pub recall_target: Option<f64>,
    /// Leave out lower scores.
    #[napi(ts_type = "number | undefined")]
    pub min_score: Option<f64>,
    /// Parts to return.
    pub include: IncludeParameters,
}

/// Sizes and counts.
#[napi(object, object_from_js = false)]
pub struct CollectionCounts {
    /// Its name.
    pub name: String,
    /// Records.
    pub records: f64,
    /// Records with a vector.
    pub vectors: f64,
    /// Numbers in a vector, once known.
    pub dimensions: Option<u32>,
    /// `cosine`, `ip` or `l2`.
    pub metric: String,
    /// Class of the index in use, if there is one.
    pub index: Option<String>,
    /// The newest state.
    pub snapshot: String,
    /// Number of the newest generation.
    pub generation: f64,
    /// Segments the records are in.
    pub segments: f64,
    /// Records in memory.
    pub memtable: f64,
    /// Bytes of log to replay.
    pub wal_bytes: f64,
    /// Bytes of the segments.
    pub segment_bytes: f64,
    /// Bytes of the index.
    pub index_bytes: f64,
}

/// States of the past, column by column.
#[napi(object, object_from_js = false)]
pub struct HistoryColumns {
    /// Their names.
    pub snapshots: Vec<String>,
    /// When they were committed, in milliseconds since 1970.
    pub times: Vec<f64>,
    /// The generation that begins with each; 0 if none does.
    pub generations: Vec<f64>,
}

impl From<Vec<HistoryEntry>> for HistoryColumns {
    #[expect(
        clippy::cast_precision_loss,
        reason = "times and generations stay far below 2^53"
    )]
    fn from(entries: Vec<HistoryEntry>) -> Self {
        Self {
            snapshots: entries.iter().map(|e| e.snapshot.to_string()).collect(),
            times: entries
                .iter()
                .map(|e| e.snapshot.committed() as f64)
                .collect(),
            generations: entries
                .iter()
                .map(|e| e.generation.unwrap_or(0) as f64)
                .collect(),
        }
    }
}

/// What a verification found.
#[napi(object, object_from_js = false)]
pub struct VerifyResult {
    /// Files read.
    pub files: f64,
    /// Bytes read.
    pub bytes: f64,
    /// Records checked.
    pub records: f64,
    /// File of each problem.
    pub paths: Vec<String>,
    /// Reason of each problem.
    pub reasons: Vec<String>,
}

impl From<IncludeParameters> for Include {
    fn from(include: IncludeParameters) -> Self {
        Self {
            vector: include.vector,
            text: include.text,
            metadata: include.metadata,
        }
    }
}

impl From<CollectionSearchParameters> for SearchRequest {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`k` saturates, and a target needs no more digits"
    )]
    fn from(parameters: CollectionSearchParameters) -> Self {
        Self {
            k: parameters.k as usize,
            filter: parameters.filter,
            recall_target: parameters.recall_target.map(|target| target as f32),
            min_score: parameters.min_score,
            include: parameters.include.into(),
        }
    }
}

impl From<rulake::CollectionStats> for CollectionCounts {
    #[expect(clippy::cast_precision_loss, reason = "sizes stay far below 2^53")]
    fn from(stats: rulake::CollectionStats) -> Self {
        Self {
            name: stats.name,
            records: to_number(stats.records),
            vectors: to_number(stats.vectors),
            dimensions: stats.dimensions.and_then(|n| u32::try_from(n).ok()),
            metric: stats.metric.name().to_owned(),
            index: stats.index.map(|kind| kind.name().to_owned()),
            snapshot: stats.snapshot.to_string(),
            generation: stats.generation as f64,
            segments: to_number(stats.segments),
            memtable: to_number(stats.memtable),
            wal_bytes: stats.wal_bytes as f64,
            segment_bytes: stats.segment_bytes as f64,
            index_bytes: to_number(stats.index_bytes),
        }
    }
}

impl From<Commit> for WriteResult {
    fn from(commit: Commit) -> Self {
        Self {
            snapshot: commit.snapshot.to_string(),
            affected: to_number(commit.affected),
        }
    }
}

impl From<VerifyReport> for VerifyResult {
    fn from(report: VerifyReport) -> Self {
        let (paths, reasons) = report
            .problems
            .into_iter()
            .map(|p| (p.path.display().to_string(), p.reason))
            .unzip();
        #[expect(clippy::cast_precision_loss, reason = "sizes stay far below 2^53")]
        let bytes = report.bytes as f64;
        let (files, records) = (to_number(report.files), to_number(report.records));
        Self {
            files,
            bytes,
            records,
            paths,
            reasons,
        }
    }
}
