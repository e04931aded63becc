//! How well a language model predicts what was masked.

/// A running mean of negative log-likelihoods.
#[derive(Clone, Copy, Debug, Default)]
pub struct MeanLoss {
    sum: f64,
    count: usize,
}

impl MeanLoss {
    /// Adds a row of logits, `[choices]`, and the choice that was right.
    pub fn add(&mut self, logits: &[f32], right: usize) {
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = logits.iter().map(|l| f64::from(l - largest).exp()).sum();
        self.sum += sum.ln() - f64::from(logits[right] - largest);
        self.count += 1;
    }

    /// The mean, in nats; 0 of nothing.
    pub fn loss(&self) -> f64 {
        self.sum / self.count.max(1) as f64
    }

    /// The exponential of the mean.
    pub fn perplexity(&self) -> f64 {
        self.loss().exp()
    }
}
