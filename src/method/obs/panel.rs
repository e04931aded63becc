//! A panel: the columns of one block from up to 128 gradients, copied into L1-resident memory.

use super::prefetch::{LINE, prefetch};

/// Columns of a panel are padded to a multiple of this, the float32 lanes of AVX-512.
pub const WIDTH: usize = 16;
/// Elements that are copied at a time.
const HALF: usize = WIDTH / 2;
/// Gradients in a panel. With blocks of 64 the panel fills an L1 cache of 32 KiB; more gradients mean fewer
/// additions to a triangle.
pub const ROWS: usize = 128;

/// Gradients as rows `[count][weights]` of equal length.
pub trait Rows: Sync {
    /// The element type.
    type Value: Stored;
    /// The number of gradients.
    fn count(&self) -> usize;
    /// The gradient of an index.
    fn row(&self, index: usize) -> &[Self::Value];
    /// Prefetches element `place` of a gradient; neither need exist.
    fn prefetch(&self, index: usize, place: usize);
}

/// An element type of stored gradients: float32 or bfloat16.
pub trait Stored: Copy + Send + Sync {
    /// Converts to float32.
    fn to_f32(self) -> f32;
}

impl Stored for f32 {
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }
}

/// Gradients in separate slices.
impl<T: AsRef<[f32]> + Sync> Rows for [T] {
    type Value = f32;

    fn count(&self) -> usize {
        self.len()
    }

    #[inline(always)]
    fn row(&self, index: usize) -> &[f32] {
        self[index].as_ref()
    }

    #[inline(always)]
    fn prefetch(&self, index: usize, place: usize) {
        if let Some(row) = self.get(index) {
            prefetch(row.as_ref(), place);
        }
    }
}

/// The columns of one block from k gradients, `[k][padded]`, aligned to cache lines.
pub struct Panel {
    values: Vec<f32>,
    /// The index of the first aligned element.
    aligned: usize,
    rows: usize,
    block: usize,
    padded: usize,
}

impl Panel {
    /// Memory for blocks of `block` weights.
    pub fn new(block: usize) -> Self {
        let padded = block.next_multiple_of(WIDTH);
        let mut panel = Panel { values: Vec::new(), aligned: 0, rows: 0, block, padded };
        panel.values = vec![0.0; ROWS * padded + LINE / size_of::<f32>()];
        panel.aligned = panel.values.as_ptr().align_offset(LINE).min(LINE / size_of::<f32>());
        panel
    }

    /// The packed columns, `[k][padded]`.
    #[inline(always)]
    pub fn panel(&self) -> &[f32] {
        &self.values[self.aligned..][..self.rows * self.padded]
    }

    /// Copies the columns `start..start + block` of the rows `first..first + ROWS`; columns beyond the end of a
    /// row are zero.
    #[inline(always)]
    pub fn pack<R: Rows + ?Sized>(&mut self, rows: &R, first: usize, start: usize) {
        self.rows = ROWS.min(rows.count() - first);
        // Monomorphized for the usual block sizes 16, 32, 50 and 64.
        match self.block.div_ceil(HALF) {
            2 => self.pack_halves::<R, 2>(rows, first, start),
            4 => self.pack_halves::<R, 4>(rows, first, start),
            7 => self.pack_halves::<R, 7>(rows, first, start),
            8 => self.pack_halves::<R, 8>(rows, first, start),
            _ => self.pack_halves::<R, 0>(rows, first, start),
        }
    }

    /// Copies rows of N half vectors; of any number where N is 0.
    #[inline(always)]
    fn pack_halves<R: Rows + ?Sized, const N: usize>(&mut self, rows: &R, first: usize, start: usize) {
        let halves = if N == 0 { self.block.div_ceil(HALF) } else { N };
        let lines = self.values[self.aligned..].chunks_exact_mut(halves.next_multiple_of(2) * HALF);
        for (k, line) in lines.take(self.rows).enumerate() {
            let row = rows.row(first + k).get(start..).unwrap_or(&[]);
            // Columns beyond the block are copied and multiplied too, and their products never read.
            match row.split_at_checked(halves * HALF) {
                Some((whole, _)) => {
                    for (to, from) in line.as_chunks_mut::<HALF>().0.iter_mut().zip(whole.as_chunks().0) {
                        *to = from.map(Stored::to_f32);
                    }
                }
                None => {
                    line.fill(0.0);
                    line.iter_mut().zip(row).for_each(|(to, from)| *to = from.to_f32());
                }
            }
        }
    }
}

/// The position of the panel that is packed next.
#[derive(Clone, Copy)]
pub struct Next {
    /// Its first row.
    pub row: usize,
    /// Its first column.
    pub start: usize,
}
