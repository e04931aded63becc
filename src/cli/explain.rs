//! `obertc explain`.

use std::io::IsTerminal;

use clap::Args;

use super::{FINE, USAGE, eprint, print};
use crate::explain;

/// Lines of a list are at most so wide.
const WIDTH: usize = 100;

#[derive(Args, Debug)]
pub struct ExplainArgs {
    /// A code (OB0402, 402), a verb (prune), a setting (damp, prune.rank), a value (obs), a name of the
    /// standard library or a word of the field (weight decay); without one, everything that can be
    /// explained is listed
    #[arg(value_name = "TOPIC")]
    topic: Vec<String>,
}

pub fn run(args: &ExplainArgs) -> i32 {
    if args.topic.is_empty() {
        print(&listed());
        return FINE;
    }
    let topic = &args.topic.join(" ");
    let color = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    match explain::explain(topic, color) {
        Ok(text) => {
            print(&text);
            FINE
        }
        Err(unknown) => {
            let help = match unknown.nearest {
                Some(near) => format!("did you mean `{near}`?"),
                None => "`obertc explain` lists everything".to_owned(),
            };
            eprint(&format!("error: nothing is known about `{topic}`\n  help: {help}\n"));
            USAGE
        }
    }
}

/// All topics in columns.
fn listed() -> String {
    let mut out = String::new();
    for (group, words) in explain::topics() {
        let widest = words.iter().map(|w| w.chars().count()).max().unwrap_or(0);
        let columns = (WIDTH / (widest + 2)).max(1);
        out.push_str(&format!("{group}\n"));
        for line in words.chunks(columns) {
            let cells: Vec<String> = line.iter().map(|w| format!("  {w:<widest$}")).collect();
            out.push_str(&format!("{}\n", cells.concat().trim_end()));
        }
        out.push('\n');
    }
    out.push_str("`obertc explain TOPIC` shows one of them.\n");
    out
}
