//! Everything a user can do with an index file that may be damaged.

use std::path::Path;

use rabitq::{AllowList, Control, Error, Index, OpenOptions, Result, SearchOptions, Verify};

use crate::choices::Choices;

/// Calls made at will, before the two that always follow.
const CALLS: usize = 6;

/// Numbers of an addition, at most.
const MOST_NUMBERS: usize = 1 << 20;

/// Opens a file and, if that works, uses the index in every way.
///
/// # Panics
/// If opening fails for any other reason than the file's contents.
pub fn exercise(path: &Path, choices: &mut Choices<'_>) {
    let verify = choices.pick(&[Verify::Auto, Verify::Full, Verify::Lazy]);
    match Index::open(path, OpenOptions { verify }, Control::default()) {
        Ok(index) => {
            // A damaged block may come to light late, in any call; the others must then still work.
            for _ in 0..CALLS {
                if choices.is_done() {
                    break;
                }
                expected(&act(&index, path, choices));
            }
            expected(&read(&index));
            expected(&search(&index, choices));
        }
        Err(error) => assert!(
            matches!(error.code(), "CORRUPT_FILE" | "UNSUPPORTED_FORMAT"),
            "{}: {error}",
            error.code()
        ),
    }
}

/// Calls are given sound arguments, so only the file can be at fault.
fn expected(outcome: &Result<()>) {
    if let Err(error) = outcome {
        let text = error.to_string();
        assert!(!text.is_empty());
        assert!(
            matches!(
                error,
                Error::Corrupt { .. }
                    | Error::NoRawVectors { .. }
                    | Error::InvalidOption { .. }
                    | Error::NotFinite { .. }
                    | Error::NormOutOfRange { .. }
            ),
            "{}: {text}",
            error.code()
        );
    }
}

fn act(index: &Index, path: &Path, choices: &mut Choices<'_>) -> Result<()> {
    match choices.below(16) {
        0..=2 => add(index, choices),
        3..=5 => delete(index, choices),
        // Seldom: what was added has to be grouped anew first.
        6 => save(index, path, choices),
        7 => read(index),
        _ => search(index, choices),
    }
}

fn vector(index: &Index, choices: &mut Choices<'_>) -> Vec<f32> {
    (0..index.options().dimensions)
        .map(|_| f32::from(choices.byte().cast_signed()) / 16.0)
        .collect()
}

fn search(index: &Index, choices: &mut Choices<'_>) -> Result<()> {
    let mut query = vector(index, choices);
    let k = choices.pick(&[1, 10, 3, 100, usize::MAX]);
    let allowed: Vec<i64> = (0..choices.below(900)).map(|i| (i * 7) as i64).collect();
    let allow = AllowList::new(allowed);
    let options = SearchOptions {
        allow: choices.once_in(4).then_some(&allow),
        recall_target: choices.once_in(4).then(|| choices.pick(&[0.5, 0.99, 1.0])),
        nprobe: choices.once_in(4).then(|| choices.pick(&[1, 3, u32::MAX])),
        rerank_factor: choices.once_in(4).then(|| choices.pick(&[1, 20, 1024])),
    };
    if choices.once_in(4) {
        query.extend_from_within(..);
        let answers = index.search_batch(&query, k, &options, Control::default())?;
        assert_eq!(answers.len(), 2);
        return Ok(());
    }
    let hits = index.search(&query, k, &options, Control::default())?;
    assert!(hits.len() <= k.min(index.len()));
    Ok(())
}

fn read(index: &Index) -> Result<()> {
    let stats = index.stats();
    assert_eq!(stats.rows, index.len());
    let ids = index.ids()?;
    for &id in ids.iter().take(50) {
        index.contains(id)?;
        index.get(id)?;
    }
    for row in index.rows()?.take(1000) {
        row?;
    }
    Ok(())
}

fn add(index: &Index, choices: &mut Choices<'_>) -> Result<()> {
    // Beyond a few hundred rows, additions are encoded anew around another centre; some replace rows of the file.
    // Few of those of an empty file that promises thousands of dimensions: what is added is not the file's fault.
    let most = (MOST_NUMBERS / index.options().dimensions) as i64;
    let rows = choices.pick(&[1, 2, 40, 700]).min(most);
    let first = choices.pick(&[0, 600, 10_000]);
    let seed = vector(index, choices);
    let ids: Vec<i64> = (first..first + rows).collect();
    let vectors: Vec<f32> = ids
        .iter()
        .flat_map(|&id| seed.iter().map(move |v| v + (id % 17) as f32))
        .collect();
    index.add(&ids, &vectors, Control::default())
}

fn delete(index: &Index, choices: &mut Choices<'_>) -> Result<()> {
    let (first, count) = (choices.below(700) as i64, choices.pick(&[1, 30, 2000]));
    let ids: Vec<i64> = (first..first + count).collect();
    let before = index.len();
    let deleted = index.delete(&ids)?;
    assert_eq!(index.len(), before - deleted);
    Ok(())
}

/// What was saved opens again.
fn save(index: &Index, path: &Path, choices: &mut Choices<'_>) -> Result<()> {
    let target = path.with_extension(choices.pick(&["saved", "saved", "saved", "rbpx"]));
    index.save(&target, Control::default())?;
    let again = Index::open(&target, OpenOptions::default(), Control::default())?;
    assert_eq!(again.len(), index.len());
    Ok(())
}
