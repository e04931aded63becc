//! The plan as text: events, cost and memory, stage by stage.

use comfy_table::{CellAlignment, Table, presets};

use crate::diag::counted;
use crate::params::ParameterTable;
use crate::schedule::ir::{
    Columns, Criterion, Data, EmbeddingSettings, Model, MultiLabelColumns, Prune, Rank, ScoreColumns, Stage,
    TaggedColumns, Train,
};
use crate::schedule::{Schedule, Timeline};

use super::cost::{self, Cost};
use super::events;
use super::memory::{self, bytes};

/// Lines for each stage with the memory of one of several ranks. Empty if the model or the data is unknown.
pub fn memory_of_rank(schedule: &Schedule, table: Option<&ParameterTable>, ranks: usize) -> String {
    let architecture = memory::architecture(&schedule.model, None);
    let stages = table.and_then(|table| memory::of_rank(schedule, table, architecture.as_ref(), ranks));
    let mut text = String::new();
    for (stage, memory) in schedule.stages.iter().zip(stages.iter().flatten()) {
        for line in memory.lines() {
            text.push_str(&format!("  {}: {line}\n", stage.name));
        }
    }
    match text.is_empty() {
        true => text,
        false => format!("\non each of {}\n{text}", counted(ranks, "rank", "ranks")),
    }
}

/// Renders the plan of a schedule. Steps are shown if the number of steps in an epoch is known, costs and
/// memory if the model's parameters are. The output of `chart` is placed below each stage's table.
pub fn render(
    schedule: &Schedule,
    steps_per_epoch: Option<u64>,
    table: Option<&ParameterTable>,
    chart: impl Fn(&Stage) -> String,
) -> String {
    let mut text = String::new();
    for line in schedule.doc.lines() {
        text.push_str(&format!("{line}\n"));
    }
    text.push_str(&format!("recipe {}\n", schedule.name));
    text.push_str(&format!("  model  {}\n", model(&schedule.model)));
    text.push_str(&format!("  data   {}\n", data(&schedule.data)));
    text.push_str(&format!("  seed   {}\n", schedule.seed));
    for parameter in &schedule.parameters {
        let set = if parameter.set { " (by --set)" } else { "" };
        text.push_str(&format!("  {} = {}{set}\n", parameter.name, parameter.value));
    }
    let tables = table.map(|table| cost::tables(schedule, table));
    let architecture = memory::architecture(&schedule.model, None);
    let memory = table.and_then(|table| memory::of(schedule, table, architecture.as_ref()));
    for (index, stage) in schedule.stages.iter().enumerate() {
        text.push('\n');
        let table = tables.as_ref().and_then(|tables| tables.get(index));
        text.push_str(&render_stage(stage, steps_per_epoch, table));
        if let Some(memory) = memory.as_ref().and_then(|stages| stages.get(index)) {
            for line in memory.lines() {
                text.push_str(&format!("  {line}\n"));
            }
        }
        let chart = chart(stage);
        if !chart.is_empty() {
            text.push_str(&format!("\n{chart}"));
        }
    }
    for expectation in &schedule.expect {
        text.push_str(&format!(
            "\nat the end {} must be in {}..{}\n",
            expectation.metric, expectation.least, expectation.most
        ));
    }
    text
}

fn render_stage(stage: &Stage, steps_per_epoch: Option<u64>, table: Option<&ParameterTable>) -> String {
    let mut text = match &stage.branch_from {
        None => format!("stage {}", stage.name),
        Some(from) => format!("branch {} from {from}", stage.name),
    };
    if stage.length.is_zero() {
        text.push_str(" without training");
    } else {
        let Train { batch, accumulate, .. } = stage.train;
        let batches = if accumulate > 1 { format!(" in {accumulate} batches") } else { String::new() };
        let examples = counted(batch * accumulate, "example", "examples");
        text.push_str(&format!(" for {}, {examples} a step{batches}", stage.length));
    }
    text.push_str(if stage.branch_from.is_some() { "; no stage continues from it\n" } else { "\n" });
    for line in stage.doc.lines() {
        text.push_str(&format!("  {line}\n"));
    }
    let timeline = Timeline::new(stage, steps_per_epoch.unwrap_or(events::UNKNOWN));
    let mut lines = Table::new();
    lines.load_style(presets::NOTHING);
    for event in events::listed(stage, &timeline, steps_per_epoch, MOST_EVENTS) {
        let at = event.at.to_string();
        match event.step {
            Some(step) => lines.add_row([at, format!("step {step}"), event.what]),
            None => lines.add_row([at, event.what]),
        };
    }
    if let Some(column) = lines.column_mut(0) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for line in lines.to_string().lines() {
        text.push_str(&format!("  {}\n", line.trim_end()));
    }
    for (index, prune) in stage.prune.iter().enumerate() {
        text.push_str(&prune_settings(prune));
        if let Some(table) = table {
            text.push_str(&prune_cost(&cost::of(stage, index, &timeline, table)));
        }
    }
    if let Some(table) = table {
        text.push_str(&other_selectors(stage, table));
    }
    text
}

/// The most pruning events that are listed one by one.
const MOST_EVENTS: usize = 100;

/// How many parameters the selectors of statements other than `prune` match.
fn other_selectors(stage: &Stage, table: &ParameterTable) -> String {
    let targets = stage.hold.iter().map(|h| &h.targets);
    let targets = targets.chain(stage.freeze.iter().map(|f| &f.targets));
    let targets = targets.chain(stage.quantize.iter().map(|q| &q.targets));
    let targets = targets.chain(stage.lr_factors.iter().map(|f| &f.targets));
    let mut seen: Vec<String> = stage.prune.iter().map(|p| p.targets.selector.to_string()).collect();
    let mut text = String::new();
    for selector in targets.map(|t| &t.selector) {
        let name = selector.to_string();
        if seen.contains(&name) {
            continue;
        }
        let index = selector.select(table).unwrap_or_default();
        let weights: usize = index.iter().map(|i| table.get(*i).count()).sum();
        text.push_str(&format!("  {name}: {}\n", parameters_and_weights(index.len(), weights)));
        seen.push(name);
    }
    text
}

fn parameters_and_weights(parameters: usize, weights: usize) -> String {
    let parameters = counted(parameters, "parameter", "parameters");
    format!("{parameters}, {}", counted(weights, "weight", "weights"))
}

fn prune_settings(prune: &Prune) -> String {
    let rank = match prune.rank {
        Rank::Global => "over all parameters",
        Rank::Layer => "in each parameter",
        Rank::Measured => "in each layer, whose sparsity is measured",
    };
    let limit = prune
        .at_most
        .map_or(String::new(), |limit| format!(", at most {}% of each", (limit * 1e6).round() / 1e4));
    let then = prune.reconstruct.map_or(String::new(), |examples| {
        format!(", then reconstructed on {}", counted(examples, "example", "examples"))
    });
    let by = match &prune.by {
        Criterion::Magnitude => "magnitude".to_owned(),
        Criterion::Movement => "movement".to_owned(),
        Criterion::Obs(obs) => format!(
            "obs: {} of {}, Fisher blocks of {}, damp {:e}, {} update{}",
            counted(obs.gradients, "gradient", "gradients"),
            counted(obs.batch, "example", "examples"),
            obs.block,
            obs.damp,
            obs.update.word(),
            if obs.recompute > 1 {
                format!(", {} estimates per event", obs.recompute)
            } else {
                String::new()
            }
        ),
    };
    format!("  {}: {}, ranked {rank}{limit}, by {by}{then}\n", prune.targets.selector, prune.pattern)
}

fn prune_cost(cost: &Cost) -> String {
    let mut text = format!("    {}", parameters_and_weights(cost.parameters, cost.weights));
    if cost.gradients > 0 {
        text.push_str(&format!(
            "; {}, {} in all; {} for the Fisher blocks and {} for gradients",
            counted(cost.events, "event", "events"),
            counted(cost.gradients, "gradient", "gradients"),
            bytes(cost.fisher),
            bytes(cost.chunk)
        ));
        if cost.evaluations > 0 {
            text.push_str(&format!(
                "; up to {} to evaluate allocations",
                counted(cost.evaluations, "forward pass", "forward passes")
            ));
        }
        if cost.passes > 1 {
            text.push_str(&format!(
                ", in {} passes to stay within `memory`: every gradient is computed {} times",
                cost.passes, cost.sweeps
            ));
        }
    }
    text + "\n"
}

fn model(model: &Model) -> String {
    match model {
        Model::Named(name) => name.clone(),
        Model::NewBert(shape) => {
            format!(
                "a new BERT: {}, hidden size {}, {}",
                counted(shape.layers, "layer", "layers"),
                shape.hidden,
                counted(shape.heads, "head", "heads")
            )
        }
    }
}

fn data(data: &Data) -> String {
    match data {
        Data::Squad { max_length, doc_stride, .. } => {
            format!("squad, {max_length} tokens with an overlap of {doc_stride}")
        }
        Data::SquadV2 { max_length, doc_stride, .. } => {
            format!("squad_v2, {max_length} tokens with an overlap of {doc_stride}")
        }
        Data::Mnli { max_length } => format!("mnli, at most {max_length} tokens"),
        Data::Qqp { max_length } => format!("qqp, at most {max_length} tokens"),
        Data::Classify(columns) => {
            let pair = columns.pair.as_ref().map_or(String::new(), |p| format!(" and `{p}`"));
            let Columns { text, label, max_length, .. } = columns;
            format!("classification of `{text}`{pair} by `{label}`, at most {max_length} tokens")
        }
        Data::Regression(ScoreColumns { text, pair, score, max_length }) => {
            let pair = pair.as_ref().map_or(String::new(), |p| format!(" and `{p}`"));
            format!("regression of `{score}` on `{text}`{pair}, at most {max_length} tokens")
        }
        Data::Rerank(ScoreColumns { text, pair, max_length, .. }) => {
            let passage = pair.as_deref().unwrap_or_default();
            format!("reranking of `{passage}` for `{text}`, at most {max_length} tokens")
        }
        Data::MultiLabel(columns) => {
            let MultiLabelColumns { text, pair, label, columns, max_length, .. } = columns;
            let pair = pair.as_ref().map_or(String::new(), |p| format!(" and `{p}`"));
            let by =
                if columns.is_empty() { format!("`{label}`") } else { format!("{} columns", columns.len()) };
            format!("multi-label classification of `{text}`{pair} by {by}, at most {max_length} tokens")
        }
        Data::Embeddings(EmbeddingSettings { max_length, .. }) => {
            format!("sentence embeddings of at most {max_length} tokens")
        }
        Data::ClassifyTokens(TaggedColumns { tokens, tags, max_length, doc_stride, .. }) => format!(
            "token classification of `{tokens}` by `{tags}`, {max_length} tokens with an overlap of {doc_stride}"
        ),
        Data::MaskedText { max_length } => format!("masked text in sequences of {max_length} tokens"),
        Data::Own => "custom, from the program that runs it".into(),
        Data::BuiltinReading { train, dev } => {
            format!("generated reading comprehension, {train} training and {dev} dev questions")
        }
    }
}
