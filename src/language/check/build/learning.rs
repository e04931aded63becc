//! How a stage trains, and from whom it learns.

use crate::diag::{Code, Diagnostic, Span};
use crate::language::check::fields::{self, Statement};
use crate::language::check::recipe::{Distill, Instants, Stage};
use crate::language::check::value::{Fields, Value};
use crate::language::resolve::{Bound, BoundStage};
use crate::language::syntax::ast::{Entry, Spanned};
use crate::language::vocab::{Body, verb};
use crate::schedule::ir::{Teacher, Train};

use super::Builder;
use super::take::{count, number, number_at, span, take};

impl Builder<'_> {
    pub(super) fn train(
        &mut self,
        bound: Option<&Bound<Entry>>,
        batch: usize,
        stage: &BoundStage,
    ) -> Option<Train> {
        let known = verb("train")?;
        let (mut fields, sound) = match bound {
            Some(bound) => {
                let (said, sound) = fields::readable(&mut self.evaluator, bound, known);
                (said.fields, sound)
            }
            None => {
                let Body::Settings(settings) = known.body else { return None };
                let mut fields = Fields::new();
                self.evaluator.fill_defaults(settings, &mut fields, stage.head, "train", None);
                (fields, true)
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
        if !sound {
            return None;
        }
        Some(Train {
            batch,
            accumulate: count(&mut fields, "accumulate")?,
            weight_decay: number(&mut fields, "weight_decay")?,
            beta1: number(&mut fields, "beta1")?,
            beta2: number(&mut fields, "beta2")?,
            epsilon: number(&mut fields, "epsilon")?,
            clip: number(&mut fields, "clip")?,
            dropout: number(&mut fields, "dropout"),
        })
    }

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
            head,
        })
    }
}
