//! One pruning event of the OBS pruner: gradients → Fisher matrix → saliencies → selection → update.
//!
//! If the Fisher matrices of all parameters do not fit into the allowed memory, the gradients are computed in several
//! passes, each for some parameters. With a global ranking all parameters are scored before the first one is
//! updated, so that the gradients of all passes but the last are computed a second time for the update.

use std::ops::{ControlFlow, Range};

use burn::tensor::Device;

use crate::method::mask::Mask;
use crate::method::mask::grouping::Grouping;
use crate::method::mask::select::{Goal, Ranking, select, select_for_goals};

use super::fisher_estimate::{FisherEstimate, Place};
use super::gradient_source::{GradientSource, Phase};
use super::host_estimate::Precision;
use super::qr::QrFactors;
use super::score::Scored;
use super::settings::{Interrupted, ObsError, PruningUpdate, Settings};
use super::sharding::Sharding;

/// The largest dampening λ up to which [`PruningEvent::raises_damp`] raises it.
const LARGEST_DAMP: f64 = 1.0;

/// Bytes of float64 QR factors that are computed in one pass where no limit of memory is stated.
pub const FACTOR_MEMORY: u64 = 2 << 30;

/// One pass over the gradients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    /// The indices of the parameters whose Fisher matrices it estimates.
    pub parameters: Range<usize>,
    /// Gradients that are buffered and summed together.
    pub rows: usize,
}

/// The inputs of a pruning event. Every list has an entry for each parameter, except `goals` and `passes`.
#[derive(Clone, Copy)]
pub struct PruningEvent<'a> {
    /// Weights in the Hugging Face layout `[out, in]`, flattened.
    pub weights: &'a [Vec<f32>],
    /// The masks before the event.
    pub masks: &'a [Mask],
    /// For each parameter, the groups of weights that are pruned together.
    pub groupings: &'a [Grouping],
    /// The target sparsities, each of some parameters.
    pub goals: &'a [Goal],
    /// Among which groups the least salient are pruned.
    pub ranking: Ranking,
    /// Settings of the pruner.
    pub settings: Settings,
    /// m, the number of gradients (SparseML's `num_grads`).
    pub gradients: usize,
    /// The dtype of buffered gradients.
    pub precision: Precision,
    /// Whether the dampening λ is multiplied by 10, up to 1, until all blocks can be factored.
    pub raises_damp: bool,
    /// The passes over the gradients, with each parameter in one of them.
    pub passes: &'a [Pass],
    /// Bytes for the QR factors of ill-conditioned blocks, if they are limited.
    pub memory: Option<u64>,
    /// The device that estimates the Fisher matrix; `None` for the CPU kernels.
    pub device: Option<&'a Device>,
    /// The largest sparsity of a parameter, in 0..=1.
    pub at_most: f64,
    /// A measured allocation that replaces the global ranking. It requires [`Ranking::Global`] and a single pass.
    pub allocation: Option<Allocation<'a>>,
    /// The ranks that compute the event together. A measured allocation needs all Fisher matrices on every rank.
    pub sharding: Sharding<'a>,
}

/// The goals, groups and number of forward passes of a measured allocation.
#[derive(Clone, Copy, Debug)]
pub struct Allocation<'a> {
    /// The final goals of the pruning schedule, for the same parameters as the event's goals. Events before the last
    /// one move only part of the way to the allocation for these goals.
    pub last: &'a [Goal],
    /// Divisions of all parameters into groups, each group within one goal.
    pub partitions: &'a [Vec<Vec<usize>>],
    /// The number of forward passes.
    pub evaluations: usize,
}

/// The estimates and saliencies of all parameters.
#[derive(Clone, Copy)]
pub(super) struct Estimated<'a> {
    pub estimates: &'a [FisherEstimate],
    pub scored: &'a [Scored],
    pub settings: &'a Settings,
}

/// The saliencies of all parameters under one set of settings.
pub struct Saliencies {
    settings: Settings,
    scored: Vec<Scored>,
}

impl Saliencies {
    /// The saliencies of a parameter's groups, -∞ for those that are pruned already.
    pub fn of(&self, parameter: usize) -> &[f32] {
        &self.scored[parameter].scores
    }
}

impl PruningEvent<'_> {
    /// Computes the update of each parameter; also returns the dampening λ that was used.
    ///
    /// # Errors
    /// [`Interrupted`].
    pub fn run(&self, source: &mut dyn GradientSource) -> Result<(Vec<PruningUpdate>, f64), Interrupted> {
        self.raising_damp(|settings| self.attempt(settings, source))
    }

    /// Like [`PruningEvent::run`], from Fisher matrices of all parameters, on every rank, that are estimated already and
    /// used for several events. `known` caches the saliencies of the previous call; they are used again if the settings
    /// are equal.
    ///
    /// # Errors
    /// [`Interrupted`].
    pub fn run_with(
        &self,
        estimates: &mut [FisherEstimate],
        known: &mut Option<Saliencies>,
        source: &mut dyn GradientSource,
    ) -> Result<(Vec<PruningUpdate>, f64), Interrupted> {
        self.raising_damp(|settings| {
            let saliencies = match known.take().filter(|known| known.settings == *settings) {
                Some(saliencies) => saliencies,
                None => self.score_all(estimates, settings, source)?,
            };
            let saliencies = known.insert(saliencies);
            let scored = &saliencies.scored;
            let pruned = match &self.allocation {
                Some(allocation) => {
                    let of = Estimated { estimates, scored, settings };
                    self.allocate(allocation, of, source)?
                }
                None => self.select(scored.iter().map(|s| s.scores.clone()).collect()),
            };
            let parameters = estimates.iter().zip(&saliencies.scored).zip(&pruned).enumerate();
            let updates = parameters
                .map(|(i, ((estimate, scored), groups))| self.update(i, estimate, scored, groups, settings))
                .collect();
            self.sharding.agree(updates)
        })
    }

    /// The saliencies of all parameters from their estimates.
    fn score_all(
        &self,
        estimates: &mut [FisherEstimate],
        settings: &Settings,
        source: &mut dyn GradientSource,
    ) -> Result<Saliencies, Interrupted> {
        estimates.iter_mut().for_each(FisherEstimate::clear_factors);
        let scored =
            self.score(0, estimates, settings, source)?.into_iter().map(|(scored, _)| scored).collect();
        Ok(Saliencies { settings: *settings, scored })
    }

    /// Calls `attempt` with the given dampening; if a block cannot be factored and that is allowed, with ten times
    /// as much, up to [`LARGEST_DAMP`].
    fn raising_damp<R>(
        &self,
        mut attempt: impl FnMut(&Settings) -> Result<R, Interrupted>,
    ) -> Result<(R, f64), Interrupted> {
        let mut settings = self.settings;
        loop {
            match attempt(&settings) {
                Err(Interrupted::Failed(_, ObsError::NotFactored { .. }))
                    if self.raises_damp && settings.damp < LARGEST_DAMP =>
                {
                    settings.damp *= 10.0;
                }
                result => return Ok((result?, settings.damp)),
            }
        }
    }

    /// The updates of all parameters with these settings.
    fn attempt(
        &self,
        settings: &Settings,
        source: &mut dyn GradientSource,
    ) -> Result<Vec<PruningUpdate>, Interrupted> {
        let count = self.weights.len();
        // Without a global ranking, parameters are updated as soon as they are scored.
        let together = self.ranking == Ranking::Global;
        let mut known: Vec<Scored> = vec![Scored::default(); count];
        let mut recomputed: Vec<Vec<usize>> = vec![Vec::new(); count];
        let mut updates: Vec<Option<PruningUpdate>> = vec![None; count];
        let mut last: Vec<FisherEstimate> = Vec::new();
        for pass in self.passes {
            // First free the memory of the previous pass.
            drop(std::mem::take(&mut last));
            let mut estimates = self.estimate(pass, source)?;
            let first = pass.parameters.start;
            for (i, result) in
                pass.parameters.clone().zip(self.score(first, &mut estimates, settings, source)?)
            {
                (known[i], recomputed[i]) = result;
            }
            if !together {
                let mut update = |i: usize| {
                    let mut scored = std::mem::take(&mut known[i]);
                    let pruned = self.select_in(i, std::mem::take(&mut scored.scores));
                    updates[i] = Some(self.update(i, &estimates[i - first], &scored, &pruned, settings)?);
                    Ok(())
                };
                let mut own = pass.parameters.clone().filter(|i| self.sharding.is_own(*i));
                self.sharding.agree(own.try_for_each(&mut update))?;
            }
            last = estimates;
        }
        if together {
            self.sharding.gather_scores(&mut known);
            let pruned = match &self.allocation {
                Some(allocation) => {
                    let of = Estimated { estimates: &last, scored: &known, settings };
                    self.allocate(allocation, of, source)?
                }
                None => {
                    self.select(known.iter_mut().map(|scored| std::mem::take(&mut scored.scores)).collect())
                }
            };
            let mut done = 0;
            for (p, pass) in self.passes.iter().enumerate().rev() {
                let is_last = p + 1 == self.passes.len();
                let mut estimates =
                    if is_last { std::mem::take(&mut last) } else { self.estimate(pass, source)? };
                if !is_last {
                    let first = pass.parameters.start;
                    self.recompute(first, &mut estimates, &recomputed[pass.parameters.clone()], source)?;
                }
                let mut update = |(i, estimate): (usize, FisherEstimate)| {
                    let scored = std::mem::take(&mut known[i]);
                    if !estimate.is_remote() {
                        updates[i] = Some(self.update(i, &estimate, &scored, &pruned[i], settings)?);
                    }
                    done += 1;
                    report(source.progress(Phase::Updating, done, count))
                };
                let mut parameters = pass.parameters.clone().zip(estimates);
                self.sharding.agree(parameters.try_for_each(&mut update))?;
            }
        }
        self.sharding.gather_updates(&mut updates, self.weights);
        Ok(updates.into_iter().flatten().collect())
    }

    /// The Fisher matrices of a pass's parameters.
    fn estimate(
        &self,
        pass: &Pass,
        source: &mut dyn GradientSource,
    ) -> Result<Vec<FisherEstimate>, Interrupted> {
        let (block, gradients) = (self.settings.block, self.gradients);
        let new = |i: usize| {
            let count = self.weights[i].len();
            match self.device {
                _ if !self.sharding.is_own(i) => FisherEstimate::Remote,
                Some(device) => FisherEstimate::on_device(count, block, pass.rows, device),
                None => FisherEstimate::on_host(count, block, gradients, pass.rows, self.precision),
            }
        };
        let mut estimates: Vec<FisherEstimate> = pass.parameters.clone().map(new).collect();
        let place = if self.device.is_some() { Place::Device } else { Place::Host };
        let first = pass.parameters.start;
        report(source.gradients(pass.parameters.clone(), 0..gradients, place, &mut |i, gradient| {
            estimates[i - first].add(gradient);
        }))?;
        estimates.iter_mut().for_each(FisherEstimate::finish);
        Ok(estimates)
    }

    /// The saliencies of the parameters from `first` on, and for each the ill-conditioned blocks, which are recomputed
    /// in another pass over the gradients.
    fn score(
        &self,
        first: usize,
        estimates: &mut [FisherEstimate],
        settings: &Settings,
        source: &mut dyn GradientSource,
    ) -> Result<Vec<(Scored, Vec<usize>)>, Interrupted> {
        let selection = self.ranking.to(0.0);
        let score = |i: usize, estimate: &mut FisherEstimate| {
            let scored = estimate.score(&self.weights[i], &self.masks[i], selection, settings);
            scored.map_err(|e| Interrupted::Failed(i, e))
        };
        let (mut scored, mut ill_conditioned) = (Vec::new(), Vec::new());
        let mut parameters = (first..).zip(estimates.iter_mut());
        self.sharding.agree(parameters.try_for_each(|(i, estimate)| {
            let mut found = score(i, estimate)?;
            ill_conditioned.push(std::mem::take(&mut found.ill_conditioned));
            scored.push(found);
            report(source.progress(Phase::Scoring, i + 1, self.weights.len()))
        }))?;
        self.sharding.gather_indices(first, &mut ill_conditioned);
        self.recompute(first, estimates, &ill_conditioned, source)?;
        let parameters = (first..).zip(estimates.iter_mut()).zip(scored.iter_mut().zip(&ill_conditioned));
        let mut own = parameters.filter(|((_, estimate), _)| !estimate.is_remote());
        self.sharding.agree(own.try_for_each(|((i, estimate), (scored, ill_conditioned))| {
            if !ill_conditioned.is_empty() {
                *scored = score(i, estimate)?;
            }
            scored.scores = self.groupings[i].of_runs(std::mem::take(&mut scored.scores));
            Ok(())
        }))?;
        Ok(scored.into_iter().zip(ill_conditioned).collect())
    }

    /// Computes the QR factors of ill-conditioned blocks in float64, from the same gradients. `blocks` lists the
    /// indices for each parameter from `first` on. Takes one pass over the gradients for as many blocks as fit into
    /// the allowed memory.
    fn recompute(
        &self,
        first: usize,
        estimates: &mut [FisherEstimate],
        blocks: &[Vec<usize>],
        source: &mut dyn GradientSource,
    ) -> Result<(), Interrupted> {
        let block = self.settings.block;
        let most = self.memory.unwrap_or(FACTOR_MEMORY) / QrFactors::bytes_of_block(block);
        let most = usize::try_from(most.max(1)).unwrap_or(usize::MAX);
        let mut rounds: Vec<Vec<(usize, &[usize])>> = Vec::new();
        let mut room = 0;
        for (k, some) in
            blocks.iter().enumerate().flat_map(|(k, list)| list.chunks(most).map(move |c| (k, c)))
        {
            if some.len() > room {
                rounds.push(Vec::new());
                room = most;
            }
            room -= some.len();
            if let Some(round) = rounds.last_mut() {
                round.push((k, some));
            }
        }
        for round in rounds {
            let mut factors: Vec<Option<QrFactors>> = vec![None; estimates.len()];
            for (k, some) in round.iter().filter(|(k, _)| !estimates[*k].is_remote()) {
                factors[*k] = Some(QrFactors::new(self.weights[first + k].len(), block, some));
            }
            let parameters = first + round[0].0..first + round[round.len() - 1].0 + 1;
            report(source.gradients(parameters, 0..self.gradients, Place::Host, &mut |i, gradient| {
                if let Some(factors) = &mut factors[i - first] {
                    factors.add(&gradient.into_values());
                }
            }))?;
            for (estimate, factors) in estimates.iter_mut().zip(factors) {
                factors.into_iter().for_each(|factors| estimate.set_factors(factors));
            }
        }
        Ok(())
    }

    /// Selects the groups to prune of a parameter that is ranked by itself.
    fn select_in(&self, i: usize, scores: Vec<f32>) -> Vec<bool> {
        let goal = self.goals.iter().find(|goal| goal.members.contains(&i));
        let selection = self.ranking.to(goal.map_or(0.0, |goal| goal.sparsity));
        select(&[scores], selection).pop().unwrap_or_default()
    }

    /// Selects the groups to prune of every parameter.
    fn select(&self, scores: Vec<Vec<f32>>) -> Vec<Vec<bool>> {
        let sizes: Vec<usize> =
            self.groupings.iter().zip(self.weights).map(|(g, w)| g.size(w.len())).collect();
        select_for_goals(scores, &sizes, self.goals, self.ranking, self.at_most)
    }

    /// The update of parameter `i` when its `groups` are pruned.
    pub(super) fn update(
        &self,
        i: usize,
        estimate: &FisherEstimate,
        scored: &Scored,
        groups: &[bool],
        settings: &Settings,
    ) -> Result<PruningUpdate, Interrupted> {
        let weights = &self.weights[i];
        let pruned = self.groupings[i].spread(groups, weights.len());
        let update = estimate.update(weights, &self.masks[i], &scored.multipliers, pruned, settings);
        update.map_err(|e| Interrupted::Failed(i, e))
    }
}

fn report(answer: ControlFlow<()>) -> Result<(), Interrupted> {
    if answer.is_break() { Err(Interrupted::Stopped) } else { Ok(()) }
}
