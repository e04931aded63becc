//! Typing of the bound recipe: [`stage`] by stage, with their [`statements`], [`train`] and [`distill`].

mod distill;
mod stage;
mod statements;
mod template_settings;
mod train;

use std::collections::HashMap;

use crate::diag::{Code, Diagnostic, Findings, Sources, Span};
use crate::language::resolve::{Bound, BoundRecipe, Names, Symbol};
use crate::language::syntax::ast::{Entry, ExprKind, Member, Spanned};
use crate::language::vocab::verbs::RecipeSettings;
use crate::language::vocab::{Type, verb};
use crate::settings::{Read, Settings};

use super::fields;
use super::recipe::{Expectation, Recipe, Stage};
use super::value::{Evaluator, Fields, Value};
use statements::data;

/// Types every statement. Continues after errors and returns what could be typed; `None` if the recipe's own
/// settings (model, data) could not be read.
pub fn recipe(
    names: &mut Names,
    bound: &BoundRecipe,
    model: Option<&str>,
    sources: &mut Sources,
    findings: &mut Findings,
) -> Option<Recipe> {
    let parameters: Vec<Symbol> = names.parameters().cloned().collect();
    let mut evaluator = Evaluator::new(names, sources, findings);
    let shown = parameters.iter().filter_map(|p| parameter(&mut evaluator, p)).collect();
    let mut builder = Builder { evaluator, sound: true, layers_known: true, first: HashMap::new() };
    let known = builder.evaluator.findings.iter().count();
    let settings = builder.recipe_settings(bound, model);
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
        // `keep` and `drop` of the recipe belong to its first stage.
        if let Some(typed) = builder.stage(stage, &stages, batch, train, layers.take()) {
            stages.push(typed);
        } else {
            builder.sound = false;
            builder.layers_known = false;
        }
        builder.relocate(stage.extends.as_ref(), stage.length.as_ref(), found);
    }
    builder.relocate(bound.extends.as_ref(), None, known);
    let (complete, layers_known) = (builder.sound, builder.layers_known);
    let computed = std::mem::take(&mut builder.evaluator.computed);
    let RecipeSettings { model: given, data: set, batch: _, seed } = settings?;
    Some(Recipe {
        name: bound.name.clone(),
        doc: bound.doc.clone(),
        seed,
        model: given.map(statements::model),
        data: set.map(data),
        stages,
        expect,
        allow,
        parameters: shown,
        computed,
        complete,
        layers_known,
    })
}

/// Checks a parameter's value against its type and range, even if it is not used.
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
            let message = format!("`{}` is outside its range {allowed}", symbol.name);
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

struct Builder<'a> {
    evaluator: Evaluator<'a>,
    /// Whether everything so far could be typed.
    sound: bool,
    layers_known: bool,
    /// The first span of each stage's name.
    first: HashMap<String, Span>,
}

impl Builder<'_> {
    /// Records in `sound` whether a part could be typed.
    fn part<T>(&mut self, part: Option<T>) -> Option<T> {
        self.sound &= part.is_some();
        part
    }

    fn recipe_settings(&mut self, bound: &BoundRecipe, model: Option<&str>) -> Option<RecipeSettings> {
        let settings = RecipeSettings::TABLE;
        let mut fields = Fields::new();
        self.evaluator.attempted.clear();
        let stage = bound.stages.first().filter(|stage| stage.head == bound.head);
        let entries = bound.entries.iter().chain(stage.map_or(&[][..], |s| &s.entries));
        self.evaluator.taken = entries.map(|e| e.node.verb.value.clone()).collect();
        if stage.is_none_or(|stage| stage.length.is_none()) {
            self.evaluator.taken.push("lr".to_owned());
        }
        let given = self.without_unknown(&bound.settings, bound.extends.as_ref(), settings);
        let mut sound = fields::read_settings(&mut self.evaluator, &given, settings, "recipe", &mut fields);
        let missing = !fields.contains_key("model") && !self.evaluator.attempted.contains(&"model");
        if let Some(name) = model.filter(|_| missing) {
            fields.insert("model", Spanned::new(Value::Text(name.to_owned()), bound.head));
        }
        sound &= self.evaluator.fill_defaults(settings, &mut fields, bound.head, "recipe", None);
        self.part(sound.then_some(()))?;
        RecipeSettings::read(&fields)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::resolve::{NoFiles, resolve};
    use crate::language::vocab::{self, Body, Statement, Verb, verbs};
    use crate::schedule::Time;
    use crate::schedule::ir::Obs;

    /// Values of a type as text: for a choice each of its words, with all arguments.
    fn samples(ty: Type) -> Vec<String> {
        match ty {
            Type::Choice(choices) => choices.iter().flat_map(written).collect(),
            Type::Names => vec!["[start_logits]".into()],
            Type::Teacher => vec!["teacher".into(), "self".into(), "\"folder\"".into()],
            Type::NewName => vec!["f1".into()],
            _ => vec![ty.example().split('`').nth(1).unwrap_or("").to_owned()],
        }
    }

    fn written(choice: &vocab::Choice) -> Vec<String> {
        if choice.arguments.is_empty() {
            return vec![choice.name.to_owned()];
        }
        let all: Vec<Vec<String>> = choice.arguments.iter().map(|a| samples(a.ty)).collect();
        let most = all.iter().map(Vec::len).max().unwrap_or(1);
        let call = |i: usize| {
            let arguments: Vec<String> = choice
                .arguments
                .iter()
                .zip(&all)
                .map(|(a, values)| format!("{}: {}", a.name, values[i % values.len()]))
                .collect();
            format!("{}({})", choice.name, arguments.join(", "))
        };
        (0..most).map(call).collect()
    }

    /// Statements of a verb that together have every value of every clause and setting.
    fn statements(verb: &Verb) -> Vec<String> {
        let block = match verb.body {
            Body::Settings(settings) | Body::PruneSettings(settings) => settings,
            _ => &[],
        };
        let most = block.iter().map(|s| samples(s.ty).len()).max().unwrap_or(1).max(3);
        let at = |setting: &vocab::Setting, i: usize| {
            let values = samples(setting.ty);
            values[i % values.len()].clone()
        };
        (0..most)
            .map(|i| {
                let mut text = verb.name.to_owned();
                text.extend(verb.operand.map(|o| format!(" {}", at(&o, i))));
                text.extend(verb.clauses.iter().map(|c| format!(" {} {}", c.name, at(c, i))));
                let lines: Vec<String> =
                    block.iter().map(|s| format!("    {}: {}", s.name, at(s, i))).collect();
                if !lines.is_empty() {
                    text.push_str(&format!(" {{\n{}\n  }}", lines.join("\n")));
                }
                text
            })
            .collect()
    }

    /// Reads every statement of a verb and returns the last one.
    fn read<T: Statement + Read<Fields>>(tried: &mut usize) -> Option<T> {
        let mut last = None;
        for statement in statements(T::VERB) {
            let text = format!(
                "edition 2026\nuse std.bert.{{encoder_linears}}\nrecipe r for 30 epochs {{\n  {statement}\n}}\n"
            );
            let (mut sources, mut findings) = (Sources::new(), Findings::new());
            let main = sources.add("recipe", text.clone());
            let (mut names, bound) = resolve(main, &[], &NoFiles, &mut sources, &mut findings);
            let bound = bound.unwrap();
            let mut evaluator = Evaluator::new(&mut names, &mut sources, &mut findings);
            evaluator.run = Some(Time::ZERO);
            let (read, sound) =
                fields::partial_statement(&mut evaluator, &bound.stages[0].entries[0], T::VERB);
            assert!(sound, "{text}\n{findings:?}");
            for setting in read.fields.keys() {
                *tried += usize::from(!setting.is_empty());
            }
            last = T::read(&read.fields);
            assert!(last.is_some(), "{text} cannot be read as its declared types");
        }
        last
    }

    #[test]
    fn every_setting_can_be_read_as_the_type_that_declares_it() {
        let mut tried = 0;
        let mut typed = vec![verbs::Keep::VERB.name, verbs::Drop::VERB.name];
        read::<verbs::Keep>(&mut tried).unwrap();
        read::<verbs::Drop>(&mut tried).unwrap();
        macro_rules! all {
            ($($verb:ident),+) => {$(
                read::<verbs::$verb>(&mut tried).unwrap();
                typed.push(verbs::$verb::VERB.name);
            )+};
        }
        all!(Prune, Hold, Freeze, Quantize, Distill, Train, Evaluate, Allow);
        assert!(tried > 100, "{tried}");
        let mut others: Vec<&str> = vocab::VERBS.iter().map(|v| v.name).collect();
        others.retain(|name| !typed.contains(name));
        assert_eq!(others, ["recipe", "template", "stage", "branch", "lr", "expect"]);
    }

    #[test]
    fn the_defaults_of_obs_are_those_that_are_declared() {
        let (mut sources, mut findings) = (Sources::new(), Findings::new());
        let main = sources.add("recipe", "");
        let (mut names, _) = resolve(main, &[], &NoFiles, &mut sources, &mut Findings::new());
        let mut evaluator = Evaluator::new(&mut names, &mut sources, &mut findings);
        let mut fields = Fields::new();
        assert!(evaluator.fill_defaults(Obs::TABLE, &mut fields, Span::new(main, 0..0), "obs", None));
        assert_eq!(Obs::read(&fields), Some(Obs::default()));
    }
}
