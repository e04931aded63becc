//! The compiler of the recipe language: from a recipe's text to a [`Schedule`].
//!
//! ```text
//! text ── syntax ──▶ tree ── resolve ──▶ bound tree ── check ──▶ typed recipe ── lower ──▶ Schedule
//! ```
//!
//! Each stage returns its result and its diagnostics. Checking continues after an error, so that one run
//! reports all of them. Nothing here reads weights or depends on the engine.

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

use std::sync::Arc;

use crate::diag::{Code, Diagnostic, FileId, Findings, Sources, Span};
use crate::params::ParameterTable;
use crate::params::builtin::{Head, bert, well_known_table, with_head};
use crate::schedule::Schedule;
use crate::schedule::ir::{Data, Model};
use syntax::ast::File;

/// The result of compiling a recipe.
#[derive(Debug)]
pub struct Compilation {
    /// The recipe's own text in `sources`.
    pub main: FileId,
    /// All texts that the diagnostics point into.
    pub sources: Sources,
    /// The diagnostics in reading order.
    pub diagnostics: Vec<Diagnostic>,
    /// The schedule, if there are no errors.
    pub schedule: Option<Schedule>,
    /// The parameters against which the selectors were checked; `None` if the model is unknown.
    pub parameters: Option<ParameterTable>,
    /// The spans of parts of the recipe, for commands that point at them; `None` if it could not be read, or
    /// was translated from SparseML.
    pub places: Option<Places>,
    /// The typed recipe, whose parts have spans, for editors; `None` if it could not be read, or was translated from
    /// SparseML.
    pub recipe: Option<check::Recipe>,
    /// The syntax tree of the recipe's own file, without malformed statements; empty for a recipe that was translated from
    /// SparseML.
    pub tree: Arc<File>,
}

/// The spans of parts of a recipe.
#[derive(Clone, Debug)]
pub struct Places {
    /// The recipe's name.
    pub recipe: Span,
    /// The value of `model:`.
    pub model: Span,
    /// The values of `by:` in `prune` statements, by stage and statement as in the schedule.
    pub criteria: Vec<Vec<Span>>,
}

impl Compilation {
    /// Whether there is an error, which prevents the run.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }
}

/// Looks up the parameters of a model by its name or folder.
pub type FindModel<'a> = &'a dyn Fn(&str) -> Option<ParameterTable>;

/// Options of [`compile`].
#[derive(Default)]
pub struct Options<'a> {
    /// `--set name=value`.
    pub overrides: &'a [Override],
    /// `--model`: a folder or name in place of the recipe's model, which may then be left out.
    pub model: Option<&'a str>,
    /// The parameters of the model that will be used, if it could be opened.
    pub parameters: Option<ParameterTable>,
    /// Looks up the parameters of a model that the recipe names; well-known models are known without it.
    pub find_model: Option<FindModel<'a>>,
}

/// The largest recipe, in bytes.
pub const LARGEST_RECIPE: usize = 4 << 20;

/// Compiles a recipe. `name` is its path, shown in diagnostics and the base of paths in `use "…"`.
pub fn compile(name: &str, text: &str, loader: &dyn Loader, options: Options) -> Compilation {
    let mut sources = stdlib::sources();
    let mut findings = Findings::new();
    let main = sources.add(name, text.strip_prefix('\u{feff}').unwrap_or(text));
    if text.len() > LARGEST_RECIPE {
        let message = format!("a recipe of {} bytes is larger than {LARGEST_RECIPE}", text.len());
        let start = Span::new(main, 0..0);
        let diagnostic = Diagnostic::error(Code::RecipeTooLarge, message, start, "the file");
        let diagnostics = vec![diagnostic.help("is it the right file?")];
        let (schedule, parameters, places, recipe) = (None, None, None, None);
        let tree = Arc::default();
        return Compilation { main, sources, diagnostics, schedule, parameters, places, recipe, tree };
    }
    let (mut names, bound) = resolve::resolve(main, options.overrides, loader, &mut sources, &mut findings);
    let typed =
        bound.and_then(|bound| check::check(&mut names, &bound, options.model, &mut sources, &mut findings));
    let tree = names.main_module().file.clone();
    let mut parameters = None;
    if let Some(recipe) = &typed {
        let find = |name: &str| options.find_model.and_then(|find| find(name));
        let data = &recipe.data.value;
        parameters = options.parameters.or_else(|| model_parameters(&recipe.model.value, data, find));
        // A model without the task's head gets a new one.
        if *data != Data::Own {
            parameters = parameters.map(|table| with_head(table, head(data)));
        }
        match &parameters {
            Some(table) if recipe.layers_known => {
                check::check_targets(recipe, table, &sources, &mut findings);
            }
            None if recipe.complete => check::report_unknown_model(recipe, &mut findings),
            _ => {}
        }
    }
    findings.drop_consequences();
    let places = typed.as_ref().map(|recipe| Places {
        recipe: recipe.name.span,
        model: recipe.model.span,
        criteria: recipe.stages.iter().map(|s| s.prune.iter().map(|p| p.by.span).collect()).collect(),
    });
    let sound = typed.as_ref().filter(|r| r.complete && !findings.has_errors());
    let schedule = sound.map(lower::lower);
    let diagnostics = findings.into_sorted();
    Compilation { main, sources, diagnostics, schedule, parameters, places, recipe: typed, tree }
}

/// The parameters of a recipe's model, if it is known.
fn model_parameters(
    model: &Model,
    data: &Data,
    find: impl Fn(&str) -> Option<ParameterTable>,
) -> Option<ParameterTable> {
    let shape = match model {
        Model::Named(name) => return find(name).or_else(|| well_known_table(name, head(data))),
        // Names and shapes of prunable parameters do not depend on the vocabulary.
        Model::NewBert(shape) if shape.impossible().is_none() || shape.vocab == 0 => {
            crate::params::BertShape { vocab: shape.vocab.max(1), ..*shape }
        }
        Model::NewBert(_) => return None,
    };
    Some(bert(&shape, head(data)))
}

/// The task head for a data set.
fn head(data: &Data) -> Head {
    match data {
        Data::Squad { .. } | Data::SquadV2 { .. } | Data::BuiltinReading { .. } => Head::QuestionAnswering,
        Data::Mnli { .. } => Head::Classification { labels: 3 },
        Data::Qqp { .. } => Head::Classification { labels: 2 },
        // Names do not depend on the number of labels.
        Data::Classify(columns) => Head::Classification { labels: columns.labels.len().max(2) },
        Data::Regression(_) | Data::Rerank(_) => Head::Regression,
        Data::MultiLabel(columns) => {
            Head::MultiLabel { labels: columns.columns.len().max(columns.labels.len()).max(2) }
        }
        Data::Embeddings(_) => Head::Embedding,
        Data::ClassifyTokens(columns) => Head::TokenClassification { labels: columns.labels.len().max(2) },
        Data::MaskedText { .. } => Head::MaskedLanguageModel,
        Data::Own => Head::QuestionAnswering,
    }
}
