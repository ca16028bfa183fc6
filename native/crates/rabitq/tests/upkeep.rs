//! Indexes whose rows come and go: rounds of upkeep, compaction, changes meanwhile.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rabitq::{BuildOptions, Control, Index, Kind, Metric, SearchOptions};

const DIMENSIONS: usize = 32;

/// A number between -1 and 1.
fn number(a: usize, b: usize) -> f32 {
    let mut z = (a as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)
        ^ (b as u64).wrapping_mul(0xD134_2543_DE82_EF95);
    z = (z ^ (z >> 31)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 29)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z >> 40) as f32 / (1u64 << 24) as f32 - 0.5) * 2.0
}

/// Rows scattered around some of the centres of a region.
fn vectors(rows: std::ops::Range<usize>, region: usize) -> Vec<f32> {
    rows.flat_map(|row| {
        (0..DIMENSIONS)
            .map(move |i| number(row % 200 + 1_000_000 * (region + 1), i) + 0.7 * number(row, i))
    })
    .collect()
}

fn build(vectors: Vec<f32>, ids: Option<&[i64]>, kind: Kind) -> Index {
    let options = BuildOptions::new(kind, DIMENSIONS, Metric::L2);
    Index::build(vectors, ids, &options, Control::default()).unwrap()
}

fn rows(index: &Index) -> (Vec<i64>, Vec<f32>) {
    let rows: Vec<(i64, Vec<f32>)> = index.rows().unwrap().collect::<Result<_, _>>().unwrap();
    let (ids, vectors): (Vec<i64>, Vec<Vec<f32>>) = rows.into_iter().unzip();
    (ids, vectors.concat())
}

fn recall(index: &Index, exact: &Index, queries: &[f32], options: &SearchOptions<'_>) -> f64 {
    let search = |index: &Index, query: &[f32], options: &SearchOptions<'_>| {
        index
            .search(query, 10, options, Control::default())
            .unwrap()
    };
    let found = queries.chunks_exact(DIMENSIONS).map(|query| {
        let want = search(exact, query, &SearchOptions::default());
        let got = search(index, query, options);
        got.iter()
            .filter(|hit| want.iter().any(|w| w.id == hit.id))
            .count()
    });
    found.sum::<usize>() as f64 / (queries.len() / DIMENSIONS * 10) as f64
}

fn saved(index: &Index) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.rbq");
    index.save(&path, Control::default()).unwrap();
    std::fs::read(path).unwrap()
}

#[test]
fn half_the_rows_replaced_by_others_elsewhere_cost_no_recall() {
    let n = 24_000;
    let index = build(vectors(0..n, 0), None, Kind::RabitqIvf);
    let built = index.stats();
    for round in 0..6 {
        let (start, count) = (n + round * 2_400, 2_400);
        let ids: Vec<i64> = (start as i64..(start + count) as i64).collect();
        index
            .add(&ids, &vectors(start..start + count, 1), Control::default())
            .unwrap();
        let twelfth = |id: usize| ((number(id, 77) + 1.0) * 6.0) as usize;
        let gone = (0..n).filter(|&id| twelfth(id) == round);
        let gone: Vec<i64> = gone.map(|id| id as i64).collect();
        index.delete(&gone).unwrap();
        while index.needs_upkeep() {
            assert!(index.maintain(Control::default()).unwrap());
        }
    }
    let stats = index.stats();
    assert!(stats.ungrouped <= 2_048, "{stats:?}");
    assert!(stats.imbalance < 4.0, "{stats:?}");
    assert!(stats.drift > 0.5 && stats.drift < 1.5, "{stats:?}");
    assert_eq!((built.ungrouped, built.drift), (0, 1.0));

    let (ids, all) = rows(&index);
    assert!(ids.len() > n && ids.len() < 29_000);
    let exact = build(all.clone(), Some(&ids), Kind::FlatF32);
    let fresh = build(all, Some(&ids), Kind::RabitqIvf);
    for region in [0, 1] {
        let queries = vectors(900_000..900_100, region);
        let few = SearchOptions {
            nprobe: Some(8),
            recall_target: Some(0.999),
            ..SearchOptions::default()
        };
        let (kept, anew) = (
            recall(&index, &exact, &queries, &few),
            recall(&fresh, &exact, &queries, &few),
        );
        assert!(
            kept > anew - 0.08,
            "region {region}: {kept}, built anew {anew}"
        );
    }
    let target = SearchOptions {
        recall_target: Some(0.95),
        ..SearchOptions::default()
    };
    let queries = [vectors(900_000..900_100, 0), vectors(900_000..900_100, 1)].concat();
    let got = recall(&index, &exact, &queries, &target);
    assert!(got > 0.94, "{got}");

    index.compact(Control::default()).unwrap();
    assert_eq!(rows(&index).0, ids);
    assert!(saved(&index) == saved(&fresh));
    let stats = index.stats();
    assert_eq!((stats.parts, stats.deleted, stats.drift), (1, 0, 1.0));
}

#[test]
fn compaction_of_any_kind_is_what_a_build_would_be() {
    for kind in [
        Kind::FlatF32,
        Kind::RabitqPlus,
        Kind::RabitqIvf,
        Kind::Rabitq,
    ] {
        let index = build(vectors(0..1_000, 0), None, kind);
        index
            .add(&[5, 2_000], &vectors(0..2, 1), Control::default())
            .unwrap();
        index.delete(&(100..700).collect::<Vec<_>>()).unwrap();
        let before = index.ids().unwrap();
        index.compact(Control::default()).unwrap();
        assert_eq!(index.ids().unwrap(), before, "{kind}");
        let stats = index.stats();
        assert_eq!((stats.parts, stats.deleted), (1, 0), "{kind}");
        if kind != Kind::Rabitq {
            let (ids, all) = rows(&index);
            let same = saved(&index) == saved(&build(all, Some(&ids), kind));
            assert!(same, "{kind}");
        }
        index.delete(&before).unwrap();
        index.compact(Control::default()).unwrap();
        assert!(index.is_empty() && index.stats().heap_bytes == 0);
    }
}

#[test]
fn an_index_that_began_empty_gets_lists() {
    let index = build(vec![], None, Kind::RabitqIvf);
    let ids: Vec<i64> = (0..12_000).collect();
    for part in ids.chunks(3_000) {
        let start = part[0] as usize;
        let vectors = vectors(start..start + part.len(), 0);
        index.add(part, &vectors, Control::default()).unwrap();
        index.maintain(Control::default()).unwrap();
    }
    let stats = index.stats();
    assert!(stats.lists > 100 && stats.ungrouped <= 2_048, "{stats:?}");
    assert!(stats.imbalance < 4.0, "{stats:?}");
}

#[test]
fn changes_during_upkeep_are_kept() {
    let index = build(vectors(0..8_000, 0), None, Kind::RabitqIvf);
    let done = AtomicBool::new(false);
    let rounds = AtomicUsize::new(0);
    let mut want: BTreeMap<i64, usize> = (0..8_000).map(|id| (id, 0)).collect();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut turn = 0;
            while !done.load(Ordering::Relaxed) {
                turn += 1;
                let changed = if turn % 4 == 0 {
                    index.compact(Control::default()).unwrap();
                    true
                } else {
                    index.maintain(Control::default()).unwrap()
                };
                rounds.fetch_add(usize::from(changed), Ordering::Relaxed);
                std::thread::yield_now();
            }
        });
        // As long as it takes the other thread to get the CPU.
        let goes_on = |round| round < 60 || rounds.load(Ordering::Relaxed) < 2;
        for round in (1..5_000).take_while(|&round| goes_on(round)) {
            let ids: Vec<i64> = (0..500).map(|i| (round * 389 + i * 7) % 12_000).collect();
            let data: Vec<f32> = ids
                .iter()
                .flat_map(|&id| vectors(id as usize..id as usize + 1, round as usize))
                .collect();
            index.add(&ids, &data, Control::default()).unwrap();
            want.extend(ids.iter().map(|&id| (id, round as usize)));
            let gone: Vec<i64> = (0..400).map(|i| (round * 631 + i * 11) % 12_000).collect();
            let count = index.delete(&gone).unwrap();
            let known = gone.iter().filter(|id| want.remove(id).is_some()).count();
            assert_eq!((count, index.len()), (known, want.len()));
        }
        done.store(true, Ordering::Relaxed);
        assert!(!goes_on(60));
    });
    let mut ids = index.ids().unwrap();
    ids.sort_unstable();
    assert_eq!(ids, want.keys().copied().collect::<Vec<_>>());
    for (&id, &region) in &want {
        let vector = vectors(id as usize..id as usize + 1, region);
        assert_eq!(index.get(id).unwrap().unwrap(), vector);
    }
    for (&id, &region) in want.iter().step_by(97) {
        let query = vectors(id as usize..id as usize + 1, region);
        let hits = index
            .search(&query, 1, &SearchOptions::default(), Control::default())
            .unwrap();
        assert_eq!((hits[0].id, hits[0].distance), (id, 0.0));
    }
}

#[test]
fn a_round_that_is_cancelled_leaves_no_trace() {
    let index = build(vectors(0..6_000, 0), None, Kind::RabitqIvf);
    let ids: Vec<i64> = (6_000..9_000).collect();
    index
        .add(&ids, &vectors(6_000..9_000, 1), Control::default())
        .unwrap();
    let before = index.stats();
    let cancel = AtomicBool::new(true);
    let control = Control {
        cancel: Some(&cancel),
        ..Control::default()
    };
    assert_eq!(index.maintain(control).unwrap_err().code(), "CANCELLED");
    assert_eq!(index.compact(control).unwrap_err().code(), "CANCELLED");
    assert_eq!(index.stats(), before);
    assert!(index.needs_upkeep() && index.maintain(Control::default()).unwrap());
    assert_eq!((index.stats().parts, index.stats().ungrouped), (1, 0));
    assert!(!index.maintain(Control::default()).unwrap());
}
