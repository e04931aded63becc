//! Flags of the commands that train: which data is held out, and what happens to rows that cannot be used.

use std::path::PathBuf;

use clap::Args;

use crate::task::data::splits::ReadOptions;

/// How data files are read.
#[derive(Args, Clone, Debug, Default)]
pub struct DataArgs {
    /// The file or folder to evaluate on, in place of the dev* or valid* files of --data
    #[arg(long, value_name = "PATH", requires = "data")]
    pub dev: Option<PathBuf>,
    /// Leave out rows that cannot be used, such as those without a label, and say how many
    #[arg(long)]
    pub skip_bad: bool,
}

impl DataArgs {
    /// The same for the reader of data.
    pub fn options(&self) -> ReadOptions<'_> {
        ReadOptions { dev: self.dev.as_deref(), skip_bad: self.skip_bad, ..ReadOptions::default() }
    }
}
