//! Packs the embeddings of distances of disentangled attention, and their projections.

use super::build::{Packer, Part};
use crate::diag::Diagnostic;
use crate::infer::file::encoder::{Disentangled, Encoder};

/// The embeddings of distances.
pub const TABLE: &str = "bert.encoder.rel_embeddings.weight";
/// Their layer normalization.
pub const NORM: &str = "bert.encoder.LayerNorm";

impl Packer<'_> {
    /// Adds the embeddings of distances, normalized if the model normalizes them, and the row of each distance.
    pub(super) fn distances(
        &mut self,
        encoder: &Encoder,
        rows: &[u32],
        is_normalized: bool,
    ) -> Result<(), Diagnostic> {
        let mut table = self.represented(TABLE, encoder.hidden)?;
        if is_normalized {
            let (weight, bias) = self.norm_values(NORM, encoder.hidden)?;
            for row in table.chunks_mut(encoder.hidden) {
                normalize(row, &weight, &bias, encoder.norm_epsilon);
            }
        }
        self.add("distance_embeddings", &table);
        self.add("distance_rows", rows);
        Ok(())
    }

    /// Adds the projections of the embeddings of distances of a layer, if it has some of its own.
    pub(super) fn distance_projections(
        &mut self,
        of: &Disentangled,
        at: &str,
        from: &str,
        hidden: usize,
    ) -> Result<(), Diagnostic> {
        let all = [(of.content_to_position, "pos_key"), (of.position_to_content, "pos_query")];
        for (_, name) in all.into_iter().filter(|(has, _)| *has && !of.shared) {
            let source = Part::whole(format!("{from}.attention.self.{name}"), [hidden, hidden], true);
            self.part(&format!("{at}.attention.self.{name}"), &source)?;
        }
        Ok(())
    }
}

/// Layer normalization of a row.
fn normalize(row: &mut [f32], weight: &[f32], bias: &[f32], epsilon: f32) {
    let width = row.len() as f64;
    let mean = row.iter().map(|v| f64::from(*v)).sum::<f64>() / width;
    let variance = row.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / width;
    let scale = 1.0 / (variance + f64::from(epsilon)).sqrt();
    for ((value, weight), bias) in row.iter_mut().zip(weight).zip(bias) {
        *value = ((f64::from(*value) - mean) * scale) as f32 * weight + bias;
    }
}
