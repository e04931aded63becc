//! The result of a run.

use std::path::PathBuf;

use crate::diag::Diagnostic;
use crate::engine::StageResult;
use crate::output::summary;
use crate::schedule::Schedule;

/// The result of [`run`](crate::run).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RunReport {
    /// The folder of the model, the log and the report.
    pub folder: PathBuf,
    /// The results of stages and branches in the order of the recipe; empty if the run was finished before.
    pub stages: Vec<StageResult>,
    /// Wall-clock time of the run in seconds, including that before it was resumed.
    pub seconds: f64,
    /// Lines of text about inference speed in the CPU runtime; `None` if it was not measured.
    pub speed: Option<String>,
    /// A diagnostic for each metric outside the range of the recipe's `expect`. The model is saved all the same.
    pub missed: Vec<Diagnostic>,
    /// Whether the run that was to be resumed was finished already, so that nothing was done.
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
