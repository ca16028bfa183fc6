//! What callers may ask for.

use std::sync::Arc;

use rabitq::{BuildOptions, Kind, Metric};

use crate::filter::MAX_PARTS;
use crate::filter_index::MAX_FIELDS as MAX_INDEXED_PATHS;
use crate::{Error, Result};

/// Vectors from which [`IndexChoice::Auto`] uses codes: below, comparing raw vectors is as fast and needs no memory for them.
pub(crate) const AUTO_THRESHOLD: usize = 5_000;
/// Vectors of a segment from which [`IndexChoice::Auto`] groups them into lists.
pub(crate) const IVF_THRESHOLD: usize = 100_000;

/// What a collection indexes its vectors with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IndexChoice {
    /// Exact below 5,000 vectors, [`Kind::RabitqPlus`] from there on, [`Kind::RabitqIvf`] in segments of 100,000, and in
    /// memory if there are no segments.
    #[default]
    Auto,
    /// Always exact.
    FlatF32,
    /// Always codes with exact reranking.
    RabitqPlus,
    /// The same, and in lists once they are in a segment of 5,000, or 5,000 in memory if there are no segments.
    RabitqIvf,
}

impl IndexChoice {
    /// The name users write.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::FlatF32 => Kind::FlatF32.name(),
            Self::RabitqPlus => Kind::RabitqPlus.name(),
            Self::RabitqIvf => Kind::RabitqIvf.name(),
        }
    }

    /// The choice of a name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Auto, Self::FlatF32, Self::RabitqPlus, Self::RabitqIvf]
            .into_iter()
            .find(|choice| choice.name() == name)
    }

    /// The kind for this many vectors in memory.
    pub(crate) fn kind(self, vectors: usize) -> Kind {
        match self {
            Self::FlatF32 => Kind::FlatF32,
            Self::Auto | Self::RabitqIvf if vectors < AUTO_THRESHOLD => Kind::FlatF32,
            Self::Auto | Self::RabitqPlus | Self::RabitqIvf => Kind::RabitqPlus,
        }
    }

    /// The kind for a segment with this many vectors.
    pub(crate) fn kind_of_segment(self, vectors: usize) -> Kind {
        match self {
            Self::Auto if vectors >= IVF_THRESHOLD => Kind::RabitqIvf,
            Self::RabitqIvf if vectors >= AUTO_THRESHOLD => Kind::RabitqIvf,
            _ => self.kind(vectors),
        }
    }
}

/// Which generations stay readable after newer ones: those that either rule keeps, and the newest in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// The newest ones, at least 1.
    pub generations: u64,
    /// Those that were the newest less than this many milliseconds ago.
    pub milliseconds: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            generations: 2,
            milliseconds: 0,
        }
    }
}

/// How a collection is created, or what it must be like if it exists. `None` accepts what is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CollectionOptions {
    /// Numbers in a vector; the first vector decides if not given.
    pub dimensions: Option<usize>,
    /// How vectors are compared; cosine if not given.
    pub metric: Option<Metric>,
    /// How vectors are indexed.
    pub index: Option<IndexChoice>,
    /// Paths of metadata that segments index, with all that is below them; every path if not given.
    pub metadata_index: Option<Vec<String>>,
}

/// What a collection was created with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) metric: Metric,
    pub(crate) index: IndexChoice,
    /// As given on creation; otherwise the first vector decides and [`crate::state::State`] knows.
    pub(crate) dimensions: Option<usize>,
    /// Sorted, without repetition; `None` for every path.
    pub(crate) metadata_index: Option<Arc<[String]>>,
}

impl Settings {
    pub(crate) fn new(options: &CollectionOptions) -> Result<Self> {
        if let Some(got) = options.dimensions
            && !(1..=rabitq::MAX_DIMENSIONS).contains(&got)
        {
            return Err(rabitq::Error::InvalidDimensions { got }.into());
        }
        Ok(Self {
            metric: options.metric.unwrap_or(Metric::Cosine),
            index: options.index.unwrap_or_default(),
            dimensions: options.dimensions,
            metadata_index: options.metadata_index.as_deref().map(paths).transpose()?,
        })
    }

    /// Whether an existing collection is what a caller asks for.
    pub(crate) fn check(
        &self,
        collection: &str,
        dimensions: Option<usize>,
        asked: &CollectionOptions,
    ) -> Result<()> {
        let mismatch = |option, stored: String, asked: String| {
            Err(Error::Mismatch {
                collection: collection.to_owned(),
                option,
                stored,
                asked,
            })
        };
        if let (Some(stored), Some(asked)) = (dimensions, asked.dimensions)
            && stored != asked
        {
            return mismatch("dimensions", stored.to_string(), asked.to_string());
        }
        match asked.metric {
            Some(metric) if metric != self.metric => {
                return mismatch("metric", self.metric.to_string(), metric.to_string());
            }
            _ => {}
        }
        match asked.index {
            Some(index) if index != self.index => {
                return mismatch("index", self.index.name().into(), index.name().into());
            }
            _ => {}
        }
        match asked.metadata_index.as_deref().map(paths).transpose()? {
            Some(asked) if self.metadata_index.as_ref() != Some(&asked) => {
                let show = |paths: &[String]| format!("[{}]", paths.join(", "));
                let stored = self.metadata_index.as_deref();
                mismatch(
                    "metadataIndex",
                    stored.map_or("every path".into(), show),
                    show(&asked),
                )
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn build_options(&self, kind: Kind, dimensions: usize) -> BuildOptions {
        BuildOptions::new(kind, dimensions, self.metric)
    }
}

/// Paths to index, sorted.
fn paths(given: &[String]) -> Result<Arc<[String]>> {
    let invalid = |reason: String| Error::InvalidOption {
        option: "metadataIndex",
        reason,
    };
    let mut paths = given.to_vec();
    paths.sort_unstable();
    paths.dedup();
    if paths.len() > MAX_INDEXED_PATHS {
        let reason = format!(
            "{} paths, at most {MAX_INDEXED_PATHS} are possible",
            paths.len()
        );
        return Err(invalid(reason));
    }
    for path in &paths {
        // What no filter can name.
        if path.is_empty() || path.starts_with('$') || path.split('.').count() > MAX_PARTS {
            return Err(invalid(format!("'{path}' is no path of a field")));
        }
    }
    Ok(paths.into())
}

/// When a write counts as done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Written and fsynced.
    #[default]
    Fsync,
    /// Handed to the operating system; fsynced soon after.
    Buffered,
}

/// Parts of a record a reader asks for, besides its id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Include {
    /// The vector.
    pub vector: bool,
    /// The text.
    pub text: bool,
    /// The metadata.
    pub metadata: bool,
}

/// How a search is done.
#[derive(Clone, Debug, Default)]
pub struct SearchRequest {
    /// Records to return, at most.
    pub k: usize,
    /// Only records that satisfy this filter, as JSON.
    pub filter: Option<String>,
    /// Recall to reach on average, in `(0, 1]`.
    pub recall_target: Option<f32>,
    /// Leave out hits with a lower score.
    pub min_score: Option<f64>,
    /// What to return of each record.
    pub include: Include,
}

/// Which records to delete.
#[derive(Clone, Debug)]
pub enum Selection {
    /// Those with these ids; others are ignored.
    Ids(Vec<String>),
    /// Those that satisfy a filter, as JSON.
    Filter(String),
    /// All.
    All,
}
