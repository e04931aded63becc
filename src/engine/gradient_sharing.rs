//! Arranges trials of one-shot pruning so that they share gradients.
//!
//! The gradients do not depend on `damp`, `update`, `correlated` or the sparsity. An estimate from m gradients uses the
//! first m gradients of a larger estimate, and each gradient can be accumulated into Fisher blocks of several sizes. So
//! trials that differ only in these settings, in `gradients` and in `block` need a single pass over the gradients.

use crate::schedule::Window;
use crate::schedule::ir::{Criterion, Obs, Prune, Rank, Update};
use crate::schedule::{Ramp, Time};

/// A trial: settings of one-shot pruning.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// The `prune` statement, whose window and final sparsity are ignored.
    pub prune: Prune,
    /// The sparsity, `0..=1`.
    pub sparsity: f64,
}

impl Trial {
    /// The settings of OBS, if the trial prunes by OBS.
    pub fn obs(&self) -> Option<&Obs> {
        match &self.prune.by {
            Criterion::Obs(obs) => Some(obs),
            _ => None,
        }
    }
}

/// One computation of gradients that several trials share.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SharedPass {
    /// The estimates of the pass.
    pub estimates: Vec<SharedEstimate>,
}

impl SharedPass {
    /// The number of gradients of the pass.
    pub fn gradients(&self) -> usize {
        self.estimates.iter().map(SharedEstimate::gradients).max().unwrap_or(0)
    }

    /// The numbers of gradients after which trials are pruned, ascending.
    pub fn prefixes(&self) -> Vec<usize> {
        let mut prefixes: Vec<usize> =
            self.estimates.iter().flat_map(|e| e.prefixes.iter().map(|s| s.gradients)).collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        prefixes
    }
}

/// An estimate of the Fisher matrices of all targets, shared by trials.
#[derive(Clone, Debug, PartialEq)]
pub struct SharedEstimate {
    /// The size of a Fisher block.
    pub block: usize,
    /// The number of gradients in a chunk, which are accumulated together.
    pub rows: usize,
    /// Whether the gradients themselves are stored, as they are fewer than a block's weights (Woodbury form).
    pub keeps_gradients: bool,
    /// The trials by the number of gradients that they use, ascending.
    pub prefixes: Vec<Prefix>,
}

impl SharedEstimate {
    /// The number of gradients of the estimate.
    pub fn gradients(&self) -> usize {
        self.prefixes.last().map_or(0, |prefix| prefix.gradients)
    }
}

/// The trials that use a number of gradients of an estimate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// The number of gradients.
    pub gradients: usize,
    /// The indices of the trials; those with equal saliencies are consecutive.
    pub trials: Vec<usize>,
}

/// Arranges trials into shared passes; `counts` are the numbers of weights of the targets. Returns the passes, and the
/// trials that share none: those without gradients, with `recompute`, or whose `memory` requires several passes.
pub fn arrange(trials: &[Trial], counts: &[usize]) -> (Vec<SharedPass>, Vec<usize>) {
    let mut alone = Vec::new();
    let mut families: Vec<(Prune, Vec<SharedEstimate>)> = Vec::new();
    for (index, trial) in trials.iter().enumerate() {
        let passes = trial.obs().filter(|obs| obs.recompute == 1).and_then(|obs| obs.passes(counts));
        let (Some(obs), Some([pass])) = (trial.obs(), passes.as_deref()) else {
            alone.push(index);
            continue;
        };
        let kin = without_what_can_differ(&trial.prune);
        let known = families.iter().position(|(other, _)| *other == kin).unwrap_or_else(|| {
            families.push((kin, Vec::new()));
            families.len() - 1
        });
        let (keeps_gradients, block) = (obs.keeps_gradients(), obs.block);
        // Stored gradients are not accumulated in chunks: 0, so that estimates do not differ by a chunk size.
        let rows = if keeps_gradients { 0 } else { pass.rows };
        let estimates = &mut families[known].1;
        let same =
            |e: &&mut SharedEstimate| (e.block, e.rows, e.keeps_gradients) == (block, rows, keeps_gradients);
        match estimates.iter_mut().find(same) {
            Some(shared) => add(&mut shared.prefixes, obs.gradients, index),
            None => {
                let prefixes = vec![Prefix { gradients: obs.gradients, trials: vec![index] }];
                estimates.push(SharedEstimate { block, rows, keeps_gradients, prefixes });
            }
        }
    }
    let shared_passes =
        families.into_iter().flat_map(|(_, estimates)| fit(estimates, trials, counts)).collect();
    (shared_passes, alone)
}

fn add(prefixes: &mut Vec<Prefix>, gradients: usize, trial: usize) {
    match prefixes.binary_search_by_key(&gradients, |s| s.gradients) {
        Ok(at) => prefixes[at].trials.push(trial),
        Err(at) => prefixes.insert(at, Prefix { gradients, trials: vec![trial] }),
    }
}

/// A statement without the settings that may differ within a pass.
fn without_what_can_differ(prune: &Prune) -> Prune {
    let by = match &prune.by {
        Criterion::Obs(obs) => Criterion::Obs(Obs {
            gradients: 0,
            block: 1,
            damp: 0.0,
            update: Update::Exact,
            raise_damp: false,
            correlated: false,
            ..obs.clone()
        }),
        other => other.clone(),
    };
    // Global and measured ranking need the same saliencies of all parameters at once, so such trials can share a pass.
    let rank = if prune.ranks_together() { Rank::Global } else { prune.rank };
    let (window, sparsity) = (Window::once(Time::ZERO), Ramp::constant(0.0));
    Prune { by, window, sparsity, rank, at_most: None, ..prune.clone() }
}

/// Distributes estimates over as few passes as the allowed memory permits.
fn fit(estimates: Vec<SharedEstimate>, trials: &[Trial], counts: &[usize]) -> Vec<SharedPass> {
    let allowed = |shared: &SharedEstimate| {
        let first = shared.prefixes.first().and_then(|s| s.trials.first());
        first.and_then(|i| trials[*i].obs()).and_then(|obs| obs.memory).unwrap_or(u64::MAX)
    };
    let needed = |shared: &SharedEstimate| bytes(shared, trials, counts);
    let mut shared_passes: Vec<(u64, SharedPass)> = Vec::new();
    for shared in estimates {
        // If memory is short, an estimate that is used at several numbers of gradients is divided into one for each
        // number: used once, it is factored in place, without a copy of its sums.
        let parts = match needed(&shared) > allowed(&shared) {
            true => shared
                .prefixes
                .iter()
                .map(|s| SharedEstimate { prefixes: vec![s.clone()], ..shared.clone() })
                .collect(),
            false => vec![shared],
        };
        for part in parts {
            let own = needed(&part);
            let most = allowed(&part);
            match shared_passes.iter_mut().find(|(used, _)| used.saturating_add(own) <= most) {
                Some((used, shared_pass)) => {
                    *used += own;
                    shared_pass.estimates.push(part);
                }
                None => shared_passes.push((own, SharedPass { estimates: vec![part] })),
            }
        }
    }
    shared_passes.into_iter().map(|(_, shared_pass)| shared_pass).collect()
}

/// The peak memory of a shared estimate.
fn bytes(shared: &SharedEstimate, trials: &[Trial], counts: &[usize]) -> u64 {
    let last = shared.prefixes.last().and_then(|s| s.trials.first()).and_then(|i| trials[*i].obs());
    let passes = last.and_then(|obs| obs.passes(counts)).unwrap_or_default();
    let own: u64 = passes.iter().map(|p| p.fisher + p.chunk).sum();
    let copied = shared.prefixes.len() > 1 && !shared.keeps_gradients;
    let largest = counts.iter().filter_map(|n| Some(last?.fisher_bytes(*n))).max().unwrap_or(0);
    own + if copied { largest } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::Selector;
    use crate::schedule::ir::{Pattern, Targets};

    fn trial(change: impl FnOnce(&mut Obs)) -> Trial {
        let mut obs = Obs { gradients: 256, ..Obs::default() };
        change(&mut obs);
        let prune = Prune {
            targets: Targets { selector: Selector::Glob("*".into()), expect: None },
            window: Window::once(Time::ZERO),
            sparsity: Ramp::constant(0.5),
            exceptions: vec![],
            pattern: Pattern::Unstructured,
            rank: Rank::Global,
            at_most: None,
            reconstruct: None,
            by: Criterion::Obs(obs),
        };
        Trial { prune, sparsity: 0.5 }
    }

    #[test]
    fn damps_prefixes_and_blocks_share_one_pass_and_other_batches_do_not() {
        let trials = [
            trial(|_| ()),
            trial(|o| o.damp = 1e-4),
            trial(|o| o.gradients = 1024),
            trial(|o| o.block = 1),
            trial(|o| o.gradients = 40),
            trial(|o| o.batch = 4),
            trial(|o| o.recompute = 4),
            Trial { prune: Prune { by: Criterion::Magnitude, ..trial(|_| ()).prune }, sparsity: 0.5 },
        ];
        let (shared_passes, alone) = arrange(&trials, &[5000, 700]);
        assert_eq!(alone, [6, 7]);
        assert_eq!(shared_passes.len(), 2, "{shared_passes:?}");
        assert_eq!(shared_passes[0].gradients(), 1024);
        assert_eq!(shared_passes[0].prefixes(), [40, 256, 1024]);
        let served: Vec<Vec<Vec<usize>>> = shared_passes
            .iter()
            .flat_map(|s| &s.estimates)
            .map(|e| e.prefixes.iter().map(|s| s.trials.clone()).collect())
            .collect();
        assert_eq!(
            served,
            [vec![vec![0, 1], vec![2]], vec![vec![3]], vec![vec![4]], vec![vec![5]]],
            "one estimate for each block size, and one of kept gradients"
        );
    }

    #[test]
    fn estimates_live_side_by_side_only_as_far_as_the_allowed_memory_goes() {
        let counts = [5000, 700];
        let with = |memory| {
            let trials: Vec<Trial> = [(50, 64), (50, 128), (10, 64), (1, 64)]
                .into_iter()
                .map(|(block, gradients)| {
                    trial(|o| (o.block, o.gradients, o.memory) = (block, gradients, memory))
                })
                .collect();
            let (shared_passes, alone) = arrange(&trials, &counts);
            let blocks = shared_passes.iter().map(|s| s.estimates.iter().map(|e| e.block).collect());
            (blocks.collect::<Vec<Vec<usize>>>(), alone, trials)
        };
        assert_eq!(with(None).0, [[50, 10, 1]]);
        let (_, _, trials) = with(None);
        let own = trials[0].obs().unwrap().passes(&counts).unwrap().iter().map(|p| p.fisher + p.chunk).sum();
        let (blocks, alone, _) = with(Some(own));
        assert_eq!(alone, [0usize; 0]);
        assert_eq!(blocks, [vec![50], vec![50], vec![10, 1]], "no copy of sums, and no neighbour");
        let (_, alone, _) = with(Some(own / 2));
        assert_eq!(alone, [0, 1], "several passes are needed even for one");
    }
}
