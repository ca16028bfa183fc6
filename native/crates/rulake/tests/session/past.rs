//! Snapshots, history, and readers that follow a writer.

use super::*;

#[test]
fn every_state_that_is_kept_can_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let options = LakeOptions {
        retention: Retention {
            generations: 100,
            milliseconds: 0,
        },
        ..LakeOptions::default()
    };
    let lake = Lake::open(dir.path(), options).unwrap();
    let docs = collection(&lake, "docs");
    let mut states = vec![(docs.snapshot_id().unwrap(), content(&docs))];
    for i in 0..40 {
        if i % 7 == 3 {
            let all = Selection::Filter(format!("{{\"n\":{{\"$lt\":{}}}}}", i - 4));
            docs.delete_and_wait(all, Durability::Buffered).unwrap();
        } else {
            put(&docs, &format!("r{}", i % 11), i);
        }
        let now = (docs.snapshot_id().unwrap(), content(&docs));
        if states.last() != Some(&now) {
            states.push(now);
        }
        if i % 5 == 4 {
            docs.compact().unwrap();
        }
    }
    let ids: Vec<_> = states.iter().map(|state| state.0).collect();
    let texts: Vec<String> = ids.iter().map(SnapshotId::to_string).collect();
    assert!(texts.is_sorted(), "{texts:?}");
    let known: Vec<_> = docs
        .history(1000)
        .unwrap()
        .iter()
        .map(|entry| entry.snapshot)
        .collect();
    assert_eq!(known, ids);
    assert_eq!(docs.history(3).unwrap().len(), 3);
    for (id, expected) in &states {
        let past = docs.at(*id).unwrap();
        assert_eq!(
            (past.snapshot_id().unwrap(), &content(&past)),
            (*id, expected)
        );
        let found = past.search(
            &[1.0, 1.0],
            1,
            &rulake::SearchRequest {
                k: 99,
                ..Default::default()
            },
            None,
        );
        assert_eq!(found.unwrap()[0].len(), expected.len());
    }
    lake.close().unwrap();
    // The default keeps two generations: older states are gone, and say so.
    let lake = open(dir.path());
    let docs = collection(&lake, "docs");
    let held = docs.at(ids[20]).unwrap();
    for i in 0..3 {
        put(&docs, "x", i);
        docs.compact().unwrap();
    }
    assert_eq!(content(&held), states[20].1);
    drop(held);
    put(&docs, "x", 9);
    docs.compact().unwrap();
    assert_eq!(docs.at(ids[3]).err().unwrap().code(), "SNAPSHOT_NOT_FOUND");
    let never = SnapshotId::new(1, 2);
    assert_eq!(docs.at(never).err().unwrap().code(), "SNAPSHOT_NOT_FOUND");
    assert!(docs.history(1000).unwrap().len() < 8);
}

#[test]
fn a_snapshot_stays_whatever_happens_to_the_collection() {
    for (_dir, lake) in lakes() {
        let docs = collection(&lake, "docs");
        for i in 0..20 {
            put(&docs, &format!("r{i}"), i);
        }
        let pinned = docs.snapshot().unwrap();
        let before = content(&pinned);
        docs.delete_and_wait(Selection::All, Durability::Fsync)
            .unwrap();
        for i in 0..5 {
            put(&docs, &format!("n{i}"), i);
            docs.compact().unwrap();
        }
        assert_eq!(content(&pinned), before);
        assert_eq!(pinned.len(), 20);
        let again = docs.at(pinned.snapshot_id().unwrap()).unwrap();
        assert_eq!(content(&again), before);
        assert_eq!(pinned.compact().unwrap_err().code(), "READ_ONLY");
    }
}

#[test]
fn a_reader_follows_when_it_is_asked_to() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    let docs = collection(&lake, "docs");
    put(&docs, "a", 1);
    let reader = Lake::open(dir.path(), LakeOptions::read_only()).unwrap();
    let view = collection(&reader, "docs");
    assert!(!docs.refresh().unwrap());
    for i in 0..30 {
        put(&docs, &format!("r{}", i % 9), i);
        if i % 4 == 1 {
            docs.compact().unwrap();
        }
        if i % 6 == 5 {
            let session = lake.session().unwrap();
            session.upsert("docs", batch(&[("s", i)])).unwrap();
            session.upsert("other", batch(&[("s", i)])).unwrap();
            session.commit().unwrap();
        }
        assert_ne!(content(&view), content(&docs));
        assert!(view.refresh().unwrap());
        assert_eq!(content(&view), content(&docs));
        assert_eq!(view.snapshot_id().unwrap(), docs.snapshot_id().unwrap());
        assert!(!view.refresh().unwrap(), "nothing new");
    }
}
