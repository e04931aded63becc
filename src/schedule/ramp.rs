//! Ramps: a sparsity or learning rate that goes from one value to another over a window.

use serde::{Deserialize, Serialize};

/// The shape of a [`Ramp`]: the fraction of `to - from` that is covered at fraction `x` of the time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Shape {
    /// 1: the final value from the start.
    Constant,
    /// `x`.
    Linear,
    /// `1 - (1 - x)^3`: steep at first, flat at the end. SparseML's `cubic`.
    Cubic,
    /// `1 - (1 - x)^(1/3)`. SparseML's `inverse_cubic`.
    InverseCubic,
    /// `(1 - cos πx) / 2`.
    Cosine,
    /// `1 - (1 - x)^p`.
    Polynomial(f64),
    /// `from · (to / from)^x`; both ends must be above zero.
    Exponential,
}

/// As written in a recipe.
impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Shape::Constant => "constant",
            Shape::Linear => "linear",
            Shape::Cubic => "cubic",
            Shape::InverseCubic => "inverse_cubic",
            Shape::Cosine => "cosine",
            Shape::Exponential => "exponential",
            Shape::Polynomial(power) => return write!(f, "polynomial({power})"),
        })
    }
}

/// A value that goes from `from` to `to`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ramp {
    /// The value at the start.
    pub from: f64,
    /// The value at the end.
    pub to: f64,
    /// The interpolation between them.
    pub shape: Shape,
}

impl Ramp {
    /// A constant value.
    pub fn constant(value: f64) -> Self {
        Ramp { from: value, to: value, shape: Shape::Constant }
    }

    /// The value at fraction `x` of the time, clamped to `0..=1`; exactly `from` at 0 and `to` at 1.
    pub fn at(&self, x: f64) -> f64 {
        if self.shape == Shape::Constant || x >= 1.0 {
            return self.to;
        }
        if x <= 0.0 {
            return self.from;
        }
        if self.shape == Shape::Exponential {
            return self.from * (self.to / self.from).powf(x);
        }
        let covered = match self.shape {
            Shape::Constant | Shape::Exponential | Shape::Linear => x,
            Shape::Cubic => 1.0 - (1.0 - x).powi(3),
            Shape::InverseCubic => 1.0 - (1.0 - x).cbrt(),
            Shape::Cosine => (1.0 - (std::f64::consts::PI * x).cos()) / 2.0,
            Shape::Polynomial(power) => 1.0 - (1.0 - x).powf(power),
        };
        covered * (self.to - self.from) + self.from
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_starts_and_ends_exactly_at_its_ends_and_is_monotone() {
        let shapes = [
            Shape::Linear,
            Shape::Cubic,
            Shape::InverseCubic,
            Shape::Cosine,
            Shape::Polynomial(2.5),
            Shape::Exponential,
        ];
        for shape in shapes {
            let ramp = Ramp { from: 0.3, to: 0.9, shape };
            assert_eq!((ramp.at(-1.0), ramp.at(0.0), ramp.at(1.0), ramp.at(2.0)), (0.3, 0.3, 0.9, 0.9));
            let values: Vec<f64> = (0..=100).map(|i| ramp.at(i as f64 / 100.0)).collect();
            assert!(values.is_sorted(), "{shape:?}");
        }
    }

    #[test]
    fn the_cubic_ramp_gives_the_published_sparsities() {
        let ramp = Ramp { from: 0.7, to: 0.9, shape: Shape::Cubic };
        let published = [0.7, 0.784259, 0.840741, 0.875, 0.892593, 0.899074, 0.9];
        for (i, expected) in published.iter().enumerate() {
            assert!((ramp.at(i as f64 / 6.0) - expected).abs() < 5e-7);
        }
    }
}
