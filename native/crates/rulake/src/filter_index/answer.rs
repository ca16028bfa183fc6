//! Answering a filter for a segment from its index, with a look at the metadata only of the records that the index does
//! not know enough of.

use std::sync::atomic::AtomicBool;

use roaring::RoaringBitmap;

use super::file::{Field, Lookup};
use crate::Result;
use crate::filter::{self, Bound, Filter, Operands, Test};
use crate::segment::Segment;
use crate::state::Shared;
use crate::value::Value;

/// What an answer needs besides the filter.
pub(crate) struct Answer<'a> {
    pub(crate) segment: &'a Segment,
    pub(crate) shared: &'a Shared,
    pub(crate) cancel: Option<&'a AtomicBool>,
}

impl Answer<'_> {
    /// Those of some positions that satisfy a filter.
    pub(crate) fn filter(&self, filter: &Filter, within: &RoaringBitmap) -> Result<RoaringBitmap> {
        if within.is_empty() {
            return Ok(RoaringBitmap::new());
        }
        match filter {
            Filter::All(filters) => {
                let mut left = within.clone();
                // What reads records comes last, when few are left.
                let (cheap, dear): (Vec<_>, Vec<_>) =
                    filters.iter().partition(|filter| !reads_texts(filter));
                for filter in cheap.into_iter().chain(dear) {
                    left = self.filter(filter, &left)?;
                }
                Ok(left)
            }
            Filter::Any(filters) => {
                let mut found = RoaringBitmap::new();
                for filter in filters {
                    found |= self.filter(filter, &(within - &found))?;
                }
                Ok(found)
            }
            Filter::Not(filter) => Ok(within - self.filter(filter, within)?),
            Filter::Field(field, test) => self.test(field, test, within),
        }
    }

    fn test(
        &self,
        field: &filter::Field,
        test: &Test,
        within: &RoaringBitmap,
    ) -> Result<RoaringBitmap> {
        if let Test::Not(tests) = test {
            let mut all = within.clone();
            for test in tests {
                all = self.test(field, test, &all)?;
            }
            return Ok(within - all);
        }
        match field {
            filter::Field::Id => self.ids(test, within),
            filter::Field::Text => self.read(field, test, within),
            filter::Field::Metadata(path) => match self.segment.filter.field(path.text())? {
                Lookup::Unknown => self.read(field, test, within),
                Lookup::Nowhere if test.holds_for_missing() => Ok(within.clone()),
                Lookup::Nowhere => Ok(RoaringBitmap::new()),
                Lookup::Field(index) => {
                    if let Test::Exists(wanted) = test {
                        let present = index.present()?;
                        return Ok(if *wanted {
                            present & within
                        } else {
                            within - present
                        });
                    }
                    let mut check = index.check()?;
                    if arrays_matter(test) {
                        check |= index.arrays()?;
                    }
                    let known = within - &check;
                    let mut found = known_records(&index, test)? & &known;
                    if test.holds_for_missing() {
                        found |= &known - index.present()?;
                    }
                    Ok(found | self.read(field, test, &(check & within))?)
                }
            },
        }
    }

    /// Looks at the records themselves.
    fn read(
        &self,
        field: &filter::Field,
        test: &Test,
        within: &RoaringBitmap,
    ) -> Result<RoaringBitmap> {
        self.segment.scan(within, self.shared, self.cancel, |view| {
            field.holds(test, view)
        })
    }

    fn ids(&self, test: &Test, within: &RoaringBitmap) -> Result<RoaringBitmap> {
        let rows = &self.segment.rows;
        let mut found = RoaringBitmap::new();
        let mut one = |id: &str| -> Result<()> {
            let at = rows.find(self.shared.hash(id), id)?;
            found.extend(at.map(|at| at as u32));
            Ok(())
        };
        match test {
            Test::Eq(Value::String(id)) => one(id)?,
            Test::In(operands) => {
                for id in operands.strings() {
                    one(id)?;
                }
            }
            _ => {
                for position in within {
                    if test.holds_for_text(rows.id(position as usize)?) {
                        found.insert(position);
                    }
                }
            }
        }
        Ok(found & within)
    }
}

fn reads_texts(filter: &Filter) -> bool {
    match filter {
        Filter::All(filters) | Filter::Any(filters) => filters.iter().any(reads_texts),
        Filter::Not(filter) => reads_texts(filter),
        Filter::Field(field, _) => matches!(field, filter::Field::Text),
    }
}

/// Records in which the field is present and passes a test; those to be checked may be missing or wrong.
fn known_records(index: &Field<'_>, test: &Test) -> Result<RoaringBitmap> {
    let mut found = RoaringBitmap::new();
    match test {
        Test::Eq(value) => equal(index, value, &mut found)?,
        Test::Ne(value) => {
            let mut equals = RoaringBitmap::new();
            equal(index, value, &mut equals)?;
            found = index.present()? - equals;
        }
        Test::In(operands) => among(index, operands, &mut found)?,
        Test::Nin(operands) => {
            let mut equals = RoaringBitmap::new();
            among(index, operands, &mut equals)?;
            found = index.present()? - equals;
        }
        Test::Gt(Bound::Number(n)) => {
            index
                .numbers()?
                .between(|key| key <= *n, |_| true, &mut found)?;
        }
        Test::Gte(Bound::Number(n)) => {
            index
                .numbers()?
                .between(|key| key < *n, |_| true, &mut found)?;
        }
        Test::Lt(Bound::Number(n)) => {
            index
                .numbers()?
                .between(|_| false, |key| key < *n, &mut found)?;
        }
        Test::Lte(Bound::Number(n)) => {
            index
                .numbers()?
                .between(|_| false, |key| key <= *n, &mut found)?;
        }
        Test::Gt(Bound::String(s)) => {
            index
                .strings()?
                .between(|key| key <= &**s, |_| true, &mut found)?;
        }
        Test::Gte(Bound::String(s)) => {
            index
                .strings()?
                .between(|key| key < &**s, |_| true, &mut found)?;
        }
        Test::Lt(Bound::String(s)) => {
            index
                .strings()?
                .between(|_| false, |key| key < &**s, &mut found)?;
        }
        Test::Lte(Bound::String(s)) => {
            index
                .strings()?
                .between(|_| false, |key| key <= &**s, &mut found)?;
        }
        Test::StartsWith(start) => {
            let (before, within) = (
                |key: &str| key < &**start,
                |key: &str| key.starts_with(&**start),
            );
            index.strings()?.between(before, within, &mut found)?;
        }
        Test::TextMatch(_) => {
            index
                .strings()?
                .wherever(|key| test.holds_for_text(key), &mut found)?;
        }
        Test::Contains(value) => contains(index, value, &mut found)?,
        Test::ContainsAny(operands) => {
            if !operands.strings().is_empty() {
                index
                    .strings()?
                    .wherever(|key| test.holds_for_text(key), &mut found)?;
            }
            for text in operands.strings() {
                index.item_strings()?.equal(text, &mut found)?;
            }
            for number in operands.numbers() {
                index.item_numbers()?.equal(*number, &mut found)?;
            }
        }
        Test::ContainsAll(values) => {
            found = index.strings()?.all()? | index.arrays()?;
            for value in values {
                let mut with = RoaringBitmap::new();
                contains(index, value, &mut with)?;
                found &= with;
            }
        }
        Test::IsEmpty(wanted) => {
            let mut empty = index.null()?;
            index.strings()?.equal("", &mut empty)?;
            found = if *wanted {
                empty
            } else {
                index.present()? - empty
            };
        }
        // Answered before.
        Test::Exists(_) | Test::Not(_) => {}
    }
    Ok(found)
}

fn equal(index: &Field<'_>, value: &Value, found: &mut RoaringBitmap) -> Result<()> {
    match value {
        Value::Null => *found |= index.null()?,
        Value::Bool(flag) => *found |= index.flag(*flag)?,
        Value::Number(number) => index.numbers()?.equal(*number, found)?,
        Value::String(text) => index.strings()?.equal(text, found)?,
        // Which arrays are equal, only the metadata tells: see `arrays_matter`.
        Value::Array(_) | Value::Object(_) => {}
    }
    Ok(())
}

fn among(index: &Field<'_>, operands: &Operands, found: &mut RoaringBitmap) -> Result<()> {
    for text in operands.strings() {
        index.strings()?.equal(text, found)?;
    }
    for number in operands.numbers() {
        index.numbers()?.equal(*number, found)?;
    }
    for other in operands.others() {
        equal(index, other, found)?;
    }
    Ok(())
}

fn contains(index: &Field<'_>, value: &Value, found: &mut RoaringBitmap) -> Result<()> {
    match value {
        Value::String(text) => {
            index
                .strings()?
                .wherever(|key| key.contains(&**text), found)?;
            index.item_strings()?.equal(text, found)
        }
        Value::Number(number) => index.item_numbers()?.equal(*number, found),
        // Arrays with other items are checked.
        _ => Ok(()),
    }
}

/// Whether the content of whole arrays is asked for, which the index does not have.
fn arrays_matter(test: &Test) -> bool {
    let composite = |value: &Value| matches!(value, Value::Array(_) | Value::Object(_));
    match test {
        Test::Eq(value) | Test::Ne(value) => composite(value),
        Test::In(operands) | Test::Nin(operands) => operands.others().iter().any(composite),
        _ => false,
    }
}
