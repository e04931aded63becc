//! The Fisher matrices of a pruning event divided among ranks, by parameter.
//!
//! The owner of a parameter adds its gradients in order, computes saliencies and update, and sends both to the other
//! ranks, which then select the same weights as one process would.

use std::ops::Range;

use crate::ranks::Ranks;

use super::score::Scored;
use super::settings::{Interrupted, ObsError, PruningUpdate};

/// The ranks of an event, and which of them has the Fisher matrix of each parameter.
#[derive(Clone, Copy)]
pub struct Sharding<'a> {
    /// The ranks.
    pub ranks: &'a Ranks,
    /// The owner of each parameter. Empty if every rank has all Fisher matrices.
    pub owners: &'a [usize],
}

impl Sharding<'_> {
    /// The rank that has the Fisher matrix of a parameter; `None` if every rank has it.
    pub fn owner(&self, parameter: usize) -> Option<usize> {
        self.owners.get(parameter).copied()
    }

    /// Whether this rank has the Fisher matrix of a parameter.
    pub fn is_own(&self, parameter: usize) -> bool {
        self.owner(parameter).is_none_or(|owner| owner == self.ranks.rank())
    }

    /// The same result on all ranks: stopped if one was stopped, else the failure of the first parameter.
    pub(super) fn agree<R>(&self, own: Result<R, Interrupted>) -> Result<R, Interrupted> {
        if self.ranks.is_alone() {
            return own;
        }
        let of_all = self.ranks.all_gather(&own.as_ref().err().map_or_else(Vec::new, to_bytes));
        let failures = of_all.iter().filter(|bytes| !bytes.is_empty()).map(|bytes| from_bytes(bytes));
        let place = |failure: &Interrupted| match failure {
            Interrupted::Stopped => None,
            Interrupted::Failed(parameter, _) => Some(*parameter),
        };
        match failures.min_by_key(place) {
            Some(failure) => Err(failure),
            None => own,
        }
    }

    /// Completes lists of indices, such as those of ill-conditioned blocks, of the parameters from `first` on by those
    /// of their owners.
    pub(super) fn gather_indices(&self, first: usize, lists: &mut [Vec<usize>]) {
        let count = lists.len();
        let own = self.own(first..first + count);
        let bytes = own.flat_map(|i| {
            let list = &lists[i - first];
            let numbers = std::iter::once(list.len()).chain(list.iter().copied());
            numbers.flat_map(|n| (n as u64).to_le_bytes()).collect::<Vec<u8>>()
        });
        let Some(all) = self.gather(bytes.collect()) else { return };
        for (rank, bytes) in all.iter().enumerate() {
            let mut numbers = bytes.as_chunks().0.iter().map(|b| u64::from_le_bytes(*b) as usize);
            for i in self.of(rank, first..first + count) {
                let length = numbers.next().unwrap_or(0);
                lists[i - first] = numbers.by_ref().take(length).collect();
            }
        }
    }

    /// Completes the saliencies of all parameters by those of their owners.
    pub(super) fn gather_scores(&self, scored: &mut [Scored]) {
        if self.owners.is_empty() {
            return;
        }
        let own: Vec<f32> =
            self.own(0..scored.len()).flat_map(|i| scored[i].scores.iter().copied()).collect();
        let mut lengths: Vec<Vec<usize>> = scored.iter().map(|s| vec![s.scores.len()]).collect();
        self.gather_indices(0, &mut lengths);
        let of_rank = |rank| self.of(rank, 0..scored.len()).map(|i| lengths[i][0]).sum();
        let counts: Vec<usize> = (0..self.ranks.size()).map(of_rank).collect();
        let all = self.ranks.all_gather_floats(&own, &counts);
        let mut rest = &all[..];
        for rank in 0..self.ranks.size() {
            for i in self.of(rank, 0..scored.len()) {
                let (of_parameter, after) = rest.split_at(lengths[i][0]);
                scored[i].scores = of_parameter.to_vec();
                rest = after;
            }
        }
    }

    /// Completes the updates of all parameters by those of their owners. `None` where there is no update yet.
    pub(super) fn gather_updates(&self, updates: &mut [Option<PruningUpdate>], weights: &[Vec<f32>]) {
        if self.owners.is_empty() {
            return;
        }
        let (mut flags, mut floats) = (Vec::new(), Vec::new());
        for update in self.own(0..updates.len()).filter_map(|i| updates[i].as_ref()) {
            flags.push(u8::from(!update.delta.is_empty()));
            flags.extend(update.pruned.iter().map(|pruned| u8::from(*pruned)));
            floats.extend(&update.delta);
        }
        let mut all: Vec<(usize, Vec<bool>, usize)> = Vec::new();
        let mut counts = vec![0; self.ranks.size()];
        for (rank, flags) in self.ranks.all_gather(&flags).iter().enumerate() {
            let mut flags = &flags[..];
            for i in self.of(rank, 0..updates.len()) {
                let (of_parameter, rest) = flags.split_at(1 + weights[i].len());
                flags = rest;
                let delta = if of_parameter[0] == 1 { weights[i].len() } else { 0 };
                counts[rank] += delta;
                all.push((i, of_parameter[1..].iter().map(|pruned| *pruned == 1).collect(), delta));
            }
        }
        let floats = self.ranks.all_gather_floats(&floats, &counts);
        let mut rest = &floats[..];
        for (i, pruned, delta) in all {
            let (delta, after) = rest.split_at(delta);
            updates[i] = Some(PruningUpdate { pruned, delta: delta.to_vec() });
            rest = after;
        }
    }

    /// The parameters of a range that this rank owns.
    fn own(&self, parameters: Range<usize>) -> impl Iterator<Item = usize> {
        self.of(self.ranks.rank(), parameters)
    }

    /// The parameters of a range that a rank owns.
    fn of(&self, rank: usize, parameters: Range<usize>) -> impl Iterator<Item = usize> {
        parameters.filter(move |i| self.owner(*i) == Some(rank))
    }

    /// The bytes of all ranks; `None` if every rank has all Fisher matrices.
    fn gather(&self, own: Vec<u8>) -> Option<Vec<Vec<u8>>> {
        (!self.owners.is_empty()).then(|| self.ranks.all_gather(&own))
    }
}

/// A kind, and four numbers.
fn to_bytes(failure: &Interrupted) -> Vec<u8> {
    let (kind, numbers): (u64, [usize; 4]) = match failure {
        Interrupted::Stopped => (0, [0; 4]),
        Interrupted::Failed(i, ObsError::GradientNotFinite) => (1, [*i, 0, 0, 0]),
        Interrupted::Failed(i, ObsError::NoGradient) => (2, [*i, 0, 0, 0]),
        Interrupted::Failed(i, ObsError::NotFactored { block, first, last }) => {
            (3, [*i, *block, *first, *last])
        }
    };
    let numbers = std::iter::once(kind).chain(numbers.into_iter().map(|n| n as u64));
    numbers.flat_map(u64::to_le_bytes).collect()
}

fn from_bytes(bytes: &[u8]) -> Interrupted {
    let mut numbers = bytes.as_chunks().0.iter().map(|b| u64::from_le_bytes(*b) as usize);
    let mut next = || numbers.next().unwrap_or(0);
    match (next(), next()) {
        (0, _) => Interrupted::Stopped,
        (1, i) => Interrupted::Failed(i, ObsError::GradientNotFinite),
        (2, i) => Interrupted::Failed(i, ObsError::NoGradient),
        (_, i) => {
            Interrupted::Failed(i, ObsError::NotFactored { block: next(), first: next(), last: next() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranks::threads;

    #[test]
    fn all_ranks_report_the_failure_that_one_process_meets_first() {
        let failed = |i| {
            let (block, first, last) = (7, 350, 400);
            Err(Interrupted::Failed(i, ObsError::NotFactored { block, first, last }))
        };
        type Done = Result<(), Interrupted>;
        let cases: [([Done; 2], Done); 4] = [
            ([Ok(()), Ok(())], Ok(())),
            ([Ok(()), failed(3)], failed(3)),
            ([Err(Interrupted::Failed(1, ObsError::NoGradient)), failed(0)], failed(0)),
            ([failed(0), Err(Interrupted::Stopped)], Err(Interrupted::Stopped)),
        ];
        for (own, agreed) in cases {
            std::thread::scope(|scope| {
                for (own, rank) in own.into_iter().zip(threads(2)) {
                    let agreed = &agreed;
                    scope.spawn(move || {
                        let ranks = Ranks::of(rank);
                        let sharding = Sharding { ranks: &ranks, owners: &[] };
                        assert_eq!(sharding.agree(own), *agreed);
                    });
                }
            });
        }
    }
}
