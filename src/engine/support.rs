//! What of a schedule this engine cannot run: found before anything is read or written.

use crate::schedule::Schedule;
use crate::schedule::ir::Stage;

use super::EngineError;

/// Everything in the schedule that would stop the run, in its order.
pub fn missing(schedule: &Schedule) -> Vec<EngineError> {
    schedule.stages.iter().flat_map(missing_of).collect()
}

fn missing_of(stage: &Stage) -> Vec<EngineError> {
    let mut list = Vec::new();
    let mut cannot = |what: &str| list.push(EngineError::NotBuilt(format!("{what} (in `{}`)", stage.name)));
    if !stage.quantize.is_empty() {
        cannot("quantization-aware training");
    }
    list
}
