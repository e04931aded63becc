//! `obertc watch`.
//!
//! The files are polled: a recipe uses few, and reading their modification times takes microseconds. Polling also works
//! on network folders and when an editor saves by renaming, and needs no file-watching library with a thread of its
//! own.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clap::Args;

use super::recipe::{RecipeArgs, is_stdin, shown};
use super::{print, print_diagnostics};
use crate::api::check::check_text;
use crate::api::recipe::Compiler;
use crate::api::{CheckReport, Error, Recipe, files, plan_with};
use crate::diag::render::full;
use crate::diag::{Code, Diagnostic, FileId, Findings};
use crate::language::syntax::ast::{ImportPath, Item};
use crate::language::syntax::parse_file;

/// The time between two looks at the files.
const POLL: Duration = Duration::from_millis(200);

/// How long the files must stay unchanged before they are read: a save may take several writes.
const SETTLED: Duration = Duration::from_millis(30);

/// How many times files that are missing or keep changing are looked at again before they are read: a save by renaming
/// may remove the recipe first.
const PATIENCE: usize = 10;

#[derive(Args, Debug)]
pub struct WatchArgs {
    /// The recipe
    #[arg(value_name = "RECIPE")]
    recipe: PathBuf,
    #[command(flatten)]
    recipe_args: RecipeArgs,
    /// Steps per epoch, to show steps beside epochs
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    steps_per_epoch: Option<u64>,
    /// Do not draw the curves of sparsity and learning rate
    #[arg(long)]
    no_chart: bool,
}

pub fn run(args: &WatchArgs) -> Result<i32, Error> {
    if is_stdin(&args.recipe) {
        let message = "cannot watch standard input".to_owned();
        return Err(Diagnostic::unlocated(Code::RecipeNotReadable, message)
            .help("give the path of a recipe")
            .into());
    }
    let compiler = Compiler::new(&args.recipe_args.options())?;
    // A path that is wrong from the start is a mistake; later the file may be missing for a while.
    files::read_recipe(&args.recipe)?;
    let mut watched = vec![args.recipe.clone()];
    loop {
        // Taken before the files are read, so that no later change is missed.
        let known = stamps(&watched);
        match files::read_recipe(&args.recipe) {
            Ok(text) => {
                let report = check_text(&compiler, &shown(&args.recipe), &text);
                let used = used(&args.recipe, &text, &report);
                if used != watched[1..] {
                    watched.truncate(1);
                    watched.extend(used);
                    continue;
                }
                show(&compiler, &text, &report, args);
            }
            Err(diagnostic) => failed(&diagnostic),
        }
        wait(&watched, &known);
    }
}

/// Prints the findings of a recipe and its plan.
fn show(compiler: &Compiler, text: &str, report: &CheckReport, args: &WatchArgs) {
    let name = shown(&args.recipe);
    begin();
    print(&full::render_all(&report.diagnostics, &report.sources, std::io::stdout().is_terminal()));
    if report.schedule.is_some()
        && let Ok(plan) = plan_with(compiler, &Recipe::text(&name, text), args.steps_per_epoch)
    {
        print(&plan.table(!args.no_chart));
    }
    let found = if report.has_errors() { "has errors" } else { "is fine" };
    print(&format!("{name} {found}; waiting for changes, Ctrl-C ends\n"));
}

fn failed(diagnostic: &Diagnostic) {
    begin();
    let report = CheckReport::failed(diagnostic.clone());
    print_diagnostics(&report.diagnostics, &report.sources);
    print("waiting for changes, Ctrl-C ends\n");
}

/// Clears a terminal; other outputs have one report after the other.
fn begin() {
    if std::io::stdout().is_terminal() {
        print("\u{1b}[2J\u{1b}[H");
    }
}

/// The files that a recipe uses: those that were read, and those that are missing.
fn used(recipe: &Path, text: &str, report: &CheckReport) -> Vec<PathBuf> {
    let read = report.sources.files().map(|(_, source)| PathBuf::from(&source.name));
    let mut list: Vec<PathBuf> = read.filter(|path| path.is_absolute() && path != recipe).collect();
    let folder = recipe.parent().unwrap_or(Path::new(""));
    for item in parse_file(FileId(0), text, &mut Findings::new()).file.items {
        if let Item::Import(import) = item
            && let ImportPath::File(file) = import.from
        {
            list.push(folder.join(file.value));
        }
    }
    list
}

/// The modification time, length and inode number of a file; `None` for a missing file.
type Stamp = Option<(SystemTime, u64, u64)>;

fn stamps(paths: &[PathBuf]) -> Vec<Stamp> {
    let stamp = |path: &PathBuf| {
        let metadata = path.metadata().ok()?;
        #[cfg(unix)]
        let file = std::os::unix::fs::MetadataExt::ino(&metadata);
        #[cfg(not(unix))]
        let file = 0;
        Some((metadata.modified().ok()?, metadata.len(), file))
    };
    paths.iter().map(stamp).collect()
}

/// Waits until one of the files is another than it was, and has been written.
fn wait(paths: &[PathBuf], known: &[Stamp]) {
    let mut now = stamps(paths);
    while now == known {
        std::thread::sleep(POLL);
        now = stamps(paths);
    }
    for _ in 0..PATIENCE {
        std::thread::sleep(SETTLED);
        let next = stamps(paths);
        if next == now && next[0].is_some() {
            return;
        }
        now = next;
    }
}
