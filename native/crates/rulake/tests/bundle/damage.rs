//! What was tampered with is noticed before it is believed.

use std::fs;
use std::path::Path;

use rulake::{Bundle, Generation, LoadOptions, Role, TABLE_FILE};

use crate::scratch::{all, code, file, names, open, small};

#[test]
fn every_flipped_bit_is_noticed_or_was_not_used() {
    let (dir, bundle) = small();
    let expected = all(&open(dir.path()).unwrap().collection);
    for name in names(dir.path()) {
        let path = dir.path().join(&name);
        let good = fs::read(&path).unwrap();
        for position in 0..good.len() {
            let mut bad = good.clone();
            bad[position] ^= 1 << (position % 8);
            fs::write(&path, &bad).unwrap();
            match open(dir.path()) {
                // Upstream's copy of the vectors is never read; a key that is not known is ignored.
                Ok(loaded) if name == "index.rbpx" || name == TABLE_FILE => {
                    assert_eq!(all(&loaded.collection), expected, "{name} {position}");
                    let found = Bundle::read(dir.path()).unwrap();
                    assert_eq!(found.rvf_witness, bundle.rvf_witness, "{name} {position}");
                }
                Ok(_) => panic!("{name}: byte {position} went unnoticed"),
                Err(error) => assert!(
                    [
                        "CORRUPT_FILE",
                        "WITNESS_MISMATCH",
                        "UNSAFE_BUNDLE",
                        "UNSUPPORTED_FORMAT",
                        "CONTENT_UNVERIFIED",
                    ]
                    .contains(&error.code()),
                    "{name} {position}: {error}"
                ),
            }
        }
        fs::write(&path, &good).unwrap();
    }
}

#[test]
fn every_cut_is_noticed() {
    let (dir, _) = small();
    for name in names(dir.path())
        .iter()
        .filter(|name| *name != "index.rbpx")
    {
        let path = dir.path().join(name);
        let good = fs::read(&path).unwrap();
        for length in 0..good.len() {
            fs::write(&path, &good[..length]).unwrap();
            assert_eq!(code(open(dir.path())), "CORRUPT_FILE", "{name} {length}");
        }
        fs::remove_file(&path).unwrap();
        assert_eq!(code(open(dir.path())), "FILE_NOT_FOUND");
        let mut long = good.clone();
        long.push(b' ');
        fs::write(&path, &long).unwrap();
        if name != TABLE_FILE {
            assert_eq!(code(open(dir.path())), "CORRUPT_FILE", "{name}");
        }
        fs::write(&path, &good).unwrap();
    }
}

/// Writes the description again after a change, with a witness that fits.
fn forge(dir: &Path, change: impl FnOnce(&mut Bundle)) {
    let mut bundle = Bundle::read(dir).unwrap();
    change(&mut bundle);
    let labels =
        [&bundle.pii_policy, &bundle.lineage_id, &bundle.memory_class].map(Option::as_deref);
    if let Some(content) = &bundle.content {
        bundle.generation = Generation::Opaque(content.generation(labels));
    }
    bundle.rvf_witness = bundle.witness();
    fs::write(dir.join(TABLE_FILE), bundle.to_json().unwrap()).unwrap();
}

#[test]
fn no_name_leads_out_of_the_directory() {
    for name in [
        "../secret",
        "/etc/passwd",
        "a/b",
        "a\\b",
        "..",
        ".",
        "",
        ".hidden",
        "C:x",
        "nul",
        "a\0b",
        "table.rulake.json",
        "TABLE.rulake.json",
    ] {
        let (dir, _) = small();
        forge(dir.path(), |bundle| {
            bundle.content.as_mut().unwrap().files[0].name = name.into();
        });
        assert_eq!(code(open(dir.path())), "UNSAFE_BUNDLE", "{name:?}");
    }
}

#[cfg(unix)]
#[test]
fn links_and_pipes_are_not_followed() {
    for role in [Role::Vectors, Role::Records] {
        let (dir, bundle) = small();
        let path = file(dir.path(), &bundle, role);
        let elsewhere = tempfile::tempdir().unwrap();
        let target = elsewhere.path().join("same bytes");
        fs::rename(&path, &target).unwrap();
        std::os::unix::fs::symlink(&target, &path).unwrap();
        assert_eq!(code(open(dir.path())), "UNSAFE_BUNDLE");
        fs::remove_file(&path).unwrap();
        assert!(
            std::process::Command::new("mkfifo")
                .arg(&path)
                .status()
                .unwrap()
                .success()
        );
        assert_eq!(code(open(dir.path())), "UNSAFE_BUNDLE");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(code(open(dir.path())), "UNSAFE_BUNDLE");
    }
    let (dir, _) = small();
    let table = dir.path().join(TABLE_FILE);
    let target = dir.path().join("elsewhere.json");
    fs::rename(&table, &target).unwrap();
    std::os::unix::fs::symlink(&target, &table).unwrap();
    assert_eq!(code(open(dir.path())), "UNSAFE_BUNDLE");
}

#[test]
fn files_cannot_change_places_or_bundles() {
    let (dir, bundle) = small();
    let (records, vectors) = (
        file(dir.path(), &bundle, Role::Records),
        file(dir.path(), &bundle, Role::Vectors),
    );
    let spare = dir.path().join("spare");
    fs::rename(&records, &spare).unwrap();
    fs::rename(&vectors, &records).unwrap();
    fs::rename(&spare, &vectors).unwrap();
    assert_eq!(code(open(dir.path())), "CORRUPT_FILE");
    // Even where somebody lists them like that.
    forge(dir.path(), |bundle| {
        let files = &mut bundle.content.as_mut().unwrap().files;
        let (a, b) = (files[0].clone(), files[1].clone());
        (files[0].bytes, files[0].shake256) = (b.bytes, b.shake256);
        (files[1].bytes, files[1].shake256) = (a.bytes, a.shake256);
    });
    assert_eq!(code(open(dir.path())), "CORRUPT_FILE");
}

#[test]
fn descriptions_that_make_no_sense_are_refused() {
    type Change = fn(&mut Bundle);
    let cases: [(&str, Change); 12] = [
        ("CORRUPT_FILE", |b| b.dim = 1 << 40),
        ("CORRUPT_FILE", |b| b.dim = 0),
        ("CORRUPT_FILE", |b| b.dim = 7),
        ("CORRUPT_FILE", |b| b.rerank_factor = 1 << 40),
        ("CORRUPT_FILE", |b| b.data_ref = "x".repeat(4097)),
        ("CORRUPT_FILE", |b| b.content.as_mut().unwrap().records += 1),
        ("CORRUPT_FILE", |b| {
            b.content.as_mut().unwrap().vectors = 1 << 60;
        }),
        ("CORRUPT_FILE", |b| {
            b.content.as_mut().unwrap().files.truncate(1);
        }),
        ("CORRUPT_FILE", |b| {
            let files = &mut b.content.as_mut().unwrap().files;
            files.push(files[0].clone());
        }),
        ("CORRUPT_FILE", |b| {
            b.content.as_mut().unwrap().files[0].shake256 = "zz".into();
        }),
        ("BUNDLE_TOO_LARGE", |b| {
            b.content.as_mut().unwrap().files[0].bytes = u64::MAX;
        }),
        ("UNSUPPORTED_FORMAT", |b| {
            b.content.as_mut().unwrap().metric = "hamming".into();
        }),
    ];
    for (i, (expected, change)) in cases.into_iter().enumerate() {
        let (dir, _) = small();
        forge(dir.path(), change);
        assert_eq!(code(open(dir.path())), expected, "case {i}");
    }
    let (dir, _) = small();
    let table = dir.path().join(TABLE_FILE);
    let text = fs::read_to_string(&table).unwrap();
    for (from, to, expected) in [
        (
            "\"format_version\": 2",
            "\"format_version\": 3",
            "UNSUPPORTED_FORMAT",
        ),
        (
            "\"format_version\": 2",
            "\"format_version\": 0",
            "UNSUPPORTED_FORMAT",
        ),
        (
            "\"format_version\": 2",
            "\"format_version\": 1",
            "WITNESS_MISMATCH",
        ),
        ("\"format\": 1", "\"format\": 2", "UNSUPPORTED_FORMAT"),
        ("\"dim\": 6", "\"dim\": 6, \"dim\": 6", "CORRUPT_FILE"),
        ("\"dim\": 6", "\"dim\": -6", "CORRUPT_FILE"),
        (
            "\"rotation_seed\": 42",
            "\"rotation_seed\": 43",
            "WITNESS_MISMATCH",
        ),
        (
            "\"pii_policy\": null",
            "\"pii_policy\": \"public\"",
            "WITNESS_MISMATCH",
        ),
        (
            "\"metric\": \"cosine\"",
            "\"metric\": \"l2\"",
            "WITNESS_MISMATCH",
        ),
        (
            "\"role\": \"records\"",
            "\"role\": \"vectors\"",
            "CORRUPT_FILE",
        ),
        (
            "\"role\": \"records\"",
            "\"role\": \"virus\"",
            "CORRUPT_FILE",
        ),
    ] {
        assert!(text.contains(from), "{from}");
        fs::write(&table, text.replacen(from, to, 1)).unwrap();
        assert_eq!(code(open(dir.path())), expected, "{to}");
    }
    // The list taken away, so that nothing would be checked.
    let mut bundle = Bundle::parse(&table, text.as_bytes()).unwrap();
    bundle.content = None;
    fs::write(&table, bundle.to_json().unwrap()).unwrap();
    assert_eq!(code(open(dir.path())), "WITNESS_MISMATCH");
    fs::write(&table, " ".repeat(70_000) + &text).unwrap();
    assert_eq!(code(open(dir.path())), "CORRUPT_FILE");
    fs::write(&table, "[".repeat(60_000)).unwrap();
    assert_eq!(code(open(dir.path())), "CORRUPT_FILE");
}

#[test]
fn records_that_make_no_sense_are_refused() {
    let (good, _) = small();
    let line = |id: &str, rest: &str| format!("{{\"id\":\"{id}\"{rest}}}\n");
    let cases = [
        line("", ""),
        line("a", ",\"vector\":1"),
        line("a", ",\"text\":7"),
        line("a", ",\"metadata\":[]"),
        line("a", ",\"secret\":1"),
        line("a", "").trim_end().to_owned(),
        line("a", "") + &line("a", ""),
        line("a", ",\"vector\":0,\"text\":\"\\ud800\""),
        "\n".to_owned(),
    ];
    for records in cases {
        let dir = tempfile::tempdir().unwrap();
        for name in names(good.path()) {
            fs::copy(good.path().join(&name), dir.path().join(&name)).unwrap();
        }
        fs::write(dir.path().join("records.jsonl"), &records).unwrap();
        forge(dir.path(), |bundle| {
            let content = bundle.content.as_mut().unwrap();
            let at = content
                .files
                .iter()
                .position(|file| file.role == Role::Records)
                .unwrap();
            content.files[at].name = "records.jsonl".into();
            content.files[at].bytes = records.len() as u64;
            content.files[at].shake256 = shake256(records.as_bytes());
            content.records = content.vectors.max(records.lines().count() as u64);
        });
        assert_eq!(code(open(dir.path())), "CORRUPT_FILE", "{records:?}");
    }
}

fn shake256(bytes: &[u8]) -> String {
    use shake::digest::{ExtendableOutput, Update, XofReader};
    let mut out = [0_u8; 32];
    let mut hasher = shake::Shake256::default();
    hasher.update(bytes);
    hasher.finalize_xof().read(&mut out);
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap();
    out.iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

#[test]
fn a_limit_of_bytes_holds_before_anything_is_read() {
    let (dir, bundle) = small();
    let options = LoadOptions {
        max_bytes: 100,
        ..LoadOptions::default()
    };
    let refused = bundle
        .load(dir.path(), &options, None)
        .map(drop)
        .unwrap_err();
    assert_eq!(refused.code(), "BUNDLE_TOO_LARGE");
    let cancel = std::sync::atomic::AtomicBool::new(true);
    let cancelled = bundle.load(dir.path(), &LoadOptions::default(), Some(&cancel));
    assert_eq!(code(cancelled), "CANCELLED");
}
