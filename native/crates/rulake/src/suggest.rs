//! What a misspelt name was probably meant to be.

/// `"; did you mean '$gte'?"`, or nothing if no candidate is close. Leading `$` and letter case do not count.
pub(crate) fn did_you_mean<S: AsRef<str>>(name: &str, candidates: &[S]) -> String {
    let plain = |text: &str| text.trim_start_matches('$').to_ascii_lowercase();
    let given: String = plain(name).chars().take(40).collect();
    let allowed = (given.len() / 3).max(1);
    let distance = |candidate: &S| edits(&given, &plain(candidate.as_ref()));
    let best = candidates
        .iter()
        .map(|candidate| (distance(candidate), candidate))
        .min_by_key(|pair| pair.0);
    match best {
        Some((distance, candidate)) if distance <= allowed => {
            format!("; did you mean '{}'?", candidate.as_ref())
        }
        _ => String::new(),
    }
}

/// Levenshtein distance.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_names_are_suggested_and_far_ones_are_not() {
        assert_eq!(
            did_you_mean("dcs", &["docs", "memory"]),
            "; did you mean 'docs'?"
        );
        assert_eq!(
            did_you_mean("$GTR", &["$lt", "$gt"]),
            "; did you mean '$gt'?"
        );
        assert_eq!(did_you_mean("conversations", &["docs"]), "");
        assert_eq!(did_you_mean::<&str>("x", &[]), "");
    }
}
