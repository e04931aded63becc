//! The Gram matrix of a panel of gradients, `panelᵀ panel`, in registers.
//!
//! A panel `[k][padded]` holds the columns of one block. The product is computed in tiles of up to eight rows by as
//! many vectors as the registers hold. Each element is one chain of fused multiply-adds over the gradients in
//! order, so that every vector width, and scalar code, gives the same bits.

use pulp::Simd;

use super::panel::{Next, Rows, WIDTH};
use super::prefetch::prefetch as prefetch_line;

/// The SIMD tokens for the widest vectors and for those of half the width, with which the columns of a tile end
/// closer to the diagonal. On machines with one width both are the same.
#[derive(Clone, Copy)]
pub struct Vectors<S, H> {
    /// The widest vectors.
    pub whole: S,
    /// Vectors of half the width.
    pub half: H,
}

impl<S: Simd, H: Simd> Vectors<S, H> {
    /// The number of rows of the next tile when `rest` rows are left, and the number of vectors of each row that
    /// the registers hold.
    #[inline(always)]
    fn tall(rest: usize) -> (usize, usize) {
        match (rest, S::F32_LANES >= WIDTH) {
            (1 | 2, long) => (2, if long { 4 } else { 2 }),
            (3 | 4, long) => (4, if long { 4 } else { 2 }),
            (_, true) => (8, 3),
            (_, false) => (4, 2),
        }
    }

    /// The number of whole vectors and of half vectors (0 or 1) in a tile when `columns` columns are left.
    #[inline(always)]
    fn wide(columns: usize, most: usize) -> (usize, usize) {
        let halves = columns.div_ceil(H::F32_LANES);
        if H::F32_LANES == S::F32_LANES {
            return (halves.min(most), 0);
        }
        let wide = (halves / 2).min(most);
        (wide, if wide < most { halves % 2 } else { 0 })
    }
}

/// Adds the lower triangle of `panelᵀ panel` to `triangle`, stored row by row, and prefetches what is read next:
/// the rows of the next panel, and the triangle `after` this one.
#[inline(always)]
pub fn add_gram<S: Simd, H: Simd, R: Rows + ?Sized>(
    simd: Vectors<S, H>,
    triangle: &mut [f32],
    panel: &[f32],
    after: &[f32],
    block: usize,
    rows: &R,
    next: Next,
) {
    let padded = block.next_multiple_of(WIDTH);
    let mut prefetched = 0;
    let mut row = 0;
    while row < block {
        let (tall, most) = Vectors::<S, H>::tall(block - row);
        let columns = (row + tall).min(block);
        let mut column = 0;
        while column < columns {
            let (wide, halves) = Vectors::<S, H>::wide(columns - column, most);
            // Every tile below the first rows prefetches one cache line of each row of the next panel; the row's
            // last element may be in a further line.
            let prefetch = if row == 0 {
                Prefetch::Triangle(after)
            } else {
                let start = next.start + (prefetched * WIDTH).min(padded - 1);
                prefetched += 1;
                Prefetch::Rows(Next { start, ..next })
            };
            let place = Place { padded, row, column, prefetch };
            macro_rules! tiles {
                ($($tall:literal: $([$wide:literal $halves:literal])*;)*) => {
                    match (tall, wide, halves) {
                        $($(($tall, $wide, $halves) => add_tile::<S, H, R, $tall, $wide, $halves>(
                            simd, triangle, panel, place, rows, block,
                        ),)*)*
                        // invariant: `tall` and `wide` give the shapes below alone.
                        _ => unreachable!("{tall} rows by {wide} vectors and {halves} halves"),
                    }
                };
            }
            tiles! {
                2: [1 0] [2 0] [3 0] [4 0] [0 1] [1 1] [2 1] [3 1];
                4: [1 0] [2 0] [3 0] [4 0] [0 1] [1 1] [2 1] [3 1];
                8: [1 0] [2 0] [3 0] [0 1] [1 1] [2 1];
            }
            column += wide * S::F32_LANES + halves * H::F32_LANES;
        }
        row += tall;
    }
}

/// What a tile prefetches, one cache line for each gradient that it multiplies.
#[derive(Clone, Copy)]
enum Prefetch<'a> {
    /// One line of each row of the next panel.
    Rows(Next),
    /// Consecutive lines of the next triangle.
    Triangle(&'a [f32]),
}

/// The position of a tile in the Gram matrix.
#[derive(Clone, Copy)]
struct Place<'a> {
    padded: usize,
    row: usize,
    column: usize,
    prefetch: Prefetch<'a>,
}

/// Adds `Σ_k panel[k][row + r] · panel[k][column + c]` to the lower triangle, for R rows r and the columns c of V
/// vectors and N half vectors (0 or 1).
#[inline(always)]
fn add_tile<S: Simd, H: Simd, G: Rows + ?Sized, const R: usize, const V: usize, const N: usize>(
    simd: Vectors<S, H>,
    triangle: &mut [f32],
    panel: &[f32],
    place: Place,
    rows: &G,
    block: usize,
) {
    // Rows of the last tile may lie beyond the block, never beyond the panel.
    let Place { row, column, .. } = place;
    let (mut wholes, mut halves) = products::<S, H, G, R, V, N>(simd, panel, place, rows);
    let half = column + V * S::F32_LANES;
    let end = half + N * H::F32_LANES;
    // The first column of the last vector, whole or half, and its number of lanes.
    let (last, lanes) =
        if N == 1 { (half, H::F32_LANES) } else { (half.wrapping_sub(S::F32_LANES), S::F32_LANES) };
    // Whole vectors of the triangle, in which rows follow each other without a gap: the last vector of a row
    // reaches into the next rows, to which zero is added. All rows are read before the first is written, and
    // written in order, so that stale elements of the next row are overwritten. Nothing here may panic: the
    // compiler would spill the sums to memory.
    let bottom = row + R - 1;
    // Written out row by row: in a loop, sums would be indexed in memory.
    macro_rules! rows {
        ($part:ident: $($r:literal)*) => {$(
            if $r < R {
                $part!($r);
            }
        )*};
    }
    if bottom < block && triangle_row(bottom).wrapping_add(end) <= triangle.len() && last <= row {
        let place = |r: usize| {
            let start = triangle_row(row.wrapping_add(r));
            start.wrapping_add(column)..start.wrapping_add(end)
        };
        macro_rules! read {
            ($r:literal) => {
                let own = row.wrapping_add($r + 1).wrapping_sub(last).min(lanes);
                let window = WINDOW.get(WIDTH.wrapping_sub(own)..).unwrap_or(&[]);
                if N == 1 {
                    if let Some(window) = H::as_simd_f32s(window).0.first() {
                        halves[$r][0] = simd.half.and_f32s(halves[$r][0], *window);
                    }
                } else if let Some(window) = S::as_simd_f32s(window).0.first() {
                    wholes[$r][V - 1] = simd.whole.and_f32s(wholes[$r][V - 1], *window);
                }
                let (old, old_half) = S::as_simd_f32s(triangle.get(place($r)).unwrap_or(&[]));
                for (total, old) in wholes[$r].iter_mut().zip(old) {
                    *total = simd.whole.add_f32s(*old, *total);
                }
                for (total, old) in halves[$r].iter_mut().zip(H::as_simd_f32s(old_half).0) {
                    *total = simd.half.add_f32s(*old, *total);
                }
            };
        }
        macro_rules! write {
            ($r:literal) => {
                if let Some(new) = triangle.get_mut(place($r)) {
                    let (new, new_half) = S::as_mut_simd_f32s(new);
                    if let Some(new) = new.first_chunk_mut::<V>() {
                        *new = wholes[$r];
                    }
                    if let Some(new) = H::as_mut_simd_f32s(new_half).0.first_chunk_mut::<N>() {
                        *new = halves[$r];
                    }
                }
            };
        }
        rows!(read: 0 1 2 3 4 5 6 7);
        rows!(write: 0 1 2 3 4 5 6 7);
        return;
    }
    // The last rows end with the triangle.
    macro_rules! partial {
        ($r:literal) => {
            if $r < block - row {
                let line = &mut triangle[triangle_row(row + $r)..][..row + $r + 1];
                for (v, sum) in wholes[$r].iter().enumerate() {
                    add_partial(simd.whole, line, column + v * S::F32_LANES, *sum);
                }
                for sum in &halves[$r] {
                    add_partial(simd.half, line, half, *sum);
                }
            }
        };
    }
    rows!(partial: 0 1 2 3 4 5 6 7);
}

/// Adds those lanes of a vector that are within `line[first..]`.
#[inline(always)]
fn add_partial<S: Simd>(simd: S, line: &mut [f32], first: usize, sum: S::f32s) {
    if first < line.len() {
        let old = &mut line[first..];
        let own = old.len().min(S::F32_LANES);
        let old = &mut old[..own];
        let total = simd.add_f32s(simd.partial_load_f32s(old), sum);
        simd.partial_store_f32s(old, total);
    }
}

/// The index of a row's first element in a lower triangle.
#[inline(always)]
fn triangle_row(row: usize) -> usize {
    row.wrapping_mul(row.wrapping_add(1)) / 2
}

/// Computes the products of a tile over all k. Nothing in its loop may panic: the compiler would spill the sums to
/// memory for every gradient.
#[inline(always)]
#[allow(clippy::type_complexity)]
fn products<S: Simd, H: Simd, G: Rows + ?Sized, const R: usize, const V: usize, const N: usize>(
    simd: Vectors<S, H>,
    panel: &[f32],
    place: Place,
    rows: &G,
) -> ([[S::f32s; V]; R], [[H::f32s; N]; R]) {
    let Place { padded, row, column, prefetch } = place;
    let mut wholes = [[simd.whole.splat_f32s(0.0); V]; R];
    let mut halves = [[simd.half.splat_f32s(0.0); N]; R];
    let (heads, columns) = (row..row + R, column..column + V * S::F32_LANES + N * H::F32_LANES);
    for (k, line) in panel.chunks_exact(padded).enumerate() {
        // The last two rows are too little work to prefetch beside, and everything is prefetched by then.
        if R > 2 {
            match prefetch {
                Prefetch::Rows(next) => rows.prefetch(next.row.wrapping_add(k), next.start),
                Prefetch::Triangle(after) => prefetch_line(after, k.wrapping_mul(WIDTH)),
            }
        }
        let (Some(heads), Some(columns)) = (line.get(heads.clone()), line.get(columns.clone())) else {
            continue;
        };
        let (columns, half) = S::as_simd_f32s(columns);
        let (half, _) = H::as_simd_f32s(half);
        for ((wholes, halves), head) in wholes.iter_mut().zip(&mut halves).zip(heads) {
            let all = simd.whole.splat_f32s(*head);
            for (sum, column) in wholes.iter_mut().zip(columns) {
                *sum = simd.whole.mul_add_f32s(all, *column, *sum);
            }
            let all = simd.half.splat_f32s(*head);
            for (sum, column) in halves.iter_mut().zip(half) {
                *sum = simd.half.mul_add_f32s(all, *column, *sum);
            }
        }
    }
    (wholes, halves)
}

/// A mask of all ones, then zeros: the vector from index `WIDTH - n` on keeps n lanes.
static WINDOW: [f32; 2 * WIDTH] = {
    let mut window = [0.0; 2 * WIDTH];
    let mut i = 0;
    while i < WIDTH {
        window[i] = f32::from_bits(u32::MAX);
        i += 1;
    }
    window
};
