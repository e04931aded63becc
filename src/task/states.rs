//! What modules inside a model give on the way to its outputs.

use burn::tensor::Tensor;

/// What one module gives: a row for each token, or for another thing that is no padding.
#[derive(Clone, Debug)]
pub struct State {
    /// The module's name, such as `bert.encoder.layer.0`.
    pub module: String,
    /// `[rows, width]`; a student's rows are its teacher's in the same order.
    pub values: Tensor<2>,
}

/// Takes in what modules give while a model computes its outputs, and keeps what is asked for.
pub struct States<'a> {
    wanted: Option<&'a dyn Fn(&str) -> bool>,
    list: Vec<State>,
}

impl<'a> States<'a> {
    /// Nothing is asked for.
    pub fn none() -> Self {
        States { wanted: None, list: Vec::new() }
    }

    /// Modules whose names are `wanted`.
    pub fn of(wanted: &'a dyn Fn(&str) -> bool) -> Self {
        States { wanted: Some(wanted), list: Vec::new() }
    }

    /// Whether a module is asked for: what is costly need not be computed otherwise.
    pub fn wants(&self, module: &str) -> bool {
        self.wanted.is_some_and(|wanted| wanted(module))
    }

    /// Takes in what a module gives, `[rows, width]` without rows of padding, if it is asked for.
    pub fn add(&mut self, module: &str, values: Tensor<2>) {
        if self.wants(module) {
            self.list.push(State { module: module.to_owned(), values });
        }
    }

    /// What was kept, in the order in which it was computed.
    pub fn into_list(self) -> Vec<State> {
        self.list
    }
}
