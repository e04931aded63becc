//! What `oneshot` and `sweep` have in common: a recipe's start model, pruned at once in many ways.

use std::path::{Path, PathBuf};

use clap::Args;

use super::data_args::DataArgs;
use super::progress::Watcher;
use super::recipe::{RecipeArgs, recipe};
use super::{FINE, Format, fail, fetching, print, print_diagnostics};
use crate::api::Error;
use crate::api::flags::{data_flag, data_of_a_program, set_lengths};
use crate::api::models::with_features;
use crate::api::recipe::Compiler;
use crate::diag::{Code, Diagnostic, FileId, Sources, Span};
use crate::engine::gradient_sharing::Trial;
use crate::engine::oneshot::{OneShot, Outcome, seed_of};
use crate::engine::{EngineError, device};
use crate::language::Compilation;
use crate::output::figures::{duration, title};
use crate::output::trials::{Trials, Way, said};
use crate::schedule::Schedule;
use crate::schedule::ir::{Criterion, Data, Model, Obs, Prune};
use crate::task::classification::Classification;
use crate::task::data::cache;
use crate::task::data::splits::Need;
use crate::task::masked_language::MaskedLanguage;
use crate::task::metric::Metrics;
use crate::task::prepare::{self, Prepare, PrepareOptions};
use crate::task::question_answering::QuestionAnswering;

/// What is pruned, and on what it is measured.
#[derive(Args, Debug)]
pub struct TrialArgs {
    /// The recipe; `-` reads it from standard input
    #[arg(value_name = "RECIPE")]
    pub recipe: PathBuf,
    #[command(flatten)]
    recipe_args: RecipeArgs,
    /// The folder of data files or the file to train on, as for `run`
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    #[command(flatten)]
    data_args: DataArgs,
    /// Where it is computed
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    device: String,
    /// The seed, in place of the recipe's
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// At most so many examples to take gradients from, and to measure on
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit_examples: Option<u64>,
    /// Maximum sequence length in tokens, in place of the recipe's
    #[arg(long, alias = "max-seq-len", value_name = "N", value_parser = clap::value_parser!(u64).range(8..=1 << 20))]
    max_length: Option<u64>,
    /// Use no network: the model is a folder, or in the cache of the Hugging Face programs
    #[arg(long)]
    offline: bool,
    /// How the figures are printed
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Show no progress
    #[arg(long, short)]
    quiet: bool,
}

/// A recipe read for trials.
pub struct Subject {
    pub schedule: Schedule,
    pub sources: Sources,
    /// The recipe's own text among the sources.
    pub main: FileId,
    /// The statement that says what is pruned.
    pub statement: Prune,
    /// Its stage and its place there.
    pub place: (usize, usize),
    /// Where its criterion is written, if it is known.
    pub by: Option<Span>,
    /// Where the recipe is named, if it is known.
    pub recipe: Option<Span>,
    /// The model's folder; `None` for a new model.
    model: Option<PathBuf>,
    notes: Vec<String>,
}

impl TrialArgs {
    /// Compiles the recipe and finds the first of its `prune` statements by `obs`, else the first of all.
    pub fn read(&self) -> Result<Subject, Error> {
        let recipe = recipe(&self.recipe).map_err(Error::unlocated)?;
        let compiled = |compiler: &Compiler| -> Result<(Schedule, Compilation), Error> {
            let mut compiled = compiler.recipe(&recipe)?;
            match compiled.schedule.take() {
                Some(schedule) => Ok((schedule, compiled)),
                None => Err(Error::new(compiled.diagnostics, compiled.sources)),
            }
        };
        let mut options = self.recipe_args.options();
        let given = options.model.clone().filter(|folder| !folder.exists());
        let compiler =
            if given.is_some() { Compiler::before_model(&options)? } else { Compiler::new(&options)? };
        let (mut schedule, mut found) = compiled(&compiler)?;
        let named = match (&options.model, &schedule.model) {
            (None, Model::Named(name)) => Some(PathBuf::from(name)),
            _ => None,
        };
        let needs_data = !matches!(schedule.data, Data::BuiltinReading { .. } | Data::Own);
        let lacks_data = needs_data && !self.data.as_deref().is_some_and(Path::exists);
        // A model is fetched after everything that can be checked without it.
        if let Some(name) = given.clone().or(named).filter(|_| !lacks_data) {
            match fetching::find(&name, self.offline, self.quiet) {
                Ok(folder) => options.model = Some(folder),
                Err(diagnostic) => return Err(Error::new(vec![diagnostic], found.sources)),
            }
            (schedule, found) = compiled(&Compiler::new(&options)?.called(given.as_deref()))?;
        }
        let compiled = found;
        print_diagnostics(&compiled.diagnostics, &compiled.sources);
        let subject = self.flags(&mut schedule).and_then(|()| self.statement(&schedule, &compiled));
        let Compilation { sources, main, places, .. } = compiled;
        match subject {
            Err(diagnostic) => Err(Error::new(vec![diagnostic], sources)),
            Ok((place, notes)) => Ok(Subject {
                statement: schedule.stages[place.0].prune[place.1].clone(),
                by: places.as_ref().and_then(|p| p.criteria.get(place.0)?.get(place.1).copied()),
                recipe: places.map(|p| p.recipe),
                model: options.model,
                schedule,
                sources,
                main,
                place,
                notes,
            }),
        }
    }

    fn flags(&self, schedule: &mut Schedule) -> Result<(), Diagnostic> {
        if let Some(seed) = self.seed {
            schedule.seed = seed;
        }
        set_lengths(&mut schedule.data, self.max_length.map(|n| n as usize), None)?;
        data_flag(&schedule.data, self.data.as_deref())
    }

    /// The place of the statement, and what a user should know of the choice.
    fn statement(
        &self,
        schedule: &Schedule,
        compiled: &Compilation,
    ) -> Result<((usize, usize), Vec<String>), Diagnostic> {
        let places = compiled.places.as_ref();
        let all: Vec<(usize, usize, &Prune)> = schedule
            .stages
            .iter()
            .enumerate()
            .flat_map(|(s, stage)| stage.prune.iter().enumerate().map(move |(p, prune)| (s, p, prune)))
            .collect();
        let by_obs = all.iter().find(|(_, _, prune)| matches!(prune.by, Criterion::Obs(_)));
        let Some((s, p, _)) = by_obs.or(all.first()).copied() else {
            let message = "the recipe has no `prune` statement";
            let nothing = Diagnostic::unlocated(Code::NothingToPrune, message);
            let nothing = places.map_or(nothing.clone(), |p| nothing.at(p.recipe, "nothing is pruned in it"));
            return Err(
                nothing.help("say what is pruned: `prune encoder_linears { by: obs, sparsity: 80% }`")
            );
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
            notes
                .push(format!("of {} `prune` statements the {kind} is taken: in `{stage}`{line}", all.len()));
        }
        let before = &schedule.stages[..=s];
        let own = |index: usize| index == s || before[index].branch_from.is_none();
        if self.recipe_args.model.is_none() {
            if matches!(schedule.model, Model::NewBert(_)) {
                let message = "the recipe begins with a new model, whose weights are random";
                let new = Diagnostic::unlocated(Code::StartsUntrained, message);
                let new = places.map_or(new.clone(), |p| new.at(p.model, "nothing is learned yet"));
                return Err(new.help("train it first, and give its folder with `--model DIR`"));
            }
            if let Some(stage) = (0..=s).find(|i| own(*i) && before[*i].layers.is_some()) {
                let message = format!("`{}` drops layers before anything is pruned", before[stage].name);
                let layers = Diagnostic::unlocated(Code::LayersComeFirst, message);
                let layers = places.map_or(layers.clone(), |p| layers.at(p.recipe, "and nothing is trained"));
                return Err(
                    layers.help("train the smaller model first, and give its folder with `--model DIR`")
                );
            }
            if (0..s).any(|i| own(i) && before[i].branch_from.is_none()) {
                notes.push("the stages before it are not run: the model is pruned as it is now".to_owned());
            }
        }
        Ok(((s, p), notes))
    }

    /// Prunes and measures; `ways` are what the trials are called, each to every level. With a `quantization`,
    /// [`post_training_quantization`](crate::engine::oneshot::post_training_quantization), each is measured rounded too.
    pub fn measure(
        &self,
        subject: &mut Subject,
        ways: Vec<(Vec<(String, String)>, Prune)>,
        levels: &[f64],
        quantization: Option<&Schedule>,
    ) -> Result<Trials, Vec<Diagnostic>> {
        match subject.schedule.data.clone() {
            Data::Squad { .. } | Data::SquadV2 { .. } | Data::BuiltinReading { .. } => {
                self.measure_on::<QuestionAnswering>(subject, ways, levels, quantization)
            }
            Data::Mnli { .. } | Data::Qqp { .. } | Data::Classify(_) => {
                self.measure_on::<Classification>(subject, ways, levels, quantization)
            }
            Data::MaskedText { .. } => self.measure_on::<MaskedLanguage>(subject, ways, levels, quantization),
            Data::Own => Err(vec![data_of_a_program()]),
        }
    }

    fn measure_on<T: Prepare>(
        &self,
        subject: &mut Subject,
        ways: Vec<(Vec<(String, String)>, Prune)>,
        levels: &[f64],
        quantization: Option<&Schedule>,
    ) -> Result<Trials, Vec<Diagnostic>> {
        let schedule = &subject.schedule;
        let device = device::open(&self.device).map_err(|d| vec![d])?;
        let trains = quantization.is_some() || ways.iter().any(|(_, prune)| prune.by.needs_gradients());
        let places = PrepareOptions {
            model: &schedule.model,
            model_folder: subject.model.as_deref(),
            data: &schedule.data,
            data_folder: self.data.as_deref(),
            reading: self.data_args.options(),
            need: if trains { Need::Both } else { Need::Dev },
            limit_examples: self.limit_examples.map(|n| n as usize),
            dropout: None,
            may_have_new_head: false,
            distills: false,
            seed: schedule.seed,
        };
        let sources = &mut subject.sources;
        let mut watcher = Watcher::new(self.quiet).stopping("before the next trial");
        let prepared = with_features(cache::folder(), &mut watcher, |making| {
            prepare::prepare::<T>(&places, &device, sources, making)
        })?;
        if !self.quiet {
            let quantized = quantization
                .and_then(|s| s.stages.first())
                .map(|stage| format!("measured again rounded as in `{}`, without training", stage.name));
            for note in subject.notes.iter().chain(&prepared.notes).chain(&quantized) {
                eprintln!("note: {note}");
            }
        }
        let (stage, statement) = subject.place;
        let oneshot = OneShot {
            task: &prepared.task,
            device: &device,
            name: &schedule.name,
            seed: seed_of(schedule.seed, stage, statement),
            quantization,
        };
        watcher.handle_stop();
        let dense = oneshot.evaluate(&prepared.model, &mut watcher);
        let all = ways.len() * levels.len();
        let failed = |done, error| match error {
            EngineError::Stopped { .. } => vec![stopped(done, all, self.quiet)],
            error => vec![Diagnostic::from(error)],
        };
        let dense_rounded =
            oneshot.evaluate_quantized(&prepared.model, &mut watcher).map_err(|e| failed(0, e))?;
        self.print_line(&format!("as it was: {}{}", figures(&dense), quantized(dense_rounded.as_ref())));
        let mut ways: Vec<(Way, Prune)> = ways
            .into_iter()
            .map(|(settings, prune)| (Way { settings, outcomes: Vec::new() }, prune))
            .collect();
        let trials: Vec<Trial> = ways
            .iter()
            .flat_map(|(_, prune)| {
                levels.iter().map(|level| Trial { prune: prune.clone(), sparsity: *level })
            })
            .collect();
        let mut done = 0;
        let outcomes = oneshot.measure(&prepared.model, &trials, &mut watcher, &mut |index, outcome| {
            done += 1;
            let way = said(&ways[index / levels.len()].0);
            let so_far = format!("{done}/{} {way} at {:.1}%", trials.len(), outcome.sparsity * 100.0);
            let seconds = duration(outcome.seconds);
            self.print_line(&format!(
                "{so_far}: {}{}{} ({seconds})",
                figures(&outcome.metrics),
                quantized(outcome.quantized.as_ref()),
                remarks(outcome)
            ));
        });
        drop(watcher);
        let outcomes = outcomes.map_err(|e| failed(done, e))?;
        for ((way, _), own) in ways.iter_mut().zip(outcomes.chunks(levels.len().max(1))) {
            way.outcomes = own.to_vec();
        }
        let ways = ways.into_iter().map(|(way, _)| way).collect();
        Ok(Trials { recipe: schedule.name.clone(), dense, dense_rounded, levels: levels.to_vec(), ways })
    }

    fn print_line(&self, line: &str) {
        if !self.quiet {
            eprintln!("  {line}");
        }
    }
}

impl Subject {
    /// The settings of the surgeon, if the statement is by `obs`.
    ///
    /// # Errors
    /// A recipe without any.
    pub fn obs(&self) -> Result<&Obs, Diagnostic> {
        if let Criterion::Obs(obs) = &self.statement.by {
            return Ok(obs);
        }
        let none = Diagnostic::unlocated(Code::NothingToPrune, "the recipe prunes nothing by `obs`");
        let at = self.by.or(self.recipe);
        let none = at.map_or(none.clone(), |span| none.at(span, "another criterion"));
        Err(none.help("say the surgeon's settings: `by: obs(gradients: 1024)`"))
    }
}

/// A measurement that was asked to stop.
fn stopped(done: usize, all: usize, quiet: bool) -> Diagnostic {
    let message = format!("stopped after {done} of {all} trials");
    Diagnostic::unlocated(Code::Stopped, message).help(if done > 0 && !quiet {
        "what they measured is above; begin again for all"
    } else {
        "begin again"
    })
}

/// Prints what was measured, and writes the picture if one is asked for.
pub fn show(trials: &Trials, text: &str, format: Format, svg: Option<&Path>, picture: String) -> i32 {
    match format {
        Format::Json => print(&format!("{:#}\n", trials.document())),
        Format::Full => print(text),
    }
    match svg.map(|path| crate::files::write_whole(path, picture.as_bytes())) {
        Some(Err(diagnostic)) => fail(&[diagnostic], &Sources::new()),
        _ => FINE,
    }
}

/// `EM 41.7, F1 52.0`.
fn figures(metrics: &Metrics) -> String {
    let figures = metrics.iter().map(|(name, value)| format!("{} {value:.2}", title(name)));
    figures.collect::<Vec<_>>().join(", ")
}

/// `, rounded EM 40.9, F1 51.2`.
fn quantized(metrics: Option<&Metrics>) -> String {
    metrics.map_or(String::new(), |metrics| format!(", rounded {}", figures(metrics)))
}

/// What was not as the recipe says.
fn remarks(outcome: &Outcome) -> String {
    let damp = outcome.raised_damp.map_or(String::new(), |damp| format!(", damp raised to {damp:e}"));
    let shorter: Vec<String> = outcome.step_sizes.iter().map(|l| format!("{l}")).collect();
    match outcome.step_sizes.iter().all(|l| *l == 1.0) {
        true => damp,
        false => format!("{damp}, step size of the update {}", shorter.join(" ")),
    }
}
