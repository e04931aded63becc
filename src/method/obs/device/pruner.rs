//! Saliencies and the pruning update of one parameter on a device.

use burn::tensor::{Device, Tensor, TensorData};

use crate::method::mask::Mask;
use crate::method::obs::score::{self, EPSILON, LARGEST_ERROR, Out, Scored, single};
use crate::method::obs::settings::{ObsError, PruningUpdate, Settings, not_factored};
use crate::method::obs::update::{Change, woodbury_delta};

use super::estimate::{DeviceEstimate, Slice, to_host};
use super::factor::{self, Factored, inverse_factor, principal_blocks, restrict};

/// Computes the saliencies of a parameter; the counterpart of [`crate::method::obs::host::score`]. Blocks that
/// [`Scored::ill_conditioned`] lists need [`DeviceEstimate::set_factors`] and another call.
///
/// # Errors
/// Gradients that are not finite or all zero; a block that cannot be factored in float64 either.
///
/// # Panics
/// With [`Settings::correlated`], which only the CPU kernels compute.
pub fn score(
    estimate: &mut DeviceEstimate,
    weights: &[f32],
    mask: &Mask,
    settings: &Settings,
) -> Result<Scored, ObsError> {
    Ok(score_with_diagonal(estimate, weights, mask, settings)?.0)
}

/// Computes the diagonal of F⁻¹.
///
/// # Errors
/// Those of [`score()`]; an ill-conditioned block without QR factors.
pub fn inverse_diagonal(
    estimate: &mut DeviceEstimate,
    mask: &Mask,
    settings: &Settings,
) -> Result<Vec<f32>, ObsError> {
    let weights = vec![0.0; mask.len()];
    let (scored, diagonal) = score_with_diagonal(estimate, &weights, mask, settings)?;
    match scored.ill_conditioned.first() {
        Some(block) => Err(not_factored(*block, settings.block, mask.len())),
        None => Ok(diagonal),
    }
}

fn score_with_diagonal(
    estimate: &mut DeviceEstimate,
    weights: &[f32],
    mask: &Mask,
    settings: &Settings,
) -> Result<(Scored, Vec<f32>), ObsError> {
    assert!(!settings.correlated, "refreshed saliencies are computed on the host");
    estimate.finish();
    if !estimate.ill_conditioned().is_finite() {
        return Err(ObsError::GradientNotFinite);
    }
    let (count, block, group) = (weights.len(), settings.block, settings.group);
    let mut scores = vec![0.0; count.div_ceil(group)];
    let mut diagonal = vec![0.0; count];
    let mut multipliers = vec![0.0; if settings.exact { 0 } else { count }];
    let mut out = Out { scores: &mut scores, multipliers: &mut multipliers, diagonal: &mut diagonal };
    let mut lost = Vec::new();
    let mut any_gradient = false;
    for slice in estimate.slices() {
        let squares = estimate.squares(slice);
        any_gradient |= squares.iter().any(|s| *s != 0.0);
        lost.extend(score_slice(estimate, slice, &squares, weights, mask.kept(), settings, &mut out));
    }
    if !any_gradient {
        return Err(ObsError::NoGradient);
    }
    let mut ill_conditioned = Vec::new();
    for b in lost {
        if !estimate.ill_conditioned().contains(b) {
            ill_conditioned.push(b);
            continue;
        }
        let range = b * block..((b + 1) * block).min(count);
        let (weights, kept) = (&weights[range.clone()], &mask.kept()[range]);
        let woodbury = estimate.ill_conditioned().woodbury(b, kept, settings);
        let mut out = out.part(b, block, group);
        woodbury
            .and_then(|woodbury| score::score_woodbury(&woodbury, weights, kept, settings, None, &mut out))
            .ok_or(not_factored(b, block, count))?;
    }
    Ok((Scored { scores, multipliers, ill_conditioned }, diagonal))
}

/// Computes the saliencies of a slice's weights. Returns the indices of its ill-conditioned blocks, with meaningless
/// outputs, and of the blocks that have QR factors.
fn score_slice(
    estimate: &DeviceEstimate,
    slice: &Slice,
    squares: &[f32],
    weights: &[f32],
    kept: &[bool],
    settings: &Settings,
    out: &mut Out,
) -> Vec<usize> {
    let scale = 1.0 / settings.divisor as f32;
    let Some(matrix) = estimate.load(slice, scale) else { return Vec::new() };
    let device = matrix.device();
    let range = slice.weights(estimate.block(), estimate.count());
    let (weights, kept) = (&weights[range.clone()], &kept[range.clone()]);
    let matrix =
        restrict(matrix, kept_lanes(slice, kept, settings.block, &device), settings.damp, settings.damp);
    let Factored { inverse, least_pivot } = inverse_factor(matrix);
    let diagonal = from_lanes(factor::inverse_diagonal(inverse.clone()));
    let pivots = to_host(least_pivot);
    let group = settings.group;
    if group == 1 {
        for (i, (w, kept)) in weights.iter().zip(kept).enumerate() {
            out.scores[range.start + i] = single(*w, diagonal[i], *kept);
            if let Some(multipliers) = out.multipliers.get_mut(range.start + i) {
                *multipliers = w / (diagonal[i] + EPSILON);
            }
        }
    } else {
        let weights_lanes = to_lanes(slice, weights.iter().copied(), settings.block, 0.0, &device);
        let groups = Groups::new(inverse, weights_lanes, group);
        for (i, saliency) in groups.saliencies.iter().enumerate() {
            let own = (i * group).min(kept.len())..((i + 1) * group).min(kept.len());
            if let Some(score) = out.scores.get_mut(range.start / group + i)
                && !own.is_empty()
            {
                // Padding at the end of a block counts as kept.
                let whole = kept[own].iter().all(|k| *k);
                *score = if whole { *saliency } else { f32::NEG_INFINITY };
            }
        }
        if !out.multipliers.is_empty() {
            out.multipliers[range.clone()].copy_from_slice(&groups.multipliers[..range.len()]);
        }
    }
    out.diagonal[range].copy_from_slice(&diagonal[..weights.len()]);
    slice
        .blocks()
        .enumerate()
        .filter(|(lane, block)| {
            let part = lane * settings.block..(lane + 1) * settings.block;
            let fisher = part.clone().map(|i| match kept.get(i) {
                Some(false) => settings.damp as f32,
                _ => squares[i] * scale + settings.damp as f32,
            });
            let worst = worst(fisher.zip(&diagonal[part]));
            let error = f64::from(f32::EPSILON) * f64::from(worst);
            let sound = pivots[*lane] > 0.0 && error <= LARGEST_ERROR;
            estimate.ill_conditioned().contains(*block) || !sound
        })
        .map(|(_, block)| block)
        .collect()
}

/// `max_i F_ii [F⁻¹]_ii`; infinite if any of them is NaN.
fn worst<'a>(pairs: impl Iterator<Item = (f32, &'a f32)>) -> f32 {
    pairs.map(|(f, d)| f * d).fold(0.0, |worst, v| if v.is_nan() { f32::INFINITY } else { worst.max(v) })
}

/// The saliencies of groups of consecutive weights.
struct Groups {
    /// `ρ_Q = ½ w_Qᵀz` with `[F⁻¹]_QQ z = w_Q`, for each group.
    saliencies: Vec<f32>,
    /// The multipliers z, for each weight.
    multipliers: Vec<f32>,
}

impl Groups {
    fn new(inverse: Tensor<3>, weights: Tensor<2>, size: usize) -> Self {
        let [block, lanes] = weights.dims();
        let groups = block / size;
        let inverse = inverse_factor(principal_blocks(inverse, size)).inverse;
        let weights = weights.reshape([groups, size, lanes]).permute([1, 0, 2]);
        let half = factor::times(inverse.clone(), weights.reshape([size, groups * lanes]));
        let saliencies = half.clone().square().sum_dim(0) * 0.5;
        let multipliers = (inverse * half.unsqueeze_dim::<3>(1)).sum_dim(0);
        Groups {
            saliencies: from_lanes(saliencies.reshape([groups, lanes])),
            multipliers: to_host(multipliers.reshape([size, groups, lanes]).permute([2, 1, 0])),
        }
    }
}

/// Computes the update of the remaining weights when the weights marked in `pruned` are set to zero; the counterpart of
/// [`crate::method::obs::host::update`].
///
/// # Errors
/// A block that cannot be factored.
pub fn update(
    estimate: &DeviceEstimate,
    weights: &[f32],
    mask: &Mask,
    multipliers: &[f32],
    pruned: Vec<bool>,
    settings: &Settings,
) -> Result<PruningUpdate, ObsError> {
    let (count, kept, block) = (weights.len(), mask.kept(), settings.block);
    let newly: Vec<bool> = kept.iter().zip(&pruned).map(|(k, p)| *k && *p).collect();
    let whole = Change { weights, kept, newly: &newly, multipliers };
    let mut delta = vec![0.0f32; count];
    for slice in estimate.slices() {
        let range = slice.weights(block, count);
        let change = whole.of(range.clone());
        if !change.newly.contains(&true) {
            continue;
        }
        let Some(matrix) = estimate.load(slice, 1.0 / settings.divisor as f32) else { continue };
        let (found, pivots) = slice_delta(slice, matrix, &change, settings);
        for (lane, delta) in delta[range.clone()].chunks_mut(block).enumerate() {
            let (b, place) = (slice.first() + lane, lane * block..lane * block + delta.len());
            let change = change.of(place.clone());
            if !change.newly.contains(&true) {
                continue;
            }
            if estimate.ill_conditioned().contains(b) {
                let woodbury = |kept: &[bool]| estimate.ill_conditioned().woodbury(b, kept, settings);
                let result =
                    woodbury_delta(woodbury, &change, settings).ok_or(not_factored(b, block, count))?;
                delta.iter_mut().zip(result).for_each(|(d, r)| *d = r as f32);
                continue;
            }
            delta.copy_from_slice(&found[place]);
            let sound = pivots[lane] > 0.0 && delta.iter().all(|d| d.is_finite());
            if !sound {
                return Err(not_factored(b, block, count));
            }
        }
    }
    Ok(PruningUpdate { pruned, delta })
}

/// δ of a slice's weights, and the least pivot of each block.
fn slice_delta(
    slice: &Slice,
    matrix: Tensor<3>,
    change: &Change,
    settings: &Settings,
) -> (Vec<f32>, Vec<f32>) {
    let (block, damp, device) = (settings.block, settings.damp, matrix.device());
    let chosen = |values: &[f32]| {
        let chosen = values.iter().zip(change.newly).map(|(v, n)| if *n { *v } else { 0.0 });
        to_lanes(slice, chosen, block, 0.0, &device)
    };
    let (matrix, right) = if settings.exact {
        // δ_K = −F_KK⁻¹ F_KQ w_Q; F_KQ contains no dampening: K and Q are disjoint.
        let stays: Vec<bool> = change.kept.iter().zip(change.newly).map(|(k, n)| *k && !*n).collect();
        let stays = kept_lanes(slice, &stays, block, &device);
        let right = -factor::times(matrix.clone(), chosen(change.weights)) * stays.clone();
        (restrict(matrix, stays, damp, 1.0), right)
    } else {
        let kept = kept_lanes(slice, change.kept, block, &device);
        (restrict(matrix, kept, damp, damp), chosen(change.multipliers))
    };
    let Factored { inverse, least_pivot } = inverse_factor(matrix);
    (from_lanes(factor::solve(inverse, right)), to_host(least_pivot))
}

/// The mask of a slice's weights as 0 and 1, `[B][lanes]`; 1 for padding.
fn kept_lanes(slice: &Slice, kept: &[bool], block: usize, device: &Device) -> Tensor<2> {
    to_lanes(slice, kept.iter().map(|k| f32::from(u8::from(*k))), block, 1.0, device)
}

/// The values of a slice's weights as a tensor `[B][lanes]`, padded with `fill`.
fn to_lanes(
    slice: &Slice,
    values: impl Iterator<Item = f32>,
    block: usize,
    fill: f32,
    device: &Device,
) -> Tensor<2> {
    let lanes = slice.lanes();
    let mut values: Vec<f32> = values.collect();
    values.resize(lanes * block, fill);
    Tensor::<2>::from_data(TensorData::new(values, [lanes, block]), device).transpose()
}

/// The inverse of [`to_lanes`]: copies `[B][lanes]` to the host, block after block.
fn from_lanes(values: Tensor<2>) -> Vec<f32> {
    to_host(values.transpose())
}
