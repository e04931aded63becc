//! Sentence embeddings from hidden states, and the losses over them. Embeddings are `[texts, hidden]`.

use burn::tensor::{Device, Int, Tensor, TensorData};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::params::sentence_modules::PoolingMode;

use super::loss::cross_entropy;
use super::model::{Tokens, int_tensor};

/// Pools the last hidden states, `[tokens, hidden]`, to a vector for each sequence, `[sequences, hidden]`; with `normalize`
/// divided by its Euclidean norm (`Pooling` and `Normalize` of sentence-transformers).
pub fn pool(hidden: Tensor<2>, tokens: &Tokens, mode: PoolingMode, normalize: bool) -> Tensor<2> {
    let (ranges, device) = (tokens.row_ranges(), hidden.device());
    let rows = |row: &dyn Fn(&std::ops::Range<usize>) -> usize| {
        int_tensor(ranges.iter().map(|range| row(range) as i32).collect(), &device)
    };
    let pooled = match mode {
        PoolingMode::Cls => hidden.select(0, rows(&|range| range.start)),
        PoolingMode::Last => hidden.select(0, rows(&|range| range.end - 1)),
        PoolingMode::Mean => {
            let count = hidden.dims()[0];
            let mut weights = vec![0.0f32; ranges.len() * count];
            for (row, range) in weights.chunks_mut(count.max(1)).zip(&ranges) {
                row[range.clone()].fill(1.0 / range.len().max(1) as f32);
            }
            matrix(weights, [ranges.len(), count], &device).matmul(hidden)
        }
        PoolingMode::Max => {
            let each = ranges.iter().map(|range| hidden.clone().slice([range.clone()]).max_dim(0));
            Tensor::cat(each.collect(), 0)
        }
    };
    if normalize { unit(pooled) } else { pooled }
}

/// The rows divided by their Euclidean norms, or by 1e-12 if that is greater (`torch.nn.functional.normalize`).
pub fn unit(rows: Tensor<2>) -> Tensor<2> {
    let norm = rows.clone().square().sum_dim(1).sqrt().clamp_min(1e-12);
    rows / norm
}

/// The cosine of each row with the same row of another matrix, `[rows]`.
pub fn cosines(a: Tensor<2>, b: Tensor<2>) -> Tensor<1> {
    let sum = (unit(a) * unit(b)).sum_dim(1);
    let [rows, _] = sum.dims();
    sum.reshape([rows])
}

/// In-batch negatives (`MultipleNegativesRankingLoss`): the mean cross-entropy of `scale · cos(anchor, candidate)`,
/// where the right candidate of an anchor is the one of its row and the candidates of other rows are negatives.
/// Candidates are the positives, `[rows, hidden]`, and after them any number of further negatives.
pub fn in_batch_negatives(anchors: Tensor<2>, candidates: Tensor<2>, scale: f64) -> Tensor<1> {
    let [rows, _] = anchors.dims();
    let right = int_tensor((0..rows as i32).collect(), &anchors.device());
    cross_entropy(unit(anchors).matmul(unit(candidates).transpose()) * scale, right)
}

/// CoSENT (`CoSENTLoss`): `ln(1 + Σ exp(s · (cos_i − cos_j)))` over all pairs of rows where the score of i is lower than that
/// of j, with the scale s.
pub fn cosent(cosines: Tensor<1>, scores: &[f32], scale: f64) -> Tensor<1> {
    let device = cosines.device();
    let scaled = cosines * scale;
    let pairs = (0..scores.len()).flat_map(|i| (0..scores.len()).map(move |j| (i, j)));
    let (low, high): (Vec<i32>, Vec<i32>) =
        pairs.filter(|(i, j)| scores[*i] < scores[*j]).map(|(i, j)| (i as i32, j as i32)).unzip();
    let zero = Tensor::<1>::zeros([1], &device);
    if low.is_empty() {
        // Equal scores have no order: no loss, and a gradient of zero.
        return scaled.sum() * 0.0 + zero;
    }
    let at = |rows: Vec<i32>| -> Tensor<1> {
        let rows: Tensor<1, Int> = int_tensor(rows, &device);
        scaled.clone().select(0, rows)
    };
    let terms = Tensor::cat(vec![zero, at(low) - at(high)], 0);
    let largest = terms.clone().detach().max();
    (terms - largest.clone()).exp().sum().log() + largest
}

/// The mean squared difference of cosines and scores (`CosineSimilarityLoss`).
pub fn cosine_error(cosines: Tensor<1>, scores: &[f32]) -> Tensor<1> {
    let scores = Tensor::<1>::from_data(TensorData::new(scores.to_vec(), [scores.len()]), &cosines.device());
    (cosines - scores).square().mean()
}

/// The mean of `vᵀe` over the embeddings e, each with a random unit vector v of its own.
///
/// Its gradients have the Gauss-Newton matrix as their second moment, up to a factor: with E[v vᵀ] = I/d,
/// `E[(∂vᵀe/∂w)(∂vᵀe/∂w)ᵀ] = JᵀJ/d`, where J = ∂e/∂w, and 2 JᵀJ is the Hessian of the squared distance to the embeddings of
/// the unpruned model at its own weights. The gradient of that distance itself is zero there.
pub fn random_projection(embeddings: Tensor<2>, seed: u64) -> Tensor<1> {
    let [rows, hidden] = embeddings.dims();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut directions: Vec<f32> = (0..rows * hidden).map(|_| StandardNormal.sample(&mut rng)).collect();
    for row in directions.chunks_mut(hidden.max(1)) {
        let norm = row.iter().map(|x| x * x).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
        row.iter_mut().for_each(|x| *x /= norm);
    }
    let directions = matrix(directions, [rows, hidden], &embeddings.device());
    (embeddings * directions).sum() / rows.max(1) as f64
}

/// The cosines of all rows with each other, `[rows, rows]`.
pub fn similarities(embeddings: Tensor<2>) -> Tensor<2> {
    let units = unit(embeddings);
    units.clone().matmul(units.transpose())
}

fn matrix(values: Vec<f32>, shape: [usize; 2], device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values, shape), device)
}
