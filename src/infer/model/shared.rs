//! A buffer that several threads write to in disjoint ranges.

use std::marker::PhantomData;
use std::ops::Range;

use crate::infer::kernel::rows::{Source, Target};
use crate::infer::simd::Floats;

/// A mutable slice that hands out disjoint ranges to several threads.
#[derive(Debug)]
pub struct Shared<'a, T> {
    first: *mut T,
    length: usize,
    of: PhantomData<&'a mut [T]>,
}

// SAFETY: `part` hands out exclusive parts (`Send`), `read` shared ones (`Sync`).
unsafe impl<T: Send + Sync> Sync for Shared<'_, T> {}
// SAFETY: it stands for the `&mut [T]` that it was made from.
unsafe impl<T: Send> Send for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    /// Shares a buffer.
    pub fn new(buffer: &'a mut [T]) -> Self {
        Shared { first: buffer.as_mut_ptr(), length: buffer.len(), of: PhantomData }
    }

    /// A range of the buffer, shared by itself.
    ///
    /// # Panics
    /// If the range is out of bounds.
    pub fn range(&self, range: Range<usize>) -> Shared<'a, T> {
        assert!(range.start <= range.end && range.end <= self.length, "a part lies outside its buffer");
        // Wrapping: an empty buffer has no memory to point into.
        Shared { first: self.first.wrapping_add(range.start), length: range.len(), of: PhantomData }
    }

    /// The part of some items, of `all` of which the buffer has equal parts.
    ///
    /// # Panics
    /// If the range is out of bounds.
    pub fn share_of(&self, items: &Range<usize>, all: usize) -> Shared<'a, T> {
        let each = self.length / all;
        self.range(items.start * each..items.end * each)
    }

    /// The column `column` of the rows `[rows][width]` that the buffer begins with, to write.
    ///
    /// # Safety
    /// No other range or column in use may contain one of its elements.
    ///
    /// # Panics
    /// If the column is out of bounds.
    pub unsafe fn column(&self, column: usize, rows: usize, width: usize) -> Column<'a, T> {
        assert!(column < width && rows * width <= self.length, "a column lies outside its buffer");
        Column { first: self.first.wrapping_add(column), rows, width, of: PhantomData }
    }

    /// A range of the buffer, to read.
    ///
    /// # Safety
    /// No thread may write to the range meanwhile.
    ///
    /// # Panics
    /// If the range is out of bounds.
    pub unsafe fn read(&self, range: Range<usize>) -> &[T] {
        assert!(range.start <= range.end && range.end <= self.length, "a part lies outside its buffer");
        // SAFETY: within the buffer, and the caller promises that no thread writes.
        unsafe { std::slice::from_raw_parts(self.first.add(range.start), range.len()) }
    }

    /// The whole buffer, to read.
    ///
    /// # Safety
    /// No thread may write to it meanwhile.
    pub unsafe fn all(&self) -> &[T] {
        // SAFETY: the caller promises that no thread writes.
        unsafe { self.read(0..self.length) }
    }

    /// A range of the buffer, to write.
    ///
    /// # Safety
    /// No overlapping range may be in use.
    ///
    /// # Panics
    /// If the range is out of bounds.
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn part(&self, range: Range<usize>) -> &mut [T] {
        assert!(range.start <= range.end && range.end <= self.length, "a part lies outside its buffer");
        // SAFETY: within the buffer, and the caller promises that no other range overlaps.
        unsafe { std::slice::from_raw_parts_mut(self.first.add(range.start), range.len()) }
    }
}

/// A column of a matrix: every `width`-th element.
#[derive(Debug)]
pub struct Column<'a, T> {
    first: *mut T,
    rows: usize,
    width: usize,
    of: PhantomData<&'a mut [T]>,
}

impl<T> Column<'_, T> {
    #[inline(always)]
    fn pointer(&self, row: usize) -> *mut T {
        assert!(row < self.rows, "a column has no such row");
        self.first.wrapping_add(row.wrapping_mul(self.width))
    }
}

impl Source for Column<'_, Floats> {
    #[inline(always)]
    fn row(&self, row: usize) -> &Floats {
        // SAFETY: `Shared::column` checked that all rows are in the buffer, and its caller that they are this column's.
        unsafe { &*self.pointer(row) }
    }
}

impl<T> Target<T> for Column<'_, T> {
    #[inline(always)]
    fn row_mut(&mut self, row: usize) -> &mut T {
        // SAFETY: as above.
        unsafe { &mut *self.pointer(row) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_and_ranges_of_a_buffer_are_apart() {
        let mut buffer: Vec<u32> = (0..12).collect();
        let shared = Shared::new(&mut buffer);
        let rows = shared.range(3..12);
        // SAFETY: the columns and the range have no element in common.
        let (mut first, mut last, before) =
            unsafe { (rows.column(0, 3, 3), rows.column(2, 2, 3), shared.part(0..3)) };
        (*first.row_mut(1), *last.row_mut(1), before[2]) = (20, 30, 40);
        assert_eq!(buffer, [0, 1, 40, 3, 4, 5, 20, 7, 30, 9, 10, 11]);
    }

    #[test]
    #[should_panic(expected = "outside its buffer")]
    fn a_column_that_ends_outside_is_refused() {
        let mut buffer = [0u8; 11];
        // SAFETY: refused.
        let _ = unsafe { Shared::new(&mut buffer).column(2, 4, 3) };
    }
}
