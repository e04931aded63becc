//! Work on all cores while a model is loaded.

use std::sync::{Mutex, PoisonError};
use std::thread;

/// Calls `work` for each item, on all cores, until one fails; returns an error of one that failed.
///
/// The threads end with the call. Those of a global pool would not exist in a forked process (`os.fork` in Python), and a
/// call there would wait for them forever.
pub(in crate::infer) fn on_all_cores<I: Send, E: Send>(
    items: impl ExactSizeIterator<Item = I> + Send,
    work: impl Fn(I) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let threads = thread::available_parallelism().map_or(1, usize::from).min(items.len());
    let items = Mutex::new(items);
    let next = || items.lock().unwrap_or_else(PoisonError::into_inner).next();
    let run = || {
        while let Some(item) = next() {
            work(item)?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        // Where the system gives no more threads, the others do the work.
        let start = |_| thread::Builder::new().spawn_scoped(scope, run).ok();
        let others: Vec<_> = (1..threads).filter_map(start).collect();
        let own = run();
        others.into_iter().fold(own, |result, other| match other.join() {
            Ok(theirs) => result.and(theirs),
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn each_item_is_worked_on_once_and_an_error_is_returned() {
        let mut squares = vec![0; 100];
        let result = on_all_cores(squares.iter_mut().enumerate(), |(i, square)| {
            *square += i * i;
            Ok::<(), ()>(())
        });
        assert_eq!(result, Ok(()));
        assert!(squares.iter().enumerate().all(|(i, square)| *square == i * i));
        let done = AtomicUsize::new(0);
        let result = on_all_cores(0..1_000_000, |i: usize| {
            done.fetch_add(1, Ordering::Relaxed);
            if i == 3 { Err(i) } else { Ok(()) }
        });
        assert_eq!(result, Err(3));
        assert_eq!(on_all_cores(0..0, |_: usize| Err(())), Ok(()));
    }
}
