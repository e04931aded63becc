//! Arrays in the memory of a packed file, mapped or owned.

use std::fs::File;
use std::io::{Read, Seek};
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use crate::infer::simd::Quads;

/// The bytes of a packed file.
#[derive(Debug)]
pub enum Storage {
    /// A mapped file. The operating system reads a page when it is first used.
    Mapped(memmap2::Mmap),
    /// A file that was read, or built in memory: its contents in 64-byte units aligned to 64 bytes (the last is
    /// zero-padded), and its size in bytes.
    Owned(Vec<Quads>, usize),
}

impl Storage {
    /// An aligned copy of bytes.
    pub fn owned(bytes: &[u8]) -> Storage {
        let lines = bytes.chunks(64).map(|chunk| {
            let mut line = Quads::default();
            line.0[..chunk.len()].copy_from_slice(chunk);
            line
        });
        Storage::Owned(lines.collect(), bytes.len())
    }

    /// Reads a file into aligned memory. Of a file that does not begin with `magic`, only the first bytes are read, so
    /// that a large file of another format takes no memory.
    ///
    /// # Errors
    /// Those of reading the file; memory that cannot be allocated.
    pub fn read(mut file: File, magic: &[u8]) -> std::io::Result<Storage> {
        let mut beginning = Vec::new();
        file.by_ref().take(magic.len() as u64).read_to_end(&mut beginning)?;
        if beginning != magic {
            return Ok(Storage::owned(&beginning));
        }
        file.rewind()?;
        let length = usize::try_from(file.metadata()?.len()).map_err(std::io::Error::other)?;
        let mut lines = Vec::new();
        lines.try_reserve_exact(length.div_ceil(64)).map_err(std::io::Error::other)?;
        lines.resize(length.div_ceil(64), Quads::default());
        // SAFETY: lines are plain bytes without gaps, at least `length` of them.
        let bytes = unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast::<u8>(), length) };
        file.read_exact(bytes)?;
        Ok(Storage::Owned(lines, length))
    }

    /// The bytes of the file, without the padding of the last 64.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Storage::Mapped(map) => map,
            // SAFETY: lines are plain bytes without gaps, and `length` was taken from as many.
            Storage::Owned(lines, length) => unsafe {
                std::slice::from_raw_parts(lines.as_ptr().cast(), (*length).min(lines.len() * 64))
            },
        }
    }
}

/// A type for which every bit pattern is a valid value.
///
/// # Safety
/// May be implemented only for numbers and arrays of numbers.
pub unsafe trait Plain: Copy + 'static {
    /// The name of the element type in the directory.
    const NAME: &'static str;
}

macro_rules! plain {
    ($($t:ty: $name:literal)*) => {
        // SAFETY: numbers, and an array of numbers.
        $(unsafe impl Plain for $t {
            const NAME: &'static str = $name;
        })*
    };
}
plain! { f32: "f32" u32: "u32" i32: "i32" u16: "u16" u8: "u8" i8: "i8" [i8; 4]: "i8" Int4Pair: "i4x2" }

/// Two INT4 values in a byte, the first in its low half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Int4Pair(pub u8);

impl Int4Pair {
    /// Packs two values in −8..=7.
    pub fn new(first: i8, second: i8) -> Self {
        Int4Pair(first as u8 & 15 | (second as u8) << 4)
    }

    /// The two values.
    #[inline(always)]
    pub fn values(self) -> [i8; 2] {
        [(self.0 as i8) << 4 >> 4, self.0 as i8 >> 4]
    }
}

/// An array in a packed file; it shares ownership of the file's memory.
#[derive(Debug)]
pub struct Stored<T> {
    storage: Arc<Storage>,
    from: usize,
    count: usize,
    of: PhantomData<T>,
}

impl<T> Clone for Stored<T> {
    fn clone(&self) -> Self {
        Stored { storage: Arc::clone(&self.storage), from: self.from, count: self.count, of: PhantomData }
    }
}

impl<T: Plain> Stored<T> {
    /// The array in the bytes `from..from + length`; `None` if they are out of range, not aligned, or not a whole number
    /// of elements.
    pub fn new(storage: &Arc<Storage>, from: usize, length: usize) -> Option<Self> {
        let bytes = storage.bytes().get(from..from.checked_add(length)?)?;
        let aligned = (bytes.as_ptr() as usize).is_multiple_of(align_of::<T>());
        (aligned && length.is_multiple_of(size_of::<T>())).then(|| Stored {
            storage: Arc::clone(storage),
            from,
            count: length / size_of::<T>(),
            of: PhantomData,
        })
    }
}

impl<T: Plain> Deref for Stored<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: `new` checked bounds and alignment of bytes that never move while the storage lives,
        // and every pattern of bits is a `T`.
        unsafe {
            let first = self.storage.bytes().as_ptr().add(self.from);
            std::slice::from_raw_parts(first.cast(), self.count)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_of_four_bit_values_survives_packing() {
        for first in -8..8 {
            for second in -8..8 {
                assert_eq!(Int4Pair::new(first, second).values(), [first, second]);
            }
        }
    }
}
