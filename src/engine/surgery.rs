//! One round of the surgeon: gradients, saliencies, the choice, and what it does to the weights.
//!
//! Parameters are estimated in as many passes as the allowed memory asks for. Those that are ranked
//! together are all scored before the first of them is updated, so their gradients are computed
//! again for the update, all but the last pass's.

use std::ops::ControlFlow;

use burn::tensor::Device;

use crate::method::mask::Mask;
use crate::method::mask::grouping::Grouping;
use crate::method::mask::select::select_sized;
use crate::method::obs::{ObsError, Removal, Roots, Scored, Settings};
use crate::schedule::ir::{Obs, Prune, Update};
use crate::schedule::memory::Pass;
use crate::task::Task;
use crate::task::parameters::ModuleParameter;

use super::estimation::Estimated;
use super::gradients::{self, Draw, OnHost};
use super::pruner::{Goal, selection};

/// The largest damp that is tried before a block is given up.
const LARGEST_DAMP: f64 = 1.0;

/// What a round works on.
pub struct Surgery<'a, T: Task> {
    pub task: &'a T,
    pub model: &'a T::Model,
    pub statement: &'a Prune,
    pub obs: &'a Obs,
    pub targets: &'a [ModuleParameter],
    pub groupings: &'a [Grouping],
    pub passes: &'a [Pass],
    pub weights: &'a [Vec<f32>],
    pub masks: &'a [Mask],
    pub goals: &'a [Goal<'a>],
    pub draw: Draw<'a>,
    /// The device whose tensors estimates are; the host's own kernels make them otherwise.
    pub tensors_of: Option<&'a Device>,
}

/// Why a round does not come to its end.
pub enum Halt {
    /// Whoever watches wants no more.
    Stopped,
    /// The parameter of this index cannot be pruned.
    Trouble(usize, ObsError),
}

/// Hears of each gradient and says whether the next is wanted.
pub type Progress<'a> = dyn FnMut() -> ControlFlow<()> + 'a;

/// The saliencies of all targets, kept for whoever asks for them with the same settings.
pub struct Judged {
    settings: Settings,
    scored: Vec<Scored>,
}

impl<T: Task> Surgery<'_, T> {
    /// What goes from each target, and the damp that it took.
    pub fn round(&self, progress: &mut Progress) -> Result<(Vec<Removal>, f64), Halt> {
        self.raising(|settings| self.attempt(settings, progress))
    }

    /// The same from estimates of all targets, which live on: others may have been judged by them before,
    /// and more gradients may follow. `judged` is what was judged last by these gradients.
    pub fn round_from(
        &self,
        estimates: &mut [Estimated],
        judged: &mut Option<Judged>,
    ) -> Result<(Vec<Removal>, f64), Halt> {
        self.raising(|settings| {
            let known = match judged.take().filter(|known| known.settings == *settings) {
                Some(known) => known,
                None => self.judge_all(estimates, settings)?,
            };
            let known = judged.insert(known);
            let mut scores: Vec<Vec<f32>> = known.scored.iter().map(|s| s.scores.clone()).collect();
            let chosen = self.choose(&mut scores);
            let targets = estimates.iter().zip(&known.scored).zip(&chosen).enumerate();
            targets
                .map(|(i, ((estimate, scored), groups))| self.remove(i, estimate, scored, groups, settings))
                .collect()
        })
    }

    fn judge_all(&self, estimates: &mut [Estimated], settings: &Settings) -> Result<Judged, Halt> {
        let mut scored = Vec::with_capacity(estimates.len());
        for (i, estimate) in estimates.iter_mut().enumerate() {
            estimate.uncure();
            scored.push(self.judge(i, estimate, settings, &mut || ControlFlow::Continue(()))?.0);
        }
        Ok(Judged { settings: *settings, scored })
    }

    /// Attempts with the recipe's damp, and with tenfold ones if it allows them.
    fn raising<R>(&self, mut attempt: impl FnMut(&Settings) -> Result<R, Halt>) -> Result<(R, f64), Halt> {
        let mut settings = Settings {
            block: self.obs.block,
            damp: self.obs.damp,
            divisor: self.obs.gradients,
            exact: self.obs.update == Update::Exact,
            group: self.groupings.first().map_or(1, |g| g.run()),
            correlated: self.obs.correlated,
        };
        loop {
            match attempt(&settings) {
                Err(Halt::Trouble(_, ObsError::NotFactored { .. }))
                    if self.obs.raise_damp && settings.damp < LARGEST_DAMP =>
                {
                    settings.damp *= 10.0;
                }
                result => return Ok((result?, settings.damp)),
            }
        }
    }

    fn attempt(&self, settings: &Settings, progress: &mut Progress) -> Result<Vec<Removal>, Halt> {
        let together = self.statement.sweeps(2) > 2;
        let mut scores: Vec<Vec<f32>> = vec![Vec::new(); self.targets.len()];
        let mut known: Vec<Scored> = vec![Scored::default(); self.targets.len()];
        let mut cured: Vec<Vec<usize>> = vec![Vec::new(); self.targets.len()];
        let mut removals: Vec<Option<Removal>> = vec![None; self.targets.len()];
        let mut last = Vec::new();
        for pass in self.passes {
            // The pass before gives back its memory first.
            drop(std::mem::take(&mut last));
            let mut estimates = self.estimate(pass, progress)?;
            for (i, estimate) in pass.targets.clone().zip(&mut estimates) {
                (known[i], cured[i]) = self.judge(i, estimate, settings, progress)?;
                scores[i] = std::mem::take(&mut known[i].scores);
                if !together {
                    let goal = self.goals.iter().find(|g| g.members.contains(&i));
                    let selection = selection(self.statement, goal.map_or(0.0, |g| g.sparsity));
                    let pruned = select_sized(&scores[i..=i], &[1], selection);
                    removals[i] = Some(self.remove(i, estimate, &known[i], &pruned[0], settings)?);
                    (scores[i], known[i]) = (Vec::new(), Scored::default());
                }
            }
            last = estimates;
        }
        if together {
            let chosen = self.choose(&mut scores);
            for (p, pass) in self.passes.iter().enumerate().rev() {
                let estimates = match p + 1 == self.passes.len() {
                    true => std::mem::take(&mut last),
                    false => self.estimate(pass, progress)?,
                };
                for (i, mut estimate) in pass.targets.clone().zip(estimates) {
                    if p + 1 < self.passes.len() && !cured[i].is_empty() {
                        self.cure(i, &mut estimate, &cured[i], progress)?;
                    }
                    let scored = std::mem::take(&mut known[i]);
                    removals[i] = Some(self.remove(i, &estimate, &scored, &chosen[i], settings)?);
                }
            }
        }
        Ok(removals.into_iter().flatten().collect())
    }

    /// The estimates of a pass's targets.
    fn estimate(&self, pass: &Pass, progress: &mut Progress) -> Result<Vec<Estimated>, Halt> {
        let targets: Vec<&ModuleParameter> = self.targets[pass.targets.clone()].iter().collect();
        let mut estimates: Vec<Estimated> = targets
            .iter()
            .map(|t| Estimated::new(t.parameter.count(), self.obs, pass.rows, self.tensors_of))
            .collect();
        let numbers = 0..self.obs.gradients;
        wanted(gradients::each(
            self.task,
            self.model,
            &targets,
            &self.draw,
            numbers,
            &mut estimates,
            progress,
        ))?;
        estimates.iter_mut().for_each(Estimated::finish);
        Ok(estimates)
    }

    /// The saliencies of a target's groups, and the blocks that had to be cured for them.
    fn judge(
        &self,
        i: usize,
        estimate: &mut Estimated,
        settings: &Settings,
        progress: &mut Progress,
    ) -> Result<(Scored, Vec<usize>), Halt> {
        let selection = selection(self.statement, 0.0);
        let score = |estimate: &mut Estimated| {
            estimate
                .score(&self.weights[i], &self.masks[i], selection, settings)
                .map_err(|e| Halt::Trouble(i, e))
        };
        let mut scored = score(estimate)?;
        let cured = std::mem::take(&mut scored.flagged);
        if !cured.is_empty() {
            self.cure(i, estimate, &cured, progress)?;
            scored = score(estimate)?;
        }
        scored.scores = self.groupings[i].of_runs(scored.scores);
        Ok((scored, cured))
    }

    /// Finds the square roots of blocks that lost too many digits, from the same gradients once more:
    /// as many blocks at a time as the allowed memory holds.
    fn cure(
        &self,
        i: usize,
        estimate: &mut Estimated,
        blocks: &[usize],
        progress: &mut Progress,
    ) -> Result<(), Halt> {
        let most = self.obs.memory.unwrap_or(u64::MAX) / Roots::bytes_of_block(self.obs.block);
        let most = usize::try_from(most.max(1)).unwrap_or(usize::MAX);
        for some in blocks.chunks(most.min(blocks.len())) {
            let target = &self.targets[i];
            let mut roots = Roots::new(target.parameter.count(), self.obs.block, some);
            let mut sink = OnHost(|_: usize, gradient: &[f32]| roots.add(gradient));
            let numbers = 0..self.obs.gradients;
            let (task, model, draw) = (self.task, self.model, &self.draw);
            wanted(gradients::each(task, model, &[target], draw, numbers, &mut sink, &mut *progress))?;
            estimate.cure(roots);
        }
        Ok(())
    }

    /// For each target which of its groups go, ranked with the others of its goal.
    fn choose(&self, scores: &mut [Vec<f32>]) -> Vec<Vec<bool>> {
        let mut chosen = vec![Vec::new(); scores.len()];
        for goal in self.goals {
            let own: Vec<Vec<f32>> = goal.members.iter().map(|i| std::mem::take(&mut scores[*i])).collect();
            let sizes: Vec<usize> =
                goal.members.iter().map(|i| self.groupings[*i].size(self.weights[*i].len())).collect();
            let pruned = select_sized(&own, &sizes, selection(self.statement, goal.sparsity));
            for (i, pruned) in goal.members.iter().zip(pruned) {
                chosen[*i] = pruned;
            }
        }
        chosen
    }

    fn remove(
        &self,
        i: usize,
        estimate: &Estimated,
        scored: &Scored,
        groups: &[bool],
        settings: &Settings,
    ) -> Result<Removal, Halt> {
        let weights = &self.weights[i];
        let pruned = self.groupings[i].spread(groups, weights.len());
        estimate
            .removal(weights, &self.masks[i], &scored.pull, pruned, settings)
            .map_err(|e| Halt::Trouble(i, e))
    }
}

/// An end before all gradients were there.
fn wanted(end: ControlFlow<()>) -> Result<(), Halt> {
    if end.is_break() { Err(Halt::Stopped) } else { Ok(()) }
}
