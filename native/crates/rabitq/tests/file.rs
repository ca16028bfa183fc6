//! The index file under damage, and the upstream format.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rabitq::{
    BuildOptions, Control, Error, Index, Kind, Metric, OpenOptions, Result, SearchOptions, Verify,
};

fn small(kind: Kind) -> Index {
    let data: Vec<f32> = (0..40 * 5)
        .map(|i| ((i * 37 % 101) as f32 - 50.0) / 7.0)
        .collect();
    let ids: Vec<i64> = (0..40).map(|i| (i * 17) % 41).collect();
    Index::build(
        &data,
        Some(&ids),
        &BuildOptions::new(kind, 5, Metric::Cosine),
        Control::default(),
    )
    .unwrap()
}

/// Everything a user can read out of an index.
fn read_all(index: &Index) -> Result<Vec<(i64, f64)>> {
    let hits = index.search(
        &[1.0, -2.0, 0.5, 3.0, 0.0],
        100,
        &SearchOptions::default(),
        Control::default(),
    )?;
    let mut out: Vec<(i64, f64)> = hits.iter().map(|hit| (hit.id, hit.distance)).collect();
    for id in index.ids()? {
        index.contains(id)?;
        match index.get(id) {
            Ok(vector) => out.extend(
                vector
                    .unwrap_or_default()
                    .iter()
                    .map(|&v| (id, f64::from(v))),
            ),
            Err(Error::NoRawVectors { .. }) => {}
            Err(other) => return Err(other),
        }
    }
    Ok(out)
}

fn open(path: &Path, verify: Verify) -> Result<Index> {
    Index::open(path, OpenOptions { verify }, Control::default())
}

fn is_documented(error: &Error) -> bool {
    matches!(error.code(), "CORRUPT_FILE" | "UNSUPPORTED_FORMAT")
}

#[test]
fn every_flipped_byte_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index.rbq");
    for kind in [Kind::FlatF32, Kind::Rabitq, Kind::RabitqPlus] {
        let index = small(kind);
        index.save(&path, Control::default()).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let want = read_all(&index).unwrap();
        assert_eq!(read_all(&open(&path, Verify::Full).unwrap()).unwrap(), want);
        let damaged = dir.path().join("damaged.rbq");
        for at in 0..bytes.len() {
            let mut copy = bytes.clone();
            copy[at] ^= 1 << (at % 8);
            std::fs::write(&damaged, &copy).unwrap();
            let error = open(&damaged, Verify::Auto)
                .err()
                .unwrap_or_else(|| panic!("byte {at}: not found on opening"));
            assert!(is_documented(&error), "byte {at}: {error}");
            match open(&damaged, Verify::Lazy).and_then(|index| read_all(&index)) {
                Ok(got) => assert_eq!(got, want, "byte {at}: a different answer"),
                Err(error) => assert!(is_documented(&error), "byte {at}: {error}"),
            }
        }
    }
}

#[test]
fn a_file_that_is_saved_anew_opens_as_the_old_or_the_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index");
    let old = small(Kind::FlatF32);
    let new = Index::build(
        vec![0.5; 3000 * 5],
        None,
        &BuildOptions::new(Kind::FlatF32, 5, Metric::L2),
        Control::default(),
    )
    .unwrap();
    old.save(&path, Control::default()).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for index in [&new, &old].into_iter().cycle().take(60) {
                index.save(&path, Control::default()).unwrap();
            }
            done.store(true, Ordering::Relaxed);
        });
        while !done.load(Ordering::Relaxed) {
            let rows = open(&path, Verify::Full).unwrap().len();
            assert!(rows == old.len() || rows == new.len());
        }
    });
}

#[test]
fn every_truncation_and_extension_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index.rbq");
    small(Kind::RabitqPlus)
        .save(&path, Control::default())
        .unwrap();
    let bytes = std::fs::read(&path).unwrap();
    for length in (0..bytes.len()).chain([bytes.len() + 1, bytes.len() + 4096]) {
        let mut copy = bytes.clone();
        copy.resize(length, 0);
        std::fs::write(&path, &copy).unwrap();
        let error = open(&path, Verify::Lazy)
            .err()
            .unwrap_or_else(|| panic!("length {length}: opened"));
        assert!(is_documented(&error), "length {length}: {error}");
    }
}

#[test]
fn foreign_and_missing_files_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes.txt");
    std::fs::write(&path, "not an index at all").unwrap();
    assert_eq!(
        open(&path, Verify::Auto).err().unwrap().code(),
        "UNSUPPORTED_FORMAT"
    );
    std::fs::write(&path, "").unwrap();
    assert_eq!(
        open(&path, Verify::Auto).err().unwrap().code(),
        "UNSUPPORTED_FORMAT"
    );
    assert_eq!(
        open(&dir.path().join("absent"), Verify::Auto)
            .err()
            .unwrap()
            .code(),
        "FILE_NOT_FOUND"
    );
    assert_eq!(open(dir.path(), Verify::Auto).err().unwrap().code(), "IO");
}

#[test]
fn a_failed_save_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("no-such-folder/index.rbq");
    assert_eq!(
        small(Kind::FlatF32)
            .save(&missing, Control::default())
            .err()
            .unwrap()
            .code(),
        "FILE_NOT_FOUND"
    );
    let cancel = std::sync::atomic::AtomicBool::new(true);
    let control = Control {
        cancel: Some(&cancel),
        progress: None,
    };
    let path = dir.path().join("index.rbq");
    assert_eq!(
        small(Kind::RabitqPlus)
            .save(&path, control)
            .err()
            .unwrap()
            .code(),
        "CANCELLED"
    );
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

fn fixture() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../test/fixtures/upstream/index.rbpx")
}

#[test]
fn upstream_files_are_read() {
    let index = open(&fixture(), Verify::Auto).unwrap();
    assert_eq!(
        (index.options().kind, index.options().metric),
        (Kind::RabitqPlus, Metric::L2)
    );
    // The query is the vector of id 1035; the distances are the upstream crate's own, squared there.
    let query = index.get(1035).unwrap().unwrap();
    let hits = index
        .search(&query, 5, &SearchOptions::default(), Control::default())
        .unwrap();
    let want = [
        (1035, 0.0f64),
        (1413, 7.602_924_3),
        (1280, 8.025_363),
        (1049, 8.969_906),
        (1091, 10.183_526),
    ];
    for (hit, want) in hits.iter().zip(want) {
        assert_eq!(hit.id, want.0);
        assert!((hit.distance.powi(2) - want.1).abs() < 1e-4, "{hit:?}");
    }
}

#[test]
fn upstream_files_are_written_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("copy.rbpx");
    open(&fixture(), Verify::Auto)
        .unwrap()
        .save(&path, Control::default())
        .unwrap();
    assert_eq!(
        std::fs::read(&path).unwrap(),
        std::fs::read(fixture()).unwrap()
    );
    let refused = small(Kind::RabitqPlus)
        .save(&path, Control::default())
        .err()
        .unwrap();
    assert_eq!(refused.code(), "INVALID_OPTION");
    assert_eq!(
        std::fs::read(&path).unwrap(),
        std::fs::read(fixture()).unwrap()
    );
}

#[test]
fn damaged_upstream_files_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index.rbpx");
    let bytes = std::fs::read(fixture()).unwrap();
    for length in [8, 31, 32, 100, bytes.len() - 1, bytes.len() + 1] {
        let mut copy = bytes.clone();
        copy.resize(length, 0);
        std::fs::write(&path, &copy).unwrap();
        assert_eq!(
            open(&path, Verify::Auto).err().unwrap().code(),
            "CORRUPT_FILE",
            "length {length}"
        );
    }
    let mut copy = bytes.clone();
    copy[36..40].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(&path, &copy).unwrap();
    assert_eq!(
        open(&path, Verify::Auto).err().unwrap().code(),
        "CORRUPT_FILE"
    );
}

#[test]
fn big_files_are_checked_when_first_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index.rbq");
    let rows = 2000;
    let data: Vec<f32> = (0..rows * 64)
        .map(|i| ((i * 7919 % 1009) as f32 - 500.0) / 100.0)
        .collect();
    Index::build(
        &data,
        None,
        &BuildOptions::new(Kind::RabitqPlus, 64, Metric::L2),
        Control::default(),
    )
    .unwrap()
    .save(&path, Control::default())
    .unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    // The raw vectors come last, before the checksum table: damage the last rows only.
    let body_end = u64::from_le_bytes(bytes[24..32].try_into().unwrap()) as usize;
    bytes[body_end - 4 * 64] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(
        open(&path, Verify::Full).err().unwrap().code(),
        "CORRUPT_FILE"
    );
    let index = open(&path, Verify::Lazy).unwrap();
    assert!(index.get(0).is_ok());
    // Blocks are small: 32 rows further on nothing is wrong.
    assert!(index.get(rows as i64 - 33).is_ok());
    assert_eq!(
        index.get(rows as i64 - 1).err().unwrap().code(),
        "CORRUPT_FILE"
    );
}
