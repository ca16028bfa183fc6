//! Sound index files of every kind, to be damaged.

use std::path::Path;

use rabitq::{Bits, BuildOptions, Control, Index, Kind, Metric};

use crate::choices::Choices;

/// Options and rows of each file. Parts up to 512 rows are compared by raw vector alone, so most have more; the last has
/// so many that the number of lists a search visits is read off the file.
fn shapes() -> Vec<(BuildOptions, usize)> {
    let new = BuildOptions::new;
    let mut asym = new(Kind::RabitqAsym, 3, Metric::L2);
    asym.rerank_factor = Some(4);
    let mut eight = new(Kind::Rabitq, 4, Metric::Cosine);
    eight.bits = Some(Bits::Eight);
    let mut lists = new(Kind::RabitqIvf, 2, Metric::InnerProduct);
    lists.bits = Some(Bits::Eight);
    lists.lists = Some(9);
    let mut many = new(Kind::RabitqIvf, 1, Metric::Cosine);
    many.lists = Some(12);
    vec![
        (new(Kind::RabitqPlus, 3, Metric::L2), 530),
        (new(Kind::RabitqIvf, 3, Metric::L2), 600),
        (new(Kind::Rabitq, 7, Metric::InnerProduct), 40),
        (new(Kind::FlatF32, 5, Metric::Cosine), 50),
        (new(Kind::RabitqAsym, 130, Metric::L2), 33),
        (asym, 64),
        (eight, 70),
        (new(Kind::RabitqPlus, 2, Metric::Cosine), 0),
        (lists, 520),
        (many, 8300),
    ]
}

/// Writes them into a directory and reads them back.
pub fn seeds(dir: &Path) -> Vec<Vec<u8>> {
    let write = |(options, rows): (BuildOptions, usize)| {
        let vectors: Vec<f32> = (0..rows * options.dimensions)
            .map(|i| ((i * 7919 % 1009) as f32 - 500.0) / 100.0)
            .collect();
        let ids: Vec<i64> = (0..rows as i64).map(|i| i * 17 % 8303).collect();
        let path = dir.join("seed");
        Index::build(vectors, Some(&ids), &options, Control::default())
            .and_then(|index| index.save(&path, Control::default()))
            .expect("a sound index");
        std::fs::read(path).expect("a saved index")
    };
    shapes().into_iter().map(write).collect()
}

/// One of them, the large last one less often: grouping its rows anew takes as long as a hundred other cases.
pub fn pick<'a>(seeds: &'a [Vec<u8>], choices: &mut Choices<'_>) -> &'a [u8] {
    let at = choices.below(seeds.len());
    if at + 1 == seeds.len() && !choices.once_in(32) {
        return &seeds[0];
    }
    &seeds[at]
}
