//! An immutable run of rows: ids, norms, and whichever of raw vectors and codes the kind keeps.

use std::cmp::Ordering;
use std::sync::OnceLock;

use crate::columns::Columns;
use crate::lists::Lists;
use crate::pack;
use crate::raw::RawRows;
use crate::section::{Plain, Section};
use crate::{Bits, Metric, Result};

/// Sign codes of so many bytes mostly stay in the third-level cache of a server's CPU.
const CACHED_BYTES: usize = 16 << 20;

/// Codes and factors of the rows of a part.
#[derive(Clone)]
pub(crate) struct Codes {
    pub bits: Bits,
    pub padded: usize,
    /// FastScan blocks of sign bits.
    pub signs: Section<u8>,
    /// Additive factor of each row, a multiple of 32 of them; rows that only fill up the last block have infinity.
    pub add: Section<f32>,
    pub rescale: Section<f32>,
    /// Beyond one bit: two factors and the rest of the code, row after row.
    pub rows: Section<u8>,
    /// Largest magnitude in `add` where it enters the rounding error of estimates: for products, not for distances, whose
    /// rows near the limit have additive factors of the limit's own size.
    pub max_add: f32,
    /// Mean deviation of the estimates of sign codes, per unit of the query's length; 0 if a file does not say.
    pub mean_error: f32,
}

impl Codes {
    pub(crate) fn row_bytes(&self) -> usize {
        pack::row_bytes(self.bits, self.padded)
    }

    /// Blocks of sign codes to ask for ahead of their use: the farther away they are, the more.
    pub(crate) fn blocks_ahead(&self) -> usize {
        if self.signs.len() > CACHED_BYTES {
            3
        } else {
            1
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.signs.bytes() + self.add.bytes() + self.rescale.bytes() + self.rows.bytes()
    }
}

/// Rows that were added together, or merged.
#[derive(Clone)]
pub(crate) struct Part {
    pub ids: Section<i64>,
    /// Rows in ascending order of id; absent if the rows are in that order already.
    pub by_id: Option<Section<u32>>,
    /// Squared norms.
    pub norms: Section<f32>,
    pub raw: Option<RawRows>,
    pub codes: Option<Codes>,
    /// How the rows are grouped; one group around the center if absent.
    pub lists: Option<Lists>,
    /// What was learned of the rows, see [`crate::curves::Curves`]; empty if nothing was.
    pub curves: Section<f32>,
    /// See [`Part::typical_length`].
    pub length: OnceLock<f32>,
}

impl Part {
    pub(crate) fn rows(&self) -> usize {
        self.ids.len()
    }

    /// Length of a typical row: the root of the mean square of some.
    pub(crate) fn typical_length(&self) -> Result<f32> {
        const SOME: usize = 64;
        if let Some(&length) = self.length.get() {
            return Ok(length);
        }
        let (rows, some) = (self.rows(), self.rows().min(SOME));
        let mut squares = 0.0;
        for i in 0..some {
            squares += f64::from(self.norms.at(i * rows / some)?);
        }
        let length = (squares / some.max(1) as f64).sqrt() as f32;
        Ok(*self.length.get_or_init(|| length))
    }

    /// Asks for what comparing a row by its raw vector takes beside the vector, ahead of it.
    pub(crate) fn prefetch_places(&self, row: usize) {
        self.norms.prefetch(row..row + 1);
        if let Some(raw) = &self.raw {
            raw.prefetch_place(row);
        }
    }

    /// Asks for the raw vector of a row, ahead of its comparison.
    pub(crate) fn prefetch_vector(&self, row: usize) {
        if let Some(raw) = &self.raw
            && let Ok(slot) = raw.slot(row)
        {
            raw.prefetch(slot);
        }
    }

    /// A row's place in insertion order.
    pub(crate) fn order(&self, row: usize) -> Result<usize> {
        match &self.lists {
            None => Ok(row),
            Some(lists) => Ok(lists.order.at(row)? as usize),
        }
    }

    /// Rows in insertion order.
    pub(crate) fn in_order(&self) -> Result<Vec<usize>> {
        let Some(lists) = &self.lists else {
            return Ok((0..self.rows()).collect());
        };
        const NONE: usize = usize::MAX;
        let mut rows = vec![NONE; self.rows()];
        for (row, &order) in lists.order.all()?.iter().enumerate() {
            let damaged = |reason| lists.order.damaged(format!("row {row} {reason}"));
            match rows.get_mut(order as usize) {
                None => return Err(damaged(format!("has place {order}, past the last"))),
                Some(place) if *place == NONE => *place = row,
                Some(_) => return Err(damaged(format!("has place {order}, as another has"))),
            }
        }
        Ok(rows)
    }

    /// Calls `act` with the row of each of some ids that is there, deleted or not, in the order of the ids.
    pub(crate) fn find_all(&self, ids: &[i64], mut act: impl FnMut(usize)) -> Result<()> {
        let rows = self.rows();
        let Some(last) = rows.checked_sub(1) else {
            return Ok(());
        };
        let first = self.ids.at(self.nth_by_id(0)?)?;
        let last = self.ids.at(self.nth_by_id(last)?)?;
        if last.checked_sub(first) != Some(rows as i64 - 1) {
            for &id in ids {
                self.find(id)?.into_iter().for_each(&mut act);
            }
            return Ok(());
        }
        // Without gaps every place is known.
        let by_id = self.by_id.as_ref();
        let by_id = by_id.map(|by_id| by_id.scattered(ids.len())).transpose()?;
        for &id in ids.iter().filter(|id| (first..=last).contains(*id)) {
            let place = (id - first) as usize;
            let row = match &by_id {
                None => place,
                Some(by_id) => by_id.at(place)? as usize,
            };
            if row >= rows {
                let reason = format!("id {id} has row {row}, past the last");
                return Err(self.ids.damaged(reason));
            }
            act(row);
        }
        Ok(())
    }

    /// Row of an id, deleted or not.
    pub(crate) fn find(&self, id: i64) -> Result<Option<usize>> {
        let (mut low, mut high) = (0, self.rows());
        // Ids without gaps lie where their distance from the first says.
        if high > 0
            && let first = self.ids.at(self.nth_by_id(0)?)?
            && let Some(guess) = id
                .checked_sub(first)
                .and_then(|at| usize::try_from(at).ok())
            && guess < high
        {
            let row = self.nth_by_id(guess)?;
            match self.ids.at(row)?.cmp(&id) {
                Ordering::Equal => return Ok(Some(row)),
                Ordering::Less => low = guess + 1,
                Ordering::Greater => high = guess,
            }
        }
        while low < high {
            let middle = low.midpoint(high);
            let row = self.nth_by_id(middle)?;
            match self.ids.at(row)?.cmp(&id) {
                Ordering::Equal => return Ok(Some(row)),
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
            }
        }
        Ok(None)
    }

    fn nth_by_id(&self, position: usize) -> Result<usize> {
        match &self.by_id {
            None => Ok(position),
            Some(rows) => Ok(rows.at(position)? as usize),
        }
    }

    /// The raw vector of a row; empty if the kind keeps none.
    pub(crate) fn vector(&self, row: usize) -> Result<Vec<f32>> {
        match &self.raw {
            Some(raw) => raw.with(row, <[f32]>::to_vec),
            None => Ok(vec![]),
        }
    }

    pub(crate) fn raw_bytes(&self) -> usize {
        self.raw.as_ref().map_or(0, RawRows::bytes)
    }

    pub(crate) fn code_bytes(&self) -> usize {
        self.codes.as_ref().map_or(0, Codes::bytes)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes_beside_raw() + self.raw_bytes()
    }

    /// Bytes that are mapped from a file.
    pub(crate) fn mapped_bytes(&self) -> usize {
        let raw = self.raw.as_ref().map_or(0, RawRows::mapped_bytes);
        if self.is_mapped() {
            self.bytes_beside_raw() + raw
        } else {
            raw
        }
    }

    fn bytes_beside_raw(&self) -> usize {
        let order = self.by_id.as_ref().map_or(0, Section::bytes)
            + self.lists.as_ref().map_or(0, Lists::bytes);
        let beside = self.ids.bytes() + order + self.norms.bytes() + self.curves.bytes();
        beside + self.code_bytes()
    }

    /// Whether all but perhaps the raw vectors is mapped from a file.
    pub(crate) fn is_mapped(&self) -> bool {
        self.ids.is_mapped()
    }

    /// Some rows of some parts, in that order, as one part on the heap. Codes are copied, not made anew.
    pub(crate) fn gather(sources: &[(&Part, Vec<usize>)]) -> Result<Part> {
        let ids = gather_values(sources, |part| &part.ids)?;
        let raw: Vec<(&RawRows, &[usize])> = sources
            .iter()
            .filter_map(|(part, rows)| Some((part.raw.as_ref()?, rows.as_slice())))
            .collect();
        let raw = match raw.first() {
            None => None,
            Some((first, _)) => Some(RawRows::gather(first.width(), &raw)?),
        };
        Ok(Part {
            by_id: order_by_id(&ids).map(Section::from),
            norms: gather_values(sources, |part| &part.norms)?.into(),
            codes: gather_codes(sources)?,
            ids: ids.into(),
            raw,
            lists: None,
            curves: vec![].into(),
            length: OnceLock::new(),
        })
    }
}

/// Rows in ascending order of id, or nothing if they are already.
pub(crate) fn order_by_id(ids: &[i64]) -> Option<Vec<u32>> {
    if ids.is_sorted() {
        return None;
    }
    let mut order: Vec<u32> = (0..ids.len() as u32).collect();
    order.sort_unstable_by_key(|&row| ids[row as usize]);
    Some(order)
}

/// Copies runs of neighbouring rows at once.
fn gather_values<T: Plain>(
    sources: &[(&Part, Vec<usize>)],
    pick: impl Fn(&Part) -> &Section<T>,
) -> Result<Vec<T>> {
    let total: usize = sources.iter().map(|(_, rows)| rows.len()).sum();
    let mut out = Vec::with_capacity(total);
    for (part, rows) in sources {
        for run in rows.chunk_by(|a, b| a + 1 == *b) {
            out.extend_from_slice(pick(part).get(run[0]..run[0] + run.len())?);
        }
    }
    Ok(out)
}

/// Codes of rows of parts without lists.
fn gather_codes(sources: &[(&Part, Vec<usize>)]) -> Result<Option<Codes>> {
    let Some(first) = sources.first().and_then(|(part, _)| part.codes.as_ref()) else {
        return Ok(None);
    };
    let total: usize = sources.iter().map(|(_, rows)| rows.len()).sum();
    let mut columns = Columns::new(first.bits, first.padded, std::iter::once(total));
    let mut slots = columns.slots();
    let (mut next, mut max_add) = (0, 0.0f32);
    for (part, rows) in sources {
        let Some(codes) = &part.codes else { continue };
        for &row in rows {
            slots.copy(next, codes, row, row)?;
            next += 1;
        }
        max_add = max_add.max(codes.max_add);
    }
    // Of the rows that were left out, too, as before: a bound may be wide.
    Ok(Some(Codes {
        max_add,
        ..columns.finish(Metric::L2)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Sample;
    use crate::{BuildOptions, Error, Kind};

    #[test]
    fn rows_in_one_place_and_in_none_are_damage() {
        let (rows, dimensions) = (600, 8);
        let data: Vec<f32> = (0..rows * dimensions)
            .map(|i| (i * 37 % 101) as f32 - 50.0)
            .collect();
        let options = BuildOptions::new(Kind::RabitqIvf, dimensions, Metric::L2);
        let part = Sample::build(options, &data).part;
        let mut found = part.in_order().unwrap();
        found.sort_unstable();
        assert_eq!(found, (0..rows).collect::<Vec<_>>());
        let lists = part.lists.clone().unwrap();
        let order = lists.order.all().unwrap();
        for place in [order[7], rows as u32] {
            let mut order = order.to_vec();
            order[3] = place;
            let damaged = Part {
                lists: Some(Lists {
                    order: order.into(),
                    ..lists.clone()
                }),
                ..part.clone()
            };
            assert!(matches!(damaged.in_order(), Err(Error::Corrupt { .. })));
        }
    }
}
