//! How a stage trains.

use crate::diag::{Code, Diagnostic};
use crate::language::check::fields;
use crate::language::check::value::{Fields, Value};
use crate::language::resolve::{Bound, BoundStage};
use crate::language::syntax::ast::Entry;
use crate::language::vocab::{Body, verb};
use crate::schedule::ir::{Batches, Precision, Train};

use super::Builder;
use super::take::{count, number, take};

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
            label_smoothing: number(&mut fields, "label_smoothing")?,
            batches: match take(&mut fields, "batches")?.value {
                Value::Choice("bucketed", _) => Batches::Bucketed,
                _ => Batches::Shuffled,
            },
            precision: match take(&mut fields, "precision")?.value {
                Value::Choice("bf16", _) => Precision::Bf16,
                _ => Precision::F32,
            },
        })
    }
}
