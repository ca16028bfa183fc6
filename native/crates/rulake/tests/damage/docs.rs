//! A lake with a collection `docs`.

use std::collections::BTreeMap;
use std::path::Path;

use rulake::{
    Batch, Collection, CollectionOptions, Durability, Include, Lake, LakeOptions, SearchRequest,
    Selection,
};

pub const ALL: Include = Include {
    vector: true,
    text: true,
    metadata: true,
};

pub fn open(path: &Path) -> rulake::Result<(Lake, Collection)> {
    let lake = Lake::open(path, LakeOptions::default())?;
    let docs = lake.collection("docs", CollectionOptions::default())?;
    Ok((lake, docs))
}

pub fn put(docs: &Collection, id: &str, seed: u32) {
    let mut batch = Batch::new();
    let vector: Vec<f32> = (0..4)
        .map(|d| ((seed * 7 + d * 3) % 11) as f32 + 0.5)
        .collect();
    batch
        .push_with_vector(
            id,
            &vector,
            Some(&format!("text {seed}")),
            Some(&format!("{{\"n\":{seed}}}")),
        )
        .unwrap();
    docs.upsert_and_wait(batch, Durability::Fsync).unwrap();
}

/// All records with everything in them.
pub fn content(docs: &Collection) -> rulake::Result<BTreeMap<String, String>> {
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
pub fn sample(path: &Path) -> BTreeMap<String, String> {
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
pub fn look(path: &Path) -> rulake::Result<(Lake, Collection)> {
    let lake = Lake::open(path, LakeOptions::read_only())?;
    let docs = lake.collection("docs", CollectionOptions::default())?;
    Ok((lake, docs))
}

/// Writes a record to two collections at once.
pub fn both(lake: &Lake, id: &str) {
    let session = lake.session().unwrap();
    for name in ["docs", "ledger"] {
        let mut batch = Batch::new();
        batch.push(id, Some("text"), None).unwrap();
        session.upsert(name, batch).unwrap();
    }
    session.commit().unwrap();
}
