//! The tensors of a checkpoint.
//!
//! Prefixes of names: `model/` the weights in the Hugging Face layout, `end/STAGE/` those at the end of an earlier stage
//! that is still needed, `best/` those of the best evaluation, `moment1/` and `moment2/` the optimizer's moments and
//! `movement/` the movement scores (both in Burn's layout), `range/` the observed ranges of quantizers, `mask/` the masks.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use burn::module::Module;

use crate::diag::counted;
use crate::method::mask::Mask;
use crate::params::ParameterTable;
use crate::task::parameters::{self, Values};
use crate::task::quantizers::Quantizers;

use super::EngineError;
use super::masks::Masks;
use super::position::Position;

/// The values of one tensor.
#[derive(Clone, Debug, PartialEq)]
pub enum TensorValues<'a> {
    /// Float32.
    Floats(Cow<'a, [f32]>),
    /// Booleans.
    Bits(Cow<'a, [bool]>),
}

/// A tensor of a checkpoint, read when it is written, so that one at a time is copied.
pub struct CheckpointTensor<'a> {
    /// The name.
    pub name: String,
    /// The number of elements.
    pub count: usize,
    /// Whether the elements are booleans.
    pub bits: bool,
    read: Box<dyn Fn() -> TensorValues<'a> + 'a>,
}

impl<'a> CheckpointTensor<'a> {
    /// A tensor of floats.
    pub fn floats(name: String, count: usize, read: impl Fn() -> Cow<'a, [f32]> + 'a) -> Self {
        CheckpointTensor { name, count, bits: false, read: Box::new(move || TensorValues::Floats(read())) }
    }

    /// Reads the values.
    pub fn values(&self) -> TensorValues<'a> {
        (self.read)()
    }
}

/// A checkpoint to be written.
pub struct Snapshot<'a> {
    /// The position of the run.
    pub position: Position,
    /// The tensors.
    pub tensors: Vec<CheckpointTensor<'a>>,
}

impl<'a> Snapshot<'a> {
    /// A checkpoint without tensors.
    pub fn new(position: Position) -> Self {
        Snapshot { position, tensors: Vec::new() }
    }

    /// Adds the weights of a model.
    pub fn hold_model<M: Module>(&mut self, kind: &str, model: &'a M) {
        for parameter in parameters::table(model).iter() {
            let (name, count) = (parameter.name.clone(), parameter.count());
            let read = move || {
                let mut values = parameters::read(model, |other| other == name);
                Cow::Owned(values.remove(&name).unwrap_or_default())
            };
            self.tensors.push(CheckpointTensor::floats(format!("{kind}/{}", parameter.name), count, read));
        }
    }

    /// Adds the quantizers of a model.
    pub fn hold_quantizers(&mut self, kind: &str, quantizers: Option<&Arc<Quantizers>>) {
        let Some(quantizers) = quantizers else { return };
        let mut records = BTreeMap::new();
        for (name, (record, ranges)) in quantizers.record() {
            if !ranges.is_empty() {
                let (tensor, count) = (format!("range/{kind}/{name}"), ranges.len());
                self.tensors
                    .push(CheckpointTensor::floats(tensor, count, move || Cow::Owned(ranges.clone())));
            }
            records.insert(name, record);
        }
        self.position.quantizers.insert(kind.to_owned(), records);
    }

    /// Adds the masks.
    pub fn hold_masks(&mut self, masks: &'a Masks) {
        self.tensors.extend(masks.iter().map(|(name, mask)| CheckpointTensor {
            name: format!("mask/{name}"),
            count: mask.len(),
            bits: true,
            read: Box::new(move || TensorValues::Bits(Cow::Borrowed(mask.kept()))),
        }));
    }
}

/// A checkpoint that was read.
#[derive(Debug)]
pub struct Restored {
    /// The position of the run.
    pub position: Position,
    /// The tensors by name.
    pub tensors: BTreeMap<String, TensorValues<'static>>,
}

impl Restored {
    /// Whether it has tensors with this prefix.
    pub fn has(&self, kind: &str) -> bool {
        let prefix = format!("{kind}/");
        self.tensors.range(prefix.clone()..).next().is_some_and(|(name, _)| name.starts_with(&prefix))
    }

    /// Removes and returns the float tensors with a prefix, by parameter name.
    pub fn take(&mut self, kind: &str) -> Values {
        let prefix = format!("{kind}/");
        let mut rest = self.tensors.split_off(&prefix);
        let mut values = Values::new();
        while let Some(entry) = rest.first_entry().filter(|e| e.key().starts_with(&prefix)) {
            if let (name, TensorValues::Floats(floats)) = entry.remove_entry() {
                values.insert(name[prefix.len()..].to_owned(), floats.into_owned());
            }
        }
        self.tensors.append(&mut rest);
        values
    }

    /// Writes the weights with a prefix into a model.
    ///
    /// # Errors
    /// Tensors that are missing or do not fit the model.
    pub fn write_model<M: Module>(&mut self, kind: &str, model: M) -> Result<M, EngineError> {
        let values = self.take_model(kind, &model)?;
        Ok(parameters::write(model, values))
    }

    /// Removes and returns the weights with a prefix, which must be all those of the model.
    ///
    /// # Errors
    /// Tensors that are missing or do not fit the model.
    pub fn take_model<M: Module>(&mut self, kind: &str, model: &M) -> Result<Values, EngineError> {
        let values = self.take(kind);
        check(kind, &values, &parameters::table(model))?;
        Ok(values)
    }

    /// Removes and returns the quantizers of the weights with a prefix.
    ///
    /// # Errors
    /// Ranges that are missing or do not fit the model.
    pub fn take_quantizers<M: Module>(
        &mut self,
        kind: &str,
        model: &M,
    ) -> Result<Option<Arc<Quantizers>>, EngineError> {
        let Some(records) = self.position.quantizers.remove(kind) else { return Ok(None) };
        let mut ranges = self.take(&format!("range/{kind}"));
        let records = records.into_iter().map(|(name, record)| {
            let ends = ranges.remove(&name).unwrap_or_default();
            (name, (record, ends))
        });
        match Quantizers::restored(records.collect(), &parameters::parameters(model)) {
            Some(quantizers) => Ok(Some(Arc::new(quantizers))),
            None => Err(EngineError::Checkpoint(format!("its ranges of `{kind}` do not fit"))),
        }
    }

    /// The masks.
    ///
    /// # Errors
    /// A mask that does not fit the model.
    pub fn masks<M: Module>(&mut self, model: &M) -> Result<Masks, EngineError> {
        let table = parameters::table(model);
        let mut masks = Masks::default();
        for (name, numbers) in &self.tensors {
            let (Some(name), TensorValues::Bits(bits)) = (name.strip_prefix("mask/"), numbers) else {
                continue;
            };
            if table.find(name).is_none_or(|p| p.count() != bits.len()) {
                return Err(EngineError::Checkpoint(format!("its mask of `{name}` fits no parameter")));
            }
            masks.set(name.to_owned(), Mask::new(bits.to_vec()));
        }
        self.tensors.retain(|name, _| !name.starts_with("mask/"));
        Ok(masks)
    }
}

/// Checks that values are those of all parameters of the model.
fn check(kind: &str, values: &Values, table: &ParameterTable) -> Result<(), EngineError> {
    for parameter in table.iter() {
        match values.get(&parameter.name) {
            Some(values) if values.len() == parameter.count() => {}
            Some(values) => {
                let (has, wants) = (values.len(), parameter.count());
                let why = format!(
                    "`{kind}/{}` has {}, the model {wants}",
                    parameter.name,
                    counted(has, "number", "numbers")
                );
                return Err(EngineError::Checkpoint(why));
            }
            None => return Err(EngineError::Checkpoint(format!("it lacks `{kind}/{}`", parameter.name))),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::results::Times;

    fn restored(names: &[&str]) -> Restored {
        let position = Position {
            stage: 0,
            name: "s".into(),
            step: 0,
            steps_per_epoch: 1,
            optimizer_steps: 0,
            movement_steps: 0,
            times: Times::default(),
            stage_seconds: 0.0,
            seconds: 0.0,
            results: Vec::new(),
            best: None,
            baseline: None,
            quantizers: Default::default(),
        };
        let tensors =
            names.iter().map(|n| ((*n).to_owned(), TensorValues::Floats(Cow::Owned(vec![1.0])))).collect();
        Restored { position, tensors }
    }

    #[test]
    fn tensors_of_one_kind_are_taken_and_the_others_stay() {
        let mut restored = restored(&["end/a/w", "end/ab/w", "model/v", "model/w", "moment1/w"]);
        assert!(restored.has("end/a") && !restored.has("end/b") && !restored.has("mode"));
        assert_eq!(restored.take("model").into_keys().collect::<Vec<_>>(), ["v", "w"]);
        assert!(!restored.has("model"));
        let left: Vec<&String> = restored.tensors.keys().collect();
        assert_eq!(left, ["end/a/w", "end/ab/w", "moment1/w"]);
    }
}
