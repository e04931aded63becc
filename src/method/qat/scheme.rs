//! Quantization schemes: the integer range, and the scale and zero point for a range of values.

use super::observer::Range;

/// The least scale, 2⁻²³: that of a tensor of zeros (PyTorch's `eps` of observers).
pub const LEAST_SCALE: f32 = f32::EPSILON;

/// A quantization scheme: bits, and symmetric or asymmetric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// Bits b of an integer, in 2..=8.
    pub bits: u32,
    /// Whether the zero point is 0 and integers are signed; otherwise they are unsigned with a zero point.
    pub symmetric: bool,
}

impl Grid {
    /// `qmin`: −2ᵇ⁻¹ if symmetric, else 0.
    pub fn least(self) -> i32 {
        if self.symmetric { -(1 << (self.bits - 1)) } else { 0 }
    }

    /// `qmax`: 2ᵇ⁻¹ − 1 if symmetric, else 2ᵇ − 1.
    pub fn greatest(self) -> i32 {
        self.least() + (1 << self.bits) - 1
    }

    /// The scale s and the zero point z for a range, which is extended to contain 0 (`calculate_qparams` of PyTorch's
    /// observers).
    ///
    /// - Symmetric: `s = max(|low|, |high|) / ((qmax − qmin) / 2)`, `z = 0`.
    /// - Asymmetric: `s = (high − low) / (qmax − qmin)`, `z = clamp(qmin − round(low / s), qmin, qmax)`.
    ///
    /// `s ≥ 2⁻²³`; `round` is to even.
    pub fn scale_of(self, range: Range) -> (f32, i32) {
        let (low, high) = (range.low.min(0.0), range.high.max(0.0));
        let steps = (self.greatest() - self.least()) as f32;
        if self.symmetric {
            return (((-low).max(high) / (steps / 2.0)).max(LEAST_SCALE), 0);
        }
        let scale = ((high - low) / steps).max(LEAST_SCALE);
        let zero = self.least() - (low / scale).round_ties_even() as i32;
        (scale, zero.clamp(self.least(), self.greatest()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_signed_around_zero_and_unsigned_else() {
        let ends = |bits, symmetric| {
            let grid = Grid { bits, symmetric };
            (grid.least(), grid.greatest())
        };
        assert_eq!(ends(8, true), (-128, 127));
        assert_eq!(ends(8, false), (0, 255));
        assert_eq!(ends(4, true), (-8, 7));
    }

    #[test]
    fn a_range_of_zeros_has_the_least_scale_and_zero_stays_zero() {
        for symmetric in [false, true] {
            let grid = Grid { bits: 8, symmetric };
            assert_eq!(grid.scale_of(Range { low: 0.0, high: 0.0 }), (LEAST_SCALE, 0));
        }
    }

    #[test]
    fn every_range_is_extended_to_zero() {
        let grid = Grid { bits: 8, symmetric: false };
        assert_eq!(grid.scale_of(Range { low: 2.0, high: 5.1 }), (5.1 / 255.0, 0));
        assert_eq!(grid.scale_of(Range { low: -5.1, high: -2.0 }), (5.1 / 255.0, 255));
    }
}
