//! Metadata in memory: JSON values with interned keys.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// Number of an interned key.
pub(crate) type Key = u32;

/// A JSON value. Numbers are IEEE doubles, as in JavaScript.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(f64),
    String(Box<str>),
    Array(Box<[Value]>),
    Object(Object),
}

/// The members of a JSON object, ordered by key number; of a repeated key the last member counts, as in `JSON.parse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Object(Box<[(Key, Value)]>);

impl Object {
    pub(crate) fn new(mut members: Vec<(Key, Value)>) -> Self {
        if !members.is_sorted_by(|a, b| a.0 < b.0) {
            // Stable, so that the last of equal keys is the last of its run.
            members.sort_by_key(|member| member.0);
            members.reverse();
            members.dedup_by_key(|member| member.0);
            members.reverse();
        }
        Self(members.into())
    }

    pub(crate) fn get(&self, key: Key) -> Option<&Value> {
        // Objects are small: a scan beats a binary search up to a dozen members.
        if self.0.len() <= 12 {
            return self
                .0
                .iter()
                .find(|member| member.0 == key)
                .map(|member| &member.1);
        }
        self.0
            .binary_search_by_key(&key, |member| member.0)
            .ok()
            .and_then(|i| self.0.get(i))
            .map(|member| &member.1)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Ordered by key number.
    pub(crate) fn members(&self) -> &[(Key, Value)] {
        &self.0
    }
}

/// Numbers for key texts, so that objects neither repeat nor compare them.
#[derive(Debug, Default)]
pub(crate) struct Interner(RwLock<Keys>);

#[derive(Debug, Default)]
struct Keys {
    numbers: HashMap<Arc<str>, Key>,
    texts: Vec<Arc<str>>,
}

impl Interner {
    /// The number of a key, new if it has none yet.
    pub(crate) fn key(&self, text: &str) -> Key {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(&key) = keys.numbers.get(text) {
            return key;
        }
        drop(keys);
        let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(&key) = keys.numbers.get(text) {
            return key;
        }
        let key = Key::try_from(keys.texts.len()).unwrap_or(Key::MAX);
        let text: Arc<str> = text.into();
        keys.texts.push(text.clone());
        keys.numbers.insert(text, key);
        key
    }

    /// The key of a number.
    pub(crate) fn text(&self, key: Key) -> Arc<str> {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        keys.texts.get(key as usize).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_repeated_keys_counts() {
        let object = Object::new(vec![
            (2, Value::Null),
            (1, Value::Bool(true)),
            (2, Value::Number(3.0)),
        ]);
        assert_eq!(object.get(2), Some(&Value::Number(3.0)));
        assert_eq!(object.get(1), Some(&Value::Bool(true)));
        assert_eq!(object.get(0), None);
        let many = Object::new(
            (0..40)
                .rev()
                .map(|i| (i, Value::Number(f64::from(i))))
                .collect(),
        );
        assert_eq!(many.get(17), Some(&Value::Number(17.0)));
        assert_eq!(many.get(40), None);
    }

    #[test]
    fn a_key_keeps_its_number() {
        let interner = Interner::default();
        let (a, b) = (interner.key("a"), interner.key("b"));
        assert_ne!(a, b);
        assert_eq!(interner.key("a"), a);
        assert_eq!((&*interner.text(a), &*interner.text(b)), ("a", "b"));
    }
}
