//! What is there after reopening.

use rulake::{CollectionOptions, IndexChoice, SearchRequest};

use crate::{ALL, docs, open, put};

#[test]
fn everything_is_there_after_reopening_with_and_without_a_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let request = SearchRequest {
        k: 9,
        include: ALL,
        ..Default::default()
    };
    for round in 0..4 {
        let lake = open(dir.path());
        let docs = docs(&lake);
        assert_eq!(docs.len(), round * 2);
        put(
            &docs,
            &[
                (&format!("x{round}"), [round as f32, 1.0, 0.0], "{}"),
                (&format!("y{round}"), [0.0, 1.0, 1.0], r#"{"y":1}"#),
            ],
        );
        put(
            &docs,
            &[(
                &format!("x{round}"),
                [round as f32, 2.0, 0.0],
                r#"{"new":true}"#,
            )],
        );
        if round % 2 == 0 {
            docs.compact().unwrap();
        }
        assert_eq!(docs.verify(None).unwrap().problems, []);
        let before = docs.search(&[3.0, 1.0, 0.5], 1, &request, None).unwrap();
        lake.close().unwrap();
        let lake = open(dir.path());
        let docs = lake
            .collection("docs", CollectionOptions::default())
            .unwrap();
        let after = docs.search(&[3.0, 1.0, 0.5], 1, &request, None).unwrap();
        assert_eq!(before, after);
        assert_eq!(docs.verify(None).unwrap().problems, []);
        assert_eq!(
            docs.count(Some(r#"{"new":true}"#), None).unwrap(),
            round + 1
        );
    }
}

#[test]
fn the_shape_of_a_collection_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let l2 = CollectionOptions {
        metric: rabitq::Metric::from_name("l2"),
        ..CollectionOptions::default()
    };
    let lake = open(dir.path());
    put(
        &lake.collection("docs", l2.clone()).unwrap(),
        &[("a", [1.0, 0.0, 0.0], "{}")],
    );
    for reopened in [false, true] {
        let lake = if reopened {
            drop(lake.close());
            open(dir.path())
        } else {
            open(dir.path())
        };
        let code = |options| {
            lake.collection("docs", options)
                .err()
                .map(|error| (error.code(), error.to_string()))
        };
        assert_eq!(code(l2.clone()), None);
        assert_eq!(code(CollectionOptions::default()), None);
        let (code_, text) = code(CollectionOptions {
            dimensions: Some(4),
            ..Default::default()
        })
        .unwrap();
        assert_eq!(
            (code_, text.contains("dimensions 3, not 4")),
            ("COLLECTION_MISMATCH", true),
            "{text}"
        );
        let cosine = CollectionOptions {
            metric: rabitq::Metric::from_name("cosine"),
            ..Default::default()
        };
        assert_eq!(code(cosine).unwrap().0, "COLLECTION_MISMATCH");
        let plus = CollectionOptions {
            index: Some(IndexChoice::RabitqPlus),
            ..Default::default()
        };
        assert_eq!(code(plus).unwrap().0, "COLLECTION_MISMATCH");
        assert_eq!(
            code(CollectionOptions {
                dimensions: Some(0),
                ..Default::default()
            })
            .unwrap()
            .0,
            "INVALID_DIMENSIONS"
        );
    }
}
