use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::{Filter, View, naive};
use crate::json::parse_object;
use crate::options::Settings;
use crate::segment::{BlockCache, SegmentBuilder};
use crate::state::Shared;
use crate::value::{Interner, Object};
use crate::{CollectionOptions, Result};

struct Record {
    metadata: Option<Object>,
}

impl View for Record {
    fn id(&self) -> Result<&str> {
        Ok("doc-7")
    }
    fn text(&self) -> Result<Option<&str>> {
        Ok(Some("Größe und Freiheit"))
    }
    fn metadata(&self) -> Result<Option<&Object>> {
        Ok(self.metadata.as_ref())
    }
}

fn matches(metadata: &Json, filter: &Json) -> bool {
    let interner = Interner::default();
    let record = Record {
        metadata: Some(parse_object(&metadata.to_string(), &interner).unwrap()),
    };
    Filter::parse(&filter.to_string(), &interner)
        .unwrap()
        .matches(&record)
        .unwrap()
}

fn refusal(filter: &Json) -> String {
    let error = Filter::parse(&filter.to_string(), &Interner::default()).unwrap_err();
    assert_eq!(error.code(), "INVALID_FILTER");
    error.to_string()
}

/// Few distinct values, so that equalities happen.
fn scalar() -> impl Strategy<Value = Json> {
    prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        (-2..3_i32).prop_map(Json::from),
        prop_oneof![Just(-0.0), Just(0.5), Just(1.0), Just(1e300)].prop_map(Json::from),
        prop_oneof![
            Just(""),
            Just("a"),
            Just("A"),
            Just("ab"),
            Just("b"),
            Just("é"),
            Just("É"),
            Just("😀"),
            Just("\u{ffff}")
        ]
        .prop_map(Json::from),
    ]
}

fn value() -> impl Strategy<Value = Json> {
    scalar().prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Json::from),
            prop::collection::vec((key(), inner), 0..3)
                .prop_map(|m| Json::Object(m.into_iter().collect())),
        ]
    })
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("a"),
        Just("b"),
        Just("c"),
        Just("a.b"),
        Just("b.c"),
        Just("a.b.c"),
        Just("")
    ]
    .prop_map(str::to_owned)
}

/// Paths that may be chosen for the index.
fn path() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("a"),
        Just("b"),
        Just("a.b"),
        Just("b.c"),
        Just("a.b.c"),
        Just("c.a"),
        Just("nowhere")
    ]
    .prop_map(str::to_owned)
}

fn metadata() -> impl Strategy<Value = Json> {
    prop::collection::vec((key(), value()), 0..5)
        .prop_map(|members| Json::Object(members.into_iter().collect()))
}

fn operators() -> impl Strategy<Value = Json> {
    let list = || prop::collection::vec(value(), 0..4).prop_map(Json::from);
    let word = || prop_oneof![Just(""), Just("a"), Just("É"), Just("AB")].prop_map(Json::from);
    let bound = prop_oneof![(-2..3_i32).prop_map(Json::from), word()];
    let one = prop_oneof![
        (
            prop::sample::select(vec!["$eq", "$ne", "$contains"]),
            value()
        ),
        (
            prop::sample::select(vec!["$gt", "$gte", "$lt", "$lte"]),
            bound
        ),
        (
            prop::sample::select(vec!["$in", "$nin", "$containsAny", "$containsAll"]),
            list()
        ),
        (
            prop::sample::select(vec!["$exists", "$isEmpty"]),
            any::<bool>().prop_map(Json::from)
        ),
        (
            prop::sample::select(vec!["$startsWith", "$textMatch"]),
            word()
        ),
    ];
    prop::collection::vec(one, 1..3)
        .prop_map(|members| {
            Json::Object(
                members
                    .into_iter()
                    .map(|(k, v)| (k.to_owned(), v))
                    .collect(),
            )
        })
        .prop_recursive(2, 4, 2, |inner| {
            inner.prop_map(|inner| json!({ "$not": inner }))
        })
}

fn filter() -> impl Strategy<Value = Json> {
    let fields = prop::collection::vec((key(), prop_oneof![operators(), value()]), 0..3)
        .prop_map(|members| Json::Object(members.into_iter().collect()));
    fields.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(|f| json!({ "$and": f })),
            prop::collection::vec(inner.clone(), 0..3).prop_map(|f| json!({ "$or": f })),
            inner.prop_map(|f| json!({ "$not": f })),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn agrees_with_the_naive_evaluator(metadata in metadata(), filter in filter()) {
        prop_assert_eq!(matches(&metadata, &filter), naive::matches(&metadata, &filter));
    }

    #[test]
    fn any_text_is_parsed_or_refused(text in r#"[\{\}\[\]:,"$a-z0-9.]{0,60}"#) {
        let _ = Filter::parse(&text, &Interner::default());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn the_index_of_a_segment_gives_the_same_answers(
        records in prop::collection::vec(prop::option::of(metadata()), 1..60),
        filters in prop::collection::vec(filter(), 1..12),
        indexed in prop::option::of(prop::collection::vec(path(), 0..4)),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let options = CollectionOptions { metadata_index: indexed, ..CollectionOptions::default() };
        let settings = Settings::new(&options).unwrap();
        let shared = Shared::new([7; 16], Arc::new(BlockCache::new(1 << 20)));
        let mut builder = SegmentBuilder::new(dir.path(), &settings, None).unwrap();
        for (i, metadata) in records.iter().enumerate() {
            let id = format!("r{i}");
            let text = metadata.as_ref().map(Json::to_string);
            builder.push(i as i64, shared.hash(&id), (&id, None, text.as_deref()), None).unwrap();
        }
        let (_, segment) = builder.finish(rabitq::Control::default()).unwrap().unwrap();
        segment.filter.verify().unwrap();
        for filter in filters {
            let text = filter.to_string();
            let parsed = Filter::parse(&text, &shared.interner).unwrap();
            let found = segment.selected(&text, &parsed, &shared, None).unwrap();
            let expected: Vec<u32> = (0_u32..)
                .zip(&records)
                .filter(|(_, metadata)| {
                    naive::matches(metadata.as_ref().unwrap_or(&json!({})), &filter)
                })
                .map(|(i, _)| i)
                .collect();
            let found: Vec<u32> = found.positions.iter().collect();
            prop_assert_eq!(found, expected, "{}", text);
        }
    }
}

#[test]
fn a_missing_field_satisfies_only_absence() {
    let record = json!({ "other": 1 });
    for (condition, expected) in [
        (json!({ "$exists": false }), true),
        (json!({ "$isEmpty": true }), true),
        (json!({ "$exists": true }), false),
        (json!({ "$isEmpty": false }), false),
        (json!({ "$ne": 1 }), false),
        (json!({ "$nin": [] }), false),
        (json!({ "$eq": null }), false),
        (json!({ "$containsAll": [] }), false),
        (json!({ "$not": { "$eq": 1 } }), true),
        (json!({ "$not": { "$exists": false } }), false),
    ] {
        assert_eq!(
            matches(&record, &json!({ "field": condition })),
            expected,
            "{condition}"
        );
    }
    assert!(matches(&record, &json!({ "$not": { "field": 1 } })));
}

#[test]
fn types_are_never_coerced() {
    for (value, operand) in [
        (json!(1), json!("1")),
        (json!(0), json!(false)),
        (json!(null), json!(0)),
        (json!(""), json!(null)),
        (json!([1]), json!(1)),
    ] {
        assert!(
            !matches(&json!({ "f": value }), &json!({ "f": operand })),
            "{value} {operand}"
        );
        assert!(
            matches(&json!({ "f": value }), &json!({ "f": { "$ne": operand } })),
            "{value} {operand}"
        );
    }
    assert!(!matches(
        &json!({ "f": "5" }),
        &json!({ "f": { "$gt": 1 } })
    ));
    assert!(matches(&json!({ "f": 1.0 }), &json!({ "f": 1 })));
    assert!(matches(
        &json!({ "f": -0.0 }),
        &json!({ "f": { "$in": [0] } })
    ));
}

#[test]
fn strings_compare_by_code_point_where_utf16_would_not() {
    // U+1F600 is above U+FFFF, although its first UTF-16 unit, 0xD83D, is below.
    assert!(matches(
        &json!({ "f": "😀" }),
        &json!({ "f": { "$gt": "\u{ffff}" } })
    ));
}

#[test]
fn a_literal_key_with_a_dot_wins_over_a_path() {
    let both = json!({ "a.b": 1, "a": { "b": 2 } });
    assert!(matches(&both, &json!({ "a.b": 1 })));
    assert!(!matches(&both, &json!({ "a.b": 2 })));
    assert!(matches(
        &json!({ "a": { "b.c": 3 } }),
        &json!({ "a.b.c": 3 })
    ));
    assert!(matches(
        &json!({ "a.b": { "c": 3 } }),
        &json!({ "a.b.c": 3 })
    ));
    assert!(
        !matches(
            &json!({ "a": [{ "b": 1 }] }),
            &json!({ "a.b": { "$exists": true } })
        ),
        "paths do not enter arrays"
    );
}

#[test]
fn arrays_and_objects_are_compared_deeply() {
    let record = json!({ "tags": ["a", { "k": 1, "l": null }] });
    assert!(matches(
        &record,
        &json!({ "tags": ["a", { "l": null, "k": 1 }] })
    ));
    assert!(!matches(&record, &json!({ "tags": "a" })));
    assert!(matches(
        &record,
        &json!({ "tags": { "$contains": { "l": null, "k": 1.0 } } })
    ));
    assert!(matches(
        &record,
        &json!({ "tags": { "$containsAll": ["a"] } })
    ));
}

#[test]
fn id_and_text_are_fields() {
    assert!(matches(
        &json!({}),
        &json!({ "$id": { "$startsWith": "doc-" } })
    ));
    assert!(
        matches(&json!({}), &json!({ "$text": { "$textMatch": "GRÖSSE" } }))
            == "größe".contains("grösse")
    );
    assert!(matches(
        &json!({}),
        &json!({ "$text": { "$textMatch": "GRÖß" } })
    ));
    assert!(matches(
        &json!({}),
        &json!({ "$text": { "$contains": "Freiheit" } })
    ));
}

#[test]
fn a_refusal_says_where_and_what_was_meant() {
    assert!(
        refusal(&json!({ "a": { "$gtr": 1 } }))
            .contains("a.$gtr: unknown operator; did you mean '$gt'?")
    );
    assert!(refusal(&json!({ "$orr": [] })).contains("did you mean '$or'?"));
    assert!(refusal(&json!({ "$gt": 1 })).contains("belongs below a field"));
    assert!(
        refusal(&json!({ "$or": [{}, { "x": { "$in": 1 } }] }))
            .contains("$or[1].x.$in: expected an array, found a number")
    );
    assert!(refusal(&json!({ "a": { "$gt": 1, "b": 2 } })).contains("cannot stand in one object"));
    assert!(refusal(&json!({ "a": { "$gt": null } })).contains("found null"));
    assert!(refusal(&json!({ "a": { "$exists": 1 } })).contains("true or false"));
    assert!(refusal(&json!({ "a": { "$textMatch": ["x"] } })).contains("expected a string"));
    assert!(refusal(&json!({ "a": { "$not": 1 } })).contains("use $ne"));
    assert!(refusal(&json!([])).contains("expected an object"));
    let mut deep = json!({});
    for _ in 0..40 {
        deep = json!({ "$not": deep });
    }
    assert!(refusal(&deep).contains("nested more than"));
    // The filter is one level itself.
    let list = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    assert!(Filter::parse(&list(126), &Interner::default()).is_ok());
    let error = Filter::parse(&list(127), &Interner::default()).err();
    assert_eq!(
        error.unwrap().to_string(),
        "invalid filter at the filter: objects and arrays nested more than 127 deep"
    );
    let wide = json!({ "$or": (0..10_001).map(|i| json!({ "a": i })).collect::<Vec<_>>() });
    assert!(refusal(&wide).contains("more than 10000 conditions"));
    assert!(
        refusal(&json!({ "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q": 1 })).contains("at most 16 parts")
    );
}

#[test]
fn the_empty_filter_is_trivial() {
    for text in ["{}", r#"{"$and":[]}"#, r#"{"$and":[{},{"$and":[]}]}"#] {
        assert!(
            Filter::parse(text, &Interner::default())
                .unwrap()
                .is_trivial(),
            "{text}"
        );
    }
    assert!(
        !Filter::parse(r#"{"$or":[]}"#, &Interner::default())
            .unwrap()
            .is_trivial()
    );
}
