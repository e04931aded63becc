//! The phases of a forward pass on several threads: tasks that threads take one by one, and the wait for the last of them.
//!
//! A phase ends when its tasks are done, by any of the threads: a thread that the operating system has not started yet,
//! or has suspended between two tasks, delays no other.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// How often a thread looks for the end of a phase before it lets other threads run in between. Phases are short: to
/// sleep would take longer than most of them.
const SPINS: usize = 4000;

/// The progress of each phase.
#[derive(Debug, Default)]
pub(super) struct Phases {
    phases: Vec<Progress>,
    /// Whether a task has panicked, after which its phase does not end.
    failed: AtomicBool,
}

/// The progress of a phase, in a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Progress {
    /// The number of tasks taken, or greater.
    taken: AtomicUsize,
    /// The number of tasks done.
    done: AtomicUsize,
}

impl Phases {
    /// `count` phases.
    pub(super) fn new(count: usize) -> Phases {
        Phases { phases: (0..count).map(|_| Progress::default()).collect(), failed: AtomicBool::new(false) }
    }

    /// Begins all phases again.
    pub(super) fn reset(&mut self) {
        self.failed = AtomicBool::new(false);
        self.phases.fill_with(Progress::default);
    }

    /// Does tasks of a phase, `0..tasks`, until none is left, and waits until those of other threads are done. What their
    /// tasks wrote can be read afterwards.
    ///
    /// # Panics
    /// If a task panics, also one of another thread.
    pub(super) fn run(&self, phase: usize, tasks: usize, mut task: impl FnMut(usize)) {
        let Progress { taken, done } = &self.phases[phase];
        loop {
            let next = taken.fetch_add(1, Ordering::Relaxed);
            if next >= tasks {
                break;
            }
            let guard = Guard(&self.failed);
            task(next);
            std::mem::forget(guard);
            done.fetch_add(1, Ordering::Release);
        }
        let mut spins = 0;
        // All increments are one release sequence: who reads the last sees what all tasks wrote.
        while done.load(Ordering::Acquire) < tasks {
            assert!(!self.failed.load(Ordering::Relaxed), "a task of another thread panicked");
            spins += 1;
            match spins < SPINS {
                true => std::hint::spin_loop(),
                false => std::thread::yield_now(),
            }
        }
    }
}

/// Reports a panic when it is dropped.
struct Guard<'a>(&'a AtomicBool);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_task_is_done_once_and_before_the_next_phase() {
        let counts: Vec<AtomicUsize> = (0..100).map(|_| AtomicUsize::new(0)).collect();
        let mut phases = Phases::new(100);
        for threads in [1, 2, 5] {
            phases.reset();
            let each = || {
                for phase in 0..100 {
                    phases.run(phase, phase % 7, |_| {
                        if let Some(before) = phase.checked_sub(1) {
                            assert_eq!(counts[before].load(Ordering::Relaxed) % 100, before % 7);
                        }
                        counts[phase].fetch_add(1, Ordering::Relaxed);
                    });
                }
            };
            std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(each))));
            for (phase, count) in counts.iter().enumerate() {
                assert_eq!(count.swap(0, Ordering::Relaxed), phase % 7);
            }
        }
    }

    #[test]
    fn a_panic_ends_the_wait_of_other_threads() {
        let phases = Phases::new(1);
        let each = || phases.run(0, 2, |task| assert_eq!(task, 0));
        let outcomes = std::thread::scope(|scope| {
            [0, 1].map(|_| scope.spawn(each)).map(|thread| thread.join().is_err())
        });
        assert_eq!(outcomes, [true; 2]);
    }
}
