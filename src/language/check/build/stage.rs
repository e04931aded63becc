//! Typing of a stage or branch, statement by statement.

use crate::diag::{Code, Diagnostic, nearest};
use crate::language::check::fields::{self, Statement};
use crate::language::check::recipe::{LrPiece, SparsityException, Stage, Targets, TimeRange};
use crate::language::check::value::{Fields, Value};
use crate::language::resolve::{Bound, BoundStage, ScopeId, StageKind};
use crate::language::syntax::ast::{Entry, Expr, Member, Setting, Spanned};
use crate::language::vocab::choices::{Best, FinalWeights};
use crate::language::vocab::verbs::{self, StageSettings};
use crate::language::vocab::{Statement as _, Type, verb};
use crate::schedule::Time;
use crate::schedule::ir::{Batches, Layers, Pattern, Precision, START, Train};
use crate::settings::{Get, Read, Settings};

use super::Builder;
use super::statements::{freeze, hold, pattern, prune, quantize};

impl Builder<'_> {
    pub(super) fn stage(
        &mut self,
        bound: &BoundStage,
        earlier: &[Stage],
        batch: usize,
        shared_train: Option<&Bound<Entry>>,
        layers: Option<Spanned<Layers>>,
    ) -> Option<Stage> {
        if bound.name.value == START {
            let message = "`start` is the model that the run begins with";
            let diagnostic = Diagnostic::error(Code::DuplicateName, message, bound.name.span, "taken");
            self.evaluator.findings.push(diagnostic.help("choose another name"));
            self.sound = false;
        }
        let first = self.first.entry(bound.name.value.clone()).or_insert(bound.name.span);
        if *first != bound.name.span {
            let message = format!("two stages are called `{}`", bound.name.value);
            let diagnostic = Diagnostic::error(Code::DuplicateName, message, bound.name.span, "again");
            self.evaluator.findings.push(diagnostic.and_at(*first, "the first").help("rename one of them"));
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
        let whole = TimeRange { start: Time::ZERO, end: length.value };
        let mut stage = Stage {
            name: bound.name.clone(),
            doc: bound.doc.clone(),
            branch_from,
            length: length.clone(),
            train: Train {
                batch,
                accumulate: 1,
                weight_decay: 0.0,
                beta1: 0.0,
                beta2: 0.0,
                epsilon: 0.0,
                clip: 0.0,
                dropout: None,
                label_smoothing: 0.0,
                batches: Batches::Shuffled,
                precision: Precision::F32,
            },
            layers,
            lr: Vec::new(),
            lr_factors: Vec::new(),
            prune: Vec::new(),
            hold: Vec::new(),
            freeze: Vec::new(),
            quantize: Vec::new(),
            distill: None,
            evaluate_every: None,
            keep_best: None,
            allow: Vec::new(),
            unread: Vec::new(),
            complete: true,
            lr_known: true,
            extends: bound.extends.clone(),
            head: bound.head,
        };
        let outer = std::mem::replace(&mut self.sound, true);
        let mut train = shared_train;
        for entry in &bound.entries {
            let head = entry.node.head;
            match entry.node.verb.value.as_str() {
                "lr" => {
                    let before = std::mem::replace(&mut self.sound, true);
                    (stage.lr, stage.lr_factors) = self.lr(entry);
                    stage.lr_known = self.sound;
                    self.sound &= before;
                }
                "allow" => stage.allow.extend(self.allow(entry)),
                "keep" | "drop" => self.layers(entry, &mut stage.layers),
                "train" => train = Some(entry),
                word => {
                    let Some(known) = verb(word) else { continue };
                    let (statement, sound) = fields::partial_statement(&mut self.evaluator, entry, known);
                    if !sound {
                        self.sound = false;
                        // Every window is called `over`.
                        let over: Option<Option<Spanned<TimeRange>>> = statement.fields.setting("over");
                        stage.unread.extend(over.flatten());
                        continue;
                    }
                    match word {
                        "prune" => {
                            let read = self.part(verbs::Prune::read(&statement.fields));
                            let pattern = read.as_ref().and_then(|read| self.pattern(read));
                            let (Some(read), Some(pattern)) = (read, self.part(pattern)) else { continue };
                            let exceptions = self.exceptions(&statement, entry.scope);
                            stage.prune.push(prune(read, pattern, exceptions, head));
                        }
                        "hold" => {
                            let read = self.part(verbs::Hold::read(&statement.fields));
                            stage.hold.extend(read.map(|read| hold(read, whole, head)));
                        }
                        "freeze" => {
                            let read = self.part(verbs::Freeze::read(&statement.fields));
                            stage.freeze.extend(read.map(|read| freeze(read, whole, head)));
                        }
                        "quantize" => {
                            let read = self.part(verbs::Quantize::read(&statement.fields));
                            stage.quantize.extend(read.map(|read| quantize(read, whole, head)));
                        }
                        "distill" => {
                            let read = self.part(verbs::Distill::read(&statement.fields));
                            let distill = read.and_then(|read| self.distill(read, earlier, whole, head));
                            stage.distill = self.part(distill);
                        }
                        "evaluate" => {
                            if let Some(read) = self.part(verbs::Evaluate::read(&statement.fields)) {
                                let verbs::Evaluate { every, keep } = read;
                                stage.evaluate_every = Some(every);
                                stage.keep_best = match keep {
                                    FinalWeights::Last => None,
                                    FinalWeights::Best(Best { metric }) => Some(metric),
                                };
                            }
                        }
                        _ => {}
                    }
                }
            }
        }
        let train = self.train(train, batch, bound);
        if let Some(train) = self.part(train) {
            stage.train = train;
        }
        stage.complete = self.sound;
        self.sound &= outer;
        stage.lr.sort_by(|a, b| {
            a.over.value.start.compare(b.over.value.start).unwrap_or(std::cmp::Ordering::Equal)
        });
        self.evaluator.run = None;
        Some(stage)
    }

    /// The `target PARAMS: 90%` lines of a `prune`.
    fn exceptions(&mut self, statement: &Statement, scope: ScopeId) -> Vec<SparsityException> {
        let mut list = Vec::new();
        for setting in &statement.targets {
            let sparsity = self.evaluator.value(&setting.value, Type::Ratio, scope);
            let targets = self.line_targets(setting, scope);
            if let (Some(Value::Ratio(sparsity)), Some(targets)) = (self.part(sparsity), targets) {
                let sparsity = Spanned::new(sparsity, setting.value.span);
                list.push(SparsityException { targets, sparsity });
            }
        }
        list
    }

    /// The parameters of a line such as `factor PARAMS: 10`.
    fn line_targets(&mut self, setting: &Setting, scope: ScopeId) -> Option<Targets> {
        let on = Expr::phrase(setting.key.items()[1..].to_vec())?;
        let value = self.evaluator.value(&on, Type::Params, scope);
        match self.part(value)? {
            Value::Params(selector, expect) => {
                Some(Targets { selector: Spanned::new(selector, on.span), expect })
            }
            _ => None,
        }
    }

    /// Reads `keep layers […]` or `drop layers […]`, which must not be combined.
    pub(super) fn layers(&mut self, bound: &Bound<Entry>, layers: &mut Option<Spanned<Layers>>) {
        let entry = &bound.node;
        let Some(known) = verb(&entry.verb.value) else { return };
        let read = fields::statement(&mut self.evaluator, bound, known);
        self.layers_known &= read.is_some();
        let Some(statement) = self.part(read) else { return };
        let chosen = match known.name {
            "keep" => {
                verbs::Keep::read(&statement.fields).map(|verbs::Keep { layers }| layers.map(Layers::Keep))
            }
            _ => verbs::Drop::read(&statement.fields).map(|verbs::Drop { layers }| layers.map(Layers::Drop)),
        };
        let Some(chosen) = self.part(chosen) else { return };
        if let Some(first) = layers {
            self.evaluator.findings.push(
                Diagnostic::error(Code::LayersTwice, "layers are chosen twice", entry.head, "again")
                    .and_at(first.span, "first chosen here")
                    .help("choose the layers once"),
            );
            self.sound = false;
            return;
        }
        *layers = Some(chosen);
    }

    /// The codes of an `allow`; codes of errors are reported.
    pub(super) fn allow(&mut self, bound: &Bound<Entry>) -> Vec<Code> {
        let read = fields::statement(&mut self.evaluator, bound, verbs::Allow::VERB);
        let read = read.and_then(|statement| verbs::Allow::read(&statement.fields));
        let Some(verbs::Allow { codes: names }) = self.part(read) else { return Vec::new() };
        let mut codes = Vec::new();
        for name in names {
            match Code::named(&name.value) {
                Some(code) if code.is_lint() => codes.push(code),
                found => {
                    let lints: Vec<String> =
                        Code::ALL.iter().filter(|c| c.is_lint()).map(ToString::to_string).collect();
                    let message = match found {
                        Some(_) => format!("`{}` is an error and cannot be allowed", name.value),
                        None => format!("there is no code `{}`", name.value),
                    };
                    self.evaluator.findings.push(
                        Diagnostic::error(Code::NotAllowed, message, name.span, "cannot be allowed")
                            .help(format!("these can: {}", lints.join(", "))),
                    );
                    self.sound = false;
                }
            }
        }
        codes
    }

    /// The pattern; blocks over several outputs are not supported and reported.
    fn pattern(&mut self, statement: &verbs::Prune) -> Option<Spanned<Pattern>> {
        match pattern(&statement.pattern.value) {
            Ok(pattern) => Some(Spanned::new(pattern, statement.pattern.span)),
            Err(outputs) => {
                let message = "a block spans one output";
                let diagnostic = Diagnostic::error(Code::OutOfRange, message, outputs, "outputs of a block");
                self.evaluator
                    .findings
                    .push(diagnostic.help("write `blocks(1, 4)`: four consecutive inputs of one output"));
                None
            }
        }
    }

    pub(super) fn stage_batch(&mut self, bound: &BoundStage) -> Option<usize> {
        let settings = StageSettings::TABLE;
        let mut fields = Fields::new();
        let owner = match bound.kind {
            StageKind::Stage => "stage",
            StageKind::Branch(_) => "branch",
        };
        self.evaluator.taken = bound.entries.iter().map(|e| e.node.verb.value.clone()).collect();
        if bound.length.is_none() {
            self.evaluator.taken.push("lr".to_owned());
        }
        let given = self.without_unknown(&bound.settings, bound.extends.as_ref(), settings);
        self.sound &= fields::read_settings(&mut self.evaluator, &given, settings, owner, &mut fields);
        let StageSettings { batch } = StageSettings::read(&fields)?;
        batch
    }

    pub(super) fn branch_from(
        &mut self,
        bound: &BoundStage,
        from: Option<&Expr>,
        earlier: &[Stage],
    ) -> Option<Spanned<String>> {
        let Some(word) = from.and_then(|e| e.as_word()) else {
            let message = "a branch starts from a stage";
            let diagnostic = Diagnostic::error(Code::MissingOperand, message, bound.head, "from which?");
            self.evaluator.findings.push(diagnostic.help("write `branch NAME from STAGE { … }`"));
            return None;
        };
        self.earlier_stage(word, earlier, false)?;
        Some(word.clone())
    }

    pub(super) fn earlier_stage(
        &mut self,
        word: &Spanned<String>,
        earlier: &[Stage],
        teacher: bool,
    ) -> Option<()> {
        if word.value == START || earlier.iter().any(|s| s.name.value == word.value) {
            return Some(());
        }
        let known: Vec<&str> = earlier.iter().map(|s| s.name.value.as_str()).collect();
        let words: &[&str] = if teacher { &["teacher", "self"] } else { &[START] };
        let near = nearest(&word.value, known.iter().chain(words).copied());
        let besides = match teacher {
            true => {
                "`teacher` is the model given by `--teacher`, `self` the model itself as the stage begins, \
                     and a folder is written in quotes"
            }
            false => "`start` is the model that the run begins with",
        };
        let otherwise = || match known.as_slice() {
            [] => format!("no stage is before this one; {besides}"),
            all => format!("the stages before this one are `{}`; {besides}", all.join("`, `")),
        };
        let message = format!("there is no earlier stage `{}`", word.value);
        let diagnostic = Diagnostic::error(Code::UnknownStage, message, word.span, "unknown");
        self.evaluator.findings.push(diagnostic.did_you_mean(word.span, near, otherwise));
        None
    }

    pub(super) fn lr(&mut self, bound: &Bound<Entry>) -> (Vec<LrPiece>, Vec<(Targets, f64)>) {
        let (mut pieces, mut factors) = (Vec::new(), Vec::new());
        let entry = &bound.node;
        let Some(known) = verb("lr") else { return (pieces, factors) };
        if let Some(extra) = entry.operands.first() {
            self.sound = false;
            self.evaluator.findings.push(
                Diagnostic::error(Code::StrayOperand, "`lr` takes a block", extra.span, "does not fit")
                    .help(format!("the form is `{}`", known.form)),
            );
        }
        for member in entry.body.as_ref().map_or(&[][..], |b| &b.members) {
            let Member::Setting(setting) = member else {
                fields::misplaced(&mut self.evaluator, known, member);
                self.sound = false;
                continue;
            };
            if fields::begins_with(&setting.key, "factor") {
                let factor = self.evaluator.value(&setting.value, Type::Number, bound.scope);
                let on = self.line_targets(setting, bound.scope);
                if let (Some(Value::Number(factor)), Some(on)) = (self.part(factor), on) {
                    factors.push((on, factor.value));
                }
                continue;
            }
            if let Some(word) =
                setting.key.as_word().filter(|w| !self.evaluator.is_declared(&w.value, bound.scope))
            {
                self.sound = false;
                let diagnostic = Diagnostic::error(
                    Code::UnknownSetting,
                    format!("`lr` has no setting `{}`", word.value),
                    setting.key.span,
                    "not a window",
                );
                self.evaluator.findings.push(diagnostic.help(lr_line_help(&word.value)));
                continue;
            }
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
        (pieces, factors)
    }
}

/// Help for a line of `lr` that is written as in another tool.
fn lr_line_help(word: &str) -> String {
    match word {
        "warmup" | "warmup_ratio" | "warmup_steps" | "warmup_epochs" | "num_warmup_steps" => {
            "a warmup is a window of its own, before the others: \
             `lr { 0..10% of run: 0 -> 5e-5, 10%..100% of run: 5e-5 -> 0 }`"
        }
        "scheduler" | "schedule" | "decay" | "policy" | "type" | "lr_scheduler_type" => {
            "the shape comes after the rates: `lr { 0..100% of run: 5e-5 -> 0 cosine }`"
        }
        _ => "a line gives a window and its rate: `lr { 0..100% of run: 5e-5 -> 0 linear }`",
    }
    .to_owned()
}
