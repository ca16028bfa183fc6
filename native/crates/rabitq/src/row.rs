//! One vector on its way into the index: normalised, centred, rotated, encoded.

use simd::Kernels;

use crate::build::{Center, Shape, cross_term, scale};
use crate::encode::{Encoder, Factors};
use crate::{Bits, Metric};

/// Encodes rows one after the other.
pub(crate) struct RowEncoder<'a> {
    kernels: &'static Kernels,
    shape: &'a Shape,
    center: &'a Center,
    encoder: Encoder<'a>,
    rotated: Vec<f32>,
    numbers: Vec<f32>,
}

/// The numbers beside a row's code. `add` is a row's own part of a distance, for the sign code and for the whole one.
pub(crate) struct EncodedRow {
    pub sign_add: f32,
    pub sign: Factors,
    pub full_add: f32,
    pub full: Factors,
}

impl<'a> RowEncoder<'a> {
    pub(crate) fn new(shape: &'a Shape, center: &'a Center, bits: Bits) -> Self {
        let padded = shape.rotation.padded();
        Self {
            kernels: simd::kernels(),
            shape,
            center,
            encoder: Encoder::new(bits, padded, center.shaper.as_ref()),
            rotated: vec![0.0; padded],
            numbers: vec![0.0; padded],
        }
    }

    /// The code of the last row.
    pub(crate) fn codes(&self) -> &[u8] {
        self.encoder.codes()
    }

    /// Encodes a vector around the index's center or, with an offset, around a point that far from it (rotated).
    pub(crate) fn encode(
        &mut self,
        vector: &[f32],
        norm_squared: f32,
        offset: Option<&[f32]>,
    ) -> EncodedRow {
        self.shape
            .rotate(self.center, vector, norm_squared, &mut self.rotated);
        for (residual, &offset) in self.rotated.iter_mut().zip(offset.unwrap_or_default()) {
            *residual -= offset;
        }
        let (kernels, residual) = (self.kernels, &self.rotated);
        let metric = self.shape.options.metric;
        let mut add = match metric {
            Metric::L2 => kernels.dot(residual, residual),
            Metric::Cosine | Metric::InnerProduct => -kernels.dot(residual, &self.center.rotated),
        };
        let encoded = self.encoder.encode(kernels, residual, cross_term(metric));
        let (mut sign_add, mut full_add) = (add, add);
        if let Some(offset) = offset {
            if metric != Metric::L2 {
                add -= kernels.dot(residual, offset);
            }
            // Queries come rotated around the index's center: what the code says of the offset is taken off here, once.
            let (sign, full) = self.encoder.products(kernels, offset, &mut self.numbers);
            sign_add = add - encoded.sign.rescale * sign;
            full_add = add - encoded.full.rescale * full;
        }
        EncodedRow {
            sign_add,
            sign: encoded.sign,
            full_add,
            full: encoded.full,
        }
    }
}

impl Shape {
    /// `vector - center`, the vector normalised for cosine, rotated into `out` (padded).
    pub(crate) fn rotate(
        &self,
        center: &Center,
        vector: &[f32],
        norm_squared: f32,
        out: &mut [f32],
    ) {
        let scale = scale(self.options.metric, norm_squared);
        let (body, rest) = out.split_at_mut(vector.len());
        for ((out, &value), &middle) in body.iter_mut().zip(vector).zip(&center.point) {
            *out = value * scale - middle;
        }
        rest.fill(0.0);
        self.rotation.apply(simd::kernels(), out);
    }
}
