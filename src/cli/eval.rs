//! `obertc eval`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::progress::Watcher;
use super::settings_args::SettingsArgs;
use super::{FINE, Format, print};
use crate::api::{self, Error, EvalConfig, EvalReport};
use crate::output::numbers::{decimals, title};
use crate::task::data::splits::Split;

#[derive(Args, Clone, Debug)]
pub struct EvalArgs {
    /// A model folder, its name on the hub, or a file that `obertc pack --as engine` wrote
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// The folder of data files, or a file; not needed for a model that was trained on generated data
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    /// The split to evaluate on
    #[arg(long, value_enum, default_value_t, value_name = "SPLIT")]
    split: SplitName,
    /// Skip rows that cannot be used, such as those without a label, and report how many
    #[arg(long)]
    skip_bad: bool,
    /// Maximum number of examples
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit_examples: Option<u64>,
    /// Evaluate a model that lacks the task's head, with a new one of random weights
    #[arg(long)]
    new_head: bool,
    /// Tokenize all texts again; neither read nor write the cache
    #[arg(long)]
    no_cache: bool,
    /// Do not use the network: the model is a folder, or in the Hugging Face cache
    #[arg(long)]
    offline: bool,
    /// The device: cpu, wgpu or cuda
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    device: String,
    /// How the metrics are printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Show no progress
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// A split by its name on the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum SplitName {
    /// The train* files
    Train,
    /// The dev* or valid* files
    #[default]
    Dev,
    /// The test* files
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

pub fn run(args: &EvalArgs) -> Result<i32, Error> {
    api::ranks::refuse("eval")?;
    let report = api::eval(&args.config(), &mut Watcher::new(args.quiet))?;
    print(&shown(&report, args.format));
    Ok(FINE)
}

impl EvalArgs {
    fn config(&self) -> EvalConfig {
        let mut config = EvalConfig::new(&self.model, self.data.clone());
        config.settings = self.settings.settings();
        config.split = self.split.into();
        config.skip_bad = self.skip_bad;
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
    let width = metrics.keys().map(|name| title(name).len()).max().unwrap_or(0) + 2;
    let line = |(name, value): (&String, &f64)| {
        let decimals = decimals(name).max(2);
        format!("{:<width$}{value:.decimals$}\n", title(name))
    };
    let lines: String = metrics.iter().map(line).collect();
    let head = if *new_head { "with a new head of random weights\n" } else { "" };
    format!("{lines}over {examples} {unit}\n{head}")
}
