//! A lake as a JavaScript class.

use std::path::PathBuf;
use std::sync::Arc;

use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;
use rulake::{BackgroundThread, CollectionOptions, IndexChoice, Lake, LakeOptions, Retention};

use crate::collection::NativeCollection;
use crate::collection_parameters::CollectionCounts;
use crate::drop_later::DropLater;
use crate::error::{Category, Failure, Result, from_io};
use crate::job::run_guarded;
use crate::pool::Lane;
use crate::priority::yield_to_others;
use crate::pulse::Pulse;
use crate::replacement::NativeReplacement;
use crate::session::NativeSession;

/// A handle on a lake. Jobs hold the lake themselves. A lake nobody has closed closes with the last reference, and may
/// then write a checkpoint.
#[napi]
pub struct NativeLake {
    lake: DropLater<Arc<Lake>>,
}

/// How a collection is created or must be like; checked in TypeScript for type.
#[napi(object, object_to_js = false)]
pub struct CollectionParameters {
    /// Numbers in a vector.
    #[napi(ts_type = "number | undefined")]
    pub dimensions: Option<u32>,
    /// `cosine`, `ip` or `l2`.
    #[napi(ts_type = "string | undefined")]
    pub metric: Option<String>,
    /// `auto` or the name of an index class.
    #[napi(ts_type = "string | undefined")]
    pub index: Option<String>,
    /// Paths of metadata to index.
    #[napi(ts_type = "string[] | undefined")]
    pub metadata_index: Option<Vec<String>>,
}

/// How a lake is opened; checked in TypeScript for type and range.
#[napi(object, object_to_js = false)]
pub struct LakeParameters {
    /// Without the right to write.
    pub read_only: bool,
    /// As far as it is intact.
    pub recover: bool,
    /// Bytes of texts and metadata kept decompressed.
    #[napi(ts_type = "number | undefined")]
    pub cache_bytes: Option<f64>,
    /// Newest generations that stay readable.
    #[napi(ts_type = "number | undefined")]
    pub retain_generations: Option<f64>,
    /// Milliseconds for which older ones do.
    #[napi(ts_type = "number | undefined")]
    pub retain_milliseconds: Option<f64>,
}

impl From<LakeParameters> for LakeOptions {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked in TypeScript"
    )]
    fn from(parameters: LakeParameters) -> Self {
        let default = Self::default();
        let Retention {
            generations,
            milliseconds,
        } = default.retention;
        Self {
            read_only: parameters.read_only,
            recover: parameters.recover,
            cache_bytes: parameters
                .cache_bytes
                .map_or(default.cache_bytes, |bytes| bytes as usize),
            retention: Retention {
                generations: parameters
                    .retain_generations
                    .map_or(generations, |n| n as u64),
                milliseconds: parameters
                    .retain_milliseconds
                    .map_or(milliseconds, |ms| ms as u64),
            },
        }
    }
}

/// Opens the lake in a directory, or a new one in memory if there is none.
///
/// # Errors
/// By rejection: those of [`Lake::open`].
#[napi(ts_return_type = "Promise<NativeLake>", catch_unwind)]
pub fn open_lake(
    env: &Env,
    path: Option<String>,
    options: LakeParameters,
) -> napi::Result<Object<'_>> {
    rulake::on_background_thread(|kind| {
        yield_to_others();
        if kind == BackgroundThread::Job {
            Pulse::keep_for_thread();
        }
    });
    run_guarded(
        env,
        Lane::Work,
        move || match path {
            Some(path) => Ok(Lake::open(&PathBuf::from(path), options.into())?),
            None => Ok(Lake::in_memory()),
        },
        |_, lake| {
            Ok(NativeLake {
                lake: DropLater::new(Arc::new(lake)),
            })
        },
    )
}

#[napi]
impl NativeLake {
    /// The directory, with links resolved.
    #[napi(getter, catch_unwind)]
    pub fn path(&self) -> Option<String> {
        self.lake.path().map(|path| path.display().to_string())
    }

    /// Opens or creates a collection.
    ///
    /// # Errors
    /// By rejection: those of [`Lake::collection`].
    #[napi(ts_return_type = "Promise<NativeCollection>", catch_unwind)]
    pub fn collection<'env>(
        &self,
        env: &'env Env,
        name: String,
        parameters: CollectionParameters,
    ) -> napi::Result<Object<'env>> {
        let lake = Arc::clone(&self.lake);
        run_guarded(
            env,
            Lane::Work,
            move || {
                let collection = lake.collection(&name, parameters.into_options()?)?;
                Ok((collection, lake))
            },
            |_, (collection, lake)| Ok(NativeCollection::new(collection, lake)),
        )
    }

    /// Begins to make a collection that shall replace the one of a name.
    ///
    /// # Errors
    /// By rejection: those of [`Lake::replace`].
    #[napi(ts_return_type = "Promise<NativeReplacement>", catch_unwind)]
    pub fn replace<'env>(
        &self,
        env: &'env Env,
        name: String,
        parameters: CollectionParameters,
    ) -> napi::Result<Object<'env>> {
        let lake = Arc::clone(&self.lake);
        run_guarded(
            env,
            Lane::Work,
            move || {
                let replacement = lake.replace(&name, &parameters.into_options()?)?;
                Ok((replacement, lake))
            },
            |_, (replacement, lake)| Ok(NativeReplacement::new(replacement, lake)),
        )
    }

    /// Begins a session. Not here and now: a collection may be opening, and that takes as long as its log.
    ///
    /// # Errors
    /// By rejection: `READ_ONLY`, `CLOSED`.
    #[napi(ts_return_type = "Promise<NativeSession>", catch_unwind)]
    pub fn session<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        let lake = Arc::clone(&self.lake);
        run_guarded(
            env,
            Lane::Work,
            move || Ok((lake.session()?, lake)),
            |_, (session, lake)| Ok(NativeSession::new(session, lake)),
        )
    }

    /// Names of the collections, sorted.
    ///
    /// # Errors
    /// By rejection: those of [`Lake::list`].
    #[napi(ts_return_type = "Promise<string[]>", catch_unwind)]
    pub fn list<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        let lake = Arc::clone(&self.lake);
        run_guarded(
            env,
            Lane::Work,
            move || Ok(lake.list()?),
            |_, names| Ok(names),
        )
    }

    /// Sizes and counts of every collection, by name.
    ///
    /// # Errors
    /// By rejection: those of [`Lake::stats`].
    #[napi(ts_return_type = "Promise<CollectionCounts[]>", catch_unwind)]
    pub fn stats<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        let lake = Arc::clone(&self.lake);
        run_guarded(
            env,
            Lane::Work,
            move || Ok(lake.stats()?),
            |_, stats| {
                Ok(stats
                    .into_iter()
                    .map(CollectionCounts::from)
                    .collect::<Vec<_>>())
            },
        )
    }

    /// Removes a collection; `false` if there is none.
    ///
    /// # Errors
    /// By rejection: those of [`Lake::drop_collection`].
    #[napi(ts_return_type = "Promise<boolean>", catch_unwind)]
    pub fn drop_collection<'env>(
        &self,
        env: &'env Env,
        name: String,
    ) -> napi::Result<Object<'env>> {
        let lake = Arc::clone(&self.lake);
        run_guarded(
            env,
            Lane::Work,
            move || Ok(lake.drop_collection(&name)?),
            |_, dropped| Ok(dropped),
        )
    }

    /// Closes this handle, and the lake if it is the last.
    ///
    /// # Errors
    /// By rejection: those of [`Lake::close`].
    #[napi(ts_return_type = "Promise<void>", catch_unwind)]
    pub fn close<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        let lake = Arc::clone(&self.lake);
        run_guarded(env, Lane::Work, move || Ok(lake.close()?), |_, ()| Ok(()))
    }
}

impl CollectionParameters {
    fn into_options(self) -> Result<CollectionOptions> {
        let unknown = |option: &'static str, value: &str| {
            Failure::new("INVALID_OPTION", format!("unknown {option} '{value}'"))
                .with("option", option)
        };
        let metric = match &self.metric {
            Some(name) => {
                Some(rabitq::Metric::from_name(name).ok_or_else(|| unknown("metric", name))?)
            }
            None => None,
        };
        let index = match &self.index {
            Some(name) => Some(IndexChoice::from_name(name).ok_or_else(|| unknown("index", name))?),
            None => None,
        };
        Ok(CollectionOptions {
            dimensions: self.dimensions.map(|n| n as usize),
            metric,
            index,
            metadata_index: self.metadata_index,
        })
    }
}

impl From<rulake::Error> for Failure {
    fn from(error: rulake::Error) -> Self {
        use rulake::Error as E;
        let category = match error.category() {
            rulake::Category::Transient => Category::Transient,
            rulake::Category::Permanent => Category::Permanent,
            rulake::Category::Infrastructure => Category::Infrastructure,
        };
        let failure = Self::new(error.code(), error.to_string()).category(category);
        let failure = match error.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        };
        match error {
            E::Index(error) => error.into(),
            E::Internal(reason) => Self::internal(format!("internal error: {reason}")),
            E::Locked { path, holder } => {
                failure.with("path", path.as_path()).with("holder", holder)
            }
            E::NotALake { path, reason }
            | E::UnsupportedFormat { path, reason }
            | E::Corrupt { path, reason }
            | E::Unrecoverable { path, reason }
            | E::Fenced { path, reason }
            | E::UnsafeBundle { path, reason } => {
                failure.with("path", path.as_path()).with("reason", reason)
            }
            E::Io { path, source } => from_io(failure, &path, &source),
            E::Poisoned { collection, reason } => failure
                .with("collection", collection)
                .with("reason", reason),
            E::Conflict { collection, id } => failure.with("collection", collection).with("id", id),
            E::NoSnapshot {
                collection,
                snapshot,
            } => failure
                .with("collection", collection)
                .with("snapshot", snapshot),
            E::InvalidName { name, reason } => failure.with("name", name).with("reason", reason),
            E::NoCollection { name, known } => failure.with("name", name).with("known", known),
            E::Mismatch {
                collection,
                option,
                stored,
                asked,
            } => failure
                .with("collection", collection)
                .with("option", option)
                .with("stored", stored)
                .with("asked", asked),
            E::InvalidId { row, reason } | E::InvalidRecord { row, reason } => {
                failure.with("row", row).with("reason", reason)
            }
            E::InvalidFilter { at, reason } => failure.with("at", at).with("reason", reason),
            E::InvalidOption { option, .. } => failure.with("option", option),
            #[expect(clippy::cast_precision_loss, reason = "sizes stay far below 2^53")]
            E::BatchTooLarge { bytes, max } => {
                failure.with("bytes", bytes as f64).with("max", max as f64)
            }
            E::WitnessMismatch {
                path,
                what,
                stated,
                found,
            } => failure
                .with("path", path.as_path())
                .with("what", what)
                .with("stated", stated)
                .with("found", found),
            E::ContentUnverified { path } | E::BundleLocked { path } => {
                failure.with("path", path.as_path())
            }
            #[expect(clippy::cast_precision_loss, reason = "sizes stay far below 2^53")]
            E::BundleTooLarge { path, bytes, max } => failure
                .with("path", path.as_path())
                .with("bytes", bytes as f64)
                .with("max", max as f64),
            E::ReadOnly | E::Closed { .. } => failure,
            E::Dropped { collection } | E::Superseded { collection } => {
                failure.with("collection", collection.as_str())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Fact;

    #[test]
    fn a_locked_lake_is_transient_and_names_the_holder() {
        let error = rulake::Error::Locked {
            path: "lake".into(),
            holder: "process 7 on host".into(),
        };
        let failure = Failure::from(error);
        assert_eq!(
            (failure.code.as_str(), failure.category),
            ("LAKE_LOCKED", Category::Transient)
        );
        assert!(
            failure
                .context
                .contains(&("holder", Fact::Text("process 7 on host".into())))
        );
        assert!(failure.hint.is_some());
    }

    #[test]
    fn an_index_error_keeps_its_facts() {
        let error = rulake::Error::from(rabitq::Error::DimensionMismatch {
            expected: 3,
            got: 4,
        });
        assert_eq!(
            Failure::from(error).context,
            [("expected", Fact::Number(3.0)), ("got", Fact::Number(4.0))]
        );
    }
}
