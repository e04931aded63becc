//! One pruning event of the OBS pruner: gradients → Fisher matrix → saliencies → selection → update.
//!
//! Parameters are estimated in as many passes over the gradients as the allowed memory asks for. Those that
//! are ranked together are all scored before the first of them is updated, so the gradients of all passes
//! but the last are computed again for the update.

use std::ops::{ControlFlow, Range};

use burn::tensor::Device;

use crate::method::mask::Mask;
use crate::method::mask::grouping::Grouping;
use crate::method::mask::select::{Goal, Ranking, select, select_for_goals};

use super::fisher_estimate::{FisherEstimate, Gradient, Place};
use super::host_estimate::Precision;
use super::qr::QrFactors;
use super::score::Scored;
use super::settings::{ObsError, PruningUpdate, Settings};

/// The largest dampening λ that is tried before a block is given up.
const LARGEST_DAMP: f64 = 1.0;

/// Bytes of float64 factors that are computed in one pass where no memory is stated.
const FACTOR_MEMORY: u64 = 2 << 30;

/// Where the gradients of a pruning event come from.
pub trait GradientSource {
    /// Computes the gradients of these numbers, counted from 0, of these parameters and hands each to `take`
    /// with its parameter's index. The same numbers give the same gradients again.
    fn gradients(
        &mut self,
        parameters: Range<usize>,
        numbers: Range<usize>,
        place: Place,
        take: &mut dyn FnMut(usize, Gradient),
    ) -> ControlFlow<()>;

    /// Receives that `done` of `total` parameters are through a phase; breaks off the event if it wants to.
    fn progress(&mut self, _phase: Phase, _done: usize, _total: usize) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// What happens after the gradients, parameter by parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Blocks are factored and saliencies computed.
    Scoring,
    /// The update of the remaining weights is computed.
    Updating,
}

/// Parameters that are estimated together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    /// Their indices.
    pub parameters: Range<usize>,
    /// Gradients that are summed together.
    pub rows: usize,
}

/// What a pruning event works on. Every list has an entry for each parameter.
#[derive(Clone, Copy)]
pub struct PruningEvent<'a> {
    /// Weights in the Hugging Face layout `[out, in]`, flattened.
    pub weights: &'a [Vec<f32>],
    /// Which of them are not pruned yet.
    pub masks: &'a [Mask],
    /// Which of them are pruned together.
    pub groupings: &'a [Grouping],
    /// The sparsities that are reached.
    pub goals: &'a [Goal],
    /// What groups are ranked among.
    pub ranking: Ranking,
    /// How the Fisher matrix is estimated and used.
    pub settings: Settings,
    /// Gradients of an estimate.
    pub gradients: usize,
    /// The precision of gradients that wait to be summed.
    pub precision: Precision,
    /// Whether a dampening that is too small is raised tenfold until all blocks can be factored.
    pub raises_damp: bool,
    /// The passes over the gradients; together they name each parameter once.
    pub passes: &'a [Pass],
    /// Bytes for the factors of ill-conditioned blocks, if they are limited.
    pub memory: Option<u64>,
    /// The device whose tensors estimates are; on the host without one.
    pub device: Option<&'a Device>,
}

/// Why a pruning event has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interrupted {
    /// The source of gradients broke it off.
    Stopped,
    /// The parameter of this index cannot be pruned.
    Failed(usize, ObsError),
}

/// The saliencies of all parameters by one group of settings.
pub struct Saliencies {
    settings: Settings,
    scored: Vec<Scored>,
}

impl Saliencies {
    /// The saliencies of a parameter's groups, -∞ where one is pruned already.
    pub fn of(&self, parameter: usize) -> &[f32] {
        &self.scored[parameter].scores
    }
}

impl PruningEvent<'_> {
    /// The update of each parameter, and the dampening λ that it took.
    ///
    /// # Errors
    /// [`Interrupted`]; no weight has changed then.
    pub fn run(&self, source: &mut dyn GradientSource) -> Result<(Vec<PruningUpdate>, f64), Interrupted> {
        self.raising_damp(|settings| self.attempt(settings, source))
    }

    /// The same from estimates of all parameters that are there already and stay for others. `known` holds the
    /// saliencies that were computed last from the same gradients; they are used again for equal settings.
    ///
    /// # Errors
    /// As [`PruningEvent::run`].
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
            let scores = saliencies.scored.iter().map(|s| s.scores.clone()).collect();
            let pruned = self.select(scores);
            let parameters = estimates.iter().zip(&saliencies.scored).zip(&pruned).enumerate();
            parameters
                .map(|(i, ((estimate, scored), groups))| self.update(i, estimate, scored, groups, settings))
                .collect()
        })
    }

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

    /// Attempts with the given dampening, and with tenfold ones if that is allowed.
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

    fn attempt(
        &self,
        settings: &Settings,
        source: &mut dyn GradientSource,
    ) -> Result<Vec<PruningUpdate>, Interrupted> {
        let count = self.weights.len();
        // Parameters that are not ranked together are updated as soon as they are scored.
        let together = self.ranking == Ranking::Global;
        let mut known: Vec<Scored> = vec![Scored::default(); count];
        let mut recomputed: Vec<Vec<usize>> = vec![Vec::new(); count];
        let mut updates: Vec<Option<PruningUpdate>> = vec![None; count];
        let mut last: Vec<FisherEstimate> = Vec::new();
        for pass in self.passes {
            // The pass before gives back its memory first.
            drop(std::mem::take(&mut last));
            let mut estimates = self.estimate(pass, source)?;
            let first = pass.parameters.start;
            for (i, result) in
                pass.parameters.clone().zip(self.score(first, &mut estimates, settings, source)?)
            {
                (known[i], recomputed[i]) = result;
                if !together {
                    let estimate = &estimates[i - first];
                    let mut scored = std::mem::take(&mut known[i]);
                    let pruned = self.select_in(i, std::mem::take(&mut scored.scores));
                    updates[i] = Some(self.update(i, estimate, &scored, &pruned, settings)?);
                }
            }
            last = estimates;
        }
        if together {
            let scores = known.iter_mut().map(|scored| std::mem::take(&mut scored.scores)).collect();
            let pruned = self.select(scores);
            let mut done = 0;
            for (p, pass) in self.passes.iter().enumerate().rev() {
                let is_last = p + 1 == self.passes.len();
                let mut estimates =
                    if is_last { std::mem::take(&mut last) } else { self.estimate(pass, source)? };
                if !is_last {
                    let first = pass.parameters.start;
                    self.recompute(first, &mut estimates, &recomputed[pass.parameters.clone()], source)?;
                }
                for (i, estimate) in pass.parameters.clone().zip(estimates) {
                    let scored = std::mem::take(&mut known[i]);
                    updates[i] = Some(self.update(i, &estimate, &scored, &pruned[i], settings)?);
                    done += 1;
                    report(source.progress(Phase::Updating, done, count))?;
                }
            }
        }
        Ok(updates.into_iter().flatten().collect())
    }

    /// The estimates of a pass's parameters.
    fn estimate(
        &self,
        pass: &Pass,
        source: &mut dyn GradientSource,
    ) -> Result<Vec<FisherEstimate>, Interrupted> {
        let (block, gradients) = (self.settings.block, self.gradients);
        let new = |i: usize| {
            let count = self.weights[i].len();
            match self.device {
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

    /// The saliencies of the parameters from `first` on, and for each the blocks that had to be recomputed:
    /// those of all parameters in one more pass over the gradients.
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
        for (i, estimate) in (first..).zip(estimates.iter_mut()) {
            let mut found = score(i, estimate)?;
            ill_conditioned.push(std::mem::take(&mut found.ill_conditioned));
            scored.push(found);
            report(source.progress(Phase::Scoring, i + 1, self.weights.len()))?;
        }
        self.recompute(first, estimates, &ill_conditioned, source)?;
        let parameters = (first..).zip(estimates.iter_mut()).zip(scored.iter_mut().zip(&ill_conditioned));
        for ((i, estimate), (scored, ill_conditioned)) in parameters {
            if !ill_conditioned.is_empty() {
                *scored = score(i, estimate)?;
            }
            scored.scores = self.groupings[i].of_runs(std::mem::take(&mut scored.scores));
        }
        Ok(scored.into_iter().zip(ill_conditioned).collect())
    }

    /// Factors ill-conditioned blocks in float64 from the same gradients once more: `blocks` lists them for each
    /// of the parameters from `first` on. As many at a time as the allowed memory holds.
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
            for (k, some) in &round {
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

    /// Which groups of a parameter are pruned that is ranked by itself.
    fn select_in(&self, i: usize, scores: Vec<f32>) -> Vec<bool> {
        let goal = self.goals.iter().find(|goal| goal.members.contains(&i));
        let selection = self.ranking.to(goal.map_or(0.0, |goal| goal.sparsity));
        select(&[scores], selection).pop().unwrap_or_default()
    }

    /// For each parameter which of its groups are pruned.
    fn select(&self, scores: Vec<Vec<f32>>) -> Vec<Vec<bool>> {
        let sizes: Vec<usize> =
            self.groupings.iter().zip(self.weights).map(|(g, w)| g.size(w.len())).collect();
        select_for_goals(scores, &sizes, self.goals, self.ranking)
    }

    fn update(
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
