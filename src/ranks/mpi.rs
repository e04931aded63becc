//! Ranks as processes, by the crate `mpi` (rsmpi).

use std::borrow::Cow;
use std::cell::RefCell;
use std::mem::ManuallyDrop;
use std::time::{Duration, Instant};

use mpi::collective::SystemOperation;
use mpi::datatype::{Equivalence, Partition, PartitionMut};
use mpi::environment::Universe;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator as _, CommunicatorCollectives};
use mpi::{Count, Threading};

use super::{Communicator, Ranks};

/// The processes of `MPI_COMM_WORLD`.
struct Processes {
    /// Not dropped where a rank panics: `MPI_Finalize` would wait for the others.
    universe: RefCell<ManuallyDrop<Option<Universe>>>,
    world: SimpleCommunicator,
    /// Also for use after the end of MPI.
    rank: usize,
    size: usize,
    /// For [`Communicator::all_fail`] alone, so that it meets no operation of `world`. Freed by `MPI_Finalize`, after which
    /// it must not be dropped.
    failures: ManuallyDrop<SimpleCommunicator>,
}

/// The most elements that an operation sends or receives: MPI counts them in 32 bits.
const MOST: usize = 1 << 30;

/// Initializes MPI; `None` if it was before.
pub(super) fn start() -> Option<Ranks> {
    let (universe, _) = mpi::initialize_with_threading(Threading::Funneled)?;
    let world = universe.world();
    let failures = ManuallyDrop::new(world.duplicate());
    let (rank, size) = (world.rank() as usize, world.size() as usize);
    let universe = RefCell::new(ManuallyDrop::new(Some(universe)));
    Some(Ranks::of(Processes { universe, world, rank, size, failures }))
}

/// Consecutive parts of a buffer, of which an operation takes at most `piece` elements from `start` on.
struct Parts {
    counts: Vec<Count>,
    offsets: Vec<Count>,
}

impl Parts {
    fn of(sizes: &[usize], start: usize, piece: usize) -> Self {
        let counts: Vec<Count> = sizes.iter().map(|n| n.saturating_sub(start).min(piece) as Count).collect();
        let mut total = 0;
        let offsets = counts.iter().map(|n| {
            total += n;
            total - n
        });
        Parts { offsets: offsets.collect(), counts }
    }

    fn total(&self) -> usize {
        self.counts.iter().map(|n| *n as usize).sum()
    }
}

/// The elements of every part from `start` on, at most `piece` of each.
fn cut<T: Copy>(values: &[T], sizes: &[usize], start: usize, piece: usize) -> Vec<T> {
    let (mut rest, mut some) = (values, Vec::new());
    for n in sizes {
        let (part, after) = rest.split_at(*n);
        some.extend_from_slice(&part[start.min(*n)..(start + piece).min(*n)]);
        rest = after;
    }
    some
}

/// Puts the pieces of all parts together, each of which has at most `piece` elements of every part.
fn join<T: Copy>(pieces: &[Vec<T>], sizes: &[usize], piece: usize) -> Vec<T> {
    let mut all = Vec::with_capacity(sizes.iter().sum());
    for (i, n) in sizes.iter().enumerate() {
        for (k, received) in pieces.iter().enumerate() {
            let of = |size: &usize| size.saturating_sub(k * piece).min(piece);
            let offset: usize = sizes[..i].iter().map(of).sum();
            all.extend_from_slice(&received[offset..][..of(n)]);
        }
    }
    all
}

impl Processes {
    /// The most elements of one part in an operation.
    fn piece(&self) -> usize {
        MOST / self.size()
    }

    /// The number of operations in which all ranks exchange their parts.
    fn pieces(&self, sizes: &[usize]) -> usize {
        let own = sizes.iter().max().map_or(0, |n| *n as u64);
        // Of the same type: MPI writes as many bytes as it reads.
        let mut longest = 0u64;
        self.world.all_reduce_into(&own, &mut longest, SystemOperation::max());
        (longest as usize).div_ceil(self.piece())
    }

    fn gather<T: Equivalence + Copy + Default>(&self, own: &[T], counts: &[usize]) -> Vec<T> {
        let (piece, mut pieces) = (self.piece(), Vec::new());
        for start in (0..counts.iter().max().copied().unwrap_or(0)).step_by(piece) {
            let parts = Parts::of(counts, start, piece);
            let mut received = vec![T::default(); parts.total()];
            let part = &own[start.min(own.len())..(start + piece).min(own.len())];
            let mut buffer = PartitionMut::new(&mut received[..], &parts.counts[..], &parts.offsets[..]);
            self.world.all_gather_varcount_into(part, &mut buffer);
            pieces.push(received);
        }
        match pieces.len() {
            1 => pieces.swap_remove(0),
            _ => join(&pieces, counts, piece),
        }
    }
}

impl Communicator for Processes {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn all_to_all(&self, values: &[f32], sends: &[usize], receives: &[usize]) -> Vec<f32> {
        let (piece, mut pieces) = (self.piece(), Vec::new());
        let count = self.pieces(sends);
        for start in (0..count).map(|k| k * piece) {
            let (from, to) = (Parts::of(receives, start, piece), Parts::of(sends, start, piece));
            let sent = match count {
                1 => Cow::Borrowed(values),
                _ => Cow::Owned(cut(values, sends, start, piece)),
            };
            let mut received = vec![0.0f32; from.total()];
            let mut buffer = PartitionMut::new(&mut received[..], &from.counts[..], &from.offsets[..]);
            let sent = Partition::new(&sent[..], &to.counts[..], &to.offsets[..]);
            self.world.all_to_all_varcount_into(&sent, &mut buffer);
            pieces.push(received);
        }
        match pieces.len() {
            1 => pieces.swap_remove(0),
            _ => join(&pieces, receives, piece),
        }
    }

    fn all_gather_floats(&self, own: &[f32], counts: &[usize]) -> Vec<f32> {
        self.gather(own, counts)
    }

    fn all_gather(&self, own: &[u8]) -> Vec<Vec<u8>> {
        let mut counts = vec![0u64; self.size()];
        self.world.all_gather_into(&(own.len() as u64), &mut counts[..]);
        let counts: Vec<usize> = counts.into_iter().map(|n| n as usize).collect();
        let all = self.gather(own, &counts);
        let mut rest = &all[..];
        let each = counts.iter().map(|n| {
            let (part, after) = rest.split_at(*n);
            rest = after;
            part.to_vec()
        });
        each.collect()
    }

    fn all_fail(&self, within: Duration) -> bool {
        let begin = Instant::now();
        let mut request = self.failures.immediate_barrier();
        loop {
            match request.test() {
                Ok(_) => return true,
                Err(pending) if begin.elapsed() < within => request = pending,
                Err(pending) => {
                    // The request cannot be withdrawn; the caller ends the process.
                    std::mem::forget(pending);
                    return false;
                }
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn abort(&self, code: i32) {
        self.world.abort(code)
    }

    fn finish(&self) {
        drop(self.universe.borrow_mut().take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_cut_into_pieces_and_put_together_again() {
        let sizes = [5, 0, 3, 8];
        let values: Vec<u32> = (0..16).collect();
        for piece in 1..10 {
            let pieces: Vec<Vec<u32>> =
                (0..8usize.div_ceil(piece)).map(|k| cut(&values, &sizes, k * piece, piece)).collect();
            for (k, some) in pieces.iter().enumerate() {
                assert_eq!(some.len(), Parts::of(&sizes, k * piece, piece).total());
            }
            assert_eq!(join(&pieces, &sizes, piece), values);
        }
    }
}
