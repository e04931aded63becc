//! What happens when, stage by stage, as text.

use comfy_table::{CellAlignment, Table, presets};

use crate::params::ParameterTable;
use crate::schedule::ir::{Criterion, Data, LrPiece, Model, Prune, Stage, Teacher, Update};
use crate::schedule::{Schedule, Shape, Time, Timeline};

use super::cost::{self, Cost};

/// Renders a schedule. Steps are shown when the number of steps in an epoch is known; selectors are
/// counted when the model's parameters are.
pub fn render(schedule: &Schedule, steps_per_epoch: Option<u64>, table: Option<&ParameterTable>) -> String {
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
    for stage in &schedule.stages {
        text.push('\n');
        text.push_str(&render_stage(stage, steps_per_epoch, table));
    }
    for expectation in &schedule.expect {
        text.push_str(&format!(
            "\nin the end {} must lie in {}..{}\n",
            expectation.metric, expectation.least, expectation.most
        ));
    }
    text
}

fn render_stage(stage: &Stage, steps_per_epoch: Option<u64>, table: Option<&ParameterTable>) -> String {
    let mut text = match &stage.branch_from {
        None => format!("stage {}", stage.name),
        Some(from) => format!("branch {} from {from}, measured and not carried on", stage.name),
    };
    if stage.length.is_zero() {
        text.push_str(", without training\n");
    } else {
        text.push_str(&format!(" for {}, {} examples a step\n", stage.length, stage.train.batch));
    }
    for line in stage.doc.lines() {
        text.push_str(&format!("  {line}\n"));
    }
    // Nominal times do not depend on the length of an epoch; steps do.
    let timeline = Timeline::new(stage, steps_per_epoch.unwrap_or(1_000_000));
    let mut rows: Vec<(f64, Time, String)> = Vec::new();
    let mut row = |at: Time, what: String| rows.push((at.in_steps(1_000_000).to_f64(), at, what));
    for piece in &stage.lr {
        row(piece.start, format!("learning rate {}", rates(piece)));
    }
    for hold in &stage.hold {
        row(hold.start, format!("hold the zeros of {} until {}", hold.targets.selector, hold.end));
    }
    if let Some(distill) = &stage.distill {
        let from = match &distill.from {
            Teacher::Flag => "the teacher".to_owned(),
            Teacher::Named(name) => format!("`{name}`"),
            Teacher::Stage(name) => format!("stage {name}"),
            Teacher::Itself => "itself at the start".to_owned(),
        };
        let share = match distill.hardness {
            1.0 => "alone".to_owned(),
            hardness => format!("for {}% of the loss", hardness * 100.0),
        };
        row(
            distill.start,
            format!("learn from {from} {share} at temperature {} until {}", distill.temperature, distill.end),
        );
    }
    for event in timeline.prunes() {
        let prune = &stage.prune[event.prune];
        row(event.at, format!("prune {} to {}", prune.targets.selector, percent(event.sparsity)));
    }
    if let Some(every) = stage.evaluate_every {
        row(every, format!("measure, and again every {every}"));
    }
    row(stage.length, "measure".to_owned());
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut lines = Table::new();
    lines.load_style(presets::NOTHING);
    for (_, at, what) in rows {
        match steps_per_epoch {
            Some(spe) => lines.add_row([at.to_string(), format!("step {}", at.first_step(spe)), what]),
            None => lines.add_row([at.to_string(), what]),
        };
    }
    if let Some(column) = lines.column_mut(0) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for line in lines.to_string().lines() {
        text.push_str(&format!("  {}\n", line.trim_end()));
    }
    for (index, prune) in stage.prune.iter().enumerate() {
        text.push_str(&how(prune));
        if let Some(table) = table {
            text.push_str(&asks(&cost::of(stage, index, &timeline, table)));
        }
    }
    text
}

fn how(prune: &Prune) -> String {
    let rank = match prune.rank {
        crate::schedule::ir::Rank::Global => "all together",
        crate::schedule::ir::Rank::Layer => "each parameter by itself",
    };
    let by = match &prune.by {
        Criterion::Magnitude => "magnitude".to_owned(),
        Criterion::Movement => "movement".to_owned(),
        Criterion::Obs(obs) => format!(
            "obs: {} gradients of {} examples, Fisher blocks of {}, damp {:e}, {} update{}",
            obs.gradients,
            obs.batch,
            obs.block,
            obs.damp,
            match obs.update {
                Update::Exact => "exact",
                Update::Independent => "independent",
            },
            if obs.recompute > 1 { format!(", {} estimates an event", obs.recompute) } else { String::new() }
        ),
    };
    format!("  {}: {}, ranked {rank}, by {by}\n", prune.targets.selector, prune.pattern)
}

fn asks(cost: &Cost) -> String {
    let mut text = format!("    {} parameters, {} weights", cost.parameters, cost.weights);
    if cost.gradients > 0 {
        text.push_str(&format!(
            "; {} events, {} gradients in all; {} for the Fisher blocks and {} for gradients",
            cost.events,
            cost.gradients,
            bytes(cost.fisher),
            bytes(cost.chunk)
        ));
        if cost.passes > 1 {
            text.push_str(&format!(
                ", in {} passes to keep the allowed memory: every gradient is computed {} times",
                cost.passes, cost.sweeps
            ));
        }
    }
    text + "\n"
}

fn rates(piece: &LrPiece) -> String {
    let ramp = piece.ramp;
    let mut text = if ramp.from == ramp.to {
        rate(ramp.to)
    } else {
        let shape = match ramp.shape {
            Shape::Constant => "constant".to_owned(),
            Shape::Linear => "linear".to_owned(),
            Shape::Cubic => "cubic".to_owned(),
            Shape::InverseCubic => "inverse cubic".to_owned(),
            Shape::Cosine => "cosine".to_owned(),
            Shape::Exponential => "exponential".to_owned(),
            Shape::Polynomial(power) => format!("polynomial({power})"),
        };
        format!("{} to {}, {shape}", rate(ramp.from), rate(ramp.to))
    };
    if let Some(cycle) = piece.repeating {
        text.push_str(&format!(", repeating every {cycle}"));
    }
    text
}

/// `8e-5`, and plain zero.
fn rate(value: f64) -> String {
    if value == 0.0 { "0".into() } else { format!("{value:e}") }
}

fn model(model: &Model) -> String {
    match model {
        Model::Named(name) => name.clone(),
        Model::NewBert(shape) => {
            format!("a new BERT: {} layers, {} wide, {} heads", shape.layers, shape.hidden, shape.heads)
        }
    }
}

fn data(data: &Data) -> String {
    match data {
        Data::Squad { max_length, doc_stride } => {
            format!("squad, {max_length} tokens with an overlap of {doc_stride}")
        }
        Data::Mnli => "mnli".into(),
        Data::Qqp => "qqp".into(),
        Data::MaskedText => "masked_text".into(),
        Data::BuiltinReading { train, dev } => {
            format!("generated reading comprehension, {train} questions to train on and {dev} held out")
        }
    }
}

fn percent(share: f64) -> String {
    let text = format!("{:.2}", share * 100.0);
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

fn bytes(n: u64) -> String {
    match n {
        0..1_000_000 => format!("{:.0} kB", n as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.0} MB", n as f64 / 1e6),
        _ => format!("{:.1} GB", n as f64 / 1e9),
    }
}
