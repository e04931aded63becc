//! Hidden states: the outputs of modules inside a model, for distillation.

use burn::tensor::Tensor;

/// The output of one module.
#[derive(Clone, Debug)]
pub struct HiddenState {
    /// The module's name, such as `bert.encoder.layer.0`.
    pub module: String,
    /// `[rows, width]`, with a row for each token or other position that is not padding. The rows of student and
    /// teacher correspond.
    pub values: Tensor<2>,
}

/// Collects the hidden states of selected modules during a forward pass.
pub struct HiddenStates<'a> {
    wanted: Option<&'a dyn Fn(&str) -> bool>,
    list: Vec<HiddenState>,
}

impl<'a> HiddenStates<'a> {
    /// Collects nothing.
    pub fn none() -> Self {
        HiddenStates { wanted: None, list: Vec::new() }
    }

    /// Collects the outputs of the modules whose names satisfy `wanted`.
    pub fn of(wanted: &'a dyn Fn(&str) -> bool) -> Self {
        HiddenStates { wanted: Some(wanted), list: Vec::new() }
    }

    /// Whether a module is selected; expensive states of others need not be computed.
    pub fn wants(&self, module: &str) -> bool {
        self.wanted.is_some_and(|wanted| wanted(module))
    }

    /// Adds the output of a module, `[rows, width]` without rows of padding, if the module is selected.
    pub fn add(&mut self, module: &str, values: Tensor<2>) {
        if self.wants(module) {
            self.list.push(HiddenState { module: module.to_owned(), values });
        }
    }

    /// The collected states in the order of computation.
    pub fn into_list(self) -> Vec<HiddenState> {
        self.list
    }
}
