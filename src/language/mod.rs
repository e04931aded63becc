//! Text to schedule.
//!
//! ```text
//! text ── syntax ──▶ tree ── resolve ──▶ bound tree ── check ──▶ typed recipe ── lower ──▶ Schedule
//! ```
//!
//! Each stage returns its value and its findings; checking goes on past mistakes, so that one run
//! shows them all. Nothing here reads a weight or knows the engine.

pub mod check;
pub mod library;
mod lower;
mod resolve;
mod stdlib;
pub mod syntax;
pub mod tuning;
pub mod vocab;

pub use resolve::{Loader, NoFiles, Override};
pub use stdlib::MODULES as STANDARD_LIBRARY;
pub use syntax::format::format;

use crate::diag::{Code, Diagnostic, FileId, Findings, Sources, Span};
use crate::params::ParameterTable;
use crate::params::builtin::{Head, bert, well_known_table, with_head};
use crate::schedule::Schedule;
use crate::schedule::ir::{Data, Model};

/// What came of a recipe's text.
#[derive(Debug)]
pub struct Compilation {
    /// The recipe's own text among the sources.
    pub main: FileId,
    /// All texts, for showing diagnostics.
    pub sources: Sources,
    /// What was found, in reading order.
    pub diagnostics: Vec<Diagnostic>,
    /// The schedule, if nothing found stops the run.
    pub schedule: Option<Schedule>,
    /// The parameters against which the selectors were checked; `None` if the model is unknown.
    pub parameters: Option<ParameterTable>,
    /// Where parts of the recipe are written, for commands that point at them; `None` if it could not be
    /// read, or was translated from another language.
    pub places: Option<Places>,
}

/// Where parts of a recipe are written.
#[derive(Clone, Debug)]
pub struct Places {
    /// Its name.
    pub recipe: Span,
    /// Its model.
    pub model: Span,
    /// The criteria of its `prune` statements, by stage and statement as in the schedule.
    pub criteria: Vec<Vec<Span>>,
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
    /// The folder or name of a model in place of the recipe's: the recipe may leave its own out.
    pub model: Option<&'a str>,
    /// The parameters of the model that will be used, if it is at hand.
    pub parameters: Option<ParameterTable>,
    /// Looks up the parameters of a model that the recipe names. What it does not find is looked up
    /// among the well-known models.
    pub find_model: Option<FindModel<'a>>,
}

/// The largest recipe, in bytes: a hundred times the longest that anybody wrote.
pub const LARGEST_RECIPE: usize = 4 << 20;

/// Compiles a recipe. `name` is its path as it will be shown, and what `use "…"` is relative to.
pub fn compile(name: &str, text: &str, loader: &dyn Loader, options: Options) -> Compilation {
    let mut sources = stdlib::sources();
    let mut findings = Findings::new();
    let main = sources.add(name, text.strip_prefix('\u{feff}').unwrap_or(text));
    if text.len() > LARGEST_RECIPE {
        let message = format!("a recipe of {} bytes is larger than {LARGEST_RECIPE}", text.len());
        let start = Span::new(main, 0..0);
        let diagnostic = Diagnostic::error(Code::RecipeTooLarge, message, start, "the file");
        let diagnostics = vec![diagnostic.help("is it the right file?")];
        return Compilation { main, sources, diagnostics, schedule: None, parameters: None, places: None };
    }
    let (mut names, bound) = resolve::resolve(main, options.overrides, loader, &mut sources, &mut findings);
    let typed =
        bound.and_then(|bound| check::check(&mut names, &bound, options.model, &mut sources, &mut findings));
    let mut parameters = None;
    if let Some(recipe) = &typed {
        let find = |name: &str| options.find_model.and_then(|find| find(name));
        let data = &recipe.data.value;
        parameters = options.parameters.or_else(|| model_parameters(&recipe.model.value, data, find));
        // A model of another task will get the head of this one.
        if *data != Data::Own {
            parameters = parameters.map(|table| with_head(table, head(data)));
        }
        match &parameters {
            Some(table) if recipe.layers_known => {
                check::check_targets(recipe, table, &sources, &mut findings);
            }
            None if recipe.complete => check::not_at_hand(recipe, &mut findings),
            _ => {}
        }
    }
    findings.drop_consequences();
    let places = typed.as_ref().map(|recipe| Places {
        recipe: recipe.name.span,
        model: recipe.model.span,
        criteria: recipe.stages.iter().map(|s| s.prune.iter().map(|p| p.by.span).collect()).collect(),
    });
    let schedule = typed.filter(|r| r.complete && !findings.has_errors()).map(|recipe| lower::lower(&recipe));
    Compilation { main, sources, diagnostics: findings.into_sorted(), schedule, parameters, places }
}

/// The parameters of a recipe's model, if they are known.
fn model_parameters(
    model: &Model,
    data: &Data,
    find: impl Fn(&str) -> Option<ParameterTable>,
) -> Option<ParameterTable> {
    let shape = match model {
        Model::Named(name) => return find(name).or_else(|| well_known_table(name, head(data))),
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
        Data::Squad { .. } | Data::SquadV2 { .. } | Data::BuiltinReading { .. } => Head::QuestionAnswering,
        Data::Mnli { .. } => Head::Classification { labels: 3 },
        Data::Qqp { .. } => Head::Classification { labels: 2 },
        // Names do not depend on the number of labels.
        Data::Classify(columns) => Head::Classification { labels: columns.labels.len().max(2) },
        Data::MaskedText { .. } => Head::MaskedLanguageModel,
        Data::Own => Head::QuestionAnswering,
    }
}
