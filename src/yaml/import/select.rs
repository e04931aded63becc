//! Selects parameters by the names and patterns of a modifier.

use crate::diag::{Code, Diagnostic, Findings, Span, counted};
use crate::params::Selector;
use crate::params::selector::Matcher;
use crate::yaml::recipe::{Datum, Fields, quoted};

use super::context::Context;
use super::draft::Draft;
use super::model_names::{ModelNames, is_embedding};
use super::pattern;
use super::selector_writer::SelectorWriter;

/// Selects parameters of the model that a recipe is for.
#[derive(Debug)]
pub(super) struct Select<'a> {
    pub(super) model: ModelNames<'a>,
    writer: SelectorWriter,
}

/// The most names and patterns of a field; a model has far fewer parameters.
const MAX_PATTERNS: usize = 2000;

/// The parameters that a list of names and patterns selects.
pub(super) struct Selected {
    /// The selector as an `.obert` recipe writes it.
    pub(super) text: String,
    /// The names of the parameters; none for an unknown model.
    pub(super) names: Vec<String>,
}

impl<'a> Select<'a> {
    /// `dropped` are the numbers of the layers that the recipe drops.
    pub(super) fn new(context: &'a Context, dropped: &[usize]) -> Self {
        let model = ModelNames::new(context);
        let writer = SelectorWriter::new(&model, dropped);
        Select { model, writer }
    }

    /// Selects the parameters of a field such as `params`. `prunes` if they are going to be pruned, which only
    /// linear weights can be. `None` where a diagnostic was made.
    pub(super) fn of(
        &self,
        field: &'static str,
        fields: &mut Fields,
        prunes: bool,
        draft: &mut Draft,
        findings: &mut Findings,
    ) -> Option<Selected> {
        let at = fields.value_place(field);
        let word = fields.value(field).and_then(|v| match v.datum() {
            Datum::Text(word) => Some(word.to_uppercase()),
            _ => None,
        });
        let listed = match word.as_deref() {
            Some("__ALL__" | "__ALL_PRUNABLE__") => vec![(word.unwrap_or_default(), at)],
            _ if fields.value(field).is_none() && fields.has(field) => Vec::new(),
            _ => fields.texts(field, findings)?,
        };
        self.of_list(&listed, at, fields, prunes, draft, findings)
    }

    /// Selects the parameters of the names and patterns in `listed`, which are written at `at`.
    pub(super) fn of_list(
        &self,
        listed: &[(String, Span)],
        at: Span,
        fields: &mut Fields,
        prunes: bool,
        draft: &mut Draft,
        findings: &mut Findings,
    ) -> Option<Selected> {
        if listed.is_empty() {
            findings.push(
                Diagnostic::warning(Code::OtherwiseInSparseml, "SparseML reads an empty list as all prunable parameters, embedding tables included", at, "selects them all")
                    .help("name the parameters: `[\"__ALL_PRUNABLE__\"]`, or patterns such as `re:bert.encoder.*.dense.weight`"),
            );
        }
        if let Some((word, at)) = listed.iter().find(|(t, _)| t.to_uppercase() == "__ALL__") {
            if prunes {
                let message = format!("`{word}` selects every parameter, also biases and LayerNorm weights");
                let error =
                    Diagnostic::error(Code::FieldRefused, message, *at, "only linear weights can be pruned")
                        .help("write `__ALL_PRUNABLE__`, or patterns that end in `.weight`")
                        .fix(*at, "__ALL_PRUNABLE__");
                fields.report(findings, error);
                return None;
            }
            return Some(Selected { text: "params(\"**\")".into(), names: self.model.names(|_| true) });
        }
        if let Some((_, at)) = listed
            .iter()
            .map(|(t, a)| (t, *a))
            .find(|(t, _)| t.to_uppercase() == "__ALL_PRUNABLE__")
            .or(listed.is_empty().then_some((&String::new(), at)))
        {
            return self.all_prunable(at, prunes, fields, draft, findings);
        }
        if let Some((_, beyond)) = listed.get(MAX_PATTERNS) {
            let message = format!("more than {MAX_PATTERNS} names and patterns");
            fields.refuse(
                findings,
                Code::YamlTooMuch,
                *beyond,
                message,
                "the first one beyond the limit".into(),
                "select them with a few patterns".into(),
            );
            return None;
        }
        let mut selectors = Vec::new();
        for (text, span) in listed {
            selectors.push(pattern::resolve(&self.model, text, *span, prunes, fields, findings)?);
        }
        let matchers: Vec<Matcher> = selectors.iter().filter_map(|s| s.matcher().ok()).collect();
        let names = self.model.names(|name| matchers.iter().any(|m| m.matches(name)));
        if prunes && self.refuse_not_linear(listed, &matchers, fields, findings) {
            return None;
        }
        let text = match self.writer.named_set(&self.model, &names, draft) {
            Some(text) => text,
            // A pattern counts the layers before any is dropped, a selector those that are left.
            None if self.writer.kept.is_some() && !names.is_empty() => self.describe(&names, draft),
            None if selectors.len() > 1 && self.writer.contains_a_set(&self.model, &names) => {
                self.describe(&names, draft)
            }
            None if selectors.len() == 1 => selectors[0].to_string(),
            None => Selector::Union(selectors).to_string(),
        };
        Some(Selected { text, names })
    }

    /// Refuses a pattern that also selects parameters that are not linear weights, and proposes one that does not.
    fn refuse_not_linear(
        &self,
        listed: &[(String, Span)],
        matchers: &[Matcher],
        fields: &mut Fields,
        findings: &mut Findings,
    ) -> bool {
        let Some(table) = self.model.table else { return false };
        for ((text, span), matcher) in listed.iter().zip(matchers) {
            let own = || table.iter().filter(|p| matcher.matches(&p.name));
            let Some(other) = own().find(|p| !p.is_prunable()) else { continue };
            let message = format!("`{text}` also selects `{}`, which is not a linear weight", other.name);
            let error =
                Diagnostic::error(Code::NotPrunable, message, *span, "only linear weights can be pruned");
            let linear: Vec<&str> = own().filter(|p| p.is_prunable()).map(|p| p.name.as_str()).collect();
            let error = match pattern::matching_only(&linear) {
                None => error.help("name linear weights, such as `re:bert.encoder.layer.*.dense.weight`"),
                Some(only) => error
                    .help(format!(
                        "write `{only}` for the {} among them",
                        counted(linear.len(), "linear weight", "linear weights")
                    ))
                    .fix(*span, quoted(&only)),
            };
            fields.report(findings, error);
            return true;
        }
        false
    }

    /// Selects `__ALL_PRUNABLE__`: all linear weights. In SparseML it includes embedding tables.
    fn all_prunable(
        &self,
        at: Span,
        prunes: bool,
        fields: &mut Fields,
        draft: &mut Draft,
        findings: &mut Findings,
    ) -> Option<Selected> {
        let Some(table) = self.model.table else {
            fields.refuse(
                findings,
                Code::FieldRefused,
                at,
                "the prunable parameters depend on the model".into(),
                "the model is not known".into(),
                "give it with `--model DIR`".into(),
            );
            return None;
        };
        if prunes {
            findings.push(
                Diagnostic::warning(Code::OtherwiseInSparseml, "in SparseML, `__ALL_PRUNABLE__` includes embedding tables", at, "only linear layers are pruned here")
                    .help("embeddings are looked up, not multiplied: pruning them saves little and hurts rare tokens"),
            );
        }
        let fits = |name: &str| {
            table
                .find(name)
                .is_some_and(|p| p.is_prunable() || (!prunes && is_embedding(&p.name, p.shape.len())))
        };
        let names = self.model.names(fits);
        Some(Selected { text: self.describe(&names, draft), names })
    }

    /// Writes a selector for parameters by their names.
    pub(super) fn describe(&self, names: &[String], draft: &mut Draft) -> String {
        self.writer.describe(&self.model, names, draft)
    }
}
