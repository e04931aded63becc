//! `obertc report`.

use std::path::PathBuf;

use clap::Args;

use super::recipe::is_stdin;
use super::{FINE, Format, print, print_diagnostics};
use crate::api::Error;
use crate::diag::{Diagnostic, Sources};
use crate::files;
use crate::output::report;
use crate::output::report::record::Record;

#[derive(Args, Debug)]
pub struct ReportArgs {
    /// Folders of runs; several are compared on one page
    #[arg(value_name = "DIR", required = true)]
    folders: Vec<PathBuf>,
    /// The HTML file; `-` prints the page [default: DIR/report.html; comparison.html for several]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// `json` prints the data of the report instead
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(args: &ReportArgs) -> Result<i32, Error> {
    let sources = Sources::new();
    let mut records: Vec<Record> = Vec::new();
    let mut errors: Vec<Diagnostic> = Vec::new();
    for folder in &args.folders {
        match report::read(folder) {
            Ok((record, warnings)) => {
                print_diagnostics(&warnings, &sources);
                records.push(record);
            }
            Err(error) => errors.push(error),
        }
    }
    if !errors.is_empty() {
        return Err(Error::new(errors, sources));
    }
    if args.format == Format::Json {
        let text = match records.as_slice() {
            [one] => serde_json::to_string_pretty(one),
            all => serde_json::to_string_pretty(all),
        };
        // Plain data of strings and numbers always serializes.
        print(&(text.unwrap_or_default() + "\n"));
        return Ok(FINE);
    }
    let (page, default) = match records.as_slice() {
        [one] => (report::render(one), args.folders[0].join(report::FILE)),
        all => (report::compare(all), PathBuf::from("comparison.html")),
    };
    let path = args.out.as_deref().unwrap_or(&default);
    if is_stdin(path) {
        print(&page);
        return Ok(FINE);
    }
    files::write_whole(path, page.as_bytes())?;
    print(&format!("{}\n", path.display()));
    Ok(FINE)
}
