//! Flags for reading data, of the commands that train: the dev set, and rows that cannot be used.

use std::path::PathBuf;

use clap::Args;

/// Flags for reading data files.
#[derive(Args, Clone, Debug, Default)]
pub struct DataArgs {
    /// The dev file or folder, in place of the dev* or valid* files of --data
    #[arg(long, value_name = "PATH", requires = "data")]
    pub dev: Option<PathBuf>,
    /// Skip rows that cannot be used, such as those without a label, and report how many
    #[arg(long)]
    pub skip_bad: bool,
}
