//! Evaluation in batches of examples of similar length, which minimizes padding. Several ranks share the batches.

use std::cell::RefCell;

use crate::ranks::Ranks;
use crate::text::spans::Span;

/// The number of examples in a batch.
const BATCH: usize = 32;

thread_local! {
    static RANKS: RefCell<Ranks> = RefCell::new(Ranks::alone());
}

/// Runs `evaluate`, in which these ranks share the batches of [`by_length`]. All of them must call it together.
pub fn on_ranks<R>(ranks: &Ranks, evaluate: impl FnOnce() -> R) -> R {
    struct Back(Option<Ranks>);
    impl Drop for Back {
        fn drop(&mut self) {
            if let Some(before) = self.0.take() {
                RANKS.set(before);
            }
        }
    }
    let _back = Back(Some(RANKS.replace(ranks.clone())));
    evaluate()
}

/// Computes a result for each example, given the examples' lengths. `compute` gets the indices of a batch and returns
/// their results in the same order; `progress` gets the number of finished examples. Of N ranks, rank r computes batches
/// r, r + N, …, and all get all results.
pub fn by_length<R: ExampleResult>(
    lengths: impl Iterator<Item = usize>,
    mut compute: impl FnMut(&[usize]) -> Vec<R>,
    progress: &mut dyn FnMut(usize),
) -> Vec<R> {
    let ranks = RANKS.with_borrow(Ranks::clone);
    let mut order: Vec<(usize, usize)> = lengths.enumerate().map(|(i, length)| (length, i)).collect();
    order.sort();
    let order: Vec<usize> = order.into_iter().map(|(_, i)| i).collect();
    let mut own = Vec::new();
    for (round, batches) in order.chunks(BATCH * ranks.size()).enumerate() {
        if let Some(part) = batches.chunks(BATCH).nth(ranks.rank()) {
            own.extend(compute(part));
        }
        progress(round * BATCH * ranks.size() + batches.len());
    }
    let mut of_ranks: Vec<_> = gathered(&ranks, own).into_iter().map(Vec::into_iter).collect();
    let size = ranks.size();
    let batches = order.chunks(BATCH).enumerate();
    let mut found: Vec<(usize, R)> = batches
        .flat_map(|(k, part)| {
            let results: Vec<R> = of_ranks[k % size].by_ref().take(part.len()).collect();
            part.iter().copied().zip(results)
        })
        .collect();
    found.sort_by_key(|(i, _)| *i);
    found.into_iter().map(|(_, result)| result).collect()
}

/// The results of every rank.
fn gathered<R: ExampleResult>(ranks: &Ranks, own: Vec<R>) -> Vec<Vec<R>> {
    if ranks.is_alone() {
        return vec![own];
    }
    let mut bytes = Vec::new();
    for result in own {
        let one = result.to_bytes();
        bytes.extend((one.len() as u64).to_le_bytes());
        bytes.extend(one);
    }
    let of_rank = |bytes: Vec<u8>| {
        let (mut results, mut rest) = (Vec::new(), &bytes[..]);
        while let Some((length, after)) = rest.split_first_chunk() {
            let (one, after) = after.split_at(u64::from_le_bytes(*length) as usize);
            results.push(R::from_bytes(one));
            rest = after;
        }
        results
    };
    ranks.all_gather(&bytes).into_iter().map(of_rank).collect()
}

/// The result of an example, as ranks exchange it.
pub trait ExampleResult {
    /// Its bytes.
    fn to_bytes(&self) -> Vec<u8>;

    /// The result of these bytes.
    fn from_bytes(bytes: &[u8]) -> Self;
}

/// Numbers such as logits or an embedding.
impl ExampleResult for Vec<f32> {
    fn to_bytes(&self) -> Vec<u8> {
        self.iter().flat_map(|v| v.to_le_bytes()).collect()
    }

    fn from_bytes(bytes: &[u8]) -> Self {
        bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
    }
}

/// A class.
impl ExampleResult for usize {
    fn to_bytes(&self) -> Vec<u8> {
        (*self as u64).to_le_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Self {
        Vec::from_bytes(bytes)[0]
    }
}

/// Classes of words.
impl ExampleResult for Vec<usize> {
    fn to_bytes(&self) -> Vec<u8> {
        self.iter().flat_map(usize::to_bytes).collect()
    }

    fn from_bytes(bytes: &[u8]) -> Self {
        bytes.as_chunks().0.iter().map(|b| u64::from_le_bytes(*b) as usize).collect()
    }
}

/// The score of "no answer" and the best answer.
impl ExampleResult for (f32, Option<Span>) {
    fn to_bytes(&self) -> Vec<u8> {
        let (none, span) = self;
        let mut bytes = none.to_le_bytes().to_vec();
        if let Some(Span { score, from, to }) = span {
            bytes.extend(score.to_le_bytes());
            bytes.extend([*from, *to].into_iter().flat_map(|n| (n as u64).to_le_bytes()));
        }
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Self {
        let (none, span) = bytes.split_at(4);
        let span = (!span.is_empty()).then(|| {
            let (score, ends) = span.split_at(4);
            let ends = Vec::<usize>::from_bytes(ends);
            Span { score: Vec::from_bytes(score)[0], from: ends[0], to: ends[1] }
        });
        (Vec::from_bytes(none)[0], span)
    }
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

    #[test]
    fn ranks_compute_batches_in_turns_and_all_get_all_results() {
        let lengths: Vec<usize> = (0..150).map(|i| (i * 37) % 50).collect();
        let result = |i: usize| match i % 3 {
            0 => (i as f32, None),
            _ => (f32::NEG_INFINITY, Some(Span { score: 0.5 * i as f32, from: i, to: i + 7 })),
        };
        for size in 2..=6 {
            std::thread::scope(|scope| {
                for rank in crate::ranks::threads(size) {
                    let lengths = &lengths;
                    scope.spawn(move || {
                        let ranks = Ranks::of(rank);
                        let mut computed = 0;
                        let found = on_ranks(&ranks, || {
                            let compute = |part: &[usize]| {
                                computed += part.len();
                                part.iter().map(|i| result(*i)).collect()
                            };
                            by_length(lengths.iter().copied(), compute, &mut |_| ())
                        });
                        assert_eq!(found, (0..150).map(result).collect::<Vec<_>>());
                        // Five batches, the last of 22.
                        assert!(computed <= 32 * 5usize.div_ceil(size), "{computed} on {size}");
                    });
                }
            });
        }
        assert!(RANKS.with_borrow(Ranks::is_alone));
    }
}
