//! The attention of one head over one sequence: scores of all keys for each query, softmax over the keys,
//! and the values weighted by it.
//!
//! Queries lie in the lanes and keys in the rows, so that a softmax goes along rows and needs no sums
//! across lanes. Both products are the dense one: keys are the "weights" of the first, values of the second.

use super::affine::{Affine, Rounder, TokenScale, measured};
use super::curves::exp;
use super::product::{Dense, OfBytes, OfFloats, Panel, dense};
use crate::infer::simd::{Floats, Ints, LANES, Quads, Simd};

/// How one of the two products is computed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Operands {
    /// In floats.
    Floats,
    /// In bytes, with scales measured for each token and each feature of the values.
    Measured,
    /// In bytes, as trained.
    Fixed {
        /// The queries, or the probabilities: unsigned.
        left: Affine,
        /// The keys, or the values: signed.
        right: Affine,
    },
}

/// One head: queries, keys and values are `[features][groups]`.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    /// Features of a head.
    pub features: usize,
    /// Tokens of the sequence.
    pub tokens: usize,
    /// Groups of sixteen tokens, the last one filled up.
    pub groups: usize,
    /// The product of queries and keys.
    pub scores: Operands,
    /// The product of probabilities and values.
    pub context: Operands,
}

/// Memory for one head, for sequences up to a length.
#[derive(Debug, Default)]
pub struct Workspace {
    /// Queries, keys and values, `[features][groups]` each.
    pub queries: Vec<Floats>,
    /// See `queries`.
    pub keys: Vec<Floats>,
    /// See `queries`.
    pub values: Vec<Floats>,
    query_bytes: Vec<Quads>,
    key_bytes: Vec<Quads>,
    /// `[features][tokens / 4]` words.
    value_bytes: Vec<[i8; 4]>,
    probability_bytes: Vec<Quads>,
    /// Scores of all keys for up to four groups of queries.
    scores: Vec<Floats>,
    /// The scale and the sum of bytes of each query group.
    query_scales: Vec<(TokenScale, Ints)>,
    key_scales: Vec<(Floats, Ints)>,
    value_scales: Vec<(f32, i32)>,
    sums: Vec<Ints>,
    float_sums: Vec<Floats>,
}

/// Rows of a product that are finished together, while they are in the nearest cache.
const CHUNK: usize = 12;
/// Groups of queries taken together.
const TOGETHER: usize = 4;

impl Workspace {
    /// For heads of so many features and sequences of so many groups.
    pub fn new(features: usize, groups: usize) -> Self {
        let quads = features.div_ceil(4);
        Workspace {
            queries: vec![Floats::default(); features * groups],
            keys: vec![Floats::default(); features * groups],
            values: vec![Floats::default(); features * groups],
            query_bytes: vec![Quads::default(); quads * groups],
            key_bytes: vec![Quads::default(); quads * groups],
            value_bytes: vec![[0; 4]; features * groups * 4],
            probability_bytes: vec![Quads::default(); groups * 4 * TOGETHER],
            scores: vec![Floats::default(); groups * LANES * TOGETHER],
            query_scales: vec![Default::default(); groups],
            key_scales: vec![Default::default(); groups],
            value_scales: vec![Default::default(); features],
            sums: vec![Ints::default(); CHUNK * TOGETHER],
            float_sums: vec![Floats::default(); CHUNK * TOGETHER],
        }
    }

    /// Its bytes.
    pub fn memory(&self) -> usize {
        let floats = [&self.queries, &self.keys, &self.values, &self.scores, &self.float_sums];
        let bytes = [&self.query_bytes, &self.key_bytes, &self.probability_bytes];
        floats.iter().map(|f| size_of_val(&***f)).sum::<usize>()
            + bytes.iter().map(|b| size_of_val(&***b)).sum::<usize>()
            + size_of_val(&*self.value_bytes)
            + size_of_val(&*self.query_scales)
            + size_of_val(&*self.key_scales)
            + size_of_val(&*self.value_scales)
            + size_of_val(&*self.sums)
    }
}

/// The context of every query, `out[feature][group]`, from the queries, keys and values of the workspace.
#[inline(always)]
pub fn attend<S: Simd>(simd: S, head: Head, space: &mut Workspace, out: &mut [Floats]) {
    blank_padding(&head, &mut space.values);
    if head.scores != Operands::Floats {
        round_queries(simd, &head, space);
        round_keys(simd, &head, space);
    }
    if head.context != Operands::Floats {
        round_values(simd, &head, space);
    }
    let mut first = 0;
    while first < head.groups {
        let count = TOGETHER.min(head.groups - first);
        let most = scores(simd, &head, space, first, count);
        let shares = softmax(simd, &head, space, count, most);
        context(simd, &head, space, first, count, shares, out);
        first += count;
    }
}

/// Lanes behind the last token hold whatever their rows came to; no query may see their values.
#[inline(always)]
fn blank_padding(head: &Head, values: &mut [Floats]) {
    let used = head.tokens - (head.groups - 1) * LANES;
    for last in values[..head.features * head.groups].iter_mut().skip(head.groups - 1).step_by(head.groups) {
        last.0[used..].fill(0.0);
    }
}

#[inline(always)]
fn round_queries<S: Simd>(simd: S, head: &Head, space: &mut Workspace) {
    let (features, groups) = (head.features, head.groups);
    for group in 0..groups {
        let (rounder, scale) = match head.scores {
            Operands::Fixed { left, .. } => {
                (Rounder::fixed(simd, left), super::affine::fixed_scale(simd, left))
            }
            _ => {
                let (mut least, mut most) = (simd.splat(0.0), simd.splat(0.0));
                for feature in 0..features {
                    let x = simd.load(&space.queries[feature * groups + group]);
                    least = simd.min(least, x);
                    most = simd.max(most, x);
                }
                measured(simd, least, most)
            }
        };
        let sum = pack(simd, &rounder, features, groups, group, &space.queries, &mut space.query_bytes);
        space.query_scales[group].0 = scale;
        simd.store_int(sum, &mut space.query_scales[group].1);
    }
}

#[inline(always)]
fn round_keys<S: Simd>(simd: S, head: &Head, space: &mut Workspace) {
    let (features, groups) = (head.features, head.groups);
    for group in 0..groups {
        let rounder = match head.scores {
            Operands::Fixed { right, .. } => {
                space.key_scales[group].0 = Floats([right.scale; LANES]);
                Rounder::fixed(simd, right)
            }
            _ => {
                let mut size = simd.splat(1e-30);
                for feature in 0..features {
                    let x = simd.load(&space.keys[feature * groups + group]);
                    size = simd.max(size, simd.max(x, simd.sub(simd.splat(0.0), x)));
                }
                simd.store(simd.mul(size, simd.splat(1.0 / 127.0)), &mut space.key_scales[group].0);
                Rounder::symmetric(simd, simd.div(simd.splat(127.0), size))
            }
        };
        let sum = pack(simd, &rounder, features, groups, group, &space.keys, &mut space.key_bytes);
        simd.store_int(sum, &mut space.key_scales[group].1);
    }
}

/// Rounds one group's column to bytes and returns the sum of each token's.
#[inline(always)]
fn pack<S: Simd>(
    simd: S,
    rounder: &Rounder<S>,
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
                *bytes = rounder.round(simd, simd.load(&from[feature * groups + group]));
                sum = simd.add_int(sum, *bytes);
            }
        }
        simd.store_quads(bytes, &mut to[quad * groups + group]);
    }
    sum
}

#[inline(always)]
fn round_values<S: Simd>(simd: S, head: &Head, space: &mut Workspace) {
    let groups = head.groups;
    let used = head.tokens - (groups - 1) * LANES;
    for feature in 0..head.features {
        let row = &space.values[feature * groups..(feature + 1) * groups];
        let (rounder, scale) = match head.context {
            Operands::Fixed { right, .. } => (Rounder::fixed(simd, right), right.scale),
            _ => {
                let mut size = simd.splat(1e-30);
                for x in row {
                    let x = simd.load(x);
                    size = simd.max(size, simd.max(x, simd.sub(simd.splat(0.0), x)));
                }
                let mut lanes = Floats::default();
                simd.store(size, &mut lanes);
                let size = lanes.0.iter().fold(1e-30f32, |a, b| a.max(*b));
                (Rounder::symmetric(simd, simd.splat(127.0 / size)), size / 127.0)
            }
        };
        let mut sum = simd.splat_int(0);
        let words = &mut space.value_bytes[feature * groups * 4..(feature + 1) * groups * 4];
        for (i, (x, words)) in row.iter().zip(words.as_chunks_mut::<4>().0).enumerate() {
            let mut whole = rounder.round(simd, simd.load(x));
            if i + 1 == groups && used < LANES {
                // With a zero point, what was blank is not zero.
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

/// Four signed bytes of each of sixteen tokens, as words.
#[inline(always)]
fn words(quads: &[Quads]) -> &[[i8; 4]] {
    // SAFETY: 64 bytes are sixteen times four, and signed bytes have no alignment or invalid values.
    unsafe { std::slice::from_raw_parts(quads.as_ptr().cast(), quads.len() * LANES) }
}

/// Scores `[tokens][count]`, and the greatest of each query.
#[inline(always)]
fn scores<S: Simd>(
    simd: S,
    head: &Head,
    space: &mut Workspace,
    first: usize,
    count: usize,
) -> [S::F; TOGETHER] {
    let groups = head.groups;
    let shrink = 1.0 / (head.features as f32).sqrt();
    let mut most = [simd.splat(f32::MIN); TOGETHER];
    let zero_point = match head.scores {
        Operands::Fixed { right, .. } => right.zero as f32,
        _ => 0.0,
    };
    let mut scale = [simd.splat(0.0); TOGETHER];
    let mut moved = scale;
    // The part that the keys' zero point takes away.
    let mut offset = scale;
    for g in 0..count {
        let (query, sum) = &space.query_scales[first + g];
        scale[g] = simd.mul(simd.load(&query.scale), simd.splat(shrink));
        moved[g] = simd.mul(simd.load(&query.moved), simd.splat(shrink));
        let sum = simd.to_float(simd.load_int(sum));
        let features = simd.splat(-(head.features as f32));
        let whole = simd.fma(moved[g], features, simd.mul(scale[g], sum));
        offset[g] = simd.mul(whole, simd.splat(zero_point));
    }
    for start in (0..head.tokens).step_by(CHUNK) {
        let rows = start..(start + CHUNK).min(head.tokens);
        if head.scores == Operands::Floats {
            let keys =
                Dense { weights: floats(&space.keys), row: 1, step: groups * LANES, steps: head.features };
            let panel = Panel { steps: &space.queries, width: groups, groups: first..first + count };
            dense::<S, OfFloats>(simd, keys, rows.clone(), &panel, &mut space.float_sums);
        } else {
            let keys = Dense {
                weights: words(&space.key_bytes),
                row: 1,
                step: groups * LANES,
                steps: head.features.div_ceil(4),
            };
            let panel = Panel { steps: &space.query_bytes, width: groups, groups: first..first + count };
            dense::<S, OfBytes>(simd, keys, rows.clone(), &panel, &mut space.sums);
        }
        for (i, key) in rows.enumerate() {
            for g in 0..count {
                let score = if head.scores == Operands::Floats {
                    simd.mul(simd.load(&space.float_sums[i * count + g]), simd.splat(shrink))
                } else {
                    let (key_scale, key_sum) = &space.key_scales[key / LANES];
                    let minus = simd.splat(-(key_sum.0[key % LANES] as f32));
                    let sum = simd.to_float(simd.load_int(&space.sums[i * count + g]));
                    let whole = simd.fma(moved[g], minus, simd.mul(scale[g], sum));
                    simd.mul(simd.sub(whole, offset[g]), simd.splat(key_scale.0[key % LANES]))
                };
                most[g] = simd.max(most[g], score);
                simd.store(score, &mut space.scores[key * count + g]);
            }
        }
    }
    most
}

/// What the second product needs of the softmax: the scale of its bytes, and their sums.
#[derive(Clone, Copy)]
struct Shares<S: Simd> {
    scale: [S::F; TOGETHER],
    moved: [S::F; TOGETHER],
    offset: [S::F; TOGETHER],
}

/// Turns scores into numbers that are proportional to probabilities, floats or bytes.
#[inline(always)]
fn softmax<S: Simd>(
    simd: S,
    head: &Head,
    space: &mut Workspace,
    count: usize,
    most: [S::F; TOGETHER],
) -> Shares<S> {
    let nothing = [simd.splat(0.0); TOGETHER];
    let mut shares = Shares::<S> { scale: nothing, moved: nothing, offset: nothing };
    let quads = head.tokens.div_ceil(4);
    // Several arrays run along.
    #[allow(clippy::needless_range_loop)]
    for g in 0..count {
        let mut total = simd.splat(0.0);
        if head.context == Operands::Measured {
            // The greatest is 1 and takes the greatest byte.
            for quad in 0..quads {
                let mut bytes = [simd.splat_int(0); 4];
                for (i, bytes) in bytes.iter_mut().enumerate() {
                    let key = 4 * quad + i;
                    if key < head.tokens {
                        let score = simd.load(&space.scores[key * count + g]);
                        let e = exp(simd, simd.sub(score, most[g]));
                        total = simd.add(total, e);
                        *bytes = simd.round_to_int(simd.mul(e, simd.splat(255.0)));
                    }
                }
                simd.store_quads(bytes, &mut space.probability_bytes[quad * count + g]);
            }
            shares.scale[g] = simd.div(simd.splat(1.0 / 255.0), total);
            continue;
        }
        for key in 0..head.tokens {
            let score = &mut space.scores[key * count + g];
            let e = exp(simd, simd.sub(simd.load(score), most[g]));
            total = simd.add(total, e);
            simd.store(e, score);
        }
        let share = simd.div(simd.splat(1.0), total);
        let Operands::Fixed { left, right } = head.context else {
            shares.scale[g] = share;
            continue;
        };
        let rounder = Rounder::fixed(simd, left);
        let mut sum = simd.splat_int(0);
        for quad in 0..quads {
            let mut bytes = [simd.splat_int(0); 4];
            for (i, bytes) in bytes.iter_mut().enumerate() {
                let key = 4 * quad + i;
                if key < head.tokens {
                    let e = simd.load(&space.scores[key * count + g]);
                    *bytes = rounder.round(simd, simd.mul(e, share));
                    sum = simd.add_int(sum, *bytes);
                }
            }
            simd.store_quads(bytes, &mut space.probability_bytes[quad * count + g]);
        }
        shares.scale[g] = simd.splat(left.scale);
        shares.moved[g] = simd.splat(left.scale * left.zero as f32);
        let tokens = simd.splat(-(head.tokens as f32));
        let whole = simd.fma(shares.moved[g], tokens, simd.mul(shares.scale[g], simd.to_float(sum)));
        shares.offset[g] = simd.mul(whole, simd.splat(right.zero as f32));
    }
    shares
}

#[inline(always)]
fn context<S: Simd>(
    simd: S,
    head: &Head,
    space: &mut Workspace,
    first: usize,
    count: usize,
    shares: Shares<S>,
    out: &mut [Floats],
) {
    let groups = head.groups;
    for start in (0..head.features).step_by(CHUNK) {
        let rows = start..(start + CHUNK).min(head.features);
        if head.context == Operands::Floats {
            let values =
                Dense { weights: floats(&space.values), row: groups * LANES, step: 1, steps: head.tokens };
            let panel = Panel { steps: &space.scores, width: count, groups: 0..count };
            dense::<S, OfFloats>(simd, values, rows.clone(), &panel, &mut space.float_sums);
        } else {
            let values = Dense {
                weights: &space.value_bytes,
                row: groups * 4,
                step: 1,
                steps: head.tokens.div_ceil(4),
            };
            let panel = Panel { steps: &space.probability_bytes, width: count, groups: 0..count };
            dense::<S, OfBytes>(simd, values, rows.clone(), &panel, &mut space.sums);
        }
        for (i, feature) in rows.enumerate() {
            for g in 0..count {
                let value = if head.context == Operands::Floats {
                    simd.mul(simd.load(&space.float_sums[i * count + g]), shares.scale[g])
                } else {
                    let (scale, total) = space.value_scales[feature];
                    let sum = simd.to_float(simd.load_int(&space.sums[i * count + g]));
                    let whole = simd.mul(shares.scale[g], sum);
                    let whole = simd.fma(shares.moved[g], simd.splat(-(total as f32)), whole);
                    simd.mul(simd.sub(whole, shares.offset[g]), simd.splat(scale))
                };
                simd.store(value, &mut out[feature * groups + first + g]);
            }
        }
    }
}

/// The lanes of all groups in a row.
#[inline(always)]
fn floats(groups: &[Floats]) -> &[f32] {
    // SAFETY: sixteen floats each, without gaps.
    unsafe { std::slice::from_raw_parts(groups.as_ptr().cast(), groups.len() * LANES) }
}
