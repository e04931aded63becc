//! Floats to bytes and back.
//!
//! A byte `q` stands for `scale · (q - zero)`. Scales are fixed when a model was trained for it, and
//! measured for each token otherwise.

use crate::infer::simd::{Floats, Quads, Simd};

/// Scale, zero point and bounds, for unsigned bytes (the left operand of a product) or signed ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine {
    /// What one step stands for.
    pub scale: f32,
    /// The byte that stands for zero.
    pub zero: i32,
    /// The least byte.
    pub low: i32,
    /// The greatest byte.
    pub high: i32,
}

/// How the input of a product becomes bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rounding {
    /// As trained.
    Fixed(Affine),
    /// By the least and the greatest value of each token.
    Measured,
}

/// Scale and zero point of sixteen tokens: a byte `q` stands for `scale · q - moved`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TokenScale {
    /// What one step stands for.
    pub scale: Floats,
    /// The scale times the zero point.
    pub moved: Floats,
}

/// Where the rows of an activation tile lie: group `g` of row `r` at `base[g] + r * stride[g]`.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// The first row of each group.
    pub base: [usize; 4],
    /// From one row to the next.
    pub stride: [usize; 4],
    /// How many groups there are, at most four.
    pub groups: usize,
}

impl Layout {
    /// Rows that lie side by side.
    pub fn tile(groups: usize) -> Layout {
        Layout { base: [0, 1, 2, 3], stride: [groups; 4], groups }
    }

    #[inline(always)]
    fn at(&self, row: usize, group: usize) -> usize {
        self.base[group] + row * self.stride[group]
    }
}

/// What it takes to round sixteen tokens.
#[derive(Clone, Copy)]
pub struct Rounder<S: Simd> {
    inverse: S::F,
    low: S::F,
    high: S::F,
    zero: S::I,
}

impl<S: Simd> Rounder<S> {
    /// Fixed scale and zero point.
    #[inline(always)]
    pub fn fixed(simd: S, affine: Affine) -> Self {
        Rounder {
            inverse: simd.splat(1.0 / affine.scale),
            low: simd.splat((affine.low - affine.zero) as f32),
            high: simd.splat((affine.high - affine.zero) as f32),
            zero: simd.splat_int(affine.zero),
        }
    }

    /// Signed bytes around zero.
    #[inline(always)]
    pub fn symmetric(simd: S, inverse: S::F) -> Self {
        let (low, high) = (simd.splat(-127.0), simd.splat(127.0));
        Rounder { inverse, low, high, zero: simd.splat_int(0) }
    }

    /// The byte of each lane, ties to even.
    #[inline(always)]
    pub fn round(&self, simd: S, x: S::F) -> S::I {
        let steps = simd.mul(x, self.inverse);
        let steps = simd.min(simd.max(steps, self.low), self.high);
        simd.add_int(simd.round_to_int(steps), self.zero)
    }
}

/// The tokens' scales under a fixed one.
#[inline(always)]
pub fn fixed_scale<S: Simd>(simd: S, affine: Affine) -> TokenScale {
    let mut scale = TokenScale::default();
    simd.store(simd.splat(affine.scale), &mut scale.scale);
    simd.store(simd.splat(affine.scale * affine.zero as f32), &mut scale.moved);
    scale
}

/// The scale under which a token's values, zero among them, fill the unsigned bytes.
#[inline(always)]
pub fn measured<S: Simd>(simd: S, least: S::F, most: S::F) -> (Rounder<S>, TokenScale) {
    let zero = simd.splat(0.0);
    let (least, most) = (simd.min(least, zero), simd.max(most, zero));
    // A token of zeros has any scale.
    let span = simd.max(simd.sub(most, least), simd.splat(1e-30));
    let scale = simd.mul(span, simd.splat(1.0 / 255.0));
    let inverse = simd.div(simd.splat(255.0), span);
    let point = simd.round(simd.sub(zero, simd.mul(least, inverse)));
    let mut stored = TokenScale::default();
    simd.store(scale, &mut stored.scale);
    simd.store(simd.mul(scale, point), &mut stored.moved);
    let low = simd.sub(zero, point);
    let high = simd.add(low, simd.splat(255.0));
    let rounder = Rounder { inverse, low, high, zero: simd.round_to_int(point) };
    (rounder, stored)
}

/// Rounds all `rows` of a tile to bytes, four consecutive rows together: `packed[row / 4][group]`. Rows
/// behind the last one are zero.
#[inline(always)]
pub fn pack<S: Simd>(
    simd: S,
    rounding: Rounding,
    rows: usize,
    from: &[Floats],
    layout: &Layout,
    packed: &mut [Quads],
    scales: &mut [TokenScale],
) {
    for group in 0..layout.groups {
        let rounder = match rounding {
            Rounding::Fixed(affine) => {
                scales[group] = fixed_scale(simd, affine);
                Rounder::fixed(simd, affine)
            }
            Rounding::Measured => {
                let (mut least, mut most) = ([simd.splat(0.0); 2], [simd.splat(0.0); 2]);
                for pair in 0..rows / 2 {
                    for i in 0..2 {
                        let x = simd.load(&from[layout.at(2 * pair + i, group)]);
                        least[i] = simd.min(least[i], x);
                        most[i] = simd.max(most[i], x);
                    }
                }
                if rows % 2 == 1 {
                    let x = simd.load(&from[layout.at(rows - 1, group)]);
                    least[0] = simd.min(least[0], x);
                    most[0] = simd.max(most[0], x);
                }
                let (least, most) = (simd.min(least[0], least[1]), simd.max(most[0], most[1]));
                let (rounder, scale) = measured(simd, least, most);
                scales[group] = scale;
                rounder
            }
        };
        for quad in 0..rows.div_ceil(4) {
            let mut bytes = [simd.splat_int(0); 4];
            for (i, bytes) in bytes.iter_mut().enumerate() {
                let row = 4 * quad + i;
                if row < rows {
                    *bytes = rounder.round(simd, simd.load(&from[layout.at(row, group)]));
                }
            }
            simd.store_quads(bytes, &mut packed[quad * layout.groups + group]);
        }
    }
}
