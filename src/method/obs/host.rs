//! The OBS pruner for one parameter on the CPU: saliencies, and the pruning update.

use rayon::prelude::*;

use crate::method::mask::Mask;
use crate::method::mask::select::Selection;

use super::correlated::NOfM;
use super::host_estimate::{HostEstimate, Kind};
use super::lanes::LANES;
use super::score::{self, Out, Scored};
use super::settings::{ObsError, PruningUpdate, Settings, not_factored};
use super::update::{self, Change};

/// Computes the saliencies of a parameter from the gradients so far; the estimate can take further ones. Blocks that
/// [`Scored::ill_conditioned`] lists need [`HostEstimate::set_factors`] and another call.
///
/// # Errors
/// Gradients that are not finite or all zero; a block that cannot be factored in float64 either.
pub fn score(
    estimate: &HostEstimate,
    weights: &[f32],
    mask: &Mask,
    selection: Selection,
    settings: &Settings,
) -> Result<Scored, ObsError> {
    score_into(estimate, weights, mask, selection, settings, &mut [])
}

/// Computes the diagonal of F⁻¹.
///
/// # Errors
/// Those of [`score()`]; an ill-conditioned block without QR factors.
pub fn inverse_diagonal(
    estimate: &HostEstimate,
    mask: &Mask,
    settings: &Settings,
) -> Result<Vec<f32>, ObsError> {
    let weights = vec![0.0; mask.len()];
    let mut diagonal = vec![0.0; mask.len()];
    let scored = score_into(estimate, &weights, mask, Selection::Global(0.0), settings, &mut diagonal)?;
    match scored.ill_conditioned.first() {
        Some(block) => Err(not_factored(*block, settings.block, mask.len())),
        None => Ok(diagonal),
    }
}

fn score_into(
    estimate: &HostEstimate,
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
    let pattern = match selection {
        Selection::NofM { keep, of } => Some(NOfM { keep, of }),
        _ => None,
    };
    let blocks = count.div_ceil(block);
    let mut scores = vec![0.0; count.div_ceil(settings.group)];
    let mut multipliers = vec![0.0; if settings.exact { 0 } else { count }];
    let one = |out: &mut Out, b: usize| -> Result<(), ObsError> {
        let range = b * block..((b + 1) * block).min(count);
        let (weights, kept) = (&weights[range.clone()], &kept[range]);
        estimate
            .woodbury(b, kept, settings)
            .and_then(|woodbury| score::score_woodbury(&woodbury, weights, kept, settings, pattern, out))
            .ok_or(not_factored(b, block, count))
    };
    let mut ill_conditioned = Vec::new();
    match &estimate.kind {
        Kind::Gradients => {
            let outs = Out::split(&mut scores, &mut multipliers, diagonal, block, settings.group);
            outs.into_par_iter().enumerate().try_for_each(|(b, mut out)| one(&mut out, b))?;
        }
        Kind::Fisher(fisher) => {
            let outs = Out::split(&mut scores, &mut multipliers, diagonal, LANES * block, settings.group);
            let found: Result<Vec<Vec<usize>>, ObsError> = outs
                .into_par_iter()
                .enumerate()
                .map_init(
                    || score::Workspace::new(block),
                    |workspace, (g, mut out)| {
                        let first = g * LANES;
                        let lost = workspace.score(fisher, first, weights, kept, settings, pattern, &mut out);
                        let mut ill_conditioned = Vec::new();
                        for b in (first..blocks.min(first + LANES)).filter(|b| lost[b - first]) {
                            if estimate.is_ill_conditioned(b) {
                                one(&mut out.part(b - first, block, settings.group), b)?;
                            } else {
                                ill_conditioned.push(b);
                            }
                        }
                        Ok(ill_conditioned)
                    },
                )
                .collect();
            ill_conditioned = found?.concat();
        }
    }
    Ok(Scored { scores, multipliers, ill_conditioned })
}

/// Computes the update of the remaining weights when the weights marked in `pruned` are set to zero, from the same
/// gradients as the saliencies. `multipliers` are those of [`Scored`].
///
/// # Errors
/// A block that cannot be factored.
pub fn update(
    estimate: &HostEstimate,
    weights: &[f32],
    mask: &Mask,
    multipliers: &[f32],
    pruned: Vec<bool>,
    settings: &Settings,
) -> Result<PruningUpdate, ObsError> {
    let estimate = &*estimate.so_far();
    let (count, kept, block) = (weights.len(), mask.kept(), estimate.block);
    let newly: Vec<bool> = kept.iter().zip(&pruned).map(|(k, p)| *k && *p).collect();
    let change = Change { weights, kept, newly: &newly, multipliers };
    let mut delta = vec![0.0f32; count];
    let one = |delta: &mut [f32], b: usize| -> Result<(), ObsError> {
        let range = b * block..b * block + delta.len();
        let change = change.of(range.clone());
        if change.newly.contains(&true) {
            let woodbury = |kept: &[bool]| estimate.woodbury(b, kept, settings);
            let result = update::woodbury_delta(woodbury, &change, settings);
            let result = result.ok_or(not_factored(b, block, count))?;
            for (d, r) in delta.iter_mut().zip(result) {
                *d = r as f32;
            }
        }
        Ok(())
    };
    match &estimate.kind {
        Kind::Gradients => {
            delta.par_chunks_mut(block).enumerate().try_for_each(|(b, delta)| one(delta, b))?;
        }
        Kind::Fisher(fisher) => delta.par_chunks_mut(LANES * block).enumerate().try_for_each_init(
            || update::Workspace::new(block),
            |workspace, (g, delta)| {
                let first = g * LANES;
                if !newly[first * block..first * block + delta.len()].contains(&true) {
                    return Ok(());
                }
                let sound = workspace.delta(fisher, first, &change, settings, delta);
                for (lane, delta) in delta.chunks_mut(block).enumerate() {
                    if estimate.is_ill_conditioned(first + lane) {
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
    Ok(PruningUpdate { pruned, delta })
}
