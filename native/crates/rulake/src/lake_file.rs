//! `rulake.json`: what makes a directory a lake.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::manifest::{FORMAT, Version, now};
use crate::ulid::Ulid;
use crate::{Error, Result, files, sealed};

pub(crate) const NAME: &str = "rulake.json";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LakeFile {
    format: u32,
    id: String,
    /// Milliseconds since 1970.
    created: u64,
}

pub(crate) fn path(lake: &Path) -> PathBuf {
    lake.join(NAME)
}

/// Makes a directory a lake, unless it is one.
pub(crate) fn create(lake: &Path) -> Result<()> {
    let content = LakeFile {
        format: FORMAT,
        id: Ulid::unique().to_string(),
        created: now(),
    };
    files::create_new(&path(lake), &sealed::seal(&content)?.0)?;
    Ok(())
}

/// Whether a directory is a lake that can be read.
///
/// # Errors
/// `FILE_NOT_FOUND`, `CORRUPT_FILE`, `UNSUPPORTED_FORMAT`, `IO`.
pub(crate) fn check(lake: &Path) -> Result<()> {
    let path = path(lake);
    let bytes = files::read(&path)?;
    // The format first: a later one may have other fields.
    let (version, _): (Version, _) = sealed::unseal(&path, &bytes)?;
    if version.format > FORMAT {
        let reason = format!(
            "lake format {} is newer than the {FORMAT} this version of rulake reads",
            version.format
        );
        return Err(Error::UnsupportedFormat { path, reason });
    }
    let _: (LakeFile, _) = sealed::unseal(&path, &bytes)?;
    Ok(())
}
