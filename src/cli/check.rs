//! `obertc check`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::compile::{Compiler, RecipeArgs, is_stdin, read, shown};
use super::{ERRORS, FINE, eprint, fail, files, print, print_diagnostics};
use crate::diag::render::{concise, full, github, json, sarif};
use crate::diag::{Code, Diagnostic, Sources, fix};
use crate::explain::page;
use crate::language::Compilation;
use crate::language::library::{self, Parts};
use crate::yaml;

#[derive(Args, Debug)]
pub struct CheckArgs {
    /// Recipes, and folders of them; `-` reads one from standard input
    #[arg(value_name = "RECIPE", required = true)]
    recipes: Vec<PathBuf>,
    #[command(flatten)]
    recipe_args: RecipeArgs,
    /// How findings are printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Mend what has one safe remedy, in the file itself
    #[arg(long)]
    fix: bool,
    /// With --fix, also what silences a finding and may hide a mistake
    #[arg(long, requires = "fix")]
    unsafe_fixes: bool,
    /// Print findings alone
    #[arg(long, short, conflicts_with = "verbose")]
    quiet: bool,
    /// Say of each kind of finding why it matters
    #[arg(long, short)]
    verbose: bool,
}

/// How findings are printed.
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

/// What was found in one recipe.
struct Checked {
    name: String,
    /// What it holds, if it is a file of parts for others.
    parts: Option<Parts>,
    diagnostics: Vec<Diagnostic>,
    sources: Sources,
    compiled: Option<Compilation>,
    fixed: usize,
}

pub fn run(args: &CheckArgs) -> i32 {
    let compiler = match Compiler::new(&args.recipe_args) {
        Ok(compiler) => compiler,
        Err((diagnostics, sources)) => return fail(&diagnostics, &sources),
    };
    let mut recipes = Vec::new();
    for path in &args.recipes {
        match files::recipes_in(path) {
            Ok(found) => recipes.extend(found),
            Err(diagnostic) => return fail(&[diagnostic], &Sources::new()),
        }
    }
    let checked: Vec<Checked> = recipes.iter().map(|path| check(path, &compiler, args)).collect();
    let groups: Vec<(&[Diagnostic], &Sources)> =
        checked.iter().map(|c| (c.diagnostics.as_slice(), &c.sources)).collect();
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
        eprint(&mended(&checked));
    }
    let errors = checked.iter().flat_map(|c| &c.diagnostics).any(Diagnostic::is_error);
    if errors { ERRORS } else { FINE }
}

/// Checks one recipe, and mends it if asked to.
fn check(path: &Path, compiler: &Compiler, args: &CheckArgs) -> Checked {
    let name = shown(path);
    let none = |diagnostics, sources| Checked {
        name: name.clone(),
        parts: None,
        diagnostics,
        sources,
        compiled: None,
        fixed: 0,
    };
    let text = match read(path) {
        Ok(text) => text,
        Err(diagnostic) => return none(vec![diagnostic], Sources::new()),
    };
    let mut compiled = compiler.text(&name, &text);
    let mut fixed = 0;
    if args.fix {
        let own = compiled.sources.get(compiled.main).text.clone();
        let (text, count) = fix::mend(&own, args.unsafe_fixes, |text| {
            let compiled = compiler.text(&name, text);
            (compiled.main, compiled.diagnostics)
        });
        fixed = count;
        if is_stdin(path) {
            print(&text);
        } else if fixed > 0
            && let Err(diagnostic) = crate::files::write_whole(path, text.as_bytes())
        {
            return none(vec![diagnostic], Sources::new());
        }
        compiled = compiler.text(&name, &text);
    }
    let own = compiled.sources.get(compiled.main).text.clone();
    // What compiled to a recipe is not read again to see whether it is something else.
    let is_recipe = compiled.places.is_some() || yaml::is_yaml(path);
    let parts = if is_recipe { None } else { library::parts(&own) };
    if let Some(parts) = &parts {
        compiled = library::check(&name, &own, parts, &files::Disk);
    }
    Checked {
        name,
        parts,
        diagnostics: std::mem::take(&mut compiled.diagnostics),
        sources: std::mem::take(&mut compiled.sources),
        compiled: Some(compiled),
        fixed,
    }
}

/// How much `--fix` mended; nothing if it did nothing.
fn mended(checked: &[Checked]) -> String {
    match checked.iter().map(|c| c.fixed).sum() {
        0 => String::new(),
        1 => "mended 1 finding\n".to_owned(),
        fixed => format!("mended {fixed} findings\n"),
    }
}

/// For people: findings to stderr, the outcome to stdout.
fn show(checked: &[Checked], args: &CheckArgs) {
    for one in checked.iter().filter(|c| !c.diagnostics.is_empty()) {
        print_diagnostics(&one.diagnostics, &one.sources);
    }
    if args.quiet {
        return;
    }
    let mut codes: Vec<Code> = checked.iter().flat_map(|c| c.diagnostics.iter().map(|d| d.code)).collect();
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
    print(&mended(checked));
    let [one] = checked else {
        let all: Vec<Diagnostic> = checked.iter().flat_map(|c| c.diagnostics.clone()).collect();
        let found = full::count_line(&all);
        let found = if found.is_empty() { "fine\n".to_owned() } else { found };
        print(&format!("{} recipes: {found}", checked.len()));
        return;
    };
    let Some(compiled) = &one.compiled else { return };
    if let Some(schedule) = &compiled.schedule {
        let stages = schedule.stages.len();
        let plural = if stages == 1 { "" } else { "s" };
        print(&format!("{}: fine ({stages} stage{plural})\n", one.name));
    } else if let Some(parts) = one.parts.as_ref().filter(|_| one.diagnostics.is_empty()) {
        print(&format!("{}: fine ({})\n", one.name, counted(parts)));
    }
}

/// What a file of parts holds.
fn counted(parts: &Parts) -> String {
    let kinds = [
        (parts.templates.len(), "template", "templates"),
        (parts.sets.len(), "set of parameters", "sets of parameters"),
        (parts.values, "value", "values"),
    ];
    let present = kinds.into_iter().filter(|(count, ..)| *count > 0);
    let said = present.map(|(n, one, many)| format!("{n} {}", if n == 1 { one } else { many }));
    said.collect::<Vec<_>>().join(", ")
}
