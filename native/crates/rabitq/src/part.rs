//! An immutable run of rows: ids, norms, and whichever of raw vectors and codes the kind keeps.

use crate::lists::Lists;
use crate::pack::{self, BLOCK};
use crate::section::{Plain, Section};
use crate::{Bits, Result};

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
    pub error: Section<f32>,
    /// Beyond one bit: two factors and the rest of the code, row after row.
    pub rows: Section<u8>,
    /// Largest magnitude in `add` where it enters the rounding error of estimates: for products, not for distances, whose
    /// rows near the limit have additive factors of the limit's own size.
    pub max_add: f32,
}

impl Codes {
    pub(crate) fn row_bytes(&self) -> usize {
        pack::row_bytes(self.bits, self.padded)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.signs.bytes()
            + self.add.bytes()
            + self.rescale.bytes()
            + self.error.bytes()
            + self.rows.bytes()
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
    pub raw: Option<Section<f32>>,
    pub codes: Option<Codes>,
    /// How the rows are grouped; one group around the center if absent.
    pub lists: Option<Lists>,
}

impl Part {
    pub(crate) fn rows(&self) -> usize {
        self.ids.len()
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
        let mut rows = vec![0; self.rows()];
        for (row, &order) in lists.order.all()?.iter().enumerate() {
            let Some(slot) = rows.get_mut(order as usize) else {
                return Err(lists
                    .order
                    .damaged(format!("row {row} has place {order}, past the last")));
            };
            *slot = row;
        }
        Ok(rows)
    }

    /// Row of an id, deleted or not.
    pub(crate) fn find(&self, id: i64) -> Result<Option<usize>> {
        let (mut low, mut high) = (0, self.rows());
        while low < high {
            let middle = low.midpoint(high);
            let row = self.nth_by_id(middle)?;
            match self.ids.at(row)?.cmp(&id) {
                std::cmp::Ordering::Equal => return Ok(Some(row)),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
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

    /// Whether ids ascend with rows, so that a sorted id list can be merged in one pass.
    pub(crate) fn is_ascending(&self) -> bool {
        self.by_id.is_none()
    }

    pub(crate) fn raw_bytes(&self) -> usize {
        self.raw.as_ref().map_or(0, Section::bytes)
    }

    pub(crate) fn code_bytes(&self) -> usize {
        self.codes.as_ref().map_or(0, Codes::bytes)
    }

    pub(crate) fn bytes(&self) -> usize {
        let order = self.by_id.as_ref().map_or(0, Section::bytes)
            + self.lists.as_ref().map_or(0, Lists::bytes);
        self.ids.bytes() + order + self.norms.bytes() + self.raw_bytes() + self.code_bytes()
    }

    pub(crate) fn is_mapped(&self) -> bool {
        self.ids.is_mapped()
    }

    /// Some rows of some parts, in that order, as one part on the heap. Codes are copied, not made anew.
    pub(crate) fn gather(sources: &[(&Part, Vec<usize>)]) -> Result<Part> {
        let ids = gather_values(sources, |part| &part.ids, 1)?;
        let raw = match sources.first() {
            Some((part, _)) if part.raw.is_some() => {
                let dimensions = part.raw_width();
                Some(gather_optional(sources, |part| part.raw.as_ref(), dimensions)?.into())
            }
            _ => None,
        };
        Ok(Part {
            by_id: order_by_id(&ids).map(Section::from),
            norms: gather_values(sources, |part| &part.norms, 1)?.into(),
            codes: gather_codes(sources)?,
            ids: ids.into(),
            raw,
            lists: None,
        })
    }

    /// Numbers in a raw row.
    pub(crate) fn raw_width(&self) -> usize {
        self.raw
            .as_ref()
            .map_or(0, |raw| raw.len() / self.rows().max(1))
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

fn gather_values<T: Plain>(
    sources: &[(&Part, Vec<usize>)],
    pick: impl Fn(&Part) -> &Section<T>,
    width: usize,
) -> Result<Vec<T>> {
    gather_optional(sources, |part| Some(pick(part)), width)
}

/// Copies runs of neighbouring rows at once.
fn gather_optional<'a, T: Plain>(
    sources: &[(&'a Part, Vec<usize>)],
    pick: impl Fn(&'a Part) -> Option<&'a Section<T>>,
    width: usize,
) -> Result<Vec<T>> {
    let total: usize = sources.iter().map(|(_, rows)| rows.len()).sum();
    let mut out = Vec::with_capacity(total * width);
    for (part, rows) in sources {
        let Some(section) = pick(part) else { continue };
        for run in rows.chunk_by(|a, b| a + 1 == *b) {
            out.extend_from_slice(section.get(run[0] * width..(run[0] + run.len()) * width)?);
        }
    }
    Ok(out)
}

fn gather_codes(sources: &[(&Part, Vec<usize>)]) -> Result<Option<Codes>> {
    let Some(first) = sources.first().and_then(|(part, _)| part.codes.as_ref()) else {
        return Ok(None);
    };
    let total: usize = sources.iter().map(|(_, rows)| rows.len()).sum();
    let block = pack::block_bytes(first.padded);
    let mut signs = vec![0u8; total.div_ceil(BLOCK) * block];
    let mut next = 0;
    for (part, rows) in sources {
        let Some(codes) = &part.codes else { continue };
        for &row in rows {
            let source = codes
                .signs
                .get(row / BLOCK * block..(row / BLOCK + 1) * block)?;
            let target = &mut signs[next / BLOCK * block..(next / BLOCK + 1) * block];
            pack::move_signs(source, row % BLOCK, target, next % BLOCK);
            next += 1;
        }
    }
    let factor = |pick: fn(&Codes) -> &Section<f32>, fill: f32| -> Result<Section<f32>> {
        let mut values = gather_optional(sources, |part| part.codes.as_ref().map(pick), 1)?;
        values.resize(total.next_multiple_of(BLOCK), fill);
        Ok(values.into())
    };
    Ok(Some(Codes {
        bits: first.bits,
        padded: first.padded,
        signs: signs.into(),
        add: factor(|codes| &codes.add, f32::INFINITY)?,
        rescale: factor(|codes| &codes.rescale, 0.0)?,
        error: factor(|codes| &codes.error, 0.0)?,
        rows: gather_optional(
            sources,
            |part| part.codes.as_ref().map(|c| &c.rows),
            first.row_bytes(),
        )?
        .into(),
        max_add: sources
            .iter()
            .filter_map(|(part, _)| part.codes.as_ref())
            .fold(0.0, |m, c| m.max(c.max_add)),
    }))
}
