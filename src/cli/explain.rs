//! `obertc explain`.

use std::io::IsTerminal;

use clap::Args;

use super::{FINE, USAGE, eprint, print};
use crate::api::Error;
use crate::explain;

/// Columns of the list of topics.
const WIDTH: usize = 100;

#[derive(Args, Debug)]
pub struct ExplainArgs {
    /// A diagnostic code (OB0402, 402), a verb (prune), a setting (damp, prune.rank), a value (obs), a name of the
    /// standard library or a technical term (weight decay); without a topic, all topics are listed
    #[arg(value_name = "TOPIC")]
    topic: Vec<String>,
}

pub fn run(args: &ExplainArgs) -> Result<i32, Error> {
    if args.topic.is_empty() {
        print(&listed());
        return Ok(FINE);
    }
    let topic = &args.topic.join(" ");
    let color = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    match explain::explain(topic, color) {
        Ok(text) => {
            print(&text);
            Ok(FINE)
        }
        Err(unknown) => {
            let help = match unknown.nearest {
                Some(near) => format!("did you mean `{near}`?"),
                None => "`obertc explain` lists everything".to_owned(),
            };
            eprint(&format!("error: nothing is known about `{topic}`\n  help: {help}\n"));
            Ok(USAGE)
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
