//! `obertc completions`.

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use super::{Cli, FINE, print};

#[derive(Args, Debug)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

pub fn run(args: &CompletionsArgs) -> i32 {
    let mut script = Vec::new();
    generate(args.shell, &mut Cli::command(), "obertc", &mut script);
    print(&String::from_utf8_lossy(&script));
    FINE
}
