//! Reads sparsities: the initial and the final one, or a final one for each of several patterns.

use crate::diag::{Code, Diagnostic, Findings, Span};
use crate::schedule::Rational;
use crate::yaml::import::draft::Draft;
use crate::yaml::import::select::{Select, Selected};
use crate::yaml::import::time::Timed;
use crate::yaml::recipe::numbers::{self, Conversion};
use crate::yaml::recipe::{Datum, Located, Number, datum};

/// The final sparsity of some parameters.
pub(super) struct Exception {
    pub(super) selected: Selected,
    pub(super) sparsity: Number,
    pub(super) at: Span,
}

/// Reads the initial and the final sparsity; the final one is `None` if it is a mapping of several.
pub(super) fn sparsities(timed: &mut Timed, findings: &mut Findings) -> Option<(Number, Option<Number>)> {
    let f = &mut timed.fields;
    if let Some(Datum::Text(word)) = f.value("init_sparsity").map(|v| v.datum())
        && word == "__FROM_PARAM__"
    {
        let at = f.value_place("init_sparsity");
        f.refuse(
            findings,
            Code::FieldRefused,
            at,
            "the initial sparsity must be a number".into(),
            "the current sparsity of each parameter".into(),
            "write the sparsity of the model, such as `0.0` for a dense one".into(),
        );
    }
    let several = matches!(f.value("final_sparsity").map(|v| v.datum()), Some(Datum::Map(_)));
    let word = f.broken && matches!(f.value("init_sparsity").map(|v| v.datum()), Some(Datum::Text(_)));
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

/// Reads `final_sparsity` as a mapping from sparsities to patterns, highest sparsity first; empty if it is a number.
pub(super) fn exceptions(
    timed: &mut Timed,
    select: &Select,
    draft: &mut Draft,
    findings: &mut Findings,
) -> Option<Vec<Exception>> {
    let Some(Datum::Map(entries)) = timed.fields.value("final_sparsity").map(|v| v.datum().clone()) else {
        return Some(Vec::new());
    };
    let mut list = Vec::new();
    for (key, at, value) in entries {
        let sparsity =
            numbers::number(&datum::scalar(&key, true, at), "final_sparsity", Conversion::Kept, findings);
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
        let text =
            |i: &Located| if let Datum::Text(t) = i.datum() { Some((t.clone(), i.span)) } else { None };
        let patterns: Option<Vec<(String, Span)>> = match value.datum() {
            Datum::List(items) => items.iter().map(text).collect(),
            _ => None,
        };
        let Some(patterns) = patterns.filter(|p| !p.is_empty()) else {
            timed.fields.refuse(
                findings,
                Code::FieldType,
                value.span,
                "a sparsity needs a list of parameters".into(),
                "not a list of names and patterns".into(),
                "as `0.8: [\"re:…\"]`".into(),
            );
            continue;
        };
        let selected = select.of_list(&patterns, value.span, &mut timed.fields, true, draft, findings)?;
        list.push(Exception { selected, sparsity, at: at.to(value.place) });
    }
    list.sort_by(|a, b| b.sparsity.value.total_cmp(&a.sparsity.value));
    for (i, high) in list.iter().enumerate() {
        for low in &list[i + 1..] {
            if let Some(shared) = high.selected.names.iter().find(|n| low.selected.names.contains(n)) {
                timed.fields.broken = true;
                let message = format!("`{shared}` has two final sparsities");
                let diagnostic = Diagnostic::error(Code::FieldRefused, message, high.at, "in here");
                findings.push(
                    diagnostic
                        .and_at(low.at, "and in here; SparseML uses the lower one")
                        .help("list each parameter under one sparsity"),
                );
            }
        }
    }
    Some(list)
}

/// The parameters of all sparsities in the mapping, whose modifier has to have empty `params`.
pub(super) fn every(
    list: &[Exception],
    timed: &mut Timed,
    params: &str,
    findings: &mut Findings,
) -> Option<Selected> {
    if let Some(Datum::List(items)) = timed.fields.value(params).map(|v| v.datum())
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

/// Formats a ratio as a percentage: `0.7` as `70%`.
pub(in crate::yaml::import) fn percent(number: &Number) -> String {
    let exact = Rational::from_decimal(&number.text).and_then(|r| r.times(Rational::whole(100)));
    match exact.map(|r| r.to_string()) {
        Some(text) if !text.contains('/') => format!("{text}%"),
        _ => number.text.clone(),
    }
}
