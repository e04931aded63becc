//! The processes that compute one run together, "ranks" in MPI, and their collective operations.
//!
//! The engine has one path for any number of ranks: [`Ranks::alone`] is a single process, [`threads`] are ranks in one
//! process, for tests, and with the feature `mpi` [`start`] joins the processes that `mpirun` or `srun` started
//! ([`launcher`]). Every rank must call the same collective operations in the same order.
//!
//! No operation computes with floats: a sum over ranks is computed from gathered values in the order of the ranks, so
//! that it does not depend on the MPI library or the network.

mod launcher;
#[cfg(feature = "mpi")]
mod mpi;
mod threads;

use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

#[cfg(feature = "cuda")]
pub use launcher::local_rank;
pub use launcher::processes;
pub use threads::{ThreadRank, threads};

/// The collective operations of a group of ranks.
pub trait Communicator {
    /// The number of this rank, from 0 (`MPI_Comm_rank`).
    fn rank(&self) -> usize;

    /// The number of ranks (`MPI_Comm_size`).
    fn size(&self) -> usize;

    /// Sends the next `sends[i]` of these floats to rank `i`, and returns the `receives[i]` floats that each rank sent to
    /// this one, in the order of the ranks (`MPI_Alltoallv`).
    fn all_to_all(&self, values: &[f32], sends: &[usize], receives: &[usize]) -> Vec<f32>;

    /// The floats of every rank, of which rank `i` gives `counts[i]`, in the order of the ranks (`MPI_Allgatherv`).
    fn all_gather_floats(&self, own: &[f32], counts: &[usize]) -> Vec<f32>;

    /// The bytes of every rank (`MPI_Allgatherv`), each of which may give another number of them.
    fn all_gather(&self, own: &[u8]) -> Vec<Vec<u8>>;

    /// Reports that this rank has failed, and waits for the same of all others. False if one has not failed after this
    /// time.
    fn all_fail(&self, _within: Duration) -> bool {
        true
    }

    /// Ends this process and all other ranks, where they are processes (`MPI_Abort`).
    fn abort(&self, _code: i32) {}

    /// Leaves the group, once every rank does (`MPI_Finalize`).
    fn finish(&self) {}
}

/// A handle to the ranks of a run.
#[derive(Clone)]
pub struct Ranks(Rc<dyn Communicator>);

impl Default for Ranks {
    fn default() -> Self {
        Ranks::alone()
    }
}

impl Ranks {
    /// The ranks of a communicator.
    pub fn of(communicator: impl Communicator + 'static) -> Self {
        Ranks(Rc::new(communicator))
    }

    /// This process alone.
    pub fn alone() -> Self {
        Ranks::of(Alone)
    }

    /// The number of this rank, from 0.
    pub fn rank(&self) -> usize {
        self.0.rank()
    }

    /// The number of ranks.
    pub fn size(&self) -> usize {
        self.0.size()
    }

    /// Whether there is one rank.
    pub fn is_alone(&self) -> bool {
        self.size() == 1
    }

    /// Whether this is rank 0, which writes files and prints.
    pub fn is_first(&self) -> bool {
        self.rank() == 0
    }

    /// [`Communicator::all_to_all`].
    pub fn all_to_all(&self, values: &[f32], sends: &[usize], receives: &[usize]) -> Vec<f32> {
        self.0.all_to_all(values, sends, receives)
    }

    /// [`Communicator::all_gather_floats`].
    pub fn all_gather_floats(&self, own: &[f32], counts: &[usize]) -> Vec<f32> {
        self.0.all_gather_floats(own, counts)
    }

    /// [`Communicator::all_gather`].
    pub fn all_gather(&self, own: &[u8]) -> Vec<Vec<u8>> {
        self.0.all_gather(own)
    }

    /// The bytes of rank 0 (`MPI_Bcast`); those of other ranks are ignored.
    pub fn broadcast(&self, own: &[u8]) -> Vec<u8> {
        self.all_gather(if self.is_first() { own } else { &[] }).swap_remove(0)
    }

    /// The `count` floats of rank `from`; those of other ranks are ignored.
    pub fn broadcast_floats(&self, from: usize, own: &[f32], count: usize) -> Vec<f32> {
        let counts: Vec<usize> = (0..self.size()).map(|r| if r == from { count } else { 0 }).collect();
        self.all_gather_floats(if self.rank() == from { own } else { &[] }, &counts)
    }

    /// Whether `own` is true on any rank.
    pub fn any(&self, own: bool) -> bool {
        if self.is_alone() {
            return own;
        }
        self.all_gather(&[u8::from(own)]).iter().any(|of| of.contains(&1))
    }

    /// The number of elements of each rank's [`slice`](Self::slice).
    pub fn slices(&self, count: usize) -> Vec<usize> {
        (0..self.size()).map(|rank| self.slice(rank, count).len()).collect()
    }

    /// The share of rank `rank` of `count` elements: consecutive, and as large as those of the others up to one.
    pub fn slice(&self, rank: usize, count: usize) -> Range<usize> {
        let at = |rank: usize| (count as u128 * rank as u128 / self.size() as u128) as usize;
        at(rank)..at(rank + 1)
    }

    /// [`Communicator::all_fail`].
    pub fn all_fail(&self, within: Duration) -> bool {
        self.0.all_fail(within)
    }

    /// [`Communicator::abort`].
    pub fn abort(&self, code: i32) {
        self.0.abort(code);
    }

    /// [`Communicator::finish`].
    pub fn finish(&self) {
        self.0.finish();
    }
}

/// One process.
struct Alone;

impl Communicator for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn all_to_all(&self, values: &[f32], _: &[usize], _: &[usize]) -> Vec<f32> {
        values.to_vec()
    }

    fn all_gather_floats(&self, own: &[f32], _: &[usize]) -> Vec<f32> {
        own.to_vec()
    }

    fn all_gather(&self, own: &[u8]) -> Vec<Vec<u8>> {
        vec![own.to_vec()]
    }
}

/// A launcher started several processes, and this build has no MPI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoMpi {
    /// The number of processes.
    pub processes: usize,
}

/// Joins the processes that a launcher started together with this one; alone if there is none.
///
/// # Errors
/// Several processes, in a build without the feature `mpi`.
pub fn start() -> Result<Ranks, NoMpi> {
    match processes() {
        None => Ok(Ranks::alone()),
        #[cfg(feature = "mpi")]
        Some(_) => Ok(mpi::start().unwrap_or_default()),
        #[cfg(not(feature = "mpi"))]
        Some(1) => Ok(Ranks::alone()),
        #[cfg(not(feature = "mpi"))]
        Some(processes) => Err(NoMpi { processes }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a function on each of `size` ranks and returns the results in their order.
    fn on_each<R: Send>(size: usize, compute: impl Fn(Ranks) -> R + Sync) -> Vec<R> {
        std::thread::scope(|scope| {
            let compute = &compute;
            let ranks = threads(size).into_iter();
            let threads: Vec<_> = ranks.map(|own| scope.spawn(move || compute(Ranks::of(own)))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        })
    }

    #[test]
    fn every_rank_gets_what_each_sent_to_it_in_the_order_of_the_ranks() {
        for (rank, (exchanged, gathered, any)) in on_each(3, |ranks| {
            let (rank, own) = (ranks.rank(), ranks.rank() as f32);
            // Rank r gets r floats from each.
            let exchanged = ranks.all_to_all(&[own, 10.0 + own, 10.0 + own], &[0, 1, 2], &[rank; 3]);
            assert_eq!(ranks.broadcast(&[rank as u8 + 7; 2]), [7, 7]);
            assert_eq!(ranks.broadcast_floats(2, &[own], 1), [2.0]);
            assert_eq!(ranks.all_gather_floats(&vec![own; rank], &[0, 1, 2]), [1.0, 2.0, 2.0]);
            assert!(!ranks.any(false));
            (exchanged, ranks.all_gather(&vec![rank as u8; rank]), ranks.any(own == 2.0))
        })
        .into_iter()
        .enumerate()
        {
            let expected = [vec![], vec![0.0, 1.0, 2.0], vec![10.0, 10.0, 11.0, 11.0, 12.0, 12.0]];
            assert_eq!(exchanged, expected[rank]);
            assert_eq!(gathered, [vec![], vec![1], vec![2, 2]]);
            assert!(any);
        }
    }

    #[test]
    fn slices_cover_all_elements_once() {
        for size in 1..6 {
            let ranks = Ranks::of(threads(size).swap_remove(0));
            for count in [0, 1, 5, 17, 1000] {
                let all: Vec<usize> = (0..size).flat_map(|r| ranks.slice(r, count)).collect();
                assert_eq!(all, (0..count).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn a_rank_that_ends_early_ends_the_others() {
        let mut ranks = threads(2).into_iter();
        let first = ranks.next().unwrap();
        drop(ranks);
        let waited = std::thread::spawn(move || Ranks::of(first).any(false)).join();
        assert!(waited.is_err());
    }
}
