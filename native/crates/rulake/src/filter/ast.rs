//! A parsed filter.

use super::path::FieldPath;
use crate::value::Value;

/// A condition on a record. Made by [`Filter::parse`](super::parse).
#[derive(Debug)]
pub(crate) enum Filter {
    All(Vec<Filter>),
    Any(Vec<Filter>),
    Not(Box<Filter>),
    Field(Field, Test),
}

/// What a test looks at.
#[derive(Debug)]
pub(crate) enum Field {
    Id,
    Text,
    Metadata(FieldPath),
}

/// A condition on one field.
#[derive(Debug)]
pub(crate) enum Test {
    Eq(Value),
    Ne(Value),
    Gt(Bound),
    Gte(Bound),
    Lt(Bound),
    Lte(Bound),
    In(Operands),
    Nin(Operands),
    Exists(bool),
    IsEmpty(bool),
    Contains(Value),
    ContainsAny(Operands),
    ContainsAll(Vec<Value>),
    StartsWith(Box<str>),
    /// In lower case.
    TextMatch(Box<str>),
    Not(Vec<Test>),
}

/// An operand of an ordering.
#[derive(Debug)]
pub(crate) enum Bound {
    Number(f64),
    String(Box<str>),
}

/// A set of values, fast to look up in however large.
#[derive(Debug, Default)]
pub(crate) struct Operands {
    /// Ascending.
    pub(super) strings: Vec<Box<str>>,
    /// Ascending.
    pub(super) numbers: Vec<f64>,
    pub(super) others: Vec<Value>,
}

impl FromIterator<Value> for Operands {
    fn from_iter<I: IntoIterator<Item = Value>>(values: I) -> Self {
        let mut operands = Self::default();
        for value in values {
            match value {
                Value::String(text) => operands.strings.push(text),
                // Minus zero equals zero, but the total order that sorting needs tells them apart.
                Value::Number(number) => operands.numbers.push(number + 0.0),
                other => operands.others.push(other),
            }
        }
        operands.strings.sort_unstable();
        operands.numbers.sort_unstable_by(f64::total_cmp);
        operands
    }
}

impl Operands {
    /// Ascending.
    pub(crate) fn strings(&self) -> &[Box<str>] {
        &self.strings
    }

    /// Ascending.
    pub(crate) fn numbers(&self) -> &[f64] {
        &self.numbers
    }

    /// Neither strings nor numbers.
    pub(crate) fn others(&self) -> &[Value] {
        &self.others
    }
}
