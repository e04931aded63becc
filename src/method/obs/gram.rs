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
    fn ask(&self, index: usize, place: usize);
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
    fn ask(&self, index: usize, place: usize) {
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

/// Adds the lower triangle of `panelᵀ panel` to `triangle`, row by row, and asks the memory for what
/// comes next: a panel's rows, and the triangle `after` this one.
#[inline(always)]
pub fn add_gram<S: Simd, R: Rows + ?Sized>(
    simd: S,
    triangle: &mut [f32],
    panel: &[f32],
    after: &[f32],
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
            // A line of each row of the next panel with every tile that has the time; its last number
            // lies in a line of its own.
            let busy = wide == 1 && padded > WIDTH;
            let ask = if busy && row == 0 {
                Ask::Triangle(after)
            } else if !busy && asked * WIDTH <= padded {
                let start = next.start + (asked * WIDTH).min(padded - 1);
                asked += 1;
                Ask::Rows(Next { start, ..next })
            } else {
                Ask::Nothing
            };
            let place = Place { padded, row, vector, ask };
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

/// What a tile asks the memory for, a line with every gradient.
#[derive(Clone, Copy)]
enum Ask<'a> {
    Nothing,
    /// A line of each row.
    Rows(Next),
    /// Line by line.
    Triangle(&'a [f32]),
}

/// Where a tile lies.
#[derive(Clone, Copy)]
struct Place<'a> {
    padded: usize,
    row: usize,
    vector: usize,
    ask: Ask<'a>,
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
    let Place { row, vector, .. } = place;
    let sums = products::<S, G, R, V>(simd, panel, place, rows);
    let lanes = S::F32_LANES;
    let first = vector * lanes;
    // Whole vectors of the triangle, in which rows follow each other without a gap: beyond a row's end,
    // which its last vector holds, lie the next rows, to which zero is added. All rows are read before
    // the first is written, and written in their order, so that what a row takes along from the next is
    // overwritten. Nothing here can panic, or sums would be written to memory.
    let last = row + R - 1;
    let end = triangle_row(last).wrapping_add(first + V * lanes);
    if last < block && end <= triangle.len() && first + (V - 1) * lanes <= row {
        let mut totals = sums;
        let place = |r: usize| {
            let start = triangle_row(row.wrapping_add(r)).wrapping_add(first);
            start..start.wrapping_add(V * lanes)
        };
        for (r, totals) in totals.iter_mut().enumerate() {
            let Some(old) = triangle.get(place(r)) else { continue };
            let Some(old) = S::as_simd_f32s(old).0.first_chunk::<V>() else { continue };
            let own = row.wrapping_add(r + 1).wrapping_sub(first + (V - 1) * lanes).min(lanes);
            let window = WINDOW.get(WIDTH.wrapping_sub(own)..).and_then(|w| S::as_simd_f32s(w).0.first());
            let Some(window) = window else { continue };
            totals[V - 1] = simd.and_f32s(totals[V - 1], *window);
            for (total, old) in totals.iter_mut().zip(old) {
                *total = simd.add_f32s(*old, *total);
            }
        }
        for (r, totals) in totals.iter().enumerate() {
            let Some(new) = triangle.get_mut(place(r)) else { continue };
            if let Some(new) = S::as_mut_simd_f32s(new).0.first_chunk_mut::<V>() {
                *new = *totals;
            }
        }
        return;
    }
    // The last rows end with the triangle.
    for (r, sums) in sums.iter().enumerate().take(block - row) {
        let line = &mut triangle[triangle_row(row + r)..];
        for (v, sum) in sums.iter().enumerate() {
            let first = first + v * lanes;
            let own = (row + r + 1).saturating_sub(first).min(lanes);
            if own > 0 {
                let old = &mut line[first..first + own];
                let total = simd.add_f32s(simd.partial_load_f32s(old), *sum);
                simd.partial_store_f32s(old, total);
            }
        }
    }
}

/// Where a row of a lower triangle begins.
#[inline(always)]
fn triangle_row(row: usize) -> usize {
    row.wrapping_mul(row.wrapping_add(1)) / 2
}

/// `Σ panel[k][i + r] · panel[k][j + c]`. Nothing in its loop can panic, or sums would be written to
/// memory for every gradient.
#[inline(always)]
fn products<S: Simd, G: Rows + ?Sized, const R: usize, const V: usize>(
    simd: S,
    panel: &[f32],
    place: Place,
    rows: &G,
) -> [[S::f32s; V]; R] {
    let Place { padded, row, vector, ask } = place;
    let mut sums = [[simd.splat_f32s(0.0); V]; R];
    let (heads, columns) = (row..row + R, vector..vector + V);
    for (k, line) in panel.chunks_exact(padded).enumerate() {
        match ask {
            Ask::Nothing => {}
            Ask::Rows(next) => rows.ask(next.row.wrapping_add(k), next.start),
            Ask::Triangle(after) => prefetch(after, k.wrapping_mul(WIDTH)),
        }
        let (Some(heads), Some(columns)) =
            (line.get(heads.clone()), S::as_simd_f32s(line).0.get(columns.clone()))
        else {
            continue;
        };
        for (sums, head) in sums.iter_mut().zip(heads) {
            let head = simd.splat_f32s(*head);
            for (sum, column) in sums.iter_mut().zip(columns) {
                *sum = simd.mul_add_f32s(head, *column, *sum);
            }
        }
    }
    sums
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
