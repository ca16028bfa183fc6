//! Files that earlier versions wrote.

use std::path::{Path, PathBuf};

use rabitq::{BuildOptions, Control, Index, Kind, Metric, OpenOptions, SearchOptions, Verify};

const DIMENSIONS: usize = 8;
const ROWS: usize = 200;

fn vectors() -> Vec<f32> {
    (0..ROWS * DIMENSIONS)
        .map(|i| ((i * 37 % 101) as f32 - 50.0) / 7.0 + ((i / DIMENSIONS) % 5) as f32)
        .collect()
}

fn ids() -> Vec<i64> {
    (0..ROWS as i64).map(|i| i * 17 % 211).collect()
}

fn options(kind: Kind) -> BuildOptions {
    BuildOptions::new(kind, DIMENSIONS, Metric::L2)
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name)
}

fn check(name: &str, kind: Kind) {
    let open = OpenOptions {
        verify: Verify::Full,
    };
    let index = Index::open(&golden(name), open, Control::default()).unwrap();
    assert_eq!(*index.options(), options(kind));
    assert_eq!(index.ids().unwrap(), ids());
    let rows: Vec<(i64, Vec<f32>)> = index.rows().unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(
        rows.iter().map(|row| row.1.clone()).collect::<Vec<_>>(),
        vectors()
            .chunks_exact(DIMENSIONS)
            .map(<[f32]>::to_vec)
            .collect::<Vec<_>>()
    );
    let exact = Index::build(
        vectors(),
        Some(&ids()),
        &options(Kind::FlatF32),
        Control::default(),
    )
    .unwrap();
    let search = |index: &Index, query: &[f32]| {
        index
            .search(query, 10, &SearchOptions::default(), Control::default())
            .unwrap()
    };
    for query in vectors().chunks_exact(DIMENSIONS).step_by(7) {
        assert_eq!(search(&index, query), search(&exact, query), "{name}");
    }
    // What was opened can be changed and saved in today's form.
    index
        .add(&[1000], &vectors()[..DIMENSIONS], Control::default())
        .unwrap();
    index.delete(&[17]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("again.rbq");
    index.save(&path, Control::default()).unwrap();
    let again = Index::open(&path, open, Control::default()).unwrap();
    assert_eq!(again.ids().unwrap(), index.ids().unwrap());
    for id in again.ids().unwrap() {
        assert_eq!(again.get(id).unwrap(), index.get(id).unwrap());
    }
}

#[test]
fn flat_files_of_format_1_open() {
    check("format-1-plus.rbq", Kind::RabitqPlus);
}

#[test]
fn grouped_files_of_format_1_with_raw_rows_list_by_list_open() {
    check("format-1-ivf.rbq", Kind::RabitqIvf);
}

/// Format 2 has smaller blocks of checks.
#[test]
fn files_of_format_2_open() {
    check("format-2-plus.rbq", Kind::RabitqPlus);
    check("format-2-ivf.rbq", Kind::RabitqIvf);
}

#[test]
#[ignore = "writes the files of the format that is current"]
fn write() {
    for (name, kind) in [
        ("format-2-plus.rbq", Kind::RabitqPlus),
        ("format-2-ivf.rbq", Kind::RabitqIvf),
    ] {
        let index =
            Index::build(vectors(), Some(&ids()), &options(kind), Control::default()).unwrap();
        index.save(&golden(name), Control::default()).unwrap();
    }
}
