//! Groups of weights that are pruned together: runs of consecutive weights, rows or columns.

/// How the weights of a matrix `[out, in]` are grouped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grouping {
    /// Runs of this many consecutive weights.
    Runs(usize),
    /// Rows (outputs), of this many weights.
    Rows(usize),
    /// Columns (inputs), of which there are this many.
    Columns(usize),
}

impl Grouping {
    /// The number of consecutive weights that a criterion scores as a group: 1 for rows and columns.
    pub fn run(self) -> usize {
        match self {
            Grouping::Runs(size) => size,
            Grouping::Rows(_) | Grouping::Columns(_) => 1,
        }
    }

    /// The index of a weight's row or column; `None` for runs.
    fn line(self, index: usize) -> Option<usize> {
        match self {
            Grouping::Runs(_) => None,
            Grouping::Rows(columns) => Some(index / columns),
            Grouping::Columns(columns) => Some(index % columns),
        }
    }

    /// The number of groups in a matrix of `count` weights.
    fn lines(self, count: usize) -> usize {
        match self {
            Grouping::Runs(size) => count.div_ceil(size),
            Grouping::Rows(columns) => count / columns,
            Grouping::Columns(columns) => columns,
        }
    }

    /// The number of weights of a group, in a matrix of `count` weights.
    pub fn size(self, count: usize) -> usize {
        match self {
            Grouping::Runs(size) => size,
            lines => count / lines.lines(count).max(1),
        }
    }

    /// The scores of groups, from those of runs or single weights. For a row or column: the sum over its remaining
    /// weights, divided by the number of all its weights; -∞ if none remains.
    pub fn of_runs(self, scores: Vec<f32>) -> Vec<f32> {
        if let Grouping::Runs(_) = self {
            return scores;
        }
        let count = scores.len();
        let mut sums = vec![f64::NEG_INFINITY; self.lines(count)];
        for (index, score) in scores.iter().enumerate().filter(|(_, s)| **s != f32::NEG_INFINITY) {
            if let Some(line) = self.line(index) {
                sums[line] =
                    if sums[line] == f64::NEG_INFINITY { 0.0 } else { sums[line] } + f64::from(*score);
            }
        }
        sums.iter().map(|sum| (sum / self.size(count) as f64) as f32).collect()
    }

    /// Expands flags of groups to flags of the `count` weights (`torch.repeat_interleave`).
    pub fn spread(self, groups: &[bool], count: usize) -> Vec<bool> {
        match self {
            Grouping::Runs(size) => super::select::spread(groups, size, count),
            _ => (0..count).map(|i| self.line(i).is_some_and(|line| groups[line])).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_columns_are_scored_by_their_remaining_weights_and_pruned_whole() {
        let gone = f32::NEG_INFINITY;
        let scores = vec![1.0, 2.0, 3.0, gone, 4.0, gone];
        assert_eq!(Grouping::Rows(3).of_runs(scores.clone()), [2.0, 4.0 / 3.0]);
        assert_eq!(Grouping::Columns(3).of_runs(scores), [0.5, 3.0, 1.5]);
        assert_eq!(Grouping::Rows(2).of_runs(vec![gone, gone, 0.0, 1.0]), [gone, 0.5]);
        assert_eq!(Grouping::Rows(3).spread(&[false, true], 6), [false, false, false, true, true, true]);
        assert_eq!(
            Grouping::Columns(3).spread(&[true, false, false], 6),
            [true, false, false, true, false, false]
        );
    }
}
