//! `obertc sweep`.

use std::path::PathBuf;

use clap::Args;

use super::recipe::is_stdin;
use super::trials::{Subject, TrialArgs, show};
use super::{ERRORS, FINE, Format, fail, fail_with, print};
use crate::diag::{Code, Diagnostic, Findings};
use crate::language::tuning::grid::{Axis, axes, levels, points};
use crate::language::tuning::points::{check_levels, check_points};
use crate::language::tuning::rewrite::with_settings;
use crate::output::trials::Trials;
use crate::schedule::ir::{Criterion, Obs, Prune};
use crate::yaml;

#[derive(Args, Debug)]
#[command(
    after_help = "Axes are settings of `obs` (`obertc explain obs`), without `memory`, which changes no \
    result. What the grid does not name is the recipe's, of its first `prune` statement by `obs`. One pass \
    over the gradients serves all damps, updates and block sizes and all smaller numbers of gradients; \
    estimates that follow each other (`recompute`) draw their own."
)]
pub struct SweepArgs {
    #[command(flatten)]
    trials: TrialArgs,
    /// A setting and the values that it is tried with, as damp=1e-4,1e-5; several make a grid
    #[arg(long, value_name = "NAME=VALUES", required = true)]
    grid: Vec<String>,
    /// The sparsities, as 50%,70%
    #[arg(long, value_name = "LEVELS")]
    at: String,
    /// Write the setting of the best mean over the levels into the recipe
    #[arg(long)]
    write: bool,
    /// Draw maps of all pairs of settings into this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

pub fn run(args: &SweepArgs) -> i32 {
    let mut subject = match args.trials.read() {
        Ok(subject) => subject,
        Err(error) => return fail_with(&error),
    };
    let grid = match grid(args, &mut subject) {
        Ok(grid) => grid,
        Err(diagnostics) => return fail(&diagnostics, &subject.sources),
    };
    let ways = points(&grid.axes).iter().map(|point| way(&subject.statement, &grid, point)).collect();
    let trials = match args.trials.measure(&mut subject, ways, &grid.levels, None) {
        Ok(trials) => trials,
        Err(diagnostics) => return fail(&diagnostics, &subject.sources),
    };
    let (text, picture) = (trials.one_metric(), trials.maps());
    let code = show(&trials, &text, args.trials.format, args.svg.as_deref(), picture);
    if code != FINE || !args.write {
        return code;
    }
    match write(args, &subject, &grid, &trials) {
        Ok(()) => FINE,
        Err(diagnostic) => {
            fail(&[diagnostic], &subject.sources);
            ERRORS
        }
    }
}

/// What is tried.
struct Grid {
    axes: Vec<Axis>,
    levels: Vec<f64>,
    base: Obs,
}

fn grid(args: &SweepArgs, subject: &mut Subject) -> Result<Grid, Vec<Diagnostic>> {
    let mut findings = Findings::new();
    let base = subject.obs().cloned();
    let pattern = subject.statement.pattern;
    let axes = axes(&args.grid, &mut subject.sources, &mut findings);
    let levels = levels(&args.at, &mut subject.sources, &mut findings);
    check_levels(&levels, pattern, &mut findings);
    let base = match base {
        Err(diagnostic) => {
            findings.push(diagnostic);
            return Err(findings.into_sorted());
        }
        Ok(base) => base,
    };
    check_points(&axes, &base, pattern, &mut findings);
    let grid = Grid { axes, levels: levels.iter().map(|l| l.sparsity).collect(), base };
    // Hours of measuring should not end in a setting that cannot be written.
    if args.write && !findings.has_errors() {
        let first = vec![0; grid.axes.len()];
        if let Err(diagnostic) = changed(args, subject, &grid, &first, true) {
            findings.push(diagnostic);
        }
    }
    if findings.has_errors() { Err(findings.into_sorted()) } else { Ok(grid) }
}

/// A point of the grid: its settings as they are shown, and the statement with them.
fn way(statement: &Prune, grid: &Grid, point: &[usize]) -> (Vec<(String, String)>, Prune) {
    let obs = obs_at(grid, point);
    let values = grid.axes.iter().zip(point).map(|(axis, i)| (axis.name, &axis.values[*i].text));
    let settings = values.map(|(name, text)| (name.to_owned(), text.clone())).collect();
    (settings, Prune { by: Criterion::Obs(obs), ..statement.clone() })
}

fn obs_at(grid: &Grid, point: &[usize]) -> Obs {
    let mut obs = grid.base.clone();
    grid.axes.iter().zip(point).for_each(|(axis, index)| axis.set(&mut obs, *index));
    obs
}

/// The recipe's text with the settings of a point; with those alone that differ from the recipe's, unless
/// `all` are asked for.
fn changed(
    args: &SweepArgs,
    subject: &Subject,
    grid: &Grid,
    point: &[usize],
    all: bool,
) -> Result<Option<String>, Diagnostic> {
    let differs = |(axis, index): &(&Axis, &usize)| {
        let mut obs = grid.base.clone();
        axis.set(&mut obs, **index);
        all || obs != grid.base
    };
    let changes: Vec<(&str, &str)> = grid
        .axes
        .iter()
        .zip(point)
        .filter(differs)
        .map(|(axis, index)| (axis.name, axis.values[*index].text.as_str()))
        .collect();
    let path = &args.trials.recipe;
    let by = match subject.by {
        Some(by) if !is_stdin(path) && !yaml::is_yaml(path) => by,
        _ => {
            let what = if is_stdin(path) { "standard input" } else { "a SparseML recipe" };
            let message = format!("the best setting cannot be written into {what}");
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

fn write(args: &SweepArgs, subject: &Subject, grid: &Grid, trials: &Trials) -> Result<(), Diagnostic> {
    let points = points(&grid.axes);
    let Some(point) = trials.best().and_then(|best| points.get(best)) else { return Ok(()) };
    let path = &args.trials.recipe;
    let settings: Vec<String> = grid
        .axes
        .iter()
        .zip(point)
        .map(|(axis, index)| format!("{}: {}", axis.name, axis.values[*index].text))
        .collect();
    let settings = settings.join(", ");
    let said = match changed(args, subject, grid, point, false)? {
        None => format!("{} says the best setting already: {settings}\n", path.display()),
        Some(text) => {
            crate::files::write_whole(path, text.as_bytes())?;
            format!("written to {}: {settings}\n", path.display())
        }
    };
    // Programs that read the figures need not hear of it.
    if args.trials.format == Format::Full {
        print(&said);
    }
    Ok(())
}
