//! The Fisher matrix of one parameter, estimated from gradients with tensors of a device.

use std::ops::Range;

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::method::obs::fisher::triangle;
use crate::method::obs::ill_conditioned::IllConditioned;
use crate::method::obs::qr::QrFactors;

use super::factor::ALIGNED;
use super::product::Products;

/// Elements of the largest temporary tensor: 64 MiB of float32.
const NUMBERS: usize = 1 << 24;
/// The largest batch of a matrix product: GPUs limit the dimension of the grid that counts it to 65,535.
const MATRICES: usize = 1 << 15;

/// `Σ g gᵀ` of one parameter, block by block.
///
/// Blocks are stored in slices of bounded size, as lower triangles. Gradients are buffered and summed several at a
/// time.
#[derive(Clone, Debug)]
pub struct DeviceEstimate {
    count: usize,
    block: usize,
    /// The number of gradients that fit into the buffer.
    capacity: usize,
    /// The number of gradients in the buffer.
    buffered: usize,
    slices: Vec<Slice>,
    products: Products,
    /// The indices of the lower triangle's entries in a matrix `[B · B]`.
    lower: Tensor<1, Int>,
    /// The index of each entry of a matrix `[B · B]` in the lower triangle.
    square: Tensor<1, Int>,
    ill_conditioned: IllConditioned,
}

/// Some consecutive blocks.
#[derive(Clone, Debug)]
pub(super) struct Slice {
    first: usize,
    blocks: usize,
    /// `Σ g gᵀ` as lower triangles, row by row, `[blocks][B (B + 1) / 2]`; `None` for zero.
    fisher: Option<Tensor<2>>,
    /// The buffer of gradients, `[capacity][blocks · B]`, zero beyond the last weight.
    chunk: Option<Tensor<2>>,
}

impl DeviceEstimate {
    /// An estimate for a parameter of `count` weights in blocks of `block`, from gradients on `device` that are summed
    /// `chunk` at a time.
    pub fn new(count: usize, block: usize, chunk: usize, device: &Device) -> Self {
        let most = (NUMBERS / (block * block.max(chunk))).max(1);
        // Blocks of one weight need no matrix product.
        let most = if block > 1 { most.min(MATRICES) } else { most };
        let most = if most > ALIGNED { most / ALIGNED * ALIGNED } else { most };
        Self::in_slices(count, block, chunk, most, device)
    }

    /// The same with at most `most` blocks in a slice.
    fn in_slices(count: usize, block: usize, chunk: usize, most: usize, device: &Device) -> Self {
        let (capacity, blocks) = (chunk.max(1), count.div_ceil(block));
        let slices = (0..blocks)
            .step_by(most)
            .map(|first| Slice { first, blocks: most.min(blocks - first), fisher: None, chunk: None })
            .collect();
        let indices = |list: Vec<i32>| {
            let length = list.len();
            Tensor::from_data(TensorData::new(list, [length]), device)
        };
        let pairs = || (0..block).flat_map(|i| (0..block).map(move |j| (i, j)));
        let lower = pairs().filter(|(i, j)| j <= i).map(|(i, j)| (i * block + j) as i32).collect();
        let square = pairs().map(|(i, j)| (triangle(i.max(j)) + i.min(j)) as i32).collect();
        DeviceEstimate {
            count,
            block,
            capacity,
            buffered: 0,
            slices,
            products: Products::default(),
            lower: indices(lower),
            square: indices(square),
            ill_conditioned: IllConditioned::new(count, block),
        }
    }

    /// The device of its tensors.
    pub fn device(&self) -> Device {
        self.lower.device()
    }

    /// Adds a gradient `[count]` in the Hugging Face layout, detached from autodiff.
    ///
    /// # Panics
    /// If it has not as many elements as the parameter.
    pub fn add(&mut self, gradient: Tensor<1>) {
        assert_eq!(gradient.dims(), [self.count], "elements of a gradient");
        let (row, block) = (self.buffered, self.block);
        for slice in &mut self.slices {
            let range = slice.weights(block, self.count);
            let part = gradient.clone().slice([range.clone()]).reshape([1, range.len()]);
            let shape = [self.capacity, slice.blocks * block];
            let chunk = slice.chunk.take().unwrap_or_else(|| Tensor::zeros(shape, &gradient.device()));
            slice.chunk = Some(chunk.slice_assign([row..row + 1, 0..range.len()], part));
        }
        self.buffered += 1;
        if self.buffered == self.capacity {
            self.flush();
        }
    }

    /// Adds `Σ g gᵀ` of the buffered gradients to the Fisher blocks.
    fn flush(&mut self) {
        if self.buffered == 0 {
            return;
        }
        for slice in &mut self.slices {
            let Some(chunk) = slice.chunk.clone() else { continue };
            let gram = self.products.gram(chunk.narrow(0, 0, self.buffered), self.block);
            let gram = gram.reshape([slice.blocks, self.block * self.block]).select(1, self.lower.clone());
            slice.fisher = Some(match slice.fisher.take() {
                Some(fisher) => fisher + gram,
                None => gram,
            });
        }
        self.buffered = 0;
    }

    /// Adds `Σ g gᵀ` of the buffered gradients to the Fisher blocks and frees the buffer; to be called after the last
    /// gradient.
    pub fn finish(&mut self) {
        self.flush();
        self.slices.iter_mut().for_each(|slice| slice.chunk = None);
    }

    /// Sets the QR factors of the gradients of ill-conditioned blocks.
    pub fn set_factors(&mut self, factors: QrFactors) {
        self.ill_conditioned.extend(factors);
    }

    /// Removes all QR factors. The factors are valid for the gradients so far; the list of ill-conditioned blocks is
    /// valid for one dampening.
    pub fn clear_factors(&mut self) {
        self.ill_conditioned.clear();
    }

    /// The blocks that were recomputed in float64.
    pub(super) fn ill_conditioned(&self) -> &IllConditioned {
        &self.ill_conditioned
    }

    /// B, the weights in a block.
    pub(super) fn block(&self) -> usize {
        self.block
    }

    /// The number of weights of the parameter.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The slices, which together hold all blocks.
    pub(super) fn slices(&self) -> &[Slice] {
        &self.slices
    }

    /// `scale · Σ g gᵀ` of a slice's blocks, `[B][B][lanes]`, zero in padded lanes. `None` without gradients.
    pub(super) fn load(&self, slice: &Slice, scale: f32) -> Option<Tensor<3>> {
        let fisher = slice.fisher.clone()?;
        let [blocks, width] = fisher.dims();
        let lanes = slice.lanes();
        let filled = match lanes - blocks {
            0 => fisher,
            more => {
                let empty = Tensor::zeros([more, width], &fisher.device());
                Tensor::cat(vec![fisher, empty], 0)
            }
        };
        let entries = filled.transpose().select(0, self.square.clone());
        Some(entries.reshape([self.block, self.block, lanes]) * scale)
    }

    /// `Σ g²` for each weight of a slice, `[blocks · B]`, zero beyond the last weight. Empty without gradients.
    pub(super) fn squares(&self, slice: &Slice) -> Vec<f32> {
        let Some(fisher) = &slice.fisher else { return Vec::new() };
        let diagonal: Vec<i32> = (0..self.block).map(|i| (triangle(i) + i) as i32).collect();
        let diagonal = Tensor::from_data(TensorData::new(diagonal, [self.block]), &fisher.device());
        to_host(fisher.clone().select(1, diagonal))
    }
}

impl Slice {
    /// The index of its first block.
    pub(super) fn first(&self) -> usize {
        self.first
    }

    /// The indices of its blocks.
    pub(super) fn blocks(&self) -> Range<usize> {
        self.first..self.first + self.blocks
    }

    /// The indices of its weights in a parameter of `count` weights.
    pub(super) fn weights(&self, block: usize, count: usize) -> Range<usize> {
        self.first * block..((self.first + self.blocks) * block).min(count)
    }

    /// The number of Fisher blocks of the slice that are factored together: padded to a multiple of [`ALIGNED`] if there
    /// are at least that many.
    pub(super) fn lanes(&self) -> usize {
        if self.blocks < ALIGNED { self.blocks } else { self.blocks.next_multiple_of(ALIGNED) }
    }
}

/// Copies a tensor's elements to the host.
pub(super) fn to_host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    // invariant: these tensors are float32.
    tensor.into_data().convert::<f32>().try_to_vec().expect("f32 values")
}

#[cfg(test)]
mod tests {
    use crate::method::mask::Mask;
    use crate::method::obs::Settings;
    use crate::method::obs::device::{inverse_diagonal, score, update};

    use super::*;

    #[test]
    fn slices_and_chunks_of_any_size_give_the_same_numbers() {
        let (count, block, device) = (118, 12, Device::flex());
        let number = |i: usize| ((i * i * 41 + i * 7) % 509) as f32 / 254.0 - 1.0;
        let settings = Settings { block, damp: 1e-3, divisor: 30, exact: false, group: 4, correlated: false };
        let weights: Vec<f32> = (0..count).map(|i| number(i + 3)).collect();
        let mask = Mask::new((0..count).map(|i| i % 17 != 2).collect());
        let gone: Vec<bool> = (0..count).map(|i| i % 17 == 2 || (i / 4) % 3 == 1).collect();
        let all = |most: usize, chunk: usize| {
            let mut estimate = DeviceEstimate::in_slices(count, block, chunk, most, &device);
            for r in 0..30 {
                let gradient: Vec<f32> = (0..count).map(|i| number(r * 131 + i)).collect();
                estimate.add(Tensor::from_data(TensorData::new(gradient, [count]), &device));
            }
            let scored = score(&mut estimate, &weights, &mask, &settings).unwrap();
            let update =
                update(&estimate, &weights, &mask, &scored.multipliers, gone.clone(), &settings).unwrap();
            let diagonal = inverse_diagonal(&mut estimate, &mask, &settings).unwrap();
            [scored.scores, scored.multipliers, update.delta, diagonal]
        };
        let whole = all(1000, 1000);
        for (most, chunk) in [(1, 30), (3, 7), (10, 1)] {
            for (a, b) in whole.iter().zip(all(most, chunk)) {
                assert_eq!(a.len(), b.len());
                for (a, b) in a.iter().zip(b) {
                    assert!(
                        *a == b || (a - b).abs() < 1e-4 * a.abs().max(1e-2),
                        "{most}, {chunk}: {a} is not {b}"
                    );
                }
            }
        }
    }
}
