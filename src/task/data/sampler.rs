//! Shuffled batches, optionally of examples of similar length (bucketing).

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;

/// The batches of the training set. Each epoch's permutation depends on the seed and the epoch alone, so that a resumed
/// run gets the same batches.
#[derive(Clone, Debug)]
pub struct Sampler {
    examples: usize,
    batch: usize,
    seed: u64,
    lengths: Option<Vec<usize>>,
    epoch: Option<(u64, Vec<usize>)>,
}

/// The number of batches in a bucket, within which examples are sorted by length: many enough for little padding, few
/// enough that the same examples rarely share a batch again.
const POOL: usize = 64;

impl Sampler {
    /// Shuffled batches: `examples` is the number of examples, `batch` the batch size; both are above zero.
    pub fn new(examples: usize, batch: usize, seed: u64) -> Self {
        Sampler { examples, batch: batch.max(1), seed, lengths: None, epoch: None }
    }

    /// Batches of examples of similar length: each epoch's permutation is sorted by length within buckets of 64 batches,
    /// and the batches are shuffled. The grouping of `transformers`' `group_by_length`.
    pub fn by_length(lengths: Vec<usize>, batch: usize, seed: u64) -> Self {
        Sampler { lengths: Some(lengths.clone()), ..Self::new(lengths.len(), batch, seed) }
    }

    /// The number of steps of an epoch; the last batch can be smaller.
    pub fn steps_per_epoch(&self) -> u64 {
        self.examples.div_ceil(self.batch).max(1) as u64
    }

    /// The examples of a step, counted from the first epoch's beginning.
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
        let Some(lengths) = &self.lengths else { return order };
        // A smaller batch remains the last one.
        let rest = order.split_off(order.len() / self.batch * self.batch);
        for pool in order.chunks_mut(POOL * self.batch) {
            pool.sort_by_key(|example| lengths[*example]);
        }
        let mut batches: Vec<&[usize]> = order.chunks(self.batch).collect();
        batches.shuffle(&mut rng);
        let mut order = batches.concat();
        order.extend(rest);
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

    #[test]
    fn examples_of_about_one_length_meet_and_every_epoch_holds_each_of_them_once() {
        let lengths: Vec<usize> = (0..1003).map(|i| (i * 7919) % 300 + 10).collect();
        let padded = |sampler: &mut Sampler, epoch: u64| -> (usize, Vec<usize>) {
            let steps = sampler.steps_per_epoch();
            let batches: Vec<Vec<usize>> = (0..steps).map(|i| sampler.batch(epoch * steps + i)).collect();
            assert_eq!(batches.last().unwrap().len(), 3, "the rest comes last");
            let longest = |b: &Vec<usize>| b.iter().map(|i| lengths[*i]).max().unwrap() * b.len();
            (batches.iter().map(longest).sum(), batches.concat())
        };
        let tokens: usize = lengths.iter().sum();
        let (mut shuffled, mut bucketed) =
            (Sampler::new(1003, 8, 3), Sampler::by_length(lengths.clone(), 8, 3));
        let (wide, _) = padded(&mut shuffled, 0);
        let (narrow, first) = padded(&mut bucketed, 0);
        assert!(narrow < tokens * 105 / 100 && wide > tokens * 150 / 100, "{narrow} and {wide} for {tokens}");
        let (_, second) = padded(&mut bucketed, 1);
        assert_ne!(first, second);
        assert_eq!(padded(&mut Sampler::by_length(lengths.clone(), 8, 3), 0).1, first, "a seed repeats");
        for mut epoch in [first, second] {
            epoch.sort_unstable();
            assert_eq!(epoch, (0..1003).collect::<Vec<_>>());
        }
    }
}
