//! Saliencies and updates on a device.

use burn::tensor::{Device, Tensor, TensorData};

use crate::method::mask::Mask;
use crate::method::obs::score::{self, EPSILON, LARGEST_ERROR, Out, Scored, single};
use crate::method::obs::settings::{ObsError, PruningUpdate, Settings, not_factored};
use crate::method::obs::update::{Change, woodbury_delta};

use super::estimate::{DeviceEstimate, Slice, to_host};
use super::factor::{self, Factored, inverse_factor, principal_blocks, restrict};

/// The saliencies of a parameter, as [`crate::method::obs::host::score`] gives them. Blocks that
/// lost too many digits are listed in the result and ask for [`DeviceEstimate::set_factors`].
///
/// # Errors
/// Gradients that are not finite or all zero; a block that even double precision cannot factor.
///
/// # Panics
/// If saliencies are to be refreshed after every removal, which is the host's.
pub fn score(
    estimate: &mut DeviceEstimate,
    weights: &[f32],
    mask: &Mask,
    settings: &Settings,
) -> Result<Scored, ObsError> {
    Ok(score_with_diagonal(estimate, weights, mask, settings)?.0)
}

/// The diagonal of F⁻¹.
///
/// # Errors
/// As [`score()`]; a block that lost too many digits.
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
    assert!(!settings.correlated, "refreshed saliencies are found on the host");
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

/// Scores of a slice's weights. Returns its blocks that lost too many digits, whose numbers mean
/// nothing, and those that are known by their roots.
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
                // What fills up a block counts as kept.
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

/// The largest `F_ii [F⁻¹]_ii`; infinite if any of them is not a number.
fn worst<'a>(pairs: impl Iterator<Item = (f32, &'a f32)>) -> f32 {
    pairs.map(|(f, d)| f * d).fold(0.0, |worst, v| if v.is_nan() { f32::INFINITY } else { worst.max(v) })
}

/// The saliencies of groups of consecutive weights.
struct Groups {
    /// `½ w_Qᵀ z` with `[F⁻¹]_QQ z = w_Q`, for each group.
    saliencies: Vec<f32>,
    /// z, for each weight.
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

/// How a parameter's weights change when `pruned` are gone, as
/// [`crate::method::obs::host::update`] says.
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

/// δ of a slice's weights, and the least pivot of each of its blocks.
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
        // δ_K = -F_KK⁻¹ F_KQ w_Q; F_KQ has no damp, K and Q are disjoint.
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

/// What is kept of a slice, as 0 or 1; what fills it up is.
fn kept_lanes(slice: &Slice, kept: &[bool], block: usize, device: &Device) -> Tensor<2> {
    to_lanes(slice, kept.iter().map(|k| f32::from(u8::from(*k))), block, 1.0, device)
}

/// The numbers of a slice's weights, `[B][lanes]`.
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

/// From `[B][lanes]` to one block after the other.
fn from_lanes(values: Tensor<2>) -> Vec<f32> {
    to_host(values.transpose())
}
