//! Measured allocation: the sparsity of each matrix, from what pruning it does to the outputs.
//!
//! A saliency is the second-order term of the loss around the current weights. It ranks the weights within a matrix
//! well, but is a poor estimate of the cost of pruning a matrix to a high sparsity. So pruned models are evaluated: the
//! Kullback-Leibler divergence of their outputs from those of the current model, on evaluation batches, from which no
//! gradient is computed.
//!
//! The search begins at the best of up to four allocations: one sparsity for all matrices; the sparsities of global
//! ranking; the mean of these two; and, after earlier events, the current sparsities scaled to the goal. From there the
//! matrices of each group (of a layer, then of a role such as all query projections) are made a little denser and a
//! little sparser, with their weight updates, while all other matrices stay as they are. A dynamic program finds the
//! step of least summed divergence that reaches the target ([`allocate`]); it is taken if the divergence of the whole
//! model falls. Groups are changed in a pruned model because the cost of pruning one depends on the errors of the
//! others.

use std::ops::ControlFlow;

use crate::method::mask::allocation::{Curve, allocate, scaled};
use crate::method::mask::select::{Selection, select, select_limited};

use super::gradient_source::{GradientSource, Measure};
use super::pruning_event::{Allocation, Estimated, PruningEvent};
use super::score::Scored;
use super::settings::Interrupted;

/// Steps of the search over each partition, as changes of the logarithm of a group's density.
const STEPS: [f64; 2] = [0.4, 0.2];

/// The maximum number of batches on which a model is evaluated.
const MOST_BATCHES: usize = 32;

/// The least density of a parameter, relative to that of its goal.
const LEAST_DENSITY: f64 = 0.05;

impl Allocation<'_> {
    /// The number of models that the search evaluates.
    fn models(&self) -> usize {
        4 + STEPS.len() * self.partitions.iter().map(|groups| 2 * groups.len() + 2).sum::<usize>()
    }
}

/// An evaluated allocation: the sparsity and the pruned weights of each parameter.
struct Candidate {
    sparsities: Vec<f64>,
    weights: Vec<Vec<f32>>,
    divergence: f64,
}

impl PruningEvent<'_> {
    /// For each group of weights of each parameter whether it is pruned, by the best allocation found.
    pub(super) fn allocate(
        &self,
        allocation: &Allocation,
        of: Estimated,
        source: &mut dyn GradientSource,
    ) -> Result<Vec<Vec<bool>>, Interrupted> {
        let batches = (allocation.evaluations / allocation.models()).clamp(1, MOST_BATCHES);
        let left = allocation.evaluations;
        let best = Search { event: self, allocation, of, batches, left, source }.run()?;
        let mut pruned = vec![Vec::new(); self.weights.len()];
        for (goal, last) in self.goals.iter().zip(allocation.last) {
            let (from, to) = (goal.reached(self.masks), last.sparsity);
            let way = if to > from { ((goal.sparsity - from) / (to - from)).clamp(0.0, 1.0) } else { 1.0 };
            for i in &goal.members {
                let now = self.masks[*i].sparsity();
                pruned[*i] = self.groups(*i, now + way * (best[*i] - now), of.scored);
            }
        }
        Ok(pruned)
    }

    /// The groups of weights of lowest score in a parameter.
    fn groups(&self, i: usize, sparsity: f64, scored: &[Scored]) -> Vec<bool> {
        let scores = std::slice::from_ref(&scored[i].scores);
        select(scores, Selection::Layer(sparsity)).pop().unwrap_or_default()
    }
}

/// The search for the best allocation.
struct Search<'a> {
    event: &'a PruningEvent<'a>,
    allocation: &'a Allocation<'a>,
    of: Estimated<'a>,
    /// The number of batches on which each model is evaluated.
    batches: usize,
    /// Forward passes that are left.
    left: usize,
    source: &'a mut dyn GradientSource,
}

impl Search<'_> {
    /// The sparsity of each parameter.
    fn run(&mut self) -> Result<Vec<f64>, Interrupted> {
        let mut equal = vec![0.0; self.event.weights.len()];
        for goal in self.allocation.last {
            goal.members.iter().for_each(|i| equal[*i] = goal.sparsity);
        }
        let equal = self.reaching(&equal);
        let global = self.reaching(&self.global());
        let mean: Vec<f64> = equal.iter().zip(&global).map(|(a, b)| (a + b) / 2.0).collect();
        let mut best = self.candidate(mean)?;
        for sparsities in [Some(equal), Some(global), self.continued()].into_iter().flatten() {
            if self.may_evaluate(1) {
                best = self.better(best, sparsities)?;
            }
        }
        let allocation = self.allocation;
        for step in STEPS {
            for groups in allocation.partitions {
                // Two points of each group, the proposal, and half of the way to it.
                if !self.may_evaluate(2 * groups.len() + 2) {
                    continue;
                }
                let stepped = self.step(&best, groups, step)?;
                let half = best.sparsities.iter().zip(&stepped).map(|(a, b)| (a + b) / 2.0).collect();
                let before = best.divergence;
                best = self.better(best, stepped)?;
                if best.divergence == before {
                    best = self.better(best, half)?;
                }
            }
        }
        Ok(best.sparsities)
    }

    /// The allocation that the dynamic program proposes within one step of a candidate.
    fn step(&mut self, from: &Candidate, groups: &[Vec<usize>], step: f64) -> Result<Vec<f64>, Interrupted> {
        let mut curves = Vec::new();
        // The sparsities of a group's members at each point of its curve.
        let mut members: Vec<Vec<Vec<f64>>> = Vec::new();
        for group in groups {
            let (mut points, mut at): (Vec<(f64, f64)>, Vec<Vec<f64>>) = (Vec::new(), Vec::new());
            for way in [step, 0.0, -step] {
                let moved = |i: &usize| {
                    let sparsity = 1.0 - (1.0 - from.sparsities[*i]) * f64::exp(way);
                    sparsity.clamp(self.least(*i), self.most(*i))
                };
                let sparsities: Vec<f64> = group.iter().map(moved).collect();
                let weights = |i: &usize| self.event.weights[*i].len() as f64;
                let pruned: f64 = group.iter().zip(&sparsities).map(|(i, s)| weights(i) * s).sum();
                let sparsity = pruned / group.iter().map(weights).sum::<f64>();
                if points.last().is_some_and(|(last, _)| sparsity < last + 1e-4) {
                    continue;
                }
                let divergence = match way == 0.0 {
                    true => from.divergence,
                    false => {
                        let mut weights = from.weights.clone();
                        for (i, sparsity) in group.iter().zip(&sparsities) {
                            weights[*i] = self.pruned(*i, *sparsity)?;
                        }
                        self.divergence(weights)?
                    }
                };
                points.push((sparsity, divergence));
                at.push(sparsities);
            }
            let weights = group.iter().map(|i| self.event.weights[*i].len()).sum();
            curves.push(Curve { weights, points });
            members.push(at);
        }
        let mut all = from.sparsities.clone();
        for goal in self.allocation.last {
            let of: Vec<usize> =
                (0..groups.len()).filter(|g| goal.members.contains(&groups[*g][0])).collect();
            let own: Vec<Curve> = of.iter().map(|g| curves[*g].clone()).collect();
            for (g, sparsity) in of.iter().zip(allocate(&own, goal.sparsity)) {
                let at = between(&curves[*g].points, &members[*g], sparsity);
                groups[*g].iter().zip(at).for_each(|(i, s)| all[*i] = s);
            }
        }
        Ok(self.reaching(&all))
    }

    /// The least sparsity of a parameter: what is pruned stays pruned.
    fn least(&self, i: usize) -> f64 {
        self.event.masks[i].sparsity()
    }

    /// The largest sparsity of a parameter.
    fn most(&self, i: usize) -> f64 {
        let goal = self.allocation.last.iter().find(|goal| goal.members.contains(&i));
        let density = LEAST_DENSITY * (1.0 - goal.map_or(0.0, |goal| goal.sparsity));
        self.event.at_most.min(1.0 - density).max(self.least(i))
    }

    /// The allocation nearest to `wanted` that reaches the goals.
    fn reaching(&self, wanted: &[f64]) -> Vec<f64> {
        let range = |i: &usize| Curve {
            weights: self.event.weights[*i].len(),
            points: vec![(self.least(*i), 0.0), (self.most(*i), 0.0)],
        };
        let mut all = wanted.to_vec();
        for goal in self.allocation.last {
            let ranges: Vec<Curve> = goal.members.iter().map(range).collect();
            let own: Vec<f64> = goal.members.iter().map(|i| wanted[*i]).collect();
            let reached = scaled(&ranges, &own, goal.sparsity);
            goal.members.iter().zip(reached).for_each(|(i, s)| all[*i] = s);
        }
        all
    }

    /// The sparsities under global ranking.
    fn global(&self) -> Vec<f64> {
        let event = self.event;
        let mut share = vec![0.0; event.weights.len()];
        for goal in self.allocation.last {
            let scores: Vec<Vec<f32>> =
                goal.members.iter().map(|i| self.of.scored[*i].scores.clone()).collect();
            let size = |i: &usize| event.groupings[*i].size(event.weights[*i].len());
            let sizes: Vec<usize> = goal.members.iter().map(size).collect();
            let groups = select_limited(&scores, &sizes, Selection::Global(goal.sparsity), event.at_most);
            for (i, groups) in goal.members.iter().zip(groups) {
                share[*i] = groups.iter().filter(|p| **p).count() as f64 / groups.len().max(1) as f64;
            }
        }
        share
    }

    /// The current sparsities, scaled so that the goals are reached: with several events or re-estimates on the way to
    /// one final goal, each search starts from the allocation that the previous one found. `None` if nothing is pruned
    /// yet.
    fn continued(&self) -> Option<Vec<f64>> {
        let mut all = vec![0.0; self.event.weights.len()];
        for goal in self.allocation.last {
            let now = goal.reached(self.event.masks);
            if now < 0.01 {
                return None;
            }
            goal.members.iter().for_each(|i| all[*i] = self.least(*i) * goal.sparsity / now);
        }
        Some(self.reaching(&all))
    }

    /// Returns the better of a candidate and the allocation with these sparsities.
    fn better(&mut self, best: Candidate, sparsities: Vec<f64>) -> Result<Candidate, Interrupted> {
        if best.sparsities == sparsities {
            return Ok(best);
        }
        let other = self.candidate(sparsities)?;
        Ok(if other.divergence < best.divergence { other } else { best })
    }

    /// Prunes all parameters and evaluates the model.
    fn candidate(&mut self, sparsities: Vec<f64>) -> Result<Candidate, Interrupted> {
        let pruned = sparsities.iter().enumerate().map(|(i, sparsity)| self.pruned(i, *sparsity));
        let weights: Vec<Vec<f32>> = pruned.collect::<Result<_, _>>()?;
        let divergence = self.divergence(weights.clone())?;
        Ok(Candidate { sparsities, weights, divergence })
    }

    /// The weights of a parameter after pruning it to a sparsity, with the whole update.
    fn pruned(&self, i: usize, sparsity: f64) -> Result<Vec<f32>, Interrupted> {
        let (event, of) = (self.event, self.of);
        let groups = event.groups(i, sparsity, of.scored);
        let update = event.update(i, &of.estimates[i], &of.scored[i], &groups, of.settings)?;
        let (mut weights, mut mask) = (event.weights[i].clone(), event.masks[i].clone());
        update.apply(&mut weights, &mut mask, 1.0);
        Ok(weights)
    }

    /// Whether the remaining forward passes suffice to evaluate this number of models.
    fn may_evaluate(&self, models: usize) -> bool {
        self.left >= models * self.batches
    }

    fn divergence(&mut self, weights: Vec<Vec<f32>>) -> Result<f64, Interrupted> {
        self.left = self.left.saturating_sub(self.batches);
        let weights = weights.into_iter().enumerate().collect();
        match self.source.evaluate(Measure::Divergence, 0..self.batches, weights) {
            // A pruned model whose outputs are not finite is worse than any other.
            ControlFlow::Continue(value) => Ok(if value.is_finite() { value } else { f64::MAX }),
            ControlFlow::Break(()) => Err(Interrupted::Stopped),
        }
    }
}

/// The sparsities of a group's members where the group has this sparsity, between those at the points of its curve.
fn between(points: &[(f64, f64)], members: &[Vec<f64>], sparsity: f64) -> Vec<f64> {
    let next = points.iter().position(|(s, _)| *s >= sparsity).unwrap_or(points.len() - 1);
    let Some(before) = next.checked_sub(1) else { return members[next].clone() };
    let share = (sparsity - points[before].0) / (points[next].0 - points[before].0);
    members[before].iter().zip(&members[next]).map(|(a, b)| a + share * (b - a)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::fisher_estimate::{Gradient, Place};
    use super::super::{Pass, Precision, Settings, Sharding};
    use std::ops::Range;

    use super::*;
    use crate::method::mask::Mask;
    use crate::method::mask::grouping::Grouping;
    use crate::method::mask::select::{Goal, Ranking};
    use crate::ranks::Ranks;

    const COUNT: usize = 400;

    /// Parameters whose changes cost their square times a sensitivity that the gradients do not show.
    struct Quadratic {
        weights: Vec<Vec<f32>>,
        sensitivity: Vec<f64>,
        evaluations: usize,
    }

    impl GradientSource for Quadratic {
        fn gradients(
            &mut self,
            parameters: Range<usize>,
            numbers: Range<usize>,
            _: Place,
            take: &mut dyn FnMut(usize, Gradient),
        ) -> ControlFlow<()> {
            for number in numbers {
                for i in parameters.clone() {
                    let value = |k: usize| if k % 8 == number % 8 { 0.1 } else { 0.01 };
                    take(i, Gradient::Values((0..COUNT).map(value).collect()));
                }
            }
            ControlFlow::Continue(())
        }

        fn evaluate(
            &mut self,
            measure: Measure,
            batches: Range<usize>,
            weights: Vec<(usize, Vec<f32>)>,
        ) -> ControlFlow<(), f64> {
            assert_eq!(measure, Measure::Divergence);
            self.evaluations += batches.len();
            let of = |(i, changed): (usize, Vec<f32>)| {
                let pairs = self.weights[i].iter().zip(changed);
                self.sensitivity[i] * pairs.map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>()
            };
            ControlFlow::Continue(weights.into_iter().map(of).sum())
        }
    }

    const SENSITIVITY: [f64; 3] = [1.0, 30.0, 1.0];

    /// The sparsities of three parameters after an event to `now` on the way to 80%, and the forward passes that it
    /// took.
    fn sparsities(now: f64, at_most: f64, evaluations: usize) -> (Vec<f64>, usize) {
        let weight = |k: usize| ((k * 37 % 101) as f32 - 50.0) / 50.0 + 0.001;
        let weights: Vec<Vec<f32>> =
            (0..3).map(|i| (0..COUNT).map(|k| weight(k + 7 * i)).collect()).collect();
        let goal = |sparsity| [Goal { members: vec![0, 1, 2], sparsity }];
        let partitions = [vec![vec![0], vec![1], vec![2]]];
        let mut masks = vec![Mask::ones(COUNT); 3];
        let event = PruningEvent {
            weights: &weights,
            masks: &masks.clone(),
            groupings: &[Grouping::Runs(1); 3],
            goals: &goal(now),
            ranking: Ranking::Global,
            settings: Settings {
                block: 8,
                damp: 1e-3,
                divisor: 16,
                exact: true,
                group: 1,
                correlated: false,
            },
            gradients: 16,
            precision: Precision::F32,
            raises_damp: false,
            passes: &[Pass { parameters: 0..3, rows: 8 }],
            memory: None,
            device: None,
            at_most,
            allocation: Some(Allocation { last: &goal(0.8), partitions: &partitions, evaluations }),
            sharding: Sharding { ranks: &Ranks::alone(), owners: &[] },
        };
        let mut source =
            Quadratic { weights: weights.clone(), sensitivity: SENSITIVITY.to_vec(), evaluations: 0 };
        let (updates, _) = event.run(&mut source).unwrap();
        for (i, update) in updates.iter().enumerate() {
            update.apply(&mut weights[i].clone(), &mut masks[i], 1.0);
        }
        (masks.iter().map(Mask::sparsity).collect(), source.evaluations)
    }

    #[test]
    fn the_parameter_on_which_outputs_depend_most_is_pruned_least_and_the_target_is_reached() {
        let (found, evaluations) = sparsities(0.8, 1.0, 100);
        assert!(found[1] < found[0] - 0.1 && found[1] < found[2] - 0.1, "{found:?}");
        assert!((found.iter().sum::<f64>() - 2.4).abs() < 0.005, "{found:?}");
        assert!(evaluations <= 100, "{evaluations}");
    }

    #[test]
    fn an_event_before_the_end_goes_part_of_the_way_to_the_allocation_of_the_end() {
        let (last, _) = sparsities(0.8, 1.0, 100);
        let (half, _) = sparsities(0.4, 1.0, 100);
        for (half, last) in half.iter().zip(&last) {
            assert!((half - last / 2.0).abs() < 0.005, "{half} {last}");
        }
    }

    #[test]
    fn no_parameter_is_pruned_beyond_the_limit() {
        let (limited, _) = sparsities(0.8, 0.85, 100);
        assert!(limited.iter().all(|s| *s <= 0.85 + 0.003), "{limited:?}");
        assert!((limited.iter().sum::<f64>() - 2.4).abs() < 0.005, "{limited:?}");
    }

    #[test]
    fn no_more_forward_passes_are_made_than_allowed_and_the_target_is_reached_with_any_number() {
        for allowed in [3, 4, 10, 25, 70] {
            let (found, evaluations) = sparsities(0.8, 1.0, allowed);
            assert!(evaluations <= allowed, "{evaluations} of {allowed}");
            assert!((found.iter().sum::<f64>() - 2.4).abs() < 0.005, "{found:?}");
        }
    }
}
