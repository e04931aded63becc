//! Products of a weight matrix with a panel of activations.
//!
//! A panel is `[steps][groups]` of 64 bytes. A step of the sum over the inputs is four consecutive inputs in uint8, or
//! one in float32; a group is sixteen tokens. The weights of a step take four bytes as well: int8 for four consecutive
//! inputs, or one float32. So [`dense()`] is one loop for both element types.
//!
//! - [`mod@dense`]: all weights of a row, in tiles of several rows and groups;
//! - [`mod@sparse`]: rows of blocks of four consecutive inputs, of which only the nonzero ones are stored.

mod dense;
mod sparse;

pub use dense::{Dense, dense};
pub use sparse::{Blocks, Strips, sparse};

use std::ops::Range;

use crate::infer::simd::{Floats, Ints, Quads, Simd};

/// The element type of a product.
pub trait Element: Copy {
    /// Sixteen sums in memory.
    type Sums;
    /// The activations of sixteen tokens for one step.
    type Step;
    /// The weights of one output for one step: four int8, or one float32.
    type Weight: Copy;
    /// Sixteen sums in registers.
    type Acc<S: Simd>: Copy;

    /// Zero.
    fn zero<S: Simd>(simd: S) -> Self::Acc<S>;
    /// Adds the product of `weight` and one step to `acc`.
    ///
    /// # Safety
    /// `step` must be readable.
    unsafe fn add<S: Simd>(
        simd: S,
        acc: Self::Acc<S>,
        step: *const Self::Step,
        weight: Self::Weight,
    ) -> Self::Acc<S>;
    /// Stores the sums.
    fn store<S: Simd>(simd: S, acc: Self::Acc<S>, to: &mut Self::Sums);
}

/// Uint8 activations and int8 weights, with int32 sums.
#[derive(Clone, Copy, Debug)]
pub struct Int8;

/// Float32 activations, weights and sums.
#[derive(Clone, Copy, Debug)]
pub struct Float32;

impl Element for Int8 {
    type Sums = Ints;
    type Step = Quads;
    type Weight = [i8; 4];
    type Acc<S: Simd> = S::I;

    #[inline(always)]
    fn zero<S: Simd>(simd: S) -> S::I {
        simd.splat_int(0)
    }
    #[inline(always)]
    unsafe fn add<S: Simd>(simd: S, acc: S::I, step: *const Quads, weight: [i8; 4]) -> S::I {
        // No closure here: one that is not inlined would cost more than the product.
        // SAFETY: four bytes are an integer, and a step is 64 bytes.
        unsafe { simd.dot(acc, step.cast(), i32::from_le(std::mem::transmute::<[i8; 4], i32>(weight))) }
    }
    #[inline(always)]
    fn store<S: Simd>(simd: S, acc: S::I, to: &mut Ints) {
        simd.store_int(acc, to);
    }
}

impl Element for Float32 {
    type Sums = Floats;
    type Step = Floats;
    type Weight = f32;
    type Acc<S: Simd> = S::F;

    #[inline(always)]
    fn zero<S: Simd>(simd: S) -> S::F {
        simd.splat(0.0)
    }
    #[inline(always)]
    unsafe fn add<S: Simd>(simd: S, acc: S::F, step: *const Floats, weight: f32) -> S::F {
        // SAFETY: a step is sixteen floats.
        unsafe { simd.multiply_add(acc, step.cast(), weight) }
    }
    #[inline(always)]
    fn store<S: Simd>(simd: S, acc: S::F, to: &mut Floats) {
        simd.store(acc, to);
    }
}

/// Activations `[steps][width]`, of which the groups `groups` are multiplied.
#[derive(Clone, Debug)]
pub struct Panel<'a, T> {
    /// The activations.
    pub steps: &'a [T],
    /// The number of groups in a step.
    pub width: usize,
    /// The groups to multiply.
    pub groups: Range<usize>,
}

impl<T> Panel<'_, T> {
    /// Panics unless every step below `count` and every group of `groups` exist; called once for each product.
    fn check(&self, count: usize) {
        assert!(self.groups.start <= self.groups.end && self.groups.end <= self.width, "groups of a panel");
        assert!(self.steps.len() >= count * self.width, "a panel has too few steps");
    }
}
