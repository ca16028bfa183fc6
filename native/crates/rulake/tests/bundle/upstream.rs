//! Files that the upstream crates read and write.

use std::fs;
use std::path::{Path, PathBuf};

use rulake::{
    Batch, Bundle, Draft, Durability, Generation, LoadOptions, PublishOptions, Role, SearchRequest,
    TABLE_FILE,
};

use crate::scratch::{ALL, all, code, docs, file, fill, publish, vector};

#[test]
fn numbers_stay_the_ids_of_upstream_unless_one_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let (_lake, collection) = docs(rabitq::Metric::L2);
    let ids = |dir: &Path, bundle: &Bundle| -> Vec<u64> {
        let bytes = fs::read(file(dir, bundle, Role::Vectors)).unwrap();
        let rows = bytes[24..].chunks_exact(8 + 24);
        rows.map(|row| u64::from_le_bytes(row[..8].try_into().unwrap()))
            .collect()
    };
    let put = |id: &str| {
        let mut batch = Batch::new();
        batch.push_with_vector(id, &vector(1), None, None).unwrap();
        collection
            .upsert_and_wait(batch, Durability::Fsync)
            .unwrap();
    };
    for id in ["7", "0", "18446744073709551615"] {
        put(id);
    }
    let bundle = publish(&collection, dir.path());
    assert_eq!(ids(dir.path(), &bundle), [7, 0, u64::MAX]);
    put("07");
    let bundle = publish(&collection, dir.path());
    assert_eq!(ids(dir.path(), &bundle), [0, 1, 2, 3]);
    // A search of upstream's takes the ids of this file for positions.
    let rbpx = fs::read(dir.path().join("index.rbpx")).unwrap();
    assert_eq!(rbpx[28..36], [4, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn upstream_gets_unit_vectors_for_cosines_and_no_index_for_inner_products() {
    let dir = tempfile::tempdir().unwrap();
    let (_lake, collection) = docs(rabitq::Metric::Cosine);
    fill(&collection, 9, |i| i.to_string());
    publish(&collection, dir.path());
    let index = rabitq::Index::open(
        &dir.path().join("index.rbpx"),
        rabitq::OpenOptions::default(),
        rabitq::Control::default(),
    )
    .unwrap();
    let row = index.get(0).unwrap().unwrap();
    let length: f32 = row.iter().map(|x| x * x).sum();
    assert!((length - 1.0).abs() < 1e-6);
    let (_lake, products) = docs(rabitq::Metric::InnerProduct);
    fill(&products, 9, |i| i.to_string());
    publish(&products, dir.path());
    assert!(!dir.path().join("index.rbpx").exists());
    let options = PublishOptions {
        rbpx: false,
        ..PublishOptions::default()
    };
    Draft::write(&collection, dir.path(), &options, None)
        .unwrap()
        .commit(None)
        .unwrap();
    assert!(!dir.path().join("index.rbpx").exists());
}

fn upstream() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../test/fixtures/upstream")
}

#[test]
fn a_description_of_upstream_is_read_and_written_to_the_byte() {
    let bundle = Bundle::read(&upstream()).unwrap();
    assert_eq!(
        (bundle.dim, bundle.generation.clone()),
        (16, Generation::Number(1))
    );
    assert_eq!(
        bundle.to_json().unwrap(),
        fs::read(upstream().join(TABLE_FILE)).unwrap()
    );
    let opaque = r#"{"format_version":2,"data_ref":"gs://bucket/x.parquet","dim":128,"rotation_seed":42,"rerank_factor":20,
        "generation":"abc","rvf_witness":"77ca6a13399b738b6ff79fce1598ba29aaae39a3e9edbbfe665dbde778c2e688","of_later":{}}"#;
    assert_eq!(
        Bundle::parse(Path::new("t"), opaque.as_bytes())
            .unwrap()
            .generation,
        Generation::Opaque("abc".into())
    );
}

#[test]
fn files_of_upstream_are_read_when_the_caller_trusts_them() {
    let bundle = Bundle::read(&upstream()).unwrap();
    let load = |file: Option<&str>, allow_unverified| {
        let options = LoadOptions {
            allow_unverified,
            file: file.map(str::to_owned),
            ..LoadOptions::default()
        };
        bundle.load(&upstream(), &options, None)
    };
    assert_eq!(code(load(None, false)), "CONTENT_UNVERIFIED");
    assert_eq!(
        code(load(Some("../upstream/c.ruvec1"), true)),
        "UNSAFE_BUNDLE"
    );
    assert_eq!(code(load(Some("expected.txt"), true)), "CORRUPT_FILE");
    assert_eq!(code(load(Some("missing.rbpx"), true)), "FILE_NOT_FOUND");
    let (index, raw) = (
        load(None, true).unwrap(),
        load(Some("c.ruvec1"), true).unwrap(),
    );
    assert_eq!(all(&index.collection), all(&raw.collection));
    let query = index
        .collection
        .get(&["1035".into()], ALL)
        .unwrap()
        .remove(0)
        .vector
        .unwrap();
    let request = SearchRequest {
        k: 5,
        ..SearchRequest::default()
    };
    let hits = raw
        .collection
        .search(&query, 1, &request, None)
        .unwrap()
        .remove(0);
    let found: Vec<_> = hits
        .iter()
        .map(|hit| (hit.record.id.as_str(), hit.distance * hit.distance))
        .collect();
    // From expected.txt; upstream's scores are squared distances.
    for ((id, squared), expected) in found.iter().zip([
        ("1035", 0.0),
        ("1413", 7.602_924),
        ("1280", 8.025_363),
        ("1049", 8.969_906),
        ("1091", 10.183_526),
    ]) {
        assert_eq!(*id, expected.0);
        assert!((squared - expected.1).abs() < 1e-4, "{squared}");
    }
}

#[test]
fn an_index_of_upstream_must_be_the_one_described() {
    for at in [12_usize, 16, 24, 28] {
        let dir = tempfile::tempdir().unwrap();
        for name in [TABLE_FILE, "index.rbpx"] {
            fs::copy(upstream().join(name), dir.path().join(name)).unwrap();
        }
        let path = dir.path().join("index.rbpx");
        let mut bytes = fs::read(&path).unwrap();
        bytes[at] ^= 2;
        fs::write(&path, bytes).unwrap();
        let options = LoadOptions {
            allow_unverified: true,
            ..LoadOptions::default()
        };
        let loaded = Bundle::read(dir.path())
            .unwrap()
            .load(dir.path(), &options, None);
        assert_eq!(code(loaded), "CORRUPT_FILE", "{at}");
    }
}
