//! The schedule: plain data, everything resolved, nothing left to look up but the model.

use serde::{Deserialize, Serialize};

use crate::params::{BertShape, Selector};
use crate::settings::{MayRaise, Type, choices, settings};

use super::{Ramp, Time, Window};

/// The name by which a branch or a teacher means the model that the run began with.
pub const START: &str = "start";

/// The version of this format, written into every schedule.
pub const FORMAT: u32 = 1;

/// What is done to a model, stage after stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// [`FORMAT`].
    pub format: u32,
    /// The recipe's name.
    pub name: String,
    /// The recipe's doc comment.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub doc: String,
    /// The seed of everything random.
    pub seed: u64,
    /// The model that the first stage starts from.
    pub model: Model,
    /// What it is trained and measured on.
    pub data: Data,
    /// The stages in order.
    pub stages: Vec<Stage>,
    /// What must hold in the end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expect: Vec<Expectation>,
    /// The recipe's parameters with the values they had.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<ParameterValue>,
}

/// A parameter of the recipe and its value, as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParameterValue {
    /// Its name.
    pub name: String,
    /// The value as written.
    pub value: String,
    /// Whether `--set` gave it.
    pub set: bool,
}

/// Where the model comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Model {
    /// A folder, or the name of a well-known model.
    Named(String),
    /// A new BERT of this shape with random weights; the vocabulary is the data's.
    NewBert(BertShape),
}

/// What the model is trained and measured on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Data {
    /// Question answering on SQuAD v1.1 files in the `--data` folder.
    Squad {
        /// The longest sequence, in tokens.
        max_length: usize,
        /// How far neighbouring windows of a long text overlap, in tokens.
        doc_stride: usize,
        /// The longest answer that is predicted, in tokens.
        #[serde(default = "usual_answer", skip_serializing_if = "is_usual_answer")]
        max_answer_length: usize,
    },
    /// Question answering on SQuAD v2.0 files, where some questions have no answer.
    SquadV2 {
        /// The longest sequence, in tokens.
        max_length: usize,
        /// How far neighbouring windows of a long text overlap, in tokens.
        doc_stride: usize,
        /// The longest answer that is predicted, in tokens.
        #[serde(default = "usual_answer", skip_serializing_if = "is_usual_answer")]
        max_answer_length: usize,
    },
    /// Sentence pairs: MNLI.
    Mnli {
        /// The longest sequence, in tokens.
        max_length: usize,
    },
    /// Question pairs: QQP.
    Qqp {
        /// The longest sequence, in tokens.
        max_length: usize,
    },
    /// Texts or pairs of texts with a label each, from named columns.
    Classify(Columns),
    /// Text for masked-language modelling.
    MaskedText {
        /// The length of a sequence, in tokens.
        max_length: usize,
    },
    /// Whatever the program brings that runs the schedule.
    Own,
    /// Generated reading comprehension, which needs no download.
    BuiltinReading {
        /// Training questions.
        train: usize,
        /// Held-out questions.
        dev: usize,
    },
}

/// `max_answer_length` of transformers' `run_qa.py`.
fn usual_answer() -> usize {
    30
}

fn is_usual_answer(length: &usize) -> bool {
    *length == usual_answer()
}

/// Where texts and labels stand in a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Columns {
    /// The column of the text.
    pub text: String,
    /// The column of a second text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pair: Option<String>,
    /// The column of the label.
    pub label: String,
    /// The labels in the order of the model's outputs; empty for those of the training data.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// The label whose F1 is measured; of two labels the second if left out, of more the mean over them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub positive: Option<String>,
    /// The longest sequence, in tokens.
    pub max_length: usize,
}

/// A stretch of training with its own time axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// Its name; the recipe's own name when the recipe has no stages.
    pub name: String,
    /// Its doc comment.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub doc: String,
    /// For a branch: the stage whose result it starts from, or [`START`]. A branch is measured and not carried
    /// on. `None`: it starts from the stage before and the next one starts from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch_from: Option<String>,
    /// How long it trains; zero for a stage that only prunes.
    pub length: Time,
    /// How it trains.
    pub train: Train,
    /// Encoder layers that stay, dropped and renumbered before anything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layers: Option<Layers>,
    /// The learning rate, piece by piece, covering the whole length.
    pub lr: Vec<LrPiece>,
    /// Parameters that learn faster or slower.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lr_factors: Vec<LrFactor>,
    /// What is pruned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prune: Vec<Prune>,
    /// Whose zeros stay.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hold: Vec<Hold>,
    /// What is not trained.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freeze: Vec<Hold>,
    /// What is computed in few bits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quantize: Vec<Quantize>,
    /// What it learns from besides the labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distill: Option<Distill>,
    /// Measure on held-out data this often, besides the end of the stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluate_every: Option<Time>,
    /// The metric whose best measurement decides which weights the stage ends with: of those measured once
    /// nothing is left to prune. The last weights if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_best: Option<String>,
}

/// How a stage trains.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Train {
    /// Examples in a step.
    pub batch: usize,
    /// Batches whose gradients are summed before a step.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub accumulate: usize,
    /// AdamW's decoupled weight decay; biases and layer normalisations are left out.
    pub weight_decay: f64,
    /// AdamW's β₁.
    pub beta1: f64,
    /// AdamW's β₂.
    pub beta2: f64,
    /// AdamW's ε.
    pub epsilon: f64,
    /// The largest global norm of the gradient; zero for no clipping.
    pub clip: f64,
    /// Dropout in place of the model's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropout: Option<f64>,
    /// The share of a label that is spread over all choices; zero for none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub label_smoothing: f64,
    /// Which examples make a batch.
    #[serde(default, skip_serializing_if = "Batches::is_default")]
    pub batches: Batches,
    /// In how many bits the products of the forward and the backward pass are computed.
    #[serde(default, skip_serializing_if = "Precision::is_default")]
    pub precision: Precision,
}

choices! {
    /// Which examples make a batch; every epoch has each of them once.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum Batches {
        /// Any, in an order drawn for every epoch.
        Shuffled = "shuffled",
        /// Those of about one length: less padding where batches are padded.
        Bucketed = "bucketed",
    }
}

// `choices!` hands on no attribute of a variant, such as `#[default]`.
#[allow(clippy::derivable_impls)]
impl Default for Batches {
    fn default() -> Self {
        Batches::Shuffled
    }
}

impl Batches {
    fn is_default(&self) -> bool {
        *self == Batches::Shuffled
    }
}

fn is_zero(n: &f64) -> bool {
    *n == 0.0
}

fn one() -> usize {
    1
}

fn is_one(n: &usize) -> bool {
    *n == 1
}

/// Encoder layers by their number in the model at hand, from 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layers {
    /// Only these stay, in this order.
    Keep(Vec<usize>),
    /// These go.
    Drop(Vec<usize>),
}

/// Parameters whose learning rate is a multiple of the stage's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LrFactor {
    /// Which parameters.
    pub targets: Targets,
    /// The factor.
    pub factor: f64,
}

/// The learning rate over `start..end`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LrPiece {
    /// The first instant.
    pub start: Time,
    /// One past the last instant.
    pub end: Time,
    /// The rates at both ends, of each cycle if it repeats.
    pub ramp: Ramp,
    /// The length of a cycle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeating: Option<Time>,
}

/// A selector with the number of parameters its author expected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Targets {
    /// Which parameters.
    pub selector: Selector,
    /// How many there must be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<usize>,
}

/// Weights are removed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prune {
    /// From which parameters.
    pub targets: Targets,
    /// When.
    pub window: Window,
    /// How much is gone after each instant.
    pub sparsity: Ramp,
    /// Other final sparsities for some of the targets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exceptions: Vec<SparsityException>,
    /// Which weights go together.
    pub pattern: Pattern,
    /// Among which weights the least important are sought.
    pub rank: Rank,
    /// How importance is measured.
    pub by: Criterion,
}

impl Prune {
    /// The sparsity of the `index`th exception when `share` of the window is gone: its ramp differs
    /// from the statement's in its end alone.
    pub fn exception_at(&self, index: usize, share: f64) -> f64 {
        Ramp { to: self.exceptions[index].sparsity, ..self.sparsity }.at(share)
    }
}

/// A final sparsity of its own for some of a statement's targets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SparsityException {
    /// Which of them.
    pub targets: Targets,
    /// Their final sparsity.
    pub sparsity: f64,
}

/// Which weights are pruned together. Groups run along consecutive inputs of one output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pattern {
    /// Each weight alone.
    Unstructured,
    /// Runs of this many consecutive weights.
    Blocks(usize),
    /// In each run of `of` weights, `keep` stay.
    NofM {
        /// Weights that stay.
        keep: usize,
        /// Weights in a run.
        of: usize,
    },
    /// Whole outputs.
    Rows,
    /// Whole inputs.
    Columns,
}

choices! {
    /// Among which weights the least important are sought.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum Rank {
        /// All selected parameters together.
        Global = "global",
        /// Each parameter by itself.
        Layer = "layer",
    }
}

choices! {
    /// How a weight's importance is computed.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum Criterion {
        /// The weight's absolute value.
        Magnitude = "magnitude",
        /// How far the weight moves away from zero while it is trained.
        Movement = "movement",
        /// The rise of the loss when a weight is removed, to second order: the Optimal BERT Surgeon.
        Obs(Obs) = "obs",
    }
}

impl Criterion {
    /// Whether it asks for gradients over training data.
    pub fn needs_gradients(&self) -> bool {
        matches!(self, Criterion::Obs(_))
    }
}

settings! {
    /// Settings of second-order pruning with OBS (arXiv 2203.07259).
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Obs, each ObsEach {
        /// Gradients in an estimate of the Fisher matrix.
        gradients: usize = Type::Count, default "1024" formerly ["num_grads"];
        /// Consecutive weights of a Fisher block.
        block: usize = Type::Count, default "50" formerly ["fisher_block_size"];
        /// Added to the Fisher matrix's diagonal; with `or raise`, tenfold where it is too small.
        damp: f64 = Type::Damp, default "1e-7" formerly ["dampening", "dampening_frac"];
        /// Examples whose mean loss gives one gradient.
        batch: usize = Type::Count, default "8" formerly ["batch_size", "grad_sampler_kwargs"];
        /// Estimates in one pruning event.
        recompute: usize = Type::Count, default "1" formerly ["num_recomputations"];
        /// How the weights that stay make up for those that go.
        update: Update = Type::Choice(Update::CHOICES), default "exact";
        /// The most memory for an estimate.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        memory: Option<u64> = Type::Bytes, optional;
        /// How gradients are stored until they are summed.
        #[serde(default, skip_serializing_if = "Precision::is_default")]
        precision: Precision = Type::Choice(Precision::CHOICES), default "f32";
        /// Whether saliencies are refreshed after every removal from a Fisher block.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        correlated: bool = Type::Bool, default "false";
        derived {
            /// Whether `damp` is raised, and reported, where a block cannot be factored.
            #[serde(default, skip_serializing_if = "std::ops::Not::not")]
            raise_damp: bool = damp via MayRaise;
        }
    }
}

/// The defaults of the declaration; a test compares them.
impl Default for Obs {
    fn default() -> Self {
        Obs {
            gradients: 1024,
            block: 50,
            damp: 1e-7,
            batch: 8,
            recompute: 1,
            update: Update::Exact,
            memory: None,
            precision: Precision::F32,
            correlated: false,
            raise_damp: false,
        }
    }
}

choices! {
    /// In how many bits numbers are stored or multiplied; sums are float32 always.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum Precision {
        /// 32 bits.
        F32 = "f32",
        /// 16 bits: half the memory, enough where gradients outnumber a block's weights.
        Bf16 = "bf16",
    }
}

// `choices!` hands on no attribute of a variant, such as `#[default]`.
#[allow(clippy::derivable_impls)]
impl Default for Precision {
    fn default() -> Self {
        Precision::F32
    }
}

impl Precision {
    fn is_default(&self) -> bool {
        *self == Precision::F32
    }
}

choices! {
    /// How the weights that stay make up for those that go.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum Update {
        /// Each removed weight as if removed alone: the paper's and SparseML's.
        Independent = "independent",
        /// All weights removed from a Fisher block together.
        Exact = "exact",
    }
}

/// The zeros of the selected parameters stay zero.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hold {
    /// Whose zeros.
    pub targets: Targets,
    /// From when.
    pub start: Time,
    /// Until when.
    pub end: Time,
}

/// Values are rounded to few bits while training: fake quantization.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quantize {
    /// Weights of which layers, and the inputs of those layers.
    pub targets: Targets,
    /// From when.
    pub start: Time,
    /// Until when.
    pub end: Time,
    /// How weights are rounded.
    pub weights: Scheme,
    /// How the layers' inputs are rounded; not at all if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activations: Option<Scheme>,
    /// When the observed ranges are fixed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freeze: Option<Time>,
    /// Batches that are observed before the window opens.
    pub calibrate: usize,
    /// Whether the two products of attention are rounded too.
    pub attention: bool,
}

/// How values are rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scheme {
    /// Bits of an integer.
    pub bits: u8,
    /// Whether integers may be negative.
    pub signed: bool,
    /// Whether zero stands in the middle of the range.
    pub symmetric: bool,
    /// One scale for each output, or one for all.
    pub per_channel: bool,
}

/// Learning from another model's outputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Distill {
    /// The model that is learned from.
    pub from: Teacher,
    /// From when.
    pub start: Time,
    /// Until when.
    pub end: Time,
    /// The teacher's share of the loss, `0..=1`.
    pub hardness: f64,
    /// What both models' logits are divided by.
    pub temperature: f64,
    /// The outputs that are matched; empty for all of the task's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<String>,
    /// Outputs inside the model that are matched besides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hidden: Option<HiddenStates>,
}

/// Outputs of modules that are to resemble the teacher's: `gain Σ MSE(student, teacher)`, each divided by
/// the mean square of the teacher's and ε (SparseML's `PerLayerDistillationModifier`). It is added to the
/// loss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HiddenStates {
    /// A pattern of the student's modules, such as `bert.encoder.layer.*`.
    pub modules: String,
    /// A pattern of the teacher's, matched with the student's in order; the same if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teacher: Option<String>,
    /// What the sum is multiplied by.
    pub gain: f64,
    /// Whether each error is divided by the mean square of the teacher's.
    pub normalize: bool,
    /// ε.
    pub epsilon: f64,
}

/// The model that is learned from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Teacher {
    /// The folder given by `--teacher`.
    Flag,
    /// A folder named in the recipe.
    Named(String),
    /// The result of an earlier stage.
    Stage(String),
    /// The model as it was when the stage began.
    Itself,
}

/// A metric and the range it must reach.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Expectation {
    /// The metric's name, such as `f1`.
    pub metric: String,
    /// The least value.
    pub least: f64,
    /// The greatest value.
    pub most: f64,
}

impl Schedule {
    /// The stages that are carried on, without branches.
    pub fn carried(&self) -> impl Iterator<Item = &Stage> {
        self.stages.iter().filter(|s| s.branch_from.is_none())
    }
}

impl Pattern {
    /// How many consecutive weights are ranked as one.
    pub fn group(self) -> usize {
        match self {
            Pattern::Unstructured | Pattern::NofM { .. } | Pattern::Rows | Pattern::Columns => 1,
            Pattern::Blocks(size) => size,
        }
    }
}

/// As written in a recipe.
impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Pattern::Unstructured => f.write_str("unstructured"),
            Pattern::Blocks(size) => write!(f, "blocks(1, {size})"),
            Pattern::NofM { keep, of } => write!(f, "n_of_m({keep}, {of})"),
            Pattern::Rows => f.write_str("rows"),
            Pattern::Columns => f.write_str("columns"),
        }
    }
}

impl Scheme {
    /// The type's name, such as `int8`.
    pub fn name(self) -> String {
        format!("{}int{}", if self.signed { "" } else { "u" }, self.bits)
    }
}

/// As written in a recipe.
impl std::fmt::Display for Scheme {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let zero = if self.symmetric { "symmetric" } else { "asymmetric" };
        let per = if self.per_channel { "channel" } else { "tensor" };
        write!(f, "{}({zero}, per: {per})", self.name())
    }
}

impl Layers {
    /// The layers that stay of `count`, in order. `None` if one of them does not exist.
    pub fn kept(&self, count: usize) -> Option<Vec<usize>> {
        let named = match self {
            Layers::Keep(list) | Layers::Drop(list) => list,
        };
        if named.iter().any(|l| *l >= count) {
            return None;
        }
        Some(match self {
            Layers::Keep(list) => list.clone(),
            Layers::Drop(list) => (0..count).filter(|l| !list.contains(l)).collect(),
        })
    }
}
