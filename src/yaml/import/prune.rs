//! Pruning, gradual and constant.

use crate::diag::{Code, Diagnostic, Findings, Span};
use crate::schedule::Rational;
use crate::yaml::recipe::fields::{self, Conversion};
use crate::yaml::recipe::registry::Family;
use crate::yaml::recipe::{Datum, Number};

use super::draft::{Draft, Epochs, Line, Order};
use super::select::{Select, Selected};
use super::time::{Timed, epochs};

/// Shapes of a rising sparsity.
const SHAPES: [&str; 3] = ["linear", "cubic", "inverse_cubic"];

/// A gradual pruner.
pub(super) fn gradual(
    draft: &mut Draft,
    timed: &mut Timed,
    select: &Select,
    length: Epochs,
    findings: &mut Findings,
) {
    let sparsity = sparsities(timed, findings);
    let exceptions = exceptions(timed, select, draft, findings);
    let params = timed.fields.named(&["params", "targets"]);
    let selected = match &exceptions {
        Some(list) if !list.is_empty() => every(list, timed, params, findings),
        _ => select.of(params, &mut timed.fields, true, draft, findings),
    };
    let pattern = pattern(timed, findings);
    let rank = rank(timed, &exceptions, findings);
    let by = criterion(timed, select, selected.as_ref(), pattern.as_deref(), findings);
    let shape = shape(timed, findings);
    let every = frequency(timed, findings);
    common(timed, findings);
    ends(timed, length, findings);
    let f = &timed.fields;
    let (Some(sparsity), Some(selected), Some(pattern), Some(by), Some(shape), Some(every), false) =
        (sparsity, selected, pattern, by, shape, every, f.broken)
    else {
        return;
    };
    let (from, to) = match &exceptions {
        Some(list) if !list.is_empty() => (sparsity.0, Some(list[0].sparsity.clone())),
        _ => sparsity,
    };
    let Some(to) = to else { return };
    let end = timed.end.as_ref().map_or(length.count.to_string(), epochs);
    let start = timed.start.as_ref().map_or("0".to_owned(), epochs);
    let head = Line::of("prune ", f.modifier.at)
        .and(selected.text, f.place(params))
        .and(" over ", f.modifier.at)
        .and(format!("{start}.."), timed.start_at())
        .and(format!("{end} epochs"), timed.end_at())
        .and(format!(" every {}", every.0), every.1);
    let ramp = |to: &Number| format!("{} -> {} {shape}", percent(&from), percent(to));
    let mut body = vec![
        by,
        Line::of("sparsity: ", f.place("final_sparsity"))
            .and(ramp(&to), f.place("init_sparsity"))
            .and("", f.place(f.named(&["inter_func", "update_scheduler"]))),
        Line::of(format!("pattern: {pattern}"), f.place(f.named(&["mask_type", "mask_structure"]))),
        Line::of(format!("rank: {rank}"), f.place(f.named(&["global_sparsity", "apply_globally"]))),
    ];
    for exception in exceptions.iter().flatten().skip(1) {
        body.push(Line::of(
            format!("target {}: {}", exception.selected.text, percent(&exception.sparsity)),
            exception.at,
        ));
    }
    draft.add(Order::Prune, head, Some(body));
}

/// A final sparsity of its own for some parameters.
struct Exception {
    selected: Selected,
    sparsity: Number,
    at: Span,
}

/// The first and the last sparsity; the last is `None` where there is a mapping of several.
fn sparsities(timed: &mut Timed, findings: &mut Findings) -> Option<(Number, Option<Number>)> {
    let f = &mut timed.fields;
    if let Some(Datum::Text(word)) = f.value("init_sparsity").map(|v| &v.datum)
        && word == "__FROM_PARAM__"
    {
        let at = f.value_place("init_sparsity");
        f.refuse(
            findings,
            Code::FieldRefused,
            at,
            "a ramp starts at one known sparsity".into(),
            "each parameter's own".into(),
            "write the sparsity that the model has, such as `0.0` for a dense one".into(),
        );
    }
    let several = matches!(f.value("final_sparsity").map(|v| &v.datum), Some(Datum::Map(_)));
    let word = f.broken && matches!(f.value("init_sparsity").map(|v| &v.datum), Some(Datum::Text(_)));
    let from = if word {
        None
    } else {
        f.number_in("init_sparsity", Conversion::Kept, |n| (0.0..=1.0).contains(&n), "from 0 to 1", findings)
    };
    let to = if several {
        None
    } else {
        f.number_in(
            "final_sparsity",
            Conversion::Kept,
            |n| n > 0.0 && n < 1.0,
            "above 0 and below 1",
            findings,
        )
    };
    (several || to.is_some()).then_some((from?, to))
}

/// `final_sparsity` as a mapping from sparsities to patterns, highest sparsity first.
fn exceptions(
    timed: &mut Timed,
    select: &Select,
    draft: &mut Draft,
    findings: &mut Findings,
) -> Option<Vec<Exception>> {
    let Some(Datum::Map(entries)) = timed.fields.value("final_sparsity").map(|v| v.datum.clone()) else {
        return Some(Vec::new());
    };
    let mut list = Vec::new();
    for (key, at, value) in entries {
        let sparsity = fields::number(
            &crate::yaml::recipe::datum::scalar(&key, true, at),
            "final_sparsity",
            Conversion::Kept,
            findings,
        );
        let Some(sparsity) = sparsity.filter(|n| n.value > 0.0 && n.value < 1.0) else {
            timed.fields.refuse(
                findings,
                Code::FieldRange,
                at,
                "a sparsity must be above 0 and below 1".into(),
                "this is not".into(),
                "as `0.8: [\"re:…\"]`".into(),
            );
            continue;
        };
        let patterns: Vec<(String, Span)> = match &value.datum {
            Datum::List(items) => items
                .iter()
                .filter_map(|i| if let Datum::Text(t) = &i.datum { Some((t.clone(), i.span)) } else { None })
                .collect(),
            _ => Vec::new(),
        };
        if patterns.is_empty() {
            timed.fields.refuse(
                findings,
                Code::FieldType,
                value.span,
                "a sparsity needs a list of parameters".into(),
                "no list".into(),
                "as `0.8: [\"re:…\"]`".into(),
            );
            continue;
        }
        let selected = select.of_list(&patterns, value.span, &mut timed.fields, true, draft, findings)?;
        list.push(Exception { selected, sparsity, at: at.to(value.span) });
    }
    list.sort_by(|a, b| b.sparsity.value.total_cmp(&a.sparsity.value));
    for (i, high) in list.iter().enumerate() {
        for low in &list[i + 1..] {
            if let Some(shared) = high.selected.names.iter().find(|n| low.selected.names.contains(n)) {
                timed.fields.broken = true;
                findings.push(
                    Diagnostic::error(
                        Code::FieldRefused,
                        format!("`{shared}` has two final sparsities"),
                        high.at,
                        "in here",
                    )
                    .and_at(low.at, "and in here; SparseML takes the lower")
                    .help("let each parameter stand under one sparsity"),
                );
            }
        }
    }
    Some(list)
}

/// All parameters of a mapping together.
fn every(list: &[Exception], timed: &mut Timed, params: &str, findings: &mut Findings) -> Option<Selected> {
    if let Some(Datum::List(items)) = timed.fields.value(params).map(|v| &v.datum)
        && !items.is_empty()
    {
        let at = timed.fields.place(params);
        timed.fields.refuse(
            findings,
            Code::FieldRefused,
            at,
            "`params` must be empty where `final_sparsity` names the parameters".into(),
            "given too".into(),
            "write `params: []`".into(),
        );
        return None;
    }
    let texts: Vec<&str> = list.iter().map(|e| e.selected.text.as_str()).collect();
    let names = list.iter().flat_map(|e| e.selected.names.clone()).collect();
    Some(Selected {
        text: if texts.len() == 1 { texts[0].to_owned() } else { format!("[{}]", texts.join(", ")) },
        names,
    })
}

fn pattern(timed: &mut Timed, findings: &mut Findings) -> Option<String> {
    let f = &mut timed.fields;
    let field = f.named(&["mask_type", "mask_structure"]);
    let Some(value) = f.value(field).cloned() else { return Some("unstructured".into()) };
    let at = value.span;
    let help = "it is `unstructured`, `block4`, or `\"2:4\"` in quotes";
    match &value.datum {
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
                    "not of single weights".into(),
                    "prune whole rows or columns with `pattern: rows` in the language".into(),
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
            let why = match value.trap {
                Some(crate::yaml::recipe::datum::Trap::Sexagesimal) => {
                    format!("YAML 1.1 reads this as the base-60 number {}", number.text)
                }
                _ => format!("`{field}` is a word, not the number {}", number.text),
            };
            f.refuse(
                findings,
                Code::SurprisingScalar,
                at,
                why,
                "a colon between digits makes it base 60".into(),
                "put it in quotes: `\"2:4\"`".into(),
            );
        }
        Datum::List(items) => {
            let sizes: Vec<f64> = items
                .iter()
                .filter_map(|i| if let Datum::Number(n) = &i.datum { Some(n.value) } else { None })
                .collect();
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
                    "only blocks of one output are known".into(),
                    "another block".into(),
                    "as `[1, 4]`; SparseML itself takes consecutive weights here, not tiles".into(),
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

fn rank(timed: &mut Timed, exceptions: &Option<Vec<Exception>>, findings: &mut Findings) -> &'static str {
    let family = timed.fields.known.family;
    let field = timed.fields.named(&["global_sparsity", "apply_globally"]);
    let default = matches!(family, Family::Obs | Family::Magnitude { global: true });
    let global = timed.fields.flag(field, default, findings);
    if field == "apply_globally" && global {
        findings.push(
            Diagnostic::advice(
                Code::OtherwiseInSparseml,
                "SparseML has `apply_globally` but not what it asks for",
                timed.fields.place(field),
                "all parameters are ranked together here",
            )
            .help("nothing needs to be done"),
        );
    }
    if global && exceptions.as_ref().is_some_and(|e| e.len() > 1) {
        let at = timed.fields.place("final_sparsity");
        timed.fields.refuse(
            findings,
            Code::FieldRefused,
            at,
            "several sparsities cannot be reached by one ranking of all parameters".into(),
            "more than one".into(),
            "add `global_sparsity: false`, or give all the same sparsity".into(),
        );
    }
    if global { "global" } else { "layer" }
}

fn criterion(
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
                    "phased pruning frees pruned weights again".into(),
                    "masks only grow here".into(),
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
                    format!("`score_type` cannot choose `{score}`"),
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
                "without `fisher_block_size` SparseML takes 1, though its documentation says 50",
                f.modifier.at,
                "1 is written",
            )
            .help("the paper takes `fisher_block_size: 50`, or 32 for block4"),
        );
    }
    let block = block.unwrap_or_else(|| Number::computed(1.0, true));
    if pattern == Some("blocks(1, 4)") && block.value % 4.0 == 0.0 {
        let names = selected.map_or(&[][..], |s| s.names.as_slice());
        let unfit = select
            .table()
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
                    "the {} weights of `{}` are no whole number of blocks of {}",
                    unfit.count(),
                    unfit.name,
                    block.text
                ),
                "SparseML refuses this for block4".into(),
                "choose a block that divides them, such as 32".into(),
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

/// The batch of the gradient sampler.
fn sampler(timed: &mut Timed, findings: &mut Findings) -> Option<(String, Span)> {
    let value = timed.fields.value("grad_sampler_kwargs")?.clone();
    let Datum::Map(entries) = value.datum else {
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
    for (key, at, value) in entries {
        if key != "batch_size" {
            findings.push(
                Diagnostic::advice(
                    Code::Dropped,
                    format!("`{key}` of the sampler is left out"),
                    at,
                    "left out",
                )
                .help("only the batch of the sampler can be chosen here"),
            );
            continue;
        }
        let number = fields::number(&value, "batch_size", Conversion::Kept, findings);
        match number.filter(|n| n.value >= 1.0 && n.value.fract() == 0.0 && n.value < 1e6) {
            Some(number) => batch = Some((Number::computed(number.value, true).text, at.to(value.span))),
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

/// The shape of the rise.
fn shape(timed: &mut Timed, findings: &mut Findings) -> Option<&'static str> {
    let f = &mut timed.fields;
    if !f.modifier.untagged {
        return f.choice("inter_func", &SHAPES, "cubic", findings);
    }
    f.dropped("scheduler_args", "no scheduler here takes any", findings);
    if let Some((text, at)) =
        f.text("update_scheduler", findings).filter(|(t, _)| !["linear", "cubic"].contains(&t.as_str()))
    {
        f.refuse(
            findings,
            Code::FieldRefused,
            at,
            format!("the scheduler `{text}` has no counterpart"),
            "linear or cubic".into(),
            "use `cubic`, which the paper uses".into(),
        );
        return None;
    }
    f.choice("update_scheduler", &["linear", "cubic"], "cubic", findings)
}

/// The time between pruning instants.
fn frequency(timed: &mut Timed, findings: &mut Findings) -> Option<(String, Span)> {
    let field = timed.fields.named(&["update_frequency", "update"]);
    let at = timed.fields.place(field);
    let number = timed.fields.number(field, Conversion::Kept, findings);
    if timed.fields.modifier.untagged && !timed.fields.broken {
        findings.push(
            Diagnostic::warning(
                Code::OtherwiseInSparseml,
                "this form of SparseML chooses the mask anew at every step, whatever `update` says",
                at,
                number.as_ref().map_or("every step is written".to_owned(), |n| {
                    format!("every {} epochs is written", epochs(n))
                }),
            )
            .help("say how often with `update`; once in an epoch is plenty"),
        );
    }
    let Some(number) = number else { return (!timed.fields.broken).then(|| ("1 step".to_owned(), at)) };
    if number.value > 0.0 {
        let plural = if number.value == 1.0 { "" } else { "s" };
        return Some((format!("{} epoch{plural}", epochs(&number)), at));
    }
    if number.value == -1.0 || number.value == 0.0 {
        findings.push(
            Diagnostic::warning(
                Code::OtherwiseInSparseml,
                format!("{} means at every step", number.text),
                at,
                "every step is written",
            )
            .help("write how many epochs lie between pruning steps, such as `update_frequency: 1.0`"),
        );
        return Some(("1 step".into(), at));
    }
    timed.fields.refuse(
        findings,
        Code::FieldRange,
        at,
        format!("`{field}` must be above 0, or -1 for every step"),
        format!("this is {}", number.text),
        "write how many epochs lie between pruning steps".into(),
    );
    None
}

/// What every gradual pruner has.
fn common(timed: &mut Timed, findings: &mut Findings) {
    if !timed.fields.flag("leave_enabled", true, findings) {
        let at = timed.fields.place("leave_enabled");
        timed.fields.refuse(
            findings,
            Code::FieldRefused,
            at,
            "what is pruned stays zero to the end".into(),
            "would let it fill again".into(),
            "remove `leave_enabled`; in the language, a later stage without `hold` starts free".into(),
        );
    }
    if timed.end.is_none() && !timed.fields.broken {
        let at = timed.end_at();
        timed.fields.refuse(
            findings,
            Code::FieldRange,
            at,
            "a rising sparsity needs an end".into(),
            "never ends".into(),
            "write the epoch at which it reaches `final_sparsity`".into(),
        );
    }
    if timed.start.is_none() && !timed.fields.broken {
        findings.push(
            Diagnostic::warning(
                Code::OtherwiseInSparseml,
                "from -1 SparseML starts at once, but counts the way to the end from epoch -1",
                timed.start_at(),
                "so it begins above `init_sparsity`; here it begins at `init_sparsity`",
            )
            .help("write `start_epoch: 0`"),
        );
    }
}

/// An end that SparseML never reaches.
fn ends(timed: &Timed, length: Epochs, findings: &mut Findings) {
    if timed.end.as_ref().is_some_and(|e| e.value >= length.count as f64) && !timed.fields.broken {
        findings.push(
            Diagnostic::warning(
                Code::OtherwiseInSparseml,
                format!("SparseML never gets to epoch {}: its last step lies before it", length.count),
                timed.end_at(),
                "there the final sparsity is never reached; here it is, after the last step",
            )
            .help("let pruning end earlier, or train longer"),
        );
    }
}

/// Zeros that stay.
pub(super) fn constant(
    draft: &mut Draft,
    timed: &mut Timed,
    select: &Select,
    length: Epochs,
    findings: &mut Findings,
) {
    let params = timed.fields.named(&["params", "targets"]);
    let selected = select.of(params, &mut timed.fields, false, draft, findings);
    timed.fields.dropped("update_frequency", "SparseML does not ask for it", findings);
    timed.fields.dropped("update", "SparseML does not ask for it", findings);
    let (Some(selected), false) = (selected, timed.fields.broken) else { return };
    let mut head = Line::of("hold ", timed.fields.modifier.at).and(selected.text, timed.fields.place(params));
    head.fields.extend([timed.start_at(), timed.end_at()]);
    if let Some(over) = timed.over(length) {
        head = head.and(over, timed.start_at().to(timed.end_at()));
    }
    draft.add(Order::Hold, head, None);
}

/// A share as a person writes it: `0.7` as `70%`.
pub(super) fn percent(number: &Number) -> String {
    let exact = Rational::from_decimal(&number.text).and_then(|r| r.times(Rational::whole(100)));
    match exact.map(|r| r.to_string()) {
        Some(text) if !text.contains('/') => format!("{text}%"),
        _ => number.text.clone(),
    }
}
