//! The loss of choosing among several things.

use burn::tensor::{Bool, Int, Tensor, activation};

/// The mean cross-entropy of `[rows, choices]` with the right choice of each row, `[1]`.
pub fn cross_entropy(logits: Tensor<2>, right: Tensor<1, Int>) -> Tensor<1> {
    let log = activation::log_softmax(logits, 1);
    -log.gather(1, right.unsqueeze_dim(1)).mean()
}

/// The mean cross-entropy with labels that are softened: the right choice has a share of `1 - ε + ε/C`, every
/// other `ε/C` of C choices (`cross_entropy(label_smoothing=ε)` of PyTorch). Choices that do not exist in a
/// row are `absent`; C counts the others.
pub fn smoothed_cross_entropy(
    logits: Tensor<2>,
    right: Tensor<1, Int>,
    smoothing: f64,
    absent: Option<Tensor<2, Bool>>,
) -> Tensor<1> {
    let [_, choices] = logits.dims();
    let log = activation::log_softmax(logits, 1);
    let of_right = log.clone().gather(1, right.unsqueeze_dim(1)).mean();
    let of_all = match absent {
        None => log.mean(),
        Some(absent) => {
            let count = absent.clone().int().sum_dim(1).float().neg() + choices as f64;
            (log.mask_fill(absent, 0.0).sum_dim(1) / count).mean()
        }
    };
    -(of_right * (1.0 - smoothing) + of_all * smoothing)
}
