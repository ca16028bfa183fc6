//! A record, but for its vector.

/// Most bytes of an id.
pub const MAX_ID_BYTES: usize = 1024;
/// Most bytes of a record's metadata as JSON.
pub const MAX_METADATA_BYTES: usize = 64 << 20;
/// Most bytes of a record's text.
pub const MAX_TEXT_BYTES: usize = 1 << 30;

/// Id, text and metadata of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parts<'a> {
    /// 1 to [`MAX_ID_BYTES`] bytes.
    pub(crate) id: &'a str,
    /// Any text.
    pub(crate) text: Option<&'a str>,
    /// A JSON object, kept byte by byte.
    pub(crate) metadata: Option<&'a str>,
}

impl Parts<'_> {
    /// Bytes of all of them.
    pub(crate) fn len(&self) -> usize {
        let size = |part: Option<&str>| part.map_or(0, str::len);
        self.id.len() + size(self.text) + size(self.metadata)
    }
}

/// Where the parts of a record are in a string that holds them one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    id: u16,
    text: Option<u32>,
    metadata: Option<u32>,
}

impl Layout {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the parts' most bytes are fewer"
    )]
    pub(crate) fn of(parts: &Parts<'_>) -> Self {
        Self {
            id: parts.id.len() as u16,
            text: parts.text.map(|text| text.len() as u32),
            metadata: parts.metadata.map(|metadata| metadata.len() as u32),
        }
    }

    /// The parts at the beginning of a string, which was put together after this layout.
    pub(crate) fn split(self, joined: &str) -> Parts<'_> {
        let mut rest = joined;
        let mut next = |length: usize| {
            let (part, after) = rest.split_at_checked(length).unwrap_or_default();
            rest = after;
            part
        };
        Parts {
            id: next(usize::from(self.id)),
            text: self.text.map(|length| next(length as usize)),
            metadata: self.metadata.map(|length| next(length as usize)),
        }
    }
}

/// A record that is kept in memory. Its parts are in one allocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    joined: Box<str>,
    layout: Layout,
    pub(crate) has_vector: bool,
}

impl Record {
    pub(crate) fn new(parts: &Parts<'_>, has_vector: bool) -> Self {
        let mut joined = String::with_capacity(parts.len());
        for part in [Some(parts.id), parts.text, parts.metadata] {
            joined.push_str(part.unwrap_or_default());
        }
        Self {
            joined: joined.into(),
            layout: Layout::of(parts),
            has_vector,
        }
    }

    pub(crate) fn parts(&self) -> Parts<'_> {
        self.layout.split(&self.joined)
    }
}
