//! Whether a record satisfies a filter.

use super::ast::{Bound, Field, Filter, Operands, Test};
use crate::Result;
use crate::value::{Object, Value};

/// A record as a filter sees it.
pub(crate) trait View {
    fn id(&self) -> Result<&str>;
    fn text(&self) -> Result<Option<&str>>;
    fn metadata(&self) -> Result<Option<&Object>>;
}

/// A field's value without its storage.
#[derive(Clone, Copy)]
enum Found<'a> {
    Text(&'a str),
    Value(&'a Value),
}

impl<'a> Found<'a> {
    fn as_str(self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Value(Value::String(text)) => Some(text),
            Self::Value(_) => None,
        }
    }

    fn equals(self, operand: &Value) -> bool {
        match self {
            Self::Text(text) => matches!(operand, Value::String(other) if **other == *text),
            Self::Value(value) => value == operand,
        }
    }

    fn compare(self, bound: &Bound) -> Option<std::cmp::Ordering> {
        match (bound, self) {
            (Bound::Number(bound), Self::Value(Value::Number(number))) => number.partial_cmp(bound),
            // UTF-8 sorts as code points do.
            (Bound::String(bound), found) => found.as_str().map(|text| text.cmp(bound)),
            _ => None,
        }
    }

    fn is_empty(self) -> bool {
        match self {
            Self::Text(text) => text.is_empty(),
            Self::Value(Value::Null) => true,
            Self::Value(Value::String(text)) => text.is_empty(),
            Self::Value(Value::Array(items)) => items.is_empty(),
            Self::Value(Value::Object(members)) => members.is_empty(),
            Self::Value(Value::Bool(_) | Value::Number(_)) => false,
        }
    }

    fn contains(self, operand: &Value) -> bool {
        match (self, operand) {
            (Self::Value(Value::Array(items)), operand) => items.contains(operand),
            (found, Value::String(part)) => {
                found.as_str().is_some_and(|text| text.contains(&**part))
            }
            _ => false,
        }
    }
}

impl Operands {
    fn has(&self, found: Found<'_>) -> bool {
        match found {
            Found::Text(text) => self.has_str(text),
            Found::Value(value) => self.has_value(value),
        }
    }

    fn has_str(&self, text: &str) -> bool {
        self.strings
            .binary_search_by(|operand| (**operand).cmp(text))
            .is_ok()
    }

    fn has_value(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => self.has_str(text),
            Value::Number(number) => self
                .numbers
                .binary_search_by(|operand| operand.total_cmp(&(number + 0.0)))
                .is_ok(),
            other => self.others.contains(other),
        }
    }

    fn contained_in(&self, found: Found<'_>) -> bool {
        match found {
            Found::Value(Value::Array(items)) => items.iter().any(|item| self.has_value(item)),
            found => found
                .as_str()
                .is_some_and(|text| self.strings.iter().any(|part| text.contains(&**part))),
        }
    }
}

impl Filter {
    /// Whether a record satisfies the filter.
    pub(crate) fn matches(&self, record: &impl View) -> Result<bool> {
        Ok(match self {
            Self::All(filters) => {
                for filter in filters {
                    if !filter.matches(record)? {
                        return Ok(false);
                    }
                }
                true
            }
            Self::Any(filters) => {
                for filter in filters {
                    if filter.matches(record)? {
                        return Ok(true);
                    }
                }
                false
            }
            Self::Not(filter) => !filter.matches(record)?,
            Self::Field(field, test) => field.holds(test, record)?,
        })
    }
}

impl Field {
    /// Whether the field of a record passes a test.
    pub(crate) fn holds(&self, test: &Test, record: &impl View) -> Result<bool> {
        let found = match self {
            Self::Id => Some(Found::Text(record.id()?)),
            Self::Text => record.text()?.map(Found::Text),
            Self::Metadata(path) => record
                .metadata()?
                .and_then(|object| path.find(object))
                .map(Found::Value),
        };
        Ok(test.holds(found))
    }
}

impl Test {
    /// Whether it holds for a record without the field.
    pub(crate) fn holds_for_missing(&self) -> bool {
        self.holds(None)
    }

    /// Whether it holds for a string.
    pub(crate) fn holds_for_text(&self, text: &str) -> bool {
        self.holds(Some(Found::Text(text)))
    }

    fn holds(&self, found: Option<Found<'_>>) -> bool {
        let Some(found) = found else {
            return match self {
                Self::Exists(wanted) => !wanted,
                Self::IsEmpty(wanted) => *wanted,
                Self::Not(tests) => !tests.iter().all(|test| test.holds(None)),
                _ => false,
            };
        };
        match self {
            Self::Eq(operand) => found.equals(operand),
            Self::Ne(operand) => !found.equals(operand),
            Self::Gt(bound) => found.compare(bound).is_some_and(std::cmp::Ordering::is_gt),
            Self::Gte(bound) => found.compare(bound).is_some_and(std::cmp::Ordering::is_ge),
            Self::Lt(bound) => found.compare(bound).is_some_and(std::cmp::Ordering::is_lt),
            Self::Lte(bound) => found.compare(bound).is_some_and(std::cmp::Ordering::is_le),
            Self::In(operands) => operands.has(found),
            Self::Nin(operands) => !operands.has(found),
            Self::Exists(wanted) => *wanted,
            Self::IsEmpty(wanted) => found.is_empty() == *wanted,
            Self::Contains(operand) => found.contains(operand),
            Self::ContainsAny(operands) => operands.contained_in(found),
            // Of a field that cannot contain anything nothing is true, not even that it contains all of nothing.
            Self::ContainsAll(operands) => {
                (found.as_str().is_some() || matches!(found, Found::Value(Value::Array(_))))
                    && operands.iter().all(|operand| found.contains(operand))
            }
            Self::StartsWith(start) => found
                .as_str()
                .is_some_and(|text| text.starts_with(&**start)),
            Self::TextMatch(part) => found
                .as_str()
                .is_some_and(|text| contains_ignoring_case(text, part)),
            Self::Not(tests) => !tests.iter().all(|test| test.holds(Some(found))),
        }
    }
}

fn contains_ignoring_case(text: &str, lower: &str) -> bool {
    if lower.is_empty() {
        return true;
    }
    if text.is_ascii() {
        let (text, part) = (text.as_bytes(), lower.as_bytes());
        return text
            .windows(part.len())
            .any(|window| window.eq_ignore_ascii_case(part));
    }
    text.to_lowercase().contains(lower)
}
