//! The loss and perplexity of a masked language model.

/// A running mean of cross-entropies.
#[derive(Clone, Copy, Debug, Default)]
pub struct MeanLoss {
    sum: f64,
    count: usize,
}

impl MeanLoss {
    /// Adds the cross-entropy of logits, `[vocabulary]`, with the class `right`.
    pub fn add(&mut self, logits: &[f32], right: usize) {
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = logits.iter().map(|l| f64::from(l - largest).exp()).sum();
        self.sum += sum.ln() - f64::from(logits[right] - largest);
        self.count += 1;
    }

    /// The mean in nats; 0 if nothing was added.
    pub fn loss(&self) -> f64 {
        self.sum / self.count.max(1) as f64
    }

    /// The perplexity, `exp(loss)`.
    pub fn perplexity(&self) -> f64 {
        self.loss().exp()
    }
}
