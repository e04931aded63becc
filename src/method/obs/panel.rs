//! What is multiplied with itself: one block's columns of some gradients, side by side in the first
//! cache, copied from wherever the gradients lie.

use super::prefetch::{LINE, prefetch};

/// Columns of a panel are filled up to whole vectors of the widest machine.
pub const WIDTH: usize = 16;
/// Half of that: what is copied at a time.
const HALF: usize = WIDTH / 2;
/// Gradients in a panel, which with blocks of 64 is as large as a first cache of 32 KiB: the more, the fewer
/// times a triangle is added to.
pub const ROWS: usize = 128;

/// Gradients of which a strip at a time is read: rows of equal length.
pub trait Rows: Sync {
    /// What they are stored as.
    type Value: Stored;
    /// How many there are.
    fn count(&self) -> usize;
    /// One of them.
    fn row(&self, index: usize) -> &[Self::Value];
    /// Asks the memory for a place of one of them, which need not exist.
    fn prefetch(&self, index: usize, place: usize);
}

/// A number in which gradients are stored.
pub trait Stored: Copy + Send + Sync {
    /// Its value.
    fn to_f32(self) -> f32;
}

impl Stored for f32 {
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }
}

/// Gradients that lie anywhere.
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

/// One block's columns of some gradients, `[k][padded]`, in whole cache lines.
pub struct Panel {
    values: Vec<f32>,
    /// Where the first cache line begins.
    aligned: usize,
    rows: usize,
    block: usize,
    padded: usize,
}

impl Panel {
    /// Space for the columns of one block.
    pub fn new(block: usize) -> Self {
        let padded = block.next_multiple_of(WIDTH);
        let mut panel = Panel { values: Vec::new(), aligned: 0, rows: 0, block, padded };
        panel.values = vec![0.0; ROWS * padded + LINE / size_of::<f32>()];
        panel.aligned = panel.values.as_ptr().align_offset(LINE).min(LINE / size_of::<f32>());
        panel
    }

    /// The panel of a block.
    #[inline(always)]
    pub fn panel(&self) -> &[f32] {
        &self.values[self.aligned..][..self.rows * self.padded]
    }

    /// Copies the columns from place `start` on of the next rows from row `first` on; beyond the
    /// end of a row there are zeros.
    #[inline(always)]
    pub fn pack<R: Rows + ?Sized>(&mut self, rows: &R, first: usize, start: usize) {
        self.rows = ROWS.min(rows.count() - first);
        // Written out for the usual blocks: of 16, 32, 50 and 64.
        match self.block.div_ceil(HALF) {
            2 => self.pack_halves::<R, 2>(rows, first, start),
            4 => self.pack_halves::<R, 4>(rows, first, start),
            7 => self.pack_halves::<R, 7>(rows, first, start),
            8 => self.pack_halves::<R, 8>(rows, first, start),
            _ => self.pack_halves::<R, 0>(rows, first, start),
        }
    }

    /// Rows of N half vectors, or of any number where N is 0.
    #[inline(always)]
    fn pack_halves<R: Rows + ?Sized, const N: usize>(&mut self, rows: &R, first: usize, start: usize) {
        let halves = if N == 0 { self.block.div_ceil(HALF) } else { N };
        let lines = self.values[self.aligned..].chunks_exact_mut(halves.next_multiple_of(2) * HALF);
        for (k, line) in lines.take(self.rows).enumerate() {
            let row = rows.row(first + k).get(start..).unwrap_or(&[]);
            // What lies beyond the block is copied along, multiplied along, and never read.
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

/// Where a panel is packed from.
#[derive(Clone, Copy)]
pub struct Next {
    /// From which row on.
    pub row: usize,
    /// From which place on.
    pub start: usize,
}
