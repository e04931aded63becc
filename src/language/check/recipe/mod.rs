//! The typed recipe: every value with its span.

mod prune;

use crate::diag::{Code, Findings, Sources, Span};
use crate::language::resolve::Extension;
use crate::language::syntax::ast::Spanned;
use crate::schedule::ir::{Data, HiddenStates, Layers, Model, Scheme, Teacher, Train};
use crate::schedule::{Ramp, Time};

pub use crate::language::vocab::{Targets, TimeRange};
pub use prune::{Prune, SparsityException};

/// A typed recipe.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// Its name.
    pub name: Spanned<String>,
    /// Its doc comment.
    pub doc: String,
    /// The seed.
    pub seed: u64,
    /// The model.
    pub model: Spanned<Model>,
    /// The data.
    pub data: Spanned<Data>,
    /// The stages in order.
    pub stages: Vec<Stage>,
    /// The expected ranges of metrics.
    pub expect: Vec<Expectation>,
    /// Codes of warnings and advice that are silenced everywhere.
    pub allow: Vec<Code>,
    /// The parameters: name, value as text, and whether `--set` gave it.
    pub parameters: Vec<(String, String, bool)>,
    /// The values of names and of arithmetic, by the expression, as a recipe writes them.
    pub computed: Vec<(Span, String)>,
    /// Whether every part could be read; others were reported.
    pub complete: bool,
    /// Whether every `keep` and `drop` could be read.
    pub layers_known: bool,
}

/// A stage or a branch.
#[derive(Clone, Debug)]
pub struct Stage {
    /// Its name.
    pub name: Spanned<String>,
    /// Its doc comment.
    pub doc: String,
    /// For a branch, the stage it starts from.
    pub branch_from: Option<Spanned<String>>,
    /// How long the stage trains; without `for`, zero with the span of the head.
    pub length: Spanned<Time>,
    /// Batches, optimizer and loss.
    pub train: Train,
    /// Encoder layers to keep or drop.
    pub layers: Option<Spanned<Layers>>,
    /// The learning rate, by time.
    pub lr: Vec<LrPiece>,
    /// Parameters with a factor on their learning rate.
    pub lr_factors: Vec<(Targets, f64)>,
    /// The `prune` statements.
    pub prune: Vec<Prune>,
    /// The `hold` statements.
    pub hold: Vec<Hold>,
    /// The `freeze` statements.
    pub freeze: Vec<Hold>,
    /// The `quantize` statements.
    pub quantize: Vec<Quantize>,
    /// The `distill` statement.
    pub distill: Option<Distill>,
    /// The time between evaluations.
    pub evaluate_every: Option<Spanned<Time>>,
    /// The metric that selects the best checkpoint.
    pub keep_best: Option<Spanned<String>>,
    /// Codes of warnings and advice that are silenced in this stage.
    pub allow: Vec<Code>,
    /// Windows of statements that could not be read completely.
    pub unread: Vec<Spanned<TimeRange>>,
    /// Whether every statement could be read.
    pub complete: bool,
    /// Whether the learning rate could be read.
    pub lr_known: bool,
    /// The template that it extends.
    pub extends: Option<Extension>,
    /// The statement without its block.
    pub head: Span,
}

impl Stage {
    /// Relocates the diagnostics after the first `known` from the text of a template to its use.
    pub fn relocate(&self, findings: &mut Findings, known: usize, sources: &Sources) {
        if let Some(extends) = &self.extends {
            findings.change_after(known, |d| extends.relocate(d, sources, self.length.span));
        }
    }
}

/// A piece of the learning rate.
#[derive(Clone, Debug)]
pub struct LrPiece {
    /// The window.
    pub over: Spanned<TimeRange>,
    /// The rates.
    pub ramp: Spanned<Ramp>,
    /// The length of a cycle.
    pub repeating: Option<Spanned<Time>>,
}

/// A `hold` or `freeze` statement.
#[derive(Clone, Debug)]
pub struct Hold {
    /// The parameters.
    pub targets: Targets,
    /// The window.
    pub over: Spanned<TimeRange>,
    /// The statement without its block.
    pub head: Span,
}

/// A `quantize` statement.
#[derive(Clone, Debug)]
pub struct Quantize {
    /// The weights of the layers to quantize.
    pub targets: Targets,
    /// The window.
    pub over: Spanned<TimeRange>,
    /// How weights are quantized.
    pub weights: Spanned<Option<Scheme>>,
    /// How the layers' inputs are quantized.
    pub activations: Spanned<Option<Scheme>>,
    /// When the ranges are fixed, counted from the start of the window.
    pub freeze: Option<Spanned<Time>>,
    /// Calibration batches.
    pub calibrate: Spanned<usize>,
    /// Whether the operands of attention's matrix products are quantized.
    pub attention: bool,
    /// The statement without its block.
    pub head: Span,
}

/// A `distill` statement.
#[derive(Clone, Debug)]
pub struct Distill {
    /// The teacher.
    pub from: Spanned<Teacher>,
    /// The window.
    pub over: Spanned<TimeRange>,
    /// The weight of the distillation loss.
    pub hardness: Spanned<f64>,
    /// The temperature by which logits are divided.
    pub temperature: Spanned<f64>,
    /// The outputs to match.
    pub outputs: Vec<Spanned<String>>,
    /// The hidden states to match.
    pub hidden: Option<Spanned<HiddenStates>>,
    /// The statement without its block.
    pub head: Span,
}

/// A metric and its range.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// The metric.
    pub metric: Spanned<String>,
    /// The range.
    pub range: Spanned<(f64, f64)>,
}
