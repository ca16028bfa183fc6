//! A JSON parser (RFC 8259) that interns keys.
//!
//! Metadata is stored as the text it came in and parsed only to be filtered, so the parser may round: numbers become
//! doubles and an escaped unpaired surrogate, which `JSON.stringify` writes and strict parsers refuse, becomes U+FFFD.

use crate::value::{Interner, Key, Object, Value};

/// Deepest nesting of arrays and objects.
pub(crate) const MAX_DEPTH: usize = 128;

/// What is wrong with a text, and at which byte.
#[derive(Debug, PartialEq)]
pub(crate) struct JsonError {
    pub(crate) reason: &'static str,
    pub(crate) offset: usize,
}

/// Parses a text that must be one object.
pub(crate) fn parse_object(text: &str, interner: &Interner) -> Result<Object, JsonError> {
    let mut parser = Parser {
        text,
        bytes: text.as_bytes(),
        at: 0,
        interner,
    };
    parser.space();
    if parser.peek() != Some(b'{') {
        return Err(parser.error("expected a JSON object"));
    }
    let value = parser.value(0)?;
    parser.space();
    if parser.at < parser.bytes.len() {
        return Err(parser.error("unexpected text after the object"));
    }
    match value {
        Value::Object(object) => Ok(object),
        _ => Err(parser.error("expected a JSON object")),
    }
}

struct Parser<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    interner: &'a Interner,
}

impl Parser<'_> {
    fn error(&self, reason: &'static str) -> JsonError {
        JsonError {
            reason,
            offset: self.at,
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8, reason: &'static str) -> Result<(), JsonError> {
        if self.peek() != Some(byte) {
            return Err(self.error(reason));
        }
        self.at += 1;
        Ok(())
    }

    fn value(&mut self, depth: usize) -> Result<Value, JsonError> {
        if depth > MAX_DEPTH {
            return Err(self.error("nested more than 128 deep"));
        }
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => Ok(Value::String(self.string()?.into())),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(self.error("expected a value")),
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, JsonError> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(self.error("expected a value"));
        }
        self.at += word.len();
        Ok(value)
    }

    fn object(&mut self, depth: usize) -> Result<Value, JsonError> {
        self.at += 1;
        let mut members: Vec<(Key, Value)> = Vec::new();
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Object(Object::default()));
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return Err(self.error("expected a key"));
            }
            let interner = self.interner;
            let key = if let Some(text) = self.plain_string() {
                interner.key(text)
            } else {
                interner.key(&self.string()?)
            };
            self.space();
            self.expect(b':', "expected ':'")?;
            self.space();
            members.push((key, self.value(depth + 1)?));
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(Value::Object(Object::new(members)));
                }
                _ => return Err(self.error("expected ',' or '}'")),
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, JsonError> {
        self.at += 1;
        let mut items = Vec::new();
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::Array(Box::default()));
        }
        loop {
            self.space();
            items.push(self.value(depth + 1)?);
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(Value::Array(items.into()));
                }
                _ => return Err(self.error("expected ',' or ']'")),
            }
        }
    }

    fn number(&mut self) -> Result<Value, JsonError> {
        let start = self.at;
        let digits = |parser: &mut Self| {
            let from = parser.at;
            while matches!(parser.peek(), Some(b'0'..=b'9')) {
                parser.at += 1;
            }
            if parser.at == from {
                Err(parser.error("expected a digit"))
            } else {
                Ok(())
            }
        };
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            digits(self)?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            digits(self)?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            digits(self)?;
        }
        match self.text[start..self.at].parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Value::Number(number)),
            _ => Err(JsonError {
                reason: "a number out of the range of doubles",
                offset: start,
            }),
        }
    }

    /// A string without escapes, borrowed; `None`, and nothing consumed, if it has any or is malformed.
    fn plain_string(&mut self) -> Option<&str> {
        let start = self.at + 1;
        let length = self.bytes[start..]
            .iter()
            .position(|&b| matches!(b, b'"' | b'\\' | 0..=0x1f))?;
        if self.bytes[start + length] != b'"' {
            return None;
        }
        self.at = start + length + 1;
        Some(&self.text[start..start + length])
    }

    fn string(&mut self) -> Result<String, JsonError> {
        if let Some(plain) = self.plain_string() {
            return Ok(plain.to_owned());
        }
        self.at += 1;
        let mut out = String::new();
        loop {
            let start = self.at;
            let Some(length) = self.bytes[start..]
                .iter()
                .position(|&b| matches!(b, b'"' | b'\\' | 0..=0x1f))
            else {
                return Err(self.error("a string without an end"));
            };
            out.push_str(&self.text[start..start + length]);
            self.at = start + length;
            match self.bytes[self.at] {
                b'"' => {
                    self.at += 1;
                    return Ok(out);
                }
                b'\\' => {
                    self.at += 1;
                    out.push(self.escape()?);
                }
                _ => return Err(self.error("a control character inside a string")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        let byte = self
            .peek()
            .ok_or_else(|| self.error("a string without an end"))?;
        self.at += 1;
        Ok(match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let unit = self.hex4()?;
                let paired = self.bytes[self.at..].starts_with(b"\\u");
                if (0xd800..0xdc00).contains(&unit) && paired {
                    let before = self.at;
                    self.at += 2;
                    let low = self.hex4()?;
                    if (0xdc00..0xe000).contains(&low) {
                        let code = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                        return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                    }
                    self.at = before;
                }
                char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            _ => return Err(self.error("an unknown escape")),
        })
    }

    fn hex4(&mut self) -> Result<u32, JsonError> {
        let digits = self
            .bytes
            .get(self.at..self.at + 4)
            .ok_or_else(|| self.error("a \\u escape of fewer than four digits"))?;
        let mut unit = 0;
        for &digit in digits {
            let value = char::from(digit)
                .to_digit(16)
                .ok_or_else(|| self.error("a \\u escape with a wrong digit"))?;
            unit = unit * 16 + value;
        }
        self.at += 4;
        Ok(unit)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Object, JsonError> {
        parse_object(text, &Interner::default())
    }

    /// What `serde_json` makes of the same text, in our form.
    fn reference(value: &serde_json::Value, interner: &Interner) -> Value {
        match value {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(b) => Value::Bool(*b),
            serde_json::Value::Number(n) => Value::Number(n.as_f64().unwrap()),
            serde_json::Value::String(s) => Value::String(s.as_str().into()),
            serde_json::Value::Array(a) => {
                Value::Array(a.iter().map(|v| reference(v, interner)).collect())
            }
            serde_json::Value::Object(o) => Value::Object(Object::new(
                o.iter()
                    .map(|(k, v)| (interner.key(k), reference(v, interner)))
                    .collect(),
            )),
        }
    }

    pub(crate) fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<f64>()
                .prop_filter("finite", |f| f.is_finite())
                .prop_map(Into::into),
            any::<i32>().prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                prop::collection::vec((any::<String>(), inner), 0..6)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn agrees_with_serde_json(value in json()) {
            let interner = Interner::default();
            let wrapped = serde_json::json!({ "v": value });
            for text in [wrapped.to_string(), serde_json::to_string_pretty(&wrapped).unwrap()] {
                let parsed = parse_object(&text, &interner).unwrap();
                prop_assert_eq!(Value::Object(parsed), reference(&wrapped, &interner));
            }
        }

        #[test]
        fn never_panics_and_accepts_no_more_than_serde_json(text in r#"[\{\}\[\]:,"\\ue0-9.truefalsnl -]{0,40}"#) {
            let text = format!("{{{text}");
            if parse(&text).is_ok() {
                // serde_json refuses unpaired surrogates, the one thing that is accepted here.
                prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok() || text.contains("\\u"));
            } else {
                prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_err());
            }
        }
    }

    #[test]
    fn unpaired_surrogates_are_read_as_the_replacement_character() {
        let interner = Interner::default();
        let key = interner.key("a");
        let object =
            parse_object(r#"{"a":"x\ud800y\ud83d\ude00\ude00\ud83dA"}"#, &interner).unwrap();
        assert_eq!(
            object.get(key),
            Some(&Value::String("x\u{fffd}y😀\u{fffd}\u{fffd}A".into()))
        );
    }

    #[test]
    fn refuses_what_json_does_not_know() {
        for text in [
            "",
            "[]",
            "1",
            "{",
            "{}x",
            "{\"a\":01}",
            "{\"a\":1.}",
            "{\"a\":+1}",
            "{\"a\":1e400}",
            "{\"a\":NaN}",
            "{'a':1}",
            "{\"a\":1,}",
            "{\"a\":\"\u{1}\"}",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
        assert_eq!(
            parse(&deep).unwrap_err().reason,
            "nested more than 128 deep"
        );
        let fine = format!("{{\"a\":{}{}}}", "[".repeat(127), "]".repeat(127));
        assert!(parse(&fine).is_ok());
    }
}
