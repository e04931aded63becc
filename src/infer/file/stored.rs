//! Arrays in the memory of a packed file, mapped or owned.

use std::alloc::{Layout, alloc_zeroed};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

#[cfg(unix)]
use crate::infer::cores::on_all_cores;
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
        let length = usize::try_from(file.metadata()?.len()).map_err(std::io::Error::other)?;
        let mut lines = zeroed(length.div_ceil(64))?;
        // SAFETY: lines are plain bytes without gaps, at least `length` of them.
        let bytes = unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast::<u8>(), length) };
        read_all(&mut file, bytes)?;
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

/// Zeroed lines. The operating system zeroes their pages when they are first written, where another pass over them would
/// take as long as reading a cached file.
fn zeroed(count: usize) -> std::io::Result<Vec<Quads>> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let layout = Layout::array::<Quads>(count).map_err(std::io::Error::other)?;
    // SAFETY: the layout is not empty.
    let first = unsafe { alloc_zeroed(layout) }.cast::<Quads>();
    if first.is_null() {
        return Err(ErrorKind::OutOfMemory.into());
    }
    // SAFETY: allocated above for `count` lines, for which zeros are valid.
    Ok(unsafe { Vec::from_raw_parts(first, count, count) })
}

/// Reads a file from its beginning, in pieces on all cores: most of the time of a cached file is that of new pages.
#[cfg(unix)]
fn read_all(file: &mut File, bytes: &mut [u8]) -> std::io::Result<()> {
    use std::os::unix::fs::FileExt;
    const PIECE: usize = 1 << 20;
    let file = &*file;
    let pieces = bytes.chunks_mut(PIECE).enumerate();
    on_all_cores(pieces, |(i, piece)| file.read_exact_at(piece, (i * PIECE) as u64))
}

/// Reads a file from its beginning.
#[cfg(not(unix))]
fn read_all(file: &mut File, bytes: &mut [u8]) -> std::io::Result<()> {
    std::io::Seek::rewind(file)?;
    file.read_exact(bytes)
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
