//! Prefetch instructions for gradients and Fisher blocks.
//!
//! A chunk of gradients is read as one stream for each row, more streams than a hardware prefetcher tracks.

/// Bytes of a cache line.
pub const LINE: usize = 64;

/// Prefetches the cache line of `values[index]` into L2, if the index exists; a no-op outside x86-64.
#[inline(always)]
pub fn prefetch<T>(values: &[T], index: usize) {
    #[cfg(target_arch = "x86_64")]
    if let Some(value) = values.get(index) {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: the address is that of an element, and nothing is read into the program.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(std::ptr::from_ref(value).cast::<i8>()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (values, index);
}
