//! Records the inputs of linear layers in forward passes, as a forward pre-hook of PyTorch does.
//!
//! A model passes each input by name through its [`Quantizers`](super::quantizers::Quantizers), which hand it to the
//! recorder.

use std::sync::{Mutex, PoisonError};

use burn::tensor::Tensor;

/// What ends the name of a linear layer's input, after the name of its module.
const INPUT: &str = ".input";

/// The order of the modules in the forward passes so far, and the inputs of one of them.
#[derive(Debug, Default)]
pub struct InputRecorder {
    /// The module whose inputs are kept.
    wanted: Option<String>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    order: Vec<Vec<String>>,
    inputs: Vec<Tensor<2>>,
}

impl InputRecorder {
    /// Keeps the inputs of a module.
    pub fn of(wanted: Option<String>) -> Self {
        InputRecorder { wanted, ..InputRecorder::default() }
    }

    /// Receives one tensor, which has all these names.
    pub(super) fn record(&self, names: &[&str], x: &Tensor<2>) {
        let modules: Vec<&str> = names.iter().filter_map(|name| name.strip_suffix(INPUT)).collect();
        if modules.is_empty() {
            return;
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if modules.iter().any(|module| self.wanted.as_deref() == Some(module)) {
            seen.inputs.push(x.clone());
        }
        seen.order.push(modules.into_iter().map(str::to_owned).collect());
    }

    /// The modules in the order of the forward passes so far, those with one common input together.
    pub fn order(&self) -> Vec<Vec<String>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).order.clone()
    }

    /// Removes and returns the inputs of the wanted module, `[tokens, in]` for each of its uses.
    pub fn take(&self) -> Vec<Tensor<2>> {
        std::mem::take(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner).inputs)
    }
}
