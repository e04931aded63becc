//! The product of a panel of gradients with itself, in registers.
//!
//! A panel holds one block's columns of k gradients, `[k][padded]`. Its Gram matrix is built in
//! tiles of eight rows by as many vectors as registers hold, each element by one chain of fused
//! multiply-adds over the gradients in their order: vectors of any width, and none, give the same
//! bits.

use pulp::Simd;

use super::prefetch::{LINE, prefetch};

/// Columns of a panel are filled up to whole vectors of the widest machine.
pub const WIDTH: usize = 16;
/// Gradients in a panel: it fills a third of the first cache with blocks of 64.
pub const ROWS: usize = 64;

/// Gradients of which a strip at a time is read: rows of equal length.
pub trait Rows: Sync {
    /// What they are stored as.
    type Value: Stored;
    /// How many there are.
    fn count(&self) -> usize;
    /// One of them.
    fn row(&self, index: usize) -> &[Self::Value];
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
}

/// One block's columns of some gradients, `[k][padded]`, in whole cache lines.
pub struct Panel {
    values: Vec<f32>,
    /// Where the first cache line begins.
    aligned: usize,
    rows: usize,
    padded: usize,
}

impl Panel {
    /// Space for the columns of one block.
    pub fn new(block: usize) -> Self {
        let padded = block.next_multiple_of(WIDTH);
        let mut panel = Panel { values: Vec::new(), aligned: 0, rows: 0, padded };
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
        let (padded, values) = (self.padded, &mut self.values[self.aligned..]);
        self.rows = ROWS.min(rows.count() - first);
        for (k, line) in values.chunks_exact_mut(padded).take(self.rows).enumerate() {
            let row = rows.row(first + k);
            // What lies beyond the block is copied along, multiplied along, and never read.
            match row.get(start..start + padded) {
                Some(whole) => copy(line, whole),
                None => {
                    let rest = row.get(start..).unwrap_or(&[]);
                    line.fill(0.0);
                    copy(&mut line[..rest.len()], rest);
                }
            }
        }
    }
}

#[inline(always)]
fn copy<T: Stored>(to: &mut [f32], from: &[T]) {
    let (to, to_rest) = to.as_chunks_mut::<WIDTH>();
    let (from, from_rest) = from.as_chunks::<WIDTH>();
    for (to, from) in to.iter_mut().zip(from) {
        *to = from.map(T::to_f32);
    }
    for (to, from) in to_rest.iter_mut().zip(from_rest) {
        *to = from.to_f32();
    }
}

/// Adds the lower triangle of `panelᵀ panel` to `triangle`, row by row.
#[inline(always)]
pub fn add_gram<S: Simd, R: Rows + ?Sized>(
    simd: S,
    triangle: &mut [f32],
    panel: &[f32],
    block: usize,
    rows: &R,
    next: Next,
) {
    let padded = block.next_multiple_of(WIDTH);
    let lanes = S::F32_LANES;
    let mut asked = 0;
    let mut row = 0;
    while row < block {
        // Eight rows by two vectors, or four by three or four: what 32 registers hold; half of that
        // where vectors are short.
        let tall = match block - row {
            1 | 2 => 2,
            3 | 4 => 4,
            _ if lanes < WIDTH || row % 8 == 4 || (row + 8).div_ceil(lanes) > 2 => 4,
            _ => 8,
        };
        let vectors = (row + tall).min(block).div_ceil(lanes);
        let mut vector = 0;
        while vector < vectors {
            let most = if tall == 8 || lanes < WIDTH { 2 } else { 4 };
            let wide = most.min(vectors - vector);
            // A line of each row of the next panel with every tile that has the time.
            let busy = wide == 1 && padded > WIDTH;
            let next =
                (!busy && asked * WIDTH < padded).then(|| Next { start: next.start + asked * WIDTH, ..next });
            asked += usize::from(!busy);
            let place = Place { padded, row, vector, next };
            match (tall, wide) {
                (2, 1) => add_tile::<S, R, 2, 1>(simd, triangle, panel, place, rows, block),
                (2, 2) => add_tile::<S, R, 2, 2>(simd, triangle, panel, place, rows, block),
                (2, 3) => add_tile::<S, R, 2, 3>(simd, triangle, panel, place, rows, block),
                (2, _) => add_tile::<S, R, 2, 4>(simd, triangle, panel, place, rows, block),
                (4, 1) => add_tile::<S, R, 4, 1>(simd, triangle, panel, place, rows, block),
                (4, 2) => add_tile::<S, R, 4, 2>(simd, triangle, panel, place, rows, block),
                (4, 3) => add_tile::<S, R, 4, 3>(simd, triangle, panel, place, rows, block),
                (4, _) => add_tile::<S, R, 4, 4>(simd, triangle, panel, place, rows, block),
                (_, 1) => add_tile::<S, R, 8, 1>(simd, triangle, panel, place, rows, block),
                _ => add_tile::<S, R, 8, 2>(simd, triangle, panel, place, rows, block),
            }
            vector += wide;
        }
        row += tall;
    }
}

/// What is packed next.
#[derive(Clone, Copy)]
pub struct Next {
    /// From which row on.
    pub row: usize,
    /// From which place on.
    pub start: usize,
}

/// Where a tile lies.
#[derive(Clone, Copy)]
struct Place {
    padded: usize,
    row: usize,
    vector: usize,
    next: Option<Next>,
}

/// `Σ panel[k][i + r] · panel[k][j + c]` over k, for R rows and V vectors of columns, added to the
/// lower triangle.
#[inline(always)]
fn add_tile<S: Simd, G: Rows + ?Sized, const R: usize, const V: usize>(
    simd: S,
    triangle: &mut [f32],
    panel: &[f32],
    place: Place,
    rows: &G,
    block: usize,
) {
    // Rows of the last tile may lie beyond the block, never beyond the panel.
    let Place { padded, row, vector, next } = place;
    let mut sums = [[simd.splat_f32s(0.0); V]; R];
    let lines = panel.chunks_exact(padded);
    match next {
        Some(next) => {
            let last = rows.count() - 1;
            for (k, line) in lines.enumerate() {
                prefetch(rows.row((next.row + k).min(last)), next.start);
                add_line(simd, &mut sums, line, row, vector);
            }
        }
        None => lines.for_each(|line| add_line(simd, &mut sums, line, row, vector)),
    }
    let lanes = S::F32_LANES;
    for (r, sums) in sums.iter().enumerate() {
        let i = row + r;
        if i >= block {
            break;
        }
        let line = &mut triangle[i * (i + 1) / 2..];
        for (v, sum) in sums.iter().enumerate() {
            let first = (vector + v) * lanes;
            let own = (i + 1).saturating_sub(first).min(lanes);
            let Some(old) = line.get_mut(first..first + lanes) else {
                // The last rows end with the triangle.
                if own > 0 {
                    let old = &mut line[first..first + own];
                    let total = simd.add_f32s(simd.partial_load_f32s(old), *sum);
                    simd.partial_store_f32s(old, total);
                }
                continue;
            };
            // Beyond the row's end lie the next rows, to which zero is added.
            let window = &S::as_simd_f32s(&WINDOW[WIDTH - own..][..lanes]).0[0];
            let old = &mut S::as_mut_simd_f32s(old).0[0];
            *old = simd.add_f32s(*old, simd.and_f32s(*sum, *window));
        }
    }
}

/// The products of one gradient.
#[inline(always)]
fn add_line<S: Simd, const R: usize, const V: usize>(
    simd: S,
    sums: &mut [[S::f32s; V]; R],
    line: &[f32],
    row: usize,
    vector: usize,
) {
    // invariant: tiles lie within a panel.
    let columns: &[S::f32s; V] = S::as_simd_f32s(line).0[vector..vector + V].try_into().expect("V vectors");
    let heads: &[f32; R] = line[row..row + R].try_into().expect("R values");
    for (sums, head) in sums.iter_mut().zip(heads) {
        let head = simd.splat_f32s(*head);
        for (sum, column) in sums.iter_mut().zip(columns) {
            *sum = simd.mul_add_f32s(head, *column, *sum);
        }
    }
}

/// All bits, then none: from place `WIDTH - n` on a vector begins that keeps n numbers.
static WINDOW: [f32; 2 * WIDTH] = {
    let mut window = [0.0; 2 * WIDTH];
    let mut i = 0;
    while i < WIDTH {
        window[i] = f32::from_bits(u32::MAX);
        i += 1;
    }
    window
};
