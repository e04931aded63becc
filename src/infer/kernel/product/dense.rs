//! The dense product, for int8 and float32.
//!
//! A tile of `ROWS × GROUPS` sums is held in registers, so that each load of activations is used by all rows of the tile
//! and each weight by all groups.

// Counted loops over registers: an iterator that is not inlined costs tenfold.
#![allow(clippy::needless_range_loop)]

use std::ops::Range;

use super::{Element, Panel};
use crate::infer::simd::{Simd, Work};

/// A weight matrix with strides: the weight of row r at step s has the index `r · row + s · step`.
#[derive(Clone, Copy, Debug)]
pub struct Dense<'a, W> {
    /// The weights.
    pub weights: &'a [W],
    /// The distance from one row to the next.
    pub row: usize,
    /// The distance from one step to the next.
    pub step: usize,
    /// The number of steps in a row.
    pub steps: usize,
}

/// Multiplies some rows of a matrix with a panel: `sums[rows][groups]`.
///
/// # Panics
/// If a row, a step or a group is out of range.
#[inline(always)]
pub fn dense<S: Simd, K: Element>(
    simd: S,
    matrix: Dense<'_, K::Weight>,
    rows: Range<usize>,
    panel: &Panel<'_, K::Step>,
    sums: &mut [K::Sums],
) {
    simd.outline(DenseRows::<K> { matrix, rows, panel, sums });
}

struct DenseRows<'a, K: Element> {
    matrix: Dense<'a, K::Weight>,
    rows: Range<usize>,
    panel: &'a Panel<'a, K::Step>,
    sums: &'a mut [K::Sums],
}

impl<K: Element> Work for DenseRows<'_, K> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        all_rows::<S, K>(simd, self.matrix, self.rows, self.panel, self.sums);
    }
}

#[inline(always)]
fn all_rows<S: Simd, K: Element>(
    simd: S,
    matrix: Dense<'_, K::Weight>,
    rows: Range<usize>,
    panel: &Panel<'_, K::Step>,
    sums: &mut [K::Sums],
) {
    let width = panel.groups.len();
    if rows.is_empty() || width == 0 {
        return;
    }
    panel.check(matrix.steps);
    assert!(sums.len() >= rows.len() * width, "too few sums");
    let last = (rows.end - 1) * matrix.row + matrix.steps.saturating_sub(1) * matrix.step;
    assert!(matrix.steps == 0 || last < matrix.weights.len(), "a row lies outside the weights");
    let mut row = rows.start;
    while row < rows.end {
        let height = S::ROWS.min(rows.end - row);
        let sums = &mut sums[(row - rows.start) * width..];
        // SAFETY: rows, steps and groups were checked above.
        unsafe {
            match height {
                6 => across::<S, K, 6>(simd, matrix, row, panel, sums),
                5 => across::<S, K, 5>(simd, matrix, row, panel, sums),
                4 => across::<S, K, 4>(simd, matrix, row, panel, sums),
                3 => across::<S, K, 3>(simd, matrix, row, panel, sums),
                2 => across::<S, K, 2>(simd, matrix, row, panel, sums),
                _ => across::<S, K, 1>(simd, matrix, row, panel, sums),
            }
        }
        row += if (2..=6).contains(&height) { height } else { 1 };
    }
}

/// Multiplies R rows with all groups.
#[inline(always)]
unsafe fn across<S: Simd, K: Element, const R: usize>(
    simd: S,
    matrix: Dense<'_, K::Weight>,
    row: usize,
    panel: &Panel<'_, K::Step>,
    sums: &mut [K::Sums],
) {
    let mut group = panel.groups.start;
    while group < panel.groups.end {
        let many = S::GROUPS.min(panel.groups.end - group);
        let to = group - panel.groups.start;
        // SAFETY: the caller checked; `many` groups are left.
        unsafe {
            match many {
                4 => tile::<S, K, R, 4>(simd, matrix, row, panel, group, sums, to),
                3 => tile::<S, K, R, 3>(simd, matrix, row, panel, group, sums, to),
                2 => tile::<S, K, R, 2>(simd, matrix, row, panel, group, sums, to),
                _ => tile::<S, K, R, 1>(simd, matrix, row, panel, group, sums, to),
            }
        }
        group += if (2..=4).contains(&many) { many } else { 1 };
    }
}

/// Multiplies R rows with T groups, with all sums in registers.
#[inline(always)]
unsafe fn tile<S: Simd, K: Element, const R: usize, const T: usize>(
    simd: S,
    matrix: Dense<'_, K::Weight>,
    row: usize,
    panel: &Panel<'_, K::Step>,
    group: usize,
    sums: &mut [K::Sums],
    to: usize,
) {
    let mut acc = [[K::zero(simd); T]; R];
    // Wrapping arithmetic keeps builds with overflow checks fast; the caller checked rows, steps and groups.
    let first = matrix.weights.as_ptr().wrapping_add(row.wrapping_mul(matrix.row));
    let mut weights = [first; R];
    for r in 1..R {
        weights[r] = weights[r - 1].wrapping_add(matrix.row);
    }
    let mut steps = panel.steps.as_ptr().wrapping_add(group);
    let mut left = matrix.steps;
    while left > 0 {
        for r in 0..R {
            // SAFETY: within the weights and the panel, as checked.
            unsafe {
                let weight = weights[r].read_unaligned();
                for t in 0..T {
                    acc[r][t] = K::add(simd, acc[r][t], steps.wrapping_add(t), weight);
                }
            }
            weights[r] = weights[r].wrapping_add(matrix.step);
        }
        steps = steps.wrapping_add(panel.width);
        left = left.wrapping_sub(1);
    }
    let width = panel.groups.len();
    for (r, acc) in acc.iter().enumerate() {
        for (t, acc) in acc.iter().enumerate() {
            K::store(simd, *acc, &mut sums[r * width + to + t]);
        }
    }
}
