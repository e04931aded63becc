//! Ctrl-C and the like: the first lets the run keep itself and stop, the second stops it at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::eprint;

/// The exit code of a program that a second Ctrl-C ended, as shells give it.
const INTERRUPTED: i32 = 130;

/// A flag that is set when the program is asked to stop, by SIGINT, SIGTERM or SIGHUP; `when` says when it
/// will.
pub fn on_request(when: &'static str) -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = stop.clone();
    let hangup = ignored_hangup();
    let installed = ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::SeqCst) {
            std::process::exit(INTERRUPTED);
        }
        eprint(&format!("stopping {when}; once more stops at once\n"));
    });
    // Without a handler, Ctrl-C does what it always does.
    if installed.is_ok() && hangup {
        ignore_hangup();
    }
    stop
}

/// Whether a closed terminal is to be of no matter, as `nohup` has it.
fn ignored_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    ignored & 1 << (HANGUP - 1) != 0
}

/// SIGHUP.
const HANGUP: i32 = 1;

/// Puts back what the handler for all of the three signals took away.
#[cfg(unix)]
fn ignore_hangup() {
    unsafe extern "C" {
        fn signal(number: i32, handler: usize) -> usize;
    }
    /// SIG_IGN.
    const IGNORE: usize = 1;
    // SAFETY: `signal` is C's own; SIGHUP may be ignored at any time.
    unsafe { signal(HANGUP, IGNORE) };
}

#[cfg(not(unix))]
fn ignore_hangup() {}
