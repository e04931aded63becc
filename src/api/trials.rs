//! What one-shot trials have in common: the statement that prunes, the model, and the trials themselves.

use std::collections::BTreeMap;

use super::error::Error;
use super::flags::{data_flag, data_missing, data_of_a_program, set_lengths};
use super::models::with_features;
use super::ranks;
use super::resolve::{Request, Resolved, resolve};
use super::resume::Inputs;
use super::trial_config::TrialConfig;
use crate::diag::{Code, Diagnostic, FileId, Sources, Span, counted};
use crate::engine::events::Observer;
use crate::engine::gradient_sharing::Trial;
use crate::engine::oneshot::{OneShot, seed_of};
use crate::engine::trial_outcome::TrialOutcome;
use crate::engine::{EngineError, device};
use crate::language::Compilation;
use crate::output::trials::{TrialReport, TrialSeries};
use crate::ranks::Ranks;
use crate::schedule::Schedule;
use crate::schedule::ir::{Criterion, Data, Model, Obs, Prune};
use crate::task::classification::Classification;
use crate::task::data::cache;
use crate::task::data::splits::{Need, ReadOptions};
use crate::task::embedding::Embedding;
use crate::task::masked_language::MaskedLanguage;
use crate::task::prepare::{self, Prepare, PrepareOptions};
use crate::task::question_answering::QuestionAnswering;
use crate::task::scoring::Scoring;
use crate::task::token_classification::TokenClassification;

/// A recipe whose `prune` statement is tried.
pub(super) struct Subject {
    pub(super) schedule: Schedule,
    pub(super) sources: Sources,
    /// The recipe's own text among the sources.
    pub(super) main: FileId,
    /// The statement that prunes.
    pub(super) statement: Prune,
    /// Where its criterion is written; `None` in a SparseML recipe.
    pub(super) by: Option<Span>,
    /// Where the recipe's name is written; `None` in a SparseML recipe.
    recipe: Option<Span>,
    /// The indices of its stage, and of the statement in it.
    index: (usize, usize),
    /// The model's folder, if it is not the one that the schedule names.
    model: Option<std::path::PathBuf>,
    notes: Vec<String>,
}

/// The settings of a series of trials as they are shown, and the statement with them.
pub(super) type Variant = (Vec<(String, String)>, Prune);

impl Subject {
    /// Compiles the recipe, finds its model, and chooses the first of its `prune` statements by `obs`, else the
    /// first of all.
    pub(super) fn read(config: &TrialConfig, observer: &mut dyn Observer) -> Result<Subject, Error> {
        let apply = |schedule: &mut Schedule| -> Vec<Diagnostic> {
            schedule.seed = config.seed.unwrap_or(schedule.seed);
            let lengths = set_lengths(&mut schedule.data, config.max_length, None);
            let data = data_flag(&schedule.data, config.data.as_deref());
            let missing = config.data.is_none().then(|| data_missing(&schedule.data)).flatten();
            lengths.err().into_iter().chain(data.err()).chain(missing).collect()
        };
        let (recipe, options) = (&config.recipe, &config.options);
        let request =
            Request { recipe, options, data: config.data.as_deref(), offline: config.offline, apply: &apply };
        let Resolved { schedule, compiled, model } = resolve(&request, observer)?;
        let (index, notes) = match choose(config, &schedule, &compiled) {
            Ok(chosen) => chosen,
            Err(diagnostic) => return Err(Error::new(vec![diagnostic], compiled.sources)),
        };
        let Compilation { sources, main, places, .. } = compiled;
        Ok(Subject {
            statement: schedule.stages[index.0].prune[index.1].clone(),
            by: places.as_ref().and_then(|p| p.criteria.get(index.0)?.get(index.1).copied()),
            recipe: places.map(|p| p.recipe),
            model,
            schedule,
            sources,
            main,
            index,
            notes,
        })
    }

    /// The settings of the OBS pruner.
    ///
    /// # Errors
    /// A recipe without a `prune` statement by `obs`.
    pub(super) fn obs(&self) -> Result<&Obs, Diagnostic> {
        if let Criterion::Obs(obs) = &self.statement.by {
            return Ok(obs);
        }
        let none = Diagnostic::unlocated(Code::NothingToPrune, "the recipe prunes nothing by `obs`");
        let at = self.by.or(self.recipe);
        let none = at.map_or(none.clone(), |span| none.at(span, "another criterion"));
        Err(none.help("write its settings: `by: obs(gradients: 1024)`"))
    }

    /// Prunes the model by each variant of the statement to each sparsity, and evaluates every pruned model; with
    /// `quantization` also after post-training quantization by that schedule.
    pub(super) fn evaluate(
        &mut self,
        config: &TrialConfig,
        variants: Vec<Variant>,
        sparsities: &[f64],
        quantization: Option<&Schedule>,
        ranks: &Ranks,
        observer: &mut (impl Observer + Send),
    ) -> Result<TrialReport, Vec<Diagnostic>> {
        let trials = Trials { config, variants, sparsities, quantization, ranks };
        match self.schedule.data {
            Data::Squad { .. } | Data::SquadV2 { .. } | Data::BuiltinReading { .. } => {
                trials.evaluate::<QuestionAnswering>(self, observer)
            }
            Data::Mnli { .. } | Data::Qqp { .. } | Data::Classify(_) => {
                trials.evaluate::<Classification>(self, observer)
            }
            Data::Regression(_) | Data::Rerank(_) | Data::MultiLabel(_) => {
                trials.evaluate::<Scoring>(self, observer)
            }
            Data::Embeddings(_) => trials.evaluate::<Embedding>(self, observer),
            Data::ClassifyTokens(_) => trials.evaluate::<TokenClassification>(self, observer),
            Data::MaskedText { .. } => trials.evaluate::<MaskedLanguage>(self, observer),
            Data::Own => Err(vec![data_of_a_program()]),
        }
    }
}

/// The indices of the statement that is tried, and notes on the choice.
fn choose(
    config: &TrialConfig,
    schedule: &Schedule,
    compiled: &Compilation,
) -> Result<((usize, usize), Vec<String>), Diagnostic> {
    let places = compiled.places.as_ref();
    let stages = schedule.stages.iter().enumerate();
    let all: Vec<(usize, usize, &Prune)> = stages
        .flat_map(|(s, stage)| stage.prune.iter().enumerate().map(move |(p, prune)| (s, p, prune)))
        .collect();
    let by_obs = all.iter().find(|(_, _, prune)| matches!(prune.by, Criterion::Obs(_)));
    let Some((s, p, _)) = by_obs.or(all.first()).copied() else {
        let nothing = Diagnostic::unlocated(Code::NothingToPrune, "the recipe has no `prune` statement");
        let nothing = places.map_or(nothing.clone(), |p| nothing.at(p.recipe, "nothing is pruned in it"));
        return Err(nothing.help("say what is pruned: `prune encoder_linears { by: obs, sparsity: 80% }`"));
    };
    let mut notes = Vec::new();
    if all.len() > 1 {
        let line = places.and_then(|known| known.criteria.get(s)?.get(p).copied());
        let line = line.map_or(String::new(), |span| {
            let file = compiled.sources.get(span.file);
            format!(" ({}:{})", file.name, file.line_column(span.start).line)
        });
        let kind = if by_obs.is_some() { "first by `obs`" } else { "first" };
        let stage = &schedule.stages[s].name;
        notes.push(format!("of {} `prune` statements the {kind} is taken: in `{stage}`{line}", all.len()));
    }
    if config.options.model.is_some() {
        return Ok(((s, p), notes));
    }
    if matches!(schedule.model, Model::NewBert(_)) {
        let message = "the recipe begins with a new model, whose weights are random";
        let new = Diagnostic::unlocated(Code::StartsUntrained, message);
        let new = places.map_or(new.clone(), |p| new.at(p.model, "not trained"));
        return Err(new.help("train it first, and give its folder with `--model DIR`"));
    }
    let before = &schedule.stages[..=s];
    let on_the_way = |index: usize| index == s || before[index].branch_from.is_none();
    if let Some(stage) = (0..=s).find(|i| on_the_way(*i) && before[*i].layers.is_some()) {
        let message = format!("`{}` drops layers before anything is pruned", before[stage].name);
        let layers = Diagnostic::unlocated(Code::LayersComeFirst, message);
        let layers = places.map_or(layers.clone(), |p| layers.at(p.recipe, "and nothing is trained"));
        return Err(layers.help("train the smaller model first, and give its folder with `--model DIR`"));
    }
    if before[..s].iter().any(|stage| stage.branch_from.is_none()) {
        notes.push("the stages before it are not run: the recipe's model is pruned as it is".to_owned());
    }
    Ok(((s, p), notes))
}

/// Trials of all variants at all sparsities.
struct Trials<'a> {
    config: &'a TrialConfig,
    variants: Vec<Variant>,
    sparsities: &'a [f64],
    quantization: Option<&'a Schedule>,
    ranks: &'a Ranks,
}

impl Trials<'_> {
    fn evaluate<T: Prepare>(
        self,
        subject: &mut Subject,
        observer: &mut (impl Observer + Send),
    ) -> Result<TrialReport, Vec<Diagnostic>> {
        let Trials { config, variants, sparsities, quantization, ranks } = self;
        let Subject { schedule, sources, statement, index, model, notes, .. } = subject;
        let device = device::open(&config.device).map_err(|d| vec![d])?;
        let gradients = variants.iter().any(|(_, prune)| prune.needs_training_data());
        let places = PrepareOptions {
            model: &schedule.model,
            model_folder: model.as_deref(),
            data: &schedule.data,
            data_folder: config.data.as_deref(),
            reading: ReadOptions {
                dev: config.dev.as_deref(),
                skip_bad: config.skip_bad,
                ..ReadOptions::default()
            },
            need: if gradients || quantization.is_some() { Need::Both } else { Need::Dev },
            limit_examples: config.limit_examples,
            dropout: None,
            may_have_new_head: false,
            distills: false,
            needs_labels: false,
            seed: schedule.seed,
        };
        let prepared = with_features(cache::folder(), observer, |making| {
            prepare::prepare::<T>(&places, &device, sources, making)
        })?;
        let inputs = Inputs {
            schedule,
            model: model.as_deref(),
            data: config.data.as_deref(),
            dev: config.dev.as_deref(),
            teacher: None,
            named_teachers: &BTreeMap::new(),
            device: &config.device,
            limit_steps: None,
            limit_examples: config.limit_examples.map(|n| n as u64),
        };
        if !ranks.is_alone() {
            let identity = inputs.identity().map_err(|d| vec![d])?;
            let compared = ranks::compare_inputs(ranks, &identity, &format!("{variants:?} {sparsities:?}"));
            compared.map_err(|(diagnostic, _)| vec![diagnostic])?;
        }
        let quantizing = quantization.and_then(|schedule| schedule.stages.first());
        let quantizing = quantizing.map(|stage| {
            format!("evaluated a second time after post-training quantization as in `{}`", stage.name)
        });
        for note in notes.iter().chain(&prepared.notes).chain(&quantizing) {
            observer.note(note);
        }
        let oneshot = OneShot {
            task: &prepared.task,
            device: &device,
            name: &schedule.name,
            seed: seed_of(schedule.seed, index.0, index.1),
            quantization,
            ranks,
        };
        let trials: Vec<Trial> = variants
            .iter()
            .flat_map(|(_, prune)| {
                sparsities.iter().map(|level| Trial { prune: prune.clone(), sparsity: *level })
            })
            .collect();
        let unpruned = Trial { prune: statement.clone(), sparsity: 0.0 };
        let failed = |done, error| match error {
            EngineError::Stopped { .. } => vec![stopped(done, trials.len())],
            error => vec![Diagnostic::from(error)],
        };
        let dense = oneshot.evaluate(&prepared.model, &unpruned, observer).map_err(|e| failed(0, e))?;
        observer.trial("unpruned model", 0, trials.len(), &dense);
        let mut series: Vec<TrialSeries> = variants
            .into_iter()
            .map(|(settings, _)| TrialSeries { settings, outcomes: Vec::new() })
            .collect();
        let names: Vec<String> = series.iter().map(TrialSeries::name).collect();
        let mut done = 0;
        let mut finished = |index: usize, outcome: &TrialOutcome, observer: &mut dyn Observer| {
            done += 1;
            observer.trial(&names[index / sparsities.len()], done, trials.len(), outcome);
        };
        let outcomes = oneshot.evaluate_trials(&prepared.model, &trials, observer, &mut finished);
        let outcomes = outcomes.map_err(|e| failed(done, e))?;
        for (series, own) in series.iter_mut().zip(outcomes.chunks(sparsities.len().max(1))) {
            series.outcomes = own.to_vec();
        }
        Ok(TrialReport { recipe: schedule.name.clone(), dense, sparsities: sparsities.to_vec(), series })
    }
}

/// Trials that were stopped before the last one.
fn stopped(done: usize, all: usize) -> Diagnostic {
    let message = format!("stopped after {done} of {}", counted(all, "trial", "trials"));
    Diagnostic::unlocated(Code::Stopped, message).help("begin again for all of them")
}
