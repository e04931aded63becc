//! Which examples make which batch: a permutation of each epoch, drawn from the seed.

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;

/// Batches of training examples. The order depends on the seed and the epoch alone, so a step
/// can be repeated without repeating the steps before it.
#[derive(Clone, Debug)]
pub struct Sampler {
    examples: usize,
    batch: usize,
    seed: u64,
    epoch: Option<(u64, Vec<usize>)>,
}

impl Sampler {
    /// Batches of `batch` out of `examples` examples, both above zero.
    pub fn new(examples: usize, batch: usize, seed: u64) -> Self {
        Sampler { examples, batch: batch.max(1), seed, epoch: None }
    }

    /// Steps in an epoch; the last batch may be smaller.
    pub fn steps_per_epoch(&self) -> u64 {
        self.examples.div_ceil(self.batch).max(1) as u64
    }

    /// The examples of a step, counted from the beginning of the first epoch.
    pub fn batch(&mut self, step: u64) -> Vec<usize> {
        let steps = self.steps_per_epoch();
        let (epoch, within) = (step / steps, (step % steps) as usize);
        let known = self.epoch.take().filter(|(e, _)| *e == epoch);
        let (_, order) = known.unwrap_or_else(|| (epoch, self.permutation(epoch)));
        let end = ((within + 1) * self.batch).min(order.len());
        let batch = order[within * self.batch..end].to_vec();
        self.epoch = Some((epoch, order));
        batch
    }

    fn permutation(&self, epoch: u64) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.examples).collect();
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(epoch);
        order.shuffle(&mut rng);
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_holds_every_example_once_and_epochs_differ() {
        let mut sampler = Sampler::new(10, 4, 3);
        let epoch =
            |s: &mut Sampler, e: u64| -> Vec<usize> { (0..3).flat_map(|i| s.batch(e * 3 + i)).collect() };
        let (first, second) = (epoch(&mut sampler, 0), epoch(&mut sampler, 1));
        assert_ne!(first, second);
        let mut sorted = first.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..10).collect::<Vec<_>>());
        assert_eq!(sampler.batch(2), first[8..], "a step can be asked for again");
    }
}
