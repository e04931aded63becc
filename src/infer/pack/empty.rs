//! What computes nothing in an encoder layer: attention heads and neurons of the feed-forward layer that nothing reads, or that
//! give every token the same. They are left out of a packed model; a constant is added to the bias of the layer that reads it.

use crate::infer::model::activate_one;
use crate::params::Activation;

/// The parts of a layer that compute something: indices in increasing order.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// The kept indices.
    pub indices: Vec<usize>,
    /// What the others add to the outputs of the layer that reads them, `[hidden]`; empty if they add nothing.
    pub constant: Vec<f32>,
}

/// The weights of a linear layer, `[rows, columns]`, and its bias.
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a> {
    /// W.
    pub weight: &'a [f32],
    /// b, `[rows]`.
    pub bias: &'a [f32],
    /// The number of columns.
    pub columns: usize,
}

impl Weights<'_> {
    fn row(&self, row: usize) -> &[f32] {
        &self.weight[row * self.columns..(row + 1) * self.columns]
    }

    /// The bias of a row whose weights are all zero.
    fn constant(&self, row: usize) -> Option<f32> {
        self.row(row).iter().all(|w| *w == 0.0).then(|| self.bias[row])
    }

    /// Whether each column has a nonzero weight.
    fn read(&self) -> Vec<bool> {
        let mut read = vec![false; self.columns];
        for row in self.weight.chunks(self.columns) {
            read.iter_mut().zip(row).for_each(|(read, w)| *read |= *w != 0.0);
        }
        read
    }
}

/// The heads that compute something, of `features` features each. A head of which V has no weights gives every token its bias,
/// because the probabilities of a query sum to one. At least one head is kept.
pub fn heads(value: Weights<'_>, output: Weights<'_>, features: usize) -> Kept {
    let read = output.read();
    let constant = |column: usize| if read[column] { value.constant(column) } else { Some(0.0) };
    let parts = (0..value.bias.len() / features).map(|head| head * features..(head + 1) * features);
    kept(parts.map(|part| part.map(constant).collect()).collect(), output)
}

/// The neurons that compute something. A neuron without weights gives every token the activation of its bias; with a gate, one
/// whose product is zero does. At least one is kept.
///
/// Blocks of weights of `output` are four neurons wide: neurons are left out one by one if its number of blocks is smaller
/// then, and in such fours otherwise.
pub fn neurons(
    up: Weights<'_>,
    gate: Option<Weights<'_>>,
    output: Weights<'_>,
    activation: Activation,
) -> Kept {
    let read = output.read();
    let constant = |neuron: usize| {
        if !read[neuron] {
            return Some(0.0);
        }
        let activated = up.constant(neuron).map(|bias| activate_one(activation, bias));
        let Some(gate) = &gate else { return activated };
        match (activated, gate.constant(neuron)) {
            (Some(0.0), _) | (_, Some(0.0)) => Some(0.0),
            (Some(activated), Some(gate)) => Some(activated * gate),
            _ => None,
        }
    };
    let each: Vec<Vec<Option<f32>>> = (0..output.columns).map(|neuron| vec![constant(neuron)]).collect();
    let fours = each.chunks(4).map(|four| four.concat()).collect();
    let (single, fours) = (kept(each, output), kept(fours, output));
    match blocks(output, &single.indices) <= blocks(output, &fours.indices) {
        true => single,
        false => fours,
    }
}

/// Keeps all parts but those whose columns of `output` are all constant.
fn kept(parts: Vec<Vec<Option<f32>>>, output: Weights<'_>) -> Kept {
    let computes = |part: &[Option<f32>]| part.iter().any(Option::is_none);
    let first = parts.iter().position(|part| computes(part)).unwrap_or(0);
    let (mut kept, mut column) = (Kept { indices: Vec::new(), constant: Vec::new() }, 0);
    for (i, part) in parts.iter().enumerate() {
        if i == first || computes(part) {
            kept.indices.extend(column..column + part.len());
        } else {
            for (column, value) in (column..).zip(part.iter().flatten()).filter(|(_, value)| **value != 0.0) {
                kept.constant.resize(output.bias.len(), 0.0);
                for (row, sum) in kept.constant.iter_mut().enumerate() {
                    *sum += output.row(row)[column] * value;
                }
            }
        }
        column += part.len();
    }
    kept
}

/// The number of nonzero blocks of four columns if only some columns are kept.
fn blocks(of: Weights<'_>, columns: &[usize]) -> usize {
    let of_row = |row: &[f32]| columns.chunks(4).filter(|four| four.iter().any(|i| row[*i] != 0.0)).count();
    of.weight.chunks(of.columns).map(of_row).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights<'a>(weight: &'a [f32], bias: &'a [f32]) -> Weights<'a> {
        Weights { weight, bias, columns: weight.len() / bias.len() }
    }

    #[test]
    fn heads_that_nothing_reads_or_that_are_constant_are_left_out() {
        // Four heads of one feature: unread, constant, computing, zero.
        let value = [1.0, 1.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0];
        let output = [0.0, 3.0, 1.0, 1.0, 0.0, 4.0, 0.0, 1.0];
        let kept = heads(weights(&value, &[1.0, 0.5, 0.0, 0.0]), weights(&output, &[0.0, 0.0]), 1);
        assert_eq!(kept, Kept { indices: vec![2], constant: vec![1.5, 2.0] });
        // Heads of two features, of which one computes nothing: both are kept.
        let kept = heads(weights(&value, &[1.0, 0.5, 0.0, 0.0]), weights(&output, &[0.0, 0.0]), 2);
        assert_eq!(kept, Kept { indices: vec![2, 3], constant: vec![1.5, 2.0] });
        // One is kept where none computes anything.
        let kept = heads(weights(&[0.0; 8], &[0.0; 4]), weights(&output, &[0.0, 0.0]), 2);
        assert_eq!(kept, Kept { indices: vec![0, 1], constant: Vec::new() });
    }

    #[test]
    fn neurons_are_left_out_in_fours_where_that_keeps_blocks() {
        let up: Vec<f32> = [1.0; 8].into_iter().chain([0.0; 4]).collect();
        let bias = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0, -3.0];
        let up = weights(&up, &bias);
        // The first neuron is unread; without it alone, the blocks of the two rows would be cut.
        let output =
            [0., 1., 1., 1., 0., 0., 0., 0., 1., 0., 0., 1., 0., 0., 0., 0., 1., 1., 1., 1., 0., 0., 0., 0.];
        let output = weights(&output, &[0.0, 0.0]);
        let kept = neurons(up, None, output, Activation::Relu);
        assert_eq!(kept, Kept { indices: (0..8).collect(), constant: vec![2.0, 0.0] });
        // Single neurons, where fewer blocks remain.
        let output = [1., 0., 0., 0., 1., 0., 0., 0., 0., 0., 0., 0.];
        let kept = neurons(up, None, weights(&output, &[0.0]), Activation::Relu);
        assert_eq!(kept, Kept { indices: vec![0, 4], constant: Vec::new() });
        // With a gate without weights but with a bias, a neuron computes something still.
        let gate = weights(&[0.0; 12], &[0., 1., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0.]);
        let output = [1.0; 12];
        let kept = neurons(up, Some(gate), weights(&output, &[0.0]), Activation::Relu);
        assert_eq!(kept, Kept { indices: vec![1], constant: Vec::new() });
    }
}
