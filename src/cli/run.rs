//! `obertc run`.

use std::path::PathBuf;

use clap::Args;

use super::checkpointing::CheckpointArgs;
use super::data_args::DataArgs;
use super::progress::Watcher;
use super::ranks::on_each;
use super::recipe::{RecipeArgs, recipe};
use super::{ERRORS, FINE, print, print_diagnostics};
use crate::api::{self, Error, Recipe, RunConfig};
use crate::diag::Sources;
use crate::ranks::Ranks;

#[derive(Args, Debug)]
pub struct RunArgs {
    /// The recipe; `-` reads it from standard input
    #[arg(value_name = "RECIPE")]
    recipe: PathBuf,
    #[command(flatten)]
    recipe_args: RecipeArgs,
    /// The folder of data files, named train* and dev* or valid* (json or jsonl for SQuAD; conll or jsonl for token
    /// classification; txt or jsonl for masked text; tsv, csv, jsonl or json for other tasks; parquet for any), or a
    /// training file, with --dev
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    #[command(flatten)]
    data_args: DataArgs,
    /// The folder for the model, the log and the report [default: runs/NAME]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The teacher of `distill from teacher`: a model folder or a name on the hub
    #[arg(long, value_name = "DIR")]
    teacher: Option<PathBuf>,
    /// Tokenize all texts again; neither read nor write the cache
    #[arg(long)]
    no_cache: bool,
    /// Do not use the network: models are folders, or in the Hugging Face cache
    #[arg(long)]
    offline: bool,
    /// The device: cpu, wgpu or cuda
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    device: String,
    /// Random seed, in place of the recipe's
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Rehearse the recipe: shorten epochs until a stage has at most N steps, but at least one step per epoch; several
    /// events of a statement at one step become one
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit_steps: Option<u64>,
    /// Maximum number of examples to train on, and to evaluate on
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit_examples: Option<u64>,
    /// Maximum sequence length in tokens, in place of the recipe's
    #[arg(long, alias = "max-seq-len", value_name = "N", value_parser = clap::value_parser!(u64).range(8..=1 << 20))]
    max_length: Option<u64>,
    /// Overlap of neighbouring windows of a long context in tokens, in place of the recipe's
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(0..=1 << 20))]
    doc_stride: Option<u64>,
    /// Also write event files for TensorBoard into the run's folder
    #[arg(long)]
    tensorboard: bool,
    /// Do not measure inference speed at the end
    #[arg(long)]
    no_speed: bool,
    /// Print nothing but errors and the summary
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    checkpoints: CheckpointArgs,
}

pub fn run(args: &RunArgs) -> Result<i32, Error> {
    on_each(|ranks| run_on(ranks, args))
}

fn run_on(ranks: &Ranks, args: &RunArgs) -> Result<i32, Error> {
    let config = args.config(recipe(&args.recipe)?);
    let mut watcher = Watcher::new(args.quiet).stopping("before the next step").estimating();
    let report = api::run_on(ranks, &config, &mut watcher)?;
    drop(watcher);
    if ranks.is_first() {
        let space = if report.was_finished { "" } else { "\n" };
        print(&format!("{space}{}", report.summary()));
        print_diagnostics(&report.missed, &Sources::new());
    }
    Ok(if report.missed.is_empty() { FINE } else { ERRORS })
}

impl RunArgs {
    fn config(&self, recipe: Recipe) -> RunConfig {
        let mut config = RunConfig::new(recipe);
        config.options = self.recipe_args.options();
        config.data = self.data.clone();
        config.dev = self.data_args.dev.clone();
        config.skip_bad = self.data_args.skip_bad;
        config.out = self.out.clone();
        config.teacher = self.teacher.clone();
        config.cache = !self.no_cache;
        config.offline = self.offline;
        config.device = self.device.clone();
        config.seed = self.seed;
        config.limit_steps = self.limit_steps;
        config.limit_examples = self.limit_examples.map(|n| n as usize);
        config.settings.max_length = self.max_length.map(|n| n as usize);
        config.settings.doc_stride = self.doc_stride.map(|n| n as usize);
        config.tensorboard = self.tensorboard;
        config.measure_speed = !self.no_speed;
        config.checkpoints = self.checkpoints.config();
        config
    }
}
