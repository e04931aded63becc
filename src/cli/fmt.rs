//! `obertc fmt`.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use similar::TextDiff;

use super::{ERRORS, FINE, fail, files, say};
use crate::diag::{Diagnostic, Findings, Sources};
use crate::language::format;
use crate::language::syntax::parse_file;

/// Write recipes in their canonical form.
#[derive(Args, Debug)]
pub struct FmtArgs {
    /// Recipes; `-` reads one from standard input and prints it
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
        code = code.max(one(path, args));
    }
    code
}

fn one(path: &Path, args: &FmtArgs) -> i32 {
    let from_stdin = path == Path::new("-");
    let name = if from_stdin { "<stdin>".to_owned() } else { path.display().to_string() };
    let text = match if from_stdin { read_stdin() } else { files::read_recipe(path) } {
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
        say(&diff.unified_diff().context_radius(3).header(&name, &name).to_string());
    } else if args.check && changed {
        say(&format!("{name} would change\n"));
    }
    if args.check || args.diff {
        return if changed { ERRORS } else { FINE };
    }
    if from_stdin {
        say(&formatted);
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

fn read_stdin() -> Result<String, Diagnostic> {
    let mut bytes = Vec::new();
    let unreadable = |why: String| {
        Diagnostic::unlocated(crate::diag::Code::RecipeNotText, format!("cannot read standard input: {why}"))
            .help("pass a recipe as UTF-8 text")
    };
    std::io::stdin().read_to_end(&mut bytes).map_err(|e| unreadable(e.to_string()))?;
    String::from_utf8(bytes).map_err(|e| unreadable(e.to_string()))
}
