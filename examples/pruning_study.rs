//! How good a model is after it was pruned at once, without training: by each criterion, over block
//! sizes, numbers of gradients, damps and recomputations. Writes tables into `docs/pruning-study.md` and
//! pictures beside it.
//!
//! `cargo run --example pruning_study` trains the quickstart's dense model on generated texts, once (it is
//! kept in `target/pruning-study`), and studies that. `cargo run --example pruning_study -- --model DIR
//! --data DIR --name NAME` studies a model and SQuAD files of yours, in a section of its own.
#![allow(clippy::print_stdout, clippy::print_stderr, missing_docs)]

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use obert::diag::{Diagnostic, Sources};
use obert::engine::events::{Observer, Unwatched};
use obert::engine::oneshot::{OneShot, seed_of};
use obert::engine::sharing::Trial;
use obert::engine::{Interpreter, device};
use obert::language::{NoFiles, Options, compile};
use obert::output::folder;
use obert::output::trials::{Trials, Way};
use obert::schedule::Schedule;
use obert::schedule::ir::{Criterion, Data, Obs, Prune, Update};
use obert::task::Task;
use obert::task::data::cache::Making;
use obert::task::data::squad::Need;
use obert::task::prepare::{Places, Prepared, prepare};
use obert::task::question_answering::QuestionAnswering;

/// What the built-in study starts from.
const QUICKSTART: &str = include_str!("../stdlib_recipes/quickstart.obert");

struct Arguments {
    name: String,
    model: Option<PathBuf>,
    data: Option<PathBuf>,
    max_length: usize,
    gradients: usize,
    docs: PathBuf,
}

fn arguments() -> Arguments {
    let mut read = Arguments {
        name: "built-in".into(),
        model: None,
        data: None,
        max_length: 384,
        gradients: 1024,
        docs: "docs".into(),
    };
    let mut words = std::env::args().skip(1);
    while let Some(flag) = words.next() {
        let value = words.next().unwrap_or_else(|| panic!("`{flag}` needs a value"));
        match flag.as_str() {
            "--name" => read.name = value,
            "--model" => read.model = Some(value.into()),
            "--data" => read.data = Some(value.into()),
            "--max-length" => read.max_length = value.parse().expect("a number of tokens"),
            "--gradients" => read.gradients = value.parse().expect("a number of gradients"),
            "--docs" => read.docs = value.into(),
            _ => panic!("there is no flag `{flag}`: --name --model --data --max-length --gradients --docs"),
        }
    }
    read
}

/// What is studied.
struct Study {
    prepared: Prepared<QuestionAnswering>,
    device: Device,
    schedule: Schedule,
    /// The stage of the statement, for seeds.
    stage: usize,
    statement: Prune,
    obs: Obs,
}

/// To which sparsities the model is pruned in every way.
const LEVELS: [f64; 6] = [0.5, 0.6, 0.7, 0.8, 0.9, 0.95];

fn main() {
    let arguments = arguments();
    let study = study(&arguments).unwrap_or_else(|found| panic!("{found:#?}"));
    let m = arguments.gradients;
    // Estimates that follow each other take as many gradients as they need, and no more.
    let few = (m / 8).max(64);
    let own = |change: &dyn Fn(&mut Obs)| {
        let mut obs = Obs { gradients: m, ..study.obs.clone() };
        change(&mut obs);
        Criterion::Obs(obs)
    };
    let independent = |o: &mut Obs| o.update = Update::Independent;
    let criteria = vec![
        ("magnitude".to_owned(), Criterion::Magnitude),
        ("B = 1".to_owned(), own(&|o| o.block = 1)),
        ("B = 50, independent".to_owned(), own(&independent)),
        ("B = 50, exact".to_owned(), own(&|_| ())),
        (format!("exact, 16 × {few}"), own(&|o| (o.recompute, o.gradients) = (16, few))),
    ];
    let blocks = [1, 4, 16, 50, 128].map(|b| (format!("B = {b}"), own(&|o| o.block = b)));
    let counts = [16, 8, 4, 2, 1].map(|part| (m / part).max(1));
    let counts = counts.map(|n| (format!("m = {n}"), own(&|o| o.gradients = n)));
    let damps = ["1e-3", "1e-4", "1e-5", "1e-6", "1e-7", "1e-8"];
    let damped = |update| {
        let damp = |d: &str| d.parse::<f64>().expect("a number");
        damps.map(|d| (format!("λ = {d}"), own(&|o| (o.damp, o.update) = (damp(d), update)))).to_vec()
    };
    let recomputed =
        [1, 4, 16].map(|n| (format!("{n} × {few}"), own(&|o| (o.recompute, o.gradients) = (n, few))));
    let usual = format!("λ = {:e}", study.obs.damp);
    let parts = [
        ("criteria", format!("By each criterion, {m} gradients, {usual}."), criteria),
        (
            "blocks",
            format!("Over sizes of the Fisher block: exact, {m} gradients, {usual}."),
            blocks.to_vec(),
        ),
        ("gradients", format!("Over numbers of gradients: exact, B = 50, {usual}."), counts.to_vec()),
        ("damp", format!("Over damps: exact, B = 50, {m} gradients."), damped(Update::Exact)),
        (
            "damp-independent",
            format!("Over damps: independent, B = 50, {m} gradients."),
            damped(Update::Independent),
        ),
        ("recompute", format!("Over estimates in a row: exact, B = 50, {usual}."), recomputed.to_vec()),
    ];
    let dense = evaluate(&study);
    let mut section = format!("\nF1 is {dense:.1} before anything is pruned.\n");
    for (part, caption, ways) in parts {
        eprintln!("{part}");
        let trials = measure(&study, ways);
        let file = format!("pruning-study/{}-{part}.svg", arguments.name);
        let path = arguments.docs.join(&file);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).expect("a folder for pictures");
        std::fs::write(&path, trials.curves()).expect("a picture");
        section.push_str(&format!("\n{caption}\n\n{}\n![{part}]({file})\n", markdown(&trials)));
    }
    println!("{section}");
    insert(&arguments.docs.join("pruning-study.md"), &arguments.name, &section);
}

/// The model, its data and the statement of the quickstart's second branch.
fn study(arguments: &Arguments) -> Result<Study, Vec<Diagnostic>> {
    let compiled = compile("quickstart", QUICKSTART, &NoFiles, Options::default());
    let mut schedule = compiled.schedule.ok_or(compiled.diagnostics)?;
    let first = schedule.stages.iter().enumerate().find_map(|(stage, s)| match s.prune.first() {
        Some(prune @ Prune { by: Criterion::Obs(obs), .. }) => Some((stage, prune.clone(), obs.clone())),
        _ => None,
    });
    let (stage, statement, obs) = first.expect("the quickstart prunes by obs");
    let obs = Obs { block: 50, ..obs };
    schedule.stages.truncate(1);
    let device = device::open("cpu").map_err(|d| vec![d])?;
    let kept = PathBuf::from("target/pruning-study");
    let model = match &arguments.model {
        Some(model) => {
            schedule.name = arguments.name.clone();
            schedule.data = Data::Squad { max_length: arguments.max_length, doc_stride: 128 };
            Some(model.clone())
        }
        None => kept.join("config.json").exists().then_some(kept.clone()),
    };
    let places = |folder| Places {
        model: &schedule.model,
        model_folder: folder,
        data: &schedule.data,
        data_folder: arguments.data.as_deref(),
        need: Need::Both,
        limit_examples: None,
        dropout: Some(0.0),
        distills: false,
        seed: schedule.seed,
    };
    let mut prepared: Prepared<QuestionAnswering> =
        prepare(&places(model.as_deref()), &device, &mut Sources::new(), &mut Making::unkept())?;
    if model.is_none() {
        eprintln!("training the dense model");
        let interpreter = Interpreter::new(&prepared.task, &schedule, device.clone());
        let run = interpreter.run(prepared.model, &mut Unwatched).map_err(|e| vec![Diagnostic::from(e)])?;
        prepared.model = run.0;
        std::fs::create_dir_all(&kept).expect("a folder for the model");
        folder::finish(&kept, &prepared.model, &prepared.config, &prepared.tokenizer).map_err(|d| vec![d])?;
    }
    Ok(Study { prepared, device, schedule, stage, statement, obs })
}

/// F1 of the model as it is.
fn evaluate(study: &Study) -> f64 {
    let metrics = study.prepared.task.evaluate(&study.prepared.model, &study.device, &mut |_, _| ());
    metrics["f1"]
}

fn measure(study: &Study, ways: Vec<(String, Criterion)>) -> Trials {
    let oneshot = OneShot {
        task: &study.prepared.task,
        device: &study.device,
        name: &study.schedule.name,
        seed: seed_of(study.schedule.seed, study.stage, 0),
    };
    let observer: &mut dyn Observer = &mut Unwatched;
    let dense = oneshot.evaluate(&study.prepared.model, observer);
    let trial = |by: &Criterion, level: f64| Trial {
        prune: Prune { by: by.clone(), ..study.statement.clone() },
        sparsity: level,
    };
    let trials: Vec<Trial> = ways.iter().flat_map(|(_, by)| LEVELS.iter().map(|l| trial(by, *l))).collect();
    let outcomes = oneshot
        .measure(&study.prepared.model, &trials, observer, &mut |index, outcome| {
            let (name, f1) = (&ways[index / LEVELS.len()].0, outcome.metrics["f1"]);
            eprintln!("  {name} at {:.1}%: F1 {f1:.1}", outcome.sparsity * 100.0);
        })
        .unwrap_or_else(|e| panic!("{e}"));
    let ways = ways.into_iter().zip(outcomes.chunks(LEVELS.len())).map(|((name, _), outcomes)| Way {
        settings: vec![("way".to_owned(), name)],
        outcomes: outcomes.to_vec(),
    });
    Trials { recipe: study.schedule.name.clone(), dense, levels: LEVELS.to_vec(), ways: ways.collect() }
}

/// F1 of each way at each level.
fn markdown(trials: &Trials) -> String {
    let percent = |level: &f64| format!("{}%", (level * 1000.0).round() / 10.0);
    let heads: Vec<String> = trials.levels.iter().map(percent).collect();
    let mut text = format!("| F1 | {} |\n|---|{}\n", heads.join(" | "), "--:|".repeat(heads.len()));
    for way in &trials.ways {
        let figures: Vec<String> = way.outcomes.iter().map(|o| format!("{:.1}", o.metrics["f1"])).collect();
        text.push_str(&format!("| {} | {} |\n", way.settings[0].1, figures.join(" | ")));
    }
    text
}

/// Puts a section between its marks, at the end of the page if it has none.
fn insert(page: &Path, name: &str, section: &str) {
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->\n"));
    let text = std::fs::read_to_string(page).unwrap_or_default();
    let new = match (text.split_once(&begin), text.split_once(&end)) {
        (Some((before, _)), Some((_, after))) => format!("{before}{begin}{section}\n{end}{after}"),
        _ => format!("{text}\n## {name}\n\n{begin}{section}\n{end}"),
    };
    std::fs::write(page, new).expect("the page");
}
