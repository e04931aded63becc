//! Tables of the pruning and quantization events of a run.

use super::html::{escaped, table};
use super::record::Record;
use crate::diag::counted;
use crate::output::numbers::{bytes, duration, percent};
use crate::runlog::Pruned;

/// A table of all pruning events, those of branches included.
pub fn prunes(record: &Record) -> String {
    let events = || record.stages.iter().flat_map(|s| s.prunes.iter().map(move |p| (s, p)));
    if events().next().is_none() {
        return String::new();
    }
    // Columns without a value in this run are left out.
    let any = |f: fn(&Pruned) -> bool| events().any(|(_, p)| f(p));
    let damp = any(|p| p.raised_damp.is_some());
    let step_sizes = any(|p| !p.step_sizes.is_empty());
    let reconstructed = any(|p| !p.output_errors.is_empty());
    let memory = any(|p| p.memory.is_some());
    let mut titles: Vec<String> =
        ["Stage", "When", "Before step", "Matrices", "Target", "Sparsity"].map(String::from).into();
    titles.extend(damp.then(|| "Dampening λ raised to".into()));
    titles.extend(step_sizes.then(|| "Step size".into()));
    titles.extend(reconstructed.then(|| "Output error".into()));
    titles.push("Time".into());
    titles.extend(memory.then(|| "Peak memory".into()));
    let rows: Vec<Vec<String>> = events()
        .map(|(stage, prune)| {
            let name = escaped(&stage.name);
            let mut row = vec![
                if stage.branch { format!("{name} <span class=\"branch\">branch</span>") } else { name },
                escaped(&prune.at),
                prune.step.to_string(),
                prune.parameters.to_string(),
                prune.target.map_or("–".into(), percent),
                percent(prune.sparsity),
            ];
            row.extend(damp.then(|| prune.raised_damp.map_or("–".into(), |d| format!("{d:e}"))));
            let update = || {
                let list: Vec<String> = prune.step_sizes.iter().map(|s| format!("{s:.2}")).collect();
                if list.is_empty() { "–".to_owned() } else { list.join(", ") }
            };
            row.extend(step_sizes.then(update));
            let error = || match prune.output_errors[..] {
                [before, after] => format!("{} → {}", percent(before), percent(after)),
                _ => "–".into(),
            };
            row.extend(reconstructed.then(error));
            row.push(duration(prune.seconds));
            row.extend(memory.then(|| prune.memory.map_or("–".into(), |m| bytes(m as usize))));
            row
        })
        .collect();
    let mut text = table(&titles, &rows, 2);
    if damp {
        text.push_str(
            "<p class=\"note\">Dampening λ raised to: the largest λ that was used, as a block of the Fisher \
             matrix could not be factored with the recipe's <code>damp</code>.</p>\n",
        );
    }
    if step_sizes {
        text.push_str(
            "<p class=\"note\">Step size: the factor, from 0 to 1, on the exact OBS update of the remaining weights, \
             chosen by the task loss; one value for each Fisher estimate.</p>\n",
        );
    }
    if reconstructed {
        text.push_str(
            "<p class=\"note\">Output error: the mean over the pruned layers of the squared error of their outputs \
             relative to the outputs' variance, before and after reconstruction.</p>\n",
        );
    }
    if memory {
        text.push_str("<p class=\"note\">Peak memory: of the process, up to the end of the event.</p>\n");
    }
    text
}

/// A table of all quantization events, those of branches included.
pub fn quantizations(record: &Record) -> String {
    let events = || record.stages.iter().flat_map(|s| s.quantizations.iter().map(move |q| (s, q)));
    if events().next().is_none() {
        return String::new();
    }
    let titles = [
        "Stage",
        "When",
        "Before step",
        "Weight tensors",
        "Weight bits",
        "Activation tensors",
        "Activation bits",
        "Calibration",
        "Time",
    ];
    let rows: Vec<Vec<String>> = events()
        .map(|(stage, quantized)| {
            let name = escaped(&stage.name);
            vec![
                if stage.branch { format!("{name} <span class=\"branch\">branch</span>") } else { name },
                escaped(&quantized.at),
                quantized.step.to_string(),
                quantized.weights.to_string(),
                quantized.weight_bits.to_string(),
                quantized.activations.to_string(),
                quantized.activation_bits.map_or("–".into(), |bits| bits.to_string()),
                counted(quantized.calibrated, "batch", "batches"),
                duration(quantized.seconds),
            ]
        })
        .collect();
    table(&titles.map(String::from), &rows, 2)
}

/// A table of all warnings, with the help for each.
pub fn warnings(record: &Record) -> String {
    if record.warnings.is_empty() {
        return String::new();
    }
    let titles = ["Stage", "Before step", "What goes wrong", "What to change"];
    let rows: Vec<Vec<String>> = record
        .warnings
        .iter()
        .map(|w| vec![escaped(&w.stage), w.step.to_string(), escaped(&w.message), escaped(&w.help)])
        .collect();
    table(&titles.map(String::from), &rows, titles.len())
}
