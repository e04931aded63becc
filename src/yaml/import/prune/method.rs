//! Reads the pruning pattern, the ranking and the criterion.

use crate::diag::{Code, Diagnostic, Findings, Span, counted};
use crate::yaml::import::draft::Line;
use crate::yaml::import::select::{Select, Selected};
use crate::yaml::import::time::Timed;
use crate::yaml::recipe::datum::Misread;
use crate::yaml::recipe::numbers::{self, Conversion};
use crate::yaml::recipe::registry::Family;
use crate::yaml::recipe::{Datum, Located, Number};

use super::sparsity::Exception;

/// Reads `mask_type` as a pattern of an `.obert` recipe. `None` where a diagnostic was made.
pub(super) fn pattern(timed: &mut Timed, findings: &mut Findings) -> Option<String> {
    let f = &mut timed.fields;
    let field = f.named(&["mask_type", "mask_structure"]);
    let Some(value) = f.value(field).cloned() else { return Some("unstructured".into()) };
    let at = value.span;
    let help = "it is `unstructured`, `block4`, or `\"2:4\"` in quotes";
    match value.datum() {
        Datum::Text(text) => match text.as_str() {
            "unstructured" | "0:0" => return Some("unstructured".into()),
            "block4" => return Some("blocks(1, 4)".into()),
            "tensorrt" => return Some("n_of_m(2, 4)".into()),
            "filter" | "channel" => {
                f.refuse(
                    findings,
                    Code::FieldRefused,
                    at,
                    format!("`{text}` needs another modifier"),
                    "prunes structures, not single weights".into(),
                    "prune rows or columns with `pattern: rows` or `pattern: columns` in an `.obert` recipe"
                        .into(),
                );
                return None;
            }
            other => {
                let ratio = other.split_once(':').and_then(|(n, m)| {
                    Some((n.trim().parse::<usize>().ok()?, m.trim().parse::<usize>().ok()?))
                });
                if let Some((keep, of)) = ratio.filter(|(n, m)| *n > 0 && n < m) {
                    return Some(format!("n_of_m({keep}, {of})"));
                }
                f.refuse(
                    findings,
                    Code::FieldRange,
                    at,
                    format!("`{field}` cannot be `{other}`"),
                    "unknown".into(),
                    help.into(),
                );
            }
        },
        Datum::Number(number) => {
            let why = match value.misread {
                Some(Misread::Sexagesimal) => {
                    format!("YAML 1.1 reads this as the base-60 number {}", number.text)
                }
                _ => format!("`{field}` is a word, not the number {}", number.text),
            };
            let (keep, of) = ((number.value / 60.0).trunc(), number.value % 60.0);
            let ratio = format!("\"{keep}:{of}\"");
            f.report(
                findings,
                Diagnostic::error(Code::SurprisingScalar, why, at, "a colon between digits makes it base 60")
                    .help(format!("put it in quotes: `{ratio}`"))
                    .fix(at, ratio),
            );
            if value.misread == Some(Misread::Sexagesimal) && 0.0 < keep && keep < of {
                return Some(format!("n_of_m({keep}, {of})"));
            }
        }
        Datum::List(items) => {
            // NaN for items that are not numbers, which match no pattern below.
            let size = |i: &Located| if let Datum::Number(n) = i.datum() { n.value } else { f64::NAN };
            let sizes: Vec<f64> = items.iter().map(size).collect();
            match sizes.as_slice() {
                [1.0, inputs, rest @ ..]
                    if *inputs >= 1.0 && inputs.fract() == 0.0 && rest.iter().all(|r| *r == 1.0) =>
                {
                    return Some(format!("blocks(1, {inputs})"));
                }
                _ => f.refuse(
                    findings,
                    Code::FieldRefused,
                    at,
                    "only blocks within one output row are supported".into(),
                    "another shape".into(),
                    "as `[1, 4]`; SparseML uses consecutive weights for such a shape, not tiles".into(),
                ),
            }
        }
        other => {
            let message = format!("`{field}` is a word, not {}", other.described());
            f.refuse(findings, Code::FieldType, at, message, "here".into(), help.into());
        }
    }
    None
}

/// Reports a final sparsity other than that of an N:M pattern.
pub(super) fn fits_sparsity(timed: &mut Timed, pattern: Option<&str>, findings: &mut Findings) {
    let ratio = pattern.and_then(|p| p.strip_prefix("n_of_m(")?.strip_suffix(')')?.split_once(", "));
    let numbers = ratio.and_then(|(keep, of)| Some((keep.parse::<f64>().ok()?, of.parse::<f64>().ok()?)));
    let (Some((keep, of)), Some(Datum::Number(last))) =
        (numbers, timed.fields.peek("final_sparsity").map(Located::peek))
    else {
        return;
    };
    let sparsity = 1.0 - keep / of;
    if (last.value - sparsity).abs() > 1e-9 {
        let message = format!("a {keep}:{of} pattern has a sparsity of {sparsity}, not {}", last.text);
        let at = timed.fields.value_place("final_sparsity");
        let error = Diagnostic::error(Code::PatternDoesNotFit, message, at, "another sparsity")
            .help(format!("write `final_sparsity: {sparsity}`"))
            .fix(at, sparsity.to_string());
        timed.fields.report(findings, error);
    }
}

/// Reads the ranking: `global` if all parameters are ranked together, or `layer`.
pub(super) fn rank(
    timed: &mut Timed,
    exceptions: &Option<Vec<Exception>>,
    findings: &mut Findings,
) -> &'static str {
    let family = timed.fields.known.family;
    let field = timed.fields.named(&["global_sparsity", "apply_globally"]);
    let default = matches!(family, Family::Obs | Family::Magnitude { global: true });
    let global = timed.fields.flag(field, default, findings);
    if field == "apply_globally" && global {
        findings.push(
            Diagnostic::advice(
                Code::OtherwiseInSparseml,
                "SparseML has the field `apply_globally` but does not implement it",
                timed.fields.place(field),
                "all parameters are ranked together here",
            )
            .help("no change is needed"),
        );
    }
    if global && exceptions.as_ref().is_some_and(|e| e.len() > 1) {
        let at = timed.fields.place("final_sparsity");
        let message = "a global ranking has one final sparsity";
        let error = Diagnostic::error(Code::FieldRefused, message, at, "several sparsities")
            .help("write `global_sparsity: false`, or give all the same sparsity");
        let error = match timed.fields.has(field) {
            true => error.fix(timed.fields.value_place(field), "false"),
            false => timed.fields.modifier.suggest_field(error, "global_sparsity: false"),
        };
        timed.fields.report(findings, error);
    }
    if global { "global" } else { "layer" }
}

/// Reads the criterion, and writes the `by:` line. `None` where a diagnostic was made.
pub(super) fn criterion(
    timed: &mut Timed,
    select: &Select,
    selected: Option<&Selected>,
    pattern: Option<&str>,
    findings: &mut Findings,
) -> Option<Line> {
    let f = &mut timed.fields;
    match f.known.family {
        Family::Obs => {}
        Family::Movement => return Some(Line::of("by: movement", f.modifier.at)),
        Family::Gm => {
            if f.flag("phased", false, findings) {
                let at = f.place("phased");
                f.refuse(
                    findings,
                    Code::FieldRefused,
                    at,
                    "phased pruning restores pruned weights between phases".into(),
                    "pruned weights are never restored here".into(),
                    "remove `phased`".into(),
                );
            }
            if let Some((score, at)) = f.text("score_type", findings)
                && score != "magnitude"
            {
                let instead = match score.as_str() {
                    "movement" => "use MovementPruningModifier",
                    _ => "use the modifier of that criterion, such as OBSPruningModifier",
                };
                f.refuse(
                    findings,
                    Code::FieldRefused,
                    at,
                    format!("`score_type` cannot be `{score}`"),
                    "SparseML refuses it too".into(),
                    instead.into(),
                );
            }
            return Some(Line::of("by: magnitude", f.modifier.at));
        }
        _ => return Some(Line::of("by: magnitude", f.modifier.at)),
    }
    let gradients = f.count("num_grads", findings);
    let damp = f.number_in("damp", Conversion::Converted, |n| n > 0.0, "above 0", findings);
    let block = f.count("fisher_block_size", findings);
    let recompute = f.count("num_recomputations", findings);
    let batch = sampler(timed, findings);
    let f = &mut timed.fields;
    if f.broken {
        return None;
    }
    if !f.has("fisher_block_size") {
        findings.push(
            Diagnostic::warning(
                Code::OtherwiseInSparseml,
                "without `fisher_block_size` SparseML uses 1, although its documentation says 50",
                f.modifier.at,
                "imported as 1",
            )
            .help("the paper uses `fisher_block_size: 50`, or 32 for block4"),
        );
    }
    let block = block.unwrap_or_else(|| Number::computed(1.0, true));
    if pattern == Some("blocks(1, 4)") && block.value % 4.0 == 0.0 {
        let names = selected.map_or(&[][..], |s| s.names.as_slice());
        let unfit = select
            .model
            .table
            .into_iter()
            .flat_map(|t| t.iter())
            .find(|p| names.contains(&p.name) && p.count() as f64 % block.value != 0.0);
        if let Some(unfit) = unfit {
            let at = f.place("fisher_block_size");
            f.refuse(
                findings,
                Code::FieldRange,
                at,
                format!(
                    "the {} of `{}` cannot be divided into Fisher blocks of {}",
                    counted(unfit.count(), "weight", "weights"),
                    unfit.name,
                    block.text
                ),
                "SparseML refuses this for block4".into(),
                "choose a block size that divides them, such as 32".into(),
            );
            return None;
        }
    }
    let text = |n: Option<Number>, default: &str| n.map_or(default.to_owned(), |n| n.text);
    let mut line = Line::of("by: obs(", f.modifier.at)
        .and(format!("gradients: {}", text(gradients, "1024")), f.place("num_grads"))
        .and(format!(", block: {}", block.text), f.place("fisher_block_size"))
        .and(format!(", damp: {}", text(damp, "1e-7")), f.place("damp"));
    if let Some((batch, at)) = batch {
        line = line.and(format!(", batch: {batch}"), at);
    }
    if let Some(recompute) = recompute.filter(|n| n.value > 1.0) {
        line = line.and(format!(", recompute: {}", recompute.text), f.place("num_recomputations"));
    }
    Some(line.and(", update: independent)", f.modifier.at))
}

/// Reads the batch size of the gradient sampler, and where it is written.
fn sampler(timed: &mut Timed, findings: &mut Findings) -> Option<(String, Span)> {
    let value = timed.fields.value("grad_sampler_kwargs")?.clone();
    let Datum::Map(entries) = value.datum() else {
        timed.fields.refuse(
            findings,
            Code::FieldType,
            value.span,
            "`grad_sampler_kwargs` is a mapping".into(),
            "here".into(),
            "as `{batch_size: 8}`".into(),
        );
        return None;
    };
    let mut batch = None;
    for (key, at, value) in entries.clone() {
        if key != "batch_size" {
            value.noted();
            let message = format!("`{key}` of the gradient sampler is left out");
            let diagnostic = Diagnostic::advice(Code::Dropped, message, at, "left out");
            findings.push(diagnostic.help("the gradient sampler has only a batch size here"));
            continue;
        }
        let number = numbers::number(&value, "batch_size", Conversion::Kept, findings);
        match number.filter(|n| n.value >= 1.0 && n.value.fract() == 0.0 && n.value < 1e6) {
            Some(number) => batch = Some((Number::computed(number.value, true).text, at.to(value.place))),
            None => timed.fields.refuse(
                findings,
                Code::FieldRange,
                value.span,
                "`batch_size` must be a whole number above zero".into(),
                "this is not".into(),
                "as `batch_size: 8`".into(),
            ),
        }
    }
    batch
}
