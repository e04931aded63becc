//! The header, and the directory of what stands where.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::params::{BertConfig, Settings};

/// The first bytes of every packed model.
pub const MAGIC: [u8; 8] = *b"OBERTENG";
/// The version of the layout that is written; others are refused.
pub const VERSION: u32 = 1;
/// Bytes of the header.
pub const HEADER: usize = 64;
/// What every section is aligned to: a cache line, and the widest register.
pub const ALIGNMENT: usize = 64;
/// Bytes of the header in front of its own checksum.
pub const CHECKED: usize = 48;

/// The header: little-endian numbers in this order, filled up with zeros to 64 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Bytes of the whole file.
    pub length: u64,
    /// Where the directory begins.
    pub directory: u64,
    /// Bytes of the directory.
    pub directory_length: u64,
    /// The checksum of the directory.
    pub directory_hash: u64,
}

impl Header {
    /// As it stands in the file.
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

/// The low 64 bits of XXH3-128.
pub fn hash(bytes: &[u8]) -> u64 {
    twox_hash::XxHash3_128::oneshot(bytes) as u64
}

/// The directory, as JSON behind the sections.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Directory {
    /// The model's `config.json`.
    pub config: BertConfig,
    /// What the model was made with: lengths of sequences and answers, its task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Settings>,
    /// What the model answers.
    pub head: Head,
    /// Linear layers by their Hugging Face names without `.weight`.
    pub linears: BTreeMap<String, Linear>,
    /// The two products of attention, by layer.
    pub attention: Vec<Attention>,
    /// What stands where.
    pub sections: BTreeMap<String, Section>,
}

/// What a model answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Head {
    /// A start and an end logit for each token.
    Answers,
    /// A logit for each label, from the first token.
    Labels(Vec<String>),
}

/// A linear layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Linear {
    /// Outputs.
    pub rows: usize,
    /// Inputs.
    pub columns: usize,
    /// How its weights are stored.
    pub form: Form,
    /// How its input becomes bytes.
    pub input: Input,
}

/// How weights are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// `weight`: float32, `[rows, columns]`.
    Floats,
    /// `weight`: signed bytes, `[rows, columns]`, rows filled up with zeros to a multiple of four.
    Dense,
    /// `pointers`, `places`, `words`: blocks of four consecutive inputs, those that are not zero.
    Blocks,
}

/// How a linear layer's input becomes bytes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// It stays as it is.
    Floats,
    /// By a scale and a zero point measured for each token.
    Measured,
    /// By these.
    Fixed(Scale),
}

/// `q = clamp(round(x / scale) + zero, low, high)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scale {
    /// What one step stands for.
    pub scale: f32,
    /// The byte that stands for zero.
    pub zero: i32,
    /// The least byte.
    pub low: i32,
    /// The greatest byte.
    pub high: i32,
}

/// The two products of attention in one layer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attention {
    /// Queries with keys.
    pub scores: Operands,
    /// Probabilities with values.
    pub context: Operands,
}

/// How a product of activations is computed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operands {
    /// In floats.
    Floats,
    /// In bytes, by measured scales.
    Measured,
    /// In bytes, by these: the left operand unsigned, the right one signed.
    Fixed {
        /// Queries or probabilities.
        left: Scale,
        /// Keys or values.
        right: Scale,
    },
}

/// A run of bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// The type of its elements: `f32`, `u32`, `i32`, `u16`, `i8` or `u8`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Where it begins.
    pub offset: u64,
    /// Its bytes.
    pub length: u64,
    /// Their checksum, in hexadecimal digits.
    pub hash: String,
}
