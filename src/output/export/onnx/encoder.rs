//! The ONNX graph of an encoder with its head.

use super::graph::{Builder, Set};
use super::proto::{Graph, Model, Opset, Property, kind};
use super::terms::Terms;
use super::writer::Writer;
use crate::diag::Diagnostic;
use crate::infer::file::encoder::{Encoder, Structure};
use crate::infer::file::layout::Head;
use crate::infer::pack::describe;
use crate::output::export::source::Source;

/// The first opset with `LayerNormalization`.
const OPSET: i64 = 17;
/// The IR version of that opset.
const IR_VERSION: i64 = 8;

/// The graph of a model with its head.
///
/// # Errors
/// A model that the runtime cannot compute.
pub fn model(source: &Source, head: &Head) -> Result<Model, Diagnostic> {
    let about = |key: &str, value: String| Property { key: Some(key.to_owned()), value: Some(value) };
    let mut metadata_props = Vec::new();
    if let Head::Labels(names) | Head::Multilabel(names) | Head::Tokens(names) = head {
        metadata_props.push(about("labels", serde_json::to_string(names).unwrap_or_default()));
    }
    Ok(Model {
        ir_version: Some(IR_VERSION),
        producer_name: Some("obert".to_owned()),
        producer_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        graph: Some(graph(source, head)?),
        opset_import: vec![Opset { domain: Some(String::new()), version: Some(OPSET) }],
        metadata_props,
    })
}

fn graph(source: &Source, head: &Head) -> Result<Graph, Diagnostic> {
    let encoder = describe::encoder(&source.config)?;
    let shape = describe::shape(&source.config, head.clone());
    let (layers, types) = (encoder.layers, encoder.types);
    let mut writer = Writer { source, encoder, builder: Builder::default() };
    let mut x = writer.embeddings();
    let mut terms = Terms::new(&mut writer);
    // Also without terms that take them: the file has all weights of the model.
    if source.config.architecture().positions.disentangled.is_some() {
        terms.embeddings(&mut writer);
    }
    for layer in 0..layers {
        x = match writer.encoder.structure {
            Structure::PostNorm => writer.layer(layer, &x, &mut terms),
            Structure::PreNormGated => writer.pre_norm(layer, &x, &mut terms),
        };
    }
    if writer.encoder.structure == Structure::PreNormGated {
        x = writer.norm("bert.encoder.final_norm", &x, writer.encoder.hidden);
    }
    writer.head(&shape, x);
    // Tokenizers of models with one token type give no types.
    let inputs: &[&str] = match types {
        0 | 1 => &["input_ids", "attention_mask"],
        _ => &["input_ids", "attention_mask", "token_type_ids"],
    };
    let inputs = inputs.iter().map(|name| Builder::place(name, kind::INT64, &["batch", "length"]));
    Ok(writer.builder.finish(source.config.family().model_type(), inputs.collect()))
}

impl Writer<'_> {
    fn embeddings(&mut self) -> String {
        let Encoder { first_position, positions, types, embedding, projection, .. } = self.encoder;
        let finish = |writer: &mut Self, sum: String| {
            let normal = writer.norm("bert.embeddings.LayerNorm", &sum, embedding);
            if projection { writer.linear("bert.embeddings_project", &normal) } else { normal }
        };
        if positions == 0 {
            let words = self.table("word", "input_ids");
            return finish(self, words);
        }
        let positions: Vec<i64> = (first_position as i64..positions as i64).collect();
        let positions = self.builder.longs("positions", &[positions.len()], &positions);
        let zero = self.builder.longs("zero", &[1], &[0]);
        let one = self.builder.longs("one", &[1], &[1]);
        let shape = self.builder.op("Shape", &["input_ids"], &[]);
        let length = self.builder.op("Gather", &[&shape, &one], &[Set::Int("axis", 0)]);
        let places = self.builder.op("Slice", &[&positions, &zero, &length, &zero], &[]);
        let words = self.table("word", "input_ids");
        let types = (types > 0).then(|| {
            let rows = match types {
                1 => self.builder.longs("first_type", &[], &[0]),
                _ => "token_type_ids".to_owned(),
            };
            self.table("token_type", &rows)
        });
        let places = self.table("position", &places);
        let sum = match types {
            None => words,
            Some(types) => self.builder.op("Add", &[&words, &types], &[]),
        };
        let sum = self.builder.op("Add", &[&sum, &places], &[]);
        finish(self, sum)
    }

    fn layer(&mut self, layer: usize, x: &str, terms: &mut Terms) -> String {
        // Several layers may share parameters.
        let at = format!("bert.encoder.layer.{}", self.source.config.architecture().layer_at(layer));
        let states = format!("{at}.attention.self");
        let projected = ["query", "key", "value"].map(|name| self.linear(&format!("{states}.{name}"), x));
        let context = self.attention(layer, &states, projected, terms);
        let out = self.linear(&format!("{at}.attention.output.dense"), &context);
        let sum = self.builder.op("Add", &[&out, x], &[]);
        let x = self.norm(&format!("{at}.attention.output.LayerNorm"), &sum, self.encoder.hidden);
        let up = self.linear(&format!("{at}.intermediate.dense"), &x);
        let wide = self.activation(self.encoder.activation, &up);
        let down = self.linear(&format!("{at}.output.dense"), &wide);
        let sum = self.builder.op("Add", &[&down, &x], &[]);
        self.norm(&format!("{at}.output.LayerNorm"), &sum, self.encoder.hidden)
    }

    /// A layer with normalizations before its parts and a gated feed-forward layer.
    fn pre_norm(&mut self, layer: usize, x: &str, terms: &mut Terms) -> String {
        let at = format!("bert.encoder.layers.{layer}");
        let hidden = self.encoder.hidden;
        let normal = match layer {
            0 => x.to_owned(),
            _ => self.norm(&format!("{at}.attn_norm"), x, hidden),
        };
        let fused = self.linear(&format!("{at}.attn.Wqkv"), &normal);
        let [query, key, value] = self.builder.split(&fused, -1);
        let context = self.attention(layer, &format!("{at}.attn"), [query, key, value], terms);
        let out = self.linear(&format!("{at}.attn.Wo"), &context);
        let x = self.builder.op("Add", &[x, &out], &[]);
        let normal = self.norm(&format!("{at}.mlp_norm"), &x, hidden);
        let fused = self.linear(&format!("{at}.mlp.Wi"), &normal);
        let [up, gate] = self.builder.split(&fused, -1);
        let wide = self.activation(self.encoder.activation, &up);
        let wide = self.builder.op("Mul", &[&wide, &gate], &[]);
        let down = self.linear(&format!("{at}.mlp.Wo"), &wide);
        self.builder.op("Add", &[&x, &down], &[])
    }

    /// Attention on projected queries, keys and values, `[batch, length, hidden]`.
    fn attention(&mut self, layer: usize, at: &str, projected: [String; 3], terms: &mut Terms) -> String {
        let Encoder { heads, hidden: width, .. } = self.encoder;
        let features = width / heads;
        let split = self.builder.longs("heads", &[4], &[0, 0, heads as i64, features as i64]);
        let joined = self.builder.longs("joined", &[3], &[0, 0, width as i64]);
        let theta = self.encoder.rotary.get(layer).copied();
        let mut states = |writer: &mut Self, i: usize, name: &str, order: &[i64]| {
            let mut x = writer.builder.op("Reshape", &[&projected[i], &split], &[]);
            if let Some(theta) = theta.filter(|_| i < 2) {
                x = terms.rotate(writer, theta, &x);
            }
            let transposed = writer.builder.op("Transpose", &[&x], &[Set::Ints("perm", order)]);
            let operand = writer.name(&format!("{at}.{name}_states"));
            writer.quantized(&operand, &transposed)
        };
        let query = states(self, 0, "query", &[0, 2, 1, 3]);
        let key = states(self, 1, "key", &[0, 2, 3, 1]);
        let value = states(self, 2, "value", &[0, 2, 1, 3]);
        let products = self.encoder.disentangled.map_or(1, |of| of.terms());
        let root = self.builder.floats("root", &[], &[((features * products) as f32).sqrt()]);
        let mut scores = self.builder.op("MatMul", &[&query, &key], &[]);
        if let Some(of) = self.encoder.disentangled {
            scores = terms.disentangled(self, of, at, [&query, &key], &scores);
        }
        let scores = self.builder.op("Div", &[&scores, &root], &[]);
        let added = terms.added(self, layer);
        let scores = self.builder.op("Add", &[&scores, &added], &[]);
        let shares = self.builder.op("Softmax", &[&scores], &[Set::Int("axis", -1)]);
        let operand = self.name(&format!("{at}.probabilities"));
        let shares = self.quantized(&operand, &shares);
        let context = self.builder.op("MatMul", &[&shares, &value], &[]);
        let context = self.builder.op("Transpose", &[&context], &[Set::Ints("perm", &[0, 2, 1, 3])]);
        self.builder.op("Reshape", &[&context, &joined], &[])
    }
}
