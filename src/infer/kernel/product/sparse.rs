//! The block-sparse product, for int8.
//!
//! For each row the kernel walks along its nonzero blocks, with the sums of that row for up to `GROUPS` groups in
//! registers: one load of activations for each block and group.

// Counted loops over registers: an iterator that is not inlined costs tenfold.
#![allow(clippy::needless_range_loop)]

use std::ops::Range;

use super::{Element, Int8, Panel};
use crate::diag::counted;
use crate::infer::simd::{Ints, Quads, Simd, Work};

/// A block-sparse matrix in BSR format with blocks of one row and four columns (`scipy.sparse.bsr_array`).
#[derive(Clone, Copy, Debug)]
pub struct Blocks<'a> {
    /// Row r has the blocks `pointers[r]..pointers[r + 1]`, `[rows + 1]` (`indptr`).
    pointers: &'a [u32],
    /// The column index of each block (`indices`): it has the columns `4 · index..4 · index + 4`, one step.
    indices: &'a [u16],
    /// The weights of each block.
    words: &'a [[i8; 4]],
    /// The number of steps in a row.
    steps: usize,
}

impl<'a> Blocks<'a> {
    /// A matrix with the given blocks.
    ///
    /// # Errors
    /// The end of a sentence, such as `has 3 indices for 2 blocks`, if a pointer or an index is out of range.
    pub fn new(
        pointers: &'a [u32],
        indices: &'a [u16],
        words: &'a [[i8; 4]],
        steps: usize,
    ) -> Result<Self, String> {
        if indices.len() != words.len() {
            return Err(format!(
                "has {} for {}",
                counted(indices.len(), "index", "indices"),
                counted(words.len(), "block", "blocks")
            ));
        }
        if pointers.first() != Some(&0) || !pointers.is_sorted() {
            return Err("has row pointers that do not increase from 0".into());
        }
        if pointers.last().map(|last| *last as usize) != Some(indices.len()) {
            return Err(format!(
                "has row pointers that do not end at {}",
                counted(indices.len(), "block", "blocks")
            ));
        }
        match indices.iter().max() {
            Some(most) if usize::from(*most) >= steps => {
                Err(format!("has a block at step {most} of {}", counted(steps, "step", "steps")))
            }
            _ => Ok(Blocks { pointers, indices, words, steps }),
        }
    }

    /// [`Blocks::new`] without the validation of every index.
    ///
    /// # Safety
    /// [`Blocks::new`] must have accepted these arrays, and they must not have changed since.
    ///
    /// # Panics
    /// If indices and words differ in number.
    #[inline(always)]
    pub(in crate::infer) unsafe fn new_unchecked(
        pointers: &'a [u32],
        indices: &'a [u16],
        words: &'a [[i8; 4]],
        steps: usize,
    ) -> Self {
        assert!(!pointers.is_empty() && indices.len() == words.len(), "one index for each block");
        Blocks { pointers, indices, words, steps }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.pointers.len() - 1
    }
}

/// Cache blocking of a matrix with many columns: it is multiplied in strips of columns, many rows at a time, so that the
/// activations of a strip stay in L1.
#[derive(Clone, Debug, Default)]
pub struct Strips {
    /// The index of each row's first block in every strip but the first, `[strips − 1][rows]`.
    cuts: Vec<u32>,
    /// The number of rows.
    rows: usize,
}

/// The number of steps in a strip: 48 KiB of activations for 64 tokens.
const STRIP: usize = 192;

impl Strips {
    /// The strips of a matrix; a single one if it has few columns, or the blocks of a row are not sorted.
    pub fn of(matrix: &Blocks<'_>) -> Strips {
        let rows = matrix.rows();
        let row = |r: usize| matrix.pointers[r] as usize..matrix.pointers[r + 1] as usize;
        let count = matrix.steps.div_ceil(STRIP);
        let mut cuts = Vec::new();
        if count > 1 && (0..rows).all(|r| matrix.indices[row(r)].is_sorted()) {
            for strip in 1..count {
                let before = |place: &u16| usize::from(*place) < strip * STRIP;
                let cut = |r: usize| row(r).start + matrix.indices[row(r)].partition_point(before);
                cuts.extend((0..rows).map(|r| cut(r) as u32));
            }
        }
        Strips { cuts, rows }
    }

    /// The number of strips.
    pub fn count(&self) -> usize {
        1 + self.cuts.len() / self.rows.max(1)
    }

    /// The range of a row's blocks in a strip.
    #[inline(always)]
    fn part(&self, matrix: &Blocks<'_>, strip: usize, row: usize) -> (usize, usize) {
        let from = match strip {
            0 => matrix.pointers[row],
            _ => self.cuts[(strip - 1) * self.rows + row],
        };
        let to = match (strip + 1) * self.rows <= self.cuts.len() {
            true => self.cuts[strip * self.rows + row],
            false => matrix.pointers[row + 1],
        };
        (from as usize, to as usize)
    }
}

/// Multiplies some rows of a block-sparse matrix with a panel: `sums[rows][groups]`. `strips` are those of the matrix.
///
/// # Panics
/// If a row or a group is out of range.
#[inline(always)]
pub fn sparse<S: Simd>(
    simd: S,
    matrix: Blocks<'_>,
    strips: &Strips,
    rows: Range<usize>,
    panel: &Panel<'_, Quads>,
    sums: &mut [Ints],
) {
    simd.outline(SparseRows { matrix, strips, rows, panel, sums });
}

struct SparseRows<'a> {
    matrix: Blocks<'a>,
    strips: &'a Strips,
    rows: Range<usize>,
    panel: &'a Panel<'a, Quads>,
    sums: &'a mut [Ints],
}

impl Work for SparseRows<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        blocks_of_rows(simd, self.matrix, self.strips, self.rows, self.panel, self.sums);
    }
}

#[inline(always)]
fn blocks_of_rows<S: Simd>(
    simd: S,
    matrix: Blocks<'_>,
    strips: &Strips,
    rows: Range<usize>,
    panel: &Panel<'_, Quads>,
    sums: &mut [Ints],
) {
    let width = panel.groups.len();
    if rows.is_empty() || width == 0 {
        return;
    }
    panel.check(matrix.steps);
    assert!(rows.end <= matrix.rows(), "a row lies outside the matrix");
    assert!(strips.cuts.is_empty() || strips.rows == matrix.rows(), "strips of another matrix");
    assert!(sums.len() >= rows.len() * width, "too few sums");
    let mut group = panel.groups.start;
    while group < panel.groups.end {
        let many = (panel.groups.end - group).min(if S::GROUPS > 1 { S::GROUPS } else { 2 });
        let to = group - panel.groups.start;
        for strip in 0..strips.count() {
            for row in rows.clone() {
                let sums = &mut sums[(row - rows.start) * width + to..];
                let part = strips.part(&matrix, strip, row);
                assert!(part.0 <= part.1 && part.1 <= matrix.words.len(), "blocks outside the matrix");
                // SAFETY: rows, groups and blocks were checked above, indices when the matrix was made.
                unsafe {
                    match many {
                        4 => along::<S, 4, 2>(simd, matrix, part, panel, group, strip > 0, sums),
                        3 => along::<S, 3, 2>(simd, matrix, part, panel, group, strip > 0, sums),
                        2 if S::GROUPS > 2 => {
                            along::<S, 2, 4>(simd, matrix, part, panel, group, strip > 0, sums)
                        }
                        2 => along::<S, 2, 2>(simd, matrix, part, panel, group, strip > 0, sums),
                        _ => along::<S, 1, 4>(simd, matrix, part, panel, group, strip > 0, sums),
                    }
                }
            }
        }
        group += if (2..=4).contains(&many) { many } else { 1 };
    }
}

/// Multiplies the blocks `from..to` of a row with T groups. U consecutive blocks, 1, 2 or 4, have separate sums, so that
/// their products are independent. With `accumulate` the result is added to `sums`.
#[inline(always)]
unsafe fn along<S: Simd, const T: usize, const U: usize>(
    simd: S,
    matrix: Blocks<'_>,
    (from, to): (usize, usize),
    panel: &Panel<'_, Quads>,
    group: usize,
    accumulate: bool,
    sums: &mut [Ints],
) {
    let mut acc = [[simd.splat_int(0); T]; U];
    let sums = &mut sums[..T];
    if accumulate {
        for t in 0..T {
            acc[0][t] = simd.load_int(&sums[t]);
        }
    }
    let first = panel.steps.as_ptr().wrapping_add(group);
    // Pointers and wrapping arithmetic: slicing would cost as much as two of the twenty blocks of a typical row.
    let mut indices = matrix.indices.as_ptr().wrapping_add(from);
    let mut words = matrix.words.as_ptr().wrapping_add(from);
    let mut left = to.wrapping_sub(from);
    while left >= 4 {
        // SAFETY: `from..to` are blocks of the matrix and the group is one of the panel's, as the caller checked; indices
        // are within the panel, as was checked when the matrix was made.
        unsafe {
            // One load for four indices: loads are what a sparse row waits for.
            let mut places = u64::from_le(indices.cast::<u64>().read_unaligned());
            for u in 0..4 {
                let step = first.wrapping_add((places as u16 as usize).wrapping_mul(panel.width));
                let word = words.wrapping_add(u).read_unaligned();
                for t in 0..T {
                    acc[u % U][t] = Int8::add(simd, acc[u % U][t], step.wrapping_add(t), word);
                }
                places >>= 16;
            }
        }
        (indices, words) = (indices.wrapping_add(4), words.wrapping_add(4));
        left = left.wrapping_sub(4);
    }
    while left > 0 {
        // SAFETY: as above.
        unsafe {
            let step = first.wrapping_add(usize::from(indices.read_unaligned()).wrapping_mul(panel.width));
            let word = words.read_unaligned();
            for t in 0..T {
                acc[0][t] = Int8::add(simd, acc[0][t], step.wrapping_add(t), word);
            }
        }
        (indices, words) = (indices.wrapping_add(1), words.wrapping_add(1));
        left = left.wrapping_sub(1);
    }
    for t in 0..T {
        let mut total = acc[0][t];
        for u in 1..U {
            total = simd.add_int(total, acc[u][t]);
        }
        simd.store_int(total, &mut sums[t]);
    }
}
