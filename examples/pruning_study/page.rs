//! Tables and pictures.

use std::path::Path;

use obert::internals::diag::Diagnostic;
use obert::internals::engine::oneshot::Outcome;
use obert::internals::files::{output_folder, write_whole};
use obert::internals::output::trials::{Trials, Way};
use obert::internals::schedule::ir::Criterion;

use super::Arguments;
use super::figures::Figures;
use super::parts::Compared;
use super::subject::Subject;

/// Writes every part into its place on the page, with the ways that were measured at all levels.
pub fn write(
    arguments: &Arguments,
    subject: &Subject,
    parts: &[Compared],
    figures: &Figures,
) -> Result<(), Vec<Diagnostic>> {
    parts.iter().try_for_each(|part| write_part(arguments, subject, part, figures)).map_err(|d| vec![d])
}

fn write_part(
    arguments: &Arguments,
    subject: &Subject,
    compared: &Compared,
    figures: &Figures,
) -> Result<(), Diagnostic> {
    let outcomes = |by: &Criterion| -> Option<Vec<Outcome>> {
        arguments.levels.iter().map(|level| figures.get(&subject.trial(by, *level))).collect()
    };
    let way = |(name, by): &(String, Criterion)| {
        Some(Way { settings: vec![("way".to_owned(), name.clone())], outcomes: outcomes(by)? })
    };
    let ways: Vec<Way> = compared.ways.iter().filter_map(way).collect();
    if ways.is_empty() {
        return Ok(());
    }
    let levels = arguments.levels.iter().map(|level| level / 100.0).collect();
    let Some(dense) = figures.known_dense() else { return Ok(()) };
    let trials = Trials { recipe: subject.schedule.name.clone(), dense, dense_rounded: None, levels, ways };
    let (name, part) = (&arguments.name, compared.part);
    let picture = format!("pruning-study/{name}-{part}.svg");
    output_folder(&arguments.docs.join("pruning-study"))?;
    write_whole(&arguments.docs.join(&picture), trials.curves().as_bytes())?;
    let on = match subject.some_of {
        Some(all) => format!(
            " On {} of the {all} dev questions, evenly spaced; F1 is {:.1} before anything is pruned.",
            subject.prepared.task.dev_questions.len(),
            trials.dense["f1"]
        ),
        None => format!(" F1 is {:.1} before anything is pruned.", trials.dense["f1"]),
    };
    let text = format!("{}{on}\n\n{}\n![{part}]({picture})\n", compared.caption, table(&trials));
    insert(&arguments.docs.join("pruning-study.md"), name, &format!("{name}: {part}"), &text)
}

/// F1 of each way at each level.
fn table(trials: &Trials) -> String {
    let percent = |level: &f64| format!("{}%", (level * 1000.0).round() / 10.0);
    let heads: Vec<String> = trials.levels.iter().map(percent).collect();
    let mut text = format!("| F1 | {} |\n|---|{}\n", heads.join(" | "), "--:|".repeat(heads.len()));
    for way in &trials.ways {
        let figures: Vec<String> = way.outcomes.iter().map(|o| format!("{:.1}", o.metrics["f1"])).collect();
        text.push_str(&format!("| {} | {} |\n", way.settings[0].1, figures.join(" | ")));
    }
    text
}

/// Puts a part between its marks, at the end of the page if it has none.
fn insert(page: &Path, name: &str, mark: &str, part: &str) -> Result<(), Diagnostic> {
    let (begin, end) = (format!("<!-- {mark} -->\n"), format!("<!-- end of {mark} -->\n"));
    let text = std::fs::read_to_string(page).unwrap_or_default();
    let new = match (text.split_once(&begin), text.split_once(&end)) {
        (Some((before, _)), Some((_, after))) => format!("{before}{begin}\n{part}\n{end}{after}"),
        _ => format!("{text}\n## {name}\n\n{begin}\n{part}\n{end}"),
    };
    write_whole(page, new.as_bytes())
}
