//! SIGINT (Ctrl-C), SIGTERM and SIGHUP: the first lets a run write a checkpoint and stop, the second ends it at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(unix)]
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

use super::eprint;

/// The exit code of a program that SIGINT ended, as shells report it.
const INTERRUPTED: i32 = 130;

/// Returns a flag that is set when the program is asked to stop. `when` are the words of the message that say when it
/// stops, such as `before the next step`.
///
/// SIGHUP stays ignored if it was, as under `nohup`: the run goes on after its terminal is closed.
pub fn on_request(when: &'static str) -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = stop.clone();
    #[cfg(unix)]
    let ignored = ignored_hangup();
    // If no handler can be installed, these signals end the program as they do by default.
    let _ = ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::SeqCst) {
            std::process::exit(INTERRUPTED);
        }
        eprint(&format!("stopping {when}; once more stops at once\n"));
    });
    // The handler is for all three signals.
    #[cfg(unix)]
    if let Some(ignore) = ignored {
        set_hangup(&ignore);
    }
    stop
}

/// The action of SIGHUP, if that is to ignore it.
#[cfg(unix)]
fn ignored_hangup() -> Option<SigAction> {
    let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    let before = set_hangup(&ignore)?;
    if matches!(before.handler(), SigHandler::SigIgn) {
        return Some(before);
    }
    set_hangup(&before);
    None
}

/// Sets the action of SIGHUP and returns the one before; `None` if the system refuses.
#[cfg(unix)]
fn set_hangup(action: &SigAction) -> Option<SigAction> {
    // SAFETY: the action ignores the signal, or is one that was set before: it runs no handler of ours.
    unsafe { sigaction(Signal::SIGHUP, action) }.ok()
}
