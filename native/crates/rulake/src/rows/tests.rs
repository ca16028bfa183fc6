use proptest::prelude::*;

use super::*;

type Row = (String, Option<String>, Option<String>, bool);

fn write(path: &Path, rows: &[Row]) -> Written {
    write_rows(path, || {
        rows.iter()
            .enumerate()
            .map(|(i, (id, text, metadata, has_vector))| {
                let (text, metadata) = (text.as_deref(), metadata.as_deref());
                Ok(RowParts {
                    row: i as i64 * 3 - 5,
                    id,
                    text,
                    metadata,
                    has_vector: *has_vector,
                })
            })
    })
    .unwrap()
}

fn read(path: &Path) -> Result<Vec<Row>> {
    let file = RowsFile::open(path)?;
    (0..file.len())
        .map(|i| {
            assert_eq!(file.row(i)?, i as i64 * 3 - 5);
            let owned = |part: Option<&str>| part.map(str::to_owned);
            Ok((
                file.id(i)?.to_owned(),
                owned(file.text(i)?),
                owned(file.metadata(i)?),
                file.has_vector(i)?,
            ))
        })
        .collect()
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let metadata = any::<String>()
        .prop_map(|text| serde_json::json!({ "é": text, "a": [1.0, null] }).to_string());
    prop::collection::vec(
        (
            ".{1,30}",
            prop::option::of(".{0,200}"),
            prop::option::of(metadata),
            any::<bool>(),
        ),
        0..30,
    )
}

proptest! {
    #[test]
    fn rows_survive_the_round_trip(rows in rows()) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rows.bin");
        write(&path, &rows);
        RowsFile::open(&path).unwrap().verify().unwrap();
        prop_assert_eq!(read(&path).unwrap(), rows);
    }
}

#[test]
fn every_flipped_bit_and_every_cut_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rows.bin");
    let meta = |s: &str| Some(format!("{{\"k\":\"{s}\"}}"));
    let rows = vec![
        ("a".to_owned(), Some("text".to_owned()), meta("x"), true),
        ("b".to_owned(), None, meta("y"), false),
    ];
    write(&path, &rows);
    let bytes = std::fs::read(&path).unwrap();
    let other = dir.path().join("broken.bin");
    for i in 0..bytes.len() {
        for bit in 0..8 {
            let mut broken = bytes.clone();
            broken[i] ^= 1 << bit;
            std::fs::write(&other, &broken).unwrap();
            assert_eq!(read(&other).unwrap_err().code(), "CORRUPT_FILE");
        }
        std::fs::write(&other, &bytes[..i]).unwrap();
        assert_eq!(read(&other).unwrap_err().code(), "CORRUPT_FILE");
    }
}

#[test]
fn metadata_is_parsed_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rows.bin");
    write(
        &path,
        &[
            ("a".into(), None, Some("{\"k\":[1]}".into()), false),
            ("b".into(), None, None, false),
        ],
    );
    let file = RowsFile::open(&path).unwrap();
    let interner = Interner::default();
    let first: *const Object = file.object(0, &interner).unwrap().unwrap();
    assert!(std::ptr::eq(
        first,
        file.object(0, &interner).unwrap().unwrap()
    ));
    assert!(file.object(1, &interner).unwrap().is_none());
}
