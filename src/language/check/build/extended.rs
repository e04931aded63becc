//! Statements that take over a template: settings that neither knows, and findings in its text.

use crate::diag::{Code, Diagnostic, nearest};
use crate::language::resolve::{Bound, Extension};
use crate::language::syntax::ast::{Expr, Setting};
use crate::language::vocab;

use super::Builder;

impl Builder<'_> {
    /// The settings without those that are meant for the template, and that it does not have: they are
    /// reported here, because the statement's own settings are not all that may be given.
    pub(super) fn without_strangers(
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
                    // Where a setting of the statement itself is nearer, it is told as such.
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
                    self.evaluator.findings.push(match near {
                        Some(near) => diagnostic.help(format!("did you mean `{near}`?")).fix(word.span, near),
                        None if parameters.is_empty() => diagnostic.help(format!(
                            "`{template}` has no parameters; the settings here are {}",
                            list(names().collect())
                        )),
                        None => diagnostic.help(format!(
                            "its parameters are {}; besides there are {}",
                            list(parameters),
                            list(names().collect())
                        )),
                    });
                    self.sound = false;
                }
                _ => kept.push(bound.clone()),
            }
        }
        kept
    }

    /// Lets what was found since in the text of the template point at the place that brought it in.
    pub(super) fn tell_at_user(
        &mut self,
        extends: Option<&Extension>,
        length: Option<&Bound<Expr>>,
        since: usize,
    ) {
        let Some(extends) = extends else { return };
        let length = length.map_or(extends.name.span, |l| l.node.span);
        let sources = &*self.evaluator.sources;
        self.evaluator.findings.change_after(since, |d| extends.tell_at_user(d, sources, length));
    }
}
