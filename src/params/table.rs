//! A model's parameters in order.

use serde::Serialize;

/// One parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Parameter {
    /// The Hugging Face name, such as `bert.encoder.layer.0.attention.self.query.weight`.
    pub name: String,
    /// The Hugging Face shape; a linear weight is `[out, in]`.
    pub shape: Vec<usize>,
}

impl Parameter {
    /// How many weights it holds.
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it can be pruned: a matrix that is not an embedding.
    pub fn is_prunable(&self) -> bool {
        self.shape.len() == 2 && self.name.ends_with(".weight") && !self.name.contains("embeddings")
    }
}

/// The parameters of a model, in model order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ParameterTable {
    parameters: Vec<Parameter>,
}

impl ParameterTable {
    /// A table of the given parameters.
    pub fn new(parameters: Vec<Parameter>) -> Self {
        ParameterTable { parameters }
    }

    /// All parameters in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Parameter> {
        self.parameters.iter()
    }

    /// The parameter of an index.
    pub fn get(&self, index: usize) -> &Parameter {
        &self.parameters[index]
    }

    /// The parameter of a name.
    pub fn find(&self, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|p| p.name == name)
    }

    /// How many parameters there are.
    pub fn len(&self) -> usize {
        self.parameters.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.parameters.is_empty()
    }

    /// How many weights all of them hold.
    pub fn count(&self) -> usize {
        self.parameters.iter().map(Parameter::count).sum()
    }
}
