//! What a caller may ask of a build and of a search.

use crate::{Error, Kind, Metric, Result};

/// Most dimensions a vector may have.
pub const MAX_DIMENSIONS: usize = 8192;

/// Largest magnitude of an id: JavaScript's `Number.MAX_SAFE_INTEGER`.
pub const MAX_ID: i64 = (1 << 53) - 1;

/// Most inverted lists of an index.
const MAX_LISTS: u32 = 1 << 20;

/// Bits a code spends on each dimension: 1 sign bit and 0, 4 or 7 more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bits {
    /// The sign bit alone.
    One,
    /// 1 + 4 bits.
    Five,
    /// 1 + 7 bits.
    Eight,
}

impl Bits {
    /// Total bits a dimension: 1, 5 or 8.
    #[must_use]
    pub fn total(self) -> u32 {
        match self {
            Self::One => 1,
            Self::Five => 5,
            Self::Eight => 8,
        }
    }

    /// The value of a total.
    ///
    /// # Errors
    /// `INVALID_OPTION` for anything but 1, 5 and 8.
    pub fn from_total(total: u32) -> Result<Self> {
        match total {
            1 => Ok(Self::One),
            5 => Ok(Self::Five),
            8 => Ok(Self::Eight),
            other => Err(Error::InvalidOption {
                option: "bits",
                reason: format!("must be 1, 5 or 8, got {other}"),
            }),
        }
    }
}

/// How raw vectors are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RawPrecision {
    /// As they are given.
    #[default]
    F32,
    /// In half the space: rounded to 11 significant bits of the vector's largest component, relative 2^-11 at worst for
    /// that one. Everything the index says of a vector then holds for the rounded one.
    F16,
}

/// How an index is built. The same data, options and seed give the same file, whatever the number of threads.
#[derive(Clone, Debug, PartialEq)]
pub struct BuildOptions {
    /// What is kept of each vector.
    pub kind: Kind,
    /// Numbers in a vector, `1..=8192`.
    pub dimensions: usize,
    /// How vectors are compared.
    pub metric: Metric,
    /// Seed of the random rotation.
    pub seed: u64,
    /// Bits a dimension; `None` takes the kind's default. Not allowed for a flat index.
    pub bits: Option<Bits>,
    /// Inverted lists of a [`Kind::RabitqIvf`]; `None` takes four times the square root of the rows.
    pub lists: Option<u32>,
    /// Caps exact comparisons of a search at this multiple of `k`. For [`Kind::RabitqAsym`] a value above 1 keeps raw vectors.
    pub rerank_factor: Option<u32>,
    /// How raw vectors are kept, by kinds that keep them.
    pub raw: RawPrecision,
}

impl BuildOptions {
    /// Options with every default of a kind.
    #[must_use]
    pub fn new(kind: Kind, dimensions: usize, metric: Metric) -> Self {
        Self {
            kind,
            dimensions,
            metric,
            seed: 42,
            bits: None,
            rerank_factor: None,
            lists: None,
            raw: RawPrecision::F32,
        }
    }

    /// Checks every option.
    ///
    /// # Errors
    /// `INVALID_DIMENSIONS`, `INVALID_OPTION`.
    pub fn validate(&self) -> Result<()> {
        if !(1..=MAX_DIMENSIONS).contains(&self.dimensions) {
            return Err(Error::InvalidDimensions {
                got: self.dimensions,
            });
        }
        if self.kind == Kind::FlatF32 && self.bits.is_some() {
            return Err(Error::InvalidOption {
                option: "bits",
                reason: "a FlatF32Index has no codes".into(),
            });
        }
        if self.kind == Kind::Rabitq && self.rerank_factor.is_some() {
            let reason =
                "a RabitqIndex keeps no raw vectors to rerank with; use RabitqPlusIndex".into();
            return Err(Error::InvalidOption {
                option: "rerankFactor",
                reason,
            });
        }
        if self.kind == Kind::RabitqIvf && self.bits == Some(Bits::One) {
            let reason = "a RabitqIvfIndex ranks its lists by longer codes; use 5 or 8".into();
            return Err(Error::InvalidOption {
                option: "bits",
                reason,
            });
        }
        if self.raw != RawPrecision::F32 && !self.keeps_raw() {
            let reason = format!("a {} with these options keeps no raw vectors", self.kind);
            return Err(Error::InvalidOption {
                option: "raw",
                reason,
            });
        }
        match self.lists {
            Some(_) if self.kind != Kind::RabitqIvf => {
                let reason = format!("a {} has no lists", self.kind);
                return Err(Error::InvalidOption {
                    option: "lists",
                    reason,
                });
            }
            Some(lists) if !(1..=MAX_LISTS).contains(&lists) => {
                let reason = format!("must be a whole number from 1 to {MAX_LISTS}, got {lists}");
                return Err(Error::InvalidOption {
                    option: "lists",
                    reason,
                });
            }
            _ => {}
        }
        check_rerank_factor(self.rerank_factor)
    }

    /// Bits a dimension after defaults; `None` for a flat index.
    #[must_use]
    pub fn effective_bits(&self) -> Option<Bits> {
        match self.kind {
            Kind::FlatF32 => None,
            Kind::Rabitq => Some(self.bits.unwrap_or(Bits::One)),
            Kind::RabitqPlus | Kind::RabitqAsym | Kind::RabitqIvf => {
                Some(self.bits.unwrap_or(Bits::Five))
            }
        }
    }

    /// Whether raw rows are kept.
    #[must_use]
    pub fn keeps_raw(&self) -> bool {
        match self.kind {
            Kind::FlatF32 | Kind::RabitqPlus | Kind::RabitqIvf => true,
            Kind::Rabitq => false,
            Kind::RabitqAsym => self.rerank_factor.is_some_and(|factor| factor > 1),
        }
    }
}

/// How one search is done.
#[derive(Clone, Copy, Debug, Default)]
pub struct SearchOptions<'a> {
    /// Only these rows may be returned.
    pub allow: Option<&'a crate::AllowList>,
    /// Recall the search should reach on average, in `(0, 1]`; lower is faster.
    pub recall_target: Option<f32>,
    /// Lists a [`Kind::RabitqIvf`] looks at, instead of as many as the recall asks for.
    pub nprobe: Option<u32>,
    /// Overrides the cap of [`BuildOptions::rerank_factor`].
    pub rerank_factor: Option<u32>,
}

impl SearchOptions<'_> {
    /// Checks every option.
    ///
    /// # Errors
    /// `INVALID_OPTION`.
    pub fn validate(&self) -> Result<()> {
        if let Some(target) = self.recall_target
            && !(target > 0.0 && target <= 1.0)
        {
            let reason = format!("must be above 0 and at most 1, got {target}");
            return Err(Error::InvalidOption {
                option: "recallTarget",
                reason,
            });
        }
        if self.nprobe == Some(0) {
            let reason = "must be at least 1, got 0".into();
            return Err(Error::InvalidOption {
                option: "nprobe",
                reason,
            });
        }
        check_rerank_factor(self.rerank_factor)
    }
}

fn check_rerank_factor(factor: Option<u32>) -> Result<()> {
    match factor {
        Some(factor) if !(1..=1024).contains(&factor) => {
            let reason = format!("must be a whole number from 1 to 1024, got {factor}");
            Err(Error::InvalidOption {
                option: "rerankFactor",
                reason,
            })
        }
        _ => Ok(()),
    }
}
