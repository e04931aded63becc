//! The ONNX graph of a BERT with its head.

use super::graph::{Builder, Set};
use super::proto::{Graph, Model, Opset, Property, kind};
use crate::infer::file::layout::Head;
use crate::output::export::source::Source;

/// The first opset with `LayerNormalization`.
const OPSET: i64 = 17;
/// The IR version of that opset.
const IR_VERSION: i64 = 8;

/// The graph of a model with a head for question answering or classification.
pub fn model(source: &Source, head: &Head) -> Model {
    let about = |key: &str, value: String| Property { key: Some(key.to_owned()), value: Some(value) };
    let mut metadata_props = Vec::new();
    if let Head::Labels(names) = head {
        metadata_props.push(about("labels", serde_json::to_string(names).unwrap_or_default()));
    }
    Model {
        ir_version: Some(IR_VERSION),
        producer_name: Some("obert".to_owned()),
        producer_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        graph: Some(graph(source, head)),
        opset_import: vec![Opset { domain: Some(String::new()), version: Some(OPSET) }],
        metadata_props,
    }
}

fn graph(source: &Source, head: &Head) -> Graph {
    let shape = source.config.shape();
    let mut bert = Bert { source, builder: Builder::default() };
    let mut x = bert.embeddings();
    let mask = bert.mask();
    for layer in 0..shape.layers {
        x = bert.layer(layer, &x, &mask);
    }
    match head {
        Head::Answers => {
            let logits = bert.linear("qa_outputs", &x);
            for (i, name) in ["start_logits", "end_logits"].into_iter().enumerate() {
                let at = bert.builder.longs(&format!("place_{i}"), &[], &[i as i64]);
                let one = bert.builder.op("Gather", &[&logits, &at], &[Set::Int("axis", 2)]);
                bert.builder.output(&one, name, &["batch", "length"]);
            }
        }
        Head::Labels(names) => {
            let first = bert.builder.longs("place_0", &[], &[0]);
            let first = bert.builder.op("Gather", &[&x, &first], &[Set::Int("axis", 1)]);
            let pooled = bert.linear("bert.pooler.dense", &first);
            let pooled = bert.builder.op("Tanh", &[&pooled], &[]);
            let logits = bert.linear("classifier", &pooled);
            bert.builder.output(&logits, "logits", &["batch", &names.len().to_string()]);
        }
    }
    let inputs = ["input_ids", "attention_mask", "token_type_ids"];
    let inputs = inputs.map(|name| Builder::place(name, kind::INT64, &["batch", "length"]));
    bert.builder.finish("bert", inputs.to_vec())
}

struct Bert<'a> {
    source: &'a Source,
    builder: Builder,
}

impl Bert<'_> {
    fn embeddings(&mut self) -> String {
        let positions: Vec<i64> = (0..self.source.config.max_position_embeddings as i64).collect();
        let positions = self.builder.longs("positions", &[positions.len()], &positions);
        let zero = self.builder.longs("zero", &[1], &[0]);
        let one = self.builder.longs("one", &[1], &[1]);
        let shape = self.builder.op("Shape", &["input_ids"], &[]);
        let length = self.builder.op("Gather", &[&shape, &one], &[Set::Int("axis", 0)]);
        let places = self.builder.op("Slice", &[&positions, &zero, &length, &zero], &[]);
        let words = self.table("word", "input_ids");
        // With one type, whatever a tokenizer gives as types is the first.
        let types = match self.source.config.type_vocab_size {
            1 => {
                let first = self.builder.longs("first_type", &[], &[0]);
                self.table("token_type", &first)
            }
            _ => self.table("token_type", "token_type_ids"),
        };
        let places = self.table("position", &places);
        let sum = self.builder.op("Add", &[&words, &types], &[]);
        let sum = self.builder.op("Add", &[&sum, &places], &[]);
        self.norm("bert.embeddings.LayerNorm", &sum)
    }

    /// Gathers rows of an embedding table; those of a quantized table are dequantized afterwards.
    fn table(&mut self, which: &str, rows: &str) -> String {
        let name = format!("bert.embeddings.{which}_embeddings.weight");
        let width = self.source.config.hidden_size;
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

    fn norm(&mut self, name: &str, x: &str) -> String {
        let part = |part: &str| format!("{name}.{part}");
        let width = self.source.config.hidden_size;
        let weight = self.builder.floats(&part("weight"), &[width], self.source.values(&part("weight")));
        let bias = self.builder.floats(&part("bias"), &[width], self.source.values(&part("bias")));
        let epsilon = self.source.config.layer_norm_eps as f32;
        let settings = [Set::Int("axis", -1), Set::Float("epsilon", epsilon)];
        self.builder.op("LayerNormalization", &[x, &weight, &bias], &settings)
    }

    fn linear(&mut self, name: &str, x: &str) -> String {
        let (weight, bias) = (format!("{name}.weight"), format!("{name}.bias"));
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
        let x = self.quantized(&format!("{name}.input"), x);
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
        let x = self.norm(&format!("{at}.attention.output.LayerNorm"), &sum);
        let up = self.linear(&format!("{at}.intermediate.dense"), &x);
        let wide = self.gelu(&up);
        let down = self.linear(&format!("{at}.output.dense"), &wide);
        let sum = self.builder.op("Add", &[&down, &x], &[]);
        self.norm(&format!("{at}.output.LayerNorm"), &sum)
    }

    fn attention(&mut self, at: &str, x: &str, mask: &str) -> String {
        let (heads, width) = (self.source.config.num_attention_heads, self.source.config.hidden_size);
        let features = width / heads;
        let split = self.builder.longs("heads", &[4], &[0, 0, heads as i64, features as i64]);
        let joined = self.builder.longs("joined", &[3], &[0, 0, width as i64]);
        let states = |bert: &mut Self, name: &str, order: &[i64]| {
            let flat = bert.linear(&format!("{at}.{name}"), x);
            let apart = bert.builder.op("Reshape", &[&flat, &split], &[]);
            let turned = bert.builder.op("Transpose", &[&apart], &[Set::Ints("perm", order)]);
            bert.quantized(&format!("{at}.{name}_states"), &turned)
        };
        let query = states(self, "query", &[0, 2, 1, 3]);
        let key = states(self, "key", &[0, 2, 3, 1]);
        let value = states(self, "value", &[0, 2, 1, 3]);
        let root = self.builder.floats("root", &[], &[(features as f32).sqrt()]);
        let scores = self.builder.op("MatMul", &[&query, &key], &[]);
        let scores = self.builder.op("Div", &[&scores, &root], &[]);
        let scores = self.builder.op("Add", &[&scores, mask], &[]);
        let shares = self.builder.op("Softmax", &[&scores], &[Set::Int("axis", -1)]);
        let shares = self.quantized(&format!("{at}.probabilities"), &shares);
        let context = self.builder.op("MatMul", &[&shares, &value], &[]);
        let context = self.builder.op("Transpose", &[&context], &[Set::Ints("perm", &[0, 2, 1, 3])]);
        self.builder.op("Reshape", &[&context, &joined], &[])
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
}

/// The transpose of a matrix `[rows, columns]`.
fn turned<T: Copy>(values: &[T], rows: usize, columns: usize) -> Vec<T> {
    (0..columns).flat_map(|c| (0..rows).map(move |r| values[r * columns + c])).collect()
}
