//! `rulake.json` made anew: all it holds is that the directory is a lake.

use std::path::Path;

use super::place;
use crate::error::IoContext;
use crate::{Error, Result, files, lake_file, load};

/// Replaces the file if it is damaged, or missing beside collections.
pub(super) fn recover(lake: &Path) -> Result<Vec<String>> {
    let path = lake_file::path(lake);
    let reason = match lake_file::check(lake) {
        Err(Error::Corrupt { reason, .. }) => reason,
        Err(error) if error.code() == "FILE_NOT_FOUND" && has_collections(lake)? => {
            "it was missing".to_owned()
        }
        Err(error) if error.code() == "FILE_NOT_FOUND" => return Ok(Vec::new()),
        other => return other.map(|()| Vec::new()),
    };
    // A link that leads nowhere, too.
    if path.symlink_metadata().is_ok() {
        let place = place(lake);
        files::create_dir(&place)?;
        std::fs::rename(&path, place.join(lake_file::NAME)).at(&path)?;
    }
    lake_file::create(lake)?;
    Ok(vec![format!("{} was made anew: {reason}", lake_file::NAME)])
}

fn has_collections(lake: &Path) -> Result<bool> {
    for name in files::names(lake)? {
        if load::exists(&lake.join(name))? {
            return Ok(true);
        }
    }
    Ok(false)
}
