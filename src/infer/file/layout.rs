//! The layout of a packed file: a header, sections with the arrays, and a directory of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::encoder::{Encoder, Pooling, Transform};
use crate::params::{BertConfig, Settings};

/// The first bytes of every packed file.
pub const MAGIC: [u8; 8] = *b"OBERTENG";
/// The version of the layout; files of other versions are refused.
pub const VERSION: u32 = 2;
/// The size of the header in bytes.
pub const HEADER: usize = 64;
/// The alignment of sections in bytes: that of a cache line and of an AVX-512 register.
pub const ALIGNMENT: usize = 64;
/// The number of header bytes that its checksum covers.
pub const CHECKED: usize = 48;

/// The header: [`MAGIC`], [`VERSION`], these little-endian numbers in this order, and its own checksum, padded with
/// zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The size of the file in bytes.
    pub length: u64,
    /// The offset of the directory.
    pub directory: u64,
    /// The size of the directory in bytes.
    pub directory_length: u64,
    /// The checksum of the directory.
    pub directory_hash: u64,
}

impl Header {
    /// The header's bytes.
    pub fn bytes(&self) -> [u8; HEADER] {
        let mut out = [0; HEADER];
        out[..8].copy_from_slice(&MAGIC);
        out[8..12].copy_from_slice(&VERSION.to_le_bytes());
        let numbers = [self.length, self.directory, self.directory_length, self.directory_hash];
        for (i, number) in numbers.iter().enumerate() {
            out[16 + 8 * i..24 + 8 * i].copy_from_slice(&number.to_le_bytes());
        }
        let hash = hash(&out[..CHECKED]);
        out[CHECKED..CHECKED + 8].copy_from_slice(&hash.to_le_bytes());
        out
    }
}

/// The checksum: the low 64 bits of XXH3-128.
pub fn hash(bytes: &[u8]) -> u64 {
    twox_hash::XxHash3_128::oneshot(bytes) as u64
}

/// The directory, stored as JSON after the sections.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Directory {
    /// The model's `config.json`, used by evaluation and by the API. The forward pass does not read it; it follows
    /// `encoder`.
    pub config: BertConfig,
    /// The architecture of the encoder.
    pub encoder: Encoder,
    /// The content of `obert.json`: the task, and its settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Settings>,
    /// The task head.
    pub head: Head,
    /// The layer before the head's output layer, `bert.pooler.dense`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transform: Option<Transform>,
    /// The input of the output layer of a sequence classifier.
    #[serde(default)]
    pub pooling: Pooling,
    /// Linear layers by their Hugging Face names without `.weight`.
    pub linears: BTreeMap<String, Linear>,
    /// The two products of attention, for each layer.
    pub attention: Vec<Attention>,
    /// The sections by name.
    pub sections: BTreeMap<String, Section>,
}

impl Directory {
    /// The number of attention heads and of neurons of feed-forward layers that the file leaves out, because they compute
    /// nothing.
    pub fn left_out(&self) -> (usize, usize) {
        let Encoder { layers, heads, hidden, intermediate, .. } = self.encoder;
        let kept = |layer: usize, part: &str, all: usize| {
            self.linears.get(&format!("bert.encoder.layer.{layer}.{part}")).map_or(all, |l| l.rows)
        };
        let features = (hidden / heads.max(1)).max(1);
        let of_layer = |layer: usize| {
            let rows = kept(layer, "attention.self.query", hidden);
            let neurons = kept(layer, "intermediate.dense", intermediate);
            (heads.saturating_sub(rows / features), intermediate.saturating_sub(neurons))
        };
        (0..layers).map(of_layer).fold((0, 0), |(heads, neurons), (h, n)| (heads + h, neurons + n))
    }
}

/// The task head of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Head {
    /// Extractive question answering: a start and an end logit for each token.
    Answers,
    /// Sequence classification with these labels, which exclude each other: a logit for each.
    Labels(Vec<String>),
    /// Multi-label classification: an independent logit for each label.
    Multilabel(Vec<String>),
    /// Regression: a score.
    Score,
    /// Token classification with these labels: a logit for each token and label.
    Tokens(Vec<String>),
    /// No output layer: the pooled hidden state, divided by its Euclidean norm if `normalize`.
    Embedding {
        /// How it is pooled.
        pooling: Pooling,
        /// Whether the embedding is normalized.
        normalize: bool,
    },
}

/// A head, and what its output layer takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadShape {
    /// The task.
    pub head: Head,
    /// The layer before the output layer.
    pub transform: Option<Transform>,
    /// What a head for whole texts takes; the pooling of embeddings.
    pub pooling: Pooling,
}

impl Head {
    /// The output layer by its name in the file, and the number of its outputs; `None` for embeddings.
    pub fn output(&self) -> Option<(&'static str, usize)> {
        match self {
            Head::Answers => Some(("qa_outputs", 2)),
            Head::Labels(names) | Head::Multilabel(names) => Some(("classifier", names.len())),
            Head::Score => Some(("classifier", 1)),
            Head::Tokens(names) => Some(("token_classifier", names.len())),
            Head::Embedding { .. } => None,
        }
    }

    /// Whether there are outputs for each token, and not for the sequence.
    pub fn is_per_token(&self) -> bool {
        matches!(self, Head::Answers | Head::Tokens(_))
    }

    /// What a model with this head does, as the end of a sentence.
    pub fn task(&self) -> &'static str {
        match self {
            Head::Answers => "answers questions",
            Head::Labels(_) => "classifies texts",
            Head::Multilabel(_) => "gives texts any number of labels",
            Head::Score => "gives texts a score",
            Head::Tokens(_) => "classifies tokens",
            Head::Embedding { .. } => "gives embeddings",
        }
    }
}

/// A linear layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Linear {
    /// The number of outputs.
    pub rows: usize,
    /// The number of inputs.
    pub columns: usize,
    /// The format of its weights.
    pub form: Form,
    /// The quantization of its input.
    pub input: Input,
}

/// The format of a layer's weights, with the names of its sections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// `weight`: float32, `[rows, columns]`.
    #[serde(rename = "floats")]
    Float32,
    /// `weight`: int8, `[rows, columns]`, each row padded with zeros to a multiple of four.
    Dense,
    /// `pointers`, `places`, `words`: the nonzero blocks of four consecutive inputs in int8, in BSR format (`indptr`,
    /// `indices` and `data` of `scipy.sparse.bsr_array`).
    Blocks,
}

/// The quantization of a linear layer's input.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// Not quantized.
    #[serde(rename = "floats")]
    Float32,
    /// Dynamic quantization, with a scale and a zero point for each token.
    #[serde(rename = "measured")]
    Dynamic,
    /// Static quantization, with these parameters.
    #[serde(rename = "fixed")]
    Static(Scale),
}

/// Quantization parameters: `q = clamp(round(x / scale) + zero, low, high)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scale {
    /// The scale.
    pub scale: f32,
    /// The zero point.
    pub zero: i32,
    /// `qmin`.
    pub low: i32,
    /// `qmax`.
    pub high: i32,
}

/// The two products of attention in one layer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attention {
    /// The product of queries and keys.
    pub scores: Operands,
    /// The product of probabilities and values.
    pub context: Operands,
}

/// The element type and quantization of a product of activations.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operands {
    /// In float32.
    #[serde(rename = "floats")]
    Float32,
    /// In int8, with dynamic quantization of both operands.
    #[serde(rename = "measured")]
    Dynamic,
    /// In int8, with static quantization: the left operand unsigned, the right one signed.
    #[serde(rename = "fixed")]
    Static {
        /// Queries or probabilities.
        left: Scale,
        /// Keys or values.
        right: Scale,
    },
}

/// An array in the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// The type of its elements: `f32`, `u32`, `i32`, `u16`, `i8`, `u8`, or `i4x2` for two INT4 values in a byte.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its offset in the file.
    pub offset: u64,
    /// Its size in bytes.
    pub length: u64,
    /// Its checksum, in hexadecimal digits.
    pub hash: String,
}
