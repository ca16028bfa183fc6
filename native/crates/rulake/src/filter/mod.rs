//! The filter language: which records a search, count, scan or delete is about.
//!
//! A filter is a JSON object. Its members must all hold:
//!
//! * `field: value`, short for `field: { $eq: value }`. An object without operators is a value.
//! * `field: { operator: operand, … }`, where all operators must hold.
//! * `$and: [filter, …]` (true if empty), `$or: [filter, …]` (false if empty), `$not: filter`.
//!
//! A field is a key of the metadata; `a.b` looks for the literal key `a.b` first, then for `b` inside the object `a`.
//! Paths do not enter arrays. `$id` and `$text` are the record's id and text.
//!
//! | operator | holds if the field |
//! |---|---|
//! | `$eq` | equals the operand, deeply; the order of keys does not matter |
//! | `$ne` | is present and does not equal it |
//! | `$gt` `$gte` `$lt` `$lte` | is of the operand's type (number or string) and above / below; strings by code point |
//! | `$in` `$nin` | equals one of the operands / is present and equals none |
//! | `$exists` | is present, `null` included |
//! | `$isEmpty` | is missing, `null`, `""`, `[]` or `{}` |
//! | `$contains` | is an array with an element equal to the operand, or a string and contains it as a substring |
//! | `$containsAny` `$containsAll` | contains one / all of the operands |
//! | `$startsWith` | is a string that begins with the operand |
//! | `$textMatch` | is a string that contains the operand, letter case aside (Unicode lower case of both) |
//! | `$not` | does not satisfy the operators inside |
//!
//! A missing field satisfies only `$exists: false` and `$isEmpty: true`; so `$ne` and `$nin` are false for it, while
//! `$not` is plain negation. Values of different types are neither equal nor ordered, and `null` equals only `null`.
//! Numbers are compared as IEEE doubles.

mod ast;
mod eval;
#[cfg(test)]
mod naive;
mod parse;
mod path;
#[cfg(test)]
mod tests;

pub(crate) use ast::{Bound, Field, Filter, Operands, Test};
pub(crate) use eval::View;
pub(crate) use path::MAX_PARTS;
