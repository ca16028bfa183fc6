//! An index over vectors: build, search, change, save.

use std::borrow::Cow;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use mapping::Watch;
use rayon::prelude::*;

use crate::build::Shape;
use crate::mapped::MappedFile;
use crate::observe::Counts;
use crate::raw::Vectors;
use crate::rotate::Rotation;
use crate::search::nearest;
use crate::state::State;
use crate::table::Table;
use crate::{
    BuildOptions, Control, Error, Explanation, Hit, Kind, Result, Rows, SearchOptions, Stats, file,
    rbpx, validate,
};

/// Growth at which the mean of the vectors is taken anew and all codes are made again.
const RECENTER_GROWTH: usize = 4;

/// Rows the center of a grouped index is taken of at least: codes are relative to the centroids of lists, which follow
/// the rows, so that a fair center will do.
const CENTERED: usize = 4096;

/// Rows outside the lists of a grouped index that are always left there by an addition.
const MIN_GROUPING: usize = 16_384;

/// Share of all rows, as a divisor, that may wait outside the lists where nobody calls [`Index::maintain`].
const GROUPING_SHARE: usize = 2;

/// Attempts at re-encoding before an addition goes ahead without; only writers that come first make one fail.
const RECENTER_ATTEMPTS: usize = 3;

/// An index. Shared freely between threads; readers never wait for writers, writers take turns.
pub struct Index {
    pub(crate) shape: Arc<Shape>,
    state: RwLock<Arc<State>>,
    /// Held while a version is replaced; never while work runs on a thread pool, whose idle threads might want it too.
    writer: Mutex<()>,
    /// Held by the one round of upkeep under way; asked for, but not waited for, on thread pools.
    pub(crate) upkeep: Mutex<()>,
}

impl Index {
    /// `vectors` is row-major; ids default to `0..n`. `n = 0` is legal.
    ///
    /// # Errors
    /// `INVALID_DIMENSIONS`, `INVALID_OPTION`, `DIMENSION_MISMATCH`, `ID_COUNT_MISMATCH`, `DUPLICATE_ID`, `NOT_FINITE`,
    /// `NORM_OUT_OF_RANGE`, `CANCELLED`.
    pub fn build<'a>(
        vectors: impl Into<Cow<'a, [f32]>>,
        ids: Option<&[i64]>,
        options: &BuildOptions,
        control: Control<'_>,
    ) -> Result<Self> {
        options.validate()?;
        let vectors = vectors.into();
        let rows = validate::row_count(options.dimensions, &vectors)?;
        if u32::try_from(rows).is_err() {
            return Err(Error::InvalidOption {
                option: "vectors",
                reason: format!("{rows} rows are more than 2^32 - 1"),
            });
        }
        let ids = match ids {
            Some(ids) => ids.to_vec(),
            None => (0..rows as i64).collect(),
        };
        validate::ids(&ids, rows)?;
        let norms = validate::norms_squared(
            simd::kernels(),
            options.metric,
            options.dimensions,
            &vectors,
        )?;
        let shape = Shape {
            options: options.clone(),
            rotation: Rotation::from_options(options),
        };
        let vectors = Vectors::new(options, vectors);
        let norms = vectors.norms(options, norms)?;
        let table = Table {
            ids,
            vectors,
            norms,
        };
        let state = shape.state(table, control)?;
        Ok(Self::from_state(shape, state))
    }

    pub(crate) fn from_state(shape: Shape, state: State) -> Self {
        Self {
            shape: Arc::new(shape),
            state: RwLock::new(Arc::new(state)),
            writer: Mutex::new(()),
            upkeep: Mutex::new(()),
        }
    }

    /// An index of its own with the same rows, which it shares: changes of either do not show in the other.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self {
            shape: self.shape.clone(),
            state: RwLock::new(self.snapshot()),
            writer: Mutex::new(()),
            upkeep: Mutex::new(()),
        }
    }

    /// Opens a saved index (mapped) or an upstream `rbpx` file (rebuilt), told apart by their first bytes.
    ///
    /// # Errors
    /// `FILE_NOT_FOUND`, `IO`, `UNSUPPORTED_FORMAT`, `CORRUPT_FILE`, `CANCELLED`.
    pub fn open(path: &Path, options: file::OpenOptions, control: Control<'_>) -> Result<Self> {
        let file = MappedFile::open(path)?;
        if rbpx::is_rbpx(path, &file)? {
            rbpx::read(path, file, control)
        } else {
            file::open(path, &file, options)
        }
    }

    /// Writes atomically: temporary file, fsync, rename, fsync of the directory. A path that ends in `.rbpx` gets the
    /// upstream format, which holds l2 [`crate::Kind::RabitqPlus`] indexes with ids below 2^32.
    ///
    /// # Errors
    /// `IO`, `INVALID_OPTION` for what `rbpx` cannot hold, `CORRUPT_FILE` if a mapped block turns out damaged, `CANCELLED`.
    pub fn save(&self, path: &Path, control: Control<'_>) -> Result<()> {
        let (watch, state) = (Watch::begin(), self.snapshot());
        if path
            .extension()
            .is_some_and(|extension| extension == "rbpx")
        {
            rbpx::write(path, &self.shape.options, &state, control)
        } else if self.shape.options.kind == Kind::RabitqIvf && state.grouped().is_none() {
            // A file holds one grouped part. The index takes it over too, so that both give the same answers.
            let grouped = self.shape.regrouped(&state, control)?;
            self.replace(watch, |current| {
                Ok(Arc::ptr_eq(current, &state).then(|| (grouped.clone(), ())))
            })?;
            file::save(path, &self.shape, &grouped, control)
        } else {
            file::save(path, &self.shape, &state, control)
        }
    }

    /// Best first; ties in insertion order; at most `k`, fewer if the index (or the allow-list) is smaller.
    ///
    /// # Errors
    /// `INVALID_K`, `INVALID_OPTION`, `DIMENSION_MISMATCH`, `NOT_FINITE`, `NORM_OUT_OF_RANGE`, `CANCELLED`; `CORRUPT_FILE`
    /// when a block of a mapped file is read for the first time and its checksum is wrong.
    pub fn search(
        &self,
        query: &[f32],
        k: usize,
        options: &SearchOptions<'_>,
        control: Control<'_>,
    ) -> Result<Vec<Hit>> {
        let norm = self.check_query(query, k, options)?;
        nearest(
            &self.shape,
            &self.snapshot(),
            (query, norm),
            k,
            options,
            control,
            &mut (),
        )
    }

    /// Searches, and tells how: what was looked at, what was left out, and how long each step took.
    ///
    /// # Errors
    /// As [`Index::search`].
    pub fn explain(
        &self,
        query: &[f32],
        k: usize,
        options: &SearchOptions<'_>,
        control: Control<'_>,
    ) -> Result<Explanation> {
        let start = Instant::now();
        let norm = self.check_query(query, k, options)?;
        let (state, mut counts) = (self.snapshot(), Counts::default());
        let query = (query, norm);
        let hits = nearest(&self.shape, &state, query, k, options, control, &mut counts)?;
        counts.times.total = start.elapsed();
        Explanation::new(&self.shape, &state, k, options, counts, hits)
    }

    /// One answer a query (row-major matrix), in parallel on the current rayon pool.
    ///
    /// # Errors
    /// As [`Index::search`]; one bad query fails all.
    pub fn search_batch(
        &self,
        queries: &[f32],
        k: usize,
        options: &SearchOptions<'_>,
        control: Control<'_>,
    ) -> Result<Vec<Vec<Hit>>> {
        self.check_search(k, options)?;
        let dimensions = self.shape.options.dimensions;
        validate::row_count(dimensions, queries)?;
        let norms = validate::norms_squared(
            simd::kernels(),
            self.shape.options.metric,
            dimensions,
            queries,
        )?;
        let state = self.snapshot();
        let answer = |(query, &norm): (&[f32], &f32)| {
            nearest(
                &self.shape,
                &state,
                (query, norm),
                k,
                options,
                control,
                &mut (),
            )
        };
        queries
            .par_chunks_exact(dimensions)
            .zip(&norms)
            .map(answer)
            .collect()
    }

    /// The query's squared norm.
    fn check_query(&self, query: &[f32], k: usize, options: &SearchOptions<'_>) -> Result<f32> {
        self.check_search(k, options)?;
        if query.len() != self.shape.options.dimensions {
            return Err(Error::DimensionMismatch {
                expected: self.shape.options.dimensions,
                got: query.len(),
            });
        }
        validate::norm_squared(simd::kernels(), self.shape.options.metric, 0, query)
    }

    fn check_search(&self, k: usize, options: &SearchOptions<'_>) -> Result<()> {
        options.validate()?;
        if k == 0 {
            return Err(Error::InvalidK { got: k });
        }
        if options.rerank_factor.is_some() && !self.shape.options.keeps_raw() {
            let reason = format!(
                "a {} without raw vectors cannot rerank",
                self.shape.options.kind
            );
            return Err(Error::InvalidOption {
                option: "rerankFactor",
                reason,
            });
        }
        if options.nprobe.is_some() && self.shape.options.kind != Kind::RabitqIvf {
            let reason = format!("a {} has no lists to visit", self.shape.options.kind);
            return Err(Error::InvalidOption {
                option: "nprobe",
                reason,
            });
        }
        Ok(())
    }

    /// Appends rows; an id that exists already is replaced (its row moves to the end). All or nothing.
    ///
    /// # Errors
    /// `DIMENSION_MISMATCH`, `ID_COUNT_MISMATCH`, `DUPLICATE_ID`, `NOT_FINITE`, `NORM_OUT_OF_RANGE`, `CANCELLED`.
    pub fn add(&self, ids: &[i64], vectors: &[f32], control: Control<'_>) -> Result<()> {
        let options = &self.shape.options;
        let rows = validate::row_count(options.dimensions, vectors)?;
        validate::ids(ids, rows)?;
        let norms =
            validate::norms_squared(simd::kernels(), options.metric, options.dimensions, vectors)?;
        if rows == 0 {
            return Ok(());
        }
        let watch = Watch::begin();
        for _ in 0..RECENTER_ATTEMPTS {
            let state = self.snapshot();
            if !self.wants_new_center(&state, rows) && !self.wants_grouping(&state, rows) {
                break;
            }
            let next = self.rebuilt(&state, ids, vectors, &norms, control)?;
            if self
                .replace(watch, |current| {
                    Ok(Arc::ptr_eq(current, &state).then_some((next, ())))
                })
                .transpose()
                .is_some()
            {
                return Ok(());
            }
        }
        loop {
            let center = self.snapshot().center.clone();
            let part = self
                .shape
                .part(&center, self.table(ids, vectors, &norms)?, control)?;
            let done = self.replace(watch, |current| {
                if !Arc::ptr_eq(&current.center, &center) {
                    return Ok(None);
                }
                let (kept, _) = current.without(ids)?;
                Ok(Some((kept.with(part)?, ())))
            })?;
            if done.is_some() {
                return Ok(());
            }
        }
    }

    /// Removes rows, missing ids are ignored; returns how many were there. Repeats count once.
    ///
    /// # Errors
    /// `CORRUPT_FILE` if a mapped block turns out damaged.
    pub fn delete(&self, ids: &[i64]) -> Result<usize> {
        let deleted = self.replace(Watch::begin(), |current| current.without(ids).map(Some))?;
        Ok(deleted.unwrap_or(0))
    }

    /// The vector as it was given.
    ///
    /// # Errors
    /// `NO_RAW_VECTORS` if the kind keeps none; `CORRUPT_FILE`.
    pub fn get(&self, id: i64) -> Result<Option<Vec<f32>>> {
        self.check_raw()?;
        let state = self.snapshot();
        match state.find(id)? {
            Some((part, row)) => state.parts[part].part.vector(row).map(Some),
            None => Ok(None),
        }
    }

    /// Whether a live row has this id.
    ///
    /// # Errors
    /// `CORRUPT_FILE`.
    pub fn contains(&self, id: i64) -> Result<bool> {
        Ok(self.snapshot().find(id)?.is_some())
    }

    /// A consistent view of `(id, vector)` in insertion order.
    ///
    /// # Errors
    /// `NO_RAW_VECTORS` if the kind keeps none.
    pub fn rows(&self) -> Result<Rows> {
        self.check_raw()?;
        Ok(Rows::new(self.snapshot()))
    }

    /// Live ids, in insertion order.
    ///
    /// # Errors
    /// `CORRUPT_FILE`.
    pub fn ids(&self) -> Result<Vec<i64>> {
        let state = self.snapshot();
        let mut ids = Vec::with_capacity(state.rows());
        for live in &state.parts {
            let all = live.part.ids.all()?;
            ids.extend(live.live_rows()?.into_iter().map(|row| all[row]));
        }
        Ok(ids)
    }

    /// Live rows.
    pub fn len(&self) -> usize {
        self.snapshot().rows()
    }

    /// Whether no row is live.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The options it was built with.
    pub fn options(&self) -> &BuildOptions {
        &self.shape.options
    }

    /// Sizes and counts.
    pub fn stats(&self) -> Stats {
        Stats::of(self.shape.options.kind, &self.snapshot())
    }

    fn check_raw(&self) -> Result<()> {
        if self.shape.options.keeps_raw() {
            Ok(())
        } else {
            Err(Error::NoRawVectors {
                kind: self.shape.options.kind,
            })
        }
    }

    pub(crate) fn snapshot(&self) -> Arc<State> {
        self.state
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Puts the version that `next` makes of the current one in its place, or leaves it if `next` makes none. `watch` has
    /// seen all that was read for it.
    pub(crate) fn replace<T>(
        &self,
        watch: Watch,
        next: impl FnOnce(&Arc<State>) -> Result<Option<(State, T)>>,
    ) -> Result<Option<T>> {
        let _turn = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.snapshot();
        let Some((state, value)) = next(&current)? else {
            return Ok(None);
        };
        watch.check()?;
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(state);
        Ok(Some(value))
    }

    /// A mean of few rows serves many badly: estimates stay unbiased, but their bounds widen and more rows are reranked.
    fn wants_new_center(&self, state: &State, rows: usize) -> bool {
        let options = &self.shape.options;
        let live = state.rows();
        let centered = options.kind == Kind::RabitqIvf && state.center.rows >= CENTERED;
        options.effective_bits().is_some()
            && (live == 0
                || (options.keeps_raw()
                    && !centered
                    && live + rows >= state.center.rows.max(1).saturating_mul(RECENTER_GROWTH)))
    }

    fn rebuilt(
        &self,
        state: &State,
        ids: &[i64],
        vectors: &[f32],
        norms: &[f32],
        control: Control<'_>,
    ) -> Result<State> {
        let (kept, _) = state.without(ids)?;
        let table = self.table(ids, vectors, norms)?;
        if !self.wants_new_center(state, norms.len()) {
            let part = self.shape.part(&kept.center, table, control)?;
            return self.shape.regrouped(&kept.with(part)?, control);
        }
        let table = if self.shape.options.keeps_raw() {
            Table::of(&kept, Some(table), self.shape.options.dimensions)?
        } else {
            table
        };
        self.shape.state(table, control)
    }

    fn table<'v>(&self, ids: &[i64], vectors: &'v [f32], norms: &[f32]) -> Result<Table<'v>> {
        let options = &self.shape.options;
        let vectors = Vectors::new(options, vectors.into());
        Ok(Table {
            ids: ids.to_vec(),
            norms: vectors.norms(options, norms.to_vec())?,
            vectors,
        })
    }

    /// Rows outside the lists are compared one by one; a few are welcome, many are not.
    fn wants_grouping(&self, state: &State, rows: usize) -> bool {
        let outside = state.ungrouped() + rows;
        self.shape.options.kind == Kind::RabitqIvf
            && state.held == 0
            && outside > MIN_GROUPING.max((state.rows() + rows) / GROUPING_SHARE)
    }
}
