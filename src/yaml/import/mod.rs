//! Translates a SparseML recipe into the text of an `.obert` recipe, and compiles it.
//!
//! - [`time`]: the window of each modifier, and the length of the recipe;
//! - [`rates`]: the learning rate; [`prune`], [`distill`], [`hidden_states`], [`quantize`], [`layers`]: one
//!   family of modifiers each;
//! - [`select`]: parameters by [`pattern`], looked up in the [`model_names`], written by [`selector_writer`];
//! - [`context`]: the settings that a SparseML recipe leaves out: model, data, batch size;
//! - [`merge`]: joins equal statements; [`notes`]: joins equal diagnostics;
//! - [`nodes`]: reports values of the YAML that were not read;
//! - [`draft`]: statements with the spans they come from; [`text`]: writes the draft and the comments of
//!   the YAML; [`places`]: maps spans of that text back to the YAML.

mod context;
mod distill;
mod draft;
mod hidden_states;
mod layers;
mod merge;
mod metadata;
mod model_names;
mod nodes;
mod notes;
mod options;
mod pattern;
mod places;
mod prune;
mod quantize;
mod rates;
mod select;
mod selector_writer;
mod text;
mod time;

use std::collections::BTreeSet;
use std::path::Path;
use std::rc::Rc;

use crate::diag::{Code, Diagnostic, FileId, Findings, Sources, Span, nearest};
use crate::language::{self, Compilation, NoFiles, Override};

use super::reader::{self, Document, Node, Value};
use super::recipe::registry::Family;
use super::recipe::{Fields, Modifier, collect, names_in};
use context::Context;
use draft::Draft;
use places::Places;

pub use nodes::{NodeOutcome, Outcome};
pub use options::Options;

/// The result of importing a SparseML recipe.
#[derive(Debug)]
pub struct Imported {
    /// The `.obert` recipe, formatted; `None` if there are errors.
    pub text: Option<String>,
    /// The result of compiling that text; every diagnostic points into the YAML.
    pub compilation: Compilation,
    /// How every value of the YAML was handled; empty if it cannot be parsed.
    pub nodes: Vec<NodeOutcome>,
}

/// Whether a file is a SparseML recipe by its extension: `.yaml`, `.yml` or `.md`.
pub fn is_yaml(path: &Path) -> bool {
    let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
    matches!(extension.as_deref(), Some("yaml" | "yml" | "md"))
}

/// Imports a SparseML recipe and returns the compilation only. `name` is its path, for messages.
pub fn compile(name: &str, text: &str, options: Options) -> Compilation {
    import(name, text, options).compilation
}

/// Translates a SparseML recipe into an `.obert` recipe, and compiles it. `name` is its path, for messages.
///
/// If the name ends in `.md`, the recipe is the front matter of the file.
pub fn import(name: &str, text: &str, options: Options) -> Imported {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut sources = Sources::new();
    let mut findings = Findings::new();
    let file = sources.add(name, text);
    let read = document_of(name, file, text, &mut findings);
    let drafted = read.as_ref().and_then(|(document, prose)| {
        let drafted = draft_of(name, document, text, &options, &mut sources, &mut findings);
        drafted.map(|(draft, context)| (Draft { prose: prose.clone(), ..draft }, document, context))
    });
    let failed = findings.has_errors() || drafted.is_none();
    if let (false, Some((document, _))) = (failed, &read) {
        nodes::report_unread(&document.root, &mut findings);
    }
    let nodes = read.as_ref().map_or(Vec::new(), |(d, _)| nodes::outcomes(&d.root, failed));
    let mut findings = notes::without_consequences(notes::grouped(findings.into_sorted()));
    for diagnostic in &mut findings {
        // A fix keeps its span, because it may replace a whole block.
        let fix = diagnostic.fix.take();
        diagnostic.move_places(|span| first_line(span, &sources));
        diagnostic.fix = fix;
    }
    let Some((draft, document, context)) = drafted.filter(|_| !failed) else {
        let compilation = Compilation {
            main: file,
            sources,
            diagnostics: findings,
            schedule: None,
            parameters: None,
            places: None,
            recipe: None,
            tree: Default::default(),
        };
        return Imported { text: None, compilation, nodes };
    };
    let (recipe, places) = text::write(&draft, &document.comments, file);
    let mut compilation = language::compile(
        name,
        &recipe,
        &NoFiles,
        language::Options {
            parameters: context.given,
            find_model: options.find_model,
            ..language::Options::default()
        },
    );
    into_yaml(&mut compilation, findings, &places, &sources);
    // These have places in the generated text.
    compilation.places = None;
    compilation.recipe = None;
    compilation.tree = Default::default();
    let text = compilation.schedule.is_some().then_some(recipe);
    Imported { text, compilation, nodes }
}

/// Parses the YAML, and returns the prose after the front matter of a Markdown file.
fn document_of(name: &str, file: FileId, text: &str, findings: &mut Findings) -> Option<(Document, String)> {
    let markdown = name.to_lowercase().ends_with(".md");
    let front = if markdown { Some(reader::front_matter(file, text, findings)?) } else { None };
    let range = front.as_ref().map_or(0..text.len(), |f| f.yaml.clone());
    let document = reader::read(file, text, range, findings)?;
    let prose = front.map(|f| text[f.prose..].trim().to_owned()).unwrap_or_default();
    Some((document, prose))
}

/// Translates the modifiers into a draft. `None` where an error was made.
fn draft_of(
    name: &str,
    document: &Document,
    text: &str,
    options: &Options,
    sources: &mut Sources,
    findings: &mut Findings,
) -> Option<(Draft, Context)> {
    let overrides = overrides(options.overrides, &document.root, sources, findings);
    let collected = collect(&document.root, text, &overrides, findings)?;
    let fields: Vec<Fields> = collected.modifiers.iter().filter_map(|m| known(m, findings)).collect();
    let context = Context::of(name, &collected, &fields, options, findings);
    let mut draft = Draft::new(context.name.clone(), collected.first);
    draft.modifiers = collected.modifiers.iter().map(|m| m.whole).collect();
    translate(&mut draft, fields, &context, findings);
    context.write(&mut draft);
    Some((draft, context))
}

/// The fields of a modifier; `None`, with an error, for a modifier without a counterpart.
fn known<'a>(modifier: &'a Modifier, findings: &mut Findings) -> Option<Fields<'a>> {
    if let Some(Family::Refused(instead)) = super::recipe::registry::find(&modifier.name).map(|k| k.family) {
        let message = format!("obert has no `{}`", modifier.name);
        let diagnostic = Diagnostic::error(Code::ModifierRefused, message, modifier.at, "not supported");
        findings.push(diagnostic.help(instead));
        return None;
    }
    Fields::read(modifier, findings)
}

/// Adds the statements of all modifiers to the draft.
fn translate(draft: &mut Draft, fields: Vec<Fields>, context: &Context, findings: &mut Findings) {
    let mut timed = time::windows(fields, findings);
    let Some(length) = time::length(&timed, context, findings) else { return };
    let mut rates = rates::Rates::default();
    let dropped = layers::dropped(draft, &mut timed, findings);
    let select = select::Select::new(context, &dropped);
    for modifier in &mut timed {
        time::refuse_late_start(modifier, length, findings);
        match modifier.fields.known.family {
            Family::LrFunction | Family::LrClass | Family::SetLr => rates.read(modifier, length, findings),
            Family::Magnitude { .. } | Family::Gm | Family::Movement | Family::Obs => {
                prune::gradual(draft, modifier, &select, length, findings);
            }
            Family::Constant => prune::constant(draft, modifier, &select, length, findings),
            Family::Distillation => distill::distillation(draft, modifier, length, findings),
            Family::PerLayerDistillation => {
                hidden_states::per_layer(draft, modifier, &select, length, findings)
            }
            Family::OutputDistillation => distill::output_distillation(draft, modifier, length, findings),
            Family::Quantization => quantize::quantize(draft, modifier, &select, length, findings),
            Family::WeightDecay => layers::weight_decay(draft, modifier, findings),
            Family::Trainable => layers::trainable(draft, modifier, &select, length, findings),
            Family::Logging => {
                modifier.fields.noted();
                findings.push(
                    Diagnostic::advice(
                        Code::Dropped,
                        "a recipe has no settings for logging here",
                        modifier.fields.modifier.at,
                        "left out",
                    )
                    .help("every run writes a log"),
                );
            }
            Family::EpochRange | Family::LayerPruning | Family::Refused(_) => {}
        }
    }
    draft.length = length;
    merge::equal_statements(draft, &select);
    layers::default_weight_decay(draft, findings);
    rates.write(draft, length, findings);
}

/// Checks the values given with `--set`: each must name a variable of the recipe, or one that its expressions use
/// and SparseML's `recipe_args` would define.
fn overrides(
    given: &[Override],
    root: &Node,
    sources: &mut Sources,
    findings: &mut Findings,
) -> Vec<(String, Rc<Node>)> {
    let mut list = Vec::new();
    let mut needed = BTreeSet::new();
    if !given.is_empty() {
        names_needed(root, &mut needed);
    }
    for one in given {
        let file = sources.add(format!("--set {}", one.name), one.value.clone());
        let span = Span::new(file, 0..one.value.len());
        let scalar = |node: &Node| matches!(node.value, Value::Scalar { .. });
        let stages = root.entries().iter().map(|e| &e.value);
        let known = root.get(&one.name).is_some_and(|n| scalar(n))
            || stages.clone().any(|s| s.get(&one.name).is_some())
            || needed.contains(one.name.as_str());
        if known {
            let value = Value::Scalar { text: one.value.clone(), plain: true };
            list.push((one.name.clone(), Rc::new(Node::new(value, span, None, 1))));
            continue;
        }
        let declared = root.entries().iter().filter(|e| scalar(&e.value)).filter_map(|e| e.key.text());
        let names: BTreeSet<&str> = declared.chain(needed.iter().copied()).collect();
        let help = match nearest(&one.name, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if names.is_empty() => "the recipe has no variables; change the field".to_owned(),
            None => format!("its variables are {}", Vec::from_iter(names).join(", ")),
        };
        let message = format!("the recipe has no variable `{}`", one.name);
        let diagnostic = Diagnostic::error(Code::UnknownVariable, message, span, "set to this");
        findings.push(diagnostic.help(help));
    }
    list
}

/// The names in all expressions of a file.
fn names_needed<'a>(node: &'a Node, names: &mut BTreeSet<&'a str>) {
    match &node.value {
        Value::Scalar { text, .. } => names.extend(names_in(text)),
        Value::List(items) => items.iter().for_each(|item| names_needed(item, names)),
        Value::Map(entries) => entries.iter().for_each(|e| names_needed(&e.value, names)),
    }
}

/// Cuts a long span of several lines to its first line.
fn first_line(span: Span, sources: &Sources) -> Span {
    let text = sources.slice(span);
    let end = text.find(['\n', '\r']).filter(|_| text.len() > 80).unwrap_or(text.len());
    Span { end: span.start + end as u32, ..span }
}

/// Maps the diagnostics about the generated text into the YAML, and joins them with those of the import.
fn into_yaml(compilation: &mut Compilation, own: Vec<Diagnostic>, places: &Places, yaml: &Sources) {
    let generated = compilation.main;
    // The YAML and the values of `--set` are added after the generated text.
    let mut added = Vec::new();
    for (_, file) in yaml.files() {
        added.push(compilation.sources.add(file.name.clone(), file.text.clone()));
    }
    if let Some(first) = added.first() {
        compilation.main = *first;
    }
    let identity: Vec<FileId> = yaml.files().map(|(id, _)| id).collect();
    let moved = |span: Span| {
        let place = identity.iter().position(|id| *id == span.file);
        Span { file: place.map_or(span.file, |p| added[p]), ..span }
    };
    let mut findings = Findings::new();
    for mut diagnostic in own {
        diagnostic.move_places(moved);
        findings.push(diagnostic);
    }
    for mut diagnostic in std::mem::take(&mut compilation.diagnostics) {
        if diagnostic.fix.as_ref().is_some_and(|f| f.span.file == generated) {
            diagnostic.fix = None;
        }
        diagnostic.move_places(|span| {
            if span.file == generated { moved(first_line(places.of(span), yaml)) } else { span }
        });
        findings.push(diagnostic);
    }
    compilation.diagnostics = findings.into_sorted();
}
