//! Searches of a collection.

#![expect(
    clippy::too_many_arguments,
    reason = "Node-API reads arguments faster than the fields of an object"
)]

use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;
use rulake::SearchRequest;

use crate::answer::Answer;
use crate::collection::NativeCollection;
use crate::collection_parameters::{CollectionSearchParameters, IncludeParameters};
use crate::found::FoundRecords;
use crate::job::JobControl;
use crate::pool::Lane;

#[napi]
impl NativeCollection {
    /// Searches for a vector. `parts` adds up 1 for texts and 2 for metadata. The answer as three columns if it is small.
    ///
    /// # Errors
    /// By rejection: those of [`rulake::Collection::search`].
    #[napi(
        ts_return_type = "Promise<[numbers: Float64Array, ids: string, json: string] | FoundRecords>",
        catch_unwind
    )]
    pub fn search<'env>(
        &self,
        env: &'env Env,
        vector: &[f32],
        k: f64,
        parts: u32,
        filter: Option<String>,
        recall_target: Option<f64>,
        min_score: Option<f64>,
        control: Option<&JobControl>,
    ) -> napi::Result<Object<'env>> {
        let include = IncludeParameters {
            vector: false,
            text: parts & 1 != 0,
            metadata: parts & 2 != 0,
        };
        let request = SearchRequest::from(CollectionSearchParameters {
            k,
            filter,
            recall_target,
            min_score,
            include,
        });
        let control = JobControl::handle(control);
        let vector = vector.to_vec();
        // Many records are filtered by several threads.
        let lane = if request.filter.is_some() {
            Lane::Batch
        } else {
            Lane::Search
        };
        self.run(
            env,
            lane,
            move |collection| {
                let found = collection.search(&vector, 1, &request, Some(control.cancel_flag()))?;
                Answer::of(found.into_iter().next().unwrap_or_default())
            },
            |answer| answer,
        )
    }

    /// Searches for each of `queries` vectors in a row-major matrix.
    ///
    /// # Errors
    /// By rejection: those of [`rulake::Collection::search`].
    #[napi(ts_return_type = "Promise<FoundRecords>", catch_unwind)]
    pub fn search_batch<'env>(
        &self,
        env: &'env Env,
        vectors: &[f32],
        queries: u32,
        parameters: CollectionSearchParameters,
        control: Option<&JobControl>,
    ) -> napi::Result<Object<'env>> {
        let control = JobControl::handle(control);
        let vectors = vectors.to_vec();
        self.run(
            env,
            Lane::Batch,
            move |collection| {
                let cancel = Some(control.cancel_flag());
                let queries = queries as usize;
                let answers = collection.search(&vectors, queries, &parameters.into(), cancel)?;
                FoundRecords::of_answers(answers)
            },
            |found| found,
        )
    }

    /// Searches for a vector; what the search did, as JSON.
    ///
    /// # Errors
    /// By rejection: those of [`rulake::Collection::explain`].
    #[napi(ts_return_type = "Promise<string>", catch_unwind)]
    pub fn explain<'env>(
        &self,
        env: &'env Env,
        vector: &[f32],
        parameters: CollectionSearchParameters,
        control: Option<&JobControl>,
    ) -> napi::Result<Object<'env>> {
        let control = JobControl::handle(control);
        let vector = vector.to_vec();
        self.run(
            env,
            Lane::Batch,
            move |collection| {
                let cancel = Some(control.cancel_flag());
                let plan = collection.explain(&vector, &parameters.into(), cancel)?;
                serde_json::to_string(&plan)
                    .map_err(|error| rulake::Error::Internal(error.to_string()))
            },
            |json| json,
        )
    }
}
