//! Writes the nodes of layers: embeddings, linear layers, normalizations and activations, with their scales.

use super::graph::{Builder, Set};
use crate::infer::file::encoder::Encoder;
use crate::output::export::source::Source;
use crate::params::Activation;

/// Writes the nodes of an encoder. All methods take BERT's names of modules; initializers have those of the family.
pub(super) struct Writer<'a> {
    pub(super) source: &'a Source,
    pub(super) encoder: Encoder,
    pub(super) builder: Builder,
}

impl Writer<'_> {
    pub(super) fn name(&self, bert: &str) -> String {
        self.source.config.family().name(bert)
    }

    /// A matrix `[rows, width]`, dequantized if it has scales.
    pub(super) fn matrix(&mut self, bert: &str, width: usize) -> String {
        let name = self.name(bert);
        let rows = self.source.values(&name).len() / width;
        let Some(quantized) = self.source.quantized(&name) else {
            return self.builder.floats(&name, &[rows, width], self.source.values(&name));
        };
        let bytes = self.builder.signed(&name, &[rows, width], &quantized.bytes);
        let scales = [quantized.scales.as_slice(), &vec![quantized.scales[0]; rows]];
        let scales = if quantized.scales.len() == 1 { scales[1] } else { scales[0] };
        let points = self.builder.signed(&format!("{name}_zero_points"), &[rows], &vec![0; rows]);
        let scales = self.builder.floats(&format!("{name}_scales"), &[rows], scales);
        self.builder.op("DequantizeLinear", &[&bytes, &scales, &points], &[Set::Int("axis", 0)])
    }

    /// Gathers rows of an embedding table; those of a quantized table are dequantized afterwards.
    pub(super) fn table(&mut self, which: &str, rows: &str) -> String {
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

    pub(super) fn norm(&mut self, name: &str, x: &str, width: usize) -> String {
        let part = |part: &str| self.name(&format!("{name}.{part}"));
        let (weight, bias) = (part("weight"), part("bias"));
        let weight = self.builder.floats(&weight, &[width], self.source.values(&weight));
        let zeros = vec![0.0; width];
        let values = match self.source.values(&bias) {
            [] => &zeros,
            values => values,
        };
        let bias = self.builder.floats(&bias, &[width], values);
        let epsilon = self.encoder.norm_epsilon;
        let settings = [Set::Int("axis", -1), Set::Float("epsilon", epsilon)];
        self.builder.op("LayerNormalization", &[x, &weight, &bias], &settings)
    }

    pub(super) fn linear(&mut self, name: &str, x: &str) -> String {
        let operand = self.name(&format!("{name}.input"));
        self.apply(name, x, Some(&operand))
    }

    /// Applies a linear layer to an input that is quantized by the scale of an operand, if one is given.
    pub(super) fn apply(&mut self, name: &str, x: &str, operand: Option<&str>) -> String {
        let [weight, bias] = ["weight", "bias"].map(|part| self.name(&format!("{name}.{part}")));
        let shape = self.source.table.find(&weight).map_or(&[][..], |parameter| &parameter.shape);
        let &[outputs, inputs] = shape else { return x.to_owned() };
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
        let x = operand.map_or(x.to_owned(), |operand| self.quantized(operand, x));
        let product = self.builder.op("MatMul", &[&x, &matrix], &[]);
        if self.source.values(&bias).is_empty() {
            return product;
        }
        let bias = self.builder.floats(&bias, &[outputs], self.source.values(&bias));
        self.builder.op("Add", &[&product, &bias], &[])
    }

    /// An operand, through `QuantizeLinear` and `DequantizeLinear` if it has a scale.
    pub(super) fn quantized(&mut self, operand: &str, x: &str) -> String {
        let scales = self.source.quantization.as_ref();
        match scales.and_then(|q| q.activations.get(operand)) {
            None => x.to_owned(),
            Some(by) => self.builder.quantize(operand, x, by),
        }
    }

    pub(super) fn activation(&mut self, activation: Activation, x: &str) -> String {
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
