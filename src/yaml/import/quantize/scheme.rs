//! Reads quantization schemes: number of bits, symmetry and granularity of weights and inputs.

use crate::diag::{Code, Diagnostic, Findings, Span, counted, nearest};
use crate::yaml::recipe::numbers::{self, Conversion};
use crate::yaml::recipe::{Datum, Fields, Located};

/// How the weights and the inputs of a layer are quantized; `None` for not quantized.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scheme {
    pub(super) weights: Option<Part>,
    pub(super) inputs: Option<Part>,
}

/// How a tensor is quantized.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Part {
    pub(super) bits: u8,
    pub(super) symmetric: bool,
    /// One scale for each output channel; otherwise one for the tensor.
    pub(super) channel: bool,
    /// Whether the integers are signed.
    pub(super) signed: bool,
}

/// Signed and unsigned asymmetric quantization have the same levels, with a shifted zero point. An `.obert`
/// recipe writes the unsigned one.
const INPUTS: Part = Part { bits: 8, symmetric: false, channel: false, signed: false };
const EIGHT: Part = Part { bits: 8, symmetric: true, channel: false, signed: true };

impl Scheme {
    /// SparseML's default.
    pub(super) const DEFAULT: Scheme = Scheme { weights: Some(EIGHT), inputs: Some(INPUTS) };
}

impl Part {
    /// The scheme as an `.obert` recipe writes it.
    pub(super) fn text(self) -> String {
        let name = format!("{}int{}", if self.signed { "" } else { "u" }, self.bits);
        let zero = if self.symmetric { "symmetric" } else { "asymmetric" };
        let per = if self.channel { ", per: channel" } else { "" };
        format!("{name}({zero}{per})")
    }
}

/// Reads a scheme, which is the name of a preset or a mapping. `None` where a diagnostic was made.
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

/// Finds a scheme by the name of its preset. `None` where a diagnostic was made.
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
            let help = "use W8A8, W8A16 or a mapping with `num_bits`, `symmetric` and `strategy`";
            fields.refuse(
                findings,
                Code::FieldRefused,
                at,
                format!("the scheme `{name}` has no counterpart"),
                "not INT8 or INT4 with one scale for each tensor or output channel".into(),
                help.into(),
            );
            None
        }
    }
}

/// Warns that dynamic quantization is imported as static.
fn dynamic(at: Span, findings: &mut Findings) {
    findings.push(
        Diagnostic::warning(
            Code::OtherwiseInSparseml,
            "this quantizes inputs dynamically, with a scale for each token",
            at,
            "imported as static quantization with one calibrated scale",
        )
        .help("set the number of calibration batches with `num_calibration_steps`"),
    );
}

/// Reads the parts of a scheme; those that are not given have SparseML's defaults.
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
                let message = "only the inputs of layers are quantized, not their outputs".to_owned();
                fields.refuse(
                    findings,
                    Code::FieldRefused,
                    at.to(value.place),
                    message,
                    "not supported".into(),
                    "remove it: the next layer quantizes its input".into(),
                );
                return None;
            }
            // The targets of a group were read with the group.
            "targets" if fields.modifier.untagged => {}
            "output_activations" | "target_hardware" | "targets" | "format" => {
                if !value.is_null() {
                    value.noted();
                    findings.push(
                        Diagnostic::advice(
                            Code::Dropped,
                            format!("`{key}` is left out"),
                            at.to(value.place),
                            "a scheme has weights and inputs here",
                        )
                        .help("no change is needed"),
                    );
                }
            }
            _ => {
                let message = format!("a scheme has no part `{key}`");
                let label = "SparseML ignores it, and takes the default";
                let error = Diagnostic::error(Code::UnknownField, message, *at, label);
                let given = |name: &str| entries.iter().any(|(k, ..)| k == name);
                let near = nearest(key, PARTS).filter(|near| !given(near));
                let parts = || "it has weights, input_activations and output_activations".to_owned();
                fields.report(findings, error.did_you_mean(*at, near, parts));
                return None;
            }
        }
    }
    Some(scheme)
}

/// Whether a value is null, or a text for it; if so, it is marked as read.
fn is_null(value: &Located) -> bool {
    let null = matches!(value.peek(), Datum::Null)
        || matches!(value.peek(), Datum::Text(t) if ["null", "None", "none"].contains(&t.as_str()));
    if null {
        value.used();
    }
    null
}

/// Reads one part of a scheme: `Some(None)` for a part that is not quantized. `None` where a diagnostic was made.
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
    // The default of `symmetric` is false in SparseML and true in llm-compressor.
    let mut part = Part { bits: 8, symmetric: untagged, channel: false, signed: true };
    let (mut symmetric_given, mut is_dynamic) = (false, false);
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
                    let message = counted(other, "bit is not supported", "bits are not supported");
                    refuse(fields, findings, message, "4 or 8", "write `num_bits: 8`");
                    return None;
                }
            },
            ("symmetric", "true" | "false") if matches!(value.datum(), Datum::Bool(_)) => {
                symmetric_given = true;
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
            // llm-compressor writes a group as wide as the row, which is per-channel quantization, as -1.
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
                    "static integer quantization per tensor or per output channel only",
                    "write `strategy: channel` for weights, `tensor` for inputs",
                );
                return None;
            }
            ("group_size" | "block_structure" | "actorder", _) => {
                refuse(
                    fields,
                    findings,
                    "group-wise quantization is not supported".into(),
                    "not supported",
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
                    .help("no change is needed"),
                );
            }
            _ => {
                let message = format!("a part of a scheme has no `{key}`");
                let error = Diagnostic::error(Code::UnknownField, message, *at, "unknown");
                let given = |name: &str| entries.iter().any(|(k, ..)| k == name);
                let near = nearest(key, KEYS).filter(|near| !given(near));
                let keys = || "it has num_bits, symmetric and strategy".to_owned();
                fields.report(findings, error.did_you_mean(*at, near, keys));
                return None;
            }
        }
    }
    if !symmetric_given && !untagged && !inputs {
        findings.push(
            Diagnostic::warning(
                Code::OtherwiseInSparseml,
                "where `symmetric` is not given, SparseML takes false; without `weights:` altogether, it takes true",
                value.span,
                "read as false",
            )
            .help("set `symmetric: true` for symmetric quantization"),
        );
    }
    if !inputs && !part.symmetric {
        findings.push(
            Diagnostic::warning(
                Code::OtherwiseInSparseml,
                "weights are always quantized symmetrically here, so that pruned weights stay exactly zero",
                value.span,
                "imported as symmetric",
            )
            .help("set `symmetric: true` to have the same in SparseML"),
        );
        part.symmetric = true;
    }
    part.signed = !inputs || part.symmetric || part.bits != 8;
    Some(Some(part))
}
