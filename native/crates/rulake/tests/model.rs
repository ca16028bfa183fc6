//! Random histories against a plain map.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rulake::{
    Batch, Collection, CollectionOptions, Durability, Include, Lake, LakeOptions, SearchRequest,
    Selection,
};

const ALL: Include = Include {
    vector: true,
    text: true,
    metadata: true,
};

#[derive(Clone, Debug)]
enum Step {
    Upsert(Vec<(u8, i8, i8)>),
    DeleteIds(Vec<u8>),
    DeleteOdd,
    DeleteAll,
    Compact,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let records = prop::collection::vec((0..40_u8, any::<i8>(), any::<i8>()), 1..30);
    let step = prop_oneof![
        8 => records.prop_map(Step::Upsert),
        3 => prop::collection::vec(0..40_u8, 0..8).prop_map(Step::DeleteIds),
        1 => Just(Step::DeleteOdd),
        1 => Just(Step::DeleteAll),
        2 => Just(Step::Compact),
        2 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..14)
}

type Model = BTreeMap<String, ([f32; 2], i8)>;

fn check(docs: &Collection, model: &Model) {
    assert_eq!(docs.len(), model.len());
    let mut scan = docs.scan(None, ALL).unwrap();
    let found: Model = scan
        .next_chunk(1000, usize::MAX, None)
        .unwrap()
        .into_iter()
        .map(|found| {
            let metadata: serde_json::Value =
                serde_json::from_str(&found.metadata.unwrap()).unwrap();
            let vector = found.vector.unwrap();
            (
                found.id,
                (
                    [vector[0], vector[1]],
                    metadata["n"].as_i64().unwrap() as i8,
                ),
            )
        })
        .collect();
    assert_eq!(&found, model);
    let positive = model.values().filter(|(_, n)| *n > 0).count();
    assert_eq!(
        docs.count(Some(r#"{"n":{"$gt":0}}"#), None).unwrap(),
        positive
    );
    let query = [3.0, -40.0];
    let request = SearchRequest {
        k: 5,
        filter: Some(r#"{"n":{"$gt":0}}"#.into()),
        ..SearchRequest::default()
    };
    let mut distances: Vec<f64> = model
        .values()
        .filter(|(_, n)| *n > 0)
        .map(|(v, _)| f64::from(v[0] - query[0]).hypot(f64::from(v[1] - query[1])))
        .collect();
    distances.sort_by(f64::total_cmp);
    let matches = docs.search(&query, 1, &request, None).unwrap().remove(0);
    assert_eq!(matches.len(), distances.len().min(5));
    for (found, expected) in matches.iter().zip(distances) {
        assert!(
            (found.distance - expected).abs() < 1e-3,
            "{found:?} {expected}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn behaves_like_a_map(steps in steps()) {
        let dir = tempfile::tempdir().unwrap();
        let l2 = CollectionOptions { metric: rabitq::Metric::from_name("l2"), ..CollectionOptions::default() };
        let open = || {
            let lake = Lake::open(dir.path(), LakeOptions::default()).unwrap();
            let docs = lake.collection("docs", l2.clone()).unwrap();
            (lake, docs)
        };
        let (mut lake, mut docs) = open();
        let mut model = Model::new();
        let delete = |docs: &Collection, selection| docs.delete_and_wait(selection, Durability::Buffered).unwrap().affected;
        for step in steps {
            match step {
                Step::Upsert(records) => {
                    let mut batch = Batch::new();
                    for (id, x, n) in records {
                        let vector = [f32::from(x), f32::from(n) * 0.5];
                        batch.push_with_vector(&format!("id{id}"), &vector, None, Some(&format!("{{\"n\": {n}}}"))).unwrap();
                        model.insert(format!("id{id}"), (vector, n));
                    }
                    docs.upsert_and_wait(batch, Durability::Buffered).unwrap();
                }
                Step::DeleteIds(ids) => {
                    let ids: Vec<String> = ids.into_iter().map(|id| format!("id{id}")).collect();
                    let before = model.len();
                    model.retain(|id, _| !ids.contains(id));
                    prop_assert_eq!(delete(&docs, Selection::Ids(ids)), before - model.len());
                }
                Step::DeleteOdd => {
                    model.retain(|_, (_, n)| *n <= 10);
                    delete(&docs, Selection::Filter(r#"{"n":{"$gt":10}}"#.into()));
                }
                Step::DeleteAll => {
                    prop_assert_eq!(delete(&docs, Selection::All), model.len());
                    model.clear();
                }
                Step::Compact => docs.compact().unwrap(),
                Step::Reopen => {
                    lake.close().unwrap();
                    (lake, docs) = open();
                }
            }
            check(&docs, &model);
        }
        prop_assert_eq!(docs.verify(None).unwrap().problems, vec![]);
        lake.close().unwrap();
    }
}
