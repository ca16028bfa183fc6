//! What the files of a bundle are, and the digest that stands for all of them.

use serde::{Deserialize, Serialize};

use crate::digest::{Digest, HEX_LEN};
use crate::name::check_name;

/// Version of the list and of the files in it.
pub(crate) const FORMAT: u32 = 1;
const PREFIX: &[u8] = b"rulake-bundle-content-v1|";
/// Start of a generation that is the digest of a content.
const GENERATION: &str = "shake256:";

/// What a file of a bundle holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The vectors as they were given (`ruvec1`).
    Vectors,
    /// Ids, texts and metadata (JSON lines).
    Records,
    /// The vectors once more for upstream's cache (`rbpx`); not read by this crate.
    Index,
}

impl Role {
    /// The name in the file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Vectors => "vectors",
            Self::Records => "records",
            Self::Index => "index",
        }
    }
}

/// A file of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// What it holds.
    pub role: Role,
    /// Its name in the directory of the bundle.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Its SHAKE-256, 64 hexadecimal digits.
    pub shake256: String,
}

/// The part of the description that upstream does not know and ignores.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// Version of this list.
    pub format: u32,
    /// Name of the collection.
    pub collection: String,
    /// How vectors are compared: `cosine`, `ip` or `l2`.
    pub metric: String,
    /// What the collection indexed its vectors with.
    pub index: String,
    /// Records.
    pub records: u64,
    /// Records with a vector.
    pub vectors: u64,
    /// Its files, at most one for each role.
    pub files: Vec<FileEntry>,
}

/// Whether a generation is of the form that [`Content::generation`] gives.
pub(crate) fn is_generation(text: &str) -> bool {
    let digits = text.strip_prefix(GENERATION);
    digits.is_some_and(|digits| digits.len() == HEX_LEN && digits.bytes().all(is_digit))
}

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)
}

impl Content {
    /// The file of a role.
    #[must_use]
    pub fn file(&self, role: Role) -> Option<&FileEntry> {
        self.files.iter().find(|file| file.role == role)
    }

    /// The generation that stands for this content, together with what upstream's witness leaves out.
    #[must_use]
    pub fn generation(&self, labels: [Option<&str>; 3]) -> String {
        let mut digest = Digest::default();
        let number = |digest: &mut Digest, n: u64| digest.update(&n.to_le_bytes());
        let text = |digest: &mut Digest, text: &str| {
            number(digest, text.len() as u64);
            digest.update(text.as_bytes());
        };
        digest.update(PREFIX);
        number(&mut digest, u64::from(self.format));
        for part in [&self.collection, &self.metric, &self.index] {
            text(&mut digest, part);
        }
        number(&mut digest, self.records);
        number(&mut digest, self.vectors);
        for label in labels {
            digest.update(&[u8::from(label.is_some())]);
            if let Some(label) = label {
                text(&mut digest, label);
            }
        }
        number(&mut digest, self.files.len() as u64);
        for file in &self.files {
            text(&mut digest, file.role.name());
            text(&mut digest, &file.name);
            number(&mut digest, file.bytes);
            text(&mut digest, &file.shake256);
        }
        format!("{GENERATION}{}", digest.finish())
    }

    /// What is impossible in it, if anything; names of files that could lead out of the directory come first.
    pub(crate) fn unsafe_name(&self) -> Option<&str> {
        let harmless =
            |name: &str| check_name(name).is_ok() && !name.eq_ignore_ascii_case(super::TABLE_FILE);
        self.files
            .iter()
            .map(|file| file.name.as_str())
            .find(|name| !harmless(name))
    }

    /// What makes no sense in it, if anything.
    pub(crate) fn problem(&self) -> Option<String> {
        for (i, file) in self.files.iter().enumerate() {
            let same = |other: &FileEntry| other.role == file.role || other.name == file.name;
            if self.files[..i].iter().any(same) {
                return Some(format!("'{}' or its role is listed twice", file.name));
            }
            if file.shake256.len() != HEX_LEN || !file.shake256.bytes().all(is_digit) {
                return Some(format!("the digest of '{}' is none", file.name));
            }
        }
        let missing = |role| self.file(role).is_none();
        if self.records > 0 && missing(Role::Records) {
            return Some("there is no file of records".into());
        }
        if self.vectors > 0 && missing(Role::Vectors) {
            return Some("there is no file of vectors".into());
        }
        if self.vectors > self.records {
            return Some(format!(
                "{} vectors for {} records",
                self.vectors, self.records
            ));
        }
        check_name(&self.collection)
            .err()
            .map(|error| error.to_string())
    }
}
