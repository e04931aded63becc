//! Writes the quantization of a stage for SparseML's newer quantizer, which quantizes all layers but those in
//! `ignore`.

use serde_yaml::Value;

use crate::params::ParameterTable;
use crate::schedule::ir::{Quantize, Scheme, Stage};

use super::text::{fields, modifier, words};
use super::{Refusals, epochs, epochs_or_refuse};

/// Classes that SparseML quantizes unless they are ignored, and this engine does not.
const UNQUANTIZED_CLASSES: [&str; 3] = ["LayerNorm", "GELUActivation", "Tanh"];

/// The quantization modifier of a stage, if it quantizes.
pub(super) fn quantization(
    stage: &Stage,
    length: f64,
    table: Option<&ParameterTable>,
    refusals: &mut Refusals,
) -> Option<Value> {
    let first = stage.quantize.first()?;
    let Some(table) = table else {
        refusals.add("the layers to quantize depend on the model", "give it with `--model DIR`");
        return None;
    };
    if epochs(first.end).is_none_or(|end| end < length) {
        refusals.add(
            format!("quantization ends at {}", first.end),
            "in SparseML it cannot end: let it last to the end of the recipe",
        );
    }
    let times = |q: &Quantize| (q.start, q.end, q.freeze, q.calibrate, q.attention);
    if stage.quantize.iter().any(|q| times(q) != times(first)) {
        refusals.add(
            "two `quantize` statements differ in more than their schemes",
            "SparseML has one quantization modifier: give both the same window, `freeze`, `calibrate` and `attention`",
        );
    }
    let linear = table.iter().filter(|p| p.is_prunable());
    let embedding = |name: &str| name.contains("embeddings") && !name.contains("LayerNorm");
    let tables = table.iter().filter(|p| p.shape.len() == 2 && embedding(&p.name));
    let mut ignore: Vec<String> = Vec::new();
    let mut overrides: Vec<(String, Value)> = Vec::new();
    let base = &stage.quantize.iter().find(|q| chooses(q, table, |n| !embedding(n))).unwrap_or(first);
    let mut left_out = Vec::new();
    for parameter in linear.chain(tables) {
        let name = parameter.name.trim_end_matches(".weight").to_owned();
        match stage.quantize.iter().find(|q| chooses(q, table, |n| n == parameter.name)) {
            None => left_out.push((name, embedding(&parameter.name))),
            Some(quantize) if embedding(&parameter.name) => {
                overrides.push((
                    name,
                    fields([("input_activations", Value::Null), ("weights", part(&quantize.weights))]),
                ));
            }
            Some(quantize)
                if quantize.weights != base.weights || quantize.activations != base.activations =>
            {
                overrides.push((name, scheme(quantize)));
            }
            Some(_) => {}
        }
    }
    let all_tables = table.iter().filter(|p| p.shape.len() == 2 && embedding(&p.name)).count();
    // One entry for the class `Embedding` if all embedding tables have the same scheme.
    if left_out.iter().filter(|(_, table)| *table).count() == all_tables {
        ignore.push("Embedding".into());
        left_out.retain(|(_, table)| !table);
    }
    let of_tables: Vec<&Value> = overrides.iter().filter(|(n, _)| embedding(n)).map(|(_, v)| v).collect();
    if of_tables.len() == all_tables && of_tables.windows(2).all(|w| w[0] == w[1]) && all_tables > 0 {
        let shared = of_tables[0].clone();
        overrides.retain(|(n, _)| !embedding(n));
        overrides.push(("Embedding".into(), shared));
    }
    ignore.extend(left_out.into_iter().map(|(name, _)| name));
    ignore.extend(UNQUANTIZED_CLASSES.map(str::to_owned));
    if !first.attention {
        ignore.push("QATMatMul".into());
    }
    let mut list = vec![
        ("start_epoch", epochs_or_refuse(first.start, "the start of `quantize`", refusals)),
        ("scheme", scheme(base)),
    ];
    if !overrides.is_empty() {
        list.push(("scheme_overrides", fields(overrides.iter().map(|(n, v)| (n.as_str(), v.clone())))));
    }
    list.push(("ignore", words(&ignore)));
    if let Some(freeze) = first.freeze {
        list.push(("disable_quantization_observer_epoch", epochs_or_refuse(freeze, "`freeze`", refusals)));
    }
    // `strict: true` would refuse ignored classes that the model does not have.
    list.push(("strict", Value::from(false)));
    list.push(("num_calibration_steps", Value::from(first.calibrate as u64)));
    Some(modifier("QuantizationModifier", list))
}

/// Whether a statement selects a parameter whose name `fits`.
fn chooses(quantize: &Quantize, table: &ParameterTable, fits: impl Fn(&str) -> bool) -> bool {
    let selected = quantize.targets.selector.select(table).unwrap_or_default();
    selected.iter().any(|i| fits(&table.get(*i).name))
}

/// The scheme of a statement.
fn scheme(quantize: &Quantize) -> Value {
    let inputs = quantize.activations.as_ref().map_or(Value::Null, part);
    fields([("input_activations", inputs), ("weights", part(&quantize.weights))])
}

/// A part of a scheme, without the signedness: an asymmetric range has the same levels either way.
fn part(scheme: &Scheme) -> Value {
    fields([
        ("num_bits", Value::from(u64::from(scheme.bits))),
        ("symmetric", Value::from(scheme.symmetric)),
        ("strategy", Value::from(if scheme.per_channel { "channel" } else { "tensor" })),
    ])
}
