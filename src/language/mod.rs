//! Text to schedule.
//!
//! ```text
//! text ── syntax ──▶ tree ── resolve ──▶ bound tree ── check ──▶ typed recipe ── lower ──▶ Schedule
//! ```
//!
//! Each stage returns its value and its findings; checking goes on past mistakes, so that one run
//! shows them all. Nothing here reads a weight or knows the engine.

pub mod check;
mod lower;
mod resolve;
mod stdlib;
pub mod syntax;
pub mod vocab;

pub use resolve::{Loader, NoFiles, Override};
pub use stdlib::MODULES as STANDARD_LIBRARY;
pub use syntax::format::format;

use crate::diag::{Diagnostic, Findings, Sources};
use crate::params::ParameterTable;
use crate::params::builtin::{Head, bert, well_known};
use crate::schedule::Schedule;
use crate::schedule::ir::{Data, Model};

/// What came of a recipe's text.
#[derive(Debug)]
pub struct Compilation {
    /// All texts, for showing diagnostics.
    pub sources: Sources,
    /// What was found, in reading order.
    pub diagnostics: Vec<Diagnostic>,
    /// The schedule, if nothing found stops the run.
    pub schedule: Option<Schedule>,
    /// The parameters against which the selectors were checked; `None` if the model is unknown.
    pub parameters: Option<ParameterTable>,
}

impl Compilation {
    /// Whether anything found stops the run.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }
}

/// From the name of a model to its parameters.
pub type FindModel<'a> = &'a dyn Fn(&str) -> Option<ParameterTable>;

/// How a recipe is to be compiled.
#[derive(Default)]
pub struct Options<'a> {
    /// `--set name=value`.
    pub overrides: &'a [Override],
    /// The parameters of the model that will be used, if it is at hand.
    pub parameters: Option<ParameterTable>,
    /// Looks up the parameters of a model that the recipe names. What it does not find is looked up
    /// among the well-known models.
    pub find_model: Option<FindModel<'a>>,
}

/// Compiles a recipe. `name` is its path as it will be shown, and what `use "…"` is relative to.
pub fn compile(name: &str, text: &str, loader: &dyn Loader, options: Options) -> Compilation {
    let mut sources = Sources::new();
    let mut findings = Findings::new();
    let main = sources.add(name, text.strip_prefix('\u{feff}').unwrap_or(text));
    let (mut names, bound) = resolve::resolve(main, options.overrides, loader, &mut sources, &mut findings);
    let typed = bound.and_then(|bound| check::check(&mut names, &bound, &mut sources, &mut findings));
    let mut parameters = None;
    if let Some(recipe) = &typed {
        let find = |name: &str| options.find_model.and_then(|find| find(name));
        parameters =
            options.parameters.or_else(|| model_parameters(&recipe.model.value, &recipe.data.value, find));
        if let Some(table) = &parameters {
            check::check_targets(recipe, table, &mut findings);
        }
    }
    findings.drop_consequences();
    let schedule = typed.filter(|_| !findings.has_errors()).map(|recipe| lower::lower(&recipe));
    Compilation { sources, diagnostics: findings.into_sorted(), schedule, parameters }
}

/// The parameters of a recipe's model, if they are known.
fn model_parameters(
    model: &Model,
    data: &Data,
    find: impl Fn(&str) -> Option<ParameterTable>,
) -> Option<ParameterTable> {
    let shape = match model {
        Model::Named(name) => match find(name) {
            Some(table) => return Some(table),
            None => well_known(name)?,
        },
        // Names and shapes of what can be pruned do not depend on the vocabulary.
        Model::NewBert(shape) if shape.impossible().is_none() || shape.vocab == 0 => {
            crate::params::BertShape { vocab: shape.vocab.max(1), ..*shape }
        }
        Model::NewBert(_) => return None,
    };
    Some(bert(&shape, head(data)))
}

/// The head that a model gets for its data.
fn head(data: &Data) -> Head {
    match data {
        Data::Squad { .. } | Data::BuiltinReading { .. } => Head::QuestionAnswering,
        Data::Mnli => Head::Classification { labels: 3 },
        Data::Qqp => Head::Classification { labels: 2 },
        Data::MaskedText => Head::MaskedLanguageModel,
    }
}
