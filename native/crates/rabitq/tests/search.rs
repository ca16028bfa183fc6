//! What every index kind must do, checked against a plain computation.

use rabitq::{
    AllowList, Bits, BuildOptions, Control, Index, Kind, Metric, OpenOptions, SearchOptions,
};

const KINDS: [Kind; 5] = [
    Kind::FlatF32,
    Kind::Rabitq,
    Kind::RabitqPlus,
    Kind::RabitqAsym,
    Kind::RabitqIvf,
];
const METRICS: [Metric; 3] = [Metric::Cosine, Metric::InnerProduct, Metric::L2];

/// Deterministic near-Gaussian numbers around a few centres, unevenly long.
fn vectors(rows: usize, dimensions: usize, seed: u64) -> Vec<f32> {
    let mut state = seed | 1;
    let mut uniform = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    let mut gauss = move || (0..4).map(|_| uniform()).sum::<f32>();
    let centres: Vec<f32> = (0..8 * dimensions).map(|_| gauss()).collect();
    (0..rows * dimensions)
        .map(|i| centres[(i / dimensions * 7) % 8 * dimensions + i % dimensions] + gauss())
        .collect()
}

fn distance(metric: Metric, a: &[f32], b: &[f32]) -> f64 {
    let dot = |x: &[f32], y: &[f32]| {
        x.iter()
            .zip(y)
            .map(|(x, y)| f64::from(*x) * f64::from(*y))
            .sum::<f64>()
    };
    match metric {
        Metric::L2 => a
            .iter()
            .zip(b)
            .map(|(x, y)| f64::from(x - y).powi(2))
            .sum::<f64>()
            .sqrt(),
        Metric::InnerProduct => -dot(a, b),
        Metric::Cosine => 1.0 - dot(a, b) / (dot(a, a) * dot(b, b)).sqrt(),
    }
}

fn truth(
    metric: Metric,
    data: &[f32],
    dimensions: usize,
    query: &[f32],
    k: usize,
) -> Vec<(i64, f64)> {
    let rows = data.chunks_exact(dimensions).enumerate();
    let mut all: Vec<(i64, f64)> = rows
        .map(|(i, row)| (i as i64, distance(metric, query, row)))
        .collect();
    all.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
    all.truncate(k);
    all
}

fn recall(index: &Index, data: &[f32], queries: &[f32], k: usize) -> f64 {
    let (dimensions, metric) = (index.options().dimensions, index.options().metric);
    let mut found = 0;
    for query in queries.chunks_exact(dimensions) {
        let want: Vec<i64> = truth(metric, data, dimensions, query, k)
            .iter()
            .map(|t| t.0)
            .collect();
        let got = index
            .search(query, k, &SearchOptions::default(), Control::default())
            .unwrap();
        found += got.iter().filter(|hit| want.contains(&hit.id)).count();
    }
    found as f64 / (queries.len() / dimensions * k) as f64
}

fn build(kind: Kind, metric: Metric, dimensions: usize, data: &[f32]) -> Index {
    Index::build(
        data,
        None,
        &BuildOptions::new(kind, dimensions, metric),
        Control::default(),
    )
    .unwrap()
}

fn ids(index: &Index, query: &[f32], k: usize) -> Vec<i64> {
    index
        .search(query, k, &SearchOptions::default(), Control::default())
        .unwrap()
        .iter()
        .map(|hit| hit.id)
        .collect()
}

#[test]
fn recall_is_what_each_kind_promises() {
    let dimensions = 96;
    let data = vectors(6000, dimensions, 1);
    let queries = vectors(40, dimensions, 2);
    for metric in METRICS {
        for kind in KINDS {
            let floor = match kind {
                Kind::FlatF32 => 0.999,
                Kind::RabitqPlus => 0.99,
                Kind::RabitqIvf => 0.97,
                Kind::RabitqAsym => 0.9,
                Kind::Rabitq => 0.15,
            };
            let got = recall(&build(kind, metric, dimensions, &data), &data, &queries, 10);
            println!("{kind} {metric}: {got}");
            assert!(got >= floor, "{kind} {metric}: recall {got}");
        }
    }
}

#[test]
fn more_bits_and_raw_vectors_raise_recall() {
    let dimensions = 128;
    let data = vectors(5000, dimensions, 3);
    let queries = vectors(30, dimensions, 4);
    let with = |bits, rerank_factor| {
        let options = BuildOptions {
            bits: Some(bits),
            rerank_factor,
            ..BuildOptions::new(Kind::RabitqAsym, dimensions, Metric::Cosine)
        };
        recall(
            &Index::build(&data, None, &options, Control::default()).unwrap(),
            &data,
            &queries,
            10,
        )
    };
    let (one, five, eight) = (
        with(Bits::One, None),
        with(Bits::Five, None),
        with(Bits::Eight, None),
    );
    println!("{one} {five} {eight} {}", with(Bits::One, Some(20)));
    assert!(one < five && five < eight, "{one} {five} {eight}");
    assert!(eight > 0.98 && with(Bits::One, Some(20)) > one + 0.2);
}

#[test]
fn distances_are_exact_after_reranking() {
    for metric in METRICS {
        for dimensions in [1, 2, 3, 100, 385] {
            let data = vectors(1500, dimensions, 5);
            let index = build(Kind::RabitqPlus, metric, dimensions, &data);
            let query = vectors(1, dimensions, 6);
            let hits = index
                .search(&query, 7, &SearchOptions::default(), Control::default())
                .unwrap();
            let want = truth(metric, &data, dimensions, &query, 7);
            for (hit, want) in hits.iter().zip(&want) {
                let scale = 1.0 + want.1.abs();
                assert!(
                    (hit.distance - want.1).abs() < 2e-5 * scale,
                    "{metric} {dimensions}: {hit:?} {want:?}"
                );
            }
        }
    }
}

#[test]
fn a_vector_is_exactly_like_itself() {
    let data = vectors(2000, 48, 7);
    for kind in [Kind::FlatF32, Kind::RabitqPlus] {
        let index = build(kind, Metric::Cosine, 48, &data);
        for row in [0usize, 777, 1999] {
            let hits = index
                .search(
                    &data[row * 48..(row + 1) * 48],
                    1,
                    &SearchOptions::default(),
                    Control::default(),
                )
                .unwrap();
            assert_eq!((hits[0].id, hits[0].distance), (row as i64, 0.0));
        }
    }
}

#[test]
fn ties_keep_insertion_order() {
    for kind in KINDS {
        for metric in METRICS {
            let same = [0.3f32, -1.0, 2.0, 0.5].repeat(3000);
            assert_eq!(
                ids(&build(kind, metric, 4, &same), &[1.0, 0.0, 0.5, 0.0], 5),
                [0, 1, 2, 3, 4],
                "{kind} {metric}"
            );
            let zeros = vec![0.0; 3000 * 4];
            assert_eq!(
                ids(&build(kind, metric, 4, &zeros), &[1.0, 0.0, 0.5, 0.0], 5),
                [0, 1, 2, 3, 4],
                "{kind} {metric}"
            );
            let data = vectors(3000, 4, 9);
            if metric != Metric::L2 {
                assert_eq!(
                    ids(&build(kind, metric, 4, &data), &[0.0; 4], 5),
                    [0, 1, 2, 3, 4],
                    "{kind} {metric}"
                );
            }
        }
    }
}

#[test]
fn zero_and_right_angled_rows_tie_and_no_zero_is_negative() {
    let data = [[0.0f32, 0.0], [0.0, 1.0], [0.0, 0.0], [0.0, -1.0]].concat();
    for kind in [Kind::FlatF32, Kind::RabitqPlus] {
        for metric in [Metric::Cosine, Metric::InnerProduct] {
            let index = build(kind, metric, 2, &data);
            let found = index
                .search(
                    &[1.0, 0.0],
                    4,
                    &SearchOptions::default(),
                    Control::default(),
                )
                .unwrap();
            let ids: Vec<i64> = found.iter().map(|hit| hit.id).collect();
            assert_eq!(ids, [0, 1, 2, 3], "{kind} {metric}");
            for hit in found {
                let score = metric.score(hit.distance);
                assert!(
                    hit.distance.is_sign_positive() && score.is_sign_positive(),
                    "{kind} {metric}"
                );
            }
        }
    }
    for kind in KINDS {
        let index = build(kind, Metric::InnerProduct, 2, &data);
        let found = index
            .search(&[0.0; 2], 4, &SearchOptions::default(), Control::default())
            .unwrap();
        assert!(
            found.iter().all(|hit| hit.distance.is_sign_positive()),
            "{kind}"
        );
    }
}

#[test]
fn pairs_of_equal_vectors_come_in_order() {
    let half = vectors(1500, 32, 10);
    let data = [half.clone(), half.clone()].concat();
    for metric in METRICS {
        let index = build(Kind::RabitqPlus, metric, 32, &data);
        for query in vectors(10, 32, 11).chunks_exact(32) {
            let got = ids(&index, query, 10);
            let want: Vec<i64> = truth(metric, &half, 32, query, 5)
                .iter()
                .flat_map(|t| [t.0, t.0 + 1500])
                .collect();
            assert_eq!(got, want, "{metric}");
        }
    }
}

#[test]
fn a_zero_vector_has_cosine_zero() {
    let mut data = vectors(800, 8, 12);
    data[..8].fill(0.0);
    for kind in KINDS {
        let index = build(kind, Metric::Cosine, 8, &data);
        let hits = index
            .search(
                &data[8..16],
                800,
                &SearchOptions::default(),
                Control::default(),
            )
            .unwrap();
        let zero = hits.iter().find(|hit| hit.id == 0).unwrap();
        assert!((zero.distance - 1.0).abs() < 1e-6, "{kind}: {zero:?}");
    }
}

#[test]
fn k_above_n_and_tiny_indexes() {
    for kind in KINDS {
        let index = build(kind, Metric::Cosine, 3, &[]);
        assert!(ids(&index, &[1.0, 0.0, 0.0], 5).is_empty());
        index
            .add(&[9], &[1.0, 0.0, 0.0], Control::default())
            .unwrap();
        assert_eq!(ids(&index, &[1.0, 0.0, 0.0], 1_000_000_000), [9]);
        let three = build(kind, Metric::L2, 1, &[1.0, 2.0, 4.0]);
        assert_eq!(ids(&three, &[1.1], 10), [0, 1, 2], "{kind}");
    }
}

#[test]
fn deleting_the_nearest_leaves_k_full() {
    let data = vectors(4000, 64, 13);
    for kind in KINDS {
        let index = build(kind, Metric::Cosine, 64, &data);
        let query = &data[64 * 5..64 * 6];
        let before = ids(&index, query, 6);
        assert_eq!(
            index
                .delete(&[before[0], before[1], before[2], -4, before[0]])
                .unwrap(),
            3
        );
        assert_eq!(index.len(), 3997);
        let after = ids(&index, query, 3);
        assert_eq!(after, before[3..6], "{kind}");
        assert_eq!(index.delete(&before[..3]).unwrap(), 0);
    }
}

#[test]
fn additions_replace_and_append() {
    let data = vectors(3000, 32, 14);
    for kind in KINDS {
        let index = build(kind, Metric::L2, 32, &data[..1000 * 32]);
        let high = (1i64 << 32) + 3;
        index
            .add(&[high, 5], &data[1000 * 32..1002 * 32], Control::default())
            .unwrap();
        assert_eq!(index.len(), 1001);
        assert!(index.contains(high).unwrap() && index.contains(5).unwrap());
        assert_eq!(
            ids(&index, &data[1000 * 32..1001 * 32], 1),
            [high],
            "{kind}"
        );
        if kind != Kind::Rabitq {
            assert_eq!(ids(&index, &data[1001 * 32..1002 * 32], 1), [5], "{kind}");
        }
        for start in (1002..3000).step_by(37) {
            let end = (start + 37).min(3000);
            let batch: Vec<i64> = (start..end).map(|i| i as i64).collect();
            index
                .add(&batch, &data[start * 32..end * 32], Control::default())
                .unwrap();
        }
        assert_eq!(index.len(), 1001 + 1998);
        assert!(index.stats().parts < 20, "{} parts", index.stats().parts);
        assert_eq!(
            ids(&index, &data[2500 * 32..2501 * 32], 1),
            [2500],
            "{kind}"
        );
        if kind == Kind::RabitqPlus {
            assert_eq!(
                index.get(2500).unwrap().unwrap(),
                &data[2500 * 32..2501 * 32]
            );
            assert_eq!(index.rows().unwrap().count(), index.len());
            assert_eq!(index.ids().unwrap().len(), index.len());
        }
    }
}

#[test]
fn filters_return_the_best_of_the_allowed() {
    let data = vectors(5000, 48, 15);
    for kind in [Kind::FlatF32, Kind::RabitqPlus] {
        let index = build(kind, Metric::Cosine, 48, &data);
        for step in [1, 2, 10, 100, 1000] {
            let allowed: Vec<i64> = (0..5000).rev().filter(|i| i % step == 0).collect();
            let allow = AllowList::new(allowed.clone());
            let options = SearchOptions {
                allow: Some(&allow),
                ..SearchOptions::default()
            };
            let query = &data[48 * 17..48 * 18];
            let got: Vec<i64> = index
                .search(query, 10, &options, Control::default())
                .unwrap()
                .iter()
                .map(|hit| hit.id)
                .collect();
            let want: Vec<i64> = truth(Metric::Cosine, &data, 48, query, 5000)
                .iter()
                .map(|t| t.0)
                .filter(|i| i % step == 0)
                .take(10)
                .collect();
            assert_eq!(got, want, "{kind} {step}");
        }
        let none = AllowList::new(vec![]);
        let options = SearchOptions {
            allow: Some(&none),
            ..SearchOptions::default()
        };
        assert!(
            index
                .search(&data[..48], 10, &options, Control::default())
                .unwrap()
                .is_empty()
        );
    }
}

#[test]
fn a_saved_index_answers_bit_for_bit() {
    let dir = tempfile::tempdir().unwrap();
    let data = vectors(3000, 100, 16);
    let queries = vectors(20, 100, 17);
    for kind in KINDS {
        for metric in METRICS {
            let order: Vec<i64> = (0..3000).map(|i| (i * 7919) % 3001 - 500).collect();
            let index = Index::build(
                &data,
                Some(&order),
                &BuildOptions::new(kind, 100, metric),
                Control::default(),
            )
            .unwrap();
            index.delete(&order[100..200]).unwrap();
            let path = dir.path().join("index.rbq");
            index.save(&path, Control::default()).unwrap();
            let loaded = Index::open(&path, OpenOptions::default(), Control::default()).unwrap();
            assert_eq!(loaded.options(), index.options());
            assert_eq!(loaded.len(), 2900);
            let options = SearchOptions::default();
            assert_eq!(
                loaded
                    .search_batch(&queries, 10, &options, Control::default())
                    .unwrap(),
                index
                    .search_batch(&queries, 10, &options, Control::default())
                    .unwrap()
            );
            let again = dir.path().join("again.rbq");
            loaded.save(&again, Control::default()).unwrap();
            assert_eq!(
                std::fs::read(&path).unwrap(),
                std::fs::read(&again).unwrap(),
                "{kind} {metric}"
            );
            loaded
                .add(&[9000], &data[..100], Control::default())
                .unwrap();
            loaded.delete(&[order[7]]).unwrap();
            loaded.save(&path, Control::default()).unwrap();
            assert_eq!(
                Index::open(&path, OpenOptions::default(), Control::default())
                    .unwrap()
                    .len(),
                2900
            );
        }
    }
}

#[test]
fn threads_do_not_change_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let data = vectors(5000, 64, 18);
    let file = |threads: usize| {
        let path = dir.path().join(format!("{threads}.rbq"));
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            build(Kind::RabitqPlus, Metric::Cosine, 64, &data).save(&path, Control::default())
        })
        .unwrap();
        std::fs::read(path).unwrap()
    };
    assert!(file(1) == file(3));
}

#[test]
fn a_rerank_cap_never_returns_more_than_k() {
    let data = vectors(2000, 40, 20);
    for kind in [Kind::FlatF32, Kind::RabitqPlus, Kind::RabitqAsym] {
        let options = BuildOptions {
            rerank_factor: Some(5),
            ..BuildOptions::new(kind, 40, Metric::L2)
        };
        let index = Index::build(&data, None, &options, Control::default()).unwrap();
        let found = ids(&index, &data[..40], 10);
        assert_eq!((found.len(), found[0]), (10, 0), "{kind}");
    }
}
