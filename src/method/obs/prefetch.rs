//! A hint to the memory: what is read soon.
//!
//! A chunk of gradients is as many streams through memory as it has rows, more than the hardware
//! follows by itself. The hint changes no value; machines without it wait a little longer.

/// Bytes of a cache line.
pub const LINE: usize = 64;

/// Asks for the cache line of `values[index]`; for nothing beyond the end.
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
