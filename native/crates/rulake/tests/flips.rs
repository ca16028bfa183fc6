//! Random damage to a lake of megabytes: each flipped bit is reported, or nothing that was read depends on it.

mod directory;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rulake::{
    Batch, Collection, CollectionOptions, Durability, Include, IndexChoice, Lake, LakeOptions,
    SearchRequest, Selection,
};

use directory::{copy, files};

const FLIPS: usize = 100_000;
const THREADS: usize = 2;
/// Every so many flips, everything is read, and verified if nothing was noticed.
const THOROUGH: usize = 50;
/// A flip that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(300);
const DIMENSIONS: usize = 16;
const ALL: Include = Include {
    vector: true,
    text: true,
    metadata: true,
};

/// xorshift64*, Vigna 2016: the same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % end
    }
}

fn batch(numbers: std::ops::Range<usize>, random: &mut Random) -> Batch {
    let mut batch = Batch::new();
    for i in numbers {
        let vector: Vec<f32> = (0..DIMENSIONS)
            .map(|_| random.below(2000) as f32 / 1000.0 - 1.0)
            .collect();
        let text = format!("Text {} of record {i}.", random.below(1 << 30));
        let metadata = format!(
            r#"{{"n":{i},"group":"g{}","tags":["t{}","t{}"]}}"#,
            random.below(40),
            random.below(9),
            random.below(500)
        );
        batch
            .push_with_vector(&format!("r{i}"), &vector, Some(&text), Some(&metadata))
            .unwrap();
    }
    batch
}

/// A lake with lists, codes, masks, a log, and a session over two collections. It is left as a crash would leave it.
fn make(path: &Path) {
    let lake = Lake::open(path, LakeOptions::default()).unwrap();
    let options = CollectionOptions {
        index: Some(IndexChoice::RabitqIvf),
        ..CollectionOptions::default()
    };
    let docs = lake.collection("docs", options.clone()).unwrap();
    let mut random = Random(1);
    let put = |batch| docs.upsert_and_wait(batch, Durability::Fsync).unwrap();
    put(batch(0..9_000, &mut random));
    docs.compact().unwrap();
    let some = (0..900).map(|i| format!("r{}", i * 7)).collect();
    docs.delete_and_wait(Selection::Ids(some), Durability::Fsync)
        .unwrap();
    // Long enough for closing to flush it to a segment of its own.
    put(batch(8_500..12_000, &mut random));
    drop(docs);
    lake.close().unwrap();
    let lake = Lake::open(path, LakeOptions::default()).unwrap();
    let docs = lake.collection("docs", options).unwrap();
    assert_eq!(docs.stats().unwrap().segments, 2);
    docs.upsert_and_wait(batch(11_900..12_100, &mut random), Durability::Fsync)
        .unwrap();
    let session = lake.session().unwrap();
    session
        .upsert("docs", batch(12_100..12_110, &mut random))
        .unwrap();
    session.upsert("ledger", batch(0..5, &mut random)).unwrap();
    session.commit().unwrap();
    docs.delete_and_wait(Selection::Ids(vec!["r8999".into()]), Durability::Fsync)
        .unwrap();
    let crashed = path.with_extension("crashed");
    copy(path, &crashed);
    lake.close().unwrap();
    fs::remove_dir_all(path).unwrap();
    fs::rename(crashed, path).unwrap();
}

/// A question, and the answer as text.
type Question = Box<dyn Fn(&Collection) -> rulake::Result<String>>;

fn search(seed: u64, filter: Option<&str>) -> Question {
    let filter = filter.map(str::to_owned);
    Box::new(move |docs| {
        let mut random = Random(seed);
        let query: Vec<f32> = (0..DIMENSIONS)
            .map(|_| random.below(2000) as f32 / 1000.0 - 1.0)
            .collect();
        let request = SearchRequest {
            k: 10,
            filter: filter.clone(),
            include: ALL,
            ..SearchRequest::default()
        };
        Ok(format!("{:?}", docs.search(&query, 1, &request, None)?))
    })
}

/// What is asked after every flip. None of it reads everything.
fn questions() -> Vec<Question> {
    let mut all: Vec<Question> = vec![Box::new(|docs| Ok(docs.len().to_string()))];
    for seed in 1..4 {
        all.push(search(seed, None));
    }
    all.push(search(4, Some(r#"{"group":"g7"}"#)));
    all.push(search(
        5,
        Some(r#"{"tags":{"$contains":"t3"},"n":{"$gte":500}}"#),
    ));
    all.push(Box::new(|docs| {
        let ids: Vec<String> = (0..12).map(|i| format!("r{}", i * 1009)).collect();
        Ok(format!("{:?}", docs.get(&ids, ALL)?))
    }));
    for filter in [r#"{"group":{"$in":["g1","g2"]}}"#, r#"{"n":{"$lt":77}}"#] {
        all.push(Box::new(move |docs| {
            Ok(docs.count(Some(filter), None)?.to_string())
        }));
    }
    all
}

/// Every record, as text.
fn everything(docs: &Collection) -> rulake::Result<String> {
    let mut scan = docs.scan(None, ALL)?;
    let mut all = String::new();
    loop {
        let chunk = scan.next_chunk(1000, usize::MAX, None)?;
        if chunk.is_empty() {
            return Ok(all);
        }
        write!(all, "{chunk:?}").unwrap();
    }
}

fn open(path: &Path, name: &str) -> rulake::Result<(Lake, Collection)> {
    let lake = Lake::open(path, LakeOptions::read_only())?;
    let collection = lake.collection(name, CollectionOptions::default())?;
    Ok((lake, collection))
}

/// Flips a bit of a file in place.
fn flip(file: &Path, at: u64, bit: usize) {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(file)
        .unwrap();
    let mut byte = [0];
    file.seek(SeekFrom::Start(at)).unwrap();
    file.read_exact(&mut byte).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(&[byte[0] ^ 1 << bit]).unwrap();
}

#[derive(Default, Debug)]
struct Tally {
    flips: usize,
    noticed: usize,
    /// Not even by `verify()`, which was asked about some.
    unnoticed: BTreeMap<String, usize>,
}

fn expect_damage(error: &rulake::Error, what: &str) {
    let known = ["CORRUPT_FILE", "UNSUPPORTED_FORMAT"].contains(&error.code());
    assert!(known, "{what}: {} {error}", error.code());
}

/// Whether any of what is read says that something is wrong; what does not is as expected.
fn look(
    path: &Path,
    (docs, ledger): (&[String], &[String]),
    thorough: bool,
    what: &str,
) -> Option<Lake> {
    let mut noticed = false;
    let mut open_lake = None;
    for (name, expected) in [("docs", docs), ("ledger", ledger)] {
        let (lake, collection) = match open(path, name) {
            Ok(opened) => opened,
            Err(error) => {
                expect_damage(&error, what);
                return None;
            }
        };
        let mut asked = questions();
        if thorough {
            asked.push(Box::new(everything));
        }
        for (i, question) in asked.iter().enumerate() {
            match question(&collection) {
                Err(error) => {
                    expect_damage(&error, what);
                    noticed = true;
                }
                Ok(answer) => assert!(answer == expected[i], "{what}: question {i} of {name}"),
            }
        }
        open_lake = Some(lake);
    }
    open_lake.filter(|_| !noticed)
}

fn work(path: &Path, seed: u64, alive: &mpsc::Sender<String>) -> Tally {
    let expected: Vec<Vec<String>> = ["docs", "ledger"]
        .iter()
        .map(|name| {
            let (_lake, collection) = open(path, name).unwrap();
            let mut asked = questions();
            asked.push(Box::new(everything));
            asked
                .iter()
                .map(|question| question(&collection).unwrap())
                .collect()
        })
        .collect();
    let sizes: Vec<(PathBuf, u64)> = files(path)
        .into_iter()
        .map(|file| (file.clone(), fs::metadata(file).unwrap().len()))
        .filter(|(_, size)| *size > 0)
        .collect();
    let total: u64 = sizes.iter().map(|(_, size)| size).sum();
    let mut random = Random(seed);
    let mut tally = Tally::default();
    for i in 0..FLIPS / THREADS {
        // Half of them anywhere, half in a file of any size.
        let (file, at) = if i % 2 == 0 {
            let (file, size) = &sizes[random.below(sizes.len())];
            (file, random.below(*size as usize) as u64)
        } else {
            let mut at = random.below(total as usize) as u64;
            let found = sizes.iter().find(|(_, size)| {
                let here = at < *size;
                if !here {
                    at -= size;
                }
                here
            });
            (&found.unwrap().0, at)
        };
        let bit = random.below(8);
        let name = file.strip_prefix(path).unwrap().display().to_string();
        let what = format!("{name}, byte {at}, bit {bit}");
        alive.send(what.clone()).unwrap();
        flip(file, at, bit);
        let thorough = i % THOROUGH < 2;
        match look(path, (&expected[0], &expected[1]), thorough, &what) {
            None => tally.noticed += 1,
            Some(lake) if thorough => {
                let clean = ["docs", "ledger"].iter().all(|name| {
                    let collection = lake.collection(name, CollectionOptions::default()).unwrap();
                    collection.verify(None).unwrap().problems.is_empty()
                });
                if clean {
                    *tally.unnoticed.entry(what).or_default() += 1;
                } else {
                    tally.noticed += 1;
                }
            }
            Some(_) => {}
        }
        flip(file, at, bit);
        tally.flips += 1;
    }
    tally
}

#[test]
#[ignore = "100,000 openings: minutes"]
fn no_random_flip_changes_an_answer_unnoticed() {
    let memory = Path::new("/dev/shm");
    let dir = if memory.is_dir() {
        tempfile::tempdir_in(memory).unwrap()
    } else {
        tempfile::tempdir().unwrap()
    };
    let original = dir.path().join("original");
    make(&original);
    let (sender, receiver) = mpsc::channel();
    let threads: Vec<_> = (0..THREADS)
        .map(|i| {
            let place = dir.path().join(i.to_string());
            copy(&original, &place);
            let alive = sender.clone();
            thread::spawn(move || work(&place, 77 + i as u64, &alive))
        })
        .collect();
    drop(sender);
    let (mut last, mut begun) = (String::new(), 0);
    loop {
        match receiver.recv_timeout(PATIENCE) {
            Ok(what) => {
                last = what;
                begun += 1;
                if begun % 10_000 == 0 {
                    println!("{begun} flips");
                }
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("hangs at {last}"),
        }
    }
    for thread in threads {
        let tally = thread.join().unwrap();
        println!("{} flips, {} noticed", tally.flips, tally.noticed);
        assert_eq!(tally.flips, FLIPS / THREADS);
        for what in tally.unnoticed.keys() {
            // Who holds the lock, and the mark at the end of a log, matter to nobody.
            let last_mark = what.contains("wal/") || what.contains(".sessions/");
            assert!(
                what.starts_with("LOCK") || last_mark,
                "{what}: verify() is content"
            );
        }
    }
}
