//! Ranges as moving averages of what was seen.

/// How far a range moves towards the newest one.
pub const MOMENTUM: f32 = 0.01;

/// The least and the greatest of some values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// The least.
    pub low: f32,
    /// The greatest.
    pub high: f32,
}

impl Range {
    /// Whether both ends are finite numbers.
    pub fn is_finite(self) -> bool {
        self.low.is_finite() && self.high.is_finite()
    }
}

/// Moving averages of ranges, one for each scale. The first batch sets them, then
/// `m += 0.01 · (new − m)`: PyTorch's `MovingAverageMinMaxObserver` and its kin per channel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MovingAverage {
    ranges: Vec<Range>,
}

impl MovingAverage {
    /// Averages that were reached before.
    pub fn of(ranges: Vec<Range>) -> Self {
        MovingAverage { ranges }
    }

    /// Takes in the ranges of a batch, as many each time.
    pub fn observe(&mut self, new: &[Range]) {
        if self.ranges.is_empty() {
            self.ranges = new.to_vec();
            return;
        }
        assert_eq!(self.ranges.len(), new.len(), "ranges of one tensor");
        for (mean, new) in self.ranges.iter_mut().zip(new) {
            mean.low += MOMENTUM * (new.low - mean.low);
            mean.high += MOMENTUM * (new.high - mean.high);
        }
    }

    /// The averages; none before the first batch.
    pub fn ranges(&self) -> &[Range] {
        &self.ranges
    }
}
