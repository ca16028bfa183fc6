//! A bundle as the files it consists of, tampered with.

use std::path::{Path, PathBuf};

use rulake::{
    Batch, Bundle, CollectionOptions, Draft, Durability, Generation, Include, Lake, LoadOptions,
    PublishOptions, Result, SearchRequest, TABLE_FILE, WitnessVersion, Witnessed,
};

use crate::choices::Choices;
use crate::lake::{Files, collect, write};
use crate::repair;
use crate::scramble::scramble;

/// A sound bundle: its description and its files.
pub struct Sample {
    table: Bundle,
    files: Files,
}

/// Publishes a small collection.
pub fn sample(dir: &Path) -> Sample {
    let publish = || -> Result<Bundle> {
        let lake = Lake::in_memory();
        let docs = lake.collection("docs", CollectionOptions::default())?;
        let mut batch = Batch::new();
        for i in 0..20 {
            let metadata = format!(r#"{{"n":{i},"deep":{{"a":[1,"x",null]}}}}"#);
            let vector = [1.0, i as f32, -0.5];
            batch.push_with_vector(
                &i.to_string(),
                &vector,
                Some(&format!("text {i}")),
                Some(&metadata),
            )?;
        }
        batch.push("without", None, None)?;
        docs.upsert_and_wait(batch, Durability::Buffered)?;
        let options = PublishOptions {
            rbpx: false,
            ..PublishOptions::default()
        };
        Draft::write(&docs, dir, &options, None)?.commit(None)
    };
    let table = publish().expect("a sound bundle");
    let mut files = Files::new();
    collect(dir, dir, &mut files);
    files.retain(|(name, _)| name != Path::new(TABLE_FILE));
    files.sort();
    Sample { table, files }
}

/// Changes files, numbers and names, states matching digests and witness, and loads the result.
pub fn exercise(sample: &Sample, dir: &Path, choices: &mut Choices<'_>) {
    let (mut table, mut files) = (sample.table.clone(), sample.files.clone());
    for _ in 0..=choices.below(3) {
        let (one, two) = (choices.below(files.len()), choices.below(files.len()));
        let other = files[two].1.clone();
        scramble(&mut files[one].1, &other, choices);
    }
    if choices.once_in(3) {
        change(&mut table, choices);
    }
    seal(&mut table, &files, choices);
    let mut json = table.to_json().expect("a description");
    if choices.once_in(8) {
        scramble(&mut json, &[], choices);
    }
    files.push((PathBuf::from(TABLE_FILE), json));
    write(dir, &files);
    if let Err(error) = load(dir, choices) {
        let known = [
            "CORRUPT_FILE",
            "UNSUPPORTED_FORMAT",
            "UNSAFE_BUNDLE",
            "WITNESS_MISMATCH",
            "CONTENT_UNVERIFIED",
            "BUNDLE_TOO_LARGE",
            "FILE_NOT_FOUND",
            "DIMENSION_MISMATCH",
        ];
        assert!(known.contains(&error.code()), "{}: {error}", error.code());
    }
}

fn change(table: &mut Bundle, choices: &mut Choices<'_>) {
    let Some(content) = &mut table.content else {
        return;
    };
    match choices.below(8) {
        0 => table.dim = choices.number(table.dim),
        1 => content.records = choices.number(content.records),
        2 => content.vectors = choices.number(content.vectors),
        3 => {
            content
                .files
                .swap_remove(choices.below(content.files.len()))
                .bytes = 0
        }
        4 => content.files.push(content.files[0].clone()),
        5 => {
            content.files[0].name = choices
                .pick(&["../x", "/etc/passwd", "a/b", "", TABLE_FILE, "CON"])
                .into()
        }
        6 => content.metric = choices.pick(&["l2", "ip", "hamming"]).into(),
        _ => table.content = None,
    }
}

fn seal(table: &mut Bundle, files: &Files, choices: &mut Choices<'_>) {
    if let Some(content) = &mut table.content {
        for entry in &mut content.files {
            if let Some((_, bytes)) = files
                .iter()
                .find(|(name, _)| name == Path::new(&entry.name))
            {
                entry.bytes = bytes.len() as u64;
                entry.shake256 = repair::digest(bytes);
            }
        }
        let labels =
            [&table.pii_policy, &table.lineage_id, &table.memory_class].map(Option::as_deref);
        table.generation = Generation::Opaque(content.generation(labels));
    } else {
        table.generation = Generation::Number(choices.word());
    }
    let witnessed = Witnessed {
        data_ref: &table.data_ref,
        dimensions: table.dim,
        rotation_seed: table.rotation_seed,
        rerank_factor: table.rerank_factor,
        generation: &table.generation,
    };
    table.rvf_witness = witnessed.witness(WitnessVersion::V2);
}

fn load(dir: &Path, choices: &mut Choices<'_>) -> Result<()> {
    let options = LoadOptions {
        max_bytes: 1 << 20,
        allow_unverified: choices.once_in(2),
        file: None,
    };
    let table = Bundle::read(dir)?;
    let loaded = table.load(dir, &options, None)?;
    let docs = loaded.collection;
    let all = Include {
        vector: true,
        text: true,
        metadata: true,
    };
    let mut scan = docs.scan(
        Some(r#"{"$or":[{"deep.a":{"$contains":"x"}},{"n":{"$gte":0}}]}"#),
        all,
    )?;
    while !scan.next_chunk(16, usize::MAX, None)?.is_empty() {}
    if let Some(dimensions) = docs.dimensions() {
        let request = SearchRequest {
            k: 5,
            include: all,
            ..SearchRequest::default()
        };
        docs.search(&vec![0.5; dimensions], 1, &request, None)?;
    }
    loaded.lake.close()
}
