//! Which rows a filtered search may return.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::Result;
use crate::bitset::Bitset;
use crate::part::Part;

/// Ids that are kept as bits lie within so many times their number.
const BIT_SPARSITY: usize = 64;

/// Rows looked up one by one are at most this share, as a divisor, of a part: beyond, a walk over all its ids is quicker.
const LOOKUP_SHARE: usize = 16;

/// Rows that are compared by raw vector without a look at their codes: so many, whatever the part.
pub(crate) const SMALL_PART: usize = 512;

/// Share of the rows of a part with lists, as a divisor, that is always compared when no others are allowed.
const ALWAYS_COMPARED: usize = 80;

/// Parts whose rows an allow-list remembers.
const REMEMBERED: usize = 32;

/// A set of ids. Searches of the same index with the same list find its rows only once.
#[derive(Debug, Default)]
pub struct AllowList {
    ids: Vec<i64>,
    bits: Option<Bitset>,
    found: Mutex<Vec<Found>>,
}

/// The rows of a part that a list allows.
#[derive(Clone, Debug)]
pub(crate) struct Mask {
    pub rows: Arc<Bitset>,
    /// How many those are.
    pub count: usize,
    /// The same rows in the order of their ids, if they are few.
    pub listed: Option<Arc<[u32]>>,
    /// Rows of all lists that hold one of them; all rows of a part without lists, and where lists are not looked at.
    pub covered: usize,
}

impl Mask {
    /// Share of the rows among those near them.
    pub(crate) fn density(&self) -> f64 {
        self.count as f64 / self.covered.max(1) as f64
    }
}

#[derive(Debug)]
struct Found {
    part: Weak<Part>,
    alive: Option<Weak<Bitset>>,
    mask: Mask,
}

impl AllowList {
    /// A set of any ids, in any order, repeats welcome. `O(n log n)`, `O(n)` when already ascending.
    #[must_use]
    pub fn new(mut ids: Vec<i64>) -> Self {
        if !ids.is_sorted_by(|a, b| a < b) {
            ids.sort_unstable();
            ids.dedup();
        }
        let bits = width(&ids).map(|width| {
            let mut bits = Bitset::zeros(width);
            for id in &ids {
                bits.set((id - ids[0]) as usize);
            }
            bits
        });
        Self {
            ids,
            bits,
            found: Mutex::default(),
        }
    }

    /// The ids, ascending.
    #[must_use]
    pub fn ids(&self) -> &[i64] {
        &self.ids
    }

    fn contains(&self, id: i64) -> bool {
        match (&self.bits, self.ids.first(), self.ids.last()) {
            (Some(bits), Some(&first), Some(&last)) => {
                first <= id && id <= last && bits.get((id - first) as usize)
            }
            _ => self.ids.binary_search(&id).is_ok(),
        }
    }

    /// The rows of a part that are alive and allowed.
    pub(crate) fn mask(&self, part: &Arc<Part>, alive: Option<&Arc<Bitset>>) -> Result<Mask> {
        let is = |found: &Found| {
            std::ptr::eq(found.part.as_ptr(), Arc::as_ptr(part))
                && match (&found.alive, alive) {
                    (Some(known), Some(alive)) => std::ptr::eq(known.as_ptr(), Arc::as_ptr(alive)),
                    (None, None) => true,
                    _ => false,
                }
        };
        let found = || self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = found().iter().find(|known| is(known)) {
            return Ok(known.mask.clone());
        }
        let mask = self.find(part, alive.map(|alive| &**alive))?;
        let mut found = found();
        found.retain(|found| found.part.strong_count() > 0);
        if found.len() >= REMEMBERED {
            found.remove(0);
        }
        found.push(Found {
            part: Arc::downgrade(part),
            alive: alive.map(Arc::downgrade),
            mask: mask.clone(),
        });
        Ok(mask)
    }

    fn find(&self, part: &Part, alive: Option<&Bitset>) -> Result<Mask> {
        let rows = part.rows();
        let mut mask = Bitset::zeros(rows);
        let is_alive = |row: usize| alive.is_none_or(|alive| alive.get(row));
        let mut listed = None;
        if self.ids.len() <= rows / LOOKUP_SHARE {
            let mut few = Vec::with_capacity(self.ids.len());
            part.find_all(&self.ids, |row| {
                if is_alive(row) {
                    mask.set(row);
                    few.push(row as u32);
                }
            })?;
            listed = Some(few.into());
        } else {
            for (row, &id) in part.ids.all()?.iter().enumerate() {
                if self.contains(id) && is_alive(row) {
                    mask.set(row);
                }
            }
        }
        let count = mask.count();
        let covered = match &part.lists {
            None => rows,
            Some(_) if part.raw.is_some() && count <= always_compared(rows) => rows,
            Some(lists) => {
                let ranges = lists.starts.all()?.windows(2);
                ranges
                    .map(|range| range[0] as usize..range[1] as usize)
                    .filter(|range| mask.count_in(range.clone()) > 0)
                    .map(|range| range.len())
                    .sum()
            }
        };
        Ok(Mask {
            count,
            covered,
            listed,
            rows: Arc::new(mask),
        })
    }
}

impl Clone for AllowList {
    fn clone(&self) -> Self {
        Self {
            ids: self.ids.clone(),
            bits: self.bits.clone(),
            found: Mutex::default(),
        }
    }
}

impl PartialEq for AllowList {
    fn eq(&self, other: &Self) -> bool {
        self.ids == other.ids
    }
}

impl Eq for AllowList {}

/// Allowed rows of a part with lists up to which all of them are compared.
pub(crate) fn always_compared(rows: usize) -> usize {
    SMALL_PART.max(rows / ALWAYS_COMPARED)
}

/// Numbers from the first id to the last, if not so many that bits would take more room than the ids.
fn width(ids: &[i64]) -> Option<usize> {
    let width = ids.last()?.checked_sub(*ids.first()?)?.checked_add(1)?;
    let width = usize::try_from(width).ok()?;
    (width <= ids.len().saturating_mul(BIT_SPARSITY)).then_some(width)
}
