//! Whether there is memory enough, before a run begins.

use std::path::Path;

use crate::diag::{Code, Diagnostic, Severity};
use crate::params::ParameterTable;
use crate::plan::memory::{self, Memory, bytes};
use crate::schedule::Schedule;

/// The memory of this machine, or of the container that the process is in, in bytes.
#[derive(Clone, Copy, Debug)]
struct Room {
    all: u64,
    free: u64,
}

/// A warning if a stage may need more memory than is free, an error if its weights and moments alone need
/// more than there is.
pub(super) fn check(
    schedule: &Schedule,
    table: Option<&ParameterTable>,
    model: Option<&Path>,
) -> Option<Diagnostic> {
    let stages = memory::of(schedule, table?, memory::heads(&schedule.model, model))?;
    let (index, largest) = stages.iter().enumerate().max_by_key(|(_, memory)| memory.peak)?;
    judge(&schedule.stages[index].name, largest, room()?)
}

fn judge(stage: &str, memory: &Memory, room: Room) -> Option<Diagnostic> {
    let (peak, certain) = (memory.peak, memory.weights + memory.moments + memory.models);
    let parts = memory.parts();
    if certain > room.all {
        let message = format!("`{stage}` needs {} of memory; there are {}", bytes(peak), bytes(room.all));
        return Some(
            Diagnostic::unlocated(Code::MemoryShort, message)
                .help(format!("{parts}: take a smaller model, or a larger machine")),
        );
    }
    if peak <= room.free {
        return None;
    }
    let message = format!("`{stage}` may need {} of memory; {} are free", bytes(peak), bytes(room.free));
    let mut warning = Diagnostic::unlocated(Code::MemoryShort, message)
        .help(format!("{parts}: a smaller `batch` with `accumulate`, or shorter sequences, take less"));
    warning.severity = Severity::Warning;
    Some(warning)
}

/// `None` where the system does not say.
fn room() -> Option<Room> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let kib = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? * 1024)
    };
    let mut room = Room { all: kib("MemTotal:")?, free: kib("MemAvailable:")? };
    let number = |name: &str| -> Option<u64> {
        std::fs::read_to_string(Path::new("/sys/fs/cgroup").join(name)).ok()?.trim().parse().ok()
    };
    if let Some(limit) = number("memory.max").filter(|limit| *limit < room.all) {
        room.all = limit;
        room.free = room.free.min(limit.saturating_sub(number("memory.current").unwrap_or(0)));
    }
    Some(room)
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
        let at = |all, free| judge("s", &memory, Room { all, free });
        assert!(at(4_000, 2_600).is_none());
        let warning = at(4_000, 2_000).unwrap();
        assert_eq!((warning.code, warning.severity), (Code::MemoryShort, Severity::Warning));
        assert!(warning.message.contains("may need 3 kB of memory; 2 kB are free"), "{}", warning.message);
        assert_eq!(at(1_000, 900).unwrap().severity, Severity::Error);
    }

    #[test]
    fn the_machine_says_how_much_memory_it_has() {
        if cfg!(target_os = "linux") {
            let room = room().unwrap();
            assert!(room.free <= room.all && room.all > 1 << 20);
        }
    }
}
