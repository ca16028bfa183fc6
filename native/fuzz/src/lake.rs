//! A small lake as the files it consists of, and what users do with one.

use std::path::{Path, PathBuf};

use rulake::{
    Batch, Collection, CollectionOptions, Durability, Include, IndexChoice, Lake, LakeOptions,
    Result, SearchRequest, Selection,
};

use crate::choices::Choices;
use crate::scramble::scramble;
use crate::{damage, repair};

/// Relative names and contents.
pub type Files = Vec<(PathBuf, Vec<u8>)>;

const ALL: Include = Include {
    vector: true,
    text: true,
    metadata: true,
};

fn put(docs: &Collection, ids: std::ops::Range<u32>) -> Result<()> {
    let mut batch = Batch::new();
    for id in ids {
        let vector = [1.0, id as f32, (id * 7 % 11) as f32];
        batch.push_with_vector(
            &format!("id{id}"),
            &vector,
            Some(&format!("text {id}")),
            Some(&format!(r#"{{"n":{id},"s":"x"}}"#)),
        )?;
    }
    docs.upsert_and_wait(batch, Durability::Fsync).map(|_| ())
}

/// The files of a lake with two checkpoints and a log behind them.
pub fn sample(dir: &Path) -> Files {
    let fill = || -> Result<()> {
        let lake = Lake::open(dir, LakeOptions::default())?;
        let options = CollectionOptions {
            index: Some(IndexChoice::RabitqPlus),
            ..CollectionOptions::default()
        };
        let docs = lake.collection("docs", options)?;
        put(&docs, 0..40)?;
        docs.compact()?;
        put(&docs, 5..20)?;
        docs.delete_and_wait(Selection::Ids(vec!["id3".into()]), Durability::Fsync)?;
        docs.compact()?;
        put(&docs, 30..50)?;
        docs.delete_and_wait(Selection::Ids(vec!["id7".into()]), Durability::Fsync)?;
        Ok(())
    };
    fill().expect("a sound lake");
    let mut files = Vec::new();
    collect(dir, dir, &mut files);
    files.sort();
    files
}

/// Adds the files in a directory and below, with names relative to `root`.
pub fn collect(root: &Path, dir: &Path, files: &mut Files) {
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(root, &path, files);
        } else if let Ok(name) = path.strip_prefix(root) {
            files.push((name.into(), std::fs::read(&path).expect("a file")));
        }
    }
}

/// Changes a file; mostly its checksums agree afterwards.
pub fn damage(name: &Path, bytes: &mut Vec<u8>, other: &[u8], choices: &mut Choices<'_>) {
    let extension = name
        .extension()
        .and_then(|text| text.to_str())
        .unwrap_or_default();
    if extension == "rbq" {
        *bytes = damage::damage(bytes, &[], choices).bytes;
        return;
    }
    scramble(bytes, other, choices);
    if choices.once_in(16) {
        return;
    }
    match extension {
        "json" => repair::sealed(bytes),
        "log" => repair::log(bytes),
        "bin" => repair::blocks(bytes),
        _ => {}
    }
}

/// Puts the files, and no others, into a directory.
pub fn write(dir: &Path, files: &Files) {
    let _ = std::fs::remove_dir_all(dir);
    for (name, bytes) in files {
        let path = dir.join(name);
        std::fs::create_dir_all(path.parent().unwrap_or(dir)).expect("a directory");
        std::fs::write(path, bytes).expect("a file");
    }
}

/// Opens the lake, reads everything and, unless it is to stay as it is, changes it and makes a checkpoint.
pub fn exercise(dir: &Path, choices: &mut Choices<'_>) {
    let read_only = choices.once_in(2);
    if let Err(error) = session(dir, read_only) {
        let known = [
            "CORRUPT_FILE",
            "UNSUPPORTED_FORMAT",
            "NOT_A_LAKE",
            "COLLECTION_NOT_FOUND",
            "COLLECTION_MISMATCH",
            "FILE_NOT_FOUND",
            "IO",
            "DIMENSION_MISMATCH",
            "WRITER_POISONED",
        ];
        assert!(known.contains(&error.code()), "{}: {error}", error.code());
    }
}

fn session(dir: &Path, read_only: bool) -> Result<()> {
    let options = LakeOptions {
        read_only,
        ..Default::default()
    };
    let lake = Lake::open(dir, options)?;
    let docs = lake.collection("docs", CollectionOptions::default())?;
    let used = read(&docs);
    docs.verify(None)?;
    used?;
    if !read_only {
        put(&docs, 10..60)?;
        docs.delete_and_wait(
            Selection::Filter(r#"{"n":{"$lt":15}}"#.into()),
            Durability::Fsync,
        )?;
        docs.compact()?;
        read(&docs)?;
    }
    lake.close()
}

fn read(docs: &Collection) -> Result<()> {
    docs.stats()?;
    docs.get(&["id1".into(), "id40".into()], ALL)?;
    docs.count(Some(r#"{"n":{"$gt":3},"s":"x"}"#), None)?;
    let mut scan = docs.scan(None, ALL)?;
    while !scan.next_chunk(16, usize::MAX, None)?.is_empty() {}
    let request = SearchRequest {
        k: 5,
        filter: Some(r#"{"n":{"$gt":3}}"#.into()),
        include: ALL,
        ..SearchRequest::default()
    };
    docs.search(&[1.0, 2.0, 3.0], 1, &request, None)?;
    Ok(())
}
