//! The projected embeddings of distances of disentangled attention. They do not depend on a model's input, so they are
//! computed when the model is loaded.

use std::ops::Range;

use super::linear::Linear;
use super::load_linear::linear;
use super::tiling::groups_of;
use crate::diag::Diagnostic;
use crate::infer::cores::on_all_cores;
use crate::infer::file::encoder::{Disentangled, Encoder};
use crate::infer::file::{Opened, Stored};
use crate::infer::kernel::attention::Distances;
use crate::infer::kernel::attention::distances::Rows;
use crate::infer::kernel::product::{Dense, Float32, Panel, dense};
use crate::infer::kernel::quantize::{InputQuantization, QParams};
use crate::infer::simd::{Floats, Isa, LANES, Simd, Work};

/// What the attention of all layers takes from the distances between tokens.
#[derive(Debug)]
pub(super) struct DistanceTerms {
    rows: Rows,
    /// The number of groups of rows.
    groups: usize,
    /// K' and Q' of each layer, `[hidden][groups]` with the rows in the lanes; empty without the term.
    layers: Vec<[Vec<Floats>; 2]>,
}

impl DistanceTerms {
    /// The terms of a head of a layer.
    pub(super) fn of_head(&self, layer: usize, head: usize, features: usize) -> Distances<'_> {
        let part = |all: &'_ [Floats]| -> Range<usize> {
            match all.is_empty() {
                true => 0..0,
                false => head * features * self.groups..(head + 1) * features * self.groups,
            }
        };
        let [keys, queries] = &self.layers[layer];
        Distances {
            keys: &keys[part(keys)],
            queries: &queries[part(queries)],
            groups: self.groups,
            rows: &self.rows,
        }
    }
}

/// Loads the embeddings of distances and projects them for each layer, given with its query, key and value projections.
///
/// # Errors
/// Sections or layers that are missing or of other sizes; a row beyond the last.
pub(super) fn load(
    file: &Opened,
    of: Disentangled,
    layers: &[&[Linear; 3]],
) -> Result<DistanceTerms, Diagnostic> {
    let Encoder { hidden, longest, .. } = file.directory.encoder;
    let rows: Stored<u32> = file.array("distance_rows", Some(2 * longest - 1))?;
    if let Some(row) = rows.iter().find(|row| **row as usize >= of.rows) {
        return Err(file.contradiction(format!("a distance has the row {row} of {} rows", of.rows)));
    }
    let table: Stored<f32> = file.array("distance_embeddings", Some(of.rows * hidden))?;
    let own = |wanted: bool, layer: usize, name: &str| {
        let name = format!("bert.encoder.layer.{layer}.attention.self.{name}");
        (wanted && !of.shared).then(|| linear(file, &name, hidden, hidden)).transpose()
    };
    let mut projections = Vec::new();
    for layer in 0..layers.len() {
        projections.push([
            own(of.content_to_position, layer, "pos_key")?,
            own(of.position_to_content, layer, "pos_query")?,
        ]);
    }
    let groups = groups_of(of.rows);
    let project = |wanted: bool, own: &Option<Linear>, shared: &Linear| match own {
        _ if !wanted => Vec::new(),
        // The input of a projection of its own may be quantized; that of a shared one is the hidden states.
        Some(own) => product(own, own.input, &table, groups),
        None => product(shared, None, &table, groups),
    };
    let of_layer = |([queries, keys, _], [key, query]): (&&[Linear; 3], &[Option<Linear>; 2])| {
        [project(of.content_to_position, key, keys), project(of.position_to_content, query, queries)]
    };
    let mut terms: Vec<[Vec<Floats>; 2]> = vec![Default::default(); layers.len()];
    on_all_cores(layers.iter().zip(&projections).zip(&mut terms), |(layer, terms)| {
        *terms = of_layer(layer);
        Ok::<(), Diagnostic>(())
    })?;
    Ok(DistanceTerms { rows: Rows::new(&rows), groups, layers: terms })
}

/// Applies a linear layer to the rows of a table `[rows, columns]` in float32, to `[outputs][groups]` with the rows in the
/// lanes.
fn product(layer: &Linear, input: Option<InputQuantization>, table: &[f32], groups: usize) -> Vec<Floats> {
    let columns = layer.columns;
    let mut inputs = vec![Floats::default(); columns * groups];
    for (row, values) in table.chunks(columns).enumerate() {
        for (column, value) in values.iter().enumerate() {
            let value = match input {
                Some(InputQuantization::Static(by)) => represented(*value, by),
                _ => *value,
            };
            inputs[column * groups + row / LANES].0[row % LANES] = value;
        }
    }
    let mut out = vec![Floats::default(); layer.rows * groups];
    Isa::best().run(Product { weights: &layer.dequantized(), inputs: &inputs, groups, out: &mut out });
    for (row, bias) in out.chunks_mut(groups).zip(layer.bias.iter()) {
        row.iter_mut().flat_map(|lanes| &mut lanes.0).for_each(|value| *value += bias);
    }
    out
}

/// The value that the quantized integer of a value represents.
fn represented(value: f32, by: QParams) -> f32 {
    let whole = (value * (1.0 / by.scale)).round_ties_even();
    let whole = whole.clamp((by.low - by.zero) as f32, (by.high - by.zero) as f32);
    whole * by.scale
}

/// The product of a matrix with a panel.
struct Product<'a> {
    weights: &'a [f32],
    inputs: &'a [Floats],
    groups: usize,
    out: &'a mut [Floats],
}

impl Work for Product<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Product { weights, inputs, groups, out } = self;
        let (rows, columns) = (out.len() / groups, inputs.len() / groups);
        let matrix = Dense { weights, row: columns, step: 1, steps: columns };
        let panel = Panel { steps: inputs, width: groups, groups: 0..groups };
        dense::<S, Float32>(simd, matrix, 0..rows, &panel, out);
    }
}
