//! Crashes and damage: what was acknowledged is there, or opening says what is wrong.

mod directory;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rulake::{
    Batch, Collection, CollectionOptions, Durability, Include, Lake, LakeOptions, SearchRequest,
    Selection,
};

use directory::{copy, files};

const ALL: Include = Include {
    vector: true,
    text: true,
    metadata: true,
};

fn open(path: &Path) -> rulake::Result<(Lake, Collection)> {
    let lake = Lake::open(path, LakeOptions::default())?;
    let docs = lake.collection("docs", CollectionOptions::default())?;
    Ok((lake, docs))
}

fn put(docs: &Collection, id: &str, seed: u32) {
    let mut batch = Batch::new();
    let vector: Vec<f32> = (0..4)
        .map(|d| ((seed * 7 + d * 3) % 11) as f32 + 0.5)
        .collect();
    batch
        .push_with_vector(
            id.into(),
            &vector,
            Some(format!("text {seed}")),
            Some(format!("{{\"n\":{seed}}}")),
        )
        .unwrap();
    docs.upsert_and_wait(batch, Durability::Fsync).unwrap();
}

/// All records with everything in them.
fn content(docs: &Collection) -> rulake::Result<BTreeMap<String, String>> {
    let mut scan = docs.scan(None, ALL)?;
    let mut all = BTreeMap::new();
    loop {
        let chunk = scan.next_chunk(100, usize::MAX, None)?;
        if chunk.is_empty() {
            // A search reads the index.
            docs.search(
                &[1.0, 2.0, 3.0, 4.0],
                1,
                &SearchRequest {
                    k: 3,
                    ..SearchRequest::default()
                },
                None,
            )?;
            return Ok(all);
        }
        all.extend(
            chunk
                .into_iter()
                .map(|found| (found.id.clone(), format!("{found:?}"))),
        );
    }
}

/// A lake with two checkpoints and a log, closed; and what is in it.
fn sample(path: &Path) -> BTreeMap<String, String> {
    let (lake, docs) = open(path).unwrap();
    for i in 0..6 {
        put(&docs, &format!("r{i}"), i);
    }
    docs.compact().unwrap();
    put(&docs, "r1", 20);
    docs.delete_and_wait(Selection::Ids(vec!["r2".into()]), Durability::Fsync)
        .unwrap();
    docs.compact().unwrap();
    put(&docs, "r3", 30);
    put(&docs, "new", 31);
    docs.delete_and_wait(Selection::Ids(vec!["r4".into()]), Durability::Fsync)
        .unwrap();
    let all = content(&docs).unwrap();
    assert_eq!(all.len(), 5);
    lake.close().unwrap();
    all
}

/// Opens without changing any file.
fn look(path: &Path) -> rulake::Result<(Lake, Collection)> {
    let lake = Lake::open(path, LakeOptions::read_only())?;
    let docs = lake.collection("docs", CollectionOptions::default())?;
    Ok((lake, docs))
}

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
            .push_with_vector(format!("b{i}"), &[i as f32, 1.0, 2.0, 3.0], None, None)
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

/// Writes a record to two collections at once.
fn both(lake: &Lake, id: &str) {
    let session = lake.session().unwrap();
    for name in ["docs", "ledger"] {
        let mut batch = Batch::new();
        batch.push(id.into(), Some("text".into()), None).unwrap();
        session.upsert(name, batch).unwrap();
    }
    session.commit().unwrap();
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

#[test]
fn recovery_opens_what_is_intact_and_says_what_is_lost() {
    let recover = LakeOptions {
        recover: true,
        ..LakeOptions::default()
    };
    let dir = tempfile::tempdir().unwrap();
    let pristine = dir.path().join("pristine");
    let expected = sample(&pristine);
    let mut told = 0;
    for file in files(&pristine.join("docs")) {
        let relative = file.strip_prefix(&pristine).unwrap();
        let place = dir.path().join("damaged");
        copy(&pristine, &place);
        let mut bytes = fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x20;
        fs::write(place.join(relative), bytes).unwrap();
        let lake = Lake::open(&place, recover).unwrap();
        let docs = lake
            .collection("docs", CollectionOptions::default())
            .unwrap();
        let found = content(&docs).unwrap();
        let is_log = file.extension().is_some_and(|extension| extension == "log");
        if docs.lost().is_empty() {
            assert_eq!(found, expected, "{relative:?}");
        } else {
            told += 1;
            // Of the damaged generation everything is in the one before it and in the log.
            assert!(
                found == expected || is_log,
                "{relative:?}: {:?}",
                docs.lost()
            );
            assert!(place.join("docs").read_dir().unwrap().any(|entry| {
                entry
                    .unwrap()
                    .file_name()
                    .to_string_lossy()
                    .starts_with("damaged-")
            }));
        }
        put(&docs, "after", 9);
        docs.compact().unwrap();
        lake.close().unwrap();
        let (lake, docs) = open(&place).unwrap();
        assert_eq!(
            docs.len(),
            found.len() + usize::from(!found.contains_key("after"))
        );
        assert_eq!(docs.verify(None).unwrap().problems, [], "{relative:?}");
        drop(lake);
        fs::remove_dir_all(&place).unwrap();
    }
    assert!(told >= 5, "{told}");
}

#[test]
fn recovery_makes_the_files_of_the_lake_anew() {
    let recover = LakeOptions {
        recover: true,
        ..LakeOptions::default()
    };
    let dir = tempfile::tempdir().unwrap();
    let pristine = dir.path().join("pristine");
    let (lake, docs) = open(&pristine).unwrap();
    put(&docs, "r1", 1);
    both(&lake, "s1");
    both(&lake, "s2");
    put(&docs, "r2", 2);
    lake.close().unwrap();
    let (lake, _docs) = open(&pristine).unwrap();
    both(&lake, "s3");
    lake.close().unwrap();
    let common = files(&pristine).into_iter().filter(|file| {
        file.ends_with("rulake.json") || file.to_string_lossy().contains(".sessions")
    });
    let common: Vec<_> = common.collect();
    assert_eq!(
        common.len(),
        3,
        "the log of sessions, and how far it reaches"
    );
    let place = dir.path().join("damaged");
    for file in common {
        let bytes = fs::read(&file).unwrap();
        let mut flipped = bytes.clone();
        flipped[bytes.len() / 2] ^= 4;
        for damaged in [
            None,
            Some(&bytes[..bytes.len() / 2]),
            Some(&flipped),
            Some(&[0; 40]),
        ] {
            let _ = fs::remove_dir_all(&place);
            copy(&pristine, &place);
            let target = place.join(file.strip_prefix(&pristine).unwrap());
            match damaged {
                None => fs::remove_file(&target).unwrap(),
                Some(damaged) => fs::write(&target, damaged).unwrap(),
            }
            let is_there = open(&place).map(|(_lake, docs)| docs.len());
            let lake = Lake::open(&place, recover).unwrap();
            for (name, records) in [("docs", 5), ("ledger", 3)] {
                let collection = lake.collection(name, CollectionOptions::default()).unwrap();
                assert_eq!(collection.len(), records, "{name}, {target:?}");
                // What nobody misses need not be told.
                assert_eq!(collection.lost().is_empty(), is_there.is_ok(), "{target:?}");
            }
            lake.close().unwrap();
            let (_lake, docs) = open(&place).unwrap();
            assert_eq!(docs.len(), 5, "{target:?}");
            assert_eq!(docs.verify(None).unwrap().problems, [], "{target:?}");
        }
    }
}

#[test]
fn a_session_that_never_happened_is_not_recovered() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, docs) = open(dir.path()).unwrap();
    both(&lake, "s1");
    let log = files(&dir.path().join(".sessions")).remove(0);
    let before = fs::read(&log).unwrap();
    both(&lake, "s2");
    drop((docs, lake));
    // As if the process had died before the second was committed.
    fs::write(&log, before).unwrap();
    fs::remove_file(log.with_file_name("reach.json")).unwrap();
    let (lake, docs) = open(dir.path()).unwrap();
    assert_eq!(docs.len(), 1);
    put(&docs, "r1", 1);
    lake.close().unwrap();
    fs::remove_dir_all(dir.path().join(".sessions")).unwrap();
    assert_eq!(open(dir.path()).err().unwrap().code(), "CORRUPT_FILE");
    let recover = LakeOptions {
        recover: true,
        ..LakeOptions::default()
    };
    let lake = Lake::open(dir.path(), recover).unwrap();
    let docs = lake
        .collection("docs", CollectionOptions::default())
        .unwrap();
    let ids: Vec<_> = content(&docs).unwrap().into_keys().collect();
    assert_eq!(ids, ["r1", "s1"]);
}

#[test]
fn a_collection_without_an_intact_generation_is_left_as_it_is() {
    let recover = LakeOptions {
        recover: true,
        ..LakeOptions::default()
    };
    for content in [Some("{}"), None] {
        let dir = tempfile::tempdir().unwrap();
        sample(dir.path());
        for file in files(&dir.path().join("docs/manifest")) {
            match content {
                Some(content) => fs::write(file, content).unwrap(),
                None => fs::remove_file(file).unwrap(),
            }
        }
        let before = files(dir.path());
        for options in [LakeOptions::read_only(), LakeOptions::default(), recover] {
            let lake = Lake::open(dir.path(), options).unwrap();
            assert_eq!(lake.list().unwrap(), ["docs"]);
            let error = lake
                .collection("docs", CollectionOptions::default())
                .err()
                .unwrap();
            assert_eq!(error.code(), "CORRUPT_FILE");
            let hint = error.hint().unwrap();
            assert_eq!(hint.contains("recover"), !options.recover, "{hint}");
            lake.close().unwrap();
            assert_eq!(files(dir.path()), before);
        }
    }
}

#[test]
fn lost_directories_are_noticed_and_recovered_from() {
    let recover = LakeOptions {
        recover: true,
        ..LakeOptions::default()
    };
    for (name, whole) in [
        ("docs/wal", true),
        ("docs/wal", false),
        (".sessions", true),
        (".sessions", false),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let (lake, docs) = open(dir.path()).unwrap();
        put(&docs, "old", 1);
        docs.compact().unwrap();
        both(&lake, "s1");
        put(&docs, "new", 2);
        lake.close().unwrap();
        let place = dir.path().join(name);
        fs::remove_dir_all(&place).unwrap();
        if !whole {
            fs::create_dir(&place).unwrap();
        }
        assert_eq!(look(dir.path()).err().unwrap().code(), "CORRUPT_FILE");
        assert_eq!(open(dir.path()).err().unwrap().code(), "CORRUPT_FILE");
        let lake = Lake::open(dir.path(), recover).unwrap();
        let docs = lake
            .collection("docs", CollectionOptions::default())
            .unwrap();
        assert!(!docs.lost().is_empty());
        let left = if name == ".sessions" { 3 } else { 1 };
        assert_eq!(docs.len(), left, "{name}");
        put(&docs, "later", 3);
        lake.close().unwrap();
        let (_lake, docs) = open(dir.path()).unwrap();
        assert_eq!(docs.len(), left + 1);
        assert_eq!(docs.verify(None).unwrap().problems, []);
    }
}

#[cfg(unix)]
#[test]
fn what_is_no_regular_file_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let pristine = dir.path().join("pristine");
    let expected = sample(&pristine);
    let place = dir.path().join("damaged");
    for file in files(&pristine) {
        for target in ["/dev/zero", "nowhere"] {
            let _ = fs::remove_dir_all(&place);
            copy(&pristine, &place);
            let damaged = place.join(file.strip_prefix(&pristine).unwrap());
            fs::remove_file(&damaged).unwrap();
            std::os::unix::fs::symlink(target, &damaged).unwrap();
            let looked = look(&place).and_then(|(_lake, docs)| content(&docs));
            if damaged.ends_with("LOCK") {
                // A writer makes a new one wherever it is.
                assert!(target == "nowhere" || open(&place).is_err());
                continue;
            }
            // It is noticed, or not needed.
            assert!(
                looked.map_or(true, |found| found == expected),
                "{damaged:?}"
            );
            let recover = LakeOptions {
                recover: true,
                ..LakeOptions::default()
            };
            let lake = Lake::open(&place, recover).unwrap();
            let docs = lake.collection("docs", CollectionOptions::default());
            assert!(content(&docs.unwrap()).unwrap().len() > 2, "{damaged:?}");
            lake.close().unwrap();
            let (_lake, docs) = open(&place).unwrap();
            assert_eq!(docs.verify(None).unwrap().problems, [], "{damaged:?}");
        }
    }
}
