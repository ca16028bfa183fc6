//! Numbers and parts for unit tests.

use crate::build::{Center, Shape};
use crate::part::Part;
use crate::raw::Vectors;
use crate::rotate::Rotation;
use crate::table::Table;
use crate::{Bits, BuildOptions, Control, Kind, ivf, validate};

/// Numbers of `[0, 1)`, multiples of 2^-24, the same every time.
pub(crate) fn uniform(seed: u64) -> impl FnMut() -> f32 {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 24) as f32
    }
}

/// A part, and what it was built with.
pub(crate) struct Sample {
    pub shape: Shape,
    pub center: Center,
    pub part: Part,
}

impl Sample {
    /// Of vectors with the ids 0, 1, 2 ...; in lists, however few, if the kind has lists.
    pub(crate) fn build(options: BuildOptions, vectors: &[f32]) -> Self {
        let shape = Shape {
            rotation: Rotation::from_options(&options),
            options,
        };
        let options = &shape.options;
        let kernels = simd::kernels();
        let norms =
            validate::norms_squared(kernels, options.metric, options.dimensions, vectors).unwrap();
        let vectors = Vectors::new(options, vectors.to_vec().into());
        let center = shape.center(&vectors, &norms).unwrap();
        let table = Table {
            ids: (0..norms.len() as i64).collect(),
            vectors,
            norms,
        };
        let control = Control::default();
        let part = match options.kind {
            Kind::RabitqIvf => ivf::build(&shape, &center, Bits::Five, table, control),
            _ => shape.part(&center, table, control),
        };
        Self {
            part: part.unwrap(),
            shape,
            center,
        }
    }
}
