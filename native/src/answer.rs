//! The answer of one search on its way out, for the usual few hits: what a call costs beside the search is mostly this.
//!
//! Numbers cross as one array and ids as one string. JSON would have numbers printed and parsed, and V8 looks for every
//! string of up to ten characters that it parses in the table of all it knows.

use napi::bindgen_prelude::{Either, Float64ArraySlice, ToNapiValue};
use napi::{Env, sys};
use rulake::Match;

use crate::error::Result;
use crate::found::{FoundRecords, LARGE_TEXT, OBJECT, TURN, string, utf8};

/// V8 copies shorter parts of a string when they are cut out; longer ones keep the whole string alive.
const CUT: usize = 13;

/// Hits without vectors; `[numbers, ids, json]` in JavaScript.
///
/// `numbers` are the distances and, if ids are short, where each ends in `ids` (UTF-16 units). `json` is empty or an array
/// of three columns: long ids, texts, metadata; 0 for a column that nobody asked for, null for what a record does not
/// have.
#[derive(Debug, PartialEq)]
pub struct Answer {
    numbers: Vec<f64>,
    ids: String,
    json: String,
}

impl Answer {
    /// The answer, unless it is too large for one turn of the event loop, or has vectors.
    ///
    /// # Errors
    /// `INTERNAL`.
    pub fn of(hits: Vec<Match>) -> Result<Either<Self, FoundRecords>> {
        if is_small(&hits) {
            Ok(Either::A(Self::new(&hits)?))
        } else {
            FoundRecords::of_answers(vec![hits]).map(Either::B)
        }
    }

    fn new(hits: &[Match]) -> Result<Self> {
        let mut numbers = Vec::with_capacity(2 * hits.len());
        numbers.extend(hits.iter().map(|hit| hit.distance));
        let mut ids = String::new();
        let units = |id: &str| id.encode_utf16().count();
        let short = hits.iter().all(|hit| units(&hit.record.id) < CUT);
        if short {
            let mut end = 0;
            for Match { record, .. } in hits {
                end += units(&record.id);
                ids.push_str(&record.id);
                #[expect(clippy::cast_precision_loss, reason = "a few thousand at most")]
                numbers.push(end as f64);
            }
        }
        let record = || hits.iter().map(|hit| &hit.record);
        let texts = record().any(|record| record.text.is_some());
        let metadata = record().any(|record| record.metadata.is_some());
        let mut json = Vec::new();
        if !short || texts || metadata {
            let ids = record().map(|record| Some(record.id.as_str()));
            column(&mut json, b'[', (!short).then_some(ids), string)?;
            let all = record().map(|record| record.text.as_deref());
            column(&mut json, b',', texts.then_some(all), string)?;
            let all = record().map(|record| record.metadata.as_deref());
            column(&mut json, b',', metadata.then_some(all), |json, text| {
                // It is JSON.
                json.extend_from_slice(text.as_bytes());
                Ok(())
            })?;
            json.push(b']');
        }
        Ok(Self {
            numbers,
            ids,
            json: utf8(json)?,
        })
    }
}

/// Whether an answer has no vectors and nothing that has to be read in pieces.
fn is_small(hits: &[Match]) -> bool {
    let mut weight = 0;
    for Match { record, .. } in hits {
        let text = record.text.as_ref().map_or(0, String::len);
        if record.vector.is_some() || text >= LARGE_TEXT {
            return false;
        }
        weight += OBJECT + record.id.len() + text + record.metadata.as_ref().map_or(0, String::len);
    }
    weight < TURN
}

/// A separator and an array of what `write` makes of the values.
fn column<'a>(
    json: &mut Vec<u8>,
    separator: u8,
    values: Option<impl Iterator<Item = Option<&'a str>>>,
    write: impl Fn(&mut Vec<u8>, &str) -> Result<()>,
) -> Result<()> {
    json.push(separator);
    let Some(values) = values else {
        json.push(b'0');
        return Ok(());
    };
    let mut before = b'[';
    for value in values {
        json.push(before);
        before = b',';
        match value {
            Some(value) => write(json, value)?,
            None => json.extend_from_slice(b"null"),
        }
    }
    json.push(b']');
    Ok(())
}

impl ToNapiValue for Answer {
    unsafe fn to_napi_value(env: sys::napi_env, answer: Self) -> napi::Result<sys::napi_value> {
        let env = Env::from_raw(env);
        let mut array = env.create_array(3)?;
        array.set(0, Float64ArraySlice::copy_from(&env, answer.numbers)?)?;
        array.set(1, answer.ids)?;
        array.set(2, answer.json)?;
        // SAFETY: `env` is the caller's, and the array was made in it just now.
        unsafe { ToNapiValue::to_napi_value(env.raw(), array) }
    }
}

#[cfg(test)]
mod tests {
    use rulake::Found;

    use super::*;

    fn hit(id: &str, text: Option<&str>, metadata: Option<&str>) -> Match {
        let record = Found {
            id: id.into(),
            text: text.map(Into::into),
            metadata: metadata.map(Into::into),
            vector: None,
        };
        Match {
            record,
            score: 0.75,
            distance: 0.25,
        }
    }

    fn small(hits: Vec<Match>) -> Answer {
        match Answer::of(hits).unwrap() {
            Either::A(answer) => answer,
            Either::B(_) => panic!("too large"),
        }
    }

    #[test]
    fn short_ids_come_in_one_string_with_their_ends_in_utf_16() {
        let hits = vec![
            hit("a", None, None),
            hit("\u{1F600}ü", None, None),
            hit("twelve chars", None, None),
        ];
        let answer = small(hits);
        assert_eq!(answer.numbers, [0.25, 0.25, 0.25, 1.0, 4.0, 16.0]);
        assert_eq!(answer.ids, "a\u{1F600}ütwelve chars");
        assert_eq!(answer.json, "");
        assert_eq!(small(vec![]).numbers, [0.0; 0]);
    }

    #[test]
    fn one_long_id_makes_all_of_them_json() {
        let answer = small(vec![
            hit("a", None, None),
            hit("thirteen \"cha", None, None),
        ]);
        assert_eq!(answer.numbers, [0.25, 0.25]);
        assert_eq!(answer.ids, "");
        assert_eq!(answer.json, r#"[["a","thirteen \"cha"],0,0]"#);
    }

    #[test]
    fn texts_and_metadata_are_columns() {
        let answer = small(vec![
            hit("a", Some("q\"\n\u{2028}"), None),
            hit("b", None, Some(r#"{ "x": [1, "\ud800"] }"#)),
        ]);
        let expected = "[0,[\"q\\\"\\n\u{2028}\",null],[null,{ \"x\": [1, \"\\ud800\"] }]]";
        assert_eq!(answer.json, expected);
    }

    #[test]
    fn what_is_large_or_has_vectors_comes_in_pieces() {
        let large = |hits: Vec<Match>| matches!(Answer::of(hits), Ok(Either::B(_)));
        assert!(large(vec![hit("a", Some(&"t".repeat(LARGE_TEXT)), None)]));
        let many = |n| {
            (0..n)
                .map(|_| hit("a", Some("t"), None))
                .collect::<Vec<_>>()
        };
        assert!(large(many(1000)));
        assert!(!large(many(100)));
        let mut one = hit("a", None, None);
        one.record.vector = Some(vec![1.0]);
        assert!(large(vec![one]));
    }
}
