//! `obertc oneshot`.

use std::path::PathBuf;

use clap::Args;

use super::FINE;
use super::ranks::on_each;
use super::trial_args::{TrialArgs, show};
use crate::api::{self, Error};
use crate::files;
use crate::ranks::Ranks;

#[derive(Args, Debug)]
#[command(
    after_help = "No stage is run and nothing is trained: the model and the data are the recipe's, and the \
    pruned parameters, pattern and settings of `obs` those of its first `prune` statement with `by: obs`, or if it has none, of its first `prune` \
    statement (`obs` cannot be tried then). \
    If the recipe has `quantize`, every model is evaluated a second time after post-training quantization \
    with a few calibration batches."
)]
pub struct OneshotArgs {
    #[command(flatten)]
    trials: TrialArgs,
    /// The criteria to compare: obs, magnitude or `obs,magnitude` [default: the recipe's, and magnitude]
    #[arg(long, value_name = "CRITERIA")]
    by: Option<String>,
    /// Draw the metric against sparsity into this SVG file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

pub fn run(args: &OneshotArgs) -> Result<i32, Error> {
    on_each(|ranks| run_on(ranks, args))
}

fn run_on(ranks: &Ranks, args: &OneshotArgs) -> Result<i32, Error> {
    let (config, by) = (args.trials.config()?, args.by.as_deref());
    let trials = api::oneshot_on(ranks, &config, by, &mut args.trials.watcher())?;
    if !ranks.is_first() {
        return Ok(FINE);
    }
    show(&trials, &trials.table(), args.trials.format);
    if let Some(path) = &args.svg {
        files::write_whole(path, trials.curves().as_bytes())?;
    }
    Ok(FINE)
}
