//! Walks over records.

use rulake::{Durability, Selection};

use crate::{ALL, docs, lakes, put, search};

#[test]
fn a_scan_keeps_the_state_it_started_with() {
    for (_dir, lake) in lakes() {
        let docs = docs(&lake);
        for i in 0..30 {
            put(
                &docs,
                &[(
                    &format!("{i:02}"),
                    [1.0, i as f32, 0.0],
                    &format!("{{\"even\":{}}}", i % 2 == 0),
                )],
            );
        }
        let mut scan = docs.scan(Some(r#"{"even":true}"#), ALL).unwrap();
        let first = scan.next_chunk(4, usize::MAX, None).unwrap();
        docs.delete_and_wait(Selection::All, Durability::Fsync)
            .unwrap();
        docs.compact().unwrap();
        put(&docs, &[("new", [1.0, 0.0, 0.0], "{}")]);
        let mut rest = Vec::new();
        loop {
            let chunk = scan.next_chunk(100, 1, None).unwrap();
            if chunk.is_empty() {
                break;
            }
            assert_eq!(chunk.len(), 1, "one record fills a budget of one byte");
            rest.extend(chunk);
        }
        let ids: Vec<_> = first
            .iter()
            .chain(&rest)
            .map(|found| found.id.clone())
            .collect();
        assert_eq!(
            ids,
            (0..30)
                .step_by(2)
                .map(|i| format!("{i:02}"))
                .collect::<Vec<_>>()
        );
        assert!(
            first
                .iter()
                .chain(&rest)
                .all(|found| found.vector.is_some()),
            "vectors of a pinned state stay"
        );
        assert_eq!(search(&docs, &[1.0, 0.0, 0.0], 5, None), ["new"]);
    }
}
