//! Weights that go together: runs of consecutive ones, or whole lines of a matrix.

/// Which weights of a matrix `[out][in]` are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grouping {
    /// This many consecutive weights.
    Runs(usize),
    /// Whole outputs, of this many inputs.
    Rows(usize),
    /// Whole inputs; a row has this many.
    Columns(usize),
}

impl Grouping {
    /// Consecutive weights that a criterion scores as one; lines are made up of single weights.
    pub fn run(self) -> usize {
        match self {
            Grouping::Runs(size) => size,
            Grouping::Rows(_) | Grouping::Columns(_) => 1,
        }
    }

    /// The number of the line that a weight belongs to; `None` if there are no lines.
    fn line(self, index: usize) -> Option<usize> {
        match self {
            Grouping::Runs(_) => None,
            Grouping::Rows(columns) => Some(index / columns),
            Grouping::Columns(columns) => Some(index % columns),
        }
    }

    fn lines(self, count: usize) -> usize {
        match self {
            Grouping::Runs(size) => count.div_ceil(size),
            Grouping::Rows(columns) => count / columns,
            Grouping::Columns(columns) => columns,
        }
    }

    /// How many weights a group has, of a matrix of `count`.
    pub fn size(self, count: usize) -> usize {
        match self {
            Grouping::Runs(size) => size,
            lines => count / lines.lines(count).max(1),
        }
    }

    /// From the scores of runs, or of single weights, to those of groups: for a line the sum over its
    /// weights that are left, for each of its weights; -∞ where none is left.
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

    /// From groups to the weights themselves, `count` of them.
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
    fn lines_are_scored_by_what_is_left_of_them_and_go_whole() {
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
