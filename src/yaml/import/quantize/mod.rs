//! Rounding to few bits, in all four forms: SparseML's newer and older quantizer, and the groups
//! and presets of llm-compressor.
//!
//! Each form says for every linear layer and embedding table how it is rounded, as a [`Rounding`];
//! layers rounded alike become one statement. [`scheme`] reads schemes, [`chosen`] decides who is
//! rounded how.

mod chosen;
mod scheme;

use crate::diag::{Code, Diagnostic, Findings};
use crate::yaml::recipe::Number;
use crate::yaml::recipe::numbers::Conversion;
use crate::yaml::recipe::registry::LEGACY_QUANTIZATION;

use super::draft::{Draft, Epochs, Line, Order};
use super::select::Select;
use super::time::{Timed, epochs};
use chosen::Chosen;

/// Batches that llm-compressor observes unless told otherwise.
const USUAL_CALIBRATION: &str = "512";

/// Any quantization modifier.
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
    if select.table().is_none() {
        timed.fields.refuse(
            findings,
            Code::FieldRefused,
            at,
            "which layers are rounded depends on the model".into(),
            "the model is not known".into(),
            "give it with `--model DIR`".into(),
        );
        return;
    }
    let legacy = LEGACY_QUANTIZATION.iter().copied().find(|f| timed.fields.has(f));
    let grouped = timed.fields.modifier.untagged && chosen::is_grouped(&timed.fields);
    let chosen = match legacy {
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
                    "the newer one's".into(),
                    format!("`{field}` selects the older one; keep the fields of one"),
                );
            }
            chosen::older(timed, select, findings)
        }
        None if grouped => chosen::grouped(timed, select, findings),
        None => chosen::newer(timed, select, findings),
    };
    let (Some(chosen), false) = (chosen, timed.fields.broken) else { return };
    if chosen.roundings.iter().all(|r| r.names.is_empty()) {
        timed.fields.refuse(
            findings,
            Code::MatchesNothing,
            at,
            "nothing is left to quantize".into(),
            "everything is ignored".into(),
            "ignore less".into(),
        );
        return;
    }
    write(draft, timed, select, length, chosen, findings);
}

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
            .help("let them observe for an epoch or more"),
        );
    }
}

fn shared_fields(timed: &mut Timed, findings: &mut Findings) {
    let f = &mut timed.fields;
    f.dropped("freeze_bn_stats_epoch", "a BERT has no batch normalisation", findings);
    f.dropped("exclude_batchnorm", "a BERT has no batch normalisation", findings);
    f.dropped("quantize_conv_activations", "a BERT has no convolutions", findings);
    f.dropped("model_fuse_fn_name", "nothing is fused here", findings);
    f.dropped("model_fuse_fn_kwargs", "nothing is fused here", findings);
    f.dropped("strict", "names are compared with the model's before the run", findings);
    f.dropped(
        "custom_quantizable_module_types",
        "only linear layers and embedding tables are rounded",
        findings,
    );
    f.dropped("reduce_range", "the runtime here uses all 8 bits", findings);
    f.dropped("update", "SparseML does not ask for it", findings);
    for field in ["observer", "weight_observer", "input_observer", "output_observer"] {
        f.dropped(field, "ranges are observed as a moving average of minimum and maximum", findings);
    }
    f.dropped("bypass_divisibility_checks", "there are no groups of weights here", findings);
    f.flag("post_oneshot_calibration", false, findings);
    f.dropped("post_oneshot_calibration", "ranges are observed once, after pruning", findings);
    for field in ["activation_qconfig_kwargs", "weight_qconfig_kwargs", "kv_cache_scheme"] {
        if f.value(field).is_some() {
            let at = f.place(field);
            f.refuse(
                findings,
                Code::FieldRefused,
                at,
                format!("`{field}` has no counterpart"),
                "cannot be followed".into(),
                "remove it, or write the scheme with `scheme`".into(),
            );
        }
    }
}

fn write(
    draft: &mut Draft,
    timed: &mut Timed,
    select: &Select,
    length: Epochs,
    chosen: Chosen,
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
    for rounding in chosen.roundings.iter().filter(|r| !r.names.is_empty()) {
        let f = &timed.fields;
        let mut head =
            Line::of("quantize ", f.modifier.at).and(select.describe(&rounding.names, draft), rounding.at);
        head.fields.extend([timed.start_at(), timed.end_at()]);
        if start > 0.0
            && let Some(over) = timed.over(length)
        {
            head = head.and(over, timed.start_at());
        }
        let mut body = vec![
            Line::of(format!("weights: {}", rounding.weights), rounding.at),
            Line::of(format!("activations: {}", rounding.activations), rounding.at),
        ];
        if let Some(freeze) = &freeze {
            let zero = Number::computed(0.0, true);
            let after = freeze.minus(timed.start.as_ref().unwrap_or(&zero));
            let plural = if after.value == 1.0 { "" } else { "s" };
            body.push(Line::of(
                format!("freeze: after {} epoch{plural}", epochs(&after)),
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
                        "without training, ranges must be observed first",
                        f.modifier.at,
                        format!("{USUAL_CALIBRATION} batches are assumed"),
                    )
                    .help("say how many with `num_calibration_steps`"),
                );
                body.push(Line::of(format!("calibrate: {USUAL_CALIBRATION}"), f.modifier.at));
            }
            _ => {}
        }
        if !chosen.attention {
            body.push(Line::of("attention: false", rounding.at));
        }
        draft.add(Order::Quantize, head, Some(body));
    }
}
