//! Quantization of the queries, keys and values of a head to int8.

use super::{Head, Operands, Workspace};
use crate::infer::kernel::quantize::{Quantizer, dynamic_quantizer, static_scale};
use crate::infer::simd::{Floats, Ints, LANES, Quads, Simd};

/// Sets V to zero for the padding tokens in the last group, so that they do not contribute to any query.
#[inline(always)]
pub(super) fn blank_padding(head: &Head, values: &mut [Floats]) {
    let used = head.tokens - (head.groups - 1) * LANES;
    for last in values[..head.features * head.groups].iter_mut().skip(head.groups - 1).step_by(head.groups) {
        last.0[used..].fill(0.0);
    }
}

#[inline(always)]
pub(super) fn quantize_queries<S: Simd>(simd: S, head: &Head, space: &mut Workspace) {
    let (features, groups) = (head.features, head.groups);
    for group in 0..groups {
        let (quantizer, scale) = match head.scores {
            Operands::Static { left, .. } => (Quantizer::new(simd, left), static_scale(simd, left)),
            _ => {
                let (mut least, mut most) = (simd.splat(0.0), simd.splat(0.0));
                for feature in 0..features {
                    let x = simd.load(&space.queries[feature * groups + group]);
                    least = simd.min(least, x);
                    most = simd.max(most, x);
                }
                dynamic_quantizer(simd, least, most)
            }
        };
        let sum = pack(simd, &quantizer, features, groups, group, &space.queries, &mut space.query_bytes);
        space.query_scales[group].0 = scale;
        simd.store_int(sum, &mut space.query_scales[group].1);
    }
}

#[inline(always)]
pub(super) fn quantize_keys<S: Simd>(simd: S, head: &Head, space: &mut Workspace) {
    let (features, groups) = (head.features, head.groups);
    for group in 0..groups {
        let quantizer = match head.scores {
            Operands::Static { right, .. } => {
                space.key_scales[group].0 = Floats([right.scale; LANES]);
                Quantizer::new(simd, right)
            }
            _ => {
                let mut size = simd.splat(1e-30);
                for feature in 0..features {
                    let x = simd.load(&space.keys[feature * groups + group]);
                    size = simd.max(size, simd.max(x, simd.sub(simd.splat(0.0), x)));
                }
                simd.store(simd.mul(size, simd.splat(1.0 / 127.0)), &mut space.key_scales[group].0);
                Quantizer::symmetric(simd, simd.div(simd.splat(127.0), size))
            }
        };
        let sum = pack(simd, &quantizer, features, groups, group, &space.keys, &mut space.key_bytes);
        simd.store_int(sum, &mut space.key_scales[group].1);
    }
}

/// Quantizes the features of one group, and returns the sum of the integers of each token.
#[inline(always)]
fn pack<S: Simd>(
    simd: S,
    quantizer: &Quantizer<S>,
    features: usize,
    groups: usize,
    group: usize,
    from: &[Floats],
    to: &mut [Quads],
) -> S::I {
    let mut sum = simd.splat_int(0);
    for quad in 0..features.div_ceil(4) {
        let mut bytes = [simd.splat_int(0); 4];
        for (i, bytes) in bytes.iter_mut().enumerate() {
            let feature = 4 * quad + i;
            if feature < features {
                *bytes = quantizer.quantize(simd, simd.load(&from[feature * groups + group]));
                sum = simd.add_int(sum, *bytes);
            }
        }
        simd.store_quads(bytes, &mut to[quad * groups + group]);
    }
    sum
}

#[inline(always)]
pub(super) fn quantize_values<S: Simd>(simd: S, head: &Head, space: &mut Workspace) {
    let groups = head.groups;
    let used = head.tokens - (groups - 1) * LANES;
    for feature in 0..head.features {
        let row = &space.values[feature * groups..(feature + 1) * groups];
        let (quantizer, scale) = match head.context {
            Operands::Static { right, .. } => (Quantizer::new(simd, right), right.scale),
            _ => {
                let mut size = simd.splat(1e-30);
                for x in row {
                    let x = simd.load(x);
                    size = simd.max(size, simd.max(x, simd.sub(simd.splat(0.0), x)));
                }
                let mut lanes = Floats::default();
                simd.store(size, &mut lanes);
                let size = lanes.0.iter().fold(1e-30f32, |a, b| a.max(*b));
                (Quantizer::symmetric(simd, simd.splat(127.0 / size)), size / 127.0)
            }
        };
        let mut sum = simd.splat_int(0);
        let words = &mut space.value_bytes[feature * groups * 4..(feature + 1) * groups * 4];
        for (i, (x, words)) in row.iter().zip(words.as_chunks_mut::<4>().0).enumerate() {
            let mut whole = quantizer.quantize(simd, simd.load(x));
            if i + 1 == groups && used < LANES {
                // With a zero point, quantized padding is not zero.
                let mut lanes = Ints::default();
                simd.store_int(whole, &mut lanes);
                lanes.0[used..].fill(0);
                whole = simd.load_int(&lanes);
            }
            sum = simd.add_int(sum, whole);
            let mut bytes = [0i8; LANES];
            simd.store_bytes(whole, &mut bytes);
            words.copy_from_slice(bytes.as_chunks::<4>().0);
        }
        let mut lanes = Ints::default();
        simd.store_int(sum, &mut lanes);
        space.value_scales[feature] = (scale, lanes.0.iter().sum());
    }
}
