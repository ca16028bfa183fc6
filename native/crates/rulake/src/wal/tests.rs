use std::path::Path;

use proptest::prelude::*;

use super::replay::Tail;
use super::*;
use crate::Result;
use crate::batch::Batch;

const FIRST: LogHeader = LogHeader {
    epoch: 3,
    first_sequence: 11,
    owner: 5,
};

const TIME: u64 = 1_795_149_459_000;

type Records = Vec<(u64, Vec<u8>)>;

fn replay(path: &Path) -> Result<(Records, Tail)> {
    let mut seen = Vec::new();
    let tail = read_log(path, FIRST, |entry| {
        assert_eq!(entry.committed, TIME);
        seen.push((entry.sequence, entry.payload.to_vec()));
        Ok(())
    })?;
    Ok((seen, tail))
}

/// A log of these payloads, each fsynced.
fn write(dir: &Path, payloads: &[&[u8]]) -> std::path::PathBuf {
    let mut log = Log::create(dir, FIRST).unwrap();
    for payload in payloads {
        log.append(TIME, |out| out.extend_from_slice(payload));
        log.write().unwrap();
        log.sync().unwrap();
    }
    log.close().unwrap();
    dir.join(FIRST.file_name())
}

#[test]
fn what_was_appended_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), &[b"one", b"", b"three"]);
    let (seen, tail) = replay(&path).unwrap();
    assert_eq!(
        seen,
        [(11, b"one".to_vec()), (12, vec![]), (13, b"three".to_vec())]
    );
    assert_eq!((tail.good, tail.last), (tail.length, 13));
    assert_eq!(list(dir.path(), FIRST.owner).unwrap(), [(FIRST, path)]);
}

#[test]
fn a_cut_at_any_length_leaves_a_prefix() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), &[b"first", b"second record", b"third"]);
    let bytes = std::fs::read(&path).unwrap();
    let whole = replay(&path).unwrap().0;
    for length in 0..bytes.len() {
        std::fs::write(&path, &bytes[..length]).unwrap();
        let (seen, tail) = replay(&path).unwrap();
        assert_eq!(seen, whole[..seen.len()]);
        assert!(tail.good <= tail.length);
        // What is cut off is at most the record the cut goes through and its mark.
        std::fs::write(&path, &bytes[..tail.good as usize]).unwrap();
        let again = replay(&path).unwrap();
        assert_eq!(again.0, seen);
        assert_eq!(again.1.good, again.1.length);
    }
}

#[test]
fn no_flipped_bit_loses_or_changes_an_acknowledged_record() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), &[b"first", b"second record", b"third"]);
    let bytes = std::fs::read(&path).unwrap();
    let whole = replay(&path).unwrap().0;
    let mut refused = 0;
    for i in 0..bytes.len() {
        for bit in 0..8 {
            let mut broken = bytes.clone();
            broken[i] ^= 1 << bit;
            std::fs::write(&path, &broken).unwrap();
            match replay(&path) {
                Err(error) => {
                    assert_eq!(
                        error.code(),
                        if error.code() == "UNSUPPORTED_FORMAT" {
                            "UNSUPPORTED_FORMAT"
                        } else {
                            "CORRUPT_FILE"
                        }
                    );
                    assert!(error.to_string().contains(&FIRST.file_name()));
                    refused += 1;
                }
                // Only the last mark may be damaged unnoticed: it says nothing that is needed.
                Ok((seen, _)) => {
                    assert_eq!(seen, whole);
                    assert!(i >= bytes.len() - 40);
                }
            }
        }
    }
    assert_eq!(refused, (bytes.len() - 40) * 8);
}

#[test]
fn no_flipped_bit_hides_a_record_behind_what_a_generation_holds() {
    let dir = tempfile::tempdir().unwrap();
    let empty = write(dir.path(), &[]);
    assert!(ends_by(&empty, FIRST, 10).unwrap() && !ends_by(&empty, FIRST, 9).unwrap());
    std::fs::remove_file(&empty).unwrap();
    let path = write(dir.path(), &[b"first", b"second record", b"third"]);
    for sequence in 9..16 {
        assert_eq!(ends_by(&path, FIRST, sequence).unwrap(), sequence >= 13);
    }
    let bytes = std::fs::read(&path).unwrap();
    for i in 0..bytes.len() {
        for bit in 0..8 {
            let mut broken = bytes.clone();
            broken[i] ^= 1 << bit;
            std::fs::write(&path, &broken).unwrap();
            assert!(!ends_by(&path, FIRST, 12).unwrap(), "bit {bit} of byte {i}");
        }
        std::fs::write(&path, &bytes[..i]).unwrap();
        let (seen, tail) = replay(&path).unwrap();
        if ends_by(&path, FIRST, 12).unwrap() {
            assert_eq!(tail.good, tail.length);
            assert!(seen.len() < 3);
        }
    }
}

#[test]
fn unsynced_records_may_be_lost_in_any_order() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = Log::create(dir.path(), FIRST).unwrap();
    log.append(TIME, |out| out.extend_from_slice(b"durable"));
    log.write().unwrap();
    log.sync().unwrap();
    let synced = log.bytes() as usize;
    log.append(TIME, |out| {
        out.extend_from_slice(b"lost in a power cut");
    });
    log.append(TIME, |out| {
        out.extend_from_slice(b"yet this one reached the disk");
    });
    log.write().unwrap();
    drop(log);
    let path = dir.path().join(FIRST.file_name());
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[synced + 5] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let (seen, tail) = replay(&path).unwrap();
    assert_eq!(seen, [(11, b"durable".to_vec())]);
    assert_eq!(tail.good as usize, synced);
}

fn batch() -> impl Strategy<Value = Batch> {
    let record = (
        ".{1,20}",
        prop::option::of(".{0,30}"),
        prop::option::of(any::<bool>()),
        prop::option::of([any::<i16>(); 3]),
    );
    prop::collection::vec(record, 0..12).prop_map(|records| {
        let mut batch = Batch::new();
        for (id, text, metadata, vector) in records {
            let metadata = metadata.map(|flag| format!("{{\"flag\": {flag}}}"));
            let (text, metadata) = (text.as_deref(), metadata.as_deref());
            match vector {
                Some(vector) => batch
                    .push_with_vector(&id, &vector.map(f32::from), text, metadata)
                    .unwrap(),
                None => batch.push(&id, text, metadata).unwrap(),
            }
        }
        batch
    })
}

proptest! {
    #[test]
    fn a_change_survives_the_round_trip(
        batch in batch(),
        deletes in prop::collection::vec(any::<i64>(), 0..50),
        first in any::<i64>(),
        session in any::<u128>(),
        collections in prop::collection::vec("[a-zä]{1,9}", 0..4),
    ) {
        let membership = Membership {
            session,
            collections: if session == 0 { Vec::new() } else { collections }.into(),
        };
        let mut bytes = Vec::new();
        encode(&mut bytes, &membership, &deletes, first, &batch);
        prop_assert_eq!(bytes.len(), change_len(&membership, &deletes, &batch));
        let read = decode(&bytes).unwrap();
        prop_assert_eq!(read.first_row, first);
        prop_assert_eq!(&read.membership, &membership);
        prop_assert_eq!(session_of(&bytes), Some(session));
        prop_assert_eq!(&read.deletes, &deletes);
        prop_assert!(read.batch.records().eq(batch.records()));
        prop_assert_eq!(&read.batch.vectors, &batch.vectors);
        prop_assert_eq!(read.batch.dimensions, batch.dimensions);
        // Changes of early versions end with the vectors.
        let early = change_len(&Membership::default(), &deletes, &batch);
        for cut in 0..bytes.len() {
            prop_assert_eq!(decode(&bytes[..cut]).is_some(), cut == early);
        }
    }

    #[test]
    fn garbage_is_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FIRST.file_name());
        std::fs::write(&path, &bytes).unwrap();
        let _ = replay(&path);
    }
}
