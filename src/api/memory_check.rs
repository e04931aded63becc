//! Checking that there is enough memory before a run begins.

use std::path::Path;

use crate::diag::{Code, Diagnostic, Severity};
use crate::engine::machine::{self, MachineMemory};
use crate::params::ParameterTable;
use crate::plan::memory::{self, Memory, bytes};
use crate::schedule::Schedule;

/// A warning if a stage may need more memory than is free, an error if its weights and moments alone need
/// more than there is.
pub(super) fn check(
    schedule: &Schedule,
    table: Option<&ParameterTable>,
    model: Option<&Path>,
) -> Option<Diagnostic> {
    let stages = memory::of(schedule, table?, memory::architecture(&schedule.model, model).as_ref())?;
    let (index, largest) = stages.iter().enumerate().max_by_key(|(_, memory)| memory.peak)?;
    judge(&schedule.stages[index].name, largest, machine::memory()?)
}

fn judge(stage: &str, memory: &Memory, machine: MachineMemory) -> Option<Diagnostic> {
    let (peak, certain) = (memory.peak, memory.weights + memory.moments + memory.models);
    let parts = memory.parts();
    if certain > machine.total {
        let message =
            format!("`{stage}` needs {} of memory; there are {}", bytes(peak), bytes(machine.total));
        return Some(
            Diagnostic::unlocated(Code::MemoryShort, message)
                .help(format!("{parts}: take a smaller model, or a larger machine")),
        );
    }
    if peak <= machine.available {
        return None;
    }
    let message =
        format!("`{stage}` may need {} of memory; {} are free", bytes(peak), bytes(machine.available));
    let mut warning = Diagnostic::unlocated(Code::MemoryShort, message)
        .help(format!("{parts}: a smaller `batch` with `accumulate`, or shorter sequences, take less"));
    warning.severity = Severity::Warning;
    Some(warning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_fit_is_an_error_and_what_may_not_is_a_warning() {
        let memory = Memory {
            weights: 400,
            gradients: 400,
            moments: 800,
            activations: 1_000,
            peak: 2_600,
            ..Memory::default()
        };
        let at = |total, available| judge("s", &memory, MachineMemory { total, available });
        assert!(at(4_000, 2_600).is_none());
        let warning = at(4_000, 2_000).unwrap();
        assert_eq!((warning.code, warning.severity), (Code::MemoryShort, Severity::Warning));
        assert!(warning.message.contains("may need 3 kB of memory; 2 kB are free"), "{}", warning.message);
        assert_eq!(at(1_000, 900).unwrap().severity, Severity::Error);
    }
}
