//! Quantization of activations to int8.
//!
//! An integer q represents `scale · (q − zero)`. Scale and zero point are constants of the model (static quantization),
//! or computed from the minimum and maximum of each token (dynamic quantization).

use super::rows::{Source, Strided, Target};
use crate::infer::simd::{Floats, Quads, Simd};

/// Quantization parameters: `q = clamp(round(x / scale) + zero, low, high)`. The left operand of a product is unsigned,
/// the right one signed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QParams {
    /// The scale.
    pub scale: f32,
    /// The zero point.
    pub zero: i32,
    /// `qmin`.
    pub low: i32,
    /// `qmax`.
    pub high: i32,
}

/// The quantization of the input of a product.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum InputQuantization {
    /// Static quantization.
    Static(QParams),
    /// Dynamic quantization, by the minimum and maximum of each token.
    Dynamic,
}

/// Scale and zero point of sixteen tokens: q represents `scale · q − shift`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TokenScale {
    /// The scale.
    pub scale: Floats,
    /// The scale times the zero point.
    pub shift: Floats,
}

/// The strides of a tile of activations: row r of group g is at index `base[g] + r · stride[g]`.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// The index of each group's first row.
    pub base: [usize; 4],
    /// The distance from one row of a group to the next.
    pub stride: [usize; 4],
    /// The number of groups, at most four.
    pub groups: usize,
}

impl Layout {
    /// A contiguous tile `[rows][groups]`.
    pub fn tile(groups: usize) -> Layout {
        Layout { base: [0, 1, 2, 3], stride: [groups; 4], groups }
    }
}

/// The quantization parameters of sixteen tokens, in registers.
#[derive(Clone, Copy)]
pub struct Quantizer<S: Simd> {
    inverse: S::F,
    low: S::F,
    high: S::F,
    zero: S::I,
}

impl<S: Simd> Quantizer<S> {
    /// The same parameters for all tokens.
    #[inline(always)]
    pub fn new(simd: S, qparams: QParams) -> Self {
        Quantizer {
            inverse: simd.splat(1.0 / qparams.scale),
            low: simd.splat((qparams.low - qparams.zero) as f32),
            high: simd.splat((qparams.high - qparams.zero) as f32),
            zero: simd.splat_int(qparams.zero),
        }
    }

    /// Parameters with another reciprocal of the scale for each token.
    #[inline(always)]
    pub fn with_inverse(simd: S, qparams: QParams, inverse: S::F) -> Self {
        Quantizer { inverse, ..Quantizer::new(simd, qparams) }
    }

    /// Symmetric quantization to -127..=127, with `inverse` the reciprocal of the scale.
    #[inline(always)]
    pub fn symmetric(simd: S, inverse: S::F) -> Self {
        let (low, high) = (simd.splat(-127.0), simd.splat(127.0));
        Quantizer { inverse, low, high, zero: simd.splat_int(0) }
    }

    /// `q = clamp(round(x · inverse) + zero, low, high)` for each lane, ties to even.
    #[inline(always)]
    pub fn quantize(&self, simd: S, x: S::F) -> S::I {
        let steps = simd.mul(x, self.inverse);
        let steps = simd.min(simd.max(steps, self.low), self.high);
        simd.add_int(simd.round_to_int(steps), self.zero)
    }
}

/// The scale and shift of static quantization for sixteen tokens.
#[inline(always)]
pub fn static_scale<S: Simd>(simd: S, qparams: QParams) -> TokenScale {
    let mut scale = TokenScale::default();
    simd.store(simd.splat(qparams.scale), &mut scale.scale);
    simd.store(simd.splat(qparams.scale * qparams.zero as f32), &mut scale.shift);
    scale
}

/// Dynamic asymmetric quantization: maps the range `min(least, 0)..=max(most, 0)` of each token to 0..=255.
#[inline(always)]
pub fn dynamic_quantizer<S: Simd>(simd: S, least: S::F, most: S::F) -> (Quantizer<S>, TokenScale) {
    let zero = simd.splat(0.0);
    let (least, most) = (simd.min(least, zero), simd.max(most, zero));
    // Any scale will do for a token of zeros.
    let span = simd.max(simd.sub(most, least), simd.splat(1e-30));
    let scale = simd.mul(span, simd.splat(1.0 / 255.0));
    let inverse = simd.div(simd.splat(255.0), span);
    let point = simd.round(simd.sub(zero, simd.mul(least, inverse)));
    let mut stored = TokenScale::default();
    simd.store(scale, &mut stored.scale);
    simd.store(simd.mul(scale, point), &mut stored.shift);
    let low = simd.sub(zero, point);
    let high = simd.add(low, simd.splat(255.0));
    let quantizer = Quantizer { inverse, low, high, zero: simd.round_to_int(point) };
    (quantizer, stored)
}

/// Quantizes a tile of `rows` features to uint8 and packs four consecutive features together: `packed[rows / 4][groups]`
/// and `scales[groups]`. Features beyond the last one are zero.
#[inline(always)]
pub fn pack<S: Simd>(
    simd: S,
    quantization: InputQuantization,
    rows: usize,
    from: &[Floats],
    layout: &Layout,
    packed: &mut [Quads],
    scales: &mut [TokenScale],
) {
    for (group, scale) in scales.iter_mut().enumerate().take(layout.groups) {
        let from = Strided { slice: from, first: layout.base[group], stride: layout.stride[group] };
        let mut to = Strided { slice: &mut *packed, first: group, stride: layout.groups };
        *scale = pack_group(simd, quantization, rows, &from, &mut to);
    }
}

/// Quantizes the features of one group, and packs four consecutive ones together. Returns their scale.
#[inline(always)]
pub fn pack_group<S: Simd>(
    simd: S,
    quantization: InputQuantization,
    rows: usize,
    from: &impl Source,
    to: &mut impl Target<Quads>,
) -> TokenScale {
    let (quantizer, scale) = match quantization {
        InputQuantization::Static(qparams) => (Quantizer::new(simd, qparams), static_scale(simd, qparams)),
        InputQuantization::Dynamic => {
            let (mut least, mut most) = ([simd.splat(0.0); 2], [simd.splat(0.0); 2]);
            for pair in 0..rows / 2 {
                for i in 0..2 {
                    let x = simd.load(from.row(2 * pair + i));
                    least[i] = simd.min(least[i], x);
                    most[i] = simd.max(most[i], x);
                }
            }
            if rows % 2 == 1 {
                let x = simd.load(from.row(rows - 1));
                least[0] = simd.min(least[0], x);
                most[0] = simd.max(most[0], x);
            }
            dynamic_quantizer(simd, simd.min(least[0], least[1]), simd.max(most[0], most[1]))
        }
    };
    for quad in 0..rows.div_ceil(4) {
        let mut bytes = [simd.splat_int(0); 4];
        for (i, bytes) in bytes.iter_mut().enumerate() {
            let row = 4 * quad + i;
            if row < rows {
                *bytes = quantizer.quantize(simd, simd.load(from.row(row)));
            }
        }
        simd.store_quads(bytes, to.row_mut(quad));
    }
    scale
}
