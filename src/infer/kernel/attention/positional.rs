//! What the loops over queries and keys ask of the terms of positions.

use std::ops::Range;

use super::workspace::{Head, Workspace};
use crate::infer::simd::Simd;

/// Some groups of queries, and the keys that they attend to.
#[derive(Clone, Debug)]
pub(super) struct Block {
    /// The index of the first group of queries.
    pub(super) first: usize,
    /// The number of groups.
    pub(super) count: usize,
    /// The keys; the first is a multiple of four.
    pub(super) keys: Range<usize>,
}

/// Terms that the scores of a block are computed with. `()` is no term.
pub(super) trait Positional: Copy {
    /// Whether [`Positional::products`] computes a term of each pair of a query and a key, `Workspace::pairs`.
    const HAS_PRODUCTS: bool = false;

    /// The number of products of which a score is the sum; it is divided by the root of their number.
    fn count(self) -> usize {
        1
    }
    /// Changes queries and keys before all products.
    fn prepare<S: Simd>(self, _: S, _: &Head, _: &mut Workspace) {}
    /// Computes what all keys of a block need.
    fn begin<S: Simd>(self, _: S, _: &Head, _: &mut Workspace, _: &Block) {}
    /// Computes the terms of some keys of a block, `[keys][count]`, in `Workspace::pairs`.
    fn products<S: Simd>(self, _: S, _: &Head, _: &mut Workspace, _: &Block, _: Range<usize>) {}
    /// The keys of the queries in `count` groups from `first` on; the first key is a multiple of four.
    fn keys(self, first: usize, count: usize, tokens: usize) -> Range<usize>;
    /// Adds the terms to the scores of a key for a group of queries.
    fn add<S: Simd>(self, simd: S, score: S::F, key: usize, group: usize) -> S::F;
}

impl Positional for () {
    #[inline(always)]
    fn keys(self, _: usize, _: usize, tokens: usize) -> Range<usize> {
        0..tokens
    }
    #[inline(always)]
    fn add<S: Simd>(self, _: S, score: S::F, _: usize, _: usize) -> S::F {
        score
    }
}
