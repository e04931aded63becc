//! `obertc check`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::recipe::{RecipeArgs, is_stdin, read, shown};
use super::{ERRORS, FINE, eprint, print, print_diagnostics};
use crate::api::check::check_text;
use crate::api::recipe::Compiler;
use crate::api::{CheckReport, Error, files};
use crate::diag::render::{concise, full, github, json, sarif};
use crate::diag::{Code, Diagnostic, Sources, counted, fix};
use crate::explain::page;
use crate::language::library::Parts;

#[derive(Args, Debug)]
pub struct CheckArgs {
    /// Recipes, or folders of recipes; `-` reads one from standard input
    #[arg(value_name = "RECIPE", required = true)]
    recipes: Vec<PathBuf>,
    #[command(flatten)]
    recipe_args: RecipeArgs,
    /// How diagnostics are printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Apply safe fixes to the recipe's file
    #[arg(long)]
    fix: bool,
    /// With --fix, also apply fixes that only silence a diagnostic and may hide a mistake
    #[arg(long, requires = "fix")]
    unsafe_fixes: bool,
    /// Print nothing but diagnostics
    #[arg(long, short, conflicts_with = "verbose")]
    quiet: bool,
    /// Explain each kind of diagnostic
    #[arg(long, short)]
    verbose: bool,
}

/// How diagnostics are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// With source lines, for people
    #[default]
    Full,
    /// One line each, for editors
    Concise,
    /// For programs
    Json,
    /// Annotations of a GitHub pull request
    Github,
    /// SARIF 2.1.0, for code scanning
    Sarif,
}

/// The report of one recipe.
struct Checked {
    name: String,
    report: CheckReport,
    fixed: usize,
}

pub fn run(args: &CheckArgs) -> Result<i32, Error> {
    let compiler = Compiler::new(&args.recipe_args.options())?;
    let mut recipes = Vec::new();
    for path in &args.recipes {
        recipes.extend(files::recipes_in(path)?);
    }
    let checked: Vec<Checked> = recipes.iter().map(|path| check(path, &compiler, args)).collect();
    let groups: Vec<(&[Diagnostic], &Sources)> =
        checked.iter().map(|c| (c.report.diagnostics.as_slice(), &c.report.sources)).collect();
    let lines = |render: fn(&[Diagnostic], &Sources) -> String| -> String {
        groups.iter().map(|(list, sources)| render(list, sources)).collect()
    };
    match args.format {
        Format::Full => show(&checked, args),
        Format::Concise => print(&lines(concise::render_all)),
        Format::Github => print(&lines(github::render_all)),
        Format::Json => print(&json::render_all(&groups)),
        Format::Sarif => print(&sarif::render_all(&groups)),
    }
    if args.format != Format::Full && !args.quiet {
        eprint(&fixes(&checked));
    }
    Ok(if checked.iter().any(|c| c.report.has_errors()) { ERRORS } else { FINE })
}

/// Checks one recipe, and fixes it if asked to.
fn check(path: &Path, compiler: &Compiler, args: &CheckArgs) -> Checked {
    let name = shown(path);
    let failed =
        |diagnostic| Checked { name: name.clone(), report: CheckReport::failed(diagnostic), fixed: 0 };
    let text = match read(path) {
        Ok(text) => text,
        Err(diagnostic) => return failed(diagnostic),
    };
    if !args.fix {
        return Checked { report: check_text(compiler, &name, &text), name, fixed: 0 };
    }
    let compiled = compiler.text(&name, &text);
    let own = compiled.sources.get(compiled.main).text.clone();
    let (text, fixed) = fix::fix_all(&own, args.unsafe_fixes, |text| {
        let compiled = compiler.text(&name, text);
        (compiled.main, compiled.diagnostics)
    });
    if is_stdin(path) {
        print(&text);
    } else if fixed > 0
        && let Err(diagnostic) = crate::files::write_whole(path, text.as_bytes())
    {
        return failed(diagnostic);
    }
    Checked { report: check_text(compiler, &name, &text), name, fixed }
}

/// The number of fixes that `--fix` applied, in words; empty if none.
fn fixes(checked: &[Checked]) -> String {
    match checked.iter().map(|c| c.fixed).sum() {
        0 => String::new(),
        fixed => format!("applied {}\n", counted(fixed, "fix", "fixes")),
    }
}

/// Prints for people: diagnostics to stderr, the outcome to stdout.
fn show(checked: &[Checked], args: &CheckArgs) {
    for report in checked.iter().map(|c| &c.report).filter(|report| !report.diagnostics.is_empty()) {
        print_diagnostics(&report.diagnostics, &report.sources);
    }
    if args.quiet {
        return;
    }
    let mut codes: Vec<Code> =
        checked.iter().flat_map(|c| c.report.diagnostics.iter().map(|d| d.code)).collect();
    codes.sort();
    codes.dedup();
    if args.verbose {
        for code in &codes {
            let why = page(*code).map_or("", |page| page.why);
            eprint(&format!("{code}: {}\n\n{why}\n\n", code.title()));
        }
    } else if let Some(first) = codes.first() {
        let others = if codes.len() > 1 { ", and so on, say" } else { " says" };
        eprint(&format!("`obertc explain {first}`{others} why\n"));
    }
    print(&fixes(checked));
    let [one] = checked else {
        let all: Vec<Diagnostic> = checked.iter().flat_map(|c| c.report.diagnostics.clone()).collect();
        let found = full::count_line(&all);
        let found = if found.is_empty() { "fine\n".to_owned() } else { found };
        print(&format!("{}: {found}", counted(checked.len(), "recipe", "recipes")));
        return;
    };
    if let Some(schedule) = &one.report.schedule {
        let stages = counted(schedule.stages.len(), "stage", "stages");
        print(&format!("{}: fine ({stages})\n", one.name));
    } else if let Some(parts) = one.report.parts.as_ref().filter(|_| one.report.diagnostics.is_empty()) {
        print(&format!("{}: fine ({})\n", one.name, definitions(parts)));
    }
}

/// How many definitions a file holds that other recipes `use`.
fn definitions(parts: &Parts) -> String {
    let kinds = [
        (parts.templates.len(), "template", "templates"),
        (parts.sets.len(), "set of parameters", "sets of parameters"),
        (parts.values, "value", "values"),
    ];
    let present = kinds.into_iter().filter(|(count, ..)| *count > 0);
    let said = present.map(|(n, one, many)| counted(n, one, many));
    said.collect::<Vec<_>>().join(", ")
}
