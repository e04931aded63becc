//! Cross-entropy, with and without label smoothing.

use burn::tensor::{Bool, Int, Tensor, activation};

/// The mean cross-entropy, `[1]`, of logits `[rows, classes]` with the class `right` of each row, `[rows]`.
pub fn cross_entropy(logits: Tensor<2>, right: Tensor<1, Int>) -> Tensor<1> {
    let log = activation::log_softmax(logits, 1);
    -log.gather(1, right.unsqueeze_dim(1)).mean()
}

/// The mean cross-entropy with label smoothing ε, as PyTorch's `cross_entropy(label_smoothing=ε)`: the target is
/// `1 - ε + ε/C` for the right class and `ε/C` for every other of C classes. Classes that are `absent` in a row,
/// `[rows, classes]`, have a target of 0 and do not count in C.
pub fn smoothed_cross_entropy(
    logits: Tensor<2>,
    right: Tensor<1, Int>,
    smoothing: f64,
    absent: Option<Tensor<2, Bool>>,
) -> Tensor<1> {
    let [_, classes] = logits.dims();
    let log = activation::log_softmax(logits, 1);
    let of_right = log.clone().gather(1, right.unsqueeze_dim(1)).mean();
    let of_all = match absent {
        None => log.mean(),
        Some(absent) => {
            let count = absent.clone().int().sum_dim(1).float().neg() + classes as f64;
            (log.mask_fill(absent, 0.0).sum_dim(1) / count).mean()
        }
    };
    -(of_right * (1.0 - smoothing) + of_all * smoothing)
}
