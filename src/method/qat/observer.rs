//! Moving averages of the minimum and maximum of a tensor.

/// The averaging constant, that of PyTorch's `MovingAverageMinMaxObserver`.
pub const MOMENTUM: f32 = 0.01;

/// The minimum and maximum of some values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// The minimum.
    pub low: f32,
    /// The maximum.
    pub high: f32,
}

impl Range {
    /// Whether both are finite.
    pub fn is_finite(self) -> bool {
        self.low.is_finite() && self.high.is_finite()
    }
}

/// Moving averages of ranges, one for each scale. The first batch sets them; every other one updates them by
/// `m ← m + 0.01 (x − m)` (PyTorch's `MovingAverageMinMaxObserver` and `MovingAveragePerChannelMinMaxObserver`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MovingAverage {
    ranges: Vec<Range>,
}

impl MovingAverage {
    /// Averages with these values.
    pub fn of(ranges: Vec<Range>) -> Self {
        MovingAverage { ranges }
    }

    /// Updates the averages by the ranges of a batch.
    ///
    /// # Panics
    /// If their number changes.
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

    /// The averages; empty before the first batch.
    pub fn ranges(&self) -> &[Range] {
        &self.ranges
    }
}
