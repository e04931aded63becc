//! Rows of tiles with strides. These are traits and no closures: a closure with vectors in its arguments that is not inlined
//! is not compiled for the instruction set.

use crate::infer::simd::Floats;

/// The values of one group of tokens, one vector for each row.
pub trait Source {
    /// The values of a row.
    fn row(&self, row: usize) -> &Floats;
}

/// Memory for one group of tokens, one element for each row.
pub trait Target<T> {
    /// The element of a row.
    fn row_mut(&mut self, row: usize) -> &mut T;
}

/// Every `stride`-th element of a slice, from `first` on.
#[derive(Debug)]
pub struct Strided<T> {
    /// The elements.
    pub slice: T,
    /// The index of the first row.
    pub first: usize,
    /// The distance from one row to the next.
    pub stride: usize,
}

impl Source for Strided<&[Floats]> {
    #[inline(always)]
    fn row(&self, row: usize) -> &Floats {
        &self.slice[self.first + row * self.stride]
    }
}

impl<T> Target<T> for Strided<&mut [T]> {
    #[inline(always)]
    fn row_mut(&mut self, row: usize) -> &mut T {
        &mut self.slice[self.first + row * self.stride]
    }
}
