//! Typing of `train`.

use crate::diag::{Code, Diagnostic};
use crate::language::check::fields;
use crate::language::resolve::{Bound, BoundStage};
use crate::language::syntax::ast::Entry;
use crate::language::vocab::{Body, Statement, verbs};
use crate::schedule::ir::Train;
use crate::settings::Read;

use super::Builder;
use super::statements::precision;
use crate::language::check::value::Fields;

impl Builder<'_> {
    pub(super) fn train(
        &mut self,
        bound: Option<&Bound<Entry>>,
        batch: usize,
        stage: &BoundStage,
    ) -> Option<Train> {
        let known = verbs::Train::VERB;
        let (fields, sound) = match bound {
            Some(bound) => {
                let (read, sound) = fields::partial_statement(&mut self.evaluator, bound, known);
                (read.fields, sound)
            }
            None => {
                let Body::Settings(settings) = known.body else { return None };
                let mut fields = Fields::new();
                self.evaluator.fill_defaults(settings, &mut fields, stage.head, known.name, None);
                (fields, true)
            }
        };
        let read = verbs::Train::read(&fields)?;
        for (name, value) in [("weight_decay", &read.weight_decay), ("clip", &read.clip)] {
            if value.value < 0.0 {
                let message = format!("`{name}` must not be negative");
                let diagnostic = Diagnostic::error(Code::OutOfRange, message, value.span, "below zero");
                self.evaluator.findings.push(diagnostic.help("0 switches it off"));
            }
        }
        if !sound {
            return None;
        }
        let verbs::Train {
            accumulate,
            weight_decay,
            beta1,
            beta2,
            epsilon,
            clip,
            dropout,
            label_smoothing,
            batches,
            precision: products,
        } = read;
        Some(Train {
            batch,
            accumulate,
            weight_decay: weight_decay.value,
            beta1,
            beta2,
            epsilon,
            clip: clip.value,
            dropout,
            label_smoothing,
            batches,
            precision: precision(products),
        })
    }
}
