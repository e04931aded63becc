//! `obertc fmt`.

use std::path::{Path, PathBuf};

use clap::Args;
use similar::TextDiff;

use super::recipe::{is_stdin, read, shown};
use super::{ERRORS, FINE, fail, print};
use crate::api::files;
use crate::diag::{Diagnostic, Findings, Sources};
use crate::language::format;
use crate::language::syntax::parse_file;

/// Write recipes in their canonical form.
#[derive(Args, Debug)]
pub struct FmtArgs {
    /// Recipes, and folders of them; `-` reads one from standard input and prints it
    #[arg(value_name = "RECIPE", required = true)]
    recipes: Vec<PathBuf>,
    /// Change nothing; exit with 1 if something would change
    #[arg(long)]
    check: bool,
    /// Change nothing; show what would change
    #[arg(long)]
    diff: bool,
}

pub fn run(args: &FmtArgs) -> i32 {
    let mut code = FINE;
    for path in &args.recipes {
        let recipes = match files::recipes_in(path) {
            Ok(recipes) => recipes,
            Err(diagnostic) => return fail(&[diagnostic], &Sources::new()),
        };
        for recipe in recipes {
            code = code.max(one(&recipe, args));
        }
    }
    code
}

fn one(path: &Path, args: &FmtArgs) -> i32 {
    let from_stdin = is_stdin(path);
    let name = shown(path);
    let text = match read(path) {
        Ok(text) => text,
        Err(diagnostic) => return fail(&[diagnostic], &Sources::new()),
    };
    let formatted = match formatted(&name, &text) {
        Ok(formatted) => formatted,
        Err((diagnostics, sources)) => return fail(&diagnostics, &sources),
    };
    let changed = formatted != text;
    if args.diff && changed {
        let diff = TextDiff::from_lines(&text, &formatted);
        print(&diff.unified_diff().context_radius(3).header(&name, &name).to_string());
    } else if args.check && changed {
        print(&format!("{name} would change\n"));
    }
    if args.check || args.diff {
        return if changed { ERRORS } else { FINE };
    }
    if from_stdin {
        print(&formatted);
    } else if changed && let Err(diagnostic) = crate::files::write_whole(path, formatted.as_bytes()) {
        return fail(&[diagnostic], &Sources::new());
    }
    FINE
}

/// The canonical form of a text, or why it cannot be read.
pub fn formatted(name: &str, text: &str) -> Result<String, (Vec<Diagnostic>, Sources)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut sources = Sources::new();
    let mut findings = Findings::new();
    let file = sources.add(name, text);
    let parsed = parse_file(file, text, &mut findings);
    if findings.has_errors() {
        return Err((findings.into_sorted(), sources));
    }
    Ok(format(text, &parsed))
}
