//! Rotary position embeddings (RoPE): queries and keys are rotated by angles that grow with their position (RoFormer,
//! arXiv 2104.09864).

use crate::infer::simd::{Floats, LANES, Simd};

/// The cosines and sines of the angles `p θ^(−2i/d)` for positions p and i in `0..d/2`, `[d/2][groups]` each.
#[derive(Debug)]
pub struct Rotary {
    cosines: Vec<Floats>,
    sines: Vec<Floats>,
    groups: usize,
}

impl Rotary {
    /// The angles of a base θ for heads of `features` features and positions in `groups` groups, in float32 as
    /// `transformers` computes them.
    pub fn new(theta: f64, features: usize, groups: usize) -> Rotary {
        let half = features / 2;
        let mut rotary = Rotary {
            cosines: vec![Floats::default(); half * groups],
            sines: vec![Floats::default(); half * groups],
            groups,
        };
        for i in 0..half {
            let frequency = theta.powf(-(2.0 * i as f64) / features as f64) as f32;
            for position in 0..groups * LANES {
                let angle = f64::from(position as f32 * frequency);
                let (group, lane) = (i * groups + position / LANES, position % LANES);
                rotary.cosines[group].0[lane] = angle.cos() as f32;
                rotary.sines[group].0[lane] = angle.sin() as f32;
            }
        }
        rotary
    }

    /// Rotates the states `[features][groups]` of a sequence in place: feature i and feature i + d/2 are the
    /// coordinates of a point (`rotate_half` of `transformers`).
    #[inline(always)]
    pub fn turn<S: Simd>(&self, simd: S, states: &mut [Floats], features: usize, groups: usize) {
        let half = features / 2;
        let (low, high) = states[..features * groups].split_at_mut(half * groups);
        for i in 0..half {
            for group in 0..groups {
                let angle = i * self.groups + group;
                let (cosine, sine) = (simd.load(&self.cosines[angle]), simd.load(&self.sines[angle]));
                let (x, y) = (simd.load(&low[i * groups + group]), simd.load(&high[i * groups + group]));
                let minus = simd.sub(simd.splat(0.0), y);
                simd.store(simd.fma(x, cosine, simd.mul(minus, sine)), &mut low[i * groups + group]);
                simd.store(simd.fma(y, cosine, simd.mul(x, sine)), &mut high[i * groups + group]);
            }
        }
    }

    /// Bytes of the angles.
    pub fn memory(&self) -> usize {
        size_of_val(&*self.cosines) + size_of_val(&*self.sines)
    }
}
