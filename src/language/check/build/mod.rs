//! From the bound recipe to the typed one: [`stage`] by stage, [`statements`] and [`distill`] in them,
//! values [`take`]n out of what was read.

mod distill;
mod extended;
mod learning;
mod stage;
mod statements;
mod take;

use std::collections::HashMap;

use crate::diag::{Code, Diagnostic, Findings, Sources, Span};
use crate::language::resolve::{Bound, BoundRecipe, Names, Symbol};
use crate::language::syntax::ast::{Entry, ExprKind, Member, Spanned};
use crate::language::vocab::{Body, Type, verb};
use crate::schedule::ir::{Data, Model};

use super::fields;
use super::recipe::{Expectation, Recipe, Stage};
use super::value::{Evaluator, Fields, Value};
use statements::{data, model};
use take::{count, take};

/// Types every statement; goes on past mistakes and returns what can be judged, or `None` if it is not known
/// what the recipe is about.
pub fn recipe(
    names: &mut Names,
    bound: &BoundRecipe,
    sources: &mut Sources,
    findings: &mut Findings,
) -> Option<Recipe> {
    let parameters: Vec<Symbol> = names.parameters().cloned().collect();
    let mut evaluator = Evaluator::new(names, sources, findings);
    let shown = parameters.iter().filter_map(|p| parameter(&mut evaluator, p)).collect();
    let mut builder = Builder { evaluator, sound: true, layers_known: true, first: HashMap::new() };
    let known = builder.evaluator.findings.iter().count();
    let settings = builder.recipe_settings(bound);
    let mut train = None;
    let mut expect = Vec::new();
    let mut layers = None;
    let mut allow = Vec::new();
    for entry in &bound.entries {
        match entry.node.verb.value.as_str() {
            "train" => train = Some(entry),
            "expect" => expect = builder.expect(entry),
            "allow" => allow.extend(builder.allow(entry)),
            "keep" | "drop" => builder.layers(entry, &mut layers),
            _ => {}
        }
    }
    let mut stages: Vec<Stage> = Vec::new();
    for stage in &bound.stages {
        let batch = settings.as_ref().map_or(1, |s| s.batch);
        let found = builder.evaluator.findings.iter().count();
        // Layers chosen for the whole recipe are chosen before its first stage.
        if let Some(typed) = builder.stage(stage, &stages, batch, train, layers.take()) {
            stages.push(typed);
        } else {
            builder.sound = false;
            builder.layers_known = false;
        }
        builder.tell_at_user(stage.extends.as_ref(), stage.length.as_ref(), found);
    }
    builder.tell_at_user(bound.extends.as_ref(), None, known);
    let (complete, layers_known) = (builder.sound, builder.layers_known);
    let settings = settings?;
    Some(Recipe {
        name: bound.name.clone(),
        doc: bound.doc.clone(),
        seed: settings.seed,
        model: settings.model,
        data: settings.data,
        stages,
        expect,
        allow,
        parameters: shown,
        complete,
        layers_known,
    })
}

/// Checks a parameter's value against its type and range, used or not.
fn parameter(evaluator: &mut Evaluator, symbol: &Symbol) -> Option<(String, String, bool)> {
    let (expr, scope) = symbol.value.clone()?;
    let text = evaluator.sources.slice(expr.span).to_owned();
    let ty = symbol.ty?;
    let value = evaluator.value(&expr, ty, scope)?;
    if let Some(range) = &symbol.range
        && let ExprKind::Range(least, most) = &range.kind
    {
        let main = evaluator.names.main();
        let least = evaluator.value(least, ty, main)?;
        let most = evaluator.value(most, ty, main)?;
        if !within(&value, &least, &most) {
            let allowed = evaluator.sources.slice(range.span).to_owned();
            let message = format!("`{}` lies outside its range {allowed}", symbol.name);
            evaluator.findings.push(
                Diagnostic::error(Code::ParameterOutOfRange, message, expr.span, "this value")
                    .and_at(range.span, "the range it was declared with")
                    .help(format!("give a value in {allowed}")),
            );
        }
    }
    Some((symbol.name.clone(), text, symbol.parameter == Some(true)))
}

fn within(value: &Value, least: &Value, most: &Value) -> bool {
    let at = |v: &Value| match v {
        Value::Number(n) => Some(n.value),
        Value::Ratio(r) => Some(*r),
        Value::Bytes(b) => Some(*b as f64),
        _ => None,
    };
    match (value, least, most) {
        (Value::Time(t), Value::Time(a), Value::Time(b)) => {
            a.compare(*t).is_none_or(|o| o.is_le()) && t.compare(*b).is_none_or(|o| o.is_le())
        }
        _ => match (at(value), at(least), at(most)) {
            (Some(v), Some(a), Some(b)) => a <= v && v <= b,
            _ => true,
        },
    }
}

struct RecipeSettings {
    model: Spanned<Model>,
    data: Spanned<Data>,
    batch: usize,
    seed: u64,
}

struct Builder<'a> {
    evaluator: Evaluator<'a>,
    sound: bool,
    layers_known: bool,
    /// Where each name of a stage stands first.
    first: HashMap<String, Span>,
}

impl Builder<'_> {
    /// Remembers that a part could not be typed.
    fn part<T>(&mut self, part: Option<T>) -> Option<T> {
        self.sound &= part.is_some();
        part
    }

    fn recipe_settings(&mut self, bound: &BoundRecipe) -> Option<RecipeSettings> {
        let known = verb("recipe")?;
        let Body::Statements(settings) = known.body else { return None };
        let mut fields = Fields::new();
        self.evaluator.attempted.clear();
        let given = self.without_strangers(&bound.settings, bound.extends.as_ref(), settings);
        let mut sound = fields::read_settings(&mut self.evaluator, &given, settings, "recipe", &mut fields);
        sound &= self.evaluator.fill_defaults(settings, &mut fields, bound.head, "recipe", None);
        self.part(sound.then_some(()))?;
        Some(RecipeSettings {
            model: take(&mut fields, "model")?.map(model),
            data: take(&mut fields, "data")?.map(data),
            batch: count(&mut fields, "batch")?,
            seed: count(&mut fields, "seed")? as u64,
        })
    }

    fn expect(&mut self, bound: &Bound<Entry>) -> Vec<Expectation> {
        let mut list = Vec::new();
        let Some(known) = verb("expect") else { return list };
        for member in bound.node.body.as_ref().map_or(&[][..], |b| &b.members) {
            let Member::Setting(setting) = member else {
                fields::misplaced(&mut self.evaluator, known, member);
                self.sound = false;
                continue;
            };
            let value = self.evaluator.value(&setting.value, Type::Interval, bound.scope);
            match (setting.key.as_word(), self.part(value)) {
                (Some(metric), Some(Value::Interval(least, most))) => list.push(Expectation {
                    metric: metric.clone(),
                    range: Spanned::new((least, most), setting.value.span),
                }),
                _ => self.sound = false,
            }
        }
        list
    }
}

/// The vocabulary and this file must name the same verbs.
#[cfg(test)]
mod tests {
    #[test]
    fn every_verb_of_the_vocabulary_is_built() {
        let built = [
            "recipe", "template", "stage", "branch", "keep", "drop", "lr", "prune", "hold", "freeze",
            "quantize", "distill", "train", "evaluate", "allow", "expect",
        ];
        let known: Vec<&str> = crate::language::vocab::VERBS.iter().map(|v| v.name).collect();
        assert_eq!(known, built);
    }
}
