//! The blocks of the empirical Fisher matrix: `Σ g gᵀ` over gradients, accumulated in chunks.
//!
//! Each block keeps its lower triangle, row by row: (B + 1) / 2 floats for each weight. A chunk of
//! k gradients is added by one pass over the blocks: the k × B panel of a block is copied into the
//! first cache, multiplied with its own transpose in registers, and added to the triangle. Memory
//! is read once for k gradients, not once for each (which is what makes k rank-one updates slow).

use pulp::{Arch, Simd};
use rayon::prelude::*;

/// Rows of a register tile.
const TILE: usize = 8;
/// Columns are filled up to whole vectors of the widest machine.
const WIDTH: usize = 16;

/// `Σ g gᵀ` of one parameter, block by block.
#[derive(Clone, Debug)]
pub struct Fisher {
    count: usize,
    block: usize,
    triangles: Vec<f32>,
}

impl Fisher {
    /// Zero, for `count` weights in blocks of `block`.
    pub fn new(count: usize, block: usize) -> Self {
        let blocks = count.div_ceil(block);
        Fisher { count, block, triangles: vec![0.0; blocks * triangle(block)] }
    }

    /// Weights in a block.
    pub fn block(&self) -> usize {
        self.block
    }

    /// The lower triangle of a block, row by row; entries of the tail beyond the last weight are 0.
    pub fn triangle(&self, index: usize) -> &[f32] {
        let size = triangle(self.block);
        &self.triangles[index * size..(index + 1) * size]
    }

    /// Adds `Σ g gᵀ` over the rows of a chunk, `[rows][count]`.
    ///
    /// # Panics
    /// If the chunk is not made of whole rows.
    pub fn add(&mut self, chunk: &[f32]) {
        assert_eq!(chunk.len() % self.count.max(1), 0, "a chunk of whole gradients");
        let (count, block) = (self.count, self.block);
        let padded = block.next_multiple_of(WIDTH);
        /// Blocks a thread takes at a time.
        const BLOCKS: usize = 64;
        self.triangles.par_chunks_mut(BLOCKS * triangle(block)).enumerate().for_each_init(
            || (Vec::new(), vec![0.0; padded.next_multiple_of(TILE) * padded]),
            |(panel, square), (i, triangles)| {
                for (j, triangle) in triangles.chunks_exact_mut(triangle(block)).enumerate() {
                    let start = (i * BLOCKS + j) * block;
                    let width = block.min(count - start);
                    pack(panel, chunk, count, start, width, padded);
                    multiply(square, panel, padded, block);
                    add_triangle(triangle, square, padded);
                }
            },
        );
    }
}

/// Entries of a lower triangle.
pub fn triangle(block: usize) -> usize {
    block * (block + 1) / 2
}

/// Copies the columns `start..start + width` of every row, filled up with zeros.
fn pack(panel: &mut Vec<f32>, chunk: &[f32], count: usize, start: usize, width: usize, padded: usize) {
    panel.clear();
    panel.resize(chunk.len() / count * padded, 0.0);
    for (row, gradient) in panel.chunks_exact_mut(padded).zip(chunk.chunks_exact(count)) {
        row[..width].copy_from_slice(&gradient[start..start + width]);
    }
}

/// The lower triangle of `panelᵀ panel`, in tiles that may reach beyond it.
#[inline(always)]
#[pulp::with_simd(multiply = Arch::new())]
fn multiply_simd<'a, S: Simd>(simd: S, square: &'a mut [f32], panel: &'a [f32], padded: usize, block: usize) {
    for i in (0..block).step_by(TILE) {
        // Columns up to the last row of the tile.
        for j in (0..(i + TILE).min(padded)).step_by(WIDTH) {
            let tile = tile(simd, panel, padded, i.min(padded - TILE), j);
            for (r, row) in tile.iter().enumerate() {
                let at = (i.min(padded - TILE) + r) * padded + j;
                square[at..at + WIDTH].copy_from_slice(row);
            }
        }
    }
}

/// `Σ panel[k][i + r] · panel[k][j + c]` for eight r and sixteen c.
#[inline(always)]
fn tile<S: Simd>(simd: S, panel: &[f32], padded: usize, i: usize, j: usize) -> [[f32; WIDTH]; TILE] {
    let mut out = [[0.0; WIDTH]; TILE];
    let lanes = S::F32_LANES;
    for at in (0..WIDTH).step_by(lanes) {
        let mut sums = [simd.splat_f32s(0.0); TILE];
        for row in panel.chunks_exact(padded) {
            let columns = simd.partial_load_f32s(&row[j + at..j + at + lanes]);
            let rows = &row[i..i + TILE];
            for (sum, r) in sums.iter_mut().zip(rows) {
                *sum = simd.mul_add_e_f32s(simd.splat_f32s(*r), columns, *sum);
            }
        }
        for (out, sum) in out.iter_mut().zip(sums) {
            simd.partial_store_f32s(&mut out[at..at + lanes], sum);
        }
    }
    out
}

fn add_triangle(triangle: &mut [f32], square: &[f32], padded: usize) {
    let mut rest = triangle;
    for (i, row) in square.chunks_exact(padded).enumerate() {
        if rest.is_empty() {
            break;
        }
        let (head, tail) = rest.split_at_mut(i + 1);
        for (sum, v) in head.iter_mut().zip(row) {
            *sum += v;
        }
        rest = tail;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_size_and_tail_agrees_with_the_definition() {
        for (count, block, rows) in
            [(64, 4, 3), (100, 50, 7), (130, 32, 5), (37, 16, 9), (20, 50, 4), (9, 1, 2)]
        {
            let chunk: Vec<f32> = (0..count * rows).map(|i| ((i * 37 % 101) as f32 - 50.0) / 17.0).collect();
            let mut fisher = Fisher::new(count, block);
            fisher.add(&chunk);
            fisher.add(&chunk);
            for b in 0..count.div_ceil(block) {
                let triangle = fisher.triangle(b);
                for i in 0..block {
                    for j in 0..=i {
                        let at = |row: usize, k: usize| {
                            let place = b * block + k;
                            if place < count { chunk[row * count + place] as f64 } else { 0.0 }
                        };
                        let expected: f64 = 2.0 * (0..rows).map(|r| at(r, i) * at(r, j)).sum::<f64>();
                        let got = triangle[i * (i + 1) / 2 + j] as f64;
                        assert!((got - expected).abs() < 1e-4, "{count} {block} block {b} at {i},{j}");
                    }
                }
            }
        }
    }
}
