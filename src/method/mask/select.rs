//! Selection of the groups to prune, in each parameter or over several.

use super::{Mask, rank};

/// Among which weights the lowest scores are pruned, and to which sparsity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Selection {
    /// All parameters together, to this sparsity.
    Global(f64),
    /// Each parameter by itself, to this sparsity.
    Layer(f64),
    /// Every `of` consecutive weights, of which `keep` remain.
    NofM {
        /// N: weights of a group that are not pruned.
        keep: usize,
        /// M: weights in a group.
        of: usize,
    },
}

/// For each group of each parameter whether it is pruned, given the scores of the groups (-∞ for those that are
/// pruned already).
pub fn select(scores: &[Vec<f32>], selection: Selection) -> Vec<Vec<bool>> {
    match selection {
        Selection::Layer(sparsity) => scores.iter().map(|s| lowest(s, sparsity)).collect(),
        Selection::Global(sparsity) => cut(&lowest(&scores.concat(), sparsity), scores),
        Selection::NofM { keep, of } => scores.iter().map(|s| rank::n_of_m(s, keep, of)).collect(),
    }
}

/// [`select`] for parameters whose groups have `sizes` weights each. Sparsities count weights, and are as near to the
/// target as whole groups allow.
pub fn select_sized(scores: &[Vec<f32>], sizes: &[usize], selection: Selection) -> Vec<Vec<bool>> {
    let equal = sizes.windows(2).all(|pair| pair[0] == pair[1]);
    let Selection::Global(sparsity) = selection else { return select(scores, selection) };
    if equal {
        return select(scores, selection);
    }
    let each: Vec<usize> = scores.iter().zip(sizes).flat_map(|(s, n)| vec![*n; s.len()]).collect();
    let target = rank::target_count(each.iter().sum(), sparsity);
    cut(&rank::lowest_sized(&scores.concat(), &each, target), scores)
}

/// [`select_sized`] with a limit: no parameter is pruned beyond the sparsity `limit` (or beyond its present sparsity,
/// if that is higher). A parameter that the ranking would prune further stops at the limit, and the others are pruned
/// more, so that the total stays the same.
pub fn select_limited(
    scores: &[Vec<f32>],
    sizes: &[usize],
    selection: Selection,
    limit: f64,
) -> Vec<Vec<bool>> {
    let mut pruned = select_sized(scores, sizes, selection);
    let Selection::Global(sparsity) = selection else { return pruned };
    let weights = |i: usize| scores[i].len() * sizes[i];
    let of = |groups: &[bool], i: usize| groups.iter().filter(|p| **p).count() * sizes[i];
    let target = (0..scores.len()).map(weights).sum::<usize>() as f64 * sparsity;
    let mut open: Vec<usize> = (0..scores.len()).collect();
    loop {
        let limited = |i: &usize| lowest(&scores[*i], limit);
        let (above, rest): (Vec<usize>, Vec<usize>) =
            open.iter().partition(|i| of(&pruned[**i], **i) > of(&limited(i), **i));
        if above.is_empty() || rest.is_empty() {
            for i in above {
                pruned[i] = limited(&i);
            }
            return pruned;
        }
        for i in above {
            pruned[i] = limited(&i);
        }
        open = rest;
        let closed =
            (0..scores.len()).filter(|i| !open.contains(i)).map(|i| of(&pruned[i], i)).sum::<usize>();
        let all = open.iter().map(|i| weights(*i)).sum::<usize>();
        let sparsity = ((target - closed as f64) / all as f64).clamp(0.0, 1.0);
        let own: Vec<Vec<f32>> = open.iter().map(|i| scores[*i].clone()).collect();
        let own_sizes: Vec<usize> = open.iter().map(|i| sizes[*i]).collect();
        for (i, groups) in open.iter().zip(select_sized(&own, &own_sizes, Selection::Global(sparsity))) {
            pruned[*i] = groups;
        }
    }
}

/// Among which groups the lowest scores are pruned: a [`Selection`] without a sparsity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ranking {
    /// All parameters of a [`Goal`] together.
    Global,
    /// Each parameter by itself.
    Layer,
    /// Every `of` consecutive weights, of which `keep` remain.
    NofM {
        /// N: weights of a group that are not pruned.
        keep: usize,
        /// M: weights in a group.
        of: usize,
    },
}

impl Ranking {
    /// The selection for a sparsity.
    pub fn to(self, sparsity: f64) -> Selection {
        match self {
            Ranking::Global => Selection::Global(sparsity),
            Ranking::Layer => Selection::Layer(sparsity),
            Ranking::NofM { keep, of } => Selection::NofM { keep, of },
        }
    }
}

/// A target sparsity of some parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Goal {
    /// The indices of the parameters, ascending.
    pub members: Vec<usize>,
    /// The sparsity, in 0..=1.
    pub sparsity: f64,
}

impl Goal {
    /// The share of the members' weights that is pruned already.
    pub fn reached(&self, masks: &[Mask]) -> f64 {
        let members = self.members.iter().map(|i| &masks[*i]);
        let (pruned, all) = members.fold((0, 0), |(p, n), mask| (p + mask.pruned(), n + mask.len()));
        pruned as f64 / usize::max(all, 1) as f64
    }
}

/// For each group of each parameter whether it is pruned, so that every goal is reached and no parameter is pruned
/// beyond the sparsity `limit`. `sizes` has the weights in a group of each parameter.
pub fn select_for_goals(
    mut scores: Vec<Vec<f32>>,
    sizes: &[usize],
    goals: &[Goal],
    ranking: Ranking,
    limit: f64,
) -> Vec<Vec<bool>> {
    let mut pruned = vec![Vec::new(); scores.len()];
    for goal in goals {
        let own: Vec<Vec<f32>> = goal.members.iter().map(|i| std::mem::take(&mut scores[*i])).collect();
        let own_sizes: Vec<usize> = goal.members.iter().map(|i| sizes[*i]).collect();
        let selected = select_limited(&own, &own_sizes, ranking.to(goal.sparsity), limit);
        for (i, groups) in goal.members.iter().zip(selected) {
            pruned[*i] = groups;
        }
    }
    pruned
}

/// Splits a list over all parameters into one for each.
fn cut(all: &[bool], scores: &[Vec<f32>]) -> Vec<Vec<bool>> {
    let mut rest = all;
    scores
        .iter()
        .map(|s| {
            let (own, others) = rest.split_at(s.len());
            rest = others;
            own.to_vec()
        })
        .collect()
}

/// Expands flags of groups of `group` consecutive weights to flags of the `count` weights.
pub fn spread(groups: &[bool], group: usize, count: usize) -> Vec<bool> {
    groups.iter().flat_map(|pruned| std::iter::repeat_n(*pruned, group)).take(count).collect()
}

fn lowest(scores: &[f32], sparsity: f64) -> Vec<bool> {
    rank::lowest(scores, rank::target_count(scores.len(), sparsity))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_threshold_over_all_parameters_or_one_for_each() {
        let scores = vec![vec![1.0, 2.0, 3.0, 4.0], vec![10.0, 20.0]];
        assert_eq!(
            select(&scores, Selection::Global(0.5)),
            [vec![true, true, true, false], vec![false, false]]
        );
        assert_eq!(
            select(&scores, Selection::Layer(0.5)),
            [vec![true, true, false, false], vec![true, false]]
        );
        assert_eq!(
            select_sized(&scores, &[1, 4], Selection::Global(0.5)),
            [vec![true, true, true, true], vec![false, false]],
            "of twelve weights four go: the next group of four would be no nearer to six"
        );
        let limited = |limit| select_limited(&scores, &[1, 1], Selection::Global(0.5), limit);
        assert_eq!(limited(1.0), select(&scores, Selection::Global(0.5)));
        assert_eq!(limited(0.5), [vec![true, true, false, false], vec![true, false]]);
        let pruned = vec![vec![f32::NEG_INFINITY; 3], vec![1.0, 2.0, 3.0]];
        assert_eq!(
            select_limited(&pruned, &[1, 1], Selection::Global(0.5), 0.5),
            [vec![true; 3], vec![false; 3]],
            "what is pruned already stays pruned"
        );
        assert_eq!(spread(&[true, false], 4, 6), [true, true, true, true, false, false]);
    }
}
