//! Records on their way out, as JSON: the engine makes objects of one string many times faster than it is handed a
//! string for each field of each record.

use std::cell::RefCell;
use std::vec::IntoIter;

use napi::bindgen_prelude::{Either, Float32ArraySlice, ToNapiValue};
use napi::{Env, sys};
use napi_derive::napi;
use rulake::{Found, Match};

use crate::error::{Failure, Result};
use crate::parameters::to_number;
use crate::pool;

/// Bytes made into JavaScript values in one turn of the event loop.
pub const TURN: usize = 128 << 10;
/// What an object costs beside its bytes, in bytes.
pub const OBJECT: usize = 512;
/// Texts of so many bytes go beside the JSON: they need not be escaped, and may be as long as a string can be.
pub const LARGE_TEXT: usize = 16 << 10;
/// Bytes from which a result is freed on another thread.
const LARGE: usize = 1 << 20;

/// Records found, read in pieces. Made by the job that finds them: there may be many.
#[napi]
pub struct FoundRecords {
    // Only the JavaScript thread has it.
    pieces: RefCell<IntoIter<FoundPiece>>,
    counts: Vec<u32>,
    bytes: usize,
}

/// A piece of [`FoundRecords`].
#[napi(object, object_from_js = false)]
#[derive(Default)]
pub struct FoundPiece {
    /// An array of records; answers of searches have `score` and `distance`.
    pub json: String,
    /// Their vectors, one after the other.
    #[napi(ts_type = "Float32Array")]
    pub vectors: Floats,
    /// Numbers of each vector, 0 where there is none; empty if there are no vectors.
    pub lengths: Vec<u32>,
    /// Positions of records whose texts are not in `json`, for their length.
    pub large: Vec<u32>,
    /// Those texts.
    pub texts: Vec<String>,
}

/// Becomes a `Float32Array` in memory of the JavaScript engine: Electron refuses memory of ours.
#[derive(Default)]
pub struct Floats(Vec<f32>);

impl ToNapiValue for Floats {
    unsafe fn to_napi_value(env: sys::napi_env, floats: Self) -> napi::Result<sys::napi_value> {
        let array = Float32ArraySlice::copy_from(&Env::from_raw(env), floats.0)?;
        // SAFETY: `env` is the caller's, and the array was made in it just now.
        unsafe { ToNapiValue::to_napi_value(env, array) }
    }
}

impl FoundRecords {
    /// Records without scores.
    ///
    /// # Errors
    /// `INTERNAL`.
    pub fn of_records(records: Vec<Found>) -> Result<Self> {
        let mut pieces = Pieces::default();
        for record in records {
            pieces.push(record, None)?;
        }
        pieces.finish(Vec::new())
    }

    /// The answers of several searches, one after the other.
    ///
    /// # Errors
    /// `INTERNAL`.
    pub fn of_answers(answers: Vec<Vec<Match>>) -> Result<Self> {
        let counts = answers
            .iter()
            .map(|answer| u32::try_from(answer.len()).unwrap_or(u32::MAX))
            .collect();
        let mut pieces = Pieces::default();
        for found in answers.into_iter().flatten() {
            pieces.push(found.record, Some((found.score, found.distance)))?;
        }
        pieces.finish(counts)
    }

    /// Only the JSON if that is all there is, and little of it.
    pub fn or_json(self) -> Either<String, Self> {
        let mut pieces = self.pieces.borrow_mut();
        let alone = match pieces.as_slice() {
            [piece] => piece.lengths.is_empty() && piece.large.is_empty(),
            _ => false,
        };
        if alone && let Some(piece) = pieces.next() {
            return Either::A(piece.json);
        }
        drop(pieces);
        Either::B(self)
    }
}

#[napi]
impl FoundRecords {
    /// Pieces not yet read.
    #[napi(getter, catch_unwind)]
    pub fn length(&self) -> f64 {
        to_number(self.pieces.borrow().len())
    }

    /// Answers of each search.
    #[napi(getter, catch_unwind)]
    pub fn counts(&self) -> Vec<u32> {
        self.counts.clone()
    }

    /// The next piece.
    #[napi(catch_unwind)]
    pub fn read(&self) -> Option<FoundPiece> {
        self.pieces.borrow_mut().next()
    }
}

impl Drop for FoundRecords {
    fn drop(&mut self) {
        if self.bytes > LARGE {
            pool::drop_later(self.pieces.take());
        }
    }
}

/// Pieces under construction.
#[derive(Default)]
struct Pieces {
    done: Vec<FoundPiece>,
    bytes: usize,
    json: Vec<u8>,
    /// Records in the last piece, and what they cost.
    records: u32,
    weight: usize,
    last: FoundPiece,
}

impl Pieces {
    fn push(&mut self, record: Found, scores: Option<(f64, f64)>) -> Result<()> {
        let before = self.json.len();
        self.json.push(if self.records == 0 { b'[' } else { b',' });
        self.json.extend_from_slice(b"{\"id\":");
        string(&mut self.json, &record.id)?;
        let mut beside = 0;
        if let Some(text) = record.text {
            if text.len() < LARGE_TEXT {
                self.json.extend_from_slice(b",\"text\":");
                string(&mut self.json, &text)?;
            } else {
                beside += text.len();
                self.last.large.push(self.records);
                self.last.texts.push(text);
            }
        }
        if let Some(metadata) = record.metadata {
            self.json.extend_from_slice(b",\"metadata\":");
            self.json.extend_from_slice(metadata.as_bytes());
        }
        if let Some((score, distance)) = scores {
            self.json.extend_from_slice(b",\"score\":");
            number(&mut self.json, score)?;
            self.json.extend_from_slice(b",\"distance\":");
            number(&mut self.json, distance)?;
        }
        self.json.push(b'}');
        if let Some(vector) = record.vector {
            beside += size_of_val(&*vector);
            // Those before it had none.
            self.last.lengths.resize(self.records as usize, 0);
            self.last
                .lengths
                .push(u32::try_from(vector.len()).unwrap_or(u32::MAX));
            self.last.vectors.0.extend(vector);
        }
        self.records += 1;
        self.weight += self.json.len() - before + beside + OBJECT;
        if self.weight >= TURN {
            self.end_piece()?;
        }
        Ok(())
    }

    fn end_piece(&mut self) -> Result<()> {
        self.json.push(b']');
        self.bytes += self.weight;
        let json = utf8(std::mem::take(&mut self.json))?;
        self.done.push(FoundPiece {
            json,
            ..std::mem::take(&mut self.last)
        });
        (self.records, self.weight) = (0, 0);
        Ok(())
    }

    fn finish(mut self, counts: Vec<u32>) -> Result<FoundRecords> {
        if self.records > 0 || self.done.is_empty() {
            if self.records == 0 {
                self.json.push(b'[');
            }
            self.end_piece()?;
        }
        Ok(FoundRecords {
            pieces: RefCell::new(self.done.into_iter()),
            counts,
            bytes: self.bytes,
        })
    }
}

/// Finished JSON.
pub fn utf8(json: Vec<u8>) -> Result<String> {
    String::from_utf8(json).map_err(|_| Failure::internal("records are not UTF-8"))
}

/// A text as JSON.
pub fn string(json: &mut Vec<u8>, text: &str) -> Result<()> {
    serde_json::to_writer(json, text).map_err(|error| Failure::internal(error.to_string()))
}

fn number(json: &mut Vec<u8>, number: f64) -> Result<()> {
    if number.is_finite() {
        serde_json::to_writer(json, &number).map_err(|error| Failure::internal(error.to_string()))
    } else {
        // What JSON has no word for, it reads from a number that is too large.
        json.extend_from_slice(if number < 0.0 { b"-1e999" } else { b"1e999" });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn found(id: &str, text: Option<&str>, vector: Option<Vec<f32>>) -> Found {
        Found {
            id: id.into(),
            text: text.map(Into::into),
            metadata: Some(r#"{ "a": [1, "\ud800"] }"#.into()),
            vector,
        }
    }

    fn answer(record: Found) -> Match {
        Match {
            record,
            score: 1.0 / 3.0,
            distance: f64::INFINITY,
        }
    }

    #[test]
    fn a_small_answer_is_nothing_but_json() {
        let odd = "q\"\\\n\u{2028}ü\u{1F600}";
        let answers = vec![vec![answer(found(odd, Some(odd), None))]];
        let Ok(Either::A(json)) = FoundRecords::of_answers(answers).map(FoundRecords::or_json)
        else {
            panic!("more than JSON");
        };
        assert!(
            json.contains(r#""metadata":{ "a": [1, "\ud800"] }"#),
            "{json}"
        );
        let json = json.replace("1e999", "7").replace("\\ud800", "x");
        let value: Value = serde_json::from_str(&json).unwrap();
        let expected = json!([{
            "id": odd, "text": odd, "metadata": { "a": [1, "x"] }, "score": 1.0 / 3.0, "distance": 7,
        }]);
        assert_eq!(value, expected);
    }

    #[test]
    fn nothing_found_is_an_empty_array() {
        let json = |found: Result<FoundRecords>| match found.map(FoundRecords::or_json) {
            Ok(Either::A(json)) => json,
            _ => panic!("more than JSON"),
        };
        assert_eq!(json(FoundRecords::of_answers(vec![vec![]])), "[]");
        assert_eq!(json(FoundRecords::of_records(vec![])), "[]");
    }

    #[test]
    fn vectors_large_texts_and_several_answers_come_in_pieces() {
        let text = "t".repeat(LARGE_TEXT);
        let mut records = vec![found("none", Some("short"), None)];
        records.push(found("both", Some(&text), Some(vec![1.0, 2.0])));
        records.push(found("last", None, None));
        let Ok(Either::B(pieces)) = FoundRecords::of_records(records).map(FoundRecords::or_json)
        else {
            panic!("only JSON");
        };
        let piece = pieces.read().unwrap();
        assert!(pieces.read().is_none());
        assert_eq!(
            (piece.lengths, piece.vectors.0),
            (vec![0, 2], vec![1.0, 2.0])
        );
        assert_eq!((piece.large, piece.texts), (vec![1], vec![text]));

        let many = |n: usize| (0..n).map(|i| answer(found(&i.to_string(), Some("x"), None)));
        let answers: Vec<Vec<Match>> = vec![many(300).collect(), vec![], many(1).collect()];
        let pieces = FoundRecords::of_answers(answers).unwrap();
        assert_eq!(pieces.counts(), [300, 0, 1]);
        assert!(pieces.length() > 1.0);
        let mut records = 0;
        while let Some(piece) = pieces.read() {
            let json = piece.json.replace("1e999", "7").replace("\\ud800", "x");
            assert!(json.len() < 2 * TURN);
            records += serde_json::from_str::<Vec<Value>>(&json).unwrap().len();
        }
        assert_eq!(records, 301);
    }
}
