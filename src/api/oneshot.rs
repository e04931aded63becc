//! Comparing pruning criteria by one-shot pruning.

use super::error::Error;
use super::ranks::OtherRank;
use super::trial_config::TrialConfig;
use super::trials::{Subject, Variant};
use crate::diag::{Diagnostic, Findings};
use crate::engine::events::Observer;
use crate::engine::oneshot::post_training_quantization;
use crate::language::tuning::grid::{By, criteria, levels, needs_training};
use crate::language::tuning::points::check_levels;
use crate::output::trials::TrialReport;
use crate::ranks::Ranks;
use crate::schedule::ir::{Criterion, Prune};

/// Prunes a recipe's model one-shot by each criterion to each sparsity, without training, and evaluates it.
///
/// `by` lists the criteria, as `obs,magnitude`; without it they are the recipe's, and magnitude. Where the recipe
/// quantizes, every model is evaluated a second time after post-training quantization. The observer receives each
/// result as soon as it is there ([`Observer::trial`]), and may stop before the next trial.
///
/// # Errors
/// A recipe with errors or without a `prune` statement, sparsities or criteria that cannot be read, a model that is
/// not trained, a model or data that cannot be read or do not fit.
pub fn oneshot(
    config: &TrialConfig,
    by: Option<&str>,
    observer: &mut (impl Observer + Send),
) -> Result<TrialReport, Error> {
    oneshot_on(&Ranks::alone(), config, by, observer)
}

/// [`oneshot`] on several ranks, which compute it together. Rank 0 reports to its observer.
pub(crate) fn oneshot_on(
    ranks: &Ranks,
    config: &TrialConfig,
    by: Option<&str>,
    observer: &mut (impl Observer + Send),
) -> Result<TrialReport, Error> {
    match ranks.is_first() {
        true => compare(ranks, config, by, observer),
        false => compare(ranks, config, by, &mut OtherRank(observer)),
    }
}

fn compare(
    ranks: &Ranks,
    config: &TrialConfig,
    by: Option<&str>,
    observer: &mut (impl Observer + Send),
) -> Result<TrialReport, Error> {
    let mut subject = Subject::read(config, observer)?;
    let quantization = post_training_quantization(&subject.schedule);
    let evaluated = variants(config, by, &mut subject).and_then(|(variants, sparsities)| {
        subject.evaluate(config, variants, &sparsities, quantization.as_ref(), ranks, observer)
    });
    evaluated.map_err(|diagnostics| Error::new(diagnostics, subject.sources))
}

/// The statement by each criterion, and the sparsities.
fn variants(
    config: &TrialConfig,
    by: Option<&str>,
    subject: &mut Subject,
) -> Result<(Vec<Variant>, Vec<f64>), Vec<Diagnostic>> {
    let mut findings = Findings::new();
    let levels = levels(&config.sparsities, &mut subject.sources, &mut findings);
    check_levels(&levels, subject.statement.pattern, subject.statement.at_most, &mut findings);
    let given = by.map(|by| criteria(by, &mut subject.sources, &mut findings));
    let by = given.unwrap_or_else(|| match (&subject.statement.by, subject.by) {
        (Criterion::Obs(_), _) => vec![By::Obs, By::Magnitude],
        (Criterion::Movement, Some(at)) => {
            findings.push(needs_training(at));
            Vec::new()
        }
        _ => vec![By::Magnitude],
    });
    let mut variants = Vec::new();
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
        variants.push((settings, Prune { by: criterion, ..subject.statement.clone() }));
    }
    match findings.has_errors() {
        true => Err(findings.into_sorted()),
        false => Ok((variants, levels.iter().map(|l| l.sparsity).collect())),
    }
}
