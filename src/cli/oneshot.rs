//! `obertc oneshot`.

use std::path::PathBuf;

use clap::Args;

use super::trials::{Subject, TrialArgs, show};
use super::{fail, fail_with};
use crate::diag::{Diagnostic, Findings, Sources};
use crate::engine::oneshot::post_training_quantization;
use crate::language::tuning::grid::{By, criteria, levels, needs_training};
use crate::language::tuning::points::check_levels;
use crate::schedule::ir::{Criterion, Prune};

#[derive(Args, Debug)]
#[command(after_help = "Stages are not run and nothing is trained: the model, the data, what is pruned, \
    its pattern and the surgeon's settings are the recipe's, of its first `prune` statement by `obs`. \
    Where the recipe has `quantize`, what is pruned is measured a second time, rounded after a few batches were \
    observed.")]
pub struct OneshotArgs {
    #[command(flatten)]
    trials: TrialArgs,
    /// The sparsities, as 50%,70%,90%
    #[arg(long, value_name = "LEVELS")]
    at: String,
    /// The criteria, of obs and magnitude [default: the recipe's, and magnitude]
    #[arg(long, value_name = "CRITERIA")]
    by: Option<String>,
    /// Draw how good the model is against sparsity into this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

pub fn run(args: &OneshotArgs) -> i32 {
    let mut subject = match args.trials.read() {
        Ok(subject) => subject,
        Err(error) => return fail_with(&error),
    };
    let quantization = post_training_quantization(&subject.schedule);
    let measured = ways(args, &mut subject)
        .and_then(|(ways, levels)| args.trials.measure(&mut subject, ways, &levels, quantization.as_ref()));
    match measured {
        Err(diagnostics) => fail(&diagnostics, &subject.sources),
        Ok(trials) => {
            let (text, picture) = (trials.every_metric(), trials.curves());
            show(&trials, &text, args.trials.format, args.svg.as_deref(), picture)
        }
    }
}

type Ways = (Vec<(Vec<(String, String)>, Prune)>, Vec<f64>);

/// The criteria and the levels.
fn ways(args: &OneshotArgs, subject: &mut Subject) -> Result<Ways, Vec<Diagnostic>> {
    let mut findings = Findings::new();
    let sources: &mut Sources = &mut subject.sources;
    let levels = levels(&args.at, sources, &mut findings);
    check_levels(&levels, subject.statement.pattern, &mut findings);
    let given = args.by.as_ref().map(|by| criteria(by, sources, &mut findings));
    let by = given.unwrap_or_else(|| match (&subject.statement.by, subject.by) {
        (Criterion::Obs(_), _) => vec![By::Obs, By::Magnitude],
        (Criterion::Movement, Some(at)) => {
            findings.push(needs_training(at));
            Vec::new()
        }
        _ => vec![By::Magnitude],
    });
    let mut ways = Vec::new();
    for by in by {
        let criterion = match by {
            By::Magnitude => Criterion::Magnitude,
            By::Obs => match subject.obs() {
                Ok(obs) => Criterion::Obs(obs.clone()),
                Err(diagnostic) => {
                    findings.push(diagnostic);
                    continue;
                }
            },
        };
        let settings = vec![("by".to_owned(), by.name().to_owned())];
        ways.push((settings, Prune { by: criterion, ..subject.statement.clone() }));
    }
    match findings.has_errors() {
        true => Err(findings.into_sorted()),
        false => Ok((ways, levels.iter().map(|l| l.sparsity).collect())),
    }
}
