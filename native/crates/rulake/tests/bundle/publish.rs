//! What is published comes back.

use std::fs;

use rulake::{
    Batch, Bundle, Collection, Draft, Durability, PublishOptions, SearchRequest, Signature,
    TABLE_FILE,
};

use crate::scratch::{ALL, all, docs, fill, names, open, publish, small, vector};

#[test]
fn nothing_is_lost() {
    for metric in [
        rabitq::Metric::Cosine,
        rabitq::Metric::InnerProduct,
        rabitq::Metric::L2,
    ] {
        let dir = tempfile::tempdir().unwrap();
        let (_lake, collection) = docs(metric);
        fill(&collection, 5_000, |i| format!("d{i}"));
        fill(&collection, 40, |i| format!("d{}", i * 100));
        let bundle = publish(&collection, dir.path());
        let loaded = open(dir.path()).unwrap();
        let copy = &loaded.collection;
        assert_eq!(all(copy), all(&collection));
        assert_eq!(
            (copy.metric(), copy.dimensions(), copy.name()),
            (metric, Some(6), "docs")
        );
        assert_eq!(
            copy.stats().unwrap().index,
            collection.stats().unwrap().index
        );
        let request = SearchRequest {
            k: 20,
            include: ALL,
            ..SearchRequest::default()
        };
        let hits = |from: &Collection| from.search(&vector(17), 1, &request, None).unwrap();
        assert_eq!(hits(copy), hits(&collection));
        // The same content gives the same bundle, whoever publishes it, whatever was there before.
        let again = tempfile::tempdir().unwrap();
        assert_eq!(publish(copy, again.path()), bundle);
        assert_eq!(publish(copy, dir.path()), bundle);
        assert_eq!(names(dir.path()), names(again.path()));
    }
}

#[test]
fn metadata_with_line_breaks_and_empty_collections_are_fine() {
    let dir = tempfile::tempdir().unwrap();
    let (_lake, collection) = docs(rabitq::Metric::Cosine);
    publish(&collection, dir.path());
    let empty = open(dir.path()).unwrap();
    assert!(empty.collection.is_empty());
    assert_eq!(empty.collection.dimensions(), None);
    let mut batch = Batch::new();
    batch
        .push("only text", Some("x"), Some("{\n\"a\":\r\n\"b\\n\"}"))
        .unwrap();
    collection
        .upsert_and_wait(batch, Durability::Fsync)
        .unwrap();
    publish(&collection, dir.path());
    let records = all(&open(dir.path()).unwrap().collection);
    assert_eq!(records[0].metadata.as_deref(), Some("{ \"a\":  \"b\\n\"}"));
    assert_eq!(names(dir.path()).len(), 2);
}

#[test]
fn a_bundle_opened_twice_shares_nothing() {
    let (dir, _) = small();
    let (one, other) = (open(dir.path()).unwrap(), open(dir.path()).unwrap());
    one.collection
        .delete_and_wait(rulake::Selection::All, Durability::Fsync)
        .unwrap();
    assert_eq!(other.collection.len(), 6);
    one.lake.close().unwrap();
    // Nor does it depend on the files any longer.
    fs::remove_dir_all(dir.path()).unwrap();
    assert_eq!(all(&other.collection).len(), 6);
}

#[test]
fn a_publication_replaces_the_one_before_as_a_whole() {
    let dir = tempfile::tempdir().unwrap();
    let (_lake, collection) = docs(rabitq::Metric::Cosine);
    fill(&collection, 10, |i| i.to_string());
    let first = publish(&collection, dir.path());
    fs::write(dir.path().join("thesis.tex"), "mine").unwrap();
    fs::write(dir.path().join("records-old.jsonl"), "mine too").unwrap();
    fill(&collection, 20, |i| i.to_string());
    let draft = Draft::write(&collection, dir.path(), &PublishOptions::default(), None).unwrap();
    // Not yet: readers see the first, and nobody else may begin.
    assert_eq!(open(dir.path()).unwrap().collection.len(), 10);
    let locked = Draft::write(&collection, dir.path(), &PublishOptions::default(), None);
    assert_eq!(locked.map(drop).unwrap_err().code(), "BUNDLE_LOCKED");
    drop(draft);
    assert!(names(dir.path()).iter().all(|name| !name.starts_with('.')));
    assert_eq!(Bundle::read(dir.path()).unwrap(), first);
    // What a crash left behind goes with the next publication.
    fs::write(dir.path().join(".draft-1-vectors"), "half").unwrap();
    publish(&collection, dir.path());
    assert_eq!(open(dir.path()).unwrap().collection.len(), 20);
    let names = names(dir.path());
    assert_eq!(names.len(), 6, "{names:?}");
    assert!(names.contains(&"thesis.tex".into()) && names.contains(&"records-old.jsonl".into()));
}

#[test]
fn options_and_signature_are_written_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (_lake, collection) = docs(rabitq::Metric::L2);
    fill(&collection, 3, |i| i.to_string());
    let options = PublishOptions {
        data_ref: Some("gs://bucket/ü".into()),
        rotation_seed: u64::MAX,
        rerank_factor: 1024,
        pii_policy: Some("none".into()),
        lineage_id: Some("l".into()),
        memory_class: Some("m".into()),
        rbpx: true,
    };
    let draft = Draft::write(&collection, dir.path(), &options, None).unwrap();
    let witness = draft.bundle().rvf_witness.clone();
    assert_eq!(
        draft.bundle().signed_text(),
        format!("rulake-bundle-signature-v1|{witness}")
    );
    let signature = Signature {
        algorithm: "ed25519".into(),
        public_key: "00".repeat(32),
        signature: "11".repeat(64),
    };
    let bundle = draft.commit(Some(signature.clone())).unwrap();
    assert_eq!(Bundle::read(dir.path()).unwrap(), bundle);
    assert_eq!(bundle.signature, Some(signature));
    let text = fs::read_to_string(dir.path().join(TABLE_FILE)).unwrap();
    assert!(
        text.contains("\"rotation_seed\": 18446744073709551615"),
        "{text}"
    );
    assert!(text.contains("\"memory_class\": \"m\""));
    for options in [
        PublishOptions {
            rerank_factor: 1025,
            ..PublishOptions::default()
        },
        PublishOptions {
            data_ref: Some("x".repeat(4097)),
            ..PublishOptions::default()
        },
    ] {
        let refused = Draft::write(&collection, dir.path(), &options, None).map(drop);
        assert_eq!(refused.unwrap_err().code(), "INVALID_OPTION");
    }
}
