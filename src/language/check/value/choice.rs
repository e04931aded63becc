//! Evaluation of choices with their arguments, lookup of settings, and defaults.

use crate::diag::{Code, Diagnostic, Span, nearest};
use crate::language::resolve::ScopeId;
use crate::language::syntax::ast::{Argument, Expr, ExprKind, Spanned, Word};
use crate::language::syntax::parse_phrase;
use crate::language::vocab::{Choice, Setting, Type};

use super::other_tools::{help_elsewhere, replacement_statement, translated_pattern, translated_setting};
use super::{Evaluator, Fields, Value};

/// The diagnostic of a data set given as a path, or by a name of the hub or of another tool.
fn translated_data(expr: &Expr) -> Option<Diagnostic> {
    if let ExprKind::Text(path) = &expr.kind {
        let message = "`data` is the kind of data set, not its path";
        let help = format!(
            "write `squad`, `mnli`, `qqp`, `classify(…)`, `classify_tokens`, `regression(…)`, `multi_label(…)`, \
             `embeddings` or `masked_text`, and give the folder by the flag `--data {path}`"
        );
        return Some(Diagnostic::error(Code::WrongType, message, expr.span, "this is text").help(help));
    }
    let word = expr.as_word()?;
    let written = match word.value.as_str() {
        "sst2" | "sst_2" | "sst" | "cola" => "classify(text: \"sentence\")",
        "imdb" | "ag_news" | "yelp" | "yelp_polarity" | "rotten_tomatoes" | "emotion" => {
            "classify(text: \"text\")"
        }
        "mrpc" | "rte" | "wnli" => "classify(text: \"sentence1\", pair: \"sentence2\")",
        "qnli" => "classify(text: \"question\", pair: \"sentence\")",
        "squad2" | "squadv2" | "squad_v2_0" => "squad_v2",
        "squad1" | "squadv1" | "squad_v1" => "squad",
        "stsb" | "sts_b" | "sts" => "regression(text: \"sentence1\", pair: \"sentence2\")",
        "go_emotions" | "jigsaw" => "multi_label(text: \"text\")",
        "ms_marco" | "msmarco" | "cross_encoder" | "reranking" => "rerank",
        "all_nli" | "gooaq" | "natural_questions" | "sentence_transformers" => "embeddings",
        "ner" | "conll2003" | "conll" | "wnut_17" | "wikiann" | "token_classification" => "classify_tokens",
        "mlm" | "wikitext" | "bookcorpus" | "wikipedia" => "masked_text",
        _ => return None,
    };
    let message = format!("`{}` is not one of the choices here", word.value);
    let help = format!("write `{written}`, and give its files by `--data`");
    Some(
        Diagnostic::error(Code::UnknownChoice, message, word.span, "unknown")
            .help(help)
            .fix(word.span, written),
    )
}

impl Evaluator<'_> {
    pub(super) fn choice(
        &mut self,
        expr: &Expr,
        choices: &'static [Choice],
        ty: Type,
        scope: ScopeId,
    ) -> Option<Value> {
        let names = || choices.iter().map(|c| c.name);
        if let ExprKind::Text(text) = &expr.kind
            && let Some(name) = names().find(|name| *name == text.trim())
        {
            let diagnostic =
                Diagnostic::error(Code::WrongType, "a keyword is not quoted", expr.span, "quoted");
            self.findings.push(diagnostic.help(format!("remove the quotes: `{name}`")).fix(expr.span, name));
            return None;
        }
        if names().any(|name| name == "n_of_m")
            && let Some(pattern) = translated_pattern(self.sources.slice(expr.span))
        {
            let text = self.sources.slice(expr.span);
            let message = format!("there is no pattern `{text}`");
            let diagnostic = Diagnostic::error(Code::UnknownChoice, message, expr.span, "unknown");
            self.findings.push(diagnostic.help(format!("write `{pattern}`")).fix(expr.span, pattern));
            return None;
        }
        if ty == Type::Data
            && let Some(diagnostic) = translated_data(expr)
        {
            self.findings.push(diagnostic);
            return None;
        }
        let (word, arguments) = match &expr.kind {
            ExprKind::Name(path) if path.len() == 1 => (&path[0], &[][..]),
            ExprKind::Call(word, arguments) => (word, arguments.as_slice()),
            _ => return self.wrong_type(expr, ty),
        };
        let Some(choice) = choices.iter().find(|c| c.name == word.value) else {
            let near = nearest(&word.value, names());
            let message = match near {
                Some(_) => format!("`{}` is not {}", word.value, Type::Choice(choices).described()),
                None => format!("`{}` is not one of the choices here", word.value),
            };
            let diagnostic = Diagnostic::error(Code::UnknownChoice, message, word.span, "unknown");
            let expected = || format!("expected {}", ty.described());
            self.findings.push(diagnostic.did_you_mean(word.span, near, expected));
            return None;
        };
        let fields = self.arguments(choice, arguments, expr.span, scope)?;
        Some(Value::Choice(choice.name, fields))
    }

    pub(super) fn arguments(
        &mut self,
        choice: &'static Choice,
        arguments: &[Argument],
        span: Span,
        scope: ScopeId,
    ) -> Option<Fields> {
        let outer = std::mem::take(&mut self.attempted);
        let mut fields = Fields::new();
        let mut unnamed = choice.arguments.iter();
        let mut sound = true;
        for argument in arguments {
            let setting = match &argument.name {
                Some(name) => match self.setting_of(name, choice.arguments, choice.name, &argument.value) {
                    Some(setting) => setting,
                    None => {
                        sound = false;
                        continue;
                    }
                },
                None => match unnamed.next() {
                    Some(setting) => setting,
                    None => {
                        self.findings.push(
                            Diagnostic::error(
                                Code::StrayOperand,
                                format!("`{}` does not take this", choice.name),
                                argument.value.span,
                                "one argument too many",
                            )
                            .help("remove it"),
                        );
                        sound = false;
                        continue;
                    }
                },
            };
            if let Some(earlier) = fields.get(setting.name) {
                self.given_twice(setting.name, argument.value.span, earlier.span);
                sound = false;
                continue;
            }
            match self.value(&argument.value, setting.ty, scope) {
                Some(value) => {
                    fields.insert(setting.name, Spanned::new(value, argument.value.span));
                }
                None => {
                    self.attempted.push(setting.name);
                    sound = false;
                }
            }
        }
        sound &= self.fill_defaults(choice.arguments, &mut fields, span, choice.name, None);
        self.attempted = outer;
        sound.then_some(fields)
    }

    /// The setting with this name. An unknown name is an error; if it is a name of SparseML, Hugging Face or PyTorch,
    /// the error shows the setting's name in this language.
    pub fn setting_of(
        &mut self,
        name: &Word,
        settings: &'static [Setting],
        owner: &str,
        value: &Expr,
    ) -> Option<&'static Setting> {
        if let Some(setting) = settings.iter().find(|s| s.name == name.value) {
            return Some(setting);
        }
        let message = format!("`{owner}` has no setting `{}`", name.value);
        let mut diagnostic = Diagnostic::error(Code::UnknownSetting, message, name.span, "unknown setting");
        let former = settings.iter().find(|s| s.formerly.contains(&name.value.as_str()));
        let near = nearest(&name.value, settings.iter().map(|s| s.name));
        let elsewhere = help_elsewhere(&name.value, self.sources.slice(value.span));
        let near = near.filter(|_| elsewhere.is_none());
        let meant = former.or_else(|| settings.iter().find(|s| Some(s.name) == near));
        self.attempted.extend(meant.map(|s| s.name));
        diagnostic = match (former, near) {
            (Some(setting), _) => {
                let text = self.sources.slice(value.span);
                let (told, whole) = translated_setting(&name.value, setting.name, text);
                let diagnostic = diagnostic.help(format!("here it is `{told}`"));
                if whole { diagnostic.fix(name.span.to(value.span), told) } else { diagnostic }
            }
            _ if elsewhere.is_some() => {
                let text = self.sources.slice(value.span);
                let diagnostic = diagnostic.maybe_help(elsewhere);
                let statement = replacement_statement(&name.value, text, owner);
                let is_taken = |s: &String| self.taken.iter().any(|verb| s.starts_with(verb.as_str()));
                match statement.filter(|s| !is_taken(s)) {
                    Some(statement) => diagnostic.unsafe_fix(name.span.to(value.span), statement),
                    None => diagnostic,
                }
            }
            (None, Some(near)) => diagnostic.help(format!("did you mean `{near}`?")).fix(name.span, near),
            (None, None) if settings.is_empty() => diagnostic.help(format!("`{owner}` has no settings")),
            (None, None) => {
                let all: Vec<String> = settings.iter().map(|s| format!("`{}`", s.name)).collect();
                diagnostic.help(format!("its settings are {}", all.join(", ")))
            }
        };
        self.findings.push(diagnostic);
        None
    }

    /// Reports a setting that is given twice.
    pub fn given_twice(&mut self, name: &str, again: Span, first: Span) {
        let message = format!("`{name}` is given twice");
        let diagnostic = Diagnostic::error(Code::DuplicateSetting, message, again, "given again");
        self.findings.push(diagnostic.and_at(first, "first given here").help("remove one of them"));
    }

    /// Adds defaults and reports missing required settings; for clauses, `form` is the statement's form. Returns
    /// whether none is missing.
    pub fn fill_defaults(
        &mut self,
        settings: &'static [Setting],
        fields: &mut Fields,
        at: Span,
        owner: &str,
        form: Option<&str>,
    ) -> bool {
        let mut complete = true;
        for setting in settings {
            if fields.contains_key(setting.name) {
                continue;
            }
            if let Some(default) = setting.default {
                if let Some(value) = self.default_value(default, setting.ty) {
                    fields.insert(setting.name, Spanned::new(value, at));
                }
                continue;
            }
            complete &= !setting.required;
            if setting.required && !self.attempted.contains(&setting.name) {
                let message = format!("`{owner}` needs `{}`", setting.name);
                let diagnostic = Diagnostic::error(Code::MissingSetting, message, at, "missing here");
                self.findings.push(diagnostic.help(match form {
                    Some(form) => format!("the form is `{form}`"),
                    None => format!("add `{}: …`, which is {}", setting.name, setting.ty.described()),
                }));
            }
        }
        complete
    }

    /// Evaluates a default, which is written in the language itself.
    pub(super) fn default_value(&mut self, text: &'static str, ty: Type) -> Option<Value> {
        let expr = match self.defaults.get(text) {
            Some(expr) => expr.clone(),
            None => {
                let file = self.sources.add("default", text);
                let expr = parse_phrase(file, text, self.findings)?;
                self.defaults.insert(text, expr.clone());
                expr
            }
        };
        let scope = self.names.main();
        self.value_of(&expr, ty, scope)
    }

    pub(super) fn words(&mut self, expr: &Expr) -> Option<Vec<Spanned<String>>> {
        let items = match &expr.kind {
            ExprKind::List(items) => items.as_slice(),
            _ => std::slice::from_ref(expr),
        };
        let mut words = Vec::new();
        for item in items {
            match (item.as_word(), &item.kind) {
                (Some(word), _) => words.push(word.clone()),
                // A name that is not one word is written in quotes.
                (None, ExprKind::Text(text)) => {
                    words.push(Spanned { value: text.clone(), span: item.span });
                }
                _ => return self.wrong_type(item, Type::Names),
            }
        }
        Some(words)
    }
}
