//! An index with inverted lists: recall by target, probes, filters, life after building.

use rabitq::{
    AllowList, BuildOptions, Control, Hit, Index, Kind, Metric, OpenOptions, SearchOptions,
};

const DIMENSIONS: usize = 48;

/// A number between -1 and 1.
fn number(a: usize, b: usize) -> f32 {
    let mut z = (a as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)
        ^ (b as u64).wrapping_mul(0xD134_2543_DE82_EF95);
    z = (z ^ (z >> 31)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 29)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z >> 40) as f32 / (1u64 << 24) as f32 - 0.5) * 2.0
}

/// Rows scattered around many centres, which queries share.
fn vectors(rows: std::ops::Range<usize>) -> Vec<f32> {
    rows.flat_map(|row| {
        (0..DIMENSIONS).map(move |i| number(row % 300 + 1_000_000, i) + 0.7 * number(row, i))
    })
    .collect()
}

fn build(rows: usize, metric: Metric) -> Index {
    let options = BuildOptions::new(Kind::RabitqIvf, DIMENSIONS, metric);
    Index::build(vectors(0..rows), None, &options, Control::default()).unwrap()
}

fn search(index: &Index, query: &[f32], k: usize, options: &SearchOptions<'_>) -> Vec<Hit> {
    index.search(query, k, options, Control::default()).unwrap()
}

fn recall(index: &Index, exact: &Index, k: usize, options: &SearchOptions<'_>) -> f64 {
    recall_of(&vectors(500_000..500_300), index, exact, k, options)
}

fn recall_of(
    queries: &[f32],
    index: &Index,
    exact: &Index,
    k: usize,
    options: &SearchOptions<'_>,
) -> f64 {
    let found = queries.chunks_exact(DIMENSIONS).map(|query| {
        let want = search(
            exact,
            query,
            k,
            &SearchOptions {
                nprobe: None,
                recall_target: None,
                ..*options
            },
        );
        search(index, query, k, options)
            .iter()
            .filter(|hit| want.iter().any(|w| w.id == hit.id))
            .count()
    });
    found.sum::<usize>() as f64 / (queries.len() / DIMENSIONS * k) as f64
}

fn exact(index: &Index) -> Index {
    let rows: Vec<(i64, Vec<f32>)> = index.rows().unwrap().collect::<Result<_, _>>().unwrap();
    let (ids, vectors): (Vec<i64>, Vec<Vec<f32>>) = rows.into_iter().unzip();
    let options = BuildOptions::new(Kind::FlatF32, DIMENSIONS, index.options().metric);
    Index::build(vectors.concat(), Some(&ids), &options, Control::default()).unwrap()
}

#[test]
fn recall_follows_the_target_and_the_probes() {
    for metric in [Metric::Cosine, Metric::InnerProduct, Metric::L2] {
        let index = build(20_000, metric);
        let exact = exact(&index);
        for target in [0.8, 0.9, 0.95, 0.99] {
            let options = SearchOptions {
                recall_target: Some(target),
                ..SearchOptions::default()
            };
            let got = recall(&index, &exact, 10, &options);
            assert!(
                got >= f64::from(target) - 0.02,
                "{metric}: {got} for {target}"
            );
        }
        let one = recall(
            &index,
            &exact,
            10,
            &SearchOptions {
                nprobe: Some(1),
                ..SearchOptions::default()
            },
        );
        let all = recall(
            &index,
            &exact,
            10,
            &SearchOptions {
                nprobe: Some(1 << 20),
                recall_target: Some(0.999),
                ..SearchOptions::default()
            },
        );
        assert!(one < all && all > 0.995, "{metric}: {one} {all}");
    }
}

#[test]
fn recall_follows_the_target_where_rows_form_no_groups() {
    let noise = |rows: std::ops::Range<usize>| -> Vec<f32> {
        rows.flat_map(|row| (0..DIMENSIONS).map(move |i| number(row, i)))
            .collect()
    };
    for metric in [Metric::Cosine, Metric::L2] {
        let options = BuildOptions::new(Kind::RabitqIvf, DIMENSIONS, metric);
        let index = Index::build(noise(0..20_000), None, &options, Control::default()).unwrap();
        let exact = exact(&index);
        for target in [0.8, 0.95, 1.0] {
            let options = SearchOptions {
                recall_target: Some(target),
                ..SearchOptions::default()
            };
            let got = recall_of(&noise(500_000..500_300), &index, &exact, 10, &options);
            let allowed = if target < 1.0 { 0.03 } else { 0.001 };
            assert!(
                got >= f64::from(target) - allowed,
                "{metric}: {got} for {target}"
            );
        }
    }
}

#[test]
fn filters_fill_k_however_rare_the_rows() {
    let index = build(20_000, Metric::Cosine);
    let exact = exact(&index);
    // Clusters hold every 300th row: 7 is foreign to them, 6 leaves out most of them.
    for (step, floor) in [(7, 0.93), (101, 0.93), (5001, 0.93), (6, 0.4)] {
        let allow = AllowList::new((0..20_000).filter(|id| id % step == 0).collect());
        let one = SearchOptions {
            allow: Some(&allow),
            nprobe: Some(1),
            ..SearchOptions::default()
        };
        assert_eq!(
            search(&index, &vectors(600_000..600_001), 4, &one).len(),
            4,
            "every {step}th"
        );
        let options = SearchOptions {
            allow: Some(&allow),
            recall_target: Some(0.95),
            ..SearchOptions::default()
        };
        let got = recall(&index, &exact, 4, &options);
        assert!(got >= floor, "every {step}th: {got}");
    }
}

#[test]
fn rows_that_come_and_go_are_found_or_gone() {
    let index = build(8_000, Metric::Cosine);
    for start in (8_000..30_000).step_by(2_000) {
        let ids: Vec<i64> = (start as i64..start as i64 + 2_000).collect();
        index
            .add(&ids, &vectors(start..start + 2_000), Control::default())
            .unwrap();
        index
            .delete(&(start as i64 - 8_000..start as i64 - 7_000).collect::<Vec<_>>())
            .unwrap();
    }
    assert_eq!(index.len(), 8_000 + 22_000 - 11_000);
    let exact = exact(&index);
    let options = SearchOptions {
        recall_target: Some(0.95),
        ..SearchOptions::default()
    };
    let got = recall(&index, &exact, 10, &options);
    assert!(got >= 0.93, "{got}");

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index.rbq");
    index.save(&path, Control::default()).unwrap();
    let loaded = Index::open(&path, OpenOptions::default(), Control::default()).unwrap();
    assert_eq!(
        (loaded.len(), loaded.ids().unwrap()),
        (index.len(), index.ids().unwrap())
    );
    assert_eq!(loaded.stats().parts, 1);
    assert!(recall(&loaded, &exact, 10, &options) >= 0.93);
    let again = dir.path().join("again.rbq");
    loaded.save(&again, Control::default()).unwrap();
    assert_eq!(
        std::fs::read(&path).unwrap(),
        std::fs::read(&again).unwrap()
    );
}

#[test]
fn what_has_no_lists_refuses_their_options() {
    let flat = BuildOptions {
        lists: Some(8),
        ..BuildOptions::new(Kind::RabitqPlus, 4, Metric::L2)
    };
    assert_eq!(flat.validate().unwrap_err().code(), "INVALID_OPTION");
    let one_bit = BuildOptions {
        bits: Some(rabitq::Bits::One),
        ..BuildOptions::new(Kind::RabitqIvf, 4, Metric::L2)
    };
    assert_eq!(one_bit.validate().unwrap_err().code(), "INVALID_OPTION");
    let few = BuildOptions {
        lists: Some(3),
        ..BuildOptions::new(Kind::RabitqIvf, DIMENSIONS, Metric::L2)
    };
    let index = Index::build(vectors(0..2_000), None, &few, Control::default()).unwrap();
    let options = SearchOptions {
        nprobe: Some(0),
        ..SearchOptions::default()
    };
    assert_eq!(
        index
            .search(&[0.0; DIMENSIONS], 1, &options, Control::default())
            .unwrap_err()
            .code(),
        "INVALID_OPTION"
    );
}
