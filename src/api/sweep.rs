//! Tuning OBS settings by one-shot pruning.

use std::path::Path;

use super::error::Error;
use super::ranks::OtherRank;
use super::trial_config::TrialConfig;
use super::trials::{Subject, Variant};
use crate::diag::{Code, Diagnostic, Findings};
use crate::engine::events::Observer;
use crate::language::tuning::grid::{Axis, axes, levels, points};
use crate::language::tuning::points::{check_levels, check_points};
use crate::language::tuning::rewrite::with_settings;
use crate::output::trials::TrialReport;
use crate::ranks::Ranks;
use crate::schedule::ir::{Criterion, Obs, Prune};
use crate::yaml;

/// The inputs of [`sweep`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SweepConfig {
    /// What is pruned, and what it is evaluated on.
    pub trials: TrialConfig,
    /// The axes: each a setting of `obs` and its values, as `damp=1e-6,1e-7`.
    pub grid: Vec<String>,
    /// Whether the recipe's text is wanted with the best settings in it. A recipe in which they cannot be written is
    /// refused before the first trial.
    pub change_recipe: bool,
}

impl SweepConfig {
    /// Trials over a grid.
    pub fn new(trials: TrialConfig, grid: Vec<String>) -> Self {
        SweepConfig { trials, grid, change_recipe: false }
    }
}

/// The results of [`sweep`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SweepReport {
    /// The results, a series for each point of the grid.
    pub trials: TrialReport,
    /// The recipe's text with the settings of the best series; `None` if it has them already, or if it was not asked
    /// for.
    pub changed_recipe: Option<String>,
}

/// Prunes a recipe's model one-shot with each combination of OBS settings to each sparsity, without training, and
/// evaluates it.
///
/// Settings that the grid does not name are the recipe's. One pass over the gradients serves all values of `damp`,
/// `update` and `block`, and all smaller numbers of `gradients`. The observer receives each result as soon as it is
/// there ([`Observer::trial`]), and may stop before the next trial.
///
/// # Errors
/// A recipe with errors or without a `prune` statement by `obs`, a grid or sparsities that cannot be read, a model
/// that is not trained, a model or data that cannot be read or do not fit.
pub fn sweep(config: &SweepConfig, observer: &mut (impl Observer + Send)) -> Result<SweepReport, Error> {
    sweep_on(&Ranks::alone(), config, observer)
}

/// [`sweep`] on several ranks, which compute it together. Rank 0 reports to its observer.
pub(crate) fn sweep_on(
    ranks: &Ranks,
    config: &SweepConfig,
    observer: &mut (impl Observer + Send),
) -> Result<SweepReport, Error> {
    match ranks.is_first() {
        true => try_grid(ranks, config, observer),
        false => try_grid(ranks, config, &mut OtherRank(observer)),
    }
}

fn try_grid(
    ranks: &Ranks,
    config: &SweepConfig,
    observer: &mut (impl Observer + Send),
) -> Result<SweepReport, Error> {
    let mut subject = Subject::read(&config.trials, observer)?;
    let report = grid(config, &mut subject).and_then(|grid| {
        let points = points(&grid.axes);
        let variants = points.iter().map(|point| grid.variant(&subject.statement, point)).collect();
        let trials = subject.evaluate(&config.trials, variants, &grid.sparsities, None, ranks, observer)?;
        let best = trials.best().and_then(|best| points.get(best)).filter(|_| config.change_recipe);
        let changed = best.map(|point| grid.written(config, &subject, point, false)).transpose();
        Ok(SweepReport { trials, changed_recipe: changed.map_err(|d| vec![d])?.flatten() })
    });
    report.map_err(|diagnostics| Error::new(diagnostics, subject.sources))
}

/// The combinations that are tried.
struct Grid {
    axes: Vec<Axis>,
    sparsities: Vec<f64>,
    /// The recipe's settings.
    base: Obs,
}

fn grid(config: &SweepConfig, subject: &mut Subject) -> Result<Grid, Vec<Diagnostic>> {
    let mut findings = Findings::new();
    let base = subject.obs().cloned();
    let (pattern, at_most) = (subject.statement.pattern, subject.statement.at_most);
    let axes = axes(&config.grid, &mut subject.sources, &mut findings);
    let levels = levels(&config.trials.sparsities, &mut subject.sources, &mut findings);
    check_levels(&levels, pattern, at_most, &mut findings);
    let base = match base {
        Err(diagnostic) => {
            findings.push(diagnostic);
            return Err(findings.into_sorted());
        }
        Ok(base) => base,
    };
    check_points(&axes, &base, pattern, &mut findings);
    let grid = Grid { axes, sparsities: levels.iter().map(|l| l.sparsity).collect(), base };
    // Hours of trials should not end in a setting that cannot be written.
    if config.change_recipe && !findings.has_errors() {
        let first = vec![0; grid.axes.len()];
        if let Err(diagnostic) = grid.written(config, subject, &first, true) {
            findings.push(diagnostic);
        }
    }
    if findings.has_errors() { Err(findings.into_sorted()) } else { Ok(grid) }
}

impl Grid {
    /// The statement with the settings of a point.
    fn variant(&self, statement: &Prune, point: &[usize]) -> Variant {
        let mut obs = self.base.clone();
        self.axes.iter().zip(point).for_each(|(axis, index)| axis.set(&mut obs, *index));
        let values = self.axes.iter().zip(point).map(|(axis, i)| (axis.name, &axis.values[*i].text));
        let settings = values.map(|(name, text)| (name.to_owned(), text.clone())).collect();
        (settings, Prune { by: Criterion::Obs(obs), ..statement.clone() })
    }

    /// The recipe's text with those settings of a point that differ from the recipe's, or with `all` of them; `None`
    /// if none differs.
    fn written(
        &self,
        config: &SweepConfig,
        subject: &Subject,
        point: &[usize],
        all: bool,
    ) -> Result<Option<String>, Diagnostic> {
        let differs = |(axis, index): &(&Axis, &usize)| {
            let mut obs = self.base.clone();
            axis.set(&mut obs, **index);
            all || obs != self.base
        };
        let points = self.axes.iter().zip(point).filter(differs);
        let changes: Vec<(&str, &str)> =
            points.map(|(axis, index)| (axis.name, axis.values[*index].text.as_str())).collect();
        let by = match subject.by {
            Some(by) if !yaml::is_yaml(Path::new(&config.trials.recipe.name())) => by,
            _ => {
                let message = "the best setting cannot be written into a SparseML recipe";
                return Err(Diagnostic::unlocated(Code::NotWritable, message)
                    .help("give an .obert file; `obertc import` makes one of YAML"));
            }
        };
        if changes.is_empty() {
            return Ok(None);
        }
        let text = &subject.sources.get(subject.main).text;
        with_settings(text, subject.main, by, &changes).map(Some)
    }
}
