//! What comes of a run.

use std::path::PathBuf;

use crate::diag::Diagnostic;
use crate::engine::StageResult;
use crate::output::summary;
use crate::schedule::Schedule;

/// What came of a run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RunReport {
    /// The folder of the model, the log and the report.
    pub folder: PathBuf,
    /// The stages and branches in the order of the recipe; empty if the run was finished before.
    pub stages: Vec<StageResult>,
    /// Wall-clock time of the run in seconds, with that before it was resumed.
    pub seconds: f64,
    /// The speed of the model in the CPU runtime, in a line of text; `None` if it was not measured.
    pub speed: Option<String>,
    /// A diagnostic for each metric that is not what the recipe's `expect` says. The model is saved all the same.
    pub missed: Vec<Diagnostic>,
    /// Whether the run that was to go on was finished before: nothing was done.
    pub was_finished: bool,
    pub(super) schedule: Schedule,
}

impl RunReport {
    /// Tables of metrics, sparsity, sizes and times, as `obertc run` prints them.
    pub fn summary(&self) -> String {
        if self.was_finished {
            return format!("the run in `{}` is finished\n", self.folder.display());
        }
        let text = summary::summary(&self.schedule, &self.stages, &self.folder, self.seconds);
        format!("{text}{}", self.speed.as_deref().unwrap_or_default())
    }
}
