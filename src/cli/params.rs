//! `obertc params`.

use std::path::PathBuf;

use clap::Args;
use comfy_table::{CellAlignment, Table, presets};

use super::{FINE, print};
use crate::api::{Error, models};
use crate::diag::{Code, Diagnostic, Sources, counted, nearest};
use crate::params::Selector;

#[derive(Args, Debug)]
pub struct ParamsArgs {
    /// A glob over names: `*` is one segment, `**` any text, `{a,b}` alternatives; or re:REGEX
    #[arg(value_name = "PATTERN", default_value = "**")]
    pattern: String,
    /// A Hugging Face model folder, or the name of a cached or well-known model
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
}

pub fn run(args: &ParamsArgs) -> Result<i32, Error> {
    let mut sources = Sources::new();
    let table = match models::table(&args.model, &mut sources) {
        Ok(table) => table,
        Err(diagnostics) => return Err(Error::new(diagnostics, sources)),
    };
    let selector = match args.pattern.strip_prefix("re:") {
        Some(regex) => Selector::Regex(regex.to_owned()),
        None => Selector::Glob(args.pattern.clone()),
    };
    let selected = selector.select(&table).map_err(|error| {
        Diagnostic::unlocated(Code::BadPattern, format!("this pattern cannot be read: {error}"))
            .help("as `bert.encoder.**.weight`")
    })?;
    if selected.is_empty() {
        let near = nearest(&args.pattern, table.iter().map(|p| p.name.as_str()));
        let help =
            near.map_or("`**` matches every name".to_owned(), |n| format!("the nearest name is `{n}`"));
        let message = format!("`{}` matches none of {} parameters", args.pattern, table.len());
        return Err(Diagnostic::unlocated(Code::MatchesNothing, message).help(help).into());
    }
    let mut rows = Table::new();
    rows.load_style(presets::NOTHING).set_header(["name", "shape", "weights"]);
    for parameter in selected.iter().map(|i| table.get(*i)) {
        let shape: Vec<String> = parameter.shape.iter().map(usize::to_string).collect();
        rows.add_row([parameter.name.clone(), shape.join(" × "), parameter.count().to_string()]);
    }
    if let Some(column) = rows.column_mut(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let weights: usize = selected.iter().map(|i| table.get(*i).count()).sum();
    let parameters = counted(selected.len(), "parameter", "parameters");
    let of = counted(table.count(), "weight", "weights");
    print(&format!("{rows}\n{parameters}, {weights} of {of}\n"));
    Ok(FINE)
}
