//! The model that is studied, and on what.

use std::path::PathBuf;

use burn::tensor::Device;
use obert::internals::diag::{Diagnostic, Sources};
use obert::internals::engine::events::Unwatched;
use obert::internals::engine::gradient_sharing::Trial;
use obert::internals::engine::oneshot::seed_of;
use obert::internals::engine::{Interpreter, device};
use obert::internals::language::{NoFiles, Options, compile};
use obert::internals::output::folder;
use obert::internals::schedule::Schedule;
use obert::internals::schedule::ir::{Criterion, Data, Obs, Prune};
use obert::internals::task::data::cache::FeatureCache;
use obert::internals::task::data::splits::{Need, ReadOptions};
use obert::internals::task::prepare::{PrepareOptions, Prepared, prepare};
use obert::internals::task::question_answering::QuestionAnswering;

use super::Arguments;

/// What the built-in study starts from.
const QUICKSTART: &str = include_str!("../../stdlib_recipes/quickstart.obert");

/// What is studied.
pub struct Subject {
    /// The model and its data.
    pub prepared: Prepared<QuestionAnswering>,
    pub device: Device,
    pub schedule: Schedule,
    /// The seed of the gradients' batches.
    pub seed: u64,
    /// The surgeon's settings that the study varies.
    pub obs: Obs,
    /// What tells measurements of this model on these questions from others.
    pub identity: String,
    /// Dev questions of which there are more, if not all are asked.
    pub some_of: Option<usize>,
    statement: Prune,
}

impl Subject {
    /// The model, its data and the statement of the quickstart's second branch.
    pub fn prepare(arguments: &Arguments) -> Result<Self, Vec<Diagnostic>> {
        let compiled = compile("quickstart", QUICKSTART, &NoFiles, Options::default());
        let mut schedule = compiled.schedule.ok_or(compiled.diagnostics)?;
        let first = schedule.stages.iter().enumerate().find_map(|(stage, s)| match s.prune.first() {
            Some(prune @ Prune { by: Criterion::Obs(obs), .. }) => Some((stage, prune.clone(), obs.clone())),
            _ => None,
        });
        let (stage, statement, obs) = first.expect("the quickstart prunes by obs");
        let obs = Obs { block: 50, gradients: arguments.gradients, ..obs };
        schedule.stages.truncate(1);
        let device = device::open("cpu").map_err(|d| vec![d])?;
        let kept = PathBuf::from("target/pruning-study/model");
        let model = match &arguments.model {
            Some(model) => {
                schedule.name = arguments.name.clone();
                schedule.data =
                    Data::Squad { max_length: arguments.max_length, doc_stride: 128, max_answer_length: 30 };
                Some(model.clone())
            }
            None => kept.join("config.json").exists().then_some(kept.clone()),
        };
        let places = |folder| PrepareOptions {
            model: &schedule.model,
            model_folder: folder,
            data: &schedule.data,
            data_folder: arguments.data.as_deref(),
            reading: ReadOptions::default(),
            need: Need::Both,
            limit_examples: None,
            dropout: Some(0.0),
            may_have_new_head: true,
            distills: false,
            seed: schedule.seed,
        };
        let (places, sources) = (places(model.as_deref()), &mut Sources::new());
        let mut prepared: Prepared<QuestionAnswering> =
            prepare(&places, &device, sources, &mut FeatureCache::disabled())?;
        if model.is_none() {
            println!("training the dense model");
            let interpreter = Interpreter::new(&prepared.task, &schedule, device.clone());
            let run =
                interpreter.run(prepared.model, &mut Unwatched).map_err(|e| vec![Diagnostic::from(e)])?;
            prepared.model = run.0;
            std::fs::create_dir_all(&kept).expect("a folder for the model");
            folder::finish(&kept, &prepared.model, &prepared.config, &prepared.tokenizer)
                .map_err(|d| vec![d])?;
        }
        let all = prepared.task.dev_questions.len();
        let some_of = arguments.questions.filter(|asked| *asked < all).map(|_| all);
        if let (Some(asked), Some(_)) = (arguments.questions, some_of) {
            ask_less(&mut prepared.task, asked);
        }
        let identity = format!(
            "{} of {} tokens, {} questions",
            model.unwrap_or(kept).display(),
            arguments.max_length,
            prepared.task.dev_questions.len()
        );
        let seed = seed_of(schedule.seed, stage, 0);
        Ok(Subject { prepared, device, schedule, seed, obs, identity, some_of, statement })
    }

    /// The model pruned at once in a way.
    pub fn trial(&self, by: &Criterion, percent: f64) -> Trial {
        let prune = Prune { by: by.clone(), ..self.statement.clone() };
        Trial { prune, sparsity: percent / 100.0 }
    }
}

/// Leaves so many of the held-out questions, evenly spaced: neighbours are about the same text.
fn ask_less(task: &mut QuestionAnswering, asked: usize) {
    let all = task.dev_questions.len();
    let chosen: Vec<usize> = (0..asked).map(|i| i * all / asked).collect();
    task.dev_questions = chosen.iter().map(|i| task.dev_questions[*i].clone()).collect();
    let windows = std::mem::take(&mut task.dev).into_iter().filter_map(|mut window| {
        window.question = chosen.binary_search(&window.question).ok()?;
        Some(window)
    });
    task.dev = windows.collect();
}
