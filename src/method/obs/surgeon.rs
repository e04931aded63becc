//! One pruning event: gradients in, masks and updated weights out.

use rayon::prelude::*;

use crate::method::mask::Mask;
use crate::method::mask::select::{Selection, select, spread};

use super::dual::DualBlock;
use super::fisher::Fisher;
use super::lanes::{Group, LANES, Lane};
use super::score::{self, BlockScores};
use super::update;

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
}

/// What stands in the way of a pruning event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ObsError {
    /// A gradient is not finite.
    #[error("a gradient is not finite")]
    GradientNotFinite,
    /// A block has a pivot that is not positive.
    #[error("Fisher block {block} (weights {first}..{last}) cannot be factored in single precision")]
    NotFactored {
        /// The block.
        block: usize,
        /// Its first weight.
        first: usize,
        /// One past its last weight.
        last: usize,
    },
}

/// The estimate of one parameter's Fisher matrix, fed gradient by gradient.
#[derive(Clone, Debug)]
pub struct Estimate {
    count: usize,
    rows: Vec<f32>,
    capacity: usize,
    kind: Kind,
    finite: bool,
}

#[derive(Clone, Debug)]
enum Kind {
    /// Sums of outer products.
    Primal(Fisher),
    /// All gradients, fewer than a block has weights.
    Dual { block: usize },
}

impl Estimate {
    /// An estimate from `gradients` gradients of a parameter of `count` weights, summed `chunk` at a
    /// time.
    pub fn new(count: usize, block: usize, gradients: usize, chunk: usize) -> Self {
        if gradients < block {
            return Estimate {
                count,
                rows: Vec::new(),
                capacity: gradients,
                kind: Kind::Dual { block },
                finite: true,
            };
        }
        let capacity = chunk.min(gradients).max(1);
        let kind = Kind::Primal(Fisher::new(count, block));
        Estimate { count, rows: Vec::with_capacity(capacity * count), capacity, kind, finite: true }
    }

    /// Takes in one gradient in the Hugging Face layout.
    ///
    /// # Panics
    /// If it has another number of elements than the parameter.
    pub fn add(&mut self, gradient: &[f32]) {
        assert_eq!(gradient.len(), self.count, "elements of a gradient");
        self.finite &= gradient.iter().all(|g| g.is_finite());
        self.rows.extend_from_slice(gradient);
        if self.rows.len() >= self.capacity * self.count {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if let Kind::Primal(fisher) = &mut self.kind {
            fisher.add(&self.rows);
            self.rows.clear();
        }
    }
}

/// A parameter that takes part in a pruning event.
#[derive(Debug)]
pub struct Parameter<'a> {
    /// Its weights in the Hugging Face layout, `[out][in]`.
    pub weights: &'a mut [f32],
    /// Which of them stay.
    pub mask: &'a mut Mask,
    /// The estimate of its Fisher matrix from gradients at these weights.
    pub estimate: Estimate,
}

/// What came of an event, for reports and tests.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// For each parameter, the saliency of every group before pruning.
    pub scores: Vec<Vec<f32>>,
    /// For each parameter, the diagonal of F⁻¹.
    pub diagonals: Vec<Vec<f32>>,
}

/// Prunes the least important weights of several parameters and updates the others.
///
/// # Errors
/// The index of the parameter that cannot be pruned, and why. No weight has changed then.
pub fn prune(
    parameters: &mut [Parameter],
    selection: Selection,
    settings: &Settings,
) -> Result<Outcome, (usize, ObsError)> {
    let mut scored = Vec::with_capacity(parameters.len());
    for (i, parameter) in parameters.iter_mut().enumerate() {
        parameter.estimate.flush();
        scored.push(saliencies(parameter, settings).map_err(|e| (i, e))?);
    }
    let scores: Vec<Vec<f32>> = scored.iter_mut().map(|s| std::mem::take(&mut s.scores)).collect();
    let pruned: Vec<Vec<bool>> = select(&scores, selection)
        .into_iter()
        .zip(parameters.iter())
        .map(|(groups, p)| spread(&groups, settings.group, p.weights.len()))
        .collect();
    let mut deltas = Vec::with_capacity(parameters.len());
    for (i, ((parameter, scored), pruned)) in parameters.iter().zip(&scored).zip(&pruned).enumerate() {
        deltas.push(delta(parameter, scored, pruned, settings).map_err(|e| (i, e))?);
    }
    for ((parameter, delta), pruned) in parameters.iter_mut().zip(&deltas).zip(&pruned) {
        for (w, d) in parameter.weights.iter_mut().zip(delta) {
            *w -= d;
        }
        for (index, pruned) in pruned.iter().enumerate() {
            if *pruned {
                parameter.mask.prune(index);
            }
        }
        parameter.mask.apply(parameter.weights);
    }
    Ok(Outcome { scores, diagonals: scored.into_iter().map(|s| s.diagonal).collect() })
}

/// The saliencies of a parameter.
fn saliencies(parameter: &Parameter, settings: &Settings) -> Result<BlockScores, ObsError> {
    if !parameter.estimate.finite {
        return Err(ObsError::GradientNotFinite);
    }
    let count = parameter.weights.len();
    let kept = parameter.mask.kept();
    let parts: Result<Vec<Vec<BlockScores>>, ObsError> = match &parameter.estimate.kind {
        Kind::Dual { block } => {
            let blocks = count.div_ceil(*block);
            (0..blocks)
                .into_par_iter()
                .map(|b| {
                    let range = b * block..((b + 1) * block).min(count);
                    let dual = dual(parameter, settings, b, range.clone(), kept)?;
                    let (weights, kept) = (&parameter.weights[range.clone()], &kept[range]);
                    Ok(vec![score::of_dual(&dual, weights, kept, settings.group)])
                })
                .collect()
        }
        Kind::Primal(fisher) => {
            let block = fisher.block();
            let blocks = count.div_ceil(block);
            (0..blocks.div_ceil(LANES))
                .into_par_iter()
                .map(|g| {
                    let first = g * LANES;
                    let mut group = load(fisher, first, blocks, settings);
                    let weights = lanes(parameter.weights, first, block, |w| *w);
                    let alive = lanes(kept, first, block, |k| f32::from(u8::from(*k)));
                    group.restrict(&alive, settings.damp as f32);
                    if let Some(lane) = group.factor().unfactored {
                        return Err(not_factored(first + lane, block, count));
                    }
                    let mut scores = score::of_group(&group, &weights, &alive, settings.group);
                    scores.truncate(blocks - first);
                    Ok(scores)
                })
                .collect()
        }
    };
    let mut all = BlockScores::default();
    for part in parts?.into_iter().flatten() {
        all.scores.extend(part.scores);
        all.pull.extend(part.pull);
        all.diagonal.extend(part.diagonal);
    }
    // The tail of the last block was filled up with zeros.
    all.pull.truncate(count);
    all.diagonal.truncate(count);
    all.scores.truncate(count.div_ceil(settings.group));
    Ok(all)
}

/// What is to be subtracted from the weights of a parameter.
fn delta(
    parameter: &Parameter,
    scored: &BlockScores,
    pruned: &[bool],
    settings: &Settings,
) -> Result<Vec<f32>, ObsError> {
    let count = parameter.weights.len();
    let kept = parameter.mask.kept();
    let newly: Vec<bool> = kept.iter().zip(pruned).map(|(k, p)| *k && *p).collect();
    let stays: Vec<bool> = kept.iter().zip(pruned).map(|(k, p)| *k && !*p).collect();
    let chosen = |values: &[f32]| -> Vec<f32> {
        values.iter().zip(&newly).map(|(v, n)| if *n { *v } else { 0.0 }).collect()
    };
    let removed = chosen(parameter.weights);
    let pull = chosen(&scored.pull);
    let mut delta = vec![0.0f32; count];
    match &parameter.estimate.kind {
        Kind::Dual { block } => {
            delta.par_chunks_mut(*block).enumerate().try_for_each(|(b, delta)| {
                let range = b * block..b * block + delta.len();
                if !newly[range.clone()].contains(&true) {
                    return Ok(());
                }
                let double = |values: &[f32]| -> Vec<f64> { values.iter().map(|v| f64::from(*v)).collect() };
                let whole = dual(parameter, settings, b, range.clone(), kept)?;
                let result = if settings.exact {
                    let rest = dual(parameter, settings, b, range.clone(), &stays)?;
                    let removed = double(&removed[range.clone()]);
                    update::exact_dual(&whole, &rest, &stays[range], &removed, settings.divisor as f64)
                } else {
                    update::independent_dual(&whole, &double(&pull[range]))
                };
                for (d, r) in delta.iter_mut().zip(result) {
                    *d = r as f32;
                }
                Ok(())
            })?;
        }
        Kind::Primal(fisher) => {
            let block = fisher.block();
            let blocks = count.div_ceil(block);
            delta.par_chunks_mut(LANES * block).enumerate().try_for_each(|(g, delta)| {
                let first = g * LANES;
                let range = first * block..first * block + delta.len();
                if !newly[range].contains(&true) {
                    return Ok(());
                }
                let mut group = load(fisher, first, blocks, settings);
                let result = if settings.exact {
                    let stays = lanes(&stays, first, block, |s| f32::from(u8::from(*s)));
                    let removed = lanes(&removed, first, block, |w| *w);
                    update::exact(group, &stays, &removed)
                        .map_err(|l| not_factored(first + l, block, count))?
                } else {
                    let alive = lanes(kept, first, block, |k| f32::from(u8::from(*k)));
                    group.restrict(&alive, settings.damp as f32);
                    if let Some(lane) = group.factor().unfactored {
                        return Err(not_factored(first + lane, block, count));
                    }
                    update::independent(&group, &lanes(&pull, first, block, |v| *v))
                };
                for (i, d) in delta.iter_mut().enumerate() {
                    *d = result[i % block][i / block];
                }
                Ok(())
            })?;
        }
    }
    Ok(delta)
}

fn load(fisher: &Fisher, first: usize, blocks: usize, settings: &Settings) -> Group {
    Group::load(fisher, first, blocks, 1.0 / settings.divisor as f32, settings.damp as f32)
}

/// The dual of a block's gradients, restricted to the weights where `kept` holds.
fn dual(
    parameter: &Parameter,
    settings: &Settings,
    block: usize,
    range: std::ops::Range<usize>,
    kept: &[bool],
) -> Result<DualBlock, ObsError> {
    let estimate = &parameter.estimate;
    let rows = estimate
        .rows
        .chunks_exact(estimate.count)
        .map(|row| {
            let pairs = row[range.clone()].iter().zip(&kept[range.clone()]);
            pairs.map(|(g, k)| if *k { f64::from(*g) } else { 0.0 }).collect()
        })
        .collect();
    DualBlock::new(rows, settings.divisor as f64, settings.damp, range.len()).ok_or(ObsError::NotFactored {
        block,
        first: range.start,
        last: range.end,
    })
}

/// The values of sixteen blocks from block `first` on, `[block][lane]`; zero beyond the end.
fn lanes<T>(values: &[T], first: usize, block: usize, read: impl Fn(&T) -> f32) -> Vec<Lane> {
    let mut out = vec![[0.0; LANES]; block];
    let start = (first * block).min(values.len());
    let end = ((first + LANES) * block).min(values.len());
    for (i, value) in values[start..end].iter().enumerate() {
        out[i % block][i / block] = read(value);
    }
    out
}

fn not_factored(block: usize, size: usize, count: usize) -> ObsError {
    ObsError::NotFactored { block, first: block * size, last: ((block + 1) * size).min(count) }
}
