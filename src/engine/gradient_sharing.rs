//! Which prunings can share their gradients.
//!
//! The gradients of one estimate are the same for every damp, update and sparsity; the first m of a longer
//! row of them are those of an estimate of m; and one gradient can be summed into blocks of several sizes.
//! So a single pass over the gradients serves whatever differs in these alone.

use crate::schedule::Window;
use crate::schedule::ir::{Criterion, Obs, Prune, Update};
use crate::schedule::{Ramp, Time};

/// A way to prune a model one-shot.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// What is pruned and how; its window and its final sparsity are not looked at.
    pub prune: Prune,
    /// The sparsity, `0..=1`.
    pub sparsity: f64,
}

impl Trial {
    /// The settings of the OBS pruner, if it prunes by OBS.
    pub fn obs(&self) -> Option<&Obs> {
        match &self.prune.by {
            Criterion::Obs(obs) => Some(obs),
            _ => None,
        }
    }
}

/// Trials that are served by one pass over the gradients.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sweep {
    /// The estimates that live side by side.
    pub estimates: Vec<Shared>,
}

impl Sweep {
    /// The gradients that are computed.
    pub fn gradients(&self) -> usize {
        self.estimates.iter().map(Shared::gradients).max().unwrap_or(0)
    }

    /// The numbers of gradients after which something is pruned, ascending.
    pub fn stops(&self) -> Vec<usize> {
        let mut stops: Vec<usize> =
            self.estimates.iter().flat_map(|e| e.stops.iter().map(|s| s.gradients)).collect();
        stops.sort_unstable();
        stops.dedup();
        stops
    }
}

/// An estimate of all targets that several trials use.
#[derive(Clone, Debug, PartialEq)]
pub struct Shared {
    /// Weights of a Fisher block.
    pub block: usize,
    /// Gradients that wait until they are summed.
    pub rows: usize,
    /// Whether the gradients themselves are stored, being fewer than a block's weights.
    pub keeps_gradients: bool,
    /// After how many gradients which trials are served, ascending.
    pub stops: Vec<Stop>,
}

impl Shared {
    /// All gradients that the estimate takes in.
    pub fn gradients(&self) -> usize {
        self.stops.last().map_or(0, |stop| stop.gradients)
    }
}

/// Trials that use so many gradients of an estimate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// How many.
    pub gradients: usize,
    /// Their indices, those that are judged alike side by side.
    pub trials: Vec<usize>,
}

/// The passes over gradients that serve these trials, of targets with so many weights each, and the trials
/// that go by themselves: those that need no gradients, those with several estimates in a row, and those
/// whose allowed memory asks for several passes.
pub fn arrange(trials: &[Trial], counts: &[usize]) -> (Vec<Sweep>, Vec<usize>) {
    let mut alone = Vec::new();
    let mut families: Vec<(Prune, Vec<Shared>)> = Vec::new();
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
        // Gradients that are stored are as many as there are; how many wait is the same for all.
        let rows = if keeps_gradients { 0 } else { pass.rows };
        let estimates = &mut families[known].1;
        let same = |e: &&mut Shared| (e.block, e.rows, e.keeps_gradients) == (block, rows, keeps_gradients);
        match estimates.iter_mut().find(same) {
            Some(shared) => add(&mut shared.stops, obs.gradients, index),
            None => {
                let stops = vec![Stop { gradients: obs.gradients, trials: vec![index] }];
                estimates.push(Shared { block, rows, keeps_gradients, stops });
            }
        }
    }
    let sweeps = families.into_iter().flat_map(|(_, estimates)| fit(estimates, trials, counts)).collect();
    (sweeps, alone)
}

fn add(stops: &mut Vec<Stop>, gradients: usize, trial: usize) {
    match stops.binary_search_by_key(&gradients, |s| s.gradients) {
        Ok(at) => stops[at].trials.push(trial),
        Err(at) => stops.insert(at, Stop { gradients, trials: vec![trial] }),
    }
}

/// A statement without all that one pass over the gradients can serve at once.
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
    Prune { by, window: Window::once(Time::ZERO), sparsity: Ramp::constant(0.0), ..prune.clone() }
}

/// Puts estimates into as few passes as the allowed memory lets them live side by side in.
fn fit(estimates: Vec<Shared>, trials: &[Trial], counts: &[usize]) -> Vec<Sweep> {
    let allowed = |shared: &Shared| {
        let first = shared.stops.first().and_then(|s| s.trials.first());
        first.and_then(|i| trials[*i].obs()).and_then(|obs| obs.memory).unwrap_or(u64::MAX)
    };
    let needed = |shared: &Shared| bytes(shared, trials, counts);
    let mut sweeps: Vec<(u64, Sweep)> = Vec::new();
    for shared in estimates {
        // Each number of gradients by itself needs no second copy of sums while others wait.
        let parts = match needed(&shared) > allowed(&shared) {
            true => {
                shared.stops.iter().map(|s| Shared { stops: vec![s.clone()], ..shared.clone() }).collect()
            }
            false => vec![shared],
        };
        for part in parts {
            let own = needed(&part);
            let most = allowed(&part);
            match sweeps.iter_mut().find(|(used, _)| used.saturating_add(own) <= most) {
                Some((used, sweep)) => {
                    *used += own;
                    sweep.estimates.push(part);
                }
                None => sweeps.push((own, Sweep { estimates: vec![part] })),
            }
        }
    }
    sweeps.into_iter().map(|(_, sweep)| sweep).collect()
}

/// The most memory of a shared estimate.
fn bytes(shared: &Shared, trials: &[Trial], counts: &[usize]) -> u64 {
    let last = shared.stops.last().and_then(|s| s.trials.first()).and_then(|i| trials[*i].obs());
    let passes = last.and_then(|obs| obs.passes(counts)).unwrap_or_default();
    let own: u64 = passes.iter().map(|p| p.fisher + p.chunk).sum();
    let copied = shared.stops.len() > 1 && !shared.keeps_gradients;
    let largest = counts.iter().filter_map(|n| Some(last?.fisher_bytes(*n))).max().unwrap_or(0);
    own + if copied { largest } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::Selector;
    use crate::schedule::ir::{Pattern, Rank, Targets};

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
        let (sweeps, alone) = arrange(&trials, &[5000, 700]);
        assert_eq!(alone, [6, 7]);
        assert_eq!(sweeps.len(), 2, "{sweeps:?}");
        assert_eq!(sweeps[0].gradients(), 1024);
        assert_eq!(sweeps[0].stops(), [40, 256, 1024]);
        let served: Vec<Vec<Vec<usize>>> = sweeps
            .iter()
            .flat_map(|s| &s.estimates)
            .map(|e| e.stops.iter().map(|s| s.trials.clone()).collect())
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
            let (sweeps, alone) = arrange(&trials, &counts);
            let blocks = sweeps.iter().map(|s| s.estimates.iter().map(|e| e.block).collect());
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
