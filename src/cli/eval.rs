//! `obertc eval`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::progress::Watcher;
use super::{FINE, Format, fail_with, print};
use crate::api::{self, EvalConfig, EvalReport};
use crate::output::figures::title;
use crate::params::settings;
use crate::task::data::splits::Split;

#[derive(Args, Clone, Debug)]
pub struct EvalArgs {
    /// The model's folder, or its name on the hub
    #[arg(value_name = "MODEL_DIR")]
    model: PathBuf,
    /// The folder of data files, or a file
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    /// Which files of the folder are evaluated
    #[arg(long, value_enum, default_value_t, value_name = "SPLIT")]
    split: SplitName,
    /// Leave out rows that cannot be used, such as those without a label, and say how many
    #[arg(long)]
    skip_bad: bool,
    /// What it is measured on [default: what the model was made for]
    #[arg(long, value_enum, value_name = "TASK")]
    task: Option<TaskName>,
    /// The column of the text, for `--task classify`
    #[arg(long, value_name = "COLUMN")]
    text: Option<String>,
    /// The column of a second text, for `--task classify`
    #[arg(long, value_name = "COLUMN")]
    pair: Option<String>,
    /// The column of the label, for `--task classify` [default: label]
    #[arg(long, value_name = "COLUMN")]
    label: Option<String>,
    /// The labels in the order of the model's outputs, for `--task classify`
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    labels: Vec<String>,
    /// The label whose F1 is measured, for `--task classify` [default: the second of two, else the mean]
    #[arg(long, value_name = "LABEL")]
    positive: Option<String>,
    /// The longest answer, in tokens, for SQuAD [default: 30, or what the model was made with]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    max_answer_length: Option<u64>,
    /// The longest sequence, in tokens [default: 384 for SQuAD, 128 for labels, 512 for masked text, or
    /// what the model was made with]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(8..=1 << 20))]
    max_seq_len: Option<u64>,
    /// How far neighbouring windows of a long text overlap, in tokens [default: 128, at most half]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(0..=1 << 20))]
    doc_stride: Option<u64>,
    /// At most so many examples
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit_examples: Option<u64>,
    /// Evaluate a model that lacks the task's head: with a new one, whose weights are random
    #[arg(long)]
    new_head: bool,
    /// Tokenize all texts anew, and keep nothing of it in the cache
    #[arg(long)]
    no_cache: bool,
    /// Use no network: the model is a folder, or in the cache of the Hugging Face programs
    #[arg(long)]
    offline: bool,
    /// Where it is computed
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    device: String,
    /// How the figures are printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Show no progress
    #[arg(long, short)]
    quiet: bool,
}

/// A split by its name on the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum SplitName {
    /// train*
    Train,
    /// dev* or valid*
    #[default]
    Dev,
    /// test*
    Test,
}

impl From<SplitName> for Split {
    fn from(name: SplitName) -> Split {
        match name {
            SplitName::Train => Split::Train,
            SplitName::Dev => Split::Dev,
            SplitName::Test => Split::Test,
        }
    }
}

/// A kind of data by its name on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum TaskName {
    /// Questions about texts
    Squad,
    /// The same with questions that have no answer
    SquadV2,
    /// Sentence pairs of MNLI
    Mnli,
    /// Question pairs of QQP
    Qqp,
    /// Labels in a column of a table
    Classify,
    /// Hidden tokens of texts
    MaskedText,
}

impl From<TaskName> for settings::TaskName {
    fn from(name: TaskName) -> settings::TaskName {
        match name {
            TaskName::Squad => settings::TaskName::Squad,
            TaskName::SquadV2 => settings::TaskName::SquadV2,
            TaskName::Mnli => settings::TaskName::Mnli,
            TaskName::Qqp => settings::TaskName::Qqp,
            TaskName::Classify => settings::TaskName::Classify,
            TaskName::MaskedText => settings::TaskName::MaskedText,
        }
    }
}

pub fn run(args: &EvalArgs) -> i32 {
    let mut watcher = Watcher::new(args.quiet);
    let evaluated = api::eval(&args.config(), &mut watcher);
    drop(watcher);
    match evaluated {
        Err(error) => fail_with(&error),
        Ok(report) => {
            print(&shown(&report, args.format));
            FINE
        }
    }
}

impl EvalArgs {
    fn config(&self) -> EvalConfig {
        let mut config = EvalConfig::new(&self.model, self.data.clone());
        config.settings.task = self.task.map(settings::TaskName::from);
        config.settings.text = self.text.clone();
        config.settings.pair = self.pair.clone();
        config.settings.label = self.label.clone();
        config.settings.labels = (!self.labels.is_empty()).then(|| self.labels.clone());
        config.settings.positive = self.positive.clone();
        config.settings.max_answer_length = self.max_answer_length.map(|n| n as usize);
        config.split = self.split.into();
        config.skip_bad = self.skip_bad;
        config.settings.max_length = self.max_seq_len.map(|n| n as usize);
        config.settings.doc_stride = self.doc_stride.map(|n| n as usize);
        config.limit_examples = self.limit_examples.map(|n| n as usize);
        config.new_head = self.new_head;
        config.cache = !self.no_cache;
        config.offline = self.offline;
        config.device = self.device.clone();
        config
    }
}

fn shown(report: &EvalReport, format: Format) -> String {
    let EvalReport { metrics, examples, unit, new_head, .. } = report;
    if format == Format::Json {
        let mut object = serde_json::json!({ *unit: examples });
        for (name, value) in metrics {
            object[name] = (*value).into();
        }
        if *new_head {
            object["new_head"] = true.into();
        }
        return format!("{object:#}\n");
    }
    let titles: Vec<String> = metrics.keys().map(|name| title(name)).collect();
    let width = titles.iter().map(String::len).max().unwrap_or(0) + 2;
    let lines = titles.iter().zip(metrics.values());
    let lines: String = lines.map(|(title, value)| format!("{title:<width$}{value:.2}\n")).collect();
    let head = if *new_head { "with a new head, whose weights are random\n" } else { "" };
    format!("{lines}over {examples} {unit}\n{head}")
}
