//! Damage is noticed, or does not matter.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rulake::{Batch, CollectionOptions, Durability};

use crate::directory::{copy, files};
use crate::docs::{both, content, look, open, put, sample};

#[test]
fn no_flipped_bit_loses_or_changes_a_record_unnoticed() {
    let dir = tempfile::tempdir().unwrap();
    let expected = sample(dir.path());
    let mut unnoticed = BTreeMap::new();
    for file in files(dir.path()) {
        let bytes = fs::read(&file).unwrap();
        let name = file
            .strip_prefix(dir.path())
            .unwrap()
            .to_string_lossy()
            .into_owned();
        // Large files are mostly padding.
        let step = if bytes.len() > 1500 { 11 } else { 1 };
        for at in (0..bytes.len()).step_by(step) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << (at % 8);
            fs::write(&file, damaged).unwrap();
            match look(dir.path())
                .and_then(|(lake, docs)| content(&docs).map(|all| (lake, docs, all)))
            {
                Err(error) => {
                    let known = ["CORRUPT_FILE", "UNSUPPORTED_FORMAT"].contains(&error.code());
                    assert!(known, "{name}: byte {at}: {error}");
                }
                Ok((_lake, docs, all)) => {
                    assert_eq!(all, expected, "{name}: byte {at}");
                    if docs.verify(None).unwrap().problems.is_empty() {
                        *unnoticed.entry(name.clone()).or_insert(0) += 1;
                    }
                }
            }
        }
        fs::write(&file, bytes).unwrap();
    }
    // Only what nothing depends on: who holds the lock, and the last mark of a log, cut off as a torn tail.
    for (name, count) in unnoticed {
        let last_mark = name.contains("wal") && count <= 40;
        assert!(
            name == "LOCK" || last_mark,
            "{name}: {count} flips passed verify()"
        );
    }
}

#[test]
fn a_cut_of_any_file_is_noticed_or_leaves_a_prefix_of_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let expected = sample(dir.path());
    for file in files(dir.path()) {
        let bytes = fs::read(&file).unwrap();
        let name = file
            .strip_prefix(dir.path())
            .unwrap()
            .to_string_lossy()
            .into_owned();
        let step = if bytes.len() > 4000 { 37 } else { 1 };
        for length in (0..bytes.len()).step_by(step) {
            fs::write(&file, &bytes[..length]).unwrap();
            match look(dir.path()).and_then(|(_lake, docs)| content(&docs)) {
                Err(error) => assert_eq!(
                    error.code(),
                    "CORRUPT_FILE",
                    "{name}: {length} bytes: {error}"
                ),
                Ok(all) => assert_eq!(all, expected, "{name}: {length} bytes"),
            }
        }
        fs::write(&file, bytes).unwrap();
    }
}

#[test]
fn a_crash_at_any_length_of_the_log_leaves_whole_batches_and_can_be_written_to() {
    let dir = tempfile::tempdir().unwrap();
    let (pristine, crashed) = (dir.path().join("a"), dir.path().join("b"));
    let (lake, docs) = open(&pristine).unwrap();
    lake.collection("empty", CollectionOptions::default())
        .unwrap();
    put(&docs, "first", 1);
    let mut batch = Batch::new();
    for i in 0..10 {
        batch
            .push_with_vector(&format!("b{i}"), &[i as f32, 1.0, 2.0, 3.0], None, None)
            .unwrap();
    }
    docs.upsert_and_wait(batch, Durability::Fsync).unwrap();
    // As it is on disk while the process lives: no clean close.
    copy(&pristine, &crashed);
    drop(lake);
    let log = files(&crashed)
        .into_iter()
        .find(|file| file.extension().is_some_and(|e| e == "log"))
        .unwrap();
    let bytes = fs::read(&log).unwrap();
    let base = dir.path().join("base");
    copy(&crashed, &base);
    for length in 0..=bytes.len() {
        let _ = fs::remove_dir_all(&crashed);
        copy(&base, &crashed);
        fs::write(&log, &bytes[..length]).unwrap();
        if length < 32 {
            // The header is durable before anything refers to the log.
            assert_eq!(open(&crashed).err().unwrap().code(), "CORRUPT_FILE");
            let none = crashed.join("empty/wal/reach.json");
            fs::copy(none, log.with_file_name("reach.json")).unwrap();
        }
        let (lake, docs) = open(&crashed).unwrap();
        let before = docs.len();
        assert!(
            [0, 1, 11].contains(&before),
            "{before} records at {length} bytes"
        );
        if length % 16 == 0 {
            put(&docs, "after", 9);
            lake.close().unwrap();
            let (_lake, docs) = open(&crashed).unwrap();
            assert_eq!(docs.len(), before + 1, "at {length} bytes");
            assert_eq!(docs.verify(None).unwrap().problems, []);
        }
    }
}

#[test]
fn a_directory_in_the_place_of_a_log_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let (_lake, docs) = open(dir.path()).unwrap();
    put(&docs, "a", 1);
    let log = |file: &PathBuf| file.extension().is_some_and(|extension| extension == "log");
    let log = files(dir.path()).into_iter().find(log).unwrap();
    fs::remove_file(&log).unwrap();
    fs::create_dir(&log).unwrap();
    let compacted = (0..3).try_for_each(|i| {
        put(&docs, "b", i);
        docs.compact()
    });
    let error = compacted.unwrap_err();
    let told = (error.code(), error.hint().is_some());
    assert_eq!(told, ("CORRUPT_FILE", true), "{error}");
    assert!(
        error.to_string().contains(".log: it is not a regular file"),
        "{error}"
    );
    assert_eq!(docs.verify(None).unwrap().problems.len(), 1);
}

#[test]
fn what_a_crashed_checkpoint_leaves_is_ignored_and_cleared() {
    let dir = tempfile::tempdir().unwrap();
    let expected = sample(dir.path());
    let collection = dir.path().join("docs");
    fs::create_dir_all(collection.join("seg/01ARZ3NDEKTSV4RRFFQ69G5FAV")).unwrap();
    fs::write(
        collection.join("seg/01ARZ3NDEKTSV4RRFFQ69G5FAV/rows.arrow"),
        b"half",
    )
    .unwrap();
    fs::write(
        collection.join("manifest/.draft-1-00000000000000000004.json"),
        b"{",
    )
    .unwrap();
    fs::create_dir_all(dir.path().join(".dropped-old-1/seg")).unwrap();
    let (lake, docs) = open(dir.path()).unwrap();
    assert_eq!(content(&docs).unwrap(), expected);
    docs.compact().unwrap();
    assert_eq!(content(&docs).unwrap(), expected);
    assert_eq!(docs.verify(None).unwrap().problems, []);
    lake.close().unwrap();
    assert!(
        !files(dir.path())
            .iter()
            .any(|file| file.to_string_lossy().contains(".draft-"))
    );
    assert!(!dir.path().join(".dropped-old-1").exists());
}

#[test]
fn only_two_checkpoints_and_their_logs_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, docs) = open(dir.path()).unwrap();
    for i in 0..6 {
        put(&docs, "r", i);
        docs.compact().unwrap();
        docs.compact().unwrap();
    }
    let names = |sub: &str| {
        fs::read_dir(dir.path().join("docs").join(sub))
            .unwrap()
            .count()
    };
    assert_eq!((names("manifest"), names("seg"), names("wal")), (2, 2, 2));
    assert_eq!(docs.stats().unwrap().generation, 7);
    lake.close().unwrap();
}

#[test]
fn a_missing_log_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    for i in 0..3 {
        let (lake, docs) = open(dir.path()).unwrap();
        put(&docs, &format!("r{i}"), i);
        lake.close().unwrap();
    }
    let all = files(&dir.path().join("docs/wal"));
    assert_eq!(all.len(), 4, "three logs, and how far they reach");
    for log in &all[..3] {
        let bytes = fs::read(log).unwrap();
        for rest in [None, Some(&bytes[..64]), Some(&[0; 400])] {
            match rest {
                None => fs::remove_file(log).unwrap(),
                Some(rest) => fs::write(log, rest).unwrap(),
            }
            assert_eq!(look(dir.path()).err().unwrap().code(), "CORRUPT_FILE");
            assert_eq!(open(dir.path()).err().unwrap().code(), "CORRUPT_FILE");
        }
        fs::write(log, bytes).unwrap();
    }
    let (_lake, docs) = open(dir.path()).unwrap();
    assert_eq!(docs.len(), 3);
}

#[test]
fn what_goes_while_it_is_open_is_noticed_by_verifying() {
    for name in ["docs/wal", ".sessions", "rulake.json"] {
        let dir = tempfile::tempdir().unwrap();
        let (lake, docs) = open(dir.path()).unwrap();
        put(&docs, "r", 1);
        both(&lake, "a");
        for file in files(dir.path()) {
            let relative = file.strip_prefix(dir.path()).unwrap();
            if relative.starts_with(name) && !relative.ends_with("reach.json") {
                assert_eq!(docs.verify(None).unwrap().problems, []);
                fs::remove_file(&file).unwrap();
                let found = docs.verify(None).unwrap().problems;
                assert!(!found.is_empty(), "{relative:?}");
            }
        }
    }
}

/// Files that stand for one another: of the same name, or logs, manifests, masks.
fn role(file: &Path) -> String {
    let name = file.file_name().unwrap().to_string_lossy().into_owned();
    let generic: String = name.chars().filter(|c| !c.is_ascii_digit()).collect();
    format!("{:?} {generic}", file.extension())
}

#[test]
fn no_file_takes_the_place_of_another_unnoticed() {
    let dir = tempfile::tempdir().unwrap();
    let expected = sample(dir.path());
    let all = files(&dir.path().join("docs"));
    let mut swaps = 0;
    for (i, a) in all.iter().enumerate() {
        for b in &all[i + 1..] {
            if role(a) != role(b) {
                continue;
            }
            swaps += 1;
            let (old_a, old_b) = (fs::read(a).unwrap(), fs::read(b).unwrap());
            fs::write(a, &old_b).unwrap();
            fs::write(b, &old_a).unwrap();
            match look(dir.path()).and_then(|(_lake, docs)| content(&docs)) {
                Err(error) => assert_eq!(error.code(), "CORRUPT_FILE", "{a:?} {b:?}: {error}"),
                Ok(all) => assert_eq!(all, expected, "{a:?} {b:?}"),
            }
            fs::write(a, &old_a).unwrap();
            fs::write(b, &old_b).unwrap();
        }
    }
    assert!(swaps >= 6, "{swaps}");
}

#[test]
fn a_missing_or_foreign_file_is_noticed_or_not_needed() {
    let dir = tempfile::tempdir().unwrap();
    let expected = sample(dir.path());
    for file in files(&dir.path().join("docs")) {
        let bytes = fs::read(&file).unwrap();
        for foreign in [
            None,
            Some(&b"%PDF-1.7 something else altogether"[..]),
            Some(&b""[..]),
        ] {
            match foreign {
                None => fs::remove_file(&file).unwrap(),
                Some(content) => fs::write(&file, content).unwrap(),
            }
            match look(dir.path()).and_then(|(_lake, docs)| content(&docs)) {
                Err(error) => {
                    let known = ["CORRUPT_FILE", "FILE_NOT_FOUND", "IO"].contains(&error.code());
                    assert!(known, "{file:?}: {error}");
                }
                // Without the newest manifest it is the generation before, and the log after that.
                Ok(all) => assert_eq!(all, expected, "{file:?}"),
            }
            fs::write(&file, &bytes).unwrap();
        }
    }
    assert_eq!(
        look(dir.path())
            .and_then(|(_lake, docs)| content(&docs))
            .unwrap(),
        expected
    );
}
