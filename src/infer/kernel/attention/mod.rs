//! The attention of one head over one sequence, `softmax(QKᵀ/√d)V`.
//!
//! Scores are `[keys][queries]` with the queries in the lanes, so that the softmax needs no sums across lanes. Both
//! products use the dense kernel: `QKᵀ` with K in place of a layer's weights, and the product of probabilities and V
//! with V. Positional information may add a bias to the scores, mask distant keys ([`terms`]), rotate Q and K before
//! the product ([`rotary`]), or add products of Q and K with embeddings of distances ([`distances`]).

pub mod distances;
mod operands;
mod positional;
pub mod rotary;
pub mod terms;
mod workspace;

pub use distances::Distances;
pub use rotary::Rotary;
pub use terms::{Bias, Terms};
pub use workspace::{Head, Operands, Workspace};

use operands::{blank_padding, quantize_keys, quantize_queries, quantize_values};
use positional::{Block, Positional};
use workspace::{CHUNK, TOGETHER};

use super::activation::exp2;
use super::product::{Dense, Float32, Int8, Panel, dense};
use super::quantize::Quantizer;
use crate::infer::simd::{Floats, LANES, Quads, Simd};

/// Computes the attention output `out[features][groups]` from Q, K and V of the workspace.
#[inline(always)]
pub fn attend<S: Simd>(
    simd: S,
    head: Head,
    terms: Option<Terms<'_>>,
    space: &mut Workspace,
    out: &mut [Floats],
) {
    blank_padding(&head, &mut space.values);
    if head.scores != Operands::Float32 {
        quantize_queries(simd, &head, space);
        quantize_keys(simd, &head, space);
    }
    if head.context != Operands::Float32 {
        quantize_values(simd, &head, space);
    }
    // Compiled twice, so that the loops of other models do not test for terms.
    match terms {
        None => all_queries(simd, &head, (), space, out),
        Some(Terms { distances: Some(distances), .. }) => all_queries(simd, &head, distances, space, out),
        Some(terms) => all_queries(simd, &head, terms, space, out),
    }
}

#[inline(always)]
fn all_queries<S: Simd>(
    simd: S,
    head: &Head,
    terms: impl Positional,
    space: &mut Workspace,
    out: &mut [Floats],
) {
    let mut first = 0;
    terms.prepare(simd, head, space);
    while first < head.groups {
        let count = TOGETHER.min(head.groups - first);
        let block = Block { first, count, keys: terms.keys(first, count, head.tokens) };
        terms.begin(simd, head, space, &block);
        let most = scores(simd, head, terms, space, &block);
        let probabilities = softmax(simd, head, space, &block, most);
        context(simd, head, space, &block, probabilities, out);
        first += count;
    }
}

/// Reinterprets quantized features as int8 weights of the dense kernel, four consecutive features of a token in each.
#[inline(always)]
fn words(quads: &[Quads]) -> &[[i8; 4]] {
    // SAFETY: 64 bytes are sixteen times four, and signed bytes have no alignment or invalid values.
    unsafe { std::slice::from_raw_parts(quads.as_ptr().cast(), quads.len() * LANES) }
}

/// Computes the scores `QKᵀ/√d` with the terms of positions for a block, `[keys][count]`, and returns the maximum of each
/// query.
#[inline(always)]
fn scores<S: Simd, P: Positional>(
    simd: S,
    head: &Head,
    terms: P,
    space: &mut Workspace,
    block: &Block,
) -> [S::F; TOGETHER] {
    let Block { first, count, ref keys } = *block;
    let (from, end) = (keys.start, keys.end);
    let groups = head.groups;
    let shrink = 1.0 / ((head.features * terms.count()) as f32).sqrt();
    let mut most = [simd.splat(f32::MIN); TOGETHER];
    let mut scale = [simd.splat(0.0); TOGETHER];
    let mut shift = scale;
    // The scale of all keys with static quantization. The zero point of the keys adds the same to all scores of a query,
    // which the softmax cancels.
    let of_keys = match head.scores {
        Operands::Static { right, .. } => right.scale,
        _ => 1.0,
    };
    for g in 0..count {
        let query = &space.query_scales[first + g].0;
        scale[g] = simd.mul(simd.load(&query.scale), simd.splat(shrink * of_keys));
        shift[g] = simd.mul(simd.load(&query.shift), simd.splat(shrink * of_keys));
    }
    for start in (from..end).step_by(CHUNK) {
        let rows = start..(start + CHUNK).min(end);
        if head.scores == Operands::Float32 {
            let keys = Dense {
                weights: Floats::lanes(&space.keys),
                row: 1,
                step: groups * LANES,
                steps: head.features,
            };
            let panel = Panel { steps: &space.queries, width: groups, groups: first..first + count };
            dense::<S, Float32>(simd, keys, rows.clone(), &panel, &mut space.float_sums);
        } else {
            let keys = Dense {
                weights: words(&space.key_bytes),
                row: 1,
                step: groups * LANES,
                steps: head.features.div_ceil(4),
            };
            let panel = Panel { steps: &space.query_bytes, width: groups, groups: first..first + count };
            dense::<S, Int8>(simd, keys, rows.clone(), &panel, &mut space.sums);
        }
        terms.products(simd, head, space, block, rows.clone());
        for (i, key) in rows.enumerate() {
            for g in 0..count {
                let score = if head.scores == Operands::Float32 {
                    simd.mul(simd.load(&space.float_sums[i * count + g]), simd.splat(shrink))
                } else {
                    let (key_scale, key_sum) = &space.key_scales[key / LANES];
                    let minus = simd.splat(-(key_sum.0[key % LANES] as f32));
                    let sum = simd.to_float(simd.load_int(&space.sums[i * count + g]));
                    let whole = simd.fma(shift[g], minus, simd.mul(scale[g], sum));
                    match head.scores {
                        Operands::Static { .. } => whole,
                        _ => simd.mul(whole, simd.splat(key_scale.0[key % LANES])),
                    }
                };
                let mut score = terms.add(simd, score, key, first + g);
                if P::HAS_PRODUCTS {
                    score = simd.fma(simd.load(&space.pairs[i * count + g]), simd.splat(shrink), score);
                }
                most[g] = simd.max(most[g], score);
                simd.store(score, &mut space.scores[(key - from) * count + g]);
            }
        }
    }
    most
}

/// Dequantization of the product of probabilities and V, for each query:
/// `(scale · sum − shift · Σv − offset) · s_v`, with the int32 sum, and the sum Σv and the scale s_v of a feature's
/// quantized values. In float32 it is `scale · sum`.
#[derive(Clone, Copy)]
struct ProbabilityScales<S: Simd> {
    scale: [S::F; TOGETHER],
    shift: [S::F; TOGETHER],
    offset: [S::F; TOGETHER],
}

/// Computes the softmax of the scores over the keys. Float32 and dynamically quantized probabilities are stored as
/// exponentials; [`ProbabilityScales::scale`] includes the division by their sum.
#[inline(always)]
fn softmax<S: Simd>(
    simd: S,
    head: &Head,
    space: &mut Workspace,
    block: &Block,
    most: [S::F; TOGETHER],
) -> ProbabilityScales<S> {
    let (count, keys) = (block.count, block.keys.len());
    let nothing = [simd.splat(0.0); TOGETHER];
    let mut probabilities = ProbabilityScales::<S> { scale: nothing, shift: nothing, offset: nothing };
    let quads = keys.div_ceil(4);
    let log2 = simd.splat(std::f32::consts::LOG2_E);
    // Several arrays run along.
    #[allow(clippy::needless_range_loop)]
    for g in 0..count {
        let mut total = simd.splat(0.0);
        // The exponential of `score − most` is a power of two.
        let most = simd.mul(most[g], simd.splat(-std::f32::consts::LOG2_E));
        if head.context == Operands::Dynamic {
            // The greatest exponential is 1 and becomes 255.
            for quad in 0..quads {
                let mut bytes = [simd.splat_int(0); 4];
                for (i, bytes) in bytes.iter_mut().enumerate() {
                    let key = 4 * quad + i;
                    if key < keys {
                        let score = simd.load(&space.scores[key * count + g]);
                        let e = exp2(simd, simd.fma(score, log2, most));
                        total = simd.add(total, e);
                        *bytes = simd.round_to_int(simd.mul(e, simd.splat(255.0)));
                    }
                }
                simd.store_quads(bytes, &mut space.probability_bytes[quad * count + g]);
            }
            probabilities.scale[g] = simd.div(simd.splat(1.0 / 255.0), total);
            continue;
        }
        for key in 0..keys {
            let score = &mut space.scores[key * count + g];
            let e = exp2(simd, simd.fma(simd.load(score), log2, most));
            total = simd.add(total, e);
            simd.store(e, score);
        }
        let share = simd.div(simd.splat(1.0), total);
        let Operands::Static { left, right } = head.context else {
            probabilities.scale[g] = share;
            continue;
        };
        let quantizer = Quantizer::with_inverse(simd, left, simd.div(share, simd.splat(left.scale)));
        let mut sum = simd.splat_int(0);
        for quad in 0..quads {
            let mut bytes = [simd.splat_int(0); 4];
            for (i, bytes) in bytes.iter_mut().enumerate() {
                let key = 4 * quad + i;
                if key < keys {
                    *bytes = quantizer.quantize(simd, simd.load(&space.scores[key * count + g]));
                    sum = simd.add_int(sum, *bytes);
                }
            }
            simd.store_quads(bytes, &mut space.probability_bytes[quad * count + g]);
        }
        probabilities.scale[g] = simd.splat(left.scale);
        probabilities.shift[g] = simd.splat(left.scale * left.zero as f32);
        let tokens = simd.splat(-(keys as f32));
        let whole =
            simd.fma(probabilities.shift[g], tokens, simd.mul(probabilities.scale[g], simd.to_float(sum)));
        probabilities.offset[g] = simd.mul(whole, simd.splat(right.zero as f32));
    }
    probabilities
}

/// Computes the product of probabilities and V for a block, into `out`.
#[inline(always)]
fn context<S: Simd>(
    simd: S,
    head: &Head,
    space: &mut Workspace,
    block: &Block,
    probabilities: ProbabilityScales<S>,
    out: &mut [Floats],
) {
    let groups = head.groups;
    let Block { first, count, ref keys } = *block;
    // The sums Σv of the workspace are those over all tokens.
    let partial =
        keys.len() < head.tokens && matches!(head.context, Operands::Static { left, .. } if left.zero != 0);
    for start in (0..head.features).step_by(CHUNK) {
        let rows = start..(start + CHUNK).min(head.features);
        if head.context == Operands::Float32 {
            let values = Dense {
                weights: &Floats::lanes(&space.values)[keys.start..],
                row: groups * LANES,
                step: 1,
                steps: keys.len(),
            };
            let panel = Panel { steps: &space.scores, width: count, groups: 0..count };
            dense::<S, Float32>(simd, values, rows.clone(), &panel, &mut space.float_sums);
        } else {
            let values = Dense {
                weights: &space.value_bytes[keys.start / 4..],
                row: groups * 4,
                step: 1,
                steps: keys.len().div_ceil(4),
            };
            let panel = Panel { steps: &space.probability_bytes, width: count, groups: 0..count };
            dense::<S, Int8>(simd, values, rows.clone(), &panel, &mut space.sums);
        }
        for (i, feature) in rows.enumerate() {
            let (value_scale, mut total) = space.value_scales[feature];
            if partial {
                let row = &space.value_bytes[feature * groups * 4..(feature + 1) * groups * 4];
                let words = &row[keys.start / 4..keys.end.div_ceil(4)];
                total = words.iter().flatten().take(keys.len()).map(|v| i32::from(*v)).sum();
            }
            for g in 0..count {
                let value = if head.context == Operands::Float32 {
                    simd.mul(simd.load(&space.float_sums[i * count + g]), probabilities.scale[g])
                } else {
                    let sum = simd.to_float(simd.load_int(&space.sums[i * count + g]));
                    let whole = simd.mul(probabilities.scale[g], sum);
                    let whole = simd.fma(probabilities.shift[g], simd.splat(-(total as f32)), whole);
                    simd.mul(simd.sub(whole, probabilities.offset[g]), simd.splat(value_scale))
                };
                simd.store(value, &mut out[feature * groups + first + g]);
            }
        }
    }
}
