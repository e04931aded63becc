//! Evaluation in batches of examples of similar length, which minimises padding.

/// The number of examples in a batch.
const BATCH: usize = 32;

/// Computes a result for each example, given the examples' lengths. `compute` gets the indices of a batch and returns
/// their results in the same order; `progress` gets the number of finished examples.
pub fn by_length<R>(
    lengths: impl Iterator<Item = usize>,
    mut compute: impl FnMut(&[usize]) -> Vec<R>,
    progress: &mut dyn FnMut(usize),
) -> Vec<R> {
    let mut order: Vec<(usize, usize)> = lengths.enumerate().map(|(i, length)| (length, i)).collect();
    order.sort();
    let order: Vec<usize> = order.into_iter().map(|(_, i)| i).collect();
    let mut found = Vec::with_capacity(order.len());
    for part in order.chunks(BATCH) {
        found.extend(part.iter().copied().zip(compute(part)));
        progress(found.len());
    }
    found.sort_by_key(|(i, _)| *i);
    found.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_the_order_of_the_examples_and_batches_in_the_order_of_lengths() {
        let lengths: Vec<usize> = (0..100).map(|i| (i * 37) % 50).collect();
        let (mut seen, mut done) = (Vec::new(), Vec::new());
        let compute = |part: &[usize]| {
            seen.extend(part.iter().map(|i| lengths[*i]));
            part.iter().map(|i| 10 * i).collect()
        };
        let found = by_length(lengths.iter().copied(), compute, &mut |n| done.push(n));
        assert_eq!(found, (0..100).map(|i| 10 * i).collect::<Vec<_>>());
        assert!(seen.is_sorted());
        assert_eq!(done, [32, 64, 96, 100]);
    }
}
