//! The flags and the output that `oneshot` and `sweep` have in common.

use std::path::PathBuf;

use clap::Args;

use super::data_args::DataArgs;
use super::progress::Watcher;
use super::recipe::{RecipeArgs, recipe};
use super::{Format, print};
use crate::api::{Error, TrialConfig, TrialReport};

/// What is pruned, and what it is evaluated on.
#[derive(Args, Debug)]
pub struct TrialArgs {
    /// The recipe; `-` reads it from standard input
    #[arg(value_name = "RECIPE")]
    pub recipe: PathBuf,
    #[command(flatten)]
    recipe_args: RecipeArgs,
    /// The sparsities, as 50%,70%,90%
    #[arg(long, value_name = "LEVELS")]
    at: String,
    /// The folder of data files, or the training file (for gradients and calibration), as for `run`
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    #[command(flatten)]
    data_args: DataArgs,
    /// The device: cpu, wgpu or cuda
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    device: String,
    /// The seed, in place of the recipe's
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Maximum number of examples to take gradients from, and to evaluate on
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit_examples: Option<u64>,
    /// Maximum sequence length in tokens, in place of the recipe's
    #[arg(long, alias = "max-seq-len", value_name = "N", value_parser = clap::value_parser!(u64).range(8..=1 << 20))]
    max_length: Option<u64>,
    /// Do not use the network: the model is a folder, or in the Hugging Face cache
    #[arg(long)]
    offline: bool,
    /// How the results are printed
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Show no progress
    #[arg(long, short)]
    quiet: bool,
}

impl TrialArgs {
    /// The same for the library.
    pub fn config(&self) -> Result<TrialConfig, Error> {
        let mut config = TrialConfig::new(recipe(&self.recipe)?, &self.at);
        config.options = self.recipe_args.options();
        config.data = self.data.clone();
        config.dev = self.data_args.dev.clone();
        config.skip_bad = self.data_args.skip_bad;
        config.offline = self.offline;
        config.device = self.device.clone();
        config.seed = self.seed;
        config.limit_examples = self.limit_examples.map(|n| n as usize);
        config.max_length = self.max_length.map(|n| n as usize);
        Ok(config)
    }

    /// Shows progress and results as they come.
    pub fn watcher(&self) -> Watcher {
        Watcher::new(self.quiet).stopping("before the next trial")
    }
}

/// Prints the results.
pub fn show(trials: &TrialReport, table: &str, format: Format) {
    match format {
        Format::Json => print(&format!("{:#}\n", trials.json())),
        Format::Full => print(table),
    }
}
