//! The machine a run is on: what it is, and how much of it the process has taken.

use std::ffi::c_long;
use std::time::{SystemTime, UNIX_EPOCH};

use libmimalloc_sys::{mi_option_set_default, mi_option_t, mi_option_use_numa_nodes};

use crate::runlog::Environment;

/// The version of Burn that is built in, as Cargo.lock has it.
pub const BURN: &str = "0.22.1";

/// The machine, with the command line and the recipe.
pub fn environment(command: Vec<String>, recipe_file: String, recipe_text: String) -> Environment {
    let system = read("/proc/sys/kernel/osrelease").unwrap_or_default();
    Environment {
        command,
        recipe_file,
        recipe_text,
        system: [std::env::consts::OS, system.trim(), std::env::consts::ARCH]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(" "),
        processor: read("/proc/cpuinfo").and_then(|text| field(&text, "model name")),
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        machine_memory: read("/proc/meminfo").and_then(|text| kilobytes(&field(&text, "MemTotal")?)),
        versions: [("obert", env!("CARGO_PKG_VERSION")), ("burn", BURN)]
            .into_iter()
            .map(|(name, version)| (name.to_owned(), version.to_owned()))
            .collect(),
        unix_time: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
    }
}

/// The most memory that this process has held so far, in bytes: Linux's `VmHWM`. `None` on other systems.
pub fn peak_memory() -> Option<u64> {
    kilobytes(&field(&read("/proc/self/status")?, "VmHWM")?)
}

/// How long the allocator keeps memory that was freed before the kernel gets it back, in milliseconds.
const KEPT: c_long = 60_000;

/// The option for that, which the bindings do not name; it stands before the one for NUMA nodes.
const PURGE_DELAY: mi_option_t = mi_option_use_numa_nodes - 1;

/// Makes mimalloc retain freed memory for a minute, unless `MIMALLOC_PURGE_DELAY` says otherwise. A step frees what
/// the next one takes; given back after a second, as is mimalloc's own way, most of it would be fetched again page
/// by page in every step that takes about as long.
pub fn keep_freed_memory() {
    // SAFETY: it sets a number that the allocator reads when memory is freed, from any thread.
    unsafe { mi_option_set_default(PURGE_DELAY, KEPT) };
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// The value of a line such as `MemTotal:  16384 kB`.
fn field(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find(|line| line.split(':').next().map(str::trim) == Some(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// `16384 kB` in bytes.
fn kilobytes(text: &str) -> Option<u64> {
    text.strip_suffix("kB")?.trim().parse::<u64>().ok().map(|n| n * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_proc_are_read_by_name_and_unit() {
        let text = "model name\t: Some CPU @ 2GHz\nVmHWM:\t   2048 kB\nVmHWMx: 1 kB\n";
        assert_eq!(field(text, "model name").as_deref(), Some("Some CPU @ 2GHz"));
        assert_eq!(field(text, "VmHWM").and_then(|f| kilobytes(&f)), Some(2048 * 1024));
        assert_eq!(field(text, "VmPeak"), None);
        assert_eq!(kilobytes("2048"), None);
    }

    #[test]
    fn the_version_of_burn_is_the_one_that_is_built_in() {
        let lock = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock")).unwrap();
        assert!(lock.contains(&format!("name = \"burn\"\nversion = \"{BURN}\"\n")));
    }

    #[test]
    fn the_option_that_is_set_is_the_delay_of_a_second_after_which_memory_is_given_back() {
        // SAFETY: it reads a number of the allocator's.
        let delay = || unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        if std::env::var_os("MIMALLOC_PURGE_DELAY").is_none() {
            assert_eq!(delay(), 1000);
            keep_freed_memory();
            assert_eq!(delay(), KEPT);
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_memory_of_this_process_is_known_and_grows_with_what_it_holds() {
        let before = peak_memory().unwrap();
        let held = vec![1u8; 64 << 20];
        assert!(held.iter().map(|b| u64::from(*b)).sum::<u64>() == 64 << 20);
        assert!(peak_memory().unwrap() >= before.max(64 << 20));
    }
}
