//! Scanning the codes of a part for the rows nearest to a query.

use std::cell::Cell;

use simd::Pick;

use crate::Result;
use crate::bounds::{Bounds, STRIDE};
use crate::capped::Survivor;
use crate::coded::Coded;
use crate::observe::{Observer, Stage};
use crate::pack::BLOCK;
use crate::ranking::rank;
use crate::scan::{AHEAD, Span};
use crate::topk::{Candidate, TopK};

/// Rows whose bounds are held at a time. Their three arrays stay in a core's L2 cache.
const CHUNK: usize = 1024 * BLOCK;

/// Rows whose codes are asked for before they are looked at.
const AHEAD_CODES: usize = 16;

/// Rows that wait for their comparison, at most.
const MOST_WAITING: usize = 4096;

/// Arrays reused by all scans of a thread.
#[derive(Default)]
struct Scratch {
    bounds: Bounds,
    picks: Vec<Pick>,
    waiting: Vec<Pick>,
    survivors: Vec<Survivor>,
}

thread_local! {
    static SCRATCH: Cell<Scratch> = Cell::default();
}

/// A scan of codes, span after span.
///
/// Memory is what it waits for, so each row passes three stations with something else to do in between: its sign code picks
/// it, its whole code refines it while the next list is looked at, and its raw vector is compared at the very end, when few
/// are left that need it.
pub(crate) struct Sweep<'a> {
    coded: Coded<'a>,
    scratch: Scratch,
    /// The lowest upper bounds of rows that wait for their comparison: the best `k` are no farther than the last.
    uppers: TopK,
    /// Their lowest estimates.
    estimates: TopK,
    /// The span whose picked rows wait for the memory of their codes.
    waiting: Option<Span>,
    /// Comparisons that the whole search may make: then none is made here, see [`crate::capped`].
    cap: Option<usize>,
}

impl Drop for Sweep<'_> {
    fn drop(&mut self) {
        self.scratch.survivors.clear();
        SCRATCH.set(std::mem::take(&mut self.scratch));
    }
}

impl<'a> Sweep<'a> {
    /// For the best `k` rows.
    pub(crate) fn new(coded: Coded<'a>, k: usize) -> Self {
        Self {
            coded,
            scratch: SCRATCH.take(),
            uppers: TopK::new(k),
            estimates: TopK::new(k),
            waiting: None,
            cap: None,
        }
    }

    /// Leaves comparisons, of which there may be so many, to the caller: see [`Sweep::survivors`].
    pub(crate) fn cap(&mut self, most: usize) {
        self.cap = Some(most);
    }

    /// A rank that the best `k` rows of what was looked at do not exceed.
    pub(crate) fn limit(&self, top: &TopK) -> f64 {
        top.limit().min(self.uppers.limit())
    }

    /// About the rank of the last of the best `k` rows of what was looked at.
    pub(crate) fn expected(&self, top: &TopK) -> f64 {
        top.limit().min(self.estimates.limit())
    }

    /// Finds the rows of a span whose bounds allow them among the best `k`. Those of short spans wait for
    /// [`Sweep::finish`], which compares fewer of them the more is known.
    pub(crate) fn by_bounds<O: Observer>(
        &mut self,
        span: &Span,
        top: &mut TopK,
        observer: &mut O,
    ) -> Result<()> {
        for start in (0..span.rows).step_by(CHUNK) {
            self.find_survivors(&span.part(start, CHUNK), top, observer)?;
            if let Some(most) = self.cap {
                self.thin_out(most, top);
            } else if self.coded.signs_only() || self.scratch.survivors.len() > MOST_WAITING {
                self.finish(top, observer)?;
            }
        }
        Ok(())
    }

    /// The rows that may be among the best, uncompared.
    pub(crate) fn survivors(mut self, top: &TopK) -> Result<Vec<Survivor>> {
        self.refine_waiting(top)?;
        let limit = self.coded.tolerated(self.limit(top));
        let survivors = self.scratch.survivors.iter();
        Ok(survivors
            .copied()
            .filter(|survivor| survivor.lower <= limit)
            .collect())
    }

    /// Of many survivors those are kept that may be compared, and some more for those that turn out not to need it.
    fn thin_out(&mut self, most: usize, top: &TopK) {
        let kept = most.max(MOST_WAITING);
        if self.scratch.survivors.len() <= kept.saturating_mul(2) {
            return;
        }
        let limit = self.coded.tolerated(self.limit(top));
        let survivors = &mut self.scratch.survivors;
        survivors.retain(|survivor| survivor.lower <= limit);
        if survivors.len() > kept {
            survivors.select_nth_unstable_by(kept, Survivor::by_estimate);
            survivors.truncate(kept);
        }
    }

    /// Ranks rows of a span by the estimate of their whole code; ranks in `top` are estimates.
    pub(crate) fn by_estimates<O: Observer>(
        &mut self,
        span: &Span,
        top: &mut TopK,
        observer: &mut O,
    ) -> Result<()> {
        let start = observer.now();
        let Scratch { bounds, picks, .. } = &mut self.scratch;
        for at in (0..span.rows).step_by(CHUNK) {
            let chunk = span.part(at, CHUNK);
            let refined = rank(&self.coded, &chunk, (&mut *bounds, &mut *picks), top)?;
            observer.scanned(chunk.rows, chunk.rows - refined);
        }
        observer.spent(Stage::Scan, start);
        Ok(())
    }

    /// Ranks by raw vector the rows that are waiting, if they still may be among the best.
    pub(crate) fn finish<O: Observer>(&mut self, top: &mut TopK, observer: &mut O) -> Result<()> {
        self.refine_waiting(top)?;
        let start = observer.now();
        let limit = self.coded.tolerated(self.limit(top));
        let mut survivors = std::mem::take(&mut self.scratch.survivors);
        survivors.retain(|survivor| survivor.lower <= limit);
        survivors.sort_unstable_by(Survivor::by_estimate);
        for survivor in survivors.iter().take(AHEAD) {
            self.coded.scan.part.prefetch_vector(survivor.row);
        }
        let mut compared = 0;
        for (at, &Survivor { lower, row, .. }) in survivors.iter().enumerate() {
            if let Some(later) = survivors.get(at + AHEAD) {
                self.coded.scan.part.prefetch_vector(later.row);
            }
            if lower <= self.coded.tolerated(top.limit()) {
                self.coded.scan.push_exact(row, top)?;
                compared += 1;
            }
        }
        survivors.clear();
        self.scratch.survivors = survivors;
        observer.compared(compared);
        observer.spent(Stage::Rerank, start);
        Ok(())
    }

    /// Collects the rows of a chunk that are worth comparing.
    fn find_survivors<O: Observer>(
        &mut self,
        span: &Span,
        top: &mut TopK,
        observer: &mut O,
    ) -> Result<()> {
        let start = observer.now();
        self.coded.scan.control.check()?;
        let limit = self.limit(top);
        let refined = if span.rows >= STRIDE || limit == f64::INFINITY {
            self.find_after_best(span, top, observer)?
        } else {
            self.find_short(span, top)?
        };
        observer.scanned(span.rows, span.rows - refined);
        observer.spent(Stage::Scan, start);
        Ok(())
    }

    /// The best estimates first: they give a limit that few lower bounds of the span reach. Returns how many rows were refined.
    fn find_after_best<O: Observer>(
        &mut self,
        span: &Span,
        top: &mut TopK,
        observer: &mut O,
    ) -> Result<usize> {
        self.refine_waiting(top)?;
        self.scratch.bounds.fill(&self.coded, span)?;
        let (most, limit) = (self.uppers.capacity(), self.limit(top));
        let Scratch { bounds, picks, .. } = &mut self.scratch;
        bounds.take_best(most, self.coded.tolerated(limit), picks);
        let best = picks.len();
        self.refine(span, limit)?;
        if self.coded.signs_only() && self.cap.is_none() {
            self.finish(top, observer)?;
        }
        let limit = self.limit(top);
        let Scratch { bounds, picks, .. } = &mut self.scratch;
        bounds.others(self.coded.tolerated(limit), picks);
        let others = picks.len();
        self.refine(span, limit)?;
        Ok(best + others)
    }

    /// Picks rows of a span, and refines those that were picked before: their codes have come by now. Returns how many were
    /// picked.
    fn find_short(&mut self, span: &Span, top: &TopK) -> Result<usize> {
        let limit = self.limit(top);
        let Scratch { picks, waiting, .. } = &mut self.scratch;
        self.coded.pick(span, limit, picks)?;
        let picked = picks.len();
        for &pick in picks.iter().take(AHEAD_CODES) {
            self.coded.prefetch(span, pick);
        }
        std::mem::swap(picks, waiting);
        if let Some(before) = self.waiting.replace(*span) {
            self.refine(&before, limit)?;
        }
        Ok(picked)
    }

    fn refine_waiting(&mut self, top: &TopK) -> Result<()> {
        if let Some(span) = self.waiting.take() {
            std::mem::swap(&mut self.scratch.picks, &mut self.scratch.waiting);
            self.refine(&span, self.limit(top))?;
        }
        Ok(())
    }

    /// Collects the picked rows whose bounds by their whole code reach a limit, too.
    fn refine(&mut self, span: &Span, limit: f64) -> Result<()> {
        let coded = &self.coded;
        let limit = coded.tolerated(limit);
        let Scratch {
            picks, survivors, ..
        } = &mut self.scratch;
        for (i, &pick) in picks.iter().enumerate() {
            if let Some(&later) = picks.get(i + AHEAD_CODES) {
                coded.prefetch(span, later);
            }
            let (estimate, lower) = coded.refine(span, pick)?;
            if lower <= limit {
                let row = span.row + pick.place as usize;
                coded.scan.part.prefetch_places(row);
                survivors.push(Survivor {
                    estimate,
                    lower,
                    row,
                });
                // Bounds of sign codes alone are too wide to be worth it, unless nothing better comes in between.
                let upper = estimate + (estimate - lower);
                if upper.is_finite() && (!coded.signs_only() || self.cap.is_some()) {
                    let at = |rank: f32| Candidate::in_order(f64::from(rank), row as u64);
                    self.uppers.push(at(upper));
                    self.estimates.push(at(estimate));
                }
            }
        }
        Ok(())
    }
}
