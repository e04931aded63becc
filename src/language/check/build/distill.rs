//! Typing of `distill`.

use crate::diag::Span;
use crate::language::check::recipe::{Distill, Stage, TimeRange};
use crate::language::syntax::ast::Spanned;
use crate::language::vocab::choices::{Hidden, States, Teachers};
use crate::language::vocab::verbs::{self, TeacherValue};
use crate::schedule::ir::{HiddenStates, Teacher};

use super::Builder;

impl Builder<'_> {
    pub(super) fn distill(
        &mut self,
        read: verbs::Distill,
        earlier: &[Stage],
        whole: TimeRange,
        head: Span,
    ) -> Option<Distill> {
        let verbs::Distill { from, over, hardness, temperature, r#match: outputs, hidden } = read;
        let teacher = match from.value {
            TeacherValue::Named(name) => Teacher::Named(name),
            TeacherValue::Word(Teachers::Teacher) => Teacher::Flag,
            TeacherValue::Word(Teachers::Itself) => Teacher::Itself,
            TeacherValue::Stage(stage) => {
                let word = Spanned::new(stage, from.span);
                self.earlier_stage(&word, earlier, true)?;
                Teacher::Stage(word.value)
            }
        };
        Some(Distill {
            from: Spanned::new(teacher, from.span),
            over: over.unwrap_or(Spanned::new(whole, head)),
            hardness,
            temperature,
            outputs: outputs.unwrap_or_default(),
            hidden: hidden.map(|h| h.map(hidden_states)),
            head,
        })
    }
}

fn hidden_states(hidden: Hidden) -> HiddenStates {
    let Hidden::States(States { of, teacher, gain, normalize, epsilon }) = hidden;
    HiddenStates { modules: of, teacher, gain, normalize, epsilon }
}
