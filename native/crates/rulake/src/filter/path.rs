//! Names of fields, resolved against interned keys.

use crate::value::{Interner, Key, Object, Value};

/// Most parts of a path.
pub(crate) const MAX_PARTS: usize = 16;

/// A path into metadata. For the parts `p0.p1.….pn` the keys of every run `pi.….pj` are known, so that literal keys
/// with dots are found without joining strings.
#[derive(Debug)]
pub(crate) struct FieldPath {
    text: Box<str>,
    /// `runs[i][j - i]` is the key of the parts `i..=j`.
    runs: Box<[Box<[Key]>]>,
}

impl FieldPath {
    /// `None` if the path has too many parts.
    pub(super) fn new(text: &str, interner: &Interner) -> Option<Self> {
        // Where each part starts, and one past where the last would end.
        let starts: Vec<usize> = std::iter::once(0)
            .chain(text.match_indices('.').map(|(i, _)| i + 1))
            .collect();
        if starts.len() > MAX_PARTS {
            return None;
        }
        let end_of = |j: usize| starts.get(j + 1).map_or(text.len(), |next| next - 1);
        let runs = starts
            .iter()
            .enumerate()
            .map(|(i, &start)| {
                (i..starts.len())
                    .map(|j| interner.key(&text[start..end_of(j)]))
                    .collect()
            })
            .collect();
        Some(Self {
            text: text.into(),
            runs,
        })
    }

    /// As the filter has it.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The value at the path: the longest literal key wins at every level.
    pub(super) fn find<'a>(&self, object: &'a Object) -> Option<&'a Value> {
        match &*self.runs {
            [only] => only.first().and_then(|&key| object.get(key)),
            _ => self.find_from(0, object),
        }
    }

    fn find_from<'a>(&self, part: usize, object: &'a Object) -> Option<&'a Value> {
        let runs = self.runs.get(part)?;
        for (length, &key) in runs.iter().enumerate().rev() {
            match object.get(key) {
                Some(value) if length + 1 == runs.len() => return Some(value),
                Some(Value::Object(inner)) => {
                    if let Some(found) = self.find_from(part + length + 1, inner) {
                        return Some(found);
                    }
                }
                _ => {}
            }
        }
        None
    }
}
