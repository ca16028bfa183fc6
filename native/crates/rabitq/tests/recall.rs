//! Recall is what is promised: for one, ten and a hundred hits, each metric, after changes, and under filters.

use rabitq::{AllowList, Bits, BuildOptions, Control, Hit, Index, Kind, Metric, SearchOptions};

const DIMENSIONS: usize = 64;
const ROWS: usize = 20_000;
const TOPICS: usize = 200;

/// Normal numbers, the same every time.
struct Normal(u64);

impl Normal {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn next(&mut self) -> f32 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        (radius * (2.0 * std::f64::consts::PI * self.uniform()).cos()) as f32
    }
}

/// Like embeddings of text: topics of uneven size and width, variance that falls from one coordinate to the next, and a
/// common offset. `sigma` makes lengths uneven.
fn vectors(rows: usize, seed: u64, sigma: f32) -> Vec<f32> {
    let mut topics = Normal(1);
    let middles: Vec<f32> = (0..TOPICS * DIMENSIONS).map(|_| topics.next()).collect();
    let mut normal = Normal(seed);
    let scale: Vec<f32> = (0..DIMENSIONS)
        .map(|i| 1.0 / (1.0 + i as f32 / 12.0))
        .collect();
    let mut out = Vec::with_capacity(rows * DIMENSIONS);
    for _ in 0..rows {
        let topic = (normal.uniform().powi(2) * TOPICS as f64) as usize;
        let width = 0.5 + (topic % 5) as f32 / 5.0;
        let length = (sigma * normal.next()).exp();
        for i in 0..DIMENSIONS {
            let middle = middles[topic * DIMENSIONS + i];
            out.push(length * (0.4 + scale[i] * (middle + width * normal.next())));
        }
    }
    out
}

fn build(kind: Kind, metric: Metric, vectors: &[f32], ids: Option<&[i64]>) -> Index {
    let options = BuildOptions::new(kind, DIMENSIONS, metric);
    Index::build(vectors, ids, &options, Control::default()).unwrap()
}

fn exact(index: &Index) -> Index {
    let rows: Vec<(i64, Vec<f32>)> = index.rows().unwrap().collect::<Result<_, _>>().unwrap();
    let (ids, vectors): (Vec<i64>, Vec<Vec<f32>>) = rows.into_iter().unzip();
    build(
        Kind::FlatF32,
        index.options().metric,
        &vectors.concat(),
        Some(&ids),
    )
}

/// Of rows equally far any will do.
fn recall(truth: &[Vec<Hit>], found: &[Vec<Hit>]) -> f64 {
    let total: usize = truth.iter().map(Vec::len).sum();
    let both = truth.iter().zip(found).map(|(truth, found)| {
        let near = |hit: &&Hit| {
            truth
                .last()
                .is_some_and(|last| hit.distance <= last.distance)
        };
        found.iter().filter(near).count()
    });
    both.sum::<usize>() as f64 / total as f64
}

/// Checks 300 queries for each number of hits. `slack` is what targets may be missed by: a few standard errors.
fn check(index: &Index, queries: &[f32], options: &SearchOptions<'_>, targets: &[f32], what: &str) {
    let exact = exact(index);
    for (k, slack) in [(1, 0.04), (10, 0.02), (100, 0.015)] {
        let plain = SearchOptions {
            allow: options.allow,
            ..SearchOptions::default()
        };
        let truth = exact
            .search_batch(queries, k, &plain, Control::default())
            .unwrap();
        for &target in targets {
            let options = SearchOptions {
                recall_target: Some(target),
                ..*options
            };
            let found = index
                .search_batch(queries, k, &options, Control::default())
                .unwrap();
            let got = recall(&truth, &found);
            assert!(
                got >= f64::from(target) - slack * f64::from(1.0 - target).sqrt() * 3.0,
                "{what}, k {k}: {got} for {target}"
            );
        }
    }
}

#[test]
fn every_metric_keeps_its_promise() {
    for (metric, sigma) in [
        (Metric::Cosine, 0.0),
        (Metric::L2, 0.0),
        (Metric::InnerProduct, 0.0),
        (Metric::InnerProduct, 1.0),
    ] {
        let queries = vectors(300, 99, 0.0);
        for kind in [Kind::RabitqIvf, Kind::RabitqPlus] {
            let index = build(kind, metric, &vectors(ROWS, 7, sigma), None);
            let what = format!("{kind} {metric} sigma {sigma}");
            check(
                &index,
                &queries,
                &SearchOptions::default(),
                &[0.9, 0.95, 0.99],
                &what,
            );
        }
    }
}

#[test]
fn copies_and_short_queries_cost_no_recall() {
    let rows = vectors(ROWS, 7, 0.0);
    // Each row twice; or a copy of one row, or zero, in the place of each so-many-th.
    let with_each = |step: usize, other: &[f32]| -> Vec<f32> {
        let row = |(i, row)| if i % step == 0 { other } else { row };
        let all = rows.chunks_exact(DIMENSIONS).enumerate();
        all.flat_map(row).copied().collect()
    };
    let short = vectors(1500, 99, 0.0).iter().map(|x| x / 4096.0).collect();
    let (one, zero) = (&rows[..DIMENSIONS], [0.0; DIMENSIONS]);
    let cases = [
        (
            "twins",
            Metric::Cosine,
            [&rows[..], &rows[..]].concat(),
            None,
        ),
        ("copies", Metric::L2, with_each(100, one), None),
        ("zeros", Metric::L2, with_each(20, &zero), None),
        ("short", Metric::InnerProduct, rows.clone(), Some(short)),
    ];
    for (name, metric, data, queries) in cases {
        let queries = queries.unwrap_or_else(|| vectors(1500, 99, 0.0));
        for kind in [Kind::RabitqIvf, Kind::RabitqPlus] {
            let index = build(kind, metric, &data, None);
            check(
                &index,
                &queries,
                &SearchOptions::default(),
                &[0.9, 0.95, 0.99],
                &format!("{kind} {metric} {name}"),
            );
        }
    }
}

/// Rows close around few points that are far apart: what is within a list is little beside where it is.
fn clusters(rows: usize, seed: u64) -> Vec<f32> {
    const CLUSTERS: usize = 50;
    let mut normal = Normal(3);
    let middles: Vec<f32> = (0..CLUSTERS * DIMENSIONS).map(|_| normal.next()).collect();
    let mut normal = Normal(seed);
    let mut out = Vec::with_capacity(rows * DIMENSIONS);
    for _ in 0..rows {
        let cluster = (normal.uniform() * CLUSTERS as f64) as usize;
        let middle = &middles[cluster * DIMENSIONS..][..DIMENSIONS];
        out.extend(middle.iter().map(|x| x + 0.1 * normal.next()));
    }
    out
}

#[test]
fn clusters_cost_no_recall() {
    for metric in [Metric::Cosine, Metric::L2, Metric::InnerProduct] {
        let index = build(Kind::RabitqIvf, metric, &clusters(ROWS, 7), None);
        check(
            &index,
            &clusters(1500, 99),
            &SearchOptions::default(),
            &[0.9, 0.95, 0.99],
            &format!("clusters, {metric}"),
        );
    }
}

#[test]
fn fewer_lists_are_visited_for_less() {
    let index = build(
        Kind::RabitqIvf,
        Metric::Cosine,
        &vectors(ROWS, 7, 0.0),
        None,
    );
    let probed = |k: usize, target: f32| -> usize {
        let options = SearchOptions {
            recall_target: Some(target),
            ..SearchOptions::default()
        };
        vectors(50, 99, 0.0)
            .chunks_exact(DIMENSIONS)
            .map(|query| {
                let told = index
                    .explain(query, k, &options, Control::default())
                    .unwrap();
                assert_eq!(told.expected_recall, Some(target));
                assert!(!told.exact_scan && told.hits.len() == k);
                assert!(told.rows_pruned <= told.rows_scanned && told.rows_scanned <= told.rows);
                told.lists_probed
            })
            .sum()
    };
    let all = index.stats().lists * 50;
    assert!(probed(10, 0.9) < probed(10, 0.99));
    assert!(probed(1, 0.95) < probed(100, 0.95));
    assert!(probed(10, 0.95) * 3 < all, "{} of {all}", probed(10, 0.95));
}

#[test]
fn half_the_rows_may_change() {
    for metric in [Metric::Cosine, Metric::InnerProduct, Metric::L2] {
        let data = vectors(ROWS + ROWS / 2, 7, 0.2);
        let index = build(Kind::RabitqIvf, metric, &data[..ROWS * DIMENSIONS], None);
        let step = ROWS / 20;
        for round in 0..10 {
            let first = ROWS + round * step;
            let ids: Vec<i64> = (first as i64..(first + step) as i64).collect();
            let added = &data[first * DIMENSIONS..(first + step) * DIMENSIONS];
            index.add(&ids, added, Control::default()).unwrap();
            let gone: Vec<i64> = (0..step).map(|i| (i * 20 + round) as i64).collect();
            assert_eq!(index.delete(&gone).unwrap(), step);
        }
        let queries = vectors(300, 99, 0.0);
        let what = format!("{metric} after churn");
        check(
            &index,
            &queries,
            &SearchOptions::default(),
            &[0.9, 0.99],
            &what,
        );
        let folder = tempfile::tempdir().unwrap();
        index
            .save(&folder.path().join("a.rbq"), Control::default())
            .unwrap();
        let what = format!("{metric} after saving");
        check(
            &index,
            &queries,
            &SearchOptions::default(),
            &[0.9, 0.99],
            &what,
        );
    }
}

#[test]
fn filters_find_what_they_let_through() {
    let data = vectors(ROWS, 7, 0.0);
    let index = build(Kind::RabitqIvf, Metric::Cosine, &data, None);
    let exact = exact(&index);
    let queries = vectors(300, 99, 0.0);
    for share in [1000, 100, 10, 2] {
        let wanted = ROWS / share;
        let random: Vec<i64> = (0..ROWS as i64)
            .filter(|id| id * 7919 % share as i64 == 0)
            .collect();
        let topic = exact.search(
            &queries[..DIMENSIONS],
            wanted,
            &SearchOptions::default(),
            Control::default(),
        );
        let topic: Vec<i64> = topic.unwrap().iter().map(|hit| hit.id).collect();
        for (name, ids) in [("random", random), ("topic", topic)] {
            let rows = ids.len();
            let allow = AllowList::new(ids);
            let options = SearchOptions {
                allow: Some(&allow),
                ..SearchOptions::default()
            };
            let what = format!("1 of {share} rows, {name}");
            check(&index, &queries, &options, &[0.95], &what);
            let query = &queries[..DIMENSIONS];
            let told = index
                .explain(query, ROWS, &options, Control::default())
                .unwrap();
            assert_eq!(told.hits.len(), rows, "{what}: all of them");
            assert_eq!(told.allowed, Some(rows));
            let told = index
                .explain(query, 10, &options, Control::default())
                .unwrap();
            assert!(told.exact_scan || share < 100, "{what}: {told:?}");
        }
    }
}

/// Ids of all rows, the farthest from the first one first.
fn farthest(index: &Index, data: &[f32]) -> Vec<i64> {
    let all = SearchOptions::default();
    let near = exact(index).search(&data[..DIMENSIONS], ROWS, &all, Control::default());
    near.unwrap().iter().rev().map(|hit| hit.id).collect()
}

/// Ids of all rows, the longest first.
fn longest(data: &[f32]) -> Vec<i64> {
    let square = |row: &[f32]| row.iter().map(|x| x * x).sum::<f32>();
    let squares: Vec<f32> = data.chunks_exact(DIMENSIONS).map(square).collect();
    let mut ids: Vec<i64> = (0..squares.len() as i64).collect();
    ids.sort_by(|&a, &b| squares[b as usize].total_cmp(&squares[a as usize]));
    ids
}

#[test]
fn filters_may_let_through_what_is_far() {
    let data = vectors(ROWS, 7, 0.5);
    let queries = vectors(1500, 99, 0.5);
    for metric in [Metric::L2, Metric::InnerProduct] {
        let index = build(Kind::RabitqIvf, metric, &data, None);
        let far = farthest(&index, &data);
        for (name, ids) in [("far", far), ("long", longest(&data))] {
            for share in [10, 3] {
                let allow = AllowList::new(ids[..ROWS / share].to_vec());
                let options = SearchOptions {
                    allow: Some(&allow),
                    ..SearchOptions::default()
                };
                let what = format!("{metric}, 1 of {share} rows, {name}");
                check(&index, &queries, &options, &[0.9, 0.95, 0.97], &what);
            }
        }
    }
}

#[test]
fn queries_may_lie_in_the_middle_of_rows() {
    // Of 20 normal distributions in 64 dimensions, which are hollow; queries are a third as far from their middles.
    let cloud = |rows: usize, seed: u64, width: f32| -> Vec<f32> {
        let (mut middles, mut normal) = (Normal(1), Normal(seed));
        let middles: Vec<f32> = (0..20 * DIMENSIONS).map(|_| middles.next()).collect();
        let row = |i: usize| &middles[i % 20 * DIMENSIONS..][..DIMENSIONS];
        (0..rows)
            .flat_map(|i| {
                row(i)
                    .iter()
                    .map(|x| x + width * normal.next())
                    .collect::<Vec<_>>()
            })
            .collect()
    };
    let queries = cloud(1500, 99, 0.3);
    for metric in [Metric::L2, Metric::Cosine] {
        let index = build(Kind::RabitqIvf, metric, &cloud(ROWS, 7, 1.0), None);
        let (options, what) = (SearchOptions::default(), format!("{metric} in the middle"));
        check(&index, &queries, &options, &[0.9, 0.95, 0.99], &what);
    }
}

#[test]
fn a_cap_of_comparisons_holds() {
    let data = vectors(ROWS, 7, 0.0);
    let queries = vectors(40, 99, 0.0);
    let few = AllowList::new((0..ROWS as i64).step_by(150).collect());
    for (kind, bits) in [
        (Kind::RabitqPlus, Bits::Five),
        (Kind::RabitqAsym, Bits::One),
        (Kind::RabitqIvf, Bits::Five),
    ] {
        let options = BuildOptions {
            bits: Some(bits),
            rerank_factor: (kind == Kind::RabitqAsym).then_some(1024),
            ..BuildOptions::new(kind, DIMENSIONS, Metric::L2)
        };
        let index = Index::build(&data, None, &options, Control::default()).unwrap();
        // A second part, with rows that are near some queries.
        let ids: Vec<i64> = (0..40).map(|id| (ROWS + id) as i64).collect();
        let near: Vec<f32> = queries.iter().map(|number| number + 0.01).collect();
        index.add(&ids, &near, Control::default()).unwrap();
        let free = SearchOptions {
            rerank_factor: Some(1024),
            ..SearchOptions::default()
        };
        let mut found = 0;
        for (k, factor, recall_target, allow) in [
            (10, 20, None, None),
            (1, 1, None, None),
            (3, 2, Some(1.0), None),
            (3, 2, Some(0.9), Some(&few)),
        ] {
            let options = SearchOptions {
                rerank_factor: Some(factor),
                recall_target,
                allow,
                ..SearchOptions::default()
            };
            for (at, query) in queries.chunks_exact(DIMENSIONS).enumerate() {
                let told = index.explain(query, k, &options, Control::default());
                let told = told.unwrap();
                let what = format!("{kind} {bits:?}, k {k}, factor {factor}: {told:?}");
                assert_eq!(told.hits.len(), k, "{what}");
                assert!(told.rows_reranked <= k * factor as usize, "{what}");
                assert!(told.rows_scanned <= told.rows, "no row twice: {what}");
                assert_eq!(told.expected_recall, None, "{what}");
                if allow.is_some() {
                    assert!(told.hits.iter().all(|hit| hit.id % 150 == 0), "{what}");
                } else if bits == Bits::Five {
                    found += usize::from(told.hits[0].id == ids[at]);
                }
                if k == 10 && bits == Bits::Five {
                    let free = index.explain(query, k, &free, Control::default()).unwrap();
                    assert!(free.rows_reranked > 150 || told.hits == free.hits, "{what}");
                }
            }
        }
        let wanted = if bits == Bits::Five { 3 * 40 } else { 0 };
        assert!(found + 6 >= wanted, "{kind}: {found} of {wanted}");
    }
}
