//! `distill`: from whom, and what is matched.

use crate::diag::Span;
use crate::language::check::fields::Statement;
use crate::language::check::recipe::{Distill, Instants, Stage};
use crate::language::check::value::{Fields, Value};
use crate::language::syntax::ast::Spanned;
use crate::schedule::ir::{HiddenStates, Teacher};

use super::Builder;
use super::take::{flag, number, number_at, span, take};

impl Builder<'_> {
    pub(super) fn distill(
        &mut self,
        said: &mut Statement,
        earlier: &[Stage],
        whole: Instants,
        head: Span,
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
            hidden: take(&mut said.fields, "hidden").and_then(|h| {
                let Value::Choice(_, mut fields) = h.value else { return None };
                Some(Spanned::new(hidden_states(&mut fields)?, h.span))
            }),
            head,
        })
    }
}

fn hidden_states(fields: &mut Fields) -> Option<HiddenStates> {
    let mut text = |name| match take(fields, name)?.value {
        Value::Text(text) => Some(text),
        _ => None,
    };
    Some(HiddenStates {
        modules: text("of")?,
        teacher: text("teacher"),
        gain: number(fields, "gain")?,
        normalize: flag(fields, "normalize")?,
        epsilon: number(fields, "epsilon")?,
    })
}
