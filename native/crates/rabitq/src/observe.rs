//! What a search tells about itself, at no cost to one that nobody watches.

use std::time::{Duration, Instant};

/// A step of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Rotating the query, its tables.
    Prepare,
    /// Finding the rows of an allow-list.
    Filter,
    /// Ranking lists.
    Route,
    /// Estimates and bounds from codes.
    Scan,
    /// Comparing raw vectors.
    Rerank,
}

/// Listens to a search. Every method of the listener that does not listen is empty.
pub(crate) trait Observer {
    /// A moment, if anybody asks.
    type Moment: Copy;

    fn now(&self) -> Self::Moment;
    /// Time since `start` goes to a stage.
    fn spent(&mut self, stage: Stage, start: Self::Moment);
    /// A list was looked at.
    fn visited(&mut self);
    /// Rows whose estimate was computed, and how many of them the bounds of their sign codes ruled out.
    fn scanned(&mut self, rows: usize, pruned: usize);
    /// Rows whose raw vector was compared.
    fn compared(&mut self, rows: usize);
    /// A part with so many allowed rows was compared row by row instead of by its codes.
    fn without_codes(&mut self, rows: usize);
}

impl Observer for () {
    type Moment = ();

    #[inline(always)]
    fn now(&self) {}
    #[inline(always)]
    fn spent(&mut self, _: Stage, (): ()) {}
    #[inline(always)]
    fn visited(&mut self) {}
    #[inline(always)]
    fn scanned(&mut self, _: usize, _: usize) {}
    #[inline(always)]
    fn compared(&mut self, _: usize) {}
    #[inline(always)]
    fn without_codes(&mut self, _: usize) {}
}

/// Counts and times everything.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub lists: usize,
    pub scanned: usize,
    pub pruned: usize,
    pub compared: usize,
    pub without_codes: usize,
    pub times: Times,
}

/// Time of each stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// Rotating the query and making its tables.
    pub prepare: Duration,
    /// Finding the rows of an allow-list.
    pub filter: Duration,
    /// Ranking lists.
    pub route: Duration,
    /// Estimates and bounds from codes.
    pub scan: Duration,
    /// Comparing raw vectors.
    pub rerank: Duration,
    /// The whole search.
    pub total: Duration,
}

impl Observer for Counts {
    type Moment = Instant;

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn spent(&mut self, stage: Stage, start: Instant) {
        let times = &mut self.times;
        *match stage {
            Stage::Prepare => &mut times.prepare,
            Stage::Filter => &mut times.filter,
            Stage::Route => &mut times.route,
            Stage::Scan => &mut times.scan,
            Stage::Rerank => &mut times.rerank,
        } += start.elapsed();
    }

    fn visited(&mut self) {
        self.lists += 1;
    }

    fn scanned(&mut self, rows: usize, pruned: usize) {
        self.scanned += rows;
        self.pruned += pruned;
    }

    fn compared(&mut self, rows: usize) {
        self.compared += rows;
    }

    fn without_codes(&mut self, rows: usize) {
        self.without_codes += rows;
    }
}
