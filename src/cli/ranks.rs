//! Commands that several processes compute, started by `mpirun` or `srun`.

use std::time::Duration;

use super::{ERRORS, eprint, fail};
use crate::api::{Error, ranks};
use crate::diag::Code;
use crate::ranks::Ranks;

/// The longest time that a rank which has failed waits for the others to fail in the same way.
const WAIT: Duration = Duration::from_secs(5);
/// The same after a request to stop, on which all ranks agree: rank 0 writes a checkpoint first.
const WAIT_TO_STOP: Duration = Duration::from_secs(3600);

/// Joins the processes that were started together, compares their builds, and computes a command on each.
///
/// An error that all ranks meet, such as a mistake in the recipe, is printed by rank 0. After an error of one rank, it
/// prints its diagnostics and ends all.
pub fn on_each(compute: impl FnOnce(&Ranks) -> Result<i32, Error>) -> Result<i32, Error> {
    let ranks = ranks::join()?;
    let done = ranks::compare_builds(&ranks).and_then(|()| compute(&ranks));
    match done {
        Err(error) if !ranks.all_fail(wait(&error)) => {
            eprint(&format!("rank {} of {} failed, and all are ended\n", ranks.rank(), ranks.size()));
            let code = fail(&error);
            ranks.abort(code);
            Ok(code)
        }
        done => {
            ranks.finish();
            if ranks.is_first() { done } else { Ok(done.unwrap_or(ERRORS)) }
        }
    }
}

fn wait(error: &Error) -> Duration {
    let stops = error.diagnostics().iter().any(|diagnostic| diagnostic.code == Code::Stopped);
    if stops { WAIT_TO_STOP } else { WAIT }
}
