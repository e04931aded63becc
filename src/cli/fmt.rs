//! `obertc fmt`.

use std::path::{Path, PathBuf};

use clap::Args;
use similar::TextDiff;

use super::recipe::{is_stdin, read, shown};
use super::{ERRORS, FINE, fail, print};
use crate::api::{Error, files};
use crate::diag::{Findings, Sources};
use crate::language::format;
use crate::language::syntax::parse_file;

/// Format recipes in their canonical form.
#[derive(Args, Debug)]
pub struct FmtArgs {
    /// Recipes, or folders of recipes; `-` formats standard input and prints it
    #[arg(value_name = "RECIPE", required = true)]
    recipes: Vec<PathBuf>,
    /// Write nothing; exit with 1 if a recipe would change
    #[arg(long)]
    check: bool,
    /// Write nothing; print a diff
    #[arg(long)]
    diff: bool,
}

pub fn run(args: &FmtArgs) -> Result<i32, Error> {
    let mut code = FINE;
    for path in &args.recipes {
        for recipe in files::recipes_in(path)? {
            code = code.max(one(&recipe, args).unwrap_or_else(|error| fail(&error)));
        }
    }
    Ok(code)
}

fn one(path: &Path, args: &FmtArgs) -> Result<i32, Error> {
    let from_stdin = is_stdin(path);
    let name = shown(path);
    let text = read(path)?;
    let formatted = formatted(&name, &text)?;
    let changed = formatted != text;
    if args.diff && changed {
        let diff = TextDiff::from_lines(&text, &formatted);
        print(&diff.unified_diff().context_radius(3).header(&name, &name).to_string());
    } else if args.check && changed {
        print(&format!("{name} would change\n"));
    }
    if args.check || args.diff {
        return Ok(if changed { ERRORS } else { FINE });
    }
    if from_stdin {
        print(&formatted);
    } else if changed {
        crate::files::write_whole(path, formatted.as_bytes())?;
    }
    Ok(FINE)
}

/// The canonical form of a text.
///
/// # Errors
/// Syntax errors.
fn formatted(name: &str, text: &str) -> Result<String, Error> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut sources = Sources::new();
    let mut findings = Findings::new();
    let file = sources.add(name, text);
    let parsed = parse_file(file, text, &mut findings);
    if findings.has_errors() {
        return Err(Error::new(findings.into_sorted(), sources));
    }
    Ok(format(text, &parsed))
}
