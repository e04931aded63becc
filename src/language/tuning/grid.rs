//! Parses `--grid damp=1e-4,1e-5`, `--at 50%,70%` and `--by obs,magnitude` with the types of the language.

use crate::diag::{Code, Diagnostic, FileId, Findings, Sources, Span, nearest};
use crate::language::check::value::{Evaluator, Fields, Value};
use crate::language::resolve::{Names, NoFiles, resolve};
use crate::language::syntax::ast::Spanned;
use crate::language::syntax::parse_phrase;
use crate::language::vocab::{Setting, Type};
use crate::schedule::ir::Obs;
use crate::settings::Settings;

/// A setting of `obs` with the values to try.
#[derive(Clone, Debug)]
pub struct Axis {
    /// The setting's name.
    pub name: &'static str,
    /// The values in the order given.
    pub values: Vec<AxisValue>,
}

/// A value of an axis.
#[derive(Clone, Debug)]
pub struct AxisValue {
    /// The value as text.
    pub text: String,
    /// Its span.
    pub span: Span,
    value: Value,
}

impl Axis {
    /// Sets the setting to its `index`th value.
    pub fn set(&self, obs: &mut Obs, index: usize) {
        let Some(place) = self.values.get(index) else { return };
        let values = Fields::from([(self.name, Spanned::new(place.value.clone(), place.span))]);
        obs.set(self.name, &values);
    }
}

/// A level of sparsity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// The fraction of weights to prune.
    pub sparsity: f64,
    /// Its span.
    pub span: Span,
}

/// A criterion of one-shot pruning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The weights' absolute values.
    Magnitude,
    /// Second-order pruning with the recipe's settings of `obs`.
    Obs,
}

impl By {
    /// The word in a recipe.
    pub fn name(self) -> &'static str {
        match self {
            By::Magnitude => "magnitude",
            By::Obs => "obs",
        }
    }
}

/// All points of a grid, each as the indices of the axes' values. The last axis varies fastest.
pub fn points(axes: &[Axis]) -> Vec<Vec<usize>> {
    let mut points = vec![Vec::new()];
    for axis in axes {
        points = points
            .into_iter()
            .flat_map(|point: Vec<usize>| {
                (0..axis.values.len()).map(move |i| point.iter().copied().chain([i]).collect())
            })
            .collect();
    }
    points
}

/// Parses `--grid` flags. Axes that cannot be parsed are reported and left out.
pub fn axes(given: &[String], sources: &mut Sources, findings: &mut Findings) -> Vec<Axis> {
    let mut reader = Reader::new(sources);
    let mut axes: Vec<(Axis, Span)> = Vec::new();
    for text in given {
        let file = reader.sources.add("--grid", text.clone());
        let whole = Span::new(file, 0..text.len());
        let Some((name, _)) = text.split_once('=') else {
            findings.push(
                Diagnostic::error(Code::GridMalformed, "`--grid` takes name=values", whole, "no `=`")
                    .help("as `--grid damp=1e-4,1e-5,1e-6`"),
            );
            continue;
        };
        let at = Span::new(file, 0..name.trim_end().len());
        let Some(setting) = setting(name.trim(), at, findings) else { continue };
        if let Some((_, first)) = axes.iter().find(|(axis, _)| axis.name == setting.name) {
            let message = format!("the axis `{}` is given twice", setting.name);
            let diagnostic = Diagnostic::error(Code::GridTwice, message, at, "given again");
            findings.push(diagnostic.and_at(*first, "first given here").help("give all values in one list"));
            continue;
        }
        let values = reader.list(file, text, name.len() + 1, setting.ty, findings);
        axes.push((Axis { name: setting.name, values }, at));
    }
    axes.into_iter().map(|(axis, _)| axis).filter(|axis| !axis.values.is_empty()).collect()
}

/// The settings of `obs` that may be an axis: all but `memory`, which does not change results.
pub fn axis_settings() -> impl Iterator<Item = &'static Setting> {
    Obs::TABLE.iter().filter(|s| s.name != Obs::NAMES.memory)
}

/// The setting of `obs` with an axis's name.
fn setting(name: &str, at: Span, findings: &mut Findings) -> Option<&'static Setting> {
    let settings = axis_settings;
    if let Some(setting) = settings().find(|s| s.name == name) {
        return Some(setting);
    }
    let message = match name {
        "" => "an axis without a name".to_owned(),
        _ => format!("`obs` has no axis `{name}`"),
    };
    let diagnostic = Diagnostic::error(Code::UnknownAxis, message, at, "unknown axis");
    let former = settings().find(|s| s.formerly.contains(&name)).map(|s| s.name);
    let near = nearest(name, settings().map(|s| s.name));
    findings.push(match (name, former, near) {
        (name, ..) if name == Obs::NAMES.memory => {
            diagnostic.help("how much memory an estimate may take changes no result")
        }
        ("sparsity", ..) => diagnostic.help("give levels of sparsity with `--at 50%,70%`"),
        (_, Some(former), _) => diagnostic.help(format!("here it is `{former}`")),
        (_, _, Some(near)) => diagnostic.help(format!("did you mean `{near}`?")),
        _ => {
            let names: Vec<&str> = settings().map(|s| s.name).collect();
            diagnostic.help(format!("its axes are {}", names.join(", ")))
        }
    });
    None
}

/// Parses `--at`: sparsities between 0% and 100%, exclusive.
pub fn levels(given: &str, sources: &mut Sources, findings: &mut Findings) -> Vec<Level> {
    let mut reader = Reader::new(sources);
    let file = reader.sources.add("--at", given);
    let mut levels = Vec::new();
    for place in reader.list(file, given, 0, Type::Ratio, findings) {
        let Value::Ratio(sparsity) = place.value else { continue };
        if sparsity <= 0.0 || sparsity >= 1.0 {
            let what = if sparsity <= 0.0 { "nothing would be pruned" } else { "nothing would be left" };
            let message = "a level of `--at` is between 0% and 100%";
            let diagnostic = Diagnostic::error(Code::LevelOutOfRange, message, place.span, what);
            findings.push(diagnostic.help("as `--at 50%,70%,90%`"));
            continue;
        }
        levels.push(Level { sparsity, span: place.span });
    }
    levels
}

/// Parses `--by`: names of criteria.
pub fn criteria(given: &str, sources: &mut Sources, findings: &mut Findings) -> Vec<By> {
    let file = sources.add("--by", given);
    let known = [By::Obs, By::Magnitude];
    let mut list: Vec<(By, Span)> = Vec::new();
    for (word, span) in pieces(file, given, 0) {
        let Some(by) = known.into_iter().find(|by| by.name() == word) else {
            findings.push(match word {
                "" => empty(given, span, "as `--by obs,magnitude`"),
                "movement" => needs_training(span),
                _ => {
                    let message = format!("there is no criterion `{word}`");
                    let diagnostic = Diagnostic::error(Code::UnknownChoice, message, span, "unknown");
                    match nearest(word, known.map(By::name)) {
                        Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
                        None => diagnostic.help("the criteria are obs and magnitude"),
                    }
                }
            });
            continue;
        };
        match list.iter().find(|(other, _)| *other == by) {
            Some((_, first)) => findings.push(twice(word, span, *first)),
            None => list.push((by, span)),
        }
    }
    list.into_iter().map(|(by, _)| by).collect()
}

/// The diagnostic of movement pruning without training.
pub fn needs_training(at: Span) -> Diagnostic {
    let message = "movement cannot be computed without training";
    Diagnostic::error(Code::NeedsTraining, message, at, "how far weights move while they are trained")
        .help("prune one-shot `by: obs` or `by: magnitude`, or run the recipe to prune by movement")
}

fn twice(text: &str, again: Span, first: Span) -> Diagnostic {
    Diagnostic::error(Code::GridTwice, format!("`{text}` is given twice"), again, "given again")
        .and_at(first, "first given here")
        .help("remove one of them")
}

fn empty(text: &str, at: Span, help: &str) -> Diagnostic {
    let (message, label) = match text.trim() {
        "" => ("a list without a value", "nothing here"),
        _ => ("a list with an empty place", "nothing between the commas"),
    };
    Diagnostic::error(Code::GridMalformed, message, at, label).help(help)
}

/// The words between commas, from byte `start` on, with their spans.
fn pieces(file: FileId, text: &str, start: usize) -> Vec<(&str, Span)> {
    let mut at = start;
    text.get(start..)
        .unwrap_or("")
        .split(',')
        .map(|piece| {
            let begin = at + piece.len() - piece.trim_start().len();
            at += piece.len() + 1;
            let word = piece.trim();
            (word, Span::new(file, begin..begin + word.len()))
        })
        .collect()
}

/// Evaluates values outside a recipe, where no names are declared.
struct Reader<'a> {
    names: Names,
    sources: &'a mut Sources,
}

impl<'a> Reader<'a> {
    fn new(sources: &'a mut Sources) -> Self {
        let file = sources.add("no recipe", "");
        // The diagnostic about the missing recipe is dropped.
        let (names, _) = resolve(file, &[], &NoFiles, sources, &mut Findings::new());
        Reader { names, sources }
    }

    /// Parses the comma-separated values in `text[start..]`, and reports empty and repeated ones.
    fn list(
        &mut self,
        file: FileId,
        text: &str,
        start: usize,
        ty: Type,
        findings: &mut Findings,
    ) -> Vec<AxisValue> {
        let mut list: Vec<AxisValue> = Vec::new();
        for (word, span) in pieces(file, text, start) {
            if word.is_empty() {
                let help = ty.example();
                findings.push(empty(&text[start..], span, &help));
                continue;
            }
            // Padding keeps the value at its position, so that spans are those of the flag.
            let padded = format!("{}{word}", " ".repeat(span.range().start));
            let Some(expr) = parse_phrase(file, &padded, findings) else { continue };
            let scope = self.names.main();
            let Some(value) = Evaluator::new(&mut self.names, self.sources, findings).value(&expr, ty, scope)
            else {
                continue;
            };
            match list.iter().find(|other| other.value == value) {
                Some(other) => findings.push(twice(word, span, other.span)),
                None => list.push(AxisValue { text: word.to_owned(), span, value }),
            }
        }
        list
    }
}
