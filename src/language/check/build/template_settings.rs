//! Stages that extend a template: settings that neither the stage nor the template has, and diagnostics in the text
//! of the template.

use crate::diag::{Code, Diagnostic, nearest};
use crate::language::resolve::{Bound, Extension};
use crate::language::syntax::ast::{Expr, Setting};
use crate::language::vocab;

use super::Builder;

impl Builder<'_> {
    /// The settings without those that neither the statement nor the template has; they are reported with the
    /// template's parameters as suggestions.
    pub(super) fn without_unknown(
        &mut self,
        given: &[Bound<Setting>],
        extends: Option<&Extension>,
        own: &'static [vocab::Setting],
    ) -> Vec<Bound<Setting>> {
        let Some(extends) = extends else { return given.to_vec() };
        let mut kept = Vec::new();
        for bound in given {
            let names = || own.iter().map(|s| s.name);
            let known = |word: &str| own.iter().any(|s| s.name == word || s.formerly.contains(&word));
            let parameters = || extends.parameters.iter().map(String::as_str);
            match bound.node.key.as_word() {
                Some(word) if !known(&word.value) => {
                    // If a setting of the statement is more similar, it is reported with the others later.
                    let near = nearest(&word.value, parameters().chain(names()));
                    if near.is_some_and(|near| names().any(|name| name == near)) {
                        kept.push(bound.clone());
                        continue;
                    }
                    let template = &extends.name.value;
                    let list = |names: Vec<&str>| format!("`{}`", names.join("`, `"));
                    let message = format!("`{template}` has no parameter `{}`", word.value);
                    let diagnostic =
                        Diagnostic::error(Code::UnknownSetting, message, word.span, "unknown setting")
                            .and_at(extends.name.span, "the template");
                    let parameters: Vec<&str> = parameters().collect();
                    let settings = list(names().collect());
                    let otherwise = || match parameters.is_empty() {
                        true => format!("`{template}` has no parameters; the settings here are {settings}"),
                        false => {
                            format!("its parameters are {}; besides there are {settings}", list(parameters))
                        }
                    };
                    self.evaluator.findings.push(diagnostic.did_you_mean(word.span, near, otherwise));
                    self.sound = false;
                }
                _ => kept.push(bound.clone()),
            }
        }
        kept
    }

    /// Relocates the diagnostics after the first `since` from the template's text to its use.
    pub(super) fn relocate(
        &mut self,
        extends: Option<&Extension>,
        length: Option<&Bound<Expr>>,
        since: usize,
    ) {
        let Some(extends) = extends else { return };
        let length = length.map_or(extends.name.span, |l| l.node.span);
        let sources = &*self.evaluator.sources;
        self.evaluator.findings.change_after(since, |d| extends.relocate(d, sources, length));
    }
}
