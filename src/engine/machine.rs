//! The machine that a run is on, and the memory of processes.

use std::ffi::c_long;
use std::time::{SystemTime, UNIX_EPOCH};

use libmimalloc_sys::{mi_option_set_default, mi_option_t, mi_option_use_numa_nodes};
use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

use crate::runlog::Environment;

/// The version of Burn, as in Cargo.lock.
pub const BURN: &str = "0.22.1";

/// The machine and the versions of the program, with the command line and the recipe.
pub fn environment(command: Vec<String>, recipe_file: String, recipe_text: String) -> Environment {
    let kinds = RefreshKind::nothing()
        .with_cpu(CpuRefreshKind::nothing())
        .with_memory(MemoryRefreshKind::nothing().with_ram());
    let machine = System::new_with_specifics(kinds);
    let kernel = System::kernel_version().unwrap_or_default();
    Environment {
        command,
        recipe_file,
        recipe_text,
        system: [std::env::consts::OS, kernel.trim(), std::env::consts::ARCH]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(" "),
        processor: machine.cpus().first().map(|cpu| cpu.brand().to_owned()).filter(|brand| !brand.is_empty()),
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        machine_memory: Some(machine.total_memory()).filter(|total| *total > 0),
        versions: [("obert", env!("CARGO_PKG_VERSION")), ("burn", BURN)]
            .into_iter()
            .map(|(name, version)| (name.to_owned(), version.to_owned()))
            .collect(),
        unix_time: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
    }
}

/// The memory of this machine, or of the container (control group) that the process is in, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct MachineMemory {
    /// All of it.
    pub total: u64,
    /// What a process can still allocate without swapping.
    pub available: u64,
}

/// The memory of this machine or container. `None` if the system does not report it.
pub fn memory() -> Option<MachineMemory> {
    let mut machine = System::new();
    machine.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
    let (total, available) = (machine.total_memory(), machine.available_memory());
    let memory = match machine.cgroup_limits().filter(|limits| limits.total_memory < total) {
        Some(limits) => {
            MachineMemory { total: limits.total_memory, available: available.min(limits.free_memory) }
        }
        None => MachineMemory { total, available },
    };
    (memory.total > 0).then_some(memory)
}

/// The peak resident memory of this process, in bytes: Linux's `VmHWM`, which `sysinfo` does not read (and
/// `getrusage` also counts the peak before `exec`). `None` on other systems.
pub fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(peak.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// The milliseconds after which the allocator returns freed memory to the kernel.
const DELAY: c_long = 60_000;

/// mimalloc's option `purge_delay`, which the bindings do not name; its number is one before that for NUMA nodes.
const PURGE_DELAY: mi_option_t = mi_option_use_numa_nodes - 1;

/// Makes mimalloc retain freed memory for a minute, unless `MIMALLOC_PURGE_DELAY` is set. Every step frees what the
/// next one allocates. With mimalloc's default of a second, steps of about a second would fault in most of their
/// memory again, page by page.
pub fn keep_freed_memory() {
    // SAFETY: it sets an option, which the allocator reads when memory is freed, from any thread.
    unsafe { mi_option_set_default(PURGE_DELAY, DELAY) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_burn_is_the_one_that_is_built_in() {
        let lock = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock")).unwrap();
        assert!(lock.contains(&format!("name = \"burn\"\nversion = \"{BURN}\"\n")));
    }

    #[test]
    fn the_option_that_is_set_is_the_purge_delay_whose_default_is_a_second() {
        // SAFETY: it reads an option of the allocator, from any thread.
        let delay = || unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        if std::env::var_os("MIMALLOC_PURGE_DELAY").is_none() {
            assert_eq!(delay(), 1000);
            keep_freed_memory();
            assert_eq!(delay(), DELAY);
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_memory_of_this_process_is_known_and_grows_with_what_it_allocates() {
        let before = peak_memory().unwrap();
        let held = vec![1u8; 64 << 20];
        assert!(held.iter().map(|b| u64::from(*b)).sum::<u64>() == 64 << 20);
        assert!(peak_memory().unwrap() >= before.max(64 << 20));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_machine_and_its_memory_are_known() {
        let memory = memory().unwrap();
        assert!(memory.available <= memory.total && memory.total > 1 << 20);
        let environment = environment(Vec::new(), String::new(), String::new());
        assert!(environment.machine_memory.unwrap() >= memory.total);
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        assert_eq!(environment.system, format!("linux {} {}", kernel.trim(), std::env::consts::ARCH));
        assert!(environment.processor.is_some());
    }
}
