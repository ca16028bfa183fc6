//! One version of an index's rows. Readers hold a version; writers make the next.

use std::sync::Arc;

use crate::allow::Mask;
use crate::bitset::Bitset;
use crate::build::Center;
use crate::part::Part;
use crate::{AllowList, Result};

/// Trailing parts of similar size that are merged into one.
const FAN_OUT: usize = 4;

/// A part and which of its rows are still there.
#[derive(Clone)]
pub(crate) struct Live {
    pub part: Arc<Part>,
    /// Rows that were not deleted; all if absent.
    pub alive: Option<Arc<Bitset>>,
    pub rows: usize,
}

impl Live {
    pub(crate) fn new(part: Part) -> Self {
        let rows = part.rows();
        Self {
            part: Arc::new(part),
            alive: None,
            rows,
        }
    }

    pub(crate) fn is_live(&self, row: usize) -> bool {
        self.alive.as_ref().is_none_or(|alive| alive.get(row))
    }

    /// Row of a live id.
    pub(crate) fn find(&self, id: i64) -> Result<Option<usize>> {
        Ok(self.part.find(id)?.filter(|&row| self.is_live(row)))
    }

    /// Rows that were not deleted, in insertion order.
    pub(crate) fn live_rows(&self) -> Result<Vec<usize>> {
        let mut rows = self.part.in_order()?;
        rows.retain(|&row| self.is_live(row));
        Ok(rows)
    }

    /// The rows a search may return; nothing if that is all of them.
    pub(crate) fn mask(&self, allow: Option<&AllowList>) -> Result<Option<Mask>> {
        match (allow, &self.alive) {
            (Some(allow), alive) => allow.mask(&self.part, alive.as_ref()).map(Some),
            (None, Some(alive)) => Ok(Some(Mask {
                rows: alive.clone(),
                count: self.rows,
                listed: None,
                covered: self.part.rows(),
            })),
            (None, None) => Ok(None),
        }
    }

    fn without(&self, rows: &[usize]) -> Self {
        let mut alive = match &self.alive {
            Some(alive) => (**alive).clone(),
            None => Bitset::ones(self.part.rows()),
        };
        for &row in rows {
            alive.clear(row);
        }
        Self {
            part: self.part.clone(),
            rows: alive.count(),
            alive: Some(Arc::new(alive)),
        }
    }

    /// Mostly dead parts on the heap are worth copying.
    fn compacted(self) -> Result<Self> {
        if self.part.is_mapped() || self.part.lists.is_some() || self.rows * 2 > self.part.rows() {
            return Ok(self);
        }
        Ok(Self::new(Part::gather(&[(
            &*self.part,
            self.live_rows()?,
        )])?))
    }
}

/// All rows of an index at one moment.
#[derive(Clone)]
pub(crate) struct State {
    /// Residuals of every part are taken from this point.
    pub center: Arc<Center>,
    /// In insertion order.
    pub parts: Vec<Live>,
    /// Leading parts that are being made into one meanwhile: only their masks may change until then.
    pub held: usize,
    /// Mean error factor when all codes were made last; 0 if unknown.
    pub first_error: f32,
}

impl State {
    pub(crate) fn new(center: Center, part: Part) -> Self {
        let first_error = part.codes.as_ref().map_or(0.0, |codes| codes.mean_error);
        Self {
            center: Arc::new(center),
            parts: Self::only(part),
            held: 0,
            first_error,
        }
    }

    fn only(part: Part) -> Vec<Live> {
        if part.rows() == 0 {
            vec![]
        } else {
            vec![Live::new(part)]
        }
    }

    /// The same rows in one part.
    pub(crate) fn with_only(&self, part: Part) -> Self {
        debug_assert_eq!(part.rows(), self.rows());
        Self {
            center: self.center.clone(),
            parts: Self::only(part),
            held: 0,
            first_error: self.first_error,
        }
    }

    /// This version with its first parts held.
    pub(crate) fn holding(&self, held: usize) -> Self {
        Self {
            held,
            ..self.clone()
        }
    }

    /// Part of this version that is still what it was in another, and its rows that have died since.
    pub(crate) fn died_since(&self, earlier: &Self) -> Result<Option<Vec<i64>>> {
        let mut ids = vec![];
        for (i, before) in earlier.parts.iter().enumerate() {
            let Some(now) = self.parts.get(i) else {
                return Ok(None);
            };
            if !Arc::ptr_eq(&now.part, &before.part) {
                return Ok(None);
            }
            if now.rows < before.rows {
                let dead = before.live_rows()?.into_iter();
                for row in dead.filter(|&row| !now.is_live(row)) {
                    ids.push(now.part.ids.at(row)?);
                }
            }
        }
        Ok(Some(ids))
    }

    /// Rows that wait outside the lists of a grouped index.
    pub(crate) fn ungrouped(&self) -> usize {
        self.parts
            .iter()
            .filter(|live| live.part.lists.is_none())
            .map(|live| live.rows)
            .sum()
    }

    /// The only part, if it has lists and all its rows are live.
    pub(crate) fn grouped(&self) -> Option<&Part> {
        match self.parts.as_slice() {
            [
                Live {
                    part, alive: None, ..
                },
            ] if part.lists.is_some() => Some(part),
            _ => None,
        }
    }

    pub(crate) fn rows(&self) -> usize {
        self.parts.iter().map(|live| live.rows).sum()
    }

    pub(crate) fn deleted(&self) -> usize {
        self.parts
            .iter()
            .map(|live| live.part.rows() - live.rows)
            .sum()
    }

    /// Part and row of a live id; the newest parts are the likeliest.
    pub(crate) fn find(&self, id: i64) -> Result<Option<(usize, usize)>> {
        for (index, live) in self.parts.iter().enumerate().rev() {
            if let Some(row) = live.find(id)? {
                return Ok(Some((index, row)));
            }
        }
        Ok(None)
    }

    /// The next version without some ids, and how many of them there were.
    pub(crate) fn without(&self, ids: &[i64]) -> Result<(Self, usize)> {
        let mut gone: Vec<Vec<usize>> = vec![vec![]; self.parts.len()];
        for &id in ids {
            if let Some((part, row)) = self.find(id)? {
                gone[part].push(row);
            }
        }
        let mut parts = Vec::with_capacity(self.parts.len());
        for (i, (live, rows)) in self.parts.iter().zip(&mut gone).enumerate() {
            rows.sort_unstable();
            rows.dedup();
            let next = if rows.is_empty() {
                live.clone()
            } else if i < self.held {
                live.without(rows)
            } else {
                live.without(rows).compacted()?
            };
            if next.rows > 0 || i < self.held {
                parts.push(next);
            }
        }
        let deleted = gone.iter().map(Vec::len).sum();
        Ok((
            Self {
                parts,
                ..self.clone()
            },
            deleted,
        ))
    }

    /// The next version with a part more; small neighbours are merged so that there are `O(log n)` parts.
    pub(crate) fn with(mut self, part: Part) -> Result<Self> {
        if part.rows() > 0 {
            self.parts.push(Live::new(part));
        }
        loop {
            let tier = |live: &Live| live.part.rows().ilog(FAN_OUT);
            let Some(newest) = self.parts.last().map(tier) else {
                break;
            };
            let run = self.parts[self.held.min(self.parts.len())..]
                .iter()
                .rev()
                .take_while(|live| {
                    tier(live) <= newest && !live.part.is_mapped() && live.part.lists.is_none()
                })
                .count();
            if run < FAN_OUT {
                break;
            }
            let tail = self.parts.split_off(self.parts.len() - run);
            let sources: Vec<(&Part, Vec<usize>)> = tail
                .iter()
                .map(|live| Ok((&*live.part, live.live_rows()?)))
                .collect::<Result<_>>()?;
            self.parts.push(Live::new(Part::gather(&sources)?));
        }
        Ok(self)
    }
}
