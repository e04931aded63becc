//! Saliencies and updates of one parameter, on the host.

use rayon::prelude::*;

use crate::method::mask::Mask;
use crate::method::mask::select::Selection;

use super::correlated::Runs;
use super::estimate::{Estimate, Kind};
use super::lanes::LANES;
use super::score::{self, Out, Scored};
use super::update::{self, Change};

/// How the Fisher matrix is estimated and used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Weights of a block.
    pub block: usize,
    /// λ, added to the diagonal.
    pub damp: f64,
    /// m, by which sums of gradients are divided.
    pub divisor: usize,
    /// All weights removed from a block together (true), or each as if alone: the paper's (false).
    pub exact: bool,
    /// Consecutive weights that go together.
    pub group: usize,
    /// Whether saliencies are refreshed after every removal from a block.
    pub correlated: bool,
}

/// What stands in the way of a pruning event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ObsError {
    /// A gradient is not finite.
    #[error("a gradient is not finite")]
    GradientNotFinite,
    /// The loss does not depend on the parameter, as far as its gradients tell.
    #[error("its gradients are zero, or too small to be squared")]
    NoGradient,
    /// A block has a pivot that is not positive, or lost too many digits.
    #[error("Fisher block {block} (weights {first}..{last}) cannot be factored")]
    NotFactored {
        /// The block.
        block: usize,
        /// Its first weight.
        first: usize,
        /// One past its last weight.
        last: usize,
    },
}

/// What goes from a parameter, and how the others make up for it.
#[derive(Clone, Debug)]
pub struct Removal {
    /// Weight by weight whether it is pruned, before or now.
    pub pruned: Vec<bool>,
    /// What is to be subtracted from the weights.
    pub delta: Vec<f32>,
}

impl Removal {
    /// Carries it out; `step` is the length of the compensation, 1 for all of it.
    pub fn apply(&self, weights: &mut [f32], mask: &mut Mask, step: f32) {
        for (w, d) in weights.iter_mut().zip(&self.delta) {
            *w -= step * d;
        }
        for (index, _) in self.pruned.iter().enumerate().filter(|(_, pruned)| **pruned) {
            mask.prune(index);
        }
        mask.apply(weights);
    }
}

/// The saliencies of a parameter, from the gradients so far; the estimate can take in more. Blocks that
/// lost too many digits are listed in the result, with scores that mean nothing: they ask for
/// [`Estimate::cure`].
///
/// # Errors
/// Gradients that are not finite or all zero; a block that even double precision cannot factor.
pub fn score(
    estimate: &Estimate,
    weights: &[f32],
    mask: &Mask,
    selection: Selection,
    settings: &Settings,
) -> Result<Scored, ObsError> {
    score_into(estimate, weights, mask, selection, settings, &mut [])
}

/// The diagonal of F⁻¹.
///
/// # Errors
/// As [`score()`]; a block that lost too many digits.
pub fn inverse_diagonal(estimate: &Estimate, mask: &Mask, settings: &Settings) -> Result<Vec<f32>, ObsError> {
    let weights = vec![0.0; mask.len()];
    let mut diagonal = vec![0.0; mask.len()];
    let scored = score_into(estimate, &weights, mask, Selection::Global(0.0), settings, &mut diagonal)?;
    match scored.flagged.first() {
        Some(block) => Err(not_factored(*block, settings.block, mask.len())),
        None => Ok(diagonal),
    }
}

fn score_into(
    estimate: &Estimate,
    weights: &[f32],
    mask: &Mask,
    selection: Selection,
    settings: &Settings,
    diagonal: &mut [f32],
) -> Result<Scored, ObsError> {
    let estimate = &*estimate.so_far();
    if !estimate.is_finite() {
        return Err(ObsError::GradientNotFinite);
    }
    if estimate.is_zero() {
        return Err(ObsError::NoGradient);
    }
    let (count, kept, block) = (weights.len(), mask.kept(), estimate.block);
    let runs = match selection {
        Selection::NofM { keep, of } => Some(Runs { keep, of }),
        _ => None,
    };
    let blocks = count.div_ceil(block);
    let mut scores = vec![0.0; count.div_ceil(settings.group)];
    let mut pull = vec![0.0; if settings.exact { 0 } else { count }];
    let one = |out: &mut Out, b: usize| -> Result<(), ObsError> {
        let range = b * block..((b + 1) * block).min(count);
        let (weights, kept) = (&weights[range.clone()], &kept[range]);
        estimate
            .dual(b, kept, settings)
            .and_then(|dual| score::of_dual(&dual, weights, kept, settings, runs, out))
            .ok_or(not_factored(b, block, count))
    };
    let mut flagged = Vec::new();
    match &estimate.kind {
        Kind::Dual => {
            let outs = Out::split(&mut scores, &mut pull, diagonal, block, settings.group);
            outs.into_par_iter().enumerate().try_for_each(|(b, mut out)| one(&mut out, b))?;
        }
        Kind::Primal(fisher) => {
            let outs = Out::split(&mut scores, &mut pull, diagonal, LANES * block, settings.group);
            let found: Result<Vec<Vec<usize>>, ObsError> = outs
                .into_par_iter()
                .enumerate()
                .map_init(
                    || score::Workspace::new(block),
                    |workspace, (g, mut out)| {
                        let first = g * LANES;
                        let lost = workspace.score(fisher, first, weights, kept, settings, runs, &mut out);
                        let mut flagged = Vec::new();
                        for b in (first..blocks.min(first + LANES)).filter(|b| lost[b - first]) {
                            if estimate.is_cured(b) {
                                one(&mut out.part(b - first, block, settings.group), b)?;
                            } else {
                                flagged.push(b);
                            }
                        }
                        Ok(flagged)
                    },
                )
                .collect();
            flagged = found?.concat();
        }
    }
    Ok(Scored { scores, pull, flagged })
}

/// How a parameter's weights change when `pruned` are gone, by the gradients that the scores came from.
///
/// # Errors
/// A block that cannot be factored.
pub fn removal(
    estimate: &Estimate,
    weights: &[f32],
    mask: &Mask,
    pull: &[f32],
    pruned: Vec<bool>,
    settings: &Settings,
) -> Result<Removal, ObsError> {
    let estimate = &*estimate.so_far();
    let (count, kept, block) = (weights.len(), mask.kept(), estimate.block);
    let newly: Vec<bool> = kept.iter().zip(&pruned).map(|(k, p)| *k && *p).collect();
    let change = Change { weights, kept, newly: &newly, pull };
    let mut delta = vec![0.0f32; count];
    let one = |delta: &mut [f32], b: usize| -> Result<(), ObsError> {
        let range = b * block..b * block + delta.len();
        let change = change.of(range.clone());
        if change.newly.contains(&true) {
            let dual = |kept: &[bool]| estimate.dual(b, kept, settings);
            let result = update::of_dual(dual, &change, settings);
            let result = result.ok_or(not_factored(b, block, count))?;
            for (d, r) in delta.iter_mut().zip(result) {
                *d = r as f32;
            }
        }
        Ok(())
    };
    match &estimate.kind {
        Kind::Dual => {
            delta.par_chunks_mut(block).enumerate().try_for_each(|(b, delta)| one(delta, b))?;
        }
        Kind::Primal(fisher) => delta.par_chunks_mut(LANES * block).enumerate().try_for_each_init(
            || update::Workspace::new(block),
            |workspace, (g, delta)| {
                let first = g * LANES;
                if !newly[first * block..first * block + delta.len()].contains(&true) {
                    return Ok(());
                }
                let sound = workspace.delta(fisher, first, &change, settings, delta);
                for (lane, delta) in delta.chunks_mut(block).enumerate() {
                    if estimate.is_cured(first + lane) {
                        delta.fill(0.0);
                        one(delta, first + lane)?;
                    } else if !sound[lane] {
                        return Err(not_factored(first + lane, block, count));
                    }
                }
                Ok(())
            },
        )?,
    }
    Ok(Removal { pruned, delta })
}

/// The error of a block of `size` weights.
pub(super) fn not_factored(block: usize, size: usize, count: usize) -> ObsError {
    ObsError::NotFactored { block, first: block * size, last: ((block + 1) * size).min(count) }
}
