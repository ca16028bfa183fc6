//! Names collections may have.

use crate::{Error, Result};

/// Most bytes of a name.
pub const MAX_NAME: usize = 128;

/// Device names of Windows, where a lake must be copyable to.
const RESERVED: [&str; 22] = [
    "con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8",
    "com9", "lpt1", "lpt2", "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
];

/// Checks a name: ASCII letters, digits, `.`, `_` and `-`, the first one a letter, a digit or `_`, the last one no dot,
/// at most [`MAX_NAME`] characters. A name is also a directory, so nothing a path could give a meaning to is allowed.
///
/// # Errors
/// `INVALID_NAME`.
pub fn check_name(name: &str) -> Result<()> {
    let refuse = |reason| {
        Err(Error::InvalidName {
            name: name.chars().take(200).collect(),
            reason,
        })
    };
    if name.is_empty() {
        return refuse("it is empty");
    }
    if name.len() > MAX_NAME {
        return refuse("it is longer than 128 characters");
    }
    if !name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    {
        return refuse("only letters, digits, '.', '_' and '-' are allowed");
    }
    if name.starts_with(['.', '-']) {
        return refuse("it must start with a letter, a digit or '_'");
    }
    if name.ends_with('.') {
        return refuse("it must not end with a dot");
    }
    let lower = name.to_ascii_lowercase();
    let stem = lower.split('.').next().unwrap_or(&lower);
    if RESERVED.contains(&stem) || lower == "lock" || lower == "rulake.json" {
        return refuse("it is reserved");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_pass_and_path_tricks_do_not() {
        for good in ["docs", "a", "_x", "Docs-2026.v1", "0", &"n".repeat(128)] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        let long = "n".repeat(129);
        for bad in [
            "", ".", "..", "../x", "a/b", "a\\b", ".hidden", "-rf", "a.", "a b", "ä", "con",
            "NUL.txt", "LOCK", "a\0", &long,
        ] {
            let error = check_name(bad).unwrap_err();
            assert_eq!(error.code(), "INVALID_NAME", "{bad:?}");
        }
    }
}
