//! SHAKE-256 digests (FIPS 202) of 32 bytes, written as hexadecimal.

use std::io::Read;
use std::path::Path;

use shake::Shake256;
use shake::digest::{ExtendableOutput, Update, XofReader};

use crate::error::IoContext;
use crate::{Result, files};

/// Digits of a digest.
pub(crate) const HEX_LEN: usize = 64;

/// A digest under way.
#[derive(Clone, Default)]
pub(crate) struct Digest(Shake256);

impl Digest {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn finish(self) -> String {
        hex(&self.finish_bytes::<{ HEX_LEN / 2 }>())
    }

    /// The first bytes of the output, which has no end.
    pub(crate) fn finish_bytes<const N: usize>(self) -> [u8; N] {
        let mut out = [0_u8; N];
        self.0.finalize_xof().read(&mut out);
        out
    }
}

/// Digest of bytes.
pub(crate) fn of_bytes(bytes: &[u8]) -> String {
    let mut digest = Digest::default();
    digest.update(bytes);
    digest.finish()
}

/// Length and digest of a file.
pub(crate) fn of_file(path: &Path) -> Result<(u64, String)> {
    let mut file = files::open(path)?;
    let mut digest = Digest::default();
    let mut buffer = vec![0_u8; 256 * 1024];
    let mut length = 0_u64;
    loop {
        let read = file.read(&mut buffer).at(path)?;
        if read == 0 {
            return Ok((length, digest.finish()));
        }
        digest.update(&buffer[..read]);
        length += read as u64;
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value & 15)]);
    bytes
        .iter()
        .flat_map(|&byte| [digit(byte >> 4), digit(byte)])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_digest_is_the_published_one() {
        // NIST, SHAKE256 sample of a 0-bit message, first 256 bits.
        assert_eq!(
            of_bytes(b""),
            "46b9dd2b0ba88d13233b3feb743eeb243fcd52ea62b81b82b50c27646ed5762f"
        );
    }

    #[test]
    fn a_file_has_the_digest_of_its_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let bytes: Vec<u8> = (0..700_000_u32).map(|i| i as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(of_file(&path).unwrap(), (700_000, of_bytes(&bytes)));
    }
}
