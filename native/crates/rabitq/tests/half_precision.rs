//! Indexes that keep raw vectors in half precision.

use rabitq::{
    BuildOptions, Control, Index, Kind, Metric, OpenOptions, RawPrecision, SearchOptions, Verify,
};

const DIMENSIONS: usize = 40;

fn number(i: usize) -> f32 {
    let mut z = (i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (z >> 40) as f32 / (1u64 << 23) as f32 - 1.0
}

/// Rows of very different lengths around a few centres.
fn vectors(rows: std::ops::Range<usize>) -> Vec<f32> {
    rows.flat_map(|row| {
        let length = [1.0, 3e-9, 5e6, 0.2][row % 4];
        (0..DIMENSIONS)
            .map(move |i| length * (number(row % 50 * 64 + i) + 0.5 * number(row * 64 + i + 9_000)))
    })
    .collect()
}

fn options(kind: Kind, raw: RawPrecision) -> BuildOptions {
    BuildOptions {
        raw,
        ..BuildOptions::new(kind, DIMENSIONS, Metric::Cosine)
    }
}

fn hits(index: &Index, query: &[f32]) -> Vec<(i64, f64)> {
    let options = SearchOptions {
        recall_target: Some(1.0),
        ..SearchOptions::default()
    };
    let hits = index.search(query, 10, &options, Control::default());
    hits.unwrap().iter().map(|h| (h.id, h.distance)).collect()
}

#[test]
fn everything_holds_for_the_rounded_rows() {
    let folder = tempfile::tempdir().unwrap();
    for kind in [Kind::FlatF32, Kind::RabitqPlus, Kind::RabitqIvf] {
        let control = Control::default();
        let half = options(kind, RawPrecision::F16);
        let index = Index::build(vectors(0..9_000), None, &half, control).unwrap();
        let whole = Index::build(
            vectors(0..9_000),
            None,
            &options(kind, RawPrecision::F32),
            control,
        )
        .unwrap();
        let (small, large) = (index.stats().raw_bytes, whole.stats().raw_bytes);
        assert_eq!((small, large), (9_000 * (80 + 1), 9_000 * 160));

        let rounded: Vec<f32> = (0..9_000)
            .flat_map(|id| index.get(id).unwrap().unwrap())
            .collect();
        for (got, want) in rounded
            .chunks_exact(DIMENSIONS)
            .zip(vectors(0..9_000).chunks_exact(DIMENSIONS))
        {
            let largest = want.iter().fold(0.0f32, |m, v| m.max(v.abs()));
            let near = |(got, want): (&f32, &f32)| (got - want).abs() <= largest / 2_000.0;
            assert!(got.iter().zip(want).all(near));
        }
        // As exact as an index over rows that were rounded before.
        let before = Index::build(&rounded, None, &half, control).unwrap();
        let exact = options(Kind::FlatF32, RawPrecision::F32);
        let exact = Index::build(&rounded, None, &exact, control).unwrap();
        for query in vectors(50_000..50_020).chunks_exact(DIMENSIONS) {
            assert_eq!(hits(&index, query), hits(&exact, query), "{kind}");
            assert_eq!(hits(&before, query), hits(&exact, query), "{kind}");
        }

        let ids: Vec<i64> = (9_000..12_000).collect();
        index.add(&ids, &vectors(9_000..12_000), control).unwrap();
        index.delete(&(0..4_000).collect::<Vec<_>>()).unwrap();
        index.maintain(control).unwrap();
        let path = folder.path().join("index.rbq");
        index.save(&path, control).unwrap();
        let open = OpenOptions {
            verify: Verify::Full,
        };
        let opened = Index::open(&path, open, control).unwrap();
        assert_eq!(opened.options().raw, RawPrecision::F16);
        assert_eq!(opened.ids().unwrap(), index.ids().unwrap());
        for id in (4_000..12_000).step_by(7) {
            assert_eq!(opened.get(id).unwrap(), index.get(id).unwrap());
        }
        for query in vectors(50_000..50_020).chunks_exact(DIMENSIONS) {
            assert_eq!(hits(&opened, query), hits(&index, query));
        }
        // Rounding what is rounded changes nothing, so codes made anew are those of a build.
        opened.compact(control).unwrap();
        let rows: Vec<(i64, Vec<f32>)> = opened.rows().unwrap().map(Result::unwrap).collect();
        let (ids, data): (Vec<i64>, Vec<Vec<f32>>) = rows.into_iter().unzip();
        let fresh = Index::build(data.concat(), Some(&ids), &half, control).unwrap();
        let again = folder.path().join("again.rbq");
        opened.save(&path, control).unwrap();
        fresh.save(&again, control).unwrap();
        assert_eq!(
            std::fs::read(&path).unwrap(),
            std::fs::read(&again).unwrap()
        );
    }
}

#[test]
fn kinds_without_raw_vectors_refuse_it() {
    for kind in [Kind::Rabitq, Kind::RabitqAsym] {
        let error = options(kind, RawPrecision::F16).validate().unwrap_err();
        assert_eq!(error.code(), "INVALID_OPTION");
    }
}
