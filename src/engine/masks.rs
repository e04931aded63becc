//! The masks of a model, by parameter.

use std::collections::BTreeMap;

use burn::module::Module;

use crate::method::mask::Mask;
use crate::task::parameters::{self, Values};

/// Masks by Hugging Face name; a parameter without a mask is dense.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Masks {
    by_name: BTreeMap<String, Mask>,
}

impl Masks {
    /// The mask of a parameter.
    pub fn get(&self, name: &str) -> Option<&Mask> {
        self.by_name.get(name)
    }

    /// Sets a parameter's mask.
    pub fn set(&mut self, name: String, mask: Mask) {
        self.by_name.insert(name, mask);
    }

    /// Removes a parameter's mask, so that its zeros are trained again.
    pub fn remove(&mut self, name: &str) {
        self.by_name.remove(name);
    }

    /// Whether nothing is masked.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// All masks, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Mask)> {
        self.by_name.iter()
    }

    /// The sparsity of all masked parameters together, `0..=1`.
    pub fn sparsity(&self) -> f64 {
        let (pruned, all) =
            self.by_name.values().fold((0, 0), |(p, n), mask| (p + mask.pruned(), n + mask.len()));
        pruned as f64 / usize::max(all, 1) as f64
    }

    /// Sets every pruned weight of the model to zero.
    pub fn apply<M: Module>(&self, model: M) -> M {
        let mut values: Values = parameters::read(&model, |name| self.by_name.contains_key(name));
        for (name, weights) in &mut values {
            self.by_name[name].apply(weights);
        }
        parameters::write(model, values)
    }
}
