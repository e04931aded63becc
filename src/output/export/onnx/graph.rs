//! Building ONNX graphs: nodes and initializers with unique names.

use std::collections::HashMap;

use super::proto::{Attribute, Graph, Node, Place, Shape, Size, Tensor, TensorType, Type, kind};
use crate::params::quantization::{ActivationScale, Scheme};

/// An attribute of a node.
pub enum Set<'a> {
    /// A float.
    Float(&'static str, f32),
    /// An integer.
    Int(&'static str, i64),
    /// Integers.
    Ints(&'static str, &'a [i64]),
}

/// A graph under construction.
#[derive(Default)]
pub struct Builder {
    graph: Graph,
    taken: HashMap<String, usize>,
    /// Quantized activations by name and scale: an input of several layers is quantized once.
    quantized: HashMap<(String, String), String>,
}

impl Builder {
    /// Adds a node; returns the name of its output.
    pub fn op(&mut self, kind: &str, inputs: &[&str], settings: &[Set]) -> String {
        let count = self.taken.entry(kind.to_owned()).or_insert(0);
        let name = format!("{kind}_{count}");
        *count += 1;
        let attribute = settings
            .iter()
            .map(|set| {
                let mut a = Attribute::default();
                let (name, kind) = match set {
                    Set::Float(name, value) => {
                        a.f = Some(*value);
                        (name, 1)
                    }
                    Set::Int(name, value) => {
                        a.i = Some(*value);
                        (name, 2)
                    }
                    Set::Ints(name, values) => {
                        a.ints = values.to_vec();
                        (name, 7)
                    }
                };
                a.name = Some((*name).to_owned());
                a.r#type = Some(kind);
                a
            })
            .collect();
        self.graph.node.push(Node {
            input: inputs.iter().map(|i| (*i).to_owned()).collect(),
            output: vec![name.clone()],
            name: Some(name.clone()),
            op_type: Some(kind.to_owned()),
            attribute,
        });
        name
    }

    /// Splits a value into `N` equal parts along an axis.
    pub fn split<const N: usize>(&mut self, value: &str, axis: i64) -> [String; N] {
        let name = self.op("Split", &[value], &[Set::Int("axis", axis)]);
        let parts = std::array::from_fn(|i| format!("{name}_{i}"));
        if let Some(node) = self.graph.node.last_mut() {
            node.output = parts.to_vec();
        }
        parts
    }

    fn constant(&mut self, name: &str, kind: i32, dims: &[usize], raw_data: Vec<u8>) -> String {
        if !self.graph.initializer.iter().any(|t| t.name.as_deref() == Some(name)) {
            self.graph.initializer.push(Tensor {
                dims: dims.iter().map(|d| *d as i64).collect(),
                data_type: Some(kind),
                name: Some(name.to_owned()),
                raw_data: Some(raw_data),
            });
        }
        name.to_owned()
    }

    /// Adds a float initializer, once per name.
    pub fn floats(&mut self, name: &str, dims: &[usize], values: &[f32]) -> String {
        self.constant(name, kind::FLOAT, dims, values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    /// Adds an integer initializer, once per name.
    pub fn longs(&mut self, name: &str, dims: &[usize], values: &[i64]) -> String {
        self.constant(name, kind::INT64, dims, values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    /// Adds an INT8 initializer, once per name.
    pub fn signed(&mut self, name: &str, dims: &[usize], values: &[i8]) -> String {
        self.constant(name, kind::INT8, dims, values.iter().map(|v| *v as u8).collect())
    }

    /// Adds `QuantizeLinear` to UINT8 and `DequantizeLinear`. If the scheme has fewer than eight bits, a `Clip`
    /// precedes them.
    pub fn quantize(&mut self, name: &str, value: &str, by: &ActivationScale) -> String {
        let half = 1i32 << (by.bits - 1);
        let (zero, low, high) = match by.scheme {
            Scheme::Asymmetric => (by.zero_point, 0, 2 * half - 1),
            Scheme::Symmetric => (128, 128 - half, 127 + half),
        };
        let key = (value.to_owned(), format!("{} {zero} {low} {high}", by.scale.to_bits()));
        if let Some(known) = self.quantized.get(&key) {
            return known.clone();
        }
        let scale = self.floats(&format!("{name}_scale"), &[], &[by.scale]);
        let point = self.constant(&format!("{name}_zero_point"), kind::UINT8, &[], vec![zero as u8]);
        let mut clamped = value.to_owned();
        if (low, high) != (0, 255) {
            let low = self.floats(&format!("{name}_low"), &[], &[(low - zero) as f32 * by.scale]);
            let high = self.floats(&format!("{name}_high"), &[], &[(high - zero) as f32 * by.scale]);
            clamped = self.op("Clip", &[value, &low, &high], &[]);
        }
        let bytes = self.op("QuantizeLinear", &[&clamped, &scale, &point], &[]);
        let back = self.op("DequantizeLinear", &[&bytes, &scale, &point], &[]);
        self.quantized.insert(key, back.clone());
        back
    }

    /// Describes an input or an output; `dims` are numbers, or names of dynamic sizes.
    pub fn place(name: &str, elements: i32, dims: &[&str]) -> Place {
        let size = |d: &&str| match d.parse::<i64>() {
            Ok(value) => Size { dim_value: Some(value), dim_param: None },
            Err(_) => Size { dim_value: None, dim_param: Some((*d).to_owned()) },
        };
        let shape = Shape { dim: dims.iter().map(size).collect() };
        let tensor_type = TensorType { elem_type: Some(elements), shape: Some(shape) };
        Place { name: Some(name.to_owned()), r#type: Some(Type { tensor_type: Some(tensor_type) }) }
    }

    /// Makes a value an output of the graph by renaming the output of its node.
    pub fn output(&mut self, value: &str, name: &str, dims: &[&str]) {
        if let Some(node) = self.graph.node.iter_mut().find(|n| n.output[0] == value) {
            node.output[0] = name.to_owned();
        }
        self.graph.output.push(Self::place(name, kind::FLOAT, dims));
    }

    /// Finishes the graph with these inputs.
    pub fn finish(mut self, name: &str, input: Vec<Place>) -> Graph {
        self.graph.name = Some(name.to_owned());
        self.graph.input = input;
        self.graph
    }
}
