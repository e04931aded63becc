//! AdamW with masks.
//!
//! Computes PyTorch's `AdamW`: decoupled weight decay (not of biases and layer normalization) and bias-corrected
//! moments. Pruned weights and their moments are exactly zero from the next step on. SparseML lets the moments decay,
//! without effect on the weights.

// `pulp::with_simd` needs explicit lifetimes.
#![allow(clippy::needless_lifetimes)]

use std::borrow::Cow;
use std::collections::HashMap;

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Bool, Device, Tensor, TensorData};
use pulp::{Arch, Simd};
use rayon::prelude::*;

use crate::schedule::ir::Train;
use crate::task::parameters::{parameters, transpose};

use super::EngineError;
use super::masks::Masks;
use super::snapshot::{CheckpointTensor, Restored};

/// The optimizer of a stage.
pub struct AdamW {
    settings: Train,
    step: i32,
    slots: HashMap<ParamId, Slot>,
}

/// The state of a parameter.
struct Slot {
    decays: bool,
    /// A factor by which the learning rate of this parameter is multiplied.
    factor: f64,
    moments: Option<Moments>,
    /// The remaining weights, in Burn's layout.
    mask: Option<LayoutMask>,
}

enum Moments {
    Cpu(Vec<f32>, Vec<f32>),
    Device(Box<[Tensor<1>; 2]>),
}

/// The prefixes of the moments' names in a checkpoint.
const MOMENTS: [&str; 2] = ["moment1", "moment2"];

enum LayoutMask {
    Cpu(Vec<bool>),
    Device(Box<Tensor<1, Bool>>),
}

/// The coefficients of a step t.
#[derive(Clone, Copy, Debug)]
struct Step {
    beta1: f32,
    beta2: f32,
    /// lr / (1 - β₁ᵗ).
    rate: f32,
    /// 1 / √(1 - β₂ᵗ).
    correction: f32,
    epsilon: f32,
    /// 1 - lr × weight decay.
    shrink: f32,
    /// The factor of all gradients, for clipping by their global norm.
    scale: f32,
}

impl AdamW {
    /// Creates an optimizer for the parameters of a module.
    pub fn new<M: Module>(settings: &Train, module: &M) -> Self {
        let slots = parameters(module)
            .into_iter()
            .map(|p| {
                let name = &p.parameter.name;
                let normal = name.contains("LayerNorm") || name.contains("layer_norm");
                let decays = !(name.ends_with(".bias") || normal);
                (p.id, Slot { decays, factor: 1.0, moments: None, mask: None })
            })
            .collect();
        AdamW { settings: settings.clone(), step: 0, slots }
    }

    /// Sets the factor by which the learning rate of a parameter is multiplied.
    pub fn set_factor(&mut self, parameter: ParamId, factor: f64) {
        if let Some(slot) = self.slots.get_mut(&parameter) {
            slot.factor = factor;
        }
    }

    /// Sets the masks; pruned weights and their moments are zero from the next step on.
    pub fn set_masks<M: Module>(&mut self, module: &M, masks: &Masks, device: &Device) {
        for p in parameters(module) {
            let Some(slot) = self.slots.get_mut(&p.id) else { continue };
            slot.mask = masks.get(&p.parameter.name).map(|mask| {
                let [rows, columns] = match p.parameter.shape[..] {
                    [rows, columns] => [rows, columns],
                    _ => [1, mask.len()],
                };
                let kept =
                    if p.transposed { transpose(mask.kept(), rows, columns) } else { mask.kept().to_vec() };
                if crate::task::model::kernels::is_on_cpu(&Tensor::<2>::zeros([1, 1], device)) {
                    LayoutMask::Cpu(kept)
                } else {
                    let count = kept.len();
                    LayoutMask::Device(Box::new(Tensor::from_data(TensorData::new(kept, [count]), device)))
                }
            });
        }
    }

    /// The number of steps so far.
    pub fn steps(&self) -> i32 {
        self.step
    }

    /// Both moments of every trained parameter for a checkpoint, in Burn's layout.
    pub fn held<'a, M: Module>(&'a self, module: &M) -> Vec<CheckpointTensor<'a>> {
        let mut list = Vec::new();
        for p in parameters(module) {
            let Some(moments) = self.slots.get(&p.id).and_then(|slot| slot.moments.as_ref()) else {
                continue;
            };
            let count = p.parameter.count();
            for (i, kind) in MOMENTS.into_iter().enumerate() {
                let read = move || match moments {
                    Moments::Cpu(m, v) => Cow::Borrowed(if i == 0 { m.as_slice() } else { v }),
                    // invariant: moments are floats and can be converted to f32.
                    Moments::Device(moments) => {
                        let data = moments[i].clone().into_data().convert::<f32>();
                        Cow::Owned(data.try_to_vec().expect("f32 values"))
                    }
                };
                list.push(CheckpointTensor::floats(format!("{kind}/{}", p.parameter.name), count, read));
            }
        }
        list
    }

    /// Restores steps and moments of a checkpoint.
    ///
    /// # Errors
    /// Moments that do not fit a parameter.
    pub fn restore<M: Module>(
        &mut self,
        restored: &mut Restored,
        module: &M,
        device: &Device,
    ) -> Result<(), EngineError> {
        self.step = restored.position.optimizer_steps;
        let [mut first, mut second] = MOMENTS.map(|kind| restored.take(kind));
        let on_cpu = crate::task::model::kernels::is_on_cpu(&Tensor::<2>::zeros([1, 1], device));
        for p in parameters(module) {
            let name = &p.parameter.name;
            let (Some(slot), Some(m), Some(v)) =
                (self.slots.get_mut(&p.id), first.remove(name), second.remove(name))
            else {
                continue;
            };
            if [m.len(), v.len()] != [p.parameter.count(); 2] {
                return Err(EngineError::Checkpoint(format!("its moments of `{name}` do not fit")));
            }
            slot.moments = Some(match on_cpu {
                true => Moments::Cpu(m, v),
                false => Moments::Device(Box::new([m, v].map(|values| {
                    let count = values.len();
                    Tensor::from_data(TensorData::new(values, [count]), device)
                }))),
            });
        }
        Ok(())
    }

    /// Does one step. Returns the module and the global norm of the gradients before clipping.
    pub fn step<M: Module>(&mut self, module: M, mut gradients: GradientsParams, lr: f64) -> (M, f64) {
        let mut visitor = SquaredNorm { gradients: &gradients, sum: 0.0 };
        module.visit(&mut visitor);
        let norm = visitor.sum.sqrt();
        self.step += 1;
        let s = &self.settings;
        let scale = if s.clip > 0.0 && norm > s.clip { s.clip / (norm + 1e-6) } else { 1.0 };
        let factors = Step {
            beta1: s.beta1 as f32,
            beta2: s.beta2 as f32,
            rate: 0.0,
            correction: (1.0 / (1.0 - s.beta2.powi(self.step)).sqrt()) as f32,
            epsilon: s.epsilon as f32,
            shrink: 1.0,
            scale: scale as f32,
        };
        let moment = 1.0 - s.beta1.powi(self.step);
        let factors_at = |decays: bool, factor: f64| Step {
            rate: (lr * factor / moment) as f32,
            shrink: if decays { (1.0 - lr * factor * s.weight_decay) as f32 } else { 1.0 },
            ..factors
        };
        let mut updater = Updater { slots: &mut self.slots, gradients: &mut gradients, factors_at };
        (module.map(&mut updater), norm)
    }
}

struct SquaredNorm<'a> {
    gradients: &'a GradientsParams,
    sum: f64,
}

impl ModuleVisitor for SquaredNorm<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(gradient) = self.gradients.get::<D>(param.id) else { return };
        self.sum += match gradient.clone().try_into_primitive::<Flex>() {
            Ok(flex) => {
                let flex = flex.to_contiguous();
                squared_norm(flex.as_slice::<f32>().unwrap_or(&[]))
            }
            Err(_) => gradient.square().sum().into_scalar::<f32>() as f64,
        };
    }
}

/// The sum of squares in a fixed order, which does not depend on the number of threads.
fn squared_norm(values: &[f32]) -> f64 {
    let chunks: Vec<f64> = values.par_chunks(CHUNK).map(chunk_norm).collect();
    chunks.iter().sum()
}

/// Weights in a thread's unit of work.
const CHUNK: usize = 1 << 15;

#[inline(always)]
#[pulp::with_simd(chunk_norm = Arch::new())]
fn chunk_norm_simd<'a, S: Simd>(_simd: S, values: &'a [f32]) -> f64 {
    let mut lanes = [0.0f64; 8];
    for chunk in values.chunks(8) {
        for (lane, v) in lanes.iter_mut().zip(chunk) {
            *lane += f64::from(*v) * f64::from(*v);
        }
    }
    lanes.iter().sum()
}

struct Updater<'a, F> {
    slots: &'a mut HashMap<ParamId, Slot>,
    gradients: &'a mut GradientsParams,
    /// Returns a parameter's coefficients. Its arguments: whether the parameter has weight decay, and the factor of its
    /// learning rate.
    factors_at: F,
}

impl<F: Fn(bool, f64) -> Step> ModuleMapper for Updater<'_, F> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let id = param.id;
        let Some(slot) = self.slots.get_mut(&id) else { return param };
        let Some(gradient) = self.gradients.remove::<D>(id) else { return param };
        let factors = (self.factors_at)(slot.decays, slot.factor);
        param.map(|tensor| {
            let trained = tensor.is_require_grad();
            let plain = tensor.inner();
            let updated = match gradient.clone().try_into_primitive::<Flex>() {
                Ok(gradient) => on_cpu(plain, &gradient.to_contiguous(), slot, factors),
                Err(_) => on_device(plain, gradient, slot, factors),
            };
            updated.autodiff().set_require_grad(trained)
        })
    }
}

fn on_cpu<const D: usize>(
    plain: Tensor<D>,
    gradient: &FlexTensor,
    slot: &mut Slot,
    factors: Step,
) -> Tensor<D> {
    // invariant: weight and gradient are on the same device.
    let mut weight = plain.try_into_primitive::<Flex>().expect("a weight on flex").to_contiguous();
    let g = gradient.as_slice::<f32>().expect("a contiguous gradient");
    let fresh = || Moments::Cpu(vec![0.0; g.len()], vec![0.0; g.len()]);
    let moments = slot.moments.get_or_insert_with(fresh);
    if let Moments::Device(..) = moments {
        *moments = fresh();
    }
    let Moments::Cpu(m, v) = moments else { return Tensor::from_primitive::<Flex>(weight) };
    let kept = match &slot.mask {
        Some(LayoutMask::Cpu(kept)) => Some(kept.as_slice()),
        _ => None,
    };
    let w = weight.storage_mut::<f32>();
    w.par_chunks_mut(CHUNK)
        .zip(g.par_chunks(CHUNK))
        .zip(m.par_chunks_mut(CHUNK).zip(v.par_chunks_mut(CHUNK)))
        .enumerate()
        .for_each(|(i, ((w, g), (m, v)))| {
            update(factors, w, g, m, v);
            if let Some(kept) = kept {
                drop_pruned(w, m, v, &kept[i * CHUNK..i * CHUNK + w.len()]);
            }
        });
    Tensor::from_primitive::<Flex>(weight)
}

#[inline(always)]
#[pulp::with_simd(update = Arch::new())]
fn update_simd<'a, S: Simd>(
    _simd: S,
    f: Step,
    w: &'a mut [f32],
    g: &'a [f32],
    m: &'a mut [f32],
    v: &'a mut [f32],
) {
    for (((w, g), m), v) in w.iter_mut().zip(g).zip(m.iter_mut()).zip(v.iter_mut()) {
        let g = g * f.scale;
        *m = f.beta1 * *m + (1.0 - f.beta1) * g;
        *v = f.beta2 * *v + (1.0 - f.beta2) * g * g;
        *w = *w * f.shrink - f.rate * *m / (v.sqrt() * f.correction + f.epsilon);
    }
}

#[inline(always)]
#[pulp::with_simd(drop_pruned = Arch::new())]
fn drop_pruned_simd<'a, S: Simd>(
    _simd: S,
    w: &'a mut [f32],
    m: &'a mut [f32],
    v: &'a mut [f32],
    kept: &'a [bool],
) {
    for (((w, m), v), kept) in w.iter_mut().zip(m.iter_mut()).zip(v.iter_mut()).zip(kept) {
        let stays = if *kept { u32::MAX } else { 0 };
        for value in [w, m, v] {
            *value = f32::from_bits(value.to_bits() & stays);
        }
    }
}

fn on_device<const D: usize>(plain: Tensor<D>, gradient: Tensor<D>, slot: &mut Slot, f: Step) -> Tensor<D> {
    let shape = plain.dims();
    let count: usize = shape.iter().product();
    let w = plain.reshape([count]);
    let g = gradient.reshape([count]) * f.scale;
    let [m, v] = match slot.moments.take() {
        Some(Moments::Device(moments)) => *moments,
        _ => [w.zeros_like(), w.zeros_like()],
    };
    let mut m = m * f.beta1 + g.clone() * (1.0 - f.beta1);
    let mut v = v * f.beta2 + g.square() * (1.0 - f.beta2);
    let mut w = w * f.shrink - m.clone() * f.rate / (v.clone().sqrt() * f.correction + f.epsilon);
    if let Some(LayoutMask::Device(kept)) = &slot.mask {
        let pruned = Tensor::clone(kept).bool_not();
        w = w.mask_fill(pruned.clone(), 0.0);
        m = m.mask_fill(pruned.clone(), 0.0);
        v = v.mask_fill(pruned, 0.0);
    }
    slot.moments = Some(Moments::Device(Box::new([m, v])));
    w.reshape(shape)
}
