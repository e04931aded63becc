//! An estimate of a run's memory: weights, gradients, AdamW's moments, teachers and other models, activations
//! stored for the backward pass, and pruning events.
//!
//! Activations are those of the CPU engine. For each token, an encoder layer stores ten vectors of the hidden
//! size, two of the intermediate size, and for each head a row of attention probabilities, which is short in layers that
//! attend locally. Every sequence is
//! taken to have the maximum length. Data and program are not included.

use std::path::Path;

use serde::Serialize;

use super::cost;
use crate::diag::Sources;
use crate::params::architecture::LayerKind;
use crate::params::{Architecture, BertConfig, Family, ParameterTable, builtin, cache, folder};
use crate::schedule::ir::{Criterion, Data, Model, START, Stage, Teacher};
use crate::schedule::{Schedule, Timeline};

/// Bytes of a number in float32.
const FLOAT: u64 = 4;

/// The longest generated text, in tokens.
const BUILTIN_LENGTH: usize = 128;

/// The memory of a stage, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// The model's weights.
    pub weights: u64,
    /// Their gradients.
    pub gradients: u64,
    /// AdamW's moments.
    pub moments: u64,
    /// Teachers, and results of other stages that are still needed.
    pub models: u64,
    /// Activations that the forward pass stores for the backward pass.
    pub activations: u64,
    /// The largest pruning event, without weights, moments and models.
    pub pruning: u64,
    /// The peak: the larger of a training step (weights, gradients, moments, models, activations) and a pruning event
    /// between two steps (weights, moments, models, pruning).
    pub peak: u64,
}

impl Memory {
    /// The memory of a training step and of a pruning event between two steps, each with the parts that add up to it:
    /// `memory of a training step: 7.3 GB (weights 436 MB, gradients 436 MB, …)`.
    pub fn lines(&self) -> Vec<String> {
        let line = |what: &str, own: &[(&str, u64)]| {
            let all: u64 = self.always().into_iter().chain(own.iter().copied()).map(|(_, size)| size).sum();
            format!("memory{what}: {} ({})", bytes(all), self.listed(own))
        };
        let (step, event) = (self.of_step(), [("pruning", self.pruning)]);
        match (self.gradients > 0, self.pruning > 0) {
            (true, true) => vec![line(" of a training step", &step), line(" of a pruning event", &event)],
            (true, false) => vec![line(" of a training step", &step)],
            (false, true) => vec![line(" of a pruning event", &event)],
            (false, false) => vec![line("", &[])],
        }
    }

    /// The parts of the peak in words: `weights 436 MB, gradients 436 MB, …`.
    pub fn parts(&self) -> String {
        match self.gradients + self.activations < self.pruning {
            true => self.listed(&[("pruning", self.pruning)]),
            false => self.listed(&self.of_step()),
        }
    }

    fn always(&self) -> [(&'static str, u64); 3] {
        [("weights", self.weights), ("moments", self.moments), ("other models", self.models)]
    }

    fn of_step(&self) -> [(&'static str, u64); 2] {
        [("gradients", self.gradients), ("activations", self.activations)]
    }

    fn listed(&self, own: &[(&str, u64)]) -> String {
        let parts = self.always().into_iter().chain(own.iter().copied()).filter(|(_, size)| *size > 0);
        parts.map(|(name, size)| format!("{name} {}", bytes(size))).collect::<Vec<_>>().join(", ")
    }
}

/// Formats bytes in powers of a thousand: `436 MB`.
pub fn bytes(n: u64) -> String {
    match n {
        0..1_000_000 => format!("{:.0} kB", n as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.0} MB", n as f64 / 1e6),
        _ => format!("{:.1} GB", n as f64 / 1e9),
    }
}

/// The sizes of an encoder, from its parameters' shapes and its architecture.
struct Sizes {
    hidden: u64,
    /// The widths of the stored outputs of a feed-forward network, together.
    feed_forward: u64,
    layers: u64,
    heads: u64,
    vocabulary: u64,
    /// The windows of all layers before any was dropped; empty if they are not known.
    windows: Vec<Option<usize>>,
}

impl Sizes {
    /// `None` for a model of no known family. Without an architecture, heads are not known.
    fn of(table: &ParameterTable, architecture: Option<&Architecture>) -> Option<Self> {
        let found = |family: Family| {
            let words = table.find(&family.name("bert.embeddings.word_embeddings.weight"))?;
            let wide = table.find(&family.name("bert.encoder.layer.0.intermediate.dense.weight"))?;
            Some((words, wide))
        };
        let (words, wide) = Family::ALL.into_iter().find_map(found)?;
        let (rows, hidden) = (*wide.shape.first()? as u64, *wide.shape.get(1)? as u64);
        let gated = architecture.is_some_and(|of| of.layers == LayerKind::PreNormGated);
        Some(Sizes {
            hidden,
            vocabulary: *words.shape.first()? as u64,
            // A gated network stores both halves and their product.
            feed_forward: if gated { rows + rows / 2 } else { 2 * rows },
            // Layers that share parameters store activations of their own.
            layers: match architecture {
                Some(of) if of.groups.is_some() => of.shape.layers as u64,
                _ => table.layers() as u64,
            },
            // Heads are 64 wide in nearly every encoder.
            heads: architecture.map_or_else(|| (hidden / 64).max(1), |of| of.shape.heads as u64),
            windows: architecture.map(|of| of.windows.clone()).unwrap_or_default(),
        })
    }

    /// Bytes of the stored activations of a batch `[sequences, tokens]`; `logits` percent of the tokens have
    /// logits over the vocabulary.
    fn activations(&self, sequences: u64, tokens: u64, logits: u64) -> u64 {
        let layer = 10 * self.hidden + self.feed_forward + self.heads * self.attended(tokens);
        let embeddings = 6 * self.hidden;
        // Logits, their logarithms and their gradient.
        let head = 3 * self.vocabulary * logits / 100;
        FLOAT * sequences * tokens * (self.layers * layer + embeddings + head)
    }

    /// The number of attention weights that are stored for a token and a head, in the mean over the layers.
    fn attended(&self, tokens: u64) -> u64 {
        // A layer with local attention computes a block of queries at a time and stores, for each query, the scores of
        // the keys in the block and one window to either side of it.
        let of = |window: &Option<usize>| match window {
            Some(window) => tokens.min(2 * *window as u64 + (*window as u64).clamp(32, 128)),
            None => tokens,
        };
        match self.windows.len() as u64 {
            0 => tokens,
            layers => self.windows.iter().map(of).sum::<u64>() / layers,
        }
    }
}

/// The architecture of the model in a folder, of the schedule's new model, or of a well-known or cached model.
pub fn architecture(model: &Model, given: Option<&Path>) -> Option<Architecture> {
    let of_folder =
        |path: &Path| folder::read_config(path, &mut Sources::new()).ok().map(|config| config.architecture());
    match (given, model) {
        (Some(path), _) => of_folder(path),
        (None, Model::NewBert(shape)) => Some(BertConfig::new(*shape).architecture()),
        (None, Model::Named(name)) => {
            let local = || of_folder(&cache::local(Path::new(name))?);
            builtin::well_known_architecture(name).or_else(local)
        }
    }
}

/// The memory of every stage, given the model's parameters; `None` if the model or the data is unknown.
pub fn of(
    schedule: &Schedule,
    table: &ParameterTable,
    architecture: Option<&Architecture>,
) -> Option<Vec<Memory>> {
    of_rank(schedule, table, architecture, 1)
}

/// The memory of every stage on the rank that has the most weights to prune, of so many ranks.
pub fn of_rank(
    schedule: &Schedule,
    table: &ParameterTable,
    architecture: Option<&Architecture>,
    ranks: usize,
) -> Option<Vec<Memory>> {
    let length = longest(&schedule.data)? as u64;
    let tables = cost::tables(schedule, table);
    let stages = schedule.stages.iter().enumerate();
    stages
        .map(|(index, stage)| {
            let own = tables.get(index)?;
            let sizes = Sizes::of(own, architecture)?;
            let logits = match (&schedule.data, &stage.distill) {
                (Data::MaskedText { .. }, Some(_)) => 100,
                // Only masked tokens have a loss.
                (Data::MaskedText { .. }, None) => 15,
                _ => 0,
            };
            let activations = |batch: usize| sizes.activations(batch as u64, length, logits);
            let weights = FLOAT * own.count() as u64;
            let models =
                others(schedule, index, &tables, table).iter().map(|t| FLOAT * t.count() as u64).sum();
            let pruning = pruning(stage, own, activations, ranks);
            if stage.length.is_zero() {
                let peak = weights + models + pruning;
                return Some(Memory { weights, models, pruning, peak, ..Memory::default() });
            }
            // Accumulation needs the sum beside the gradients of the next batch.
            let gradients = match (ranks, stage.train.accumulate) {
                (1, 1) => weights,
                (1, _) => 2 * weights,
                // What a rank sends and receives, and its slice of the sum.
                (ranks, _) => 2 * weights + weights / ranks as u64,
            };
            let activations = activations(stage.train.batch);
            let moments = 2 * weights;
            let peak = weights + moments + models + (gradients + activations).max(pruning);
            Some(Memory { weights, gradients, moments, models, activations, pruning, peak })
        })
        .collect()
}

/// The longest sequence, in tokens.
fn longest(data: &Data) -> Option<usize> {
    match data {
        Data::Squad { max_length, .. }
        | Data::SquadV2 { max_length, .. }
        | Data::Mnli { max_length }
        | Data::Qqp { max_length }
        | Data::MaskedText { max_length } => Some(*max_length),
        Data::Classify(columns) => Some(columns.max_length),
        Data::ClassifyTokens(columns) => Some(columns.max_length),
        Data::Regression(columns) | Data::Rerank(columns) => Some(columns.max_length),
        Data::MultiLabel(columns) => Some(columns.max_length),
        Data::Embeddings(settings) => Some(settings.max_length),
        Data::BuiltinReading { .. } => Some(BUILTIN_LENGTH),
        Data::Own => None,
    }
}

/// The models in memory besides the one in training: teachers, and results of stages that are needed again.
/// A teacher from a file is taken to be as large as the model.
fn others<'a>(
    schedule: &Schedule,
    index: usize,
    tables: &'a [ParameterTable],
    table: &'a ParameterTable,
) -> Vec<&'a ParameterTable> {
    let stage = &schedule.stages[index];
    let previous = schedule.stages[..index].iter().rev().find(|s| s.branch_from.is_none());
    let previous = previous.map_or(START, |s| &s.name);
    let mut names: Vec<&str> = Vec::new();
    for later in &schedule.stages[index..] {
        names.extend(later.branch_from.as_deref());
        if let Some(Teacher::Stage(name)) = later.distill.as_ref().map(|d| &d.from) {
            names.push(name);
        }
    }
    if stage.branch_from.is_some() {
        names.push(previous);
    }
    let from = stage.distill.as_ref().map(|d| &d.from);
    if from == Some(&Teacher::Itself) {
        names.push(stage.branch_from.as_deref().unwrap_or(previous));
    }
    names.sort_unstable();
    names.dedup();
    let at = |name: &str| match name {
        START => Some(table),
        name => schedule.stages[..index].iter().position(|s| s.name == name).and_then(|i| tables.get(i)),
    };
    let from_files = schedule.stages.iter().filter_map(|s| match s.distill.as_ref().map(|d| &d.from) {
        Some(Teacher::Flag) => Some(""),
        Some(Teacher::Named(name)) => Some(name.as_str()),
        _ => None,
    });
    let from_files: std::collections::BTreeSet<&str> = from_files.collect();
    names.into_iter().filter_map(at).chain(from_files.into_iter().map(|_| table)).collect()
}

/// Bytes of the largest pruning event of a stage: weights, scores, updates and masks of its targets, the Fisher estimate,
/// the float64 factors of ill-conditioned blocks (as if all were: an upper bound), and the gradients of a batch. Of
/// several ranks each has the estimates of its parameters, and exchanges gradients.
fn pruning(stage: &Stage, table: &ParameterTable, activations: impl Fn(usize) -> u64, ranks: usize) -> u64 {
    let timeline = Timeline::new(stage, 1);
    let statements = (0..stage.prune.len()).map(|index| {
        let cost = cost::of(stage, index, &timeline, table);
        let weights = cost.weights as u64;
        let masks = 3 * weights;
        match &stage.prune[index].by {
            Criterion::Magnitude | Criterion::Movement => 2 * FLOAT * weights + masks,
            Criterion::Obs(obs) => {
                let copies = if ranks == 1 { 1 } else { 3 };
                let gradients = copies * FLOAT * weights + activations(obs.batch);
                let shares = if stage.prune[index].is_measured() { 1 } else { ranks };
                let (estimates, owned) = cost::of_rank(stage, index, table, shares);
                let factors = obs.factor_bytes(owned);
                3 * FLOAT * weights + masks + estimates + factors + gradients
            }
        }
    });
    statements.max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_models_step_is_the_sum_of_its_parts() {
        let shape = builtin::well_known("bert-base-uncased").unwrap();
        let table = builtin::bert(&shape, builtin::Head::QuestionAnswering);
        let sizes =
            Sizes::of(&table, builtin::well_known_architecture("bert-base-uncased").as_ref()).unwrap();
        // 12 × (10 × 768 + 2 × 3072 + 12 × 384) + 6 × 768 floats for each of 16 × 384 tokens.
        assert_eq!(sizes.activations(16, 384, 0), 4 * 16 * 384 * (12 * 18_432 + 4_608));
        assert_eq!(Sizes::of(&ParameterTable::default(), None).map(|f| f.heads), None);
    }

    #[test]
    fn the_parts_of_each_line_add_up_to_its_memory() {
        let (weights, moments, models) = (2_000_000, 4_000_000, 2_000_000);
        let (gradients, activations, pruning) = (2_000_000, 105_000_000, 387_000_000);
        let peak = weights + moments + models + pruning;
        let memory = Memory { weights, gradients, moments, models, activations, pruning, peak };
        let lines = [
            "memory of a training step: 115 MB (weights 2 MB, moments 4 MB, other models 2 MB, gradients 2 MB, \
             activations 105 MB)",
            "memory of a pruning event: 395 MB (weights 2 MB, moments 4 MB, other models 2 MB, pruning 387 MB)",
        ];
        assert_eq!(memory.lines(), lines);
        assert_eq!(memory.parts(), "weights 2 MB, moments 4 MB, other models 2 MB, pruning 387 MB");
        let memory = Memory { pruning: 0, ..memory };
        assert_eq!(memory.lines(), lines[..1]);
        let memory = Memory { weights, peak: weights, ..Memory::default() };
        assert_eq!(memory.lines(), ["memory: 2 MB (weights 2 MB)"]);
    }

    #[test]
    fn local_layers_store_their_windows_alone() {
        let of = builtin::well_known_architecture("ModernBERT-base").unwrap();
        let table = builtin::table(&of, builtin::Head::QuestionAnswering);
        let sizes = Sizes::of(&table, Some(&of)).unwrap();
        // Eight of 22 layers attend to all tokens, the others to 64 on each side of blocks of 64.
        assert_eq!(sizes.attended(8192), (8 * 8192 + 14 * 192) / 22);
        assert_eq!((sizes.attended(100), sizes.feed_forward), (100, 3 * 1152));
    }
}
