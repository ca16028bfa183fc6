//! Records are put, replaced and deleted.

use rulake::{Batch, Durability, Selection};

use crate::{ALL, batch, docs, lakes, put, search};

#[test]
fn records_are_replaced_by_id_and_come_back_byte_by_byte() {
    for (_dir, lake) in lakes() {
        let docs = docs(&lake);
        let odd = r#"{"z":1.0,"a":{"ü":[null,true,1e5,"\ud800"]},"z2":-0, "sp" : 1}"#;
        put(
            &docs,
            &[("a", [1.0, 0.0, 0.0], "{}"), ("b", [0.0, 1.0, 0.0], odd)],
        );
        let commit = put(&docs, &[("a", [0.0, 0.0, 1.0], r#"{"v":2}"#)]);
        assert_eq!((commit.snapshot.sequence(), commit.affected), (2, 1));
        assert_eq!((docs.len(), docs.dimensions()), (2, Some(3)));
        let found = docs
            .get(&["b".into(), "missing".into(), "a".into()], ALL)
            .unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].metadata.as_deref(), Some(odd));
        assert_eq!(found[1].vector.as_deref(), Some(&[0.0, 0.0, 1.0][..]));
        assert_eq!(search(&docs, &[0.0, 0.0, 1.0], 5, None), ["a", "b"]);
        assert_eq!(
            search(&docs, &[0.0, 0.0, 1.0], 1, Some(r#"{"z":1}"#)),
            ["b"]
        );
    }
}

#[test]
fn deletes_by_id_filter_and_all() {
    for (_dir, lake) in lakes() {
        let docs = docs(&lake);
        let e = [1.0, 1.0, 0.0];
        put(
            &docs,
            &[
                ("a", e, r#"{"n":1}"#),
                ("b", e, r#"{"n":2}"#),
                ("c", e, r#"{"n":3}"#),
                ("d", e, "{}"),
            ],
        );
        let delete = |selection| {
            docs.delete_and_wait(selection, Durability::Fsync)
                .unwrap()
                .affected
        };
        assert_eq!(
            delete(Selection::Ids(vec!["a".into(), "a".into(), "x".into()])),
            1
        );
        assert_eq!(delete(Selection::Filter(r#"{"n":{"$gte":3}}"#.into())), 1);
        assert_eq!(docs.count(None, None).unwrap(), 2);
        assert_eq!(
            search(&docs, &e, 9, None),
            ["b", "d"],
            "ties in order of upsert"
        );
        assert_eq!(
            docs.count(Some(r#"{"n":{"$exists":false}}"#), None)
                .unwrap(),
            1
        );
        assert_eq!(delete(Selection::All), 2);
        assert_eq!(delete(Selection::All), 0);
        assert!(docs.is_empty());
        assert!(search(&docs, &e, 3, None).is_empty());
    }
}

#[test]
fn of_one_id_twice_in_a_batch_the_last_wins() {
    for (_dir, lake) in lakes() {
        let docs = docs(&lake);
        let commit = put(
            &docs,
            &[
                ("a", [1.0, 0.0, 0.0], r#"{"n":1}"#),
                ("a", [0.0, 1.0, 0.0], r#"{"n":2}"#),
            ],
        );
        assert_eq!(commit.affected, 1);
        assert_eq!(
            docs.get(&["a".into()], ALL).unwrap()[0].metadata.as_deref(),
            Some(r#"{"n":2}"#)
        );
        assert_eq!(search(&docs, &[1.0, 0.0, 0.0], 5, None), ["a"]);
    }
}

#[test]
fn records_without_a_vector_are_read_and_filtered_but_not_found() {
    for (_dir, lake) in lakes() {
        let docs = docs(&lake);
        let mut batch = Batch::new();
        batch.push("k", Some("value"), Some(r#"{"n":1}"#)).unwrap();
        batch
            .push_with_vector("v", &[1.0, 2.0], None, None)
            .unwrap();
        docs.upsert_and_wait(batch, Durability::Fsync).unwrap();
        assert_eq!(search(&docs, &[1.0, 2.0], 5, None), ["v"]);
        assert_eq!(
            docs.get(&["k".into()], ALL).unwrap()[0].text.as_deref(),
            Some("value")
        );
        assert_eq!(docs.count(Some(r#"{"n":1}"#), None).unwrap(), 1);
        docs.compact().unwrap();
        assert_eq!(docs.verify(None).unwrap().problems, []);
        assert_eq!(
            (docs.stats().unwrap().records, docs.stats().unwrap().vectors),
            (2, 1)
        );
    }
}

#[test]
fn a_bad_record_refuses_its_batch_and_no_other() {
    for (_dir, lake) in lakes() {
        let docs = docs(&lake);
        put(&docs, &[("a", [1.0, 0.0, 0.0], "{}")]);
        let code = |batch: Batch| {
            docs.upsert_and_wait(batch, Durability::Fsync)
                .unwrap_err()
                .code()
        };
        let mut wrong = Batch::new();
        wrong.push_with_vector("b", &[1.0], None, None).unwrap();
        assert_eq!(code(wrong), "DIMENSION_MISMATCH");
        assert_eq!(
            code(batch(&[("b", [1e30, 0.0, 0.0], "{}")])),
            "NORM_OUT_OF_RANGE"
        );
        for metadata in ["[]", "{", "null", "{\"a\":1e999}"] {
            assert_eq!(
                code(batch(&[("b", [1.0, 0.0, 0.0], metadata)])),
                "INVALID_RECORD"
            );
        }
        assert_eq!(
            Batch::new()
                .push_with_vector("b", &[f32::NAN], None, None)
                .unwrap_err()
                .code(),
            "NOT_FINITE"
        );
        assert_eq!(
            Batch::new().push("", None, None).unwrap_err().code(),
            "INVALID_ID"
        );
        assert_eq!(
            Batch::new()
                .push(&"é".repeat(513), None, None)
                .unwrap_err()
                .code(),
            "INVALID_ID"
        );
        assert_eq!(docs.len(), 1);
        put(&docs, &[("c", [0.0, 0.0, 0.0], "{}")]);
        assert_eq!(search(&docs, &[1.0, 0.0, 0.0], 5, None), ["a", "c"]);
    }
}
