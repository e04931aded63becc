//! The recipe of a run, its command and its machine.

use super::html::{escaped, facts, table, verbatim};
use super::record::Record;
use crate::diag::counted;
use crate::output::numbers::{bytes, date};
use crate::plan::table as plan;
use crate::runlog::Environment;

/// The recipe, its parameters, and the schedule with every default filled in.
pub fn recipe(record: &Record) -> String {
    let mut text = String::new();
    if let Some(schedule) = record.schedule.as_ref().filter(|s| !s.parameters.is_empty()) {
        let rows: Vec<Vec<String>> = schedule
            .parameters
            .iter()
            .map(|p| {
                let by = if p.set { "<code>--set</code>" } else { "the recipe" };
                vec![escaped(&p.name), escaped(&p.value), by.to_owned()]
            })
            .collect();
        text.push_str(&table(&["Parameter", "Value", "Given by"].map(String::from), &rows, 3));
    }
    if let Some(environment) = record.environment.as_ref().filter(|e| !e.recipe_text.is_empty()) {
        text.push_str(&verbatim(&environment.recipe_text));
    }
    if let Some(schedule) = &record.schedule {
        let steps = record.stages.iter().map(|s| s.steps_per_epoch).max().filter(|s| *s > 0);
        let planned = plan::render(schedule, steps, None, |_| String::new());
        text.push_str(&format!(
            "<details><summary>The resolved schedule</summary>\n{}</details>\n",
            verbatim(&planned)
        ));
        let json = serde_json::to_string_pretty(schedule).unwrap_or_default();
        text.push_str(&format!(
            "<details><summary>The schedule as JSON</summary>\n{}</details>\n",
            verbatim(&json)
        ));
    }
    text
}

/// The command, versions and machine.
pub fn reproduce(record: &Record) -> String {
    let started = &record.started;
    let mut text = String::new();
    let mut rows: Vec<(&str, String)> = Vec::new();
    if let Some(environment) = &record.environment {
        text.push_str(&format!("<pre class=\"wrap\">{}</pre>\n", escaped(command(environment))));
        for (name, version) in &environment.versions {
            rows.push(("Version", format!("{} {}", escaped(name), escaped(version))));
        }
    } else {
        rows.push(("Version", format!("obert {}", escaped(&started.version))));
    }
    rows.push(("Seed", started.seed.to_string()));
    rows.push(("Device", escaped(&started.device)));
    rows.push(("Training examples", started.examples.to_string()));
    if let Some(environment) = &record.environment {
        rows.push(("System", escaped(&environment.system)));
        if let Some(processor) = &environment.processor {
            rows.push(("Processor", escaped(processor)));
        }
        rows.push(("Threads", environment.threads.to_string()));
        if let Some(memory) = environment.machine_memory {
            rows.push(("Memory", bytes(memory as usize)));
        }
        rows.push(("Started", date(environment.unix_time)));
    }
    if record.resumed > 0 {
        rows.push(("Resumed", counted(record.resumed, "time", "times")));
    }
    if started.recipe.is_empty() && record.environment.is_none() {
        return String::new();
    }
    text + &facts(&rows)
}

/// The command line as a shell takes it, under the program's own name.
pub fn command(environment: &Environment) -> String {
    let words = environment.command.iter().skip(1).map(|word| quoted(word));
    std::iter::once("obertc".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_can_be_pasted_into_a_shell() {
        let words = ["/home/x/obertc", "run", "a b.obert", "--set", "target=97%", "it's", "$HOME", ""];
        let environment = Environment { command: words.map(String::from).to_vec(), ..Environment::default() };
        assert_eq!(command(&environment), "obertc run 'a b.obert' --set target=97% 'it'\\''s' '$HOME' ''");
    }
}
