//! `table.rulake.json`: what a bundle is, as upstream writes it, with a list of files and a signature added.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::content::{self, Content, FORMAT};
use super::source;
use crate::error::IoContext;
use crate::witness::{Generation, WitnessVersion, Witnessed};
use crate::{Error, Result, digest};

/// Name of the description in the directory of a bundle.
pub const TABLE_FILE: &str = "table.rulake.json";
/// Newest version of upstream's fields.
const VERSION: u32 = 2;
/// Upstream reads no longer descriptions, and no longer texts in them.
const MAX_TABLE_BYTES: u64 = 64 << 10;
const MAX_TEXT_BYTES: usize = 4 << 10;
/// Upstream's bounds of the other fields.
const MAX_RERANK: u64 = 1024;
/// Start of the text that is signed; the witness follows.
const SIGNED: &str = "rulake-bundle-signature-v1|";

/// An Ed25519 signature (RFC 8032) of a bundle's witness.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// `ed25519`.
    pub algorithm: String,
    /// The public key, 64 hexadecimal digits.
    pub public_key: String,
    /// The signature, 128 hexadecimal digits.
    pub signature: String,
}

/// The description of a bundle. The fields up to `memory_class`, their order and names are upstream's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    /// 1 or 2; says how the witness is made.
    pub format_version: u32,
    /// Where the data comes from; a text of at most 4 KiB.
    pub data_ref: String,
    /// Numbers in a vector; 0 if there is none.
    pub dim: u64,
    /// Seed of upstream's rotation.
    pub rotation_seed: u64,
    /// Candidates upstream reranks for each answer.
    pub rerank_factor: u64,
    /// Which state it is; with a content, the digest of that.
    pub generation: Generation,
    /// The witness, 64 hexadecimal digits.
    pub rvf_witness: String,
    /// A label of upstream's.
    pub pii_policy: Option<String>,
    /// A label of upstream's.
    pub lineage_id: Option<String>,
    /// A label of upstream's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_class: Option<String>,
    /// The files; bundles of upstream have none listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
    /// Who vouches for it, if anybody does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Signature>,
}

impl Bundle {
    /// Reads and checks the description in a directory: its form, that the witness is that of its fields, and the
    /// generation that of the content. Whether anybody trusts the witness is for the caller to say.
    ///
    /// # Errors
    /// `FILE_NOT_FOUND`, `CORRUPT_FILE`, `UNSUPPORTED_FORMAT`, `UNSAFE_BUNDLE`, `WITNESS_MISMATCH`, `IO`.
    pub fn read(dir: &Path) -> Result<Self> {
        let path = dir.join(TABLE_FILE);
        let (mut file, length) = source::open(&path)?;
        if length > MAX_TABLE_BYTES {
            let reason = format!("{length} bytes; a description has at most {MAX_TABLE_BYTES}");
            return Err(Error::corrupt(&path, reason));
        }
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(
            &mut std::io::Read::take(&mut file, MAX_TABLE_BYTES + 1),
            &mut bytes,
        )
        .at(&path)?;
        Self::parse(&path, &bytes)
    }

    /// [`Bundle::read`] of bytes that were read from `path`.
    ///
    /// # Errors
    /// As [`Bundle::read`].
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self> {
        let corrupt = |reason: String| Error::corrupt(path, reason);
        let unsupported = |reason: String| Error::UnsupportedFormat {
            path: path.to_owned(),
            reason,
        };
        // The versions first: later ones may have other fields.
        let versions: Versions =
            serde_json::from_slice(bytes).map_err(|error| corrupt(error.to_string()))?;
        if versions.format_version == 0 || versions.format_version > VERSION {
            let found = versions.format_version;
            return Err(unsupported(format!(
                "bundle version {found}; this version of rulake reads 1 and {VERSION}"
            )));
        }
        if let Some(ContentVersion { format }) = versions.content
            && format != FORMAT
        {
            return Err(unsupported(format!(
                "content format {format}; this version of rulake reads {FORMAT}"
            )));
        }
        let bundle: Self =
            serde_json::from_slice(bytes).map_err(|error| corrupt(error.to_string()))?;
        if let Some(name) = bundle.content.as_ref().and_then(Content::unsafe_name) {
            return Err(Error::UnsafeBundle {
                path: path.to_owned(),
                reason: format!("{name:?} is no name for a file of a bundle"),
            });
        }
        if let Some(problem) = bundle.problem() {
            return Err(corrupt(problem));
        }
        bundle.check_witness(path)?;
        Ok(bundle)
    }

    /// What is impossible in it, if anything.
    fn problem(&self) -> Option<String> {
        let texts = [
            ("data_ref", Some(&self.data_ref)),
            ("pii_policy", self.pii_policy.as_ref()),
            ("lineage_id", self.lineage_id.as_ref()),
            ("memory_class", self.memory_class.as_ref()),
        ];
        for (name, text) in texts {
            if text.is_some_and(|text| text.len() > MAX_TEXT_BYTES) {
                return Some(format!("{name} is longer than {MAX_TEXT_BYTES} bytes"));
            }
        }
        let vectors = self.content.as_ref().map_or(1, |content| content.vectors);
        if self.dim > rabitq::MAX_DIMENSIONS as u64 || (self.dim == 0 && vectors > 0) {
            return Some(format!("{} dimensions", self.dim));
        }
        if self.rerank_factor > MAX_RERANK {
            return Some(format!("a rerank factor of {}", self.rerank_factor));
        }
        self.content.as_ref().and_then(Content::problem)
    }

    fn check_witness(&self, path: &Path) -> Result<()> {
        let mismatch = |what, found: String, stated: &str| {
            Err(Error::WitnessMismatch {
                path: path.to_owned(),
                what,
                stated: stated.to_owned(),
                found,
            })
        };
        let found = self.witness();
        if found != self.rvf_witness {
            return mismatch("witness of the description", found, &self.rvf_witness);
        }
        let Some(generation) = self.content_generation() else {
            // Who takes the list away would have the files pass for those of an upstream bundle.
            return match &self.generation {
                Generation::Opaque(stated) if content::is_generation(stated) => mismatch(
                    "digest of the list of files",
                    "that of no list".into(),
                    stated,
                ),
                _ => Ok(()),
            };
        };
        match &self.generation {
            Generation::Opaque(stated) if *stated == generation => Ok(()),
            Generation::Opaque(stated) => {
                mismatch("digest of the list of files", generation, stated)
            }
            Generation::Number(n) => {
                mismatch("digest of the list of files", generation, &n.to_string())
            }
        }
    }

    /// The witness of its fields.
    #[must_use]
    pub fn witness(&self) -> String {
        let version = match self.format_version {
            1 => WitnessVersion::V1,
            _ => WitnessVersion::V2,
        };
        let witnessed = Witnessed {
            data_ref: &self.data_ref,
            dimensions: self.dim,
            rotation_seed: self.rotation_seed,
            rerank_factor: self.rerank_factor,
            generation: &self.generation,
        };
        witnessed.witness(version)
    }

    fn content_generation(&self) -> Option<String> {
        let labels = [&self.pii_policy, &self.lineage_id, &self.memory_class].map(Option::as_deref);
        self.content
            .as_ref()
            .map(|content| content.generation(labels))
    }

    /// Fills in version, generation and witness for the other fields.
    pub(crate) fn seal(&mut self) {
        self.format_version = VERSION;
        if let Some(generation) = self.content_generation() {
            self.generation = Generation::Opaque(generation);
        }
        self.rvf_witness = self.witness();
    }

    /// Refuses what readers would refuse.
    ///
    /// # Errors
    /// `INVALID_OPTION`.
    pub(crate) fn check_limits(&self) -> Result<()> {
        let refuse = |option, reason| Err(Error::InvalidOption { option, reason });
        if self.rerank_factor > MAX_RERANK {
            return refuse("rerankFactor", format!("must be at most {MAX_RERANK}"));
        }
        let texts = [
            ("dataRef", Some(&self.data_ref)),
            ("piiPolicy", self.pii_policy.as_ref()),
            ("lineageId", self.lineage_id.as_ref()),
            ("memoryClass", self.memory_class.as_ref()),
        ];
        for (option, text) in texts {
            if text.is_some_and(|text| text.len() > MAX_TEXT_BYTES) {
                return refuse(option, format!("must have at most {MAX_TEXT_BYTES} bytes"));
            }
        }
        Ok(())
    }

    /// The text an Ed25519 key signs.
    #[must_use]
    pub fn signed_text(&self) -> String {
        format!("{SIGNED}{}", self.rvf_witness)
    }

    /// The bytes of the description.
    ///
    /// # Errors
    /// `INTERNAL`.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        serde_json::to_vec_pretty(self).map_err(|error| Error::Internal(error.to_string()))
    }

    /// Replaces the description in a directory as a whole, durably.
    pub(crate) fn write(&self, dir: &Path, draft: &Path) -> Result<PathBuf> {
        let path = dir.join(TABLE_FILE);
        let mut file = fs::File::create(draft).at(draft)?;
        std::io::Write::write_all(&mut file, &self.to_json()?)
            .and_then(|()| file.sync_all())
            .at(draft)?;
        fs::rename(draft, &path).at(&path)?;
        crate::files::sync_dir(dir)?;
        Ok(path)
    }
}

#[derive(Deserialize)]
struct Versions {
    format_version: u32,
    content: Option<ContentVersion>,
}

#[derive(Deserialize)]
struct ContentVersion {
    format: u32,
}

/// The first digits of a digest, which make the name of a file depend on its content.
pub(crate) fn short(digest: &str) -> &str {
    const _: () = assert!(digest::HEX_LEN >= SHORT);
    digest.get(..SHORT).unwrap_or(digest)
}

const SHORT: usize = 16;
