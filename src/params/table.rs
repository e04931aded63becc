//! Names and shapes of a model's parameters.

use serde::Serialize;

/// A parameter of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Parameter {
    /// The Hugging Face name, such as `bert.encoder.layer.0.attention.self.query.weight`.
    pub name: String,
    /// The Hugging Face shape; a linear weight is `[out, in]`.
    pub shape: Vec<usize>,
}

impl Parameter {
    /// The number of weights (`torch.Tensor.numel`).
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// The number of weights for each output: the columns of a matrix, or the size of a convolution's kernel.
    pub fn inputs(&self) -> usize {
        self.shape.iter().skip(1).product()
    }

    /// Whether it can be pruned: the weight of a linear or convolution layer, and no table of embeddings or biases.
    pub fn is_prunable(&self) -> bool {
        let is_table = ["embeddings.", "relative_attention_bias"].iter().any(|part| self.name.contains(part));
        self.shape.len() >= 2 && self.name.ends_with(".weight") && !is_table
    }
}

/// A tensor of a weight file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorHeader {
    /// The name in the file.
    pub name: String,
    /// The dtype in the notation of safetensors, such as `F32`.
    pub dtype: String,
    /// The shape.
    pub shape: Vec<usize>,
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

    /// Iterates over the parameters in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Parameter> {
        self.parameters.iter()
    }

    /// The parameter at an index.
    pub fn get(&self, index: usize) -> &Parameter {
        &self.parameters[index]
    }

    /// The parameter with a name.
    pub fn find(&self, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|p| p.name == name)
    }

    /// The number of parameters.
    pub fn len(&self) -> usize {
        self.parameters.len()
    }

    /// Whether there are no parameters.
    pub fn is_empty(&self) -> bool {
        self.parameters.is_empty()
    }

    /// The number of encoder layers.
    pub fn layers(&self) -> usize {
        self.parameters
            .iter()
            .filter_map(|p| layer_of(&p.name))
            .map(|(_, layer, _)| layer + 1)
            .max()
            .unwrap_or(0)
    }

    /// The prefix before the number of an encoder layer, such as `bert.encoder.layer.`
    pub fn layer_stem(&self) -> Option<&str> {
        self.parameters.iter().find_map(|p| layer_of(&p.name)).map(|(stem, ..)| stem)
    }

    /// The table of the model with only these encoder layers, renumbered in this order.
    pub fn keep_layers(&self, kept: &[usize]) -> ParameterTable {
        let mut before: Vec<Parameter> = Vec::new();
        let mut after: Vec<Parameter> = Vec::new();
        let mut layers: Vec<Vec<Parameter>> = vec![Vec::new(); kept.len()];
        for parameter in &self.parameters {
            match layer_of(&parameter.name) {
                Some((stem, layer, rest)) => {
                    if let Some(place) = kept.iter().position(|k| *k == layer) {
                        let name = format!("{stem}{place}{rest}");
                        layers[place].push(Parameter { name, shape: parameter.shape.clone() });
                    }
                }
                None if layers.iter().all(Vec::is_empty) => before.push(parameter.clone()),
                None => after.push(parameter.clone()),
            }
        }
        before.extend(layers.into_iter().flatten());
        before.extend(after);
        ParameterTable::new(before)
    }

    /// The number of weights of all parameters.
    pub fn count(&self) -> usize {
        self.parameters.iter().map(Parameter::count).sum()
    }
}

/// Splits a name around its layer number: `bert.encoder.layer.3.output.dense.weight` into `bert.encoder.layer.`, 3 and
/// `.output.dense.weight`.
pub(crate) fn layer_of(name: &str) -> Option<(&str, usize, &str)> {
    let at = [".layer.", ".layers.", ".albert_layer_groups."]
        .iter()
        .find_map(|word| Some(name.find(word)? + word.len()))?;
    let digits = name[at..].find('.')?;
    let layer = name[at..at + digits].parse().ok()?;
    Some((&name[..at], layer, &name[at + digits..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_layers_are_renumbered_and_the_rest_stays_in_place() {
        let names = ["e.word.weight", "e.layer.0.w", "e.layer.1.w", "e.layer.2.w", "head.weight"];
        let table = ParameterTable::new(
            names.iter().map(|n| Parameter { name: (*n).into(), shape: vec![n.len()] }).collect(),
        );
        assert_eq!((table.layers(), table.layer_stem()), (3, Some("e.layer.")));
        let kept = table.keep_layers(&[0, 2]);
        let names: Vec<&str> = kept.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["e.word.weight", "e.layer.0.w", "e.layer.1.w", "head.weight"]);
        assert_eq!(kept.layers(), 2);
    }
}
