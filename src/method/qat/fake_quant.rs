//! Rounding that lets gradients through.

use burn::tensor::{Tensor, TensorData};

use super::observer::Range;
use super::scheme::Grid;

/// Which values of a matrix share a scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channels {
    /// All of them.
    All,
    /// Those of a row.
    Rows,
    /// Those of a column.
    Columns,
}

/// Rounds values to the nearest of a few.
#[derive(Clone, Debug, PartialEq)]
pub struct QParams {
    /// The integers.
    pub grid: Grid,
    /// One scale, or one for each row or column.
    pub scales: Vec<f32>,
    /// The integer that stands for zero; 0 unless there is one scale.
    pub zero: i32,
}

/// What a scale does to a value.
#[derive(Clone, Copy, Debug)]
pub struct Affine {
    scale: f32,
    inverse: f32,
    /// The ends of the integers, less the zero point.
    low: f32,
    high: f32,
}

impl Affine {
    /// `x` in steps, rounded to even and at most one step beyond the ends.
    #[inline(always)]
    fn steps(self, x: f32) -> f32 {
        // Adding and subtracting 1.5 · 2²³ rounds numbers this small to the nearest whole one, to even.
        const ROUND: f32 = 12_582_912.0;
        ((x * self.inverse).clamp(self.low - 1.0, self.high + 1.0) + ROUND) - ROUND
    }

    /// `(clamp(round(x · (1/s)) + z, qmin, qmax) − z) · s`.
    #[inline(always)]
    pub fn round(self, x: f32) -> f32 {
        self.steps(x).clamp(self.low, self.high) * self.scale
    }

    /// Whether `x` is rounded and not cut off: whether its gradient passes.
    #[inline(always)]
    pub fn passes(self, x: f32) -> bool {
        let steps = self.steps(x);
        self.low <= steps && steps <= self.high
    }
}

impl QParams {
    /// The rounding for observed ranges.
    pub fn of(grid: Grid, ranges: &[Range]) -> Self {
        let each = ranges.iter().map(|range| grid.scale_of(*range));
        let zero = each.clone().next().map_or(0, |(_, zero)| zero);
        QParams { grid, scales: each.map(|(scale, _)| scale).collect(), zero }
    }

    /// What the scale of a row or column does.
    pub fn affine(&self, channel: usize) -> Affine {
        let scale = if self.scales.len() == 1 { self.scales[0] } else { self.scales[channel] };
        let end = |q: i32| (q - self.zero) as f32;
        let (low, high) = (end(self.grid.least()), end(self.grid.greatest()));
        Affine { scale, inverse: 1.0 / scale, low, high }
    }

    /// Rounds a row-major matrix whose rows have a scale each, or that has one alone.
    pub fn fake_quantize_rows(&self, values: &mut [f32], columns: usize) {
        for (row, values) in values.chunks_mut(columns.max(1)).enumerate() {
            let affine = self.affine(row);
            values.iter_mut().for_each(|v| *v = affine.round(*v));
        }
    }
}

/// Every value of a matrix rounded; its gradient passes where it is not cut off and is zero elsewhere.
///
/// The plain form in Burn's operations, for any device.
pub fn fake_quantize(x: Tensor<2>, qparams: &QParams, channels: Channels) -> Tensor<2> {
    let device = x.device();
    let vector = |values: Vec<f32>| {
        let shape = match (values.len(), channels) {
            (1, _) | (_, Channels::All) => [1, 1],
            (count, Channels::Rows) => [count, 1],
            (count, Channels::Columns) => [1, count],
        };
        Tensor::<2>::from_data(TensorData::new(values, shape), &device)
    };
    let inverse = vector(qparams.scales.iter().map(|s| 1.0 / s).collect());
    let end = |q: i32| q - qparams.zero;
    let (low, high) = (end(qparams.grid.least()), end(qparams.grid.greatest()));
    let steps = (x.clone().detach() * inverse).clamp(low - 1, high + 1).round();
    let cut = steps.clone().lower_elem(low).bool_or(steps.clone().greater_elem(high));
    let rounded = steps.clamp(low, high) * vector(qparams.scales.clone());
    let passing = x.mask_fill(cut, 0.0);
    // The difference is zero and has the gradient.
    rounded + (passing.clone() - passing.detach())
}
