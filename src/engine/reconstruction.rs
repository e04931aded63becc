//! Layer-wise reconstruction after a pruning event ([`crate::method::reconstruct`]): records the inputs of the pruned
//! layers in the pruned and the unpruned model, layer by layer from the first on, and writes the fitted weights and
//! biases.

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};

use crate::method::mask::Mask;
use crate::method::reconstruct::Moments;
use crate::params::layer_of;
use crate::task::Task;
use crate::task::data::sampler::Sampler;
use crate::task::input_recorder::InputRecorder;
use crate::task::parameters::{self, ModuleParameter, Values};
use crate::task::quantizers::Quantizers;

use super::EngineError;
use super::events::{Observer, Work};
use super::pruning_context::Context;
use super::targets::Targets;

/// The batch size of forward passes.
const BATCH: usize = 16;

/// Distinguishes the seed of these batches from those of gradients.
const SEED: u64 = 0x7265_636f_6e73_7472;

/// The parameters of a module that has pruned weights.
struct Pruned<'a> {
    weight: &'a ModuleParameter,
    mask: &'a Mask,
}

/// Reconstructs the outputs of the pruned layers on `examples` training examples. Also returns the mean over the layers of the
/// relative squared error of their outputs, before and after.
///
/// # Errors
/// A model whose inputs cannot be recorded, targets that are not weights of linear layers, or an observer that wants to
/// stop.
pub fn reconstruct<T: Task>(
    task: &T,
    unpruned: &T::Model,
    mut model: T::Model,
    (targets, masks): (&Targets, &[Mask]),
    examples: usize,
    context: &Context,
    observer: &mut dyn Observer,
) -> Result<(T::Model, [f64; 2]), EngineError> {
    let unpruned = unpruned.valid();
    let mut sampler = Sampler::new(task.examples(), BATCH, context.seed ^ SEED);
    let batches = examples.min(task.examples()).div_ceil(BATCH) as u64;
    let mut batch = |number: u64| task.batch(&sampler.batch(number), context.plain);
    let modules = modules(targets, masks);
    // A model that cannot record has no modules in its order.
    let order = order(task, &unpruned, &batch(0));
    let missing = modules.keys().find(|module| !order.iter().flatten().any(|known| known == *module));
    if let Some(module) = missing {
        let (stage, step) = (context.stage.to_owned(), context.step);
        let parameter = modules[module].weight.parameter.name.clone();
        return Err(EngineError::NotReconstructable { stage, step, parameter });
    }
    let groups = groups(&order, &modules);
    let total = groups.len() as u64 * batches;
    let mut errors: Vec<[f64; 2]> = Vec::new();
    for (index, group) in groups.iter().enumerate() {
        let [own, other] = [(); 2].map(|()| Arc::new(InputRecorder::of(group.first().cloned())));
        let recorded = |model: &T::Model, by| recorded(task, up_to(task, model, &group[0], &order), by);
        let (pruned, reference) = (recorded(&model.valid(), &own), recorded(&unpruned, &other));
        let mut moments: Option<Moments> = None;
        for number in 0..batches {
            let batch = batch(number);
            task.outputs(&pruned, &batch, None);
            task.outputs(&reference, &batch, None);
            for (x, unpruned) in own.take().into_iter().zip(other.take()) {
                let new = Moments::of(x, unpruned);
                moments = Some(match moments {
                    None => new,
                    Some(before) => before.and(new),
                });
            }
            let done = index as u64 * batches + number + 1;
            observer.progress(Work::Reconstructing(context.stage), done, total);
            if context.ranks.any(observer.wants_to_stop()) {
                return Err(EngineError::Stopped { stage: context.stage.to_owned(), step: context.step });
            }
        }
        let Some(moments) = moments else { continue };
        let mut values = Values::new();
        for module in group {
            let layer = &modules[module];
            errors.push(fit(module, layer, &moments, (&model, &unpruned), context.plain, &mut values));
        }
        model = parameters::write(model, values);
    }
    let mean = |when: usize| errors.iter().map(|e| e[when]).sum::<f64>() / errors.len().max(1) as f64;
    Ok((model, [mean(0), mean(1)]))
}

/// The pruned modules by name.
fn modules<'a>(targets: &'a Targets, masks: &'a [Mask]) -> BTreeMap<String, Pruned<'a>> {
    let pairs = targets.parameters.iter().zip(masks).filter(|(_, mask)| mask.pruned() > 0);
    let module = |name: &str| name.strip_suffix(".weight").unwrap_or(name).to_owned();
    pairs.map(|(weight, mask)| (module(&weight.parameter.name), Pruned { weight, mask })).collect()
}

/// The modules of a forward pass in order, those with a common input together.
fn order<T: Task>(task: &T, model: &T::Model, batch: &T::Batch) -> Vec<Vec<String>> {
    let recorder = Arc::new(InputRecorder::default());
    task.outputs(&recorded(task, model.clone(), &recorder), batch, None);
    recorder.order()
}

/// The pruned modules in the order of the forward pass, those with a common input together. Each group is fitted to inputs
/// that already come from the fitted groups before it.
fn groups(order: &[Vec<String>], modules: &BTreeMap<String, Pruned>) -> Vec<Vec<String>> {
    let mut seen: Vec<&String> = Vec::new();
    let mut groups = Vec::new();
    for group in order {
        // A module that is used several times (ALBERT) is fitted once, to all its inputs.
        let new: Vec<String> =
            group.iter().filter(|m| modules.contains_key(*m) && !seen.contains(m)).cloned().collect();
        seen.extend(group);
        groups.extend((!new.is_empty()).then_some(new));
    }
    groups
}

/// The model without the encoder layers after the module's, which its inputs do not depend on; the whole model if layers
/// cannot be dropped or the module is used in several of them.
fn up_to<T: Task>(task: &T, model: &T::Model, module: &str, order: &[Vec<String>]) -> T::Model {
    let uses = order.iter().flatten().filter(|name| *name == module).count();
    let layer = layer_of(module).map(|(_, layer, _)| layer).filter(|_| uses == 1);
    let kept = layer.map(|layer| (0..=layer).collect::<Vec<usize>>());
    kept.and_then(|kept| task.keep_layers(model.clone(), &kept)).unwrap_or_else(|| model.clone())
}

/// The model with quantizers that also record inputs; unchanged if it cannot record.
fn recorded<T: Task>(task: &T, model: T::Model, recorder: &Arc<InputRecorder>) -> T::Model {
    let quantizers = match task.quantizers(&model) {
        Some(own) => own.recorded_by(recorder),
        None => Quantizers::default().recorded_by(recorder),
    };
    let set = task.set_quantizers(model.clone(), Some(Arc::new(quantizers)));
    set.unwrap_or(model)
}

/// Fits the weight and the bias of a module, and returns the relative error of its outputs before and after.
fn fit<M: Module>(
    module: &str,
    layer: &Pruned,
    moments: &Moments,
    (model, unpruned): (&M, &M),
    device: &Device,
    values: &mut Values,
) -> [f64; 2] {
    let name = &layer.weight.parameter.name;
    let bias_name = format!("{module}.bias");
    let read = |model: &M| parameters::read(model, |own| own == name || own == bias_name);
    let (mut own, mut reference) = (read(model), read(unpruned));
    let shape = [layer.weight.parameter.shape[0], layer.weight.parameter.inputs()];
    let tensor = |values: Vec<f32>| Tensor::<2>::from_data(TensorData::new(values, shape), device);
    let mask = layer.mask.kept().iter().map(|kept| f32::from(u8::from(*kept))).collect();
    let bias = reference.remove(&bias_name);
    let fitted = moments.reconstruct(
        tensor(own.remove(name).unwrap_or_default()),
        tensor(reference.remove(name).unwrap_or_default()),
        tensor(mask),
        bias.is_some(),
    );
    // invariant: the tensors are f32.
    let of = |tensor: Tensor<2>| tensor.into_data().convert::<f32>().try_to_vec().expect("f32 weights");
    values.insert(name.clone(), of(fitted.weight));
    if let (Some(bias), Some(change)) = (bias, fitted.bias_change) {
        values.insert(bias_name, bias.iter().zip(of(change)).map(|(b, c): (&f32, f32)| b + c).collect());
    }
    fitted.errors
}
