//! Single statements and the choices in them.

use crate::diag::Span;
use crate::language::check::fields::Statement;
use crate::language::check::recipe::{Hold, Instants, Prune, Quantize, Targets};
use crate::language::check::value::Value;
use crate::language::syntax::ast::Spanned;
use crate::params::BertShape;
use crate::schedule::ir::{Columns, Criterion, Data, Model, Obs, Pattern, Precision, Rank, Scheme, Update};

use super::take::{count, flag, span, take, text, time};

pub(super) fn prune(
    said: &mut Statement,
    exceptions: Vec<(Targets, Spanned<f64>)>,
    head: Span,
) -> Option<Prune> {
    let sparsity = take(&mut said.fields, "sparsity")?;
    let Value::Ramp(ramp, _) = sparsity.value else { return None };
    Some(Prune {
        targets: targets(said)?,
        over: span(&mut said.fields, "over"),
        every: time(&mut said.fields, "every"),
        sparsity: Spanned::new(ramp, sparsity.span),
        exceptions,
        pattern: take(&mut said.fields, "pattern")?.map(pattern),
        rank: take(&mut said.fields, "rank")?.map(|v| match v {
            Value::Choice("layer", _) => Rank::Layer,
            _ => Rank::Global,
        }),
        by: take(&mut said.fields, "by")?.map(criterion),
        head,
    })
}

pub(super) fn hold(said: &mut Statement, whole: Instants, head: Span) -> Option<Hold> {
    Some(Hold {
        targets: targets(said)?,
        over: span(&mut said.fields, "over").unwrap_or(Spanned::new(whole, head)),
        head,
    })
}

pub(super) fn quantize(said: &mut Statement, whole: Instants, head: Span) -> Option<Quantize> {
    Some(Quantize {
        targets: targets(said)?,
        over: span(&mut said.fields, "over").unwrap_or(Spanned::new(whole, head)),
        weights: take(&mut said.fields, "weights")?.map(scheme),
        activations: take(&mut said.fields, "activations")?.map(scheme),
        freeze: time(&mut said.fields, "freeze"),
        calibrate: count(&mut said.fields, "calibrate")?,
        attention: flag(&mut said.fields, "attention")?,
        head,
    })
}

/// `None` for `none`.
fn scheme(value: Value) -> Option<Scheme> {
    let Value::Choice(name, mut fields) = value else { return None };
    let (bits, signed) = match name {
        "int8" => (8, true),
        "uint8" => (8, false),
        "int4" => (4, true),
        _ => return None,
    };
    let mut is = |setting: &str, word: &str| matches!(take(&mut fields, setting).map(|v| v.value), Some(Value::Choice(name, _)) if name == word);
    Some(Scheme { bits, signed, symmetric: is("zero", "symmetric"), per_channel: is("per", "channel") })
}

pub(super) fn targets(said: &mut Statement) -> Option<Targets> {
    let operand = said.operand.take()?;
    match operand.value {
        Value::Params(selector, expect) => {
            Some(Targets { selector: Spanned::new(selector, operand.span), expect })
        }
        _ => None,
    }
}

pub(super) fn model(value: Value) -> Model {
    match value {
        Value::Choice(_, mut fields) => {
            let mut get = |name| count(&mut fields, name);
            let hidden = get("hidden").unwrap_or(0);
            Model::NewBert(BertShape {
                // The vocabulary comes with the data.
                vocab: 0,
                hidden,
                layers: get("layers").unwrap_or(0),
                heads: get("heads").unwrap_or(0),
                intermediate: get("intermediate").unwrap_or(4 * hidden),
                positions: get("positions").unwrap_or(0),
                types: 2,
            })
        }
        Value::Text(name) => Model::Named(name),
        _ => Model::Named(String::new()),
    }
}

pub(super) fn data(value: Value) -> Data {
    match value {
        Value::Choice("builtin_reading", mut fields) => Data::BuiltinReading {
            train: count(&mut fields, "train").unwrap_or(0),
            dev: count(&mut fields, "dev").unwrap_or(0),
        },
        Value::Choice(name @ ("squad" | "squad_v2"), mut fields) => {
            let max_length = count(&mut fields, "max_length").unwrap_or(0);
            let doc_stride = count(&mut fields, "doc_stride").unwrap_or(0);
            match name {
                "squad" => Data::Squad { max_length, doc_stride },
                _ => Data::SquadV2 { max_length, doc_stride },
            }
        }
        Value::Choice(name @ ("mnli" | "qqp" | "masked_text"), mut fields) => {
            let max_length = count(&mut fields, "max_length").unwrap_or(0);
            match name {
                "mnli" => Data::Mnli { max_length },
                "qqp" => Data::Qqp { max_length },
                _ => Data::MaskedText { max_length },
            }
        }
        Value::Choice("classify", mut fields) => Data::Classify(Columns {
            text: text(&mut fields, "text").unwrap_or_default(),
            pair: text(&mut fields, "pair"),
            label: text(&mut fields, "label").unwrap_or_default(),
            labels: match take(&mut fields, "labels").map(|l| l.value) {
                Some(Value::Names(names)) => names.into_iter().map(|n| n.value).collect(),
                _ => Vec::new(),
            },
            max_length: count(&mut fields, "max_length").unwrap_or(0),
        }),
        _ => Data::Own,
    }
}

pub(super) fn pattern(value: Value) -> Pattern {
    match value {
        Value::Choice("blocks", mut fields) => Pattern::Blocks(count(&mut fields, "inputs").unwrap_or(1)),
        Value::Choice("n_of_m", mut fields) => Pattern::NofM {
            keep: count(&mut fields, "keep").unwrap_or(1),
            of: count(&mut fields, "of").unwrap_or(1),
        },
        Value::Choice("rows", _) => Pattern::Rows,
        Value::Choice("columns", _) => Pattern::Columns,
        _ => Pattern::Unstructured,
    }
}

pub(super) fn criterion(value: Value) -> Criterion {
    match value {
        Value::Choice("obs", mut fields) => Criterion::Obs(Obs {
            gradients: count(&mut fields, "gradients").unwrap_or(1),
            block: count(&mut fields, "block").unwrap_or(1),
            damp: match fields.get("damp").map(|d| &d.value) {
                Some(Value::Damp(damp, _)) => *damp,
                _ => 0.0,
            },
            raise_damp: matches!(fields.get("damp").map(|d| &d.value), Some(Value::Damp(_, true))),
            memory: match fields.get("memory").map(|m| &m.value) {
                Some(Value::Bytes(bytes)) => Some(*bytes),
                _ => None,
            },
            batch: count(&mut fields, "batch").unwrap_or(1),
            recompute: count(&mut fields, "recompute").unwrap_or(1),
            update: match take(&mut fields, "update").map(|u| u.value) {
                Some(Value::Choice("independent", _)) => Update::Independent,
                _ => Update::Exact,
            },
            precision: match take(&mut fields, "precision").map(|p| p.value) {
                Some(Value::Choice("bf16", _)) => Precision::Bf16,
                _ => Precision::F32,
            },
            correlated: matches!(fields.get("correlated").map(|c| &c.value), Some(Value::Bool(true))),
        }),
        Value::Choice("movement", _) => Criterion::Movement,
        _ => Criterion::Magnitude,
    }
}
