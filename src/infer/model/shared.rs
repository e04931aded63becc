//! Parts of one buffer for the tasks of several threads.

use std::marker::PhantomData;
use std::ops::Range;

/// A buffer of which each task takes parts that no other task takes.
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
    /// All of a buffer.
    pub fn new(buffer: &'a mut [T]) -> Self {
        Shared { first: buffer.as_mut_ptr(), length: buffer.len(), of: PhantomData }
    }

    /// A part of it to read.
    ///
    /// # Safety
    /// Nobody may write to it meanwhile.
    ///
    /// # Panics
    /// If it lies outside.
    pub unsafe fn read(&self, range: Range<usize>) -> &[T] {
        assert!(range.start <= range.end && range.end <= self.length, "a part lies outside its buffer");
        // SAFETY: within the buffer, and the caller promises that nobody writes.
        unsafe { std::slice::from_raw_parts(self.first.add(range.start), range.len()) }
    }

    /// A part of it to write.
    ///
    /// # Safety
    /// No part that overlaps with it may be in use.
    ///
    /// # Panics
    /// If it lies outside.
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn part(&self, range: Range<usize>) -> &mut [T] {
        assert!(range.start <= range.end && range.end <= self.length, "a part lies outside its buffer");
        // SAFETY: within the buffer, and the caller promises that it is nobody else's.
        unsafe { std::slice::from_raw_parts_mut(self.first.add(range.start), range.len()) }
    }
}
