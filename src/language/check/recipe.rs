//! The typed recipe: every value with the place where it was written.

use crate::diag::{Code, Findings, Sources, Span};
use crate::language::resolve::Extension;
use crate::language::syntax::ast::Spanned;
use crate::schedule::ir::{
    Criterion, Data, HiddenStates, Layers, Model, ObsEach, Pattern, Rank, Scheme, Teacher, Train,
};
use crate::schedule::{Ramp, Time};

pub use crate::language::vocab::{Instants, Targets};

/// A recipe whose words all have a meaning.
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
    /// The metrics' ranges.
    pub expect: Vec<Expectation>,
    /// Findings that are silenced everywhere.
    pub allow: Vec<Code>,
    /// The parameters with their values as text, and whether `--set` gave them.
    pub parameters: Vec<(String, String, bool)>,
    /// Whether every part could be read; what is missing otherwise was reported.
    pub complete: bool,
    /// Whether the layers that stay or go are known.
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
    /// How long it trains; the head of the stage where nothing is said.
    pub length: Spanned<Time>,
    /// How it trains.
    pub train: Train,
    /// Encoder layers that stay or go.
    pub layers: Option<Spanned<Layers>>,
    /// The learning rate, by time.
    pub lr: Vec<LrPiece>,
    /// Parameters that learn faster or slower.
    pub lr_factors: Vec<(Targets, f64)>,
    /// What is pruned.
    pub prune: Vec<Prune>,
    /// Whose zeros stay.
    pub hold: Vec<Hold>,
    /// What is not trained.
    pub freeze: Vec<Hold>,
    /// What is quantized.
    pub quantize: Vec<Quantize>,
    /// From whom it learns.
    pub distill: Option<Distill>,
    /// How often it is evaluated.
    pub evaluate_every: Option<Spanned<Time>>,
    /// The metric whose best evaluation decides the final weights.
    pub keep_best: Option<Spanned<String>>,
    /// Findings that are silenced in here.
    pub allow: Vec<Code>,
    /// Windows of statements that could not be read whole.
    pub unread: Vec<Spanned<Instants>>,
    /// Whether every statement could be read.
    pub complete: bool,
    /// Whether the learning rate could be read.
    pub lr_known: bool,
    /// The template it takes over.
    pub extends: Option<Extension>,
    /// The head of the statement.
    pub head: Span,
}

impl Stage {
    /// Lets what was found after the first `known` findings in the text of a template point at the place
    /// that brought it in.
    pub fn tell_at_user(&self, findings: &mut Findings, known: usize, sources: &Sources) {
        if let Some(extends) = &self.extends {
            findings.change_after(known, |d| extends.tell_at_user(d, sources, self.length.span));
        }
    }
}

/// A piece of the learning rate.
#[derive(Clone, Debug)]
pub struct LrPiece {
    /// When.
    pub over: Spanned<Instants>,
    /// The rates.
    pub ramp: Spanned<Ramp>,
    /// The length of a cycle.
    pub repeating: Option<Spanned<Time>>,
}

/// A `prune` statement.
#[derive(Clone, Debug)]
pub struct Prune {
    /// From which parameters.
    pub targets: Targets,
    /// When; `None` for once, at the start.
    pub over: Option<Spanned<Instants>>,
    /// The time between instants.
    pub every: Option<Spanned<Time>>,
    /// How much.
    pub sparsity: Spanned<Ramp>,
    /// Other final sparsities for some of the targets.
    pub exceptions: Vec<(Targets, Spanned<f64>)>,
    /// Which weights go together.
    pub pattern: Spanned<Pattern>,
    /// Among which weights.
    pub rank: Spanned<Rank>,
    /// How importance is computed.
    pub by: Spanned<Criterion>,
    /// Where the settings of `obs` are written; those that are not have the place of `by`.
    pub obs: Option<ObsEach<Span>>,
    /// The head of the statement.
    pub head: Span,
}

/// A `hold` or `freeze` statement.
#[derive(Clone, Debug)]
pub struct Hold {
    /// Whose zeros.
    pub targets: Targets,
    /// When.
    pub over: Spanned<Instants>,
    /// The head of the statement.
    pub head: Span,
}

/// A `quantize` statement.
#[derive(Clone, Debug)]
pub struct Quantize {
    /// Weights of which layers.
    pub targets: Targets,
    /// When.
    pub over: Spanned<Instants>,
    /// How weights are quantized.
    pub weights: Spanned<Option<Scheme>>,
    /// How the layers' inputs are quantized.
    pub activations: Spanned<Option<Scheme>>,
    /// When observed ranges are fixed, from the start of the window.
    pub freeze: Option<Spanned<Time>>,
    /// Batches that are observed before the window opens.
    pub calibrate: Spanned<usize>,
    /// Whether the operands of attention's matrix products are quantized.
    pub attention: bool,
    /// The head of the statement.
    pub head: Span,
}

/// A `distill` statement.
#[derive(Clone, Debug)]
pub struct Distill {
    /// From whom.
    pub from: Spanned<Teacher>,
    /// When.
    pub over: Spanned<Instants>,
    /// The teacher's share of the loss.
    pub hardness: Spanned<f64>,
    /// What logits are divided by.
    pub temperature: Spanned<f64>,
    /// The matched outputs.
    pub outputs: Vec<Spanned<String>>,
    /// Outputs inside the model that are matched besides.
    pub hidden: Option<Spanned<HiddenStates>>,
    /// The head of the statement.
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
