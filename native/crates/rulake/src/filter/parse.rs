//! From JSON text to a [`Filter`].

use serde_json::{Map, Value as Json};

use super::ast::{Bound, Field, Filter, Operands, Test};
use super::path::{FieldPath, MAX_PARTS};
use crate::suggest::did_you_mean;
use crate::value::{Interner, Object, Value};
use crate::{Error, Result};

/// Longest text of a filter; room for a hundred thousand ids in an `$in`.
const MAX_BYTES: usize = 16 << 20;
/// Deepest nesting of `$and`, `$or` and `$not`.
const MAX_DEPTH: usize = 32;
/// Most objects and arrays within one another, those of operands included: what `serde_json` reads.
const MAX_LEVELS: usize = 127;
/// Most conditions of a filter.
const MAX_CONDITIONS: usize = 10_000;

const COMBINATIONS: [&str; 3] = ["$and", "$or", "$not"];
const TOP: [&str; 5] = ["$and", "$or", "$not", "$id", "$text"];
const OPERATORS: [&str; 16] = [
    "$eq",
    "$ne",
    "$gt",
    "$gte",
    "$lt",
    "$lte",
    "$in",
    "$nin",
    "$exists",
    "$isEmpty",
    "$contains",
    "$containsAny",
    "$containsAll",
    "$startsWith",
    "$textMatch",
    "$not",
];

impl Filter {
    /// Parses a filter; see the [module](super) for the language.
    ///
    /// # Errors
    /// `INVALID_FILTER`, naming the place and, for a misspelt operator, what was probably meant.
    pub(crate) fn parse(text: &str, interner: &Interner) -> Result<Self> {
        let mut parser = Parser {
            interner,
            conditions: 0,
        };
        if text.len() > MAX_BYTES {
            return Err(invalid(
                "the filter",
                format!("it is longer than {MAX_BYTES} bytes"),
            ));
        }
        let json: Json = serde_json::from_str(text).map_err(|error| {
            // The parser's own limit, which it tells by this text only.
            let reason = if error.to_string().starts_with("recursion limit exceeded") {
                format!("objects and arrays nested more than {MAX_LEVELS} deep")
            } else {
                format!("it is not valid JSON: {error}")
            };
            invalid("the filter", reason)
        })?;
        parser.filter(&json, "", 0)
    }

    /// Whether every record satisfies it for want of any condition.
    pub(crate) fn is_trivial(&self) -> bool {
        matches!(self, Self::All(filters) if filters.iter().all(Self::is_trivial))
    }
}

struct Parser<'a> {
    interner: &'a Interner,
    conditions: usize,
}

impl Parser<'_> {
    fn filter(&mut self, json: &Json, at: &str, depth: usize) -> Result<Filter> {
        let place = if at.is_empty() { "the filter" } else { at };
        let Json::Object(members) = json else {
            return Err(invalid(
                place,
                format!("expected an object, found {}", describe(json)),
            ));
        };
        if depth > MAX_DEPTH {
            return Err(invalid(place, format!("nested more than {MAX_DEPTH} deep")));
        }
        let mut all = Vec::with_capacity(members.len());
        for (name, operand) in members {
            let at = join(at, name);
            match name.as_str() {
                "$and" => all.push(Filter::All(self.filters(operand, &at, depth)?)),
                "$or" => all.push(Filter::Any(self.filters(operand, &at, depth)?)),
                "$not" => all.push(Filter::Not(Box::new(self.filter(
                    operand,
                    &at,
                    depth + 1,
                )?))),
                _ => self.field(name, operand, &at, depth, &mut all)?,
            }
        }
        Ok(match (all.len(), all.pop()) {
            (1, Some(only)) => only,
            (_, Some(last)) => {
                all.push(last);
                Filter::All(all)
            }
            (_, None) => Filter::All(all),
        })
    }

    fn filters(&mut self, json: &Json, at: &str, depth: usize) -> Result<Vec<Filter>> {
        let Json::Array(items) = json else {
            return Err(invalid(
                at,
                format!("expected an array of filters, found {}", describe(json)),
            ));
        };
        items
            .iter()
            .enumerate()
            .map(|(i, item)| self.filter(item, &format!("{at}[{i}]"), depth + 1))
            .collect()
    }

    fn field(
        &mut self,
        name: &str,
        operand: &Json,
        at: &str,
        depth: usize,
        out: &mut Vec<Filter>,
    ) -> Result<()> {
        let field = |interner: &Interner| match name {
            "$id" => Ok(Field::Id),
            "$text" => Ok(Field::Text),
            _ if name.starts_with('$') => {
                let reason = if OPERATORS.contains(&name) && !COMBINATIONS.contains(&name) {
                    format!("{name} belongs below a field: {{ field: {{ {name}: … }} }}")
                } else {
                    format!("unknown operator{}", did_you_mean(name, &TOP))
                };
                Err(invalid(at, reason))
            }
            _ => match FieldPath::new(name, interner) {
                Some(path) => Ok(Field::Metadata(path)),
                None => Err(invalid(at, format!("a path has at most {MAX_PARTS} parts"))),
            },
        };
        // An unknown name is reported before what is wrong below it.
        field(self.interner)?;
        for test in self.tests(operand, at, depth)? {
            out.push(Filter::Field(field(self.interner)?, test));
        }
        Ok(())
    }

    fn tests(&mut self, json: &Json, at: &str, depth: usize) -> Result<Vec<Test>> {
        match json {
            Json::Object(members) if members.keys().any(|key| key.starts_with('$')) => {
                self.operators(members, at, depth)
            }
            value => {
                self.count(at)?;
                Ok(vec![Test::Eq(self.value(value))])
            }
        }
    }

    fn operators(
        &mut self,
        members: &Map<String, Json>,
        at: &str,
        depth: usize,
    ) -> Result<Vec<Test>> {
        if depth > MAX_DEPTH {
            return Err(invalid(at, format!("nested more than {MAX_DEPTH} deep")));
        }
        let mut tests = Vec::with_capacity(members.len());
        for (name, operand) in members {
            self.count(at)?;
            let at = join(at, name);
            let test = match name.as_str() {
                "$eq" => Test::Eq(self.value(operand)),
                "$ne" => Test::Ne(self.value(operand)),
                "$gt" => Test::Gt(bound(operand, &at)?),
                "$gte" => Test::Gte(bound(operand, &at)?),
                "$lt" => Test::Lt(bound(operand, &at)?),
                "$lte" => Test::Lte(bound(operand, &at)?),
                "$in" => Test::In(self.operands(operand, &at)?),
                "$nin" => Test::Nin(self.operands(operand, &at)?),
                "$exists" => Test::Exists(flag(operand, &at)?),
                "$isEmpty" => Test::IsEmpty(flag(operand, &at)?),
                "$contains" => Test::Contains(self.value(operand)),
                "$containsAny" => Test::ContainsAny(self.operands(operand, &at)?),
                "$containsAll" => {
                    Test::ContainsAll(array(operand, &at)?.iter().map(|v| self.value(v)).collect())
                }
                "$startsWith" => Test::StartsWith(string(operand, &at)?.into()),
                "$textMatch" => Test::TextMatch(string(operand, &at)?.to_lowercase().into()),
                "$not" => match operand {
                    Json::Object(inner) if inner.keys().any(|key| key.starts_with('$')) => {
                        Test::Not(self.operators(inner, &at, depth + 1)?)
                    }
                    other => {
                        let reason = format!(
                            "expected an object of operators, found {}; for a value use $ne",
                            describe(other)
                        );
                        return Err(invalid(&at, reason));
                    }
                },
                _ if name.starts_with('$') => {
                    return Err(invalid(
                        &at,
                        format!("unknown operator{}", did_you_mean(name, &OPERATORS)),
                    ));
                }
                _ => {
                    return Err(invalid(
                        &at,
                        "operators and plain keys cannot stand in one object",
                    ));
                }
            };
            tests.push(test);
        }
        Ok(tests)
    }

    fn operands(&self, json: &Json, at: &str) -> Result<Operands> {
        Ok(array(json, at)?
            .iter()
            .map(|value| self.value(value))
            .collect())
    }

    fn value(&self, json: &Json) -> Value {
        match json {
            Json::Null => Value::Null,
            Json::Bool(flag) => Value::Bool(*flag),
            Json::Number(number) => Value::Number(number.as_f64().unwrap_or(f64::NAN)),
            Json::String(text) => Value::String(text.as_str().into()),
            Json::Array(items) => Value::Array(items.iter().map(|item| self.value(item)).collect()),
            Json::Object(members) => Value::Object(Object::new(
                members
                    .iter()
                    .map(|(k, v)| (self.interner.key(k), self.value(v)))
                    .collect(),
            )),
        }
    }

    fn count(&mut self, at: &str) -> Result<()> {
        self.conditions += 1;
        if self.conditions > MAX_CONDITIONS {
            return Err(invalid(
                at,
                format!("more than {MAX_CONDITIONS} conditions; use $in for long lists"),
            ));
        }
        Ok(())
    }
}

fn bound(json: &Json, at: &str) -> Result<Bound> {
    match json {
        Json::Number(number) => Ok(Bound::Number(number.as_f64().unwrap_or(f64::NAN))),
        Json::String(text) => Ok(Bound::String(text.as_str().into())),
        other => Err(invalid(
            at,
            format!("expected a number or a string, found {}", describe(other)),
        )),
    }
}

fn flag(json: &Json, at: &str) -> Result<bool> {
    json.as_bool().ok_or_else(|| {
        invalid(
            at,
            format!("expected true or false, found {}", describe(json)),
        )
    })
}

fn string<'a>(json: &'a Json, at: &str) -> Result<&'a str> {
    json.as_str()
        .ok_or_else(|| invalid(at, format!("expected a string, found {}", describe(json))))
}

fn array<'a>(json: &'a Json, at: &str) -> Result<&'a [Json]> {
    match json {
        Json::Array(items) => Ok(items),
        other => Err(invalid(
            at,
            format!("expected an array, found {}", describe(other)),
        )),
    }
}

fn join(at: &str, name: &str) -> String {
    let name: String = name.chars().take(100).collect();
    if at.is_empty() {
        name
    } else {
        format!("{at}.{name}")
    }
}

fn invalid(at: &str, reason: impl Into<String>) -> Error {
    Error::InvalidFilter {
        at: at.to_owned(),
        reason: reason.into(),
    }
}

fn describe(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::String(_) => "a string",
        Json::Array(_) => "an array",
        Json::Object(_) => "an object",
    }
}
