//! Opening what is damaged with `recover`.

use std::fs;

use rulake::{CollectionOptions, Lake, LakeOptions};

use crate::directory::{copy, files};
use crate::docs::{both, content, look, open, put, sample};

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
    let sessions = files(&dir.path().join(".sessions"));
    let before = sessions
        .clone()
        .into_iter()
        .map(|file| fs::read(file).unwrap());
    let before: Vec<Vec<u8>> = before.collect();
    both(&lake, "s2");
    drop((docs, lake));
    // As if the process had died before the second was committed.
    for (file, content) in sessions.iter().zip(before) {
        fs::write(file, content).unwrap();
    }
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

#[cfg(unix)]
#[test]
fn a_lock_that_is_a_link_to_nowhere_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let expected = sample(dir.path());
    let lock = dir.path().join("LOCK");
    // A directory that is missing, and the link itself.
    for target in ["missing/LOCK", "LOCK"] {
        fs::remove_file(&lock).unwrap();
        std::os::unix::fs::symlink(target, &lock).unwrap();
        let error = open(dir.path()).err().unwrap();
        assert_eq!(error.code(), "CORRUPT_FILE", "{error}");
        assert!(error.to_string().contains("leads nowhere"), "{error}");
        let (_lake, docs) = look(dir.path()).unwrap();
        assert_eq!(content(&docs).unwrap(), expected);
        let recover = LakeOptions {
            recover: true,
            ..LakeOptions::default()
        };
        let lake = Lake::open(dir.path(), recover).unwrap();
        let docs = lake.collection("docs", CollectionOptions::default());
        let docs = docs.unwrap();
        assert_eq!(docs.lost(), ["LOCK was a link that leads nowhere"]);
        assert_eq!(content(&docs).unwrap(), expected);
        lake.close().unwrap();
        assert!(fs::symlink_metadata(&lock).unwrap().is_file());
        open(dir.path()).unwrap().0.close().unwrap();
    }
}
