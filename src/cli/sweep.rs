//! `obertc sweep`.

use std::path::PathBuf;

use clap::Args;

use super::ranks::on_each;
use super::recipe::is_stdin;
use super::trial_args::{TrialArgs, show};
use super::{FINE, Format, print};
use crate::api::{self, Error, SweepConfig, SweepReport};
use crate::diag::{Code, Diagnostic};
use crate::files;
use crate::ranks::Ranks;

#[derive(Args, Debug)]
#[command(
    after_help = "`--grid` takes the settings of `obs` (`obertc explain obs`) except `memory`, which changes no \
    result. Settings that the grid does not name come from the recipe's first `prune` statement with `by: obs`. All \
    values of damp, update and block use the same gradients, and so do smaller values of gradients (the first of \
    them). With `recompute` above 1, each trial computes its own gradients."
)]
pub struct SweepArgs {
    #[command(flatten)]
    trials: TrialArgs,
    /// A setting and the values to try, as damp=1e-4,1e-5; several make a grid
    #[arg(long, value_name = "NAME=VALUES", required = true)]
    grid: Vec<String>,
    /// Write the settings with the best mean over the sparsities into the recipe
    #[arg(long)]
    write: bool,
    /// Draw a heat map of each pair of settings into this SVG file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

pub fn run(args: &SweepArgs) -> Result<i32, Error> {
    on_each(|ranks| run_on(ranks, args))
}

fn run_on(ranks: &Ranks, args: &SweepArgs) -> Result<i32, Error> {
    let SweepReport { trials, changed_recipe, .. } = sweep(ranks, args)?;
    if !ranks.is_first() {
        return Ok(FINE);
    }
    show(&trials, &trials.settings_table(), args.trials.format);
    if let Some(path) = &args.svg {
        files::write_whole(path, trials.heat_maps().as_bytes())?;
    }
    let (true, Some(best)) = (args.write, trials.best()) else { return Ok(FINE) };
    let path = &args.trials.recipe;
    let settings = trials.series[best].settings.iter();
    let settings: Vec<String> = settings.map(|(name, value)| format!("{name}: {value}")).collect();
    let settings = settings.join(", ");
    let written = match changed_recipe {
        None => format!("{} has the best settings already: {settings}\n", path.display()),
        Some(text) => {
            files::write_whole(path, text.as_bytes())?;
            format!("written to {}: {settings}\n", path.display())
        }
    };
    // Programs read the JSON alone.
    if args.trials.format == Format::Full {
        print(&written);
    }
    Ok(FINE)
}

fn sweep(ranks: &Ranks, args: &SweepArgs) -> Result<SweepReport, Error> {
    if args.write && is_stdin(&args.trials.recipe) {
        let message = "the best settings cannot be written into standard input";
        return Err(Diagnostic::unlocated(Code::NotWritable, message).help("give an .obert file").into());
    }
    let mut config = SweepConfig::new(args.trials.config()?, args.grid.clone());
    config.change_recipe = args.write;
    api::sweep_on(ranks, &config, &mut args.trials.watcher())
}
