//! A buffer that several threads write to in disjoint ranges.

use std::marker::PhantomData;
use std::ops::Range;

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
