//! A collection that grows changes its index.

use std::ops::Range;

use rulake::{Batch, CollectionOptions, Durability, IndexChoice, Lake, SearchRequest, Selection};

use crate::{docs, lakes, search};

/// A vector that is far from those of other rows.
fn scattered(row: u64) -> [f32; 16] {
    let mut seed = row.wrapping_mul(0x9e37_79b9_7f4a_7c15) + 1;
    std::array::from_fn(|_| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 40) as f32 / (1 << 23) as f32 - 1.0
    })
}

#[test]
fn a_growing_collection_changes_its_index_by_itself() {
    for (_dir, lake) in lakes() {
        let docs = docs(&lake);
        let mut next = 0;
        let mut grow = |rows: usize| {
            let mut batch = Batch::new();
            for _ in 0..rows {
                batch
                    .push_with_vector(&format!("r{next}"), &scattered(next), None, None)
                    .unwrap();
                next += 1;
            }
            docs.upsert_and_wait(batch, Durability::Fsync).unwrap();
        };
        grow(3000);
        assert_eq!(docs.stats().unwrap().index.unwrap().name(), "FlatF32Index");
        grow(3000);
        grow(10);
        let started = std::time::Instant::now();
        while docs.stats().unwrap().index.unwrap().name() != "RabitqPlusIndex" {
            assert!(started.elapsed().as_secs() < 60, "still flat");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        grow(500);
        for row in [0, 2999, 5999, 6400] {
            assert_eq!(search(&docs, &scattered(row), 1, None), [format!("r{row}")]);
        }
        assert_eq!(docs.verify(None).unwrap().problems, []);
    }
}

#[test]
fn many_vectors_in_memory_get_lists_whatever_is_written_meanwhile() {
    let lake = Lake::in_memory();
    let options = CollectionOptions {
        index: Some(IndexChoice::RabitqIvf),
        ..CollectionOptions::default()
    };
    let docs = lake.collection("docs", options).unwrap();
    let put = |rows: Range<u64>| {
        let mut batch = Batch::new();
        for row in rows {
            batch
                .push_with_vector(&format!("r{row}"), &scattered(row), None, None)
                .unwrap();
        }
        docs.upsert_and_wait(batch, Durability::Fsync).unwrap();
    };
    let kind = || docs.stats().unwrap().index.unwrap().name();
    let remove = |row: u64| {
        let ids = Selection::Ids(vec![format!("r{row}")]);
        docs.delete_and_wait(ids, Durability::Fsync).unwrap();
    };
    put(0..6000);
    let mut next = 6000;
    let started = std::time::Instant::now();
    while kind() != "RabitqIvfIndex" {
        assert!(started.elapsed().as_secs() < 60, "still without lists");
        put(next..next + 10);
        remove(next - 3000);
        next += 10;
    }
    put(next..next + 7000);
    next += 7000;
    remove(1);
    docs.compact().unwrap();
    assert_eq!(kind(), "RabitqIvfIndex");
    let gone =
        |row: u64| row == 1 || (3000..next - 10_000).contains(&row) && row.is_multiple_of(10);
    let left = (0..next).filter(|row| !gone(*row)).count();
    assert_eq!((docs.len(), docs.stats().unwrap().vectors), (left, left));
    for row in (0..next).step_by(97).chain([1]) {
        let request = SearchRequest {
            k: 1,
            recall_target: Some(1.0),
            ..SearchRequest::default()
        };
        let found = docs.search(&scattered(row), 1, &request, None).unwrap();
        let is_found = found[0][0].record.id == format!("r{row}");
        assert_eq!(is_found, !gone(row), "{row}");
    }
}
