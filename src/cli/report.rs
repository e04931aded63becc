//! `obertc report`.

use std::path::{Path, PathBuf};

use clap::Args;

use super::recipe::is_stdin;
use super::{FINE, Format, fail, print, print_diagnostics};
use crate::diag::{Diagnostic, Sources};
use crate::files;
use crate::output::report;
use crate::output::report::record::Record;

#[derive(Args, Debug)]
pub struct ReportArgs {
    /// Folders of runs; several are compared
    #[arg(value_name = "DIR", required = true)]
    folders: Vec<PathBuf>,
    /// Where the page goes; `-` prints it [default: DIR/report.html; comparison.html for several]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// `json` prints what is known of the runs instead
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(args: &ReportArgs) -> i32 {
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
        return fail(&errors, &sources);
    }
    if args.format == Format::Json {
        let text = match records.as_slice() {
            [one] => serde_json::to_string_pretty(one),
            all => serde_json::to_string_pretty(all),
        };
        // Plain data of strings and numbers always serialises.
        print(&(text.unwrap_or_default() + "\n"));
        return FINE;
    }
    let (page, default) = match records.as_slice() {
        [one] => (report::render(one), args.folders[0].join(report::FILE)),
        all => (report::compare(all), PathBuf::from("comparison.html")),
    };
    let path = args.out.as_deref().unwrap_or(&default);
    if is_stdin(path) {
        print(&page);
        return FINE;
    }
    match write(path, &page) {
        Ok(()) => FINE,
        Err(diagnostic) => fail(&[diagnostic], &sources),
    }
}

fn write(path: &Path, page: &str) -> Result<(), Diagnostic> {
    files::write_whole(path, page.as_bytes())?;
    print(&format!("{}\n", path.display()));
    Ok(())
}
