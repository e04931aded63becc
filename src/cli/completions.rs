//! `obertc completions`.

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use super::{Cli, FINE, print};
use crate::api::Error;

#[derive(Args, Debug)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

pub fn run(args: &CompletionsArgs) -> Result<i32, Error> {
    let mut script = Vec::new();
    generate(args.shell, &mut Cli::command(), "obertc", &mut script);
    print(&String::from_utf8_lossy(&script));
    Ok(FINE)
}
