//! Checks of distillation, data and metrics, and of statements without effect in a stage without training.

use std::cmp::Ordering;

use crate::diag::{Code, Diagnostic, Findings, Sources, Span, nearest};
use crate::language::check::fixes::suggest;
use crate::language::check::recipe::{Distill, Recipe, Stage};
use crate::language::check::time::training;
use crate::schedule::ir::{Data, TaggedColumns};
use crate::schedule::{Rational, Time};

/// Checks a stage.
pub fn check(recipe: &Recipe, stage: &Stage, sources: &Sources, findings: &mut Findings) {
    if let Some(distill) = &stage.distill {
        distillation(recipe, stage, distill, sources, findings);
    }
    without_effect(stage, sources, findings);
    if let Some(metric) = &stage.keep_best {
        let known = metrics(&recipe.data.value);
        if !known.is_empty() && !known.contains(&metric.value.as_str()) {
            findings.push(unknown_of_task("metric", &metric.value, metric.span, known, recipe));
        }
    }
}

/// The outputs of a task's model that distillation can compare; none if they are unknown.
fn outputs(data: &Data) -> &'static [&'static str] {
    match data {
        Data::Squad { .. } | Data::SquadV2 { .. } | Data::BuiltinReading { .. } => {
            &["start_logits", "end_logits"]
        }
        Data::Own => &[],
        Data::Embeddings(_) => &["embeddings", "similarities"],
        _ => &["logits"],
    }
}

/// The metrics of a task; none if they are unknown.
fn metrics(data: &Data) -> &'static [&'static str] {
    match data {
        Data::Squad { .. } | Data::BuiltinReading { .. } => &["f1", "em"],
        Data::SquadV2 { .. } => &[
            "f1",
            "em",
            "f1_answered",
            "em_answered",
            "f1_unanswered",
            "em_unanswered",
            "best_f1",
            "best_em",
        ],
        Data::Mnli { .. } => &["accuracy", "accuracy_mm"],
        Data::Qqp { .. } | Data::Classify(_) => &["accuracy", "f1", "macro_f1"],
        Data::Regression(_) => &["pearson", "spearman", "mse"],
        Data::Rerank(_) => &["ndcg_10", "mrr_10"],
        Data::MultiLabel(_) => &["micro_f1", "macro_f1", "accuracy"],
        Data::Embeddings(_) => {
            &["spearman", "pearson", "accuracy", "ndcg_10", "mrr_10", "recall_1", "recall_10", "recall_100"]
        }
        Data::ClassifyTokens(_) => &["f1", "precision", "recall", "accuracy"],
        Data::MaskedText { .. } => &["loss", "perplexity"],
        Data::Own => &[],
    }
}

/// Checks the settings of the data.
pub fn data(recipe: &Recipe, findings: &mut Findings) {
    let at = recipe.data.span;
    match &recipe.data.value {
        Data::MultiLabel(columns) if !columns.columns.is_empty() && !columns.labels.is_empty() => {
            let message = "`labels` has no effect beside `columns`";
            findings.push(
                Diagnostic::error(Code::SettingHasNoEffect, message, at, "the columns are the labels")
                    .help("remove `labels`: the outputs have the order of `columns`"),
            );
        }
        Data::Embeddings(settings) if settings.scale <= 0.0 => {
            let label = format!("this is {}", settings.scale);
            findings.push(
                Diagnostic::error(Code::OutOfRange, "a scale is above zero", at, label)
                    .help("sentence-transformers uses 20: write `scale: 20`"),
            );
        }
        _ => {}
    }
    let (windows, example) = match &recipe.data.value {
        Data::Squad { max_length, doc_stride, .. } | Data::SquadV2 { max_length, doc_stride, .. } => {
            (Some((*max_length, *doc_stride)), "squad(max_length: 384, doc_stride: 128)")
        }
        Data::ClassifyTokens(TaggedColumns { max_length, doc_stride, .. }) => {
            (Some((*max_length, *doc_stride)), "classify_tokens(max_length: 128, doc_stride: 32)")
        }
        _ => (None, ""),
    };
    if let Some((max_length, doc_stride)) = windows.filter(|(length, stride)| stride >= length) {
        findings.push(
            Diagnostic::error(
                Code::OutOfRange,
                "windows must overlap by less than their length",
                recipe.data.span,
                format!("{max_length} tokens with an overlap of {doc_stride}"),
            )
            .help(format!("as `{example}`")),
        );
    }
}

/// Checks the ranges of `expect`.
pub fn expectations(recipe: &Recipe, findings: &mut Findings) {
    for expectation in &recipe.expect {
        let (least, most) = expectation.range.value;
        if least > most {
            findings.push(
                Diagnostic::error(
                    Code::EmptyWindow,
                    "no value is in this range",
                    expectation.range.span,
                    "the greater comes first",
                )
                .help(format!("write `{most}..{least}`"))
                .unsafe_fix(expectation.range.span, format!("{most}..{least}")),
            );
        }
        let known = metrics(&recipe.data.value);
        let metric = &expectation.metric;
        if !known.is_empty() && !known.contains(&metric.value.as_str()) {
            findings.push(unknown_of_task("metric", &metric.value, metric.span, known, recipe));
        }
    }
}

fn unknown_of_task(
    what: &str,
    name: &str,
    span: Span,
    known: &[&'static str],
    recipe: &Recipe,
) -> Diagnostic {
    let message = format!("this data has no {what} `{name}`");
    let near = nearest(name, known.iter().copied());
    Diagnostic::error(Code::ForeignOutput, message, span, format!("unknown {what}"))
        .and_at(recipe.data.span, "the data")
        .did_you_mean(span, near, || format!("its {what}s are {}", known.join(", ")))
}

fn distillation(
    recipe: &Recipe,
    stage: &Stage,
    distill: &Distill,
    sources: &Sources,
    findings: &mut Findings,
) {
    if distill.temperature.value <= 0.0 {
        findings.push(
            Diagnostic::error(
                Code::OutOfRange,
                "a temperature is above zero",
                distill.temperature.span,
                format!("this is {}", distill.temperature.value),
            )
            .help("the paper uses 2.0: write `temperature: 2.0`")
            .unsafe_fix(distill.temperature.span, "2.0"),
        );
    }
    if stage.length.value.is_zero() {
        let (help, edit) = training(stage, Time::epochs(Rational::whole(10)), sources);
        let diagnostic = Diagnostic::error(
            Code::SettingHasNoEffect,
            "`distill` in a stage that does not train",
            distill.head,
            "nothing is trained here",
        );
        findings.push(suggest(diagnostic.help(help), edit));
    }
    let known = outputs(&recipe.data.value);
    let is_unknown = |name: &str| !known.is_empty() && !known.contains(&name);
    for output in distill.outputs.iter().filter(|o| is_unknown(&o.value)) {
        findings.push(unknown_of_task("output", &output.value, output.span, known, recipe));
    }
    if distill.hardness.value == 0.0 && distill.hidden.is_none() {
        findings.push(
            Diagnostic::error(
                Code::SettingHasNoEffect,
                "a hardness of 0 gives the teacher no weight in the loss",
                distill.hardness.span,
                "no effect",
            )
            .help("remove `distill`, or give the teacher a weight in the loss"),
        );
    }
}

/// Reports `evaluate` and `hold` where the stage is too short for them to have an effect.
fn without_effect(stage: &Stage, sources: &Sources, findings: &mut Findings) {
    let no_effect = |what: &str, span: Span| {
        let (help, edit) = training(stage, Time::epochs(Rational::whole(10)), sources);
        let diagnostic = Diagnostic::error(
            Code::SettingHasNoEffect,
            format!("`{what}` in a stage that does not train"),
            span,
            "no effect",
        );
        suggest(diagnostic.help(help), edit)
    };
    if stage.length.value.is_zero() {
        if let Some(every) = &stage.evaluate_every {
            findings.push(no_effect("evaluate", every.span));
        }
        for hold in &stage.hold {
            findings.push(no_effect("hold", hold.head));
        }
    } else if let Some(every) = &stage.evaluate_every
        && every.value.compare(stage.length.value).is_some_and(Ordering::is_ge)
    {
        findings.push(
            Diagnostic::warning(
                Code::SettingHasNoEffect,
                "`evaluate` never fires before the end, which is evaluated anyway",
                every.span,
                format!("the stage is {} long", stage.length.value),
            )
            .help("evaluate more often, or remove it"),
        );
    }
}
