//! What ranks exchange during a pruning event: gradients, and measures of candidate weights.

use std::ops::ControlFlow;

use crate::method::obs::{Gradient, Sharding};
use crate::ranks::Ranks;
use crate::task::parameters::ModuleParameter;

/// Sends the gradients that this rank has computed, by the indices of their parameters, to the ranks that have those
/// parameters' Fisher matrices. Calls `take` with the gradients that it receives, in the order of the ranks.
pub fn gradients(
    sharding: &Sharding,
    targets: &[ModuleParameter],
    own: Vec<(usize, Gradient)>,
    take: &mut dyn FnMut(usize, Gradient),
) {
    let ranks = sharding.ranks;
    let mut has = vec![0u8; targets.len()];
    own.iter().for_each(|(i, _)| has[*i] = 1);
    let mut values: Vec<Option<Vec<f32>>> = vec![None; targets.len()];
    for (i, gradient) in own {
        values[i] = Some(gradient.into_values());
    }
    let has = ranks.all_gather(&has);
    let count = |i: usize| targets[i].parameter.count();
    // The parameters of which a rank has a gradient for another, and their number of elements.
    let sent = |from: usize, to: usize| {
        let is_sent = |i: &usize| has[from][*i] == 1 && sharding.owner(*i).is_none_or(|owner| owner == to);
        let parameters: Vec<usize> = (0..targets.len()).filter(is_sent).collect();
        let elements: usize = parameters.iter().map(|i| count(*i)).sum();
        (parameters, elements)
    };
    let own = ranks.rank();
    let mut hand_over = |rank: usize, floats: &[f32]| {
        let mut rest = floats;
        for i in sent(rank, own).0 {
            let (gradient, after) = rest.split_at(count(i));
            take(i, Gradient::Values(gradient.to_vec()));
            rest = after;
        }
    };
    if sharding.owners.is_empty() {
        let values = values.into_iter().flatten().collect::<Vec<_>>().concat();
        // One gradient at a time, so that no rank holds those of all.
        for rank in 0..ranks.size() {
            hand_over(rank, &ranks.broadcast_floats(rank, &values, sent(rank, own).1));
        }
        return;
    }
    let mut parts = Vec::new();
    for to in 0..ranks.size() {
        for i in sent(own, to).0 {
            parts.extend(values[i].take().unwrap_or_default());
        }
    }
    let sends: Vec<usize> = (0..ranks.size()).map(|to| sent(own, to).1).collect();
    let receives: Vec<usize> = (0..ranks.size()).map(|from| sent(from, own).1).collect();
    let received = ranks.all_to_all(&parts, &sends, &receives);
    let mut rest = &received[..];
    for (rank, elements) in receives.into_iter().enumerate() {
        let (floats, after) = rest.split_at(elements);
        hand_over(rank, floats);
        rest = after;
    }
}

/// The results of `count` pieces of work that the ranks did in turns, in their order: of N ranks, rank r did r, r + N, …
/// Breaks if one was stopped.
pub fn in_turns(ranks: &Ranks, own: ControlFlow<(), Vec<f64>>, count: usize) -> ControlFlow<(), Vec<f64>> {
    if ranks.is_alone() {
        return own;
    }
    if ranks.any(own.is_break()) {
        return ControlFlow::Break(());
    }
    let own = own.continue_value().unwrap_or_default();
    let all = ranks.all_gather(&own.into_iter().flat_map(f64::to_le_bytes).collect::<Vec<u8>>());
    let of = |number: usize| {
        let bytes = all[number % ranks.size()].as_chunks().0[number / ranks.size()];
        f64::from_le_bytes(bytes)
    };
    ControlFlow::Continue((0..count).map(of).collect())
}
