//! `obertc lsp`.

use clap::Args;

use super::{ERRORS, FINE, eprint};
use crate::api::Error;
use crate::lsp;

/// Answer an editor: the Language Server Protocol over standard input and output.
#[derive(Args, Debug)]
pub struct LspArgs {
    /// Accepted and ignored: some editors pass it
    #[arg(long, hide = true)]
    stdio: bool,
}

pub fn run(_: &LspArgs) -> Result<i32, Error> {
    let input = std::io::BufReader::new(std::io::stdin());
    match lsp::serve(input, std::io::stdout()) {
        Ok(true) => Ok(FINE),
        // The protocol asks for this code if `exit` comes without `shutdown`.
        Ok(false) => Ok(ERRORS),
        Err(error) => {
            eprint(&format!("error: {error}\n  help: `obertc lsp` is started by an editor\n"));
            Ok(ERRORS)
        }
    }
}
