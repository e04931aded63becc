//! The shape of a head, and the buffers for its attention.

use crate::infer::kernel::quantize::{QParams, TokenScale};
use crate::infer::simd::{Floats, Ints, LANES, Quads};

/// The number of rows of a product that are computed and dequantized together, while they are in L1.
pub(super) const CHUNK: usize = 12;
/// The number of groups of queries that are computed together.
pub(super) const TOGETHER: usize = 4;

/// The element type and quantization of one of the two products.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Operands {
    /// In float32.
    Float32,
    /// In int8, with dynamic quantization.
    Dynamic,
    /// In int8, with static quantization.
    Static {
        /// The queries, or the probabilities: unsigned.
        left: QParams,
        /// The keys, or the values: signed.
        right: QParams,
    },
}

/// The shape and the products of one head.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    /// d, the features of the head.
    pub features: usize,
    /// The number of tokens of the sequence.
    pub tokens: usize,
    /// The number of groups of sixteen tokens; the last one is padded.
    pub groups: usize,
    /// The product `QKᵀ`.
    pub scores: Operands,
    /// The product of probabilities and V.
    pub context: Operands,
}

/// The buffers for one head, for sequences up to a length.
#[derive(Debug, Default)]
pub struct Workspace {
    /// Q, `[features][groups]`.
    pub queries: Vec<Floats>,
    /// K, `[features][groups]`.
    pub keys: Vec<Floats>,
    /// V, `[features][groups]`.
    pub values: Vec<Floats>,
    /// Quantized Q, `[features / 4][groups]`.
    pub(super) query_bytes: Vec<Quads>,
    /// Quantized K, `[features / 4][groups]`.
    pub(super) key_bytes: Vec<Quads>,
    /// Quantized V, `[features][tokens / 4]`, four tokens in a word.
    pub(super) value_bytes: Vec<[i8; 4]>,
    /// Quantized probabilities, `[keys / 4][query groups]`.
    pub(super) probability_bytes: Vec<Quads>,
    /// Scores, then their exponentials, `[keys][query groups]`.
    pub(super) scores: Vec<Floats>,
    /// For each group of queries the scales, and the sums of the quantized features.
    pub(super) query_scales: Vec<(TokenScale, Ints)>,
    /// The same for each group of keys.
    pub(super) key_scales: Vec<(Floats, Ints)>,
    /// For each feature of V the scale, and the sum over the quantized tokens.
    pub(super) value_scales: Vec<(f32, i32)>,
    /// Sums of int8 products, `[CHUNK][query groups]`.
    pub(super) sums: Vec<Ints>,
    /// Sums of float32 products, `[CHUNK][query groups]`.
    pub(super) float_sums: Vec<Floats>,
    /// The products of the queries of a block with embeddings of distances, `[rows][query groups]`.
    pub(super) of_queries: Vec<Floats>,
    /// The first of these rows.
    pub(super) first_row: usize,
    /// The products of some keys with embeddings of distances, `[CHUNK][row groups]`.
    pub(super) of_keys: Vec<Floats>,
    /// The sums of the two for pairs of a query and a key, `[CHUNK][query groups]`.
    pub(super) pairs: Vec<Floats>,
}

impl Workspace {
    /// The buffers for heads of `features` features and sequences of at most `groups` groups.
    pub fn new(features: usize, groups: usize) -> Self {
        let quads = features.div_ceil(4);
        Workspace {
            queries: vec![Floats::default(); features * groups],
            keys: vec![Floats::default(); features * groups],
            values: vec![Floats::default(); features * groups],
            query_bytes: vec![Quads::default(); quads * groups],
            key_bytes: vec![Quads::default(); quads * groups],
            value_bytes: vec![[0; 4]; features * groups * 4],
            probability_bytes: vec![Quads::default(); groups * 4 * TOGETHER],
            scores: vec![Floats::default(); groups * LANES * TOGETHER],
            query_scales: vec![Default::default(); groups],
            key_scales: vec![Default::default(); groups],
            value_scales: vec![Default::default(); features],
            sums: vec![Ints::default(); CHUNK * TOGETHER],
            float_sums: vec![Floats::default(); CHUNK * TOGETHER],
            ..Workspace::default()
        }
    }

    /// Adds the buffers for products with embeddings of distances, whose rows are `groups` groups.
    #[must_use]
    pub fn with_distances(mut self, groups: usize) -> Self {
        self.of_queries = vec![Floats::default(); groups * LANES * TOGETHER];
        self.of_keys = vec![Floats::default(); CHUNK * groups];
        self.pairs = vec![Floats::default(); CHUNK * TOGETHER];
        self
    }

    /// Bytes of the buffers.
    pub fn memory(&self) -> usize {
        let floats = [&self.queries, &self.keys, &self.values, &self.scores, &self.float_sums];
        let distances = [&self.of_queries, &self.of_keys, &self.pairs];
        let bytes = [&self.query_bytes, &self.key_bytes, &self.probability_bytes];
        floats.iter().chain(&distances).map(|f| size_of_val(&***f)).sum::<usize>()
            + bytes.iter().map(|b| size_of_val(&***b)).sum::<usize>()
            + size_of_val(&*self.value_bytes)
            + size_of_val(&*self.query_scales)
            + size_of_val(&*self.key_scales)
            + size_of_val(&*self.value_scales)
            + size_of_val(&*self.sums)
    }
}
