//! `obertc man`.

use std::path::PathBuf;

use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;

use super::{Cli, FINE, print};
use crate::api::Error;
use crate::diag::{Code, Diagnostic};
use crate::files::write_whole;

#[derive(Args, Debug)]
pub struct ManArgs {
    /// Folder to write to; it is created
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

/// Writes `obertc.1` and a page for each command, such as `obertc-check.1`.
pub fn run(args: &ManArgs) -> Result<i32, Error> {
    let failed = |e: std::io::Error| {
        let message = format!("cannot write to `{}`: {e}", args.folder.display());
        Error::unlocated(Diagnostic::unlocated(Code::WriteFailed, message).help("may you write there?"))
    };
    std::fs::create_dir_all(&args.folder).map_err(failed)?;
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let pages: Vec<Command> =
        std::iter::once(command.clone()).chain(command.get_subcommands().cloned()).collect();
    let count = pages.len();
    for page in pages {
        let man = Man::new(page);
        let mut text = Vec::new();
        man.render(&mut text).map_err(failed)?;
        write_whole(&args.folder.join(man.get_filename()), &text)?;
    }
    print(&format!("{count} pages in {}\n", args.folder.display()));
    Ok(FINE)
}
