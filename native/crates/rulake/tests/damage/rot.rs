//! Bytes that change while a lake is open, after they were read and found right.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use rulake::{Batch, Collection, Durability, Include, SearchRequest, Selection};

use crate::directory::{copy, files};
use crate::docs::{ALL, open};

/// Enough for files that are mapped: small ones are copied, and nothing can happen to them.
const RECORDS: usize = 4000;
const NONE: Include = Include {
    vector: false,
    text: false,
    metadata: false,
};

fn put(docs: &Collection, numbers: std::ops::Range<usize>) {
    let mut batch = Batch::new();
    for i in numbers {
        let metadata = Some(format!("{{\"n\":{i}}}"));
        batch
            .push_with_vector(
                &id(i),
                &[i as f32, 1.0, 2.0, 3.0],
                Some(&id(i * 7).repeat(60)),
                metadata.as_deref(),
            )
            .unwrap();
    }
    docs.upsert_and_wait(batch, Durability::Fsync).unwrap();
}

fn id(i: usize) -> String {
    format!("k{i}")
}

fn get(docs: &Collection) -> rulake::Result<Vec<(String, Option<Vec<f32>>)>> {
    let ids: Vec<String> = (0..RECORDS).map(id).collect();
    let found = docs.get(&ids, ALL)?;
    Ok(found.into_iter().map(|it| (it.id, it.vector)).collect())
}

/// The first file of a name, in whatever segment.
fn find(lake: &Path, name: &str) -> PathBuf {
    let mut all = files(lake).into_iter();
    let is_it = |file: &PathBuf| file.file_name().unwrap().to_string_lossy().contains(name);
    all.find(is_it).unwrap()
}

/// Changes bytes in place.
fn rot(path: &Path, at: u64, length: usize, change: impl Fn(&mut [u8])) {
    let mut file = File::options().read(true).write(true).open(path).unwrap();
    let mut bytes = vec![0; length];
    file.seek(SeekFrom::Start(at)).unwrap();
    file.read_exact(&mut bytes).unwrap();
    change(&mut bytes);
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(&bytes).unwrap();
}

#[test]
fn a_merge_seals_no_damage() {
    let pristine = tempfile::tempdir().unwrap();
    let (lake, docs) = open(pristine.path()).unwrap();
    put(&docs, 0..RECORDS);
    docs.compact().unwrap();
    put(&docs, RECORDS..2 * RECORDS);
    let gone = Selection::Ids((3..600).map(id).collect());
    docs.delete_and_wait(gone, Durability::Fsync).unwrap();
    // So much in the log becomes a segment, and the deletions a mask.
    lake.close().unwrap();
    for (name, share) in [
        ("index.rbq", 0.3),
        ("index.rbq", 0.6),
        ("index.rbq", 0.9),
        ("rows.idx", 0.2),
        ("rows.idx", 0.5),
        ("rows.idx", 0.9),
        ("rows.arrow", 0.5),
        ("deletes-", 0.5),
    ] {
        let dir = tempfile::tempdir().unwrap();
        copy(pristine.path(), dir.path());
        let (_lake, docs) = open(dir.path()).unwrap();
        assert_eq!(get(&docs).unwrap().len(), RECORDS - 597);
        assert_eq!(docs.verify(None).unwrap().problems, []);
        let before = docs.stats().unwrap();
        assert_eq!(before.segments, 2);
        let file = find(dir.path(), name);
        let length = std::fs::metadata(&file).unwrap().len();
        rot(&file, (length as f64 * share) as u64, 1, |it| it[0] ^= 0x10);
        for _ in 0..2 {
            let error = docs.compact().unwrap_err();
            assert_eq!(error.code(), "CORRUPT_FILE", "{name}: {error}");
            assert!(error.hint().unwrap().contains("recover"));
        }
        assert_eq!(docs.stats().unwrap(), before, "{name}");
        assert_ne!(docs.verify(None).unwrap().problems, [], "{name}");
    }
}

#[test]
fn rows_that_are_zeroed_while_they_are_open_are_damage() {
    let dir = tempfile::tempdir().unwrap();
    let (_lake, docs) = open(dir.path()).unwrap();
    put(&docs, 0..RECORDS);
    docs.compact().unwrap();
    let request = SearchRequest {
        k: 3,
        include: ALL,
        ..SearchRequest::default()
    };
    let search = || docs.search(&[1.0, 1.0, 2.0, 3.0], 1, &request, None);
    for warm in [false, true] {
        let file = find(dir.path(), "rows.idx");
        let bytes = std::fs::read(&file).unwrap();
        // Checks it all, but reads no record batch.
        let ids: Vec<String> = (0..RECORDS).map(id).collect();
        assert_eq!(docs.get(&ids, NONE).unwrap().len(), RECORDS);
        if warm {
            search().unwrap();
        }
        rot(&file, 0, bytes.len(), |it| it.fill(0));
        assert_eq!(search().unwrap_err().code(), "CORRUPT_FILE");
        rot(&file, 0, bytes.len(), |it| it.copy_from_slice(&bytes));
    }
}
