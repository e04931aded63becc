//! What positions do to the scores of attention: a bias for each distance, a window of keys, and products of contents with
//! embeddings of distances.

use std::ops::Range;

use super::distances::Distances;
use super::positional::Positional;
use crate::infer::simd::{Floats, LANES, Simd};

/// Added to the scores of keys outside the window; their exponentials become zero.
const HIDDEN: f32 = 1e30;

/// The terms of one head in one layer.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// The bias of each distance.
    pub bias: Option<Bias<'a>>,
    /// The greatest distance of a key that a query attends to; `None` if it attends to all.
    pub window: Option<usize>,
    /// The embeddings of distances; bias and window are not read with them.
    pub distances: Option<Distances<'a>>,
}

/// A bias for each distance `query − key`.
#[derive(Clone, Copy, Debug)]
pub struct Bias<'a> {
    /// The bias of the distance d at index `d + zero`; padded by sixteen values for the lanes of the last group.
    pub values: &'a [f32],
    /// The index of distance 0.
    pub zero: usize,
}

impl Positional for Terms<'_> {
    #[inline(always)]
    fn keys(self, first: usize, count: usize, tokens: usize) -> Range<usize> {
        let Some(window) = self.window else { return 0..tokens };
        let start = (first * LANES).saturating_sub(window);
        start / LANES * LANES..((first + count) * LANES).saturating_add(window).min(tokens)
    }

    #[inline(always)]
    fn add<S: Simd>(self, simd: S, mut score: S::F, key: usize, group: usize) -> S::F {
        if let Some(Bias { values, zero }) = self.bias {
            let at = zero + group * LANES - key;
            let mut lanes = Floats::default();
            lanes.0.copy_from_slice(&values[at..at + LANES]);
            score = simd.add(score, simd.load(&lanes));
        }
        if let Some(window) = self.window {
            let distance = simd.sub(simd.load(&COUNTING), simd.splat(key as f32 - (group * LANES) as f32));
            let distance = simd.max(distance, simd.sub(simd.splat(0.0), distance));
            let beyond = simd.min(simd.sub(simd.splat(window as f32), distance), simd.splat(0.0));
            score = simd.fma(beyond, simd.splat(HIDDEN), score);
        }
        score
    }
}

/// The number of each lane.
const COUNTING: Floats = Floats([0., 1., 2., 3., 4., 5., 6., 7., 8., 9., 10., 11., 12., 13., 14., 15.]);
