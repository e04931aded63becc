//! What masks and positions add to the scores of attention, and rotary positions.

use std::collections::HashMap;

use super::graph::Set;
use super::proto::kind;
use super::writer::Writer;
use crate::infer::file::encoder::{Disentangled, Encoder};
use crate::infer::pack::{describe, distances};

/// The nodes that several layers share.
pub(super) struct Terms {
    /// The mask of the padding, `[batch, 1, 1, length]`.
    padding: String,
    /// The sum of padding, position bias and window, by window.
    added: HashMap<Option<usize>, String>,
    /// Cosines and sines, `[length, 1, features]`, by the bits of the base.
    angles: HashMap<u64, [String; 2]>,
    /// The positions, `[length]`, int64.
    positions: Option<String>,
    /// The embeddings of distances, `[rows, hidden]`.
    embeddings: Option<String>,
    /// The row of the embeddings of distances for each pair of a query and a key, `[batch, heads, length, length]`.
    rows: Option<String>,
}

impl Terms {
    /// Writes the mask of the padding: 0, or the least float32 for padding. In the order of operators by which ONNX
    /// Runtime's optimizer recognizes attention (`FusionAttention`).
    pub(super) fn new(writer: &mut Writer) -> Terms {
        let builder = &mut writer.builder;
        let one = builder.floats("kept", &[], &[1.0]);
        let far = builder.floats("hidden", &[], &[f32::MIN]);
        let heads = builder.longs("mask_heads", &[1], &[1]);
        let queries = builder.longs("mask_queries", &[1], &[2]);
        let kept = builder.op("Unsqueeze", &["attention_mask", &heads], &[]);
        let kept = builder.op("Unsqueeze", &[&kept, &queries], &[]);
        let kept = builder.op("Cast", &[&kept], &[Set::Int("to", kind::FLOAT.into())]);
        let padding = builder.op("Sub", &[&one, &kept], &[]);
        let padding = builder.op("Mul", &[&padding, &far], &[]);
        Terms {
            padding,
            added: HashMap::new(),
            angles: HashMap::new(),
            positions: None,
            embeddings: None,
            rows: None,
        }
    }

    /// The sum of all that is added to the scores of a layer.
    pub(super) fn added(&mut self, writer: &mut Writer, layer: usize) -> String {
        let window = writer.encoder.windows[layer];
        if window.is_none() && !writer.encoder.position_bias {
            return self.padding.clone();
        }
        if let Some(known) = self.added.get(&window) {
            return known.clone();
        }
        let distances = self.distances(writer);
        let mut sum = self.padding.clone();
        if writer.encoder.position_bias {
            let bias = self.bias(writer, &distances);
            sum = writer.builder.op("Add", &[&sum, &bias], &[]);
        }
        if let Some(window) = window {
            let builder = &mut writer.builder;
            let most = builder.longs(&format!("window_{window}"), &[], &[window as i64]);
            let (far, zero) =
                (builder.floats("hidden", &[], &[f32::MIN]), builder.floats("none", &[], &[0.0]));
            let size = builder.op("Abs", &[&distances], &[]);
            let beyond = builder.op("Greater", &[&size, &most], &[]);
            let hidden = builder.op("Where", &[&beyond, &far, &zero], &[]);
            let both = builder.op("Add", &[&sum, &hidden], &[]);
            // A row of which every key is hidden must not become NaN.
            sum = builder.op("Max", &[&both, &far], &[]);
        }
        self.added.insert(window, sum.clone());
        sum
    }

    fn positions(&mut self, writer: &mut Writer) -> String {
        let positions = self.positions.get_or_insert_with(|| {
            let builder = &mut writer.builder;
            let (zero, one) = (builder.longs("first", &[], &[0]), builder.longs("step", &[], &[1]));
            let shape = builder.op("Shape", &["input_ids"], &[]);
            let length = builder.op("Gather", &[&shape, &one], &[Set::Int("axis", 0)]);
            builder.op("Range", &[&zero, &length, &one], &[])
        });
        positions.clone()
    }

    /// The distances `query − key`, `[length, length]`.
    fn distances(&mut self, writer: &mut Writer) -> String {
        let positions = self.positions(writer);
        let builder = &mut writer.builder;
        let (rows, columns) = (builder.longs("columns", &[1], &[1]), builder.longs("rows", &[1], &[0]));
        let queries = builder.op("Unsqueeze", &[&positions, &rows], &[]);
        let keys = builder.op("Unsqueeze", &[&positions, &columns], &[]);
        builder.op("Sub", &[&queries, &keys], &[])
    }

    /// The bias of each head and distance, `[1, heads, length, length]`.
    fn bias(&mut self, writer: &mut Writer, distances: &str) -> String {
        let (heads, longest) = (writer.encoder.heads, writer.encoder.longest);
        let table = writer.source.seen(&writer.name(describe::BUCKETS));
        let values = describe::position_bias(&writer.source.config, &table);
        let builder = &mut writer.builder;
        let values = builder.floats("position_bias", &[heads, 2 * longest - 1], &values);
        let (zero, batch) =
            (builder.longs("distance_0", &[], &[longest as i64 - 1]), builder.longs("rows", &[1], &[0]));
        let at = builder.op("Add", &[distances, &zero], &[]);
        let bias = builder.op("Gather", &[&values, &at], &[Set::Int("axis", 1)]);
        builder.op("Unsqueeze", &[&bias, &batch], &[])
    }

    /// Adds the products of queries `[batch, heads, length, features]` and keys `[batch, heads, features, length]` with the
    /// projected embeddings of distances to the scores.
    pub(super) fn disentangled(
        &mut self,
        writer: &mut Writer,
        of: Disentangled,
        at: &str,
        [query, key]: [&str; 2],
        scores: &str,
    ) -> String {
        let rows = self.rows(writer, scores);
        let embeddings = self.embeddings(writer);
        let mut sum = scores.to_owned();
        if of.content_to_position {
            let transposed = self.projected(writer, of, [at, "key"], &embeddings, &[1, 2, 0]);
            let product = writer.builder.op("MatMul", &[query, &transposed], &[]);
            let term = writer.builder.op("GatherElements", &[&product, &rows], &[Set::Int("axis", 3)]);
            sum = writer.builder.op("Add", &[&sum, &term], &[]);
        }
        if of.position_to_content {
            let transposed = self.projected(writer, of, [at, "query"], &embeddings, &[1, 0, 2]);
            let product = writer.builder.op("MatMul", &[&transposed, key], &[]);
            let term = writer.builder.op("GatherElements", &[&product, &rows], &[Set::Int("axis", 2)]);
            sum = writer.builder.op("Add", &[&sum, &term], &[]);
        }
        sum
    }

    /// The projection of the embeddings of distances, `[rows, heads, features]` in another order of axes.
    fn projected(
        &mut self,
        writer: &mut Writer,
        of: Disentangled,
        [at, name]: [&str; 2],
        embeddings: &str,
        order: &[i64],
    ) -> String {
        let Encoder { heads, hidden, .. } = writer.encoder;
        let projected = match of.shared {
            // The input of the shared layers is the hidden states; embeddings of distances are not quantized.
            true => writer.apply(&format!("{at}.{name}"), embeddings, None),
            false => writer.linear(&format!("{at}.pos_{name}"), embeddings),
        };
        let split = writer.builder.longs("rows_of_heads", &[3], &[0, heads as i64, (hidden / heads) as i64]);
        let projected = writer.builder.op("Reshape", &[&projected, &split], &[]);
        writer.builder.op("Transpose", &[&projected], &[Set::Ints("perm", order)])
    }

    /// The embeddings of distances, normalized if the model normalizes them.
    pub(super) fn embeddings(&mut self, writer: &mut Writer) -> String {
        if let Some(known) = &self.embeddings {
            return known.clone();
        }
        let width = writer.encoder.hidden;
        let mut embeddings = writer.matrix(distances::TABLE, width);
        if !writer.source.values(&writer.name(&format!("{}.weight", distances::NORM))).is_empty() {
            embeddings = writer.norm(distances::NORM, &embeddings, width);
        }
        self.embeddings.insert(embeddings).clone()
    }

    /// The row of each pair's distance, in the shape of the scores.
    fn rows(&mut self, writer: &mut Writer, scores: &str) -> String {
        if let Some(known) = &self.rows {
            return known.clone();
        }
        let distances = self.distances(writer);
        let longest = writer.encoder.longest;
        let rows: Vec<i64> =
            describe::distance_rows(&writer.source.config).into_iter().map(i64::from).collect();
        let builder = &mut writer.builder;
        let rows = builder.longs("distance_rows", &[2 * longest - 1], &rows);
        let zero = builder.longs("distance_0", &[], &[longest as i64 - 1]);
        let at = builder.op("Add", &[&distances, &zero], &[]);
        let rows = builder.op("Gather", &[&rows, &at], &[Set::Int("axis", 0)]);
        let shape = builder.op("Shape", &[scores], &[]);
        let rows = builder.op("Expand", &[&rows, &shape], &[]);
        self.rows.insert(rows).clone()
    }

    /// Applies rotary position embeddings (RoPE) to queries or keys `[batch, length, heads, features]`.
    pub(super) fn rotate(&mut self, writer: &mut Writer, theta: f64, x: &str) -> String {
        let [cosines, sines] = self.angles(writer, theta);
        let builder = &mut writer.builder;
        let [low, high] = builder.split(x, -1);
        let minus = builder.op("Neg", &[&high], &[]);
        let half = builder.op("Concat", &[&minus, &low], &[Set::Int("axis", -1)]);
        let straight = builder.op("Mul", &[x, &cosines], &[]);
        let across = builder.op("Mul", &[&half, &sines], &[]);
        builder.op("Add", &[&straight, &across], &[])
    }

    fn angles(&mut self, writer: &mut Writer, theta: f64) -> [String; 2] {
        if let Some(known) = self.angles.get(&theta.to_bits()) {
            return known.clone();
        }
        let features = writer.encoder.hidden / writer.encoder.heads;
        let frequency = |i: usize| theta.powf(-(2.0 * i as f64) / features as f64) as f32;
        let frequencies: Vec<f32> = (0..features / 2).map(frequency).collect();
        let positions = self.positions(writer);
        let builder = &mut writer.builder;
        let frequencies =
            builder.floats(&format!("frequencies_{theta}"), &[1, 1, features / 2], &frequencies);
        let axes = builder.longs("heads_and_features", &[2], &[1, 2]);
        let positions = builder.op("Cast", &[&positions], &[Set::Int("to", kind::FLOAT.into())]);
        let positions = builder.op("Unsqueeze", &[&positions, &axes], &[]);
        let half = builder.op("Mul", &[&positions, &frequencies], &[]);
        let angles = builder.op("Concat", &[&half, &half], &[Set::Int("axis", -1)]);
        let both = [builder.op("Cos", &[&angles], &[]), builder.op("Sin", &[&angles], &[])];
        self.angles.insert(theta.to_bits(), both.clone());
        both
    }
}
