//! Small JSON files that carry the digest of their own content:
//! `{"body":<json>,"shake256":"<64 hexadecimal digits>"}` and a newline, with not one other byte.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::digest::{self, HEX_LEN};
use crate::{Error, Result};

const HEAD: &str = r#"{"body":"#;
const MIDDLE: &str = r#","shake256":""#;
const TAIL: &str = "\"}\n";

/// The bytes of a sealed file, and the digest of its body.
pub(crate) fn seal(body: &impl Serialize) -> Result<(Vec<u8>, String)> {
    let body = serde_json::to_string(body).map_err(|error| Error::Internal(error.to_string()))?;
    let digest = digest::of_bytes(body.as_bytes());
    Ok((
        format!("{HEAD}{body}{MIDDLE}{digest}{TAIL}").into_bytes(),
        digest,
    ))
}

/// The body of a sealed file and its digest.
pub(crate) fn unseal<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<(T, String)> {
    let corrupt = |reason: &str| Error::corrupt(path, reason);
    let body = bytes
        .strip_prefix(HEAD.as_bytes())
        .and_then(|rest| rest.strip_suffix(TAIL.as_bytes()))
        .ok_or_else(|| corrupt("the file is cut off or not a sealed JSON file"))?;
    let Some(end) = body.len().checked_sub(HEX_LEN) else {
        return Err(corrupt("the file is cut off"));
    };
    let (body, stated) = body.split_at(end);
    let Some(body) = body.strip_suffix(MIDDLE.as_bytes()) else {
        return Err(corrupt("the digest is not where it should be"));
    };
    let found = digest::of_bytes(body);
    if found.as_bytes() != stated {
        let stated = String::from_utf8_lossy(stated);
        return Err(corrupt(&format!(
            "the digest of the content is {found}, the file states {stated}"
        )));
    }
    let value = serde_json::from_slice(body).map_err(|error| corrupt(&error.to_string()))?;
    Ok((value, found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let path = Path::new("m.json");
        let body = vec!["one".to_owned(), "zwei ü".to_owned()];
        let (bytes, digest) = seal(&body).unwrap();
        assert_eq!(unseal::<Vec<String>>(path, &bytes).unwrap(), (body, digest));
        for i in 0..bytes.len() {
            for bit in 0..8 {
                let mut broken = bytes.clone();
                broken[i] ^= 1 << bit;
                assert_eq!(
                    unseal::<Vec<String>>(path, &broken).unwrap_err().code(),
                    "CORRUPT_FILE"
                );
            }
            assert!(unseal::<Vec<String>>(path, &bytes[..i]).is_err());
        }
    }
}
