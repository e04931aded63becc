//! Translates quantization modifiers of all forms: SparseML's newer quantizer ([`newer`]), its legacy
//! quantizer ([`legacy`]), and the groups and presets of llm-compressor ([`groups`]).
//!
//! Each form gives every linear layer and embedding table a quantization [`scheme`]; layers with the
//! same scheme become one `quantize` statement ([`layers`]). [`names`] checks the names of layers.

mod groups;
mod layers;
mod legacy;
mod names;
mod newer;
mod scheme;

use crate::diag::{Code, Diagnostic, Findings};
use crate::yaml::recipe::Number;
use crate::yaml::recipe::field_tables::LEGACY_QUANTIZATION;
use crate::yaml::recipe::numbers::Conversion;

use super::draft::{Draft, Epochs, Line, Order};
use super::select::Select;
use super::time::{Timed, epochs, in_epochs};
use layers::Quantized;

/// The default number of calibration batches of llm-compressor.
const DEFAULT_CALIBRATION: &str = "512";

/// Translates a quantization modifier of any form.
pub(super) fn quantize(
    draft: &mut Draft,
    timed: &mut Timed,
    select: &Select,
    length: Epochs,
    findings: &mut Findings,
) {
    times(timed, findings);
    shared_fields(timed, findings);
    let at = timed.fields.modifier.at;
    if select.model.table.is_none() {
        timed.fields.refuse(
            findings,
            Code::FieldRefused,
            at,
            "the layers to quantize depend on the model".into(),
            "the model is not known".into(),
            "give it with `--model DIR`".into(),
        );
        return;
    }
    let legacy = LEGACY_QUANTIZATION.iter().copied().find(|f| timed.fields.has(f));
    let grouped = timed.fields.modifier.untagged && groups::is_llm_compressor(&timed.fields);
    let quantized = match legacy {
        Some(field) => {
            if let Some(newer) =
                ["scheme", "scheme_overrides", "ignore"].into_iter().find(|f| timed.fields.has(f))
            {
                let at = timed.fields.place(newer);
                timed.fields.refuse(
                    findings,
                    Code::FieldRefused,
                    at,
                    format!("`{newer}` and `{field}` belong to two quantizers"),
                    "a field of the newer quantizer".into(),
                    format!("`{field}` selects the legacy quantizer; keep the fields of one of the two"),
                );
            }
            legacy::legacy(timed, select, findings)
        }
        None if grouped => groups::grouped(timed, select, findings),
        None => newer::newer(timed, select, findings),
    };
    let (Some(quantized), false) = (quantized, timed.fields.broken) else { return };
    if quantized.groups.iter().all(|r| r.names.is_empty()) {
        timed.fields.refuse(
            findings,
            Code::MatchesNothing,
            at,
            "no layer is left to quantize".into(),
            "every layer is ignored".into(),
            "remove entries from `ignore`".into(),
        );
        return;
    }
    write(draft, timed, select, length, quantized, findings);
}

/// Checks the window and the epoch at which the observers stop.
fn times(timed: &mut Timed, findings: &mut Findings) {
    if timed.end.is_some() {
        let at = timed.end_at();
        timed.fields.refuse(
            findings,
            Code::FieldRange,
            at,
            "quantization cannot end".into(),
            "must be -1".into(),
            "remove the end; the model stays quantized".into(),
        );
    }
    let start = timed.from();
    let field = "disable_quantization_observer_epoch";
    let freeze = timed.fields.number(field, Conversion::Converted, findings);
    if let Some(freeze) = freeze.filter(|f| f.value < start) {
        let at = timed.fields.value_place(field);
        let start_at = timed.start_at();
        timed.fields.broken = true;
        findings.push(
            Diagnostic::error(
                Code::FieldRange,
                "observers stop before quantization starts",
                at,
                format!("stops at {}", freeze.text),
            )
            .and_at(start_at, format!("starts at {}", epochs(&Number::computed(start, false))))
            .help("let the observers run for one epoch or more"),
        );
    }
}

/// Reports the fields that have no effect or no counterpart.
fn shared_fields(timed: &mut Timed, findings: &mut Findings) {
    let f = &mut timed.fields;
    f.dropped("freeze_bn_stats_epoch", "a BERT has no batch normalization", findings);
    f.dropped("exclude_batchnorm", "a BERT has no batch normalization", findings);
    f.dropped("quantize_conv_activations", "a BERT has no convolutions", findings);
    f.dropped("model_fuse_fn_name", "modules are not fused before quantization here", findings);
    f.dropped("model_fuse_fn_kwargs", "modules are not fused before quantization here", findings);
    f.dropped("strict", "names are always checked against the model", findings);
    f.dropped(
        "custom_quantizable_module_types",
        "only linear layers and embedding tables are quantized",
        findings,
    );
    f.dropped("reduce_range", "the runtime uses all 8 bits", findings);
    f.dropped("update", "SparseML does not use it", findings);
    for field in ["observer", "weight_observer", "input_observer", "output_observer"] {
        f.dropped(field, "the observer is a moving average of minimum and maximum", findings);
    }
    f.dropped("bypass_divisibility_checks", "weights have no group-wise scales here", findings);
    f.flag("post_oneshot_calibration", false, findings);
    f.dropped("post_oneshot_calibration", "calibration runs once, after pruning", findings);
    for field in ["activation_qconfig_kwargs", "weight_qconfig_kwargs", "kv_cache_scheme"] {
        if f.value(field).is_some() {
            let at = f.place(field);
            f.refuse(
                findings,
                Code::FieldRefused,
                at,
                format!("`{field}` has no counterpart"),
                "cannot be followed".into(),
                "remove it, or write the scheme in `scheme`".into(),
            );
        }
    }
}

/// Writes one `quantize` statement for each group of layers.
fn write(
    draft: &mut Draft,
    timed: &mut Timed,
    select: &Select,
    length: Epochs,
    quantized: Quantized,
    findings: &mut Findings,
) {
    let start = timed.from();
    let f = &mut timed.fields;
    let calibrate = f.number_in(
        "num_calibration_steps",
        Conversion::Kept,
        |n| n >= 0.0 && n.fract() == 0.0 && n < 1e9,
        "a whole number",
        findings,
    );
    let freeze = f.value("disable_quantization_observer_epoch").is_some();
    let freeze = freeze
        .then(|| f.number("disable_quantization_observer_epoch", Conversion::Kept, &mut Findings::new()))
        .flatten();
    if f.broken {
        return;
    }
    for group in quantized.groups.iter().filter(|r| !r.names.is_empty()) {
        let f = &timed.fields;
        let mut head =
            Line::of("quantize ", f.modifier.at).and(select.describe(&group.names, draft), group.at);
        head.fields.extend([timed.start_at(), timed.end_at()]);
        if start > 0.0
            && let Some(over) = timed.over(length)
        {
            head = head.and(over, timed.start_at());
        }
        let mut body = vec![
            Line::of(format!("weights: {}", group.weights), group.at),
            Line::of(format!("activations: {}", group.activations), group.at),
        ];
        if let Some(freeze) = &freeze {
            let zero = Number::computed(0.0, true);
            let after = freeze.minus(timed.start.as_ref().unwrap_or(&zero));
            body.push(Line::of(
                format!("freeze: after {}", in_epochs(&after)),
                f.place("disable_quantization_observer_epoch"),
            ));
        }
        match &calibrate {
            Some(n) if n.value > 0.0 => {
                body.push(Line::of(format!("calibrate: {}", n.value), f.place("num_calibration_steps")))
            }
            None if length.count == 0 => {
                findings.push(
                    Diagnostic::warning(
                        Code::Assumed,
                        "post-training quantization needs calibration batches",
                        f.modifier.at,
                        format!("{DEFAULT_CALIBRATION} batches are assumed"),
                    )
                    .help("set the number with `num_calibration_steps`"),
                );
                body.push(Line::of(format!("calibrate: {DEFAULT_CALIBRATION}"), f.modifier.at));
            }
            _ => {}
        }
        if !quantized.attention {
            body.push(Line::of("attention: false", group.at));
        }
        draft.add(Order::Quantize, head, Some(body));
    }
}
