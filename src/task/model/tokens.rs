//! The tokens of a batch, packed or padded for a device.

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::task::HiddenStates;

use super::kernels::{self, Sequences};

/// The tokens of a batch on a device. CPU kernels take sequences packed without padding, `[tokens]`; on other
/// devices every sequence is padded to the longest one, `[batch * seq]`.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// Token ids (`input_ids`), `[tokens]`.
    pub ids: Tensor<1, Int>,
    /// Token types (`token_type_ids`), `[tokens]`.
    pub types: Tensor<1, Int>,
    /// Positions within each sequence (`position_ids`), from zero, `[tokens]`.
    pub positions: Tensor<1, Int>,
    /// Which rows belong to which sequence.
    pub sequences: Sequences,
}

impl Tokens {
    /// Arranges sequences of token ids and token types: packed on the CPU, padded on other devices.
    pub fn arrange(sequences: &[(&[u32], &[u32])], device: &Device) -> Self {
        let lengths: Vec<usize> = sequences.iter().map(|(ids, _)| ids.len()).collect();
        if kernels::is_cpu(device) {
            let starts: Vec<usize> = std::iter::once(0)
                .chain(lengths.iter().scan(0, |at, n| {
                    *at += n;
                    Some(*at)
                }))
                .collect();
            return Self::rows(sequences, &lengths, Sequences::Packed(starts.into()), device);
        }
        // Matrix kernels of GPUs are fastest for multiples of eight.
        let length = lengths.iter().copied().max().unwrap_or(0).next_multiple_of(8);
        let padded = vec![length; lengths.len()];
        let arrangement = Sequences::Padded { lengths: lengths.into(), length };
        Self::rows(sequences, &padded, arrangement, device)
    }

    fn rows(
        sequences: &[(&[u32], &[u32])],
        widths: &[usize],
        arrangement: Sequences,
        device: &Device,
    ) -> Self {
        let mut columns: [Vec<i32>; 3] = Default::default();
        for ((ids, types), width) in sequences.iter().zip(widths) {
            for position in 0..*width {
                columns[0].push(ids.get(position).copied().unwrap_or(0) as i32);
                columns[1].push(types.get(position).copied().unwrap_or(0) as i32);
                // Padding can be longer than the model's position embeddings.
                columns[2].push(if position < ids.len() { position as i32 } else { 0 });
            }
        }
        let [ids, types, positions] = columns.map(|column| int_tensor(column, device));
        Tokens { ids, types, positions, sequences: arrangement }
    }

    /// Adds the output of a module to `states`, without the rows of padding.
    pub(super) fn report(&self, module: &str, values: &Tensor<2>, states: &mut HiddenStates) {
        if !states.wants(module) {
            return;
        }
        let values = match &self.sequences {
            Sequences::Packed(_) => values.clone(),
            Sequences::Padded { .. } => {
                let rows: Vec<i32> = self.row_ranges().into_iter().flatten().map(|row| row as i32).collect();
                values.clone().select(0, int_tensor(rows, &values.device()))
            }
        };
        states.add(module, values);
    }

    /// The mean of the rows of each sequence, without padding, `[sequences, width]`.
    pub(super) fn mean(&self, values: Tensor<2>) -> Tensor<2> {
        let means = self.row_ranges().into_iter().map(|rows| {
            let count = rows.len().max(1);
            values.clone().narrow(0, rows.start, count).mean_dim(0)
        });
        Tensor::cat(means.collect(), 0)
    }

    /// The number of rows of the longest sequence, with its padding.
    pub(super) fn longest(&self) -> usize {
        match &self.sequences {
            Sequences::Packed(starts) => starts.windows(2).map(|w| w[1] - w[0]).max().unwrap_or(0),
            Sequences::Padded { length, .. } => *length,
        }
    }

    /// The rows of each sequence's tokens, without padding.
    pub fn row_ranges(&self) -> Vec<std::ops::Range<usize>> {
        match &self.sequences {
            Sequences::Packed(starts) => starts.windows(2).map(|w| w[0]..w[1]).collect(),
            Sequences::Padded { lengths, length } => {
                lengths.iter().enumerate().map(|(i, n)| i * length..i * length + n).collect()
            }
        }
    }
}

/// A vector of integers on a device.
pub fn int_tensor(values: Vec<i32>, device: &Device) -> Tensor<1, Int> {
    let size = values.len();
    Tensor::from_data(TensorData::new(values, [size]), device)
}

#[cfg(test)]
mod tests {
    use super::super::bert::Bert;
    use super::super::dropouts::Dropouts;
    use super::super::init::Init;
    use super::*;
    use crate::params::{BertConfig, BertShape};

    #[test]
    fn padded_sequences_have_the_hidden_states_of_packed_ones_even_beyond_the_last_position() {
        let shape = BertShape {
            vocab: 30,
            hidden: 8,
            layers: 2,
            heads: 2,
            intermediate: 12,
            positions: 11,
            types: 2,
        };
        let device = Device::flex();
        let bert = Bert::new(&BertConfig::new(shape), false, &mut Init::new(3, 0.3), &device);
        let ids: [Vec<u32>; 3] = [11, 4, 7].map(|n| (0..n).map(|i| (i * 7 + n) % 30).collect());
        let types: [Vec<u32>; 3] = [11, 4, 7].map(|n| (0..n).map(|i| u32::from(i > 2)).collect());
        let parts: Vec<(&[u32], &[u32])> =
            ids.iter().zip(&types).map(|(i, t)| (i.as_slice(), t.as_slice())).collect();
        let wide = Sequences::Padded { lengths: [11, 4, 7].into(), length: 16 };
        let padded = Tokens::rows(&parts, &[16; 3], wide, &device);
        let packed = Tokens::arrange(&parts, &device);
        let states = |tokens: &Tokens| {
            let wanted = |_: &str| true;
            let mut states = HiddenStates::of(&wanted);
            bert.forward(tokens, Dropouts::NONE, &mut states);
            states.into_list()
        };
        let (padded, packed) = (states(&padded), states(&packed));
        assert_eq!(packed.len(), 3, "the embeddings and two layers");
        for (a, b) in padded.iter().zip(&packed) {
            assert_eq!(a.module, b.module);
            assert_eq!((a.values.dims(), b.values.dims()), ([22, 8], [22, 8]), "no row is padding");
            let worst = (a.values.clone() - b.values.clone()).abs().max().into_scalar::<f32>();
            assert!(worst < 1e-5, "{} differs by {worst}", a.module);
        }
    }
}
