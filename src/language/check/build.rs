//! From the bound recipe to the typed one.

use crate::diag::{Code, Diagnostic, Findings, Sources};
use crate::language::resolve::{Bound, BoundRecipe, BoundStage, Names, StageKind, Symbol};
use crate::language::syntax::ast::{Entry, Member, Spanned};
use crate::language::vocab::{Body, Type, verb};
use crate::params::BertShape;
use crate::schedule::Time;
use crate::schedule::ir::{Criterion, Data, Model, Obs, Pattern, Rank, START, Teacher, Train, Update};

use super::fields::{self, Statement};
use super::recipe::{Distill, Expectation, Hold, Instants, LrPiece, Prune, Recipe, Stage, Targets};
use super::value::{Evaluator, Fields, Value};

/// Types every statement; goes on past mistakes and returns `None` if the whole cannot be judged.
pub fn recipe(
    names: &mut Names,
    bound: &BoundRecipe,
    sources: &mut Sources,
    findings: &mut Findings,
) -> Option<Recipe> {
    let parameters: Vec<Symbol> = names.parameters().cloned().collect();
    let mut evaluator = Evaluator::new(names, sources, findings);
    let shown = parameters.iter().filter_map(|p| parameter(&mut evaluator, p)).collect();
    let mut builder = Builder { evaluator, sound: true };
    let settings = builder.recipe_settings(bound);
    let mut train = None;
    let mut expect = Vec::new();
    for entry in &bound.entries {
        match entry.node.verb.value.as_str() {
            "train" => train = Some(entry),
            "expect" => expect = builder.expect(entry),
            _ => {}
        }
    }
    let mut stages: Vec<Stage> = Vec::new();
    for stage in &bound.stages {
        let batch = settings.as_ref().map_or(1, |s| s.batch);
        if let Some(typed) = builder.stage(stage, &stages, batch, train) {
            stages.push(typed);
        }
    }
    let settings = settings.filter(|_| builder.sound)?;
    Some(Recipe {
        name: bound.name.clone(),
        doc: bound.doc.clone(),
        seed: settings.seed,
        model: settings.model,
        data: settings.data,
        stages,
        expect,
        parameters: shown,
    })
}

/// Checks a parameter's value against its type and range, used or not.
fn parameter(evaluator: &mut Evaluator, symbol: &Symbol) -> Option<(String, String, bool)> {
    let (expr, scope) = symbol.value.clone()?;
    let text = evaluator.sources.slice(expr.span).to_owned();
    let ty = symbol.ty?;
    let value = evaluator.value(&expr, ty, scope)?;
    if let Some(range) = &symbol.range
        && let crate::language::syntax::ast::ExprKind::Range(least, most) = &range.kind
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
        let mut sound =
            fields::read_settings(&mut self.evaluator, &bound.settings, settings, "recipe", &mut fields);
        sound &= self.evaluator.fill_defaults(settings, &mut fields, bound.head, "recipe");
        self.part(sound.then_some(()))?;
        Some(RecipeSettings {
            model: take(&mut fields, "model")?.map(model),
            data: take(&mut fields, "data")?.map(data),
            batch: count(&mut fields, "batch")?,
            seed: count(&mut fields, "seed")? as u64,
        })
    }

    fn stage(
        &mut self,
        bound: &BoundStage,
        earlier: &[Stage],
        batch: usize,
        shared_train: Option<&Bound<Entry>>,
    ) -> Option<Stage> {
        if bound.name.value == START {
            self.evaluator.findings.push(
                Diagnostic::error(
                    Code::DuplicateName,
                    "`start` is the model that the run begins with",
                    bound.name.span,
                    "taken",
                )
                .help("choose another name"),
            );
            self.sound = false;
        }
        if let Some(other) = earlier.iter().find(|s| s.name.value == bound.name.value) {
            self.evaluator.findings.push(
                Diagnostic::error(
                    Code::DuplicateName,
                    format!("two stages are called `{}`", bound.name.value),
                    bound.name.span,
                    "again",
                )
                .and_at(other.name.span, "the first")
                .help("rename one of them"),
            );
            self.sound = false;
        }
        let length = match &bound.length {
            None => Spanned::new(Time::ZERO, bound.head),
            Some(expr) => {
                let value = self.evaluator.value(&expr.node, Type::Duration, expr.scope);
                match self.part(value)? {
                    Value::Time(time) => Spanned::new(time, expr.node.span),
                    _ => return None,
                }
            }
        };
        self.evaluator.run = Some(length.value);
        let branch_from = match &bound.kind {
            StageKind::Stage => None,
            StageKind::Branch(from) => {
                let from = self.branch_from(bound, from.as_ref(), earlier);
                Some(self.part(from)?)
            }
        };
        let batch = self.stage_batch(bound).unwrap_or(batch);
        let whole = Instants { start: Time::ZERO, end: length.value };
        let mut stage = Stage {
            name: bound.name.clone(),
            doc: bound.doc.clone(),
            branch_from,
            length: length.clone(),
            train: Train {
                batch,
                weight_decay: 0.0,
                beta1: 0.0,
                beta2: 0.0,
                epsilon: 0.0,
                clip: 0.0,
                dropout: None,
            },
            lr: Vec::new(),
            prune: Vec::new(),
            hold: Vec::new(),
            distill: None,
            evaluate_every: None,
            head: bound.head,
        };
        let mut train = shared_train;
        for entry in &bound.entries {
            let head = entry.node.head;
            match entry.node.verb.value.as_str() {
                "lr" => stage.lr = self.lr(entry),
                "train" => train = Some(entry),
                word => {
                    let Some(known) = verb(word) else { continue };
                    let read = fields::statement(&mut self.evaluator, entry, known);
                    let Some(mut said) = self.part(read) else { continue };
                    match word {
                        "prune" => stage.prune.extend(prune(&mut said, head)),
                        "hold" => stage.hold.extend(hold(&mut said, whole, head)),
                        "distill" => {
                            let distill = self.distill(&mut said, earlier, whole, head);
                            stage.distill = self.part(distill);
                        }
                        "evaluate" => stage.evaluate_every = time(&mut said.fields, "every"),
                        _ => {}
                    }
                }
            }
        }
        let train = self.train(train, batch, bound);
        stage.train = self.part(train)?;
        stage.lr.sort_by(|a, b| {
            a.over.value.start.compare(b.over.value.start).unwrap_or(std::cmp::Ordering::Equal)
        });
        self.evaluator.run = None;
        Some(stage)
    }

    fn stage_batch(&mut self, bound: &BoundStage) -> Option<usize> {
        let Body::Statements(settings) = verb("stage")?.body else { return None };
        let mut fields = Fields::new();
        let owner = match bound.kind {
            StageKind::Stage => "stage",
            StageKind::Branch(_) => "branch",
        };
        self.sound &=
            fields::read_settings(&mut self.evaluator, &bound.settings, settings, owner, &mut fields);
        count(&mut fields, "batch")
    }

    fn branch_from(
        &mut self,
        bound: &BoundStage,
        from: Option<&crate::language::syntax::ast::Expr>,
        earlier: &[Stage],
    ) -> Option<Spanned<String>> {
        let Some(word) = from.and_then(|e| e.as_word()) else {
            self.evaluator.findings.push(
                Diagnostic::error(
                    Code::MissingOperand,
                    "a branch starts from a stage",
                    bound.head,
                    "from which?",
                )
                .help("write `branch NAME from STAGE { … }`"),
            );
            return None;
        };
        self.earlier_stage(word, earlier)?;
        Some(word.clone())
    }

    fn earlier_stage(&mut self, word: &Spanned<String>, earlier: &[Stage]) -> Option<()> {
        if word.value == START || earlier.iter().any(|s| s.name.value == word.value) {
            return Some(());
        }
        let known: Vec<&str> = earlier.iter().map(|s| s.name.value.as_str()).collect();
        let help = match (crate::diag::nearest(&word.value, known.iter().copied()), known.as_slice()) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, []) => "there is no stage before this one".to_owned(),
            (None, all) => format!("the stages before this one are `{}`", all.join("`, `")),
        };
        let message = format!("there is no earlier stage `{}`", word.value);
        self.evaluator
            .findings
            .push(Diagnostic::error(Code::UnknownStage, message, word.span, "unknown").help(help));
        None
    }

    fn lr(&mut self, bound: &Bound<Entry>) -> Vec<LrPiece> {
        let mut pieces = Vec::new();
        let entry = &bound.node;
        let Some(known) = verb("lr") else { return pieces };
        if let Some(extra) = entry.operands.first() {
            self.sound = false;
            self.evaluator.findings.push(
                Diagnostic::error(Code::StrayOperand, "`lr` takes a block", extra.span, "does not fit")
                    .help(format!("write `{}`", known.form)),
            );
        }
        for member in entry.body.as_ref().map_or(&[][..], |b| &b.members) {
            let Member::Setting(setting) = member else {
                fields::misplaced(&mut self.evaluator, known, member);
                self.sound = false;
                continue;
            };
            let over = self.evaluator.value(&setting.key, Type::Span, bound.scope);
            let rates = self.evaluator.value(&setting.value, Type::Rates, bound.scope);
            if let (Some(Value::Span(over)), Some(Value::Ramp(ramp, repeating))) =
                (self.part(over), self.part(rates))
            {
                pieces.push(LrPiece {
                    over: Spanned::new(over, setting.key.span),
                    ramp: Spanned::new(ramp, setting.value.span),
                    repeating,
                });
            }
        }
        pieces
    }

    fn train(&mut self, bound: Option<&Bound<Entry>>, batch: usize, stage: &BoundStage) -> Option<Train> {
        let known = verb("train")?;
        let mut fields = match bound {
            Some(bound) => fields::statement(&mut self.evaluator, bound, known)?.fields,
            None => {
                let Body::Settings(settings) = known.body else { return None };
                let mut fields = Fields::new();
                self.evaluator.fill_defaults(settings, &mut fields, stage.head, "train");
                fields
            }
        };
        let non_negative = |f: &Fields, name: &str| {
            let value = f.get(name)?;
            matches!(&value.value, Value::Number(n) if n.value < 0.0).then_some(value.span)
        };
        for name in ["weight_decay", "clip"] {
            if let Some(span) = non_negative(&fields, name) {
                self.evaluator.findings.push(
                    Diagnostic::error(
                        Code::OutOfRange,
                        format!("`{name}` is not negative"),
                        span,
                        "below zero",
                    )
                    .help("0 switches it off"),
                );
            }
        }
        Some(Train {
            batch,
            weight_decay: number(&mut fields, "weight_decay")?,
            beta1: number(&mut fields, "beta1")?,
            beta2: number(&mut fields, "beta2")?,
            epsilon: number(&mut fields, "epsilon")?,
            clip: number(&mut fields, "clip")?,
            dropout: number(&mut fields, "dropout"),
        })
    }

    fn distill(
        &mut self,
        said: &mut Statement,
        earlier: &[Stage],
        whole: Instants,
        head: crate::diag::Span,
    ) -> Option<Distill> {
        let from = take(&mut said.fields, "from")?;
        let teacher = match &from.value {
            Value::Text(name) => Teacher::Named(name.clone()),
            Value::Names(words) => match words.first()?.value.as_str() {
                "teacher" => Teacher::Flag,
                "self" => Teacher::Itself,
                stage => {
                    let word = Spanned::new(stage.to_owned(), from.span);
                    self.earlier_stage(&word, earlier)?;
                    Teacher::Stage(stage.to_owned())
                }
            },
            _ => return None,
        };
        Some(Distill {
            from: Spanned::new(teacher, from.span),
            over: span(&mut said.fields, "over").unwrap_or(Spanned::new(whole, head)),
            hardness: number_at(&mut said.fields, "hardness")?,
            temperature: number_at(&mut said.fields, "temperature")?,
            outputs: match take(&mut said.fields, "match") {
                Some(Spanned { value: Value::Names(names), .. }) => names,
                _ => Vec::new(),
            },
            head,
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

fn prune(said: &mut Statement, head: crate::diag::Span) -> Option<Prune> {
    let sparsity = take(&mut said.fields, "sparsity")?;
    let Value::Ramp(ramp, _) = sparsity.value else { return None };
    Some(Prune {
        targets: targets(said)?,
        over: span(&mut said.fields, "over"),
        every: time(&mut said.fields, "every"),
        sparsity: Spanned::new(ramp, sparsity.span),
        pattern: take(&mut said.fields, "pattern")?.map(pattern),
        rank: take(&mut said.fields, "rank")?.map(|v| match v {
            Value::Choice("layer", _) => Rank::Layer,
            _ => Rank::Global,
        }),
        by: take(&mut said.fields, "by")?.map(criterion),
        head,
    })
}

fn hold(said: &mut Statement, whole: Instants, head: crate::diag::Span) -> Option<Hold> {
    Some(Hold {
        targets: targets(said)?,
        over: span(&mut said.fields, "over").unwrap_or(Spanned::new(whole, head)),
        head,
    })
}

fn targets(said: &mut Statement) -> Option<Targets> {
    let operand = said.operand.take()?;
    match operand.value {
        Value::Params(selector, expect) => {
            Some(Targets { selector: Spanned::new(selector, operand.span), expect })
        }
        _ => None,
    }
}

fn model(value: Value) -> Model {
    match value {
        Value::Choice(_, mut fields) => {
            let mut get = |name| count(&mut fields, name);
            let hidden = get("hidden").unwrap_or(0);
            Model::NewBert(BertShape {
                // The vocabulary comes with the data.
                vocab: 0,
                hidden,
                layers: get("layers").unwrap_or(0),
                heads: get("heads").unwrap_or(0),
                intermediate: get("intermediate").unwrap_or(4 * hidden),
                positions: get("positions").unwrap_or(0),
                types: 2,
            })
        }
        Value::Text(name) => Model::Named(name),
        _ => Model::Named(String::new()),
    }
}

fn data(value: Value) -> Data {
    match value {
        Value::Choice("builtin_reading", mut fields) => Data::BuiltinReading {
            train: count(&mut fields, "train").unwrap_or(0),
            dev: count(&mut fields, "dev").unwrap_or(0),
        },
        Value::Choice("squad", mut fields) => Data::Squad {
            max_length: count(&mut fields, "max_length").unwrap_or(0),
            doc_stride: count(&mut fields, "doc_stride").unwrap_or(0),
        },
        Value::Choice("mnli", _) => Data::Mnli,
        Value::Choice("qqp", _) => Data::Qqp,
        _ => Data::MaskedText,
    }
}

fn pattern(value: Value) -> Pattern {
    match value {
        Value::Choice("blocks", mut fields) => Pattern::Blocks(count(&mut fields, "inputs").unwrap_or(1)),
        Value::Choice("n_of_m", mut fields) => Pattern::NofM {
            keep: count(&mut fields, "keep").unwrap_or(1),
            of: count(&mut fields, "of").unwrap_or(1),
        },
        _ => Pattern::Unstructured,
    }
}

fn criterion(value: Value) -> Criterion {
    match value {
        Value::Choice("obs", mut fields) => Criterion::Obs(Obs {
            gradients: count(&mut fields, "gradients").unwrap_or(1),
            block: count(&mut fields, "block").unwrap_or(1),
            damp: number(&mut fields, "damp").unwrap_or(0.0),
            batch: count(&mut fields, "batch").unwrap_or(1),
            recompute: count(&mut fields, "recompute").unwrap_or(1),
            update: match take(&mut fields, "update").map(|u| u.value) {
                Some(Value::Choice("independent", _)) => Update::Independent,
                _ => Update::Exact,
            },
        }),
        _ => Criterion::Magnitude,
    }
}

fn take(fields: &mut Fields, name: &str) -> Option<Spanned<Value>> {
    fields.remove(name)
}

fn count(fields: &mut Fields, name: &str) -> Option<usize> {
    match take(fields, name)?.value {
        Value::Number(n) => usize::try_from(n.as_whole()?).ok(),
        _ => None,
    }
}

fn number(fields: &mut Fields, name: &str) -> Option<f64> {
    number_at(fields, name).map(|n| n.value)
}

fn number_at(fields: &mut Fields, name: &str) -> Option<Spanned<f64>> {
    let value = take(fields, name)?;
    let number = match &value.value {
        Value::Number(n) => n.value,
        Value::Ratio(r) => *r,
        _ => return None,
    };
    Some(Spanned::new(number, value.span))
}

fn time(fields: &mut Fields, name: &str) -> Option<Spanned<Time>> {
    let value = take(fields, name)?;
    match value.value {
        Value::Time(time) => Some(Spanned::new(time, value.span)),
        _ => None,
    }
}

fn span(fields: &mut Fields, name: &str) -> Option<Spanned<Instants>> {
    let value = take(fields, name)?;
    match value.value {
        Value::Span(instants) => Some(Spanned::new(instants, value.span)),
        _ => None,
    }
}

/// The vocabulary and this file must name the same verbs.
#[cfg(test)]
mod tests {
    #[test]
    fn every_verb_of_the_vocabulary_is_built() {
        let built = [
            "recipe", "template", "stage", "branch", "lr", "prune", "hold", "distill", "train", "evaluate",
            "expect",
        ];
        let known: Vec<&str> = crate::language::vocab::VERBS.iter().map(|v| v.name).collect();
        assert_eq!(known, built);
    }
}
