//! Schemes: how weights and inputs are rounded.

use crate::diag::{Code, Diagnostic, Findings, Span, nearest};
use crate::yaml::recipe::numbers::{self, Conversion};
use crate::yaml::recipe::{Datum, Fields, Located};

/// How the weights and the inputs of a layer are rounded; `None` for not at all.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scheme {
    pub(super) weights: Option<Part>,
    pub(super) inputs: Option<Part>,
}

/// How values are rounded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Part {
    pub(super) bits: u8,
    pub(super) symmetric: bool,
    pub(super) channel: bool,
    /// Whether integers may be negative.
    pub(super) signed: bool,
}

/// Signed or not, an asymmetric range has the same steps: its zero point is shifted. The language
/// writes the unsigned one.
const INPUTS: Part = Part { bits: 8, symmetric: false, channel: false, signed: false };
const EIGHT: Part = Part { bits: 8, symmetric: true, channel: false, signed: true };

impl Scheme {
    /// SparseML's own where nothing is said.
    pub(super) const DEFAULT: Scheme = Scheme { weights: Some(EIGHT), inputs: Some(INPUTS) };
}

impl Part {
    /// As a recipe writes it.
    pub(super) fn text(self) -> String {
        let name = format!("{}int{}", if self.signed { "" } else { "u" }, self.bits);
        let zero = if self.symmetric { "symmetric" } else { "asymmetric" };
        let per = if self.channel { ", per: channel" } else { "" };
        format!("{name}({zero}{per})")
    }
}

/// A scheme by name or in full. `None` where a diagnostic was made.
pub(super) fn scheme(value: &Located, fields: &mut Fields, findings: &mut Findings) -> Option<Scheme> {
    match value.datum() {
        Datum::Null => Some(Scheme { weights: None, inputs: None }),
        Datum::Text(name) => named(name, value.span, fields, findings),
        Datum::Map(entries) => in_full(entries, fields, findings),
        other => {
            let message = format!("a scheme is a word or a mapping, not {}", other.described());
            fields.refuse(
                findings,
                Code::FieldType,
                value.span,
                message,
                "here".into(),
                "as `{weights: {num_bits: 8, symmetric: true}}`".into(),
            );
            None
        }
    }
}

/// A scheme by the name of a preset.
pub(super) fn named(name: &str, at: Span, fields: &mut Fields, findings: &mut Findings) -> Option<Scheme> {
    let channel = Part { channel: true, ..EIGHT };
    match name.to_uppercase().as_str() {
        "DEFAULT" | "DEEPSPARSE" => Some(Scheme::DEFAULT),
        "TENSORRT" => Some(Scheme { weights: Some(EIGHT), inputs: Some(EIGHT) }),
        "W8A16" => Some(Scheme { weights: Some(channel), inputs: None }),
        "W8A8" | "INT8" => {
            dynamic(at, findings);
            Some(Scheme { weights: Some(channel), inputs: Some(EIGHT) })
        }
        _ => {
            let help = "W8A8 and W8A16 can be imported; so can a scheme in full, with `num_bits`, `symmetric` and `strategy`";
            fields.refuse(
                findings,
                Code::FieldRefused,
                at,
                format!("the scheme `{name}` has no counterpart"),
                "unknown, or no integers of 4 or 8 bits for whole outputs".into(),
                help.into(),
            );
            None
        }
    }
}

fn dynamic(at: Span, findings: &mut Findings) {
    findings.push(
        Diagnostic::warning(
            Code::OtherwiseInSparseml,
            "inputs are measured anew for each token there",
            at,
            "one range for all, observed beforehand, is used here",
        )
        .help("say how many batches are observed with `num_calibration_steps`"),
    );
}

/// The parts of a scheme. Parts that are left out take the defaults.
fn in_full(
    entries: &[(String, Span, Located)],
    fields: &mut Fields,
    findings: &mut Findings,
) -> Option<Scheme> {
    const PARTS: [&str; 6] =
        ["weights", "input_activations", "output_activations", "target_hardware", "targets", "format"];
    let mut scheme = Scheme::DEFAULT;
    for (key, at, value) in entries {
        match key.as_str() {
            "weights" => scheme.weights = part(value, false, fields, findings)?,
            "input_activations" => scheme.inputs = part(value, true, fields, findings)?,
            "output_activations" if !is_null(value) => {
                let message = "only inputs of layers are rounded, not outputs".to_owned();
                fields.refuse(
                    findings,
                    Code::FieldRefused,
                    at.to(value.place),
                    message,
                    "cannot be followed".into(),
                    "remove it: the next layer rounds its input".into(),
                );
                return None;
            }
            // Those of a group were read with it.
            "targets" if fields.modifier.untagged => {}
            "output_activations" | "target_hardware" | "targets" | "format" => {
                if !value.is_null() {
                    value.noted();
                    findings.push(
                        Diagnostic::advice(
                            Code::Dropped,
                            format!("`{key}` is left out"),
                            at.to(value.place),
                            "a scheme here is about weights and inputs",
                        )
                        .help("nothing needs to be done"),
                    );
                }
            }
            _ => {
                let message = format!("a scheme has no part `{key}`");
                let label = "SparseML ignores it, and takes the default";
                let error = Diagnostic::error(Code::UnknownField, message, *at, label);
                let given = |name: &str| entries.iter().any(|(k, ..)| k == name);
                let error = match nearest(key, PARTS).filter(|near| !given(near)) {
                    Some(near) => error.help(format!("did you mean `{near}`?")).fix(*at, near),
                    None => error.help("it has weights, input_activations and output_activations"),
                };
                fields.report(findings, error);
                return None;
            }
        }
    }
    Some(scheme)
}

/// Whether there is no value, or a word for none; if so, it counts as read.
fn is_null(value: &Located) -> bool {
    let null = matches!(value.peek(), Datum::Null)
        || matches!(value.peek(), Datum::Text(t) if ["null", "None", "none"].contains(&t.as_str()));
    if null {
        value.used();
    }
    null
}

/// One part of a scheme.
fn part(value: &Located, inputs: bool, fields: &mut Fields, findings: &mut Findings) -> Option<Option<Part>> {
    const KEYS: [&str; 13] = [
        "num_bits",
        "symmetric",
        "strategy",
        "kwargs",
        "type",
        "dynamic",
        "group_size",
        "block_structure",
        "actorder",
        "observer",
        "observer_kwargs",
        "scale_dtype",
        "zp_dtype",
    ];
    if is_null(value) {
        return Some(None);
    }
    let Datum::Map(entries) = value.datum() else {
        let message = format!("a part of a scheme is a mapping, not {}", value.datum().described());
        fields.refuse(
            findings,
            Code::FieldType,
            value.span,
            message,
            "here".into(),
            "as `{num_bits: 8, symmetric: true}`".into(),
        );
        return None;
    };
    let untagged = fields.modifier.untagged;
    // Left out, `symmetric` is false in SparseML and true in llm-compressor.
    let mut part = Part { bits: 8, symmetric: untagged, channel: false, signed: true };
    let (mut said, mut is_dynamic) = (false, false);
    for (key, at, value) in entries {
        let whole = at.to(value.place);
        let word = match value.peek() {
            Datum::Text(text) => text.to_lowercase(),
            Datum::Bool(flag) => flag.to_string(),
            Datum::Number(number) => number.text.clone(),
            _ => String::new(),
        };
        let refuse =
            |fields: &mut Fields, findings: &mut Findings, message: String, label: &str, help: &str| {
                fields.refuse(findings, Code::FieldRefused, whole, message, label.into(), help.into());
            };
        match (key.as_str(), word.as_str()) {
            (known, _) if KEYS.contains(&known) && is_null(value) => {}
            ("num_bits", _) => match numbers::number(value, key, Conversion::Kept, findings)?.value {
                8.0 => part.bits = 8,
                4.0 => part.bits = 4,
                other => {
                    let message = format!("{other} bits are not supported");
                    refuse(fields, findings, message, "4 or 8", "write `num_bits: 8`");
                    return None;
                }
            },
            ("symmetric", "true" | "false") if matches!(value.datum(), Datum::Bool(_)) => {
                said = true;
                part.symmetric = word == "true";
            }
            ("symmetric", _) => {
                let message = "`symmetric` is true or false".into();
                refuse(fields, findings, message, "neither", "write `symmetric: true`");
                return None;
            }
            ("strategy", "channel") if !inputs => {
                value.used();
                part.channel = true;
            }
            // A group as wide as a row is a row.
            ("group_size", "-1") if !inputs => {
                value.used();
                part.channel = true;
            }
            ("strategy", "tensor") | ("type", "int") | ("dynamic" | "actorder", "false") => value.used(),
            ("strategy", "token") | ("dynamic", "true") if inputs => {
                value.used();
                if !std::mem::replace(&mut is_dynamic, true) {
                    dynamic(whole, findings);
                }
            }
            ("strategy" | "type" | "dynamic", _) => {
                refuse(
                    fields,
                    findings,
                    format!("`{key}: {word}` has no counterpart"),
                    "integers for a whole tensor or its outputs only",
                    "write `strategy: channel` for weights, `tensor` for inputs",
                );
                return None;
            }
            ("group_size" | "block_structure" | "actorder", _) => {
                refuse(
                    fields,
                    findings,
                    "groups of weights have no scale of their own here".into(),
                    "cannot be followed",
                    "write `strategy: channel`",
                );
                return None;
            }
            (known, _) if KEYS.contains(&known) => {
                value.noted();
                findings.push(
                    Diagnostic::advice(
                        Code::Dropped,
                        format!("`{key}` is left out"),
                        whole,
                        "the observer is a moving average of minimum and maximum",
                    )
                    .help("nothing needs to be done"),
                );
            }
            _ => {
                let message = format!("a part of a scheme has no `{key}`");
                let error = Diagnostic::error(Code::UnknownField, message, *at, "unknown");
                let given = |name: &str| entries.iter().any(|(k, ..)| k == name);
                let error = match nearest(key, KEYS).filter(|near| !given(near)) {
                    Some(near) => error.help(format!("did you mean `{near}`?")).fix(*at, near),
                    None => error.help("it has num_bits, symmetric and strategy"),
                };
                fields.report(findings, error);
                return None;
            }
        }
    }
    if !said && !untagged && !inputs {
        findings.push(
            Diagnostic::warning(
                Code::OtherwiseInSparseml,
                "without `symmetric` SparseML takes false here, though true where the whole part is left out",
                value.span,
                "false is taken",
            )
            .help("say `symmetric: true` if that is meant"),
        );
    }
    if !inputs && !part.symmetric {
        findings.push(
            Diagnostic::warning(
                Code::OtherwiseInSparseml,
                "weights are rounded around zero here, so that pruned ones stay exactly zero",
                value.span,
                "symmetric is written",
            )
            .help("say `symmetric: true` to have the same there"),
        );
        part.symmetric = true;
    }
    part.signed = !inputs || part.symmetric || part.bits != 8;
    Some(Some(part))
}
