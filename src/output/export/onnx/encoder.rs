//! The ONNX graph of an encoder with its head.

use super::graph::{Builder, Set};
use super::proto::{Graph, Model, Opset, Property, kind};
use crate::diag::Diagnostic;
use crate::infer::file::encoder::{Encoder, Transform};
use crate::infer::file::layout::Head;
use crate::infer::pack::describe;
use crate::output::export::source::Source;
use crate::params::Activation;

/// The first opset with `LayerNormalization`.
const OPSET: i64 = 17;
/// The IR version of that opset.
const IR_VERSION: i64 = 8;

/// The graph of a model with a head for question answering or classification.
///
/// # Errors
/// A model that the runtime cannot compute.
pub fn model(source: &Source, head: &Head) -> Result<Model, Diagnostic> {
    let about = |key: &str, value: String| Property { key: Some(key.to_owned()), value: Some(value) };
    let mut metadata_props = Vec::new();
    if let Head::Labels(names) = head {
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
    let transform = describe::transform(&source.config, head);
    let (layers, types) = (encoder.layers, encoder.types);
    let mut writer = Writer { source, encoder, builder: Builder::default() };
    let mut x = writer.embeddings();
    let mask = writer.mask();
    for layer in 0..layers {
        x = writer.layer(layer, &x, &mask);
    }
    match head {
        Head::Answers => {
            let logits = writer.linear("qa_outputs", &x);
            for (i, name) in ["start_logits", "end_logits"].into_iter().enumerate() {
                let at = writer.builder.longs(&format!("place_{i}"), &[], &[i as i64]);
                let one = writer.builder.op("Gather", &[&logits, &at], &[Set::Int("axis", 2)]);
                writer.builder.output(&one, name, &["batch", "length"]);
            }
        }
        Head::Labels(names) => {
            let first = writer.builder.longs("place_0", &[], &[0]);
            let mut pooled = writer.builder.op("Gather", &[&x, &first], &[Set::Int("axis", 1)]);
            if let Some(Transform { activation }) = transform {
                pooled = writer.linear("bert.pooler.dense", &pooled);
                pooled = writer.activation(activation, &pooled);
            }
            let logits = writer.linear("classifier", &pooled);
            writer.builder.output(&logits, "logits", &["batch", &names.len().to_string()]);
        }
    }
    // Tokenizers of models with one token type give no types.
    let inputs: &[&str] = match types {
        0 | 1 => &["input_ids", "attention_mask"],
        _ => &["input_ids", "attention_mask", "token_type_ids"],
    };
    let inputs = inputs.iter().map(|name| Builder::place(name, kind::INT64, &["batch", "length"]));
    Ok(writer.builder.finish(source.config.family().model_type(), inputs.collect()))
}

/// Writes the nodes of an encoder. All methods take BERT's names of modules; initializers have those of the family.
struct Writer<'a> {
    source: &'a Source,
    encoder: Encoder,
    builder: Builder,
}

impl Writer<'_> {
    fn name(&self, bert: &str) -> String {
        self.source.config.family().name(bert)
    }

    fn embeddings(&mut self) -> String {
        let Encoder { first_position, positions, types, .. } = self.encoder;
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
        let Encoder { embedding, hidden, .. } = self.encoder;
        let normal = self.norm("bert.embeddings.LayerNorm", &sum, embedding);
        if embedding == hidden { normal } else { self.linear("bert.embeddings_project", &normal) }
    }

    /// Gathers rows of an embedding table; those of a quantized table are dequantized afterwards.
    fn table(&mut self, which: &str, rows: &str) -> String {
        let name = self.name(&format!("bert.embeddings.{which}_embeddings.weight"));
        let width = self.encoder.embedding;
        let count = self.source.values(&name).len() / width;
        let gather = [Set::Int("axis", 0)];
        let Some(quantized) = self.source.quantized(&name) else {
            let table = self.builder.floats(&name, &[count, width], self.source.values(&name));
            return self.builder.op("Gather", &[&table, rows], &gather);
        };
        let table = self.builder.signed(&name, &[count, width], &quantized.bytes);
        let bytes = self.builder.op("Gather", &[&table, rows], &gather);
        let each = quantized.scales.len() > 1;
        let step = if each { 1.0 } else { quantized.scales[0] };
        let scale = self.builder.floats(&format!("{name}_scale"), &[], &[step]);
        let point = self.builder.signed(&format!("{name}_zero_point"), &[], &[0]);
        let floats = self.builder.op("DequantizeLinear", &[&bytes, &scale, &point], &[]);
        if !each {
            return floats;
        }
        let scales = self.builder.floats(&format!("{name}_scales"), &[count, 1], &quantized.scales);
        let scales = self.builder.op("Gather", &[&scales, rows], &gather);
        self.builder.op("Mul", &[&floats, &scales], &[])
    }

    /// The attention mask, added to the scores: 0, or the least float32 for padding.
    fn mask(&mut self) -> String {
        let one = self.builder.floats("kept", &[], &[1.0]);
        let far = self.builder.floats("hidden", &[], &[f32::MIN]);
        let axes = self.builder.longs("heads_and_queries", &[2], &[1, 2]);
        let kept = self.builder.op("Cast", &["attention_mask"], &[Set::Int("to", kind::FLOAT.into())]);
        let padding = self.builder.op("Sub", &[&one, &kept], &[]);
        let added = self.builder.op("Mul", &[&padding, &far], &[]);
        self.builder.op("Unsqueeze", &[&added, &axes], &[])
    }

    fn norm(&mut self, name: &str, x: &str, width: usize) -> String {
        let part = |part: &str| self.name(&format!("{name}.{part}"));
        let (weight, bias) = (part("weight"), part("bias"));
        let weight = self.builder.floats(&weight, &[width], self.source.values(&weight));
        let bias = self.builder.floats(&bias, &[width], self.source.values(&bias));
        let epsilon = self.encoder.norm_epsilon;
        let settings = [Set::Int("axis", -1), Set::Float("epsilon", epsilon)];
        self.builder.op("LayerNormalization", &[x, &weight, &bias], &settings)
    }

    fn linear(&mut self, name: &str, x: &str) -> String {
        let [weight, bias, operand] =
            ["weight", "bias", "input"].map(|part| self.name(&format!("{name}.{part}")));
        let outputs = self.source.values(&bias).len();
        let inputs = self.source.values(&weight).len() / outputs.max(1);
        let matrix = match self.source.quantized(&weight) {
            None => {
                let turned = turned(self.source.values(&weight), outputs, inputs);
                self.builder.floats(&weight, &[inputs, outputs], &turned)
            }
            Some(quantized) => {
                let turned = turned(&quantized.bytes, outputs, inputs);
                let bytes = self.builder.signed(&weight, &[inputs, outputs], &turned);
                let each = quantized.scales.len();
                let dims: &[usize] = if each == 1 { &[] } else { &[each] };
                let scales = self.builder.floats(&format!("{weight}_scale"), dims, &quantized.scales);
                let points = self.builder.signed(&format!("{weight}_zero_point"), dims, &vec![0; each]);
                self.builder.op("DequantizeLinear", &[&bytes, &scales, &points], &[Set::Int("axis", 1)])
            }
        };
        let x = self.quantized(&operand, x);
        let product = self.builder.op("MatMul", &[&x, &matrix], &[]);
        let bias = self.builder.floats(&bias, &[outputs], self.source.values(&bias));
        self.builder.op("Add", &[&product, &bias], &[])
    }

    /// An operand, through `QuantizeLinear` and `DequantizeLinear` if it has a scale.
    fn quantized(&mut self, operand: &str, x: &str) -> String {
        let scales = self.source.quantization.as_ref();
        match scales.and_then(|q| q.activations.get(operand)) {
            None => x.to_owned(),
            Some(by) => self.builder.quantize(operand, x, by),
        }
    }

    fn layer(&mut self, layer: usize, x: &str, mask: &str) -> String {
        let at = format!("bert.encoder.layer.{layer}");
        let context = self.attention(&format!("{at}.attention.self"), x, mask);
        let out = self.linear(&format!("{at}.attention.output.dense"), &context);
        let sum = self.builder.op("Add", &[&out, x], &[]);
        let x = self.norm(&format!("{at}.attention.output.LayerNorm"), &sum, self.encoder.hidden);
        let up = self.linear(&format!("{at}.intermediate.dense"), &x);
        let wide = self.activation(self.encoder.activation, &up);
        let down = self.linear(&format!("{at}.output.dense"), &wide);
        let sum = self.builder.op("Add", &[&down, &x], &[]);
        self.norm(&format!("{at}.output.LayerNorm"), &sum, self.encoder.hidden)
    }

    fn attention(&mut self, at: &str, x: &str, mask: &str) -> String {
        let Encoder { heads, hidden: width, .. } = self.encoder;
        let features = width / heads;
        let split = self.builder.longs("heads", &[4], &[0, 0, heads as i64, features as i64]);
        let joined = self.builder.longs("joined", &[3], &[0, 0, width as i64]);
        let states = |writer: &mut Self, name: &str, order: &[i64]| {
            let flat = writer.linear(&format!("{at}.{name}"), x);
            let apart = writer.builder.op("Reshape", &[&flat, &split], &[]);
            let turned = writer.builder.op("Transpose", &[&apart], &[Set::Ints("perm", order)]);
            let operand = writer.name(&format!("{at}.{name}_states"));
            writer.quantized(&operand, &turned)
        };
        let query = states(self, "query", &[0, 2, 1, 3]);
        let key = states(self, "key", &[0, 2, 3, 1]);
        let value = states(self, "value", &[0, 2, 1, 3]);
        let root = self.builder.floats("root", &[], &[(features as f32).sqrt()]);
        let scores = self.builder.op("MatMul", &[&query, &key], &[]);
        let scores = self.builder.op("Div", &[&scores, &root], &[]);
        let scores = self.builder.op("Add", &[&scores, mask], &[]);
        let shares = self.builder.op("Softmax", &[&scores], &[Set::Int("axis", -1)]);
        let operand = self.name(&format!("{at}.probabilities"));
        let shares = self.quantized(&operand, &shares);
        let context = self.builder.op("MatMul", &[&shares, &value], &[]);
        let context = self.builder.op("Transpose", &[&context], &[Set::Ints("perm", &[0, 2, 1, 3])]);
        self.builder.op("Reshape", &[&context, &joined], &[])
    }

    fn activation(&mut self, activation: Activation, x: &str) -> String {
        match activation {
            Activation::Gelu => self.gelu(x),
            Activation::GeluTanh => self.gelu_tanh(x),
            Activation::Relu => self.builder.op("Relu", &[x], &[]),
            Activation::Silu => {
                let sigmoid = self.builder.op("Sigmoid", &[x], &[]);
                self.builder.op("Mul", &[x, &sigmoid], &[])
            }
            Activation::Tanh => self.builder.op("Tanh", &[x], &[]),
        }
    }

    /// x · ½ (1 + erf(x / √2)): opset 17 has no GELU, and runtimes fuse this form.
    fn gelu(&mut self, x: &str) -> String {
        let root = self.builder.floats("root_of_two", &[], &[std::f32::consts::SQRT_2]);
        let one = self.builder.floats("kept", &[], &[1.0]);
        let half = self.builder.floats("half", &[], &[0.5]);
        let inner = self.builder.op("Div", &[x, &root], &[]);
        let erf = self.builder.op("Erf", &[&inner], &[]);
        let above = self.builder.op("Add", &[&erf, &one], &[]);
        let double = self.builder.op("Mul", &[x, &above], &[]);
        self.builder.op("Mul", &[&double, &half], &[])
    }

    /// x · ½ (1 + tanh(√(2/π) (x + 0.044715 x³))).
    fn gelu_tanh(&mut self, x: &str) -> String {
        let root = self.builder.floats("root_of_two_over_pi", &[], &[0.797_884_6]);
        let factor = self.builder.floats("cubic_factor", &[], &[0.044_715]);
        let three = self.builder.floats("three", &[], &[3.0]);
        let one = self.builder.floats("kept", &[], &[1.0]);
        let half = self.builder.floats("half", &[], &[0.5]);
        let cube = self.builder.op("Pow", &[x, &three], &[]);
        let cube = self.builder.op("Mul", &[&factor, &cube], &[]);
        let sum = self.builder.op("Add", &[x, &cube], &[]);
        let inner = self.builder.op("Mul", &[&root, &sum], &[]);
        let tanh = self.builder.op("Tanh", &[&inner], &[]);
        let above = self.builder.op("Add", &[&tanh, &one], &[]);
        let halved = self.builder.op("Mul", &[x, &half], &[]);
        self.builder.op("Mul", &[&halved, &above], &[])
    }
}

/// The transpose of a matrix `[rows, columns]`.
fn turned<T: Copy>(values: &[T], rows: usize, columns: usize) -> Vec<T> {
    (0..columns).flat_map(|c| (0..rows).map(move |r| values[r * columns + c])).collect()
}
