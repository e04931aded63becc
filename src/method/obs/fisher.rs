//! The diagonal blocks of the empirical Fisher matrix, `Σ g gᵀ` over gradients, accumulated in chunks.
//!
//! Each block is stored as its lower triangle, row by row: (B + 1) / 2 floats for each weight. A chunk of k
//! gradients is added in one pass over the blocks: the panel `[k, B]` of a block is copied into L1, `panelᵀ panel`
//! is computed in registers (BLAS `ssyrk`) and added to the triangle. Each triangle is read and written once for k
//! gradients, where k rank-one updates would do it k times.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::gram::{Vectors, add_gram};
use super::panel::{Next, Panel, ROWS, Rows};

/// `Σ g gᵀ` of one parameter, block by block.
#[derive(Clone, Debug)]
pub struct Fisher {
    count: usize,
    block: usize,
    triangles: Vec<f32>,
}

/// Blocks in a task of the thread pool.
const BLOCKS: usize = 64;
/// The number of floats in the triangles that a task keeps in L2 while it adds all gradients of a chunk.
const RESIDENT: usize = 1 << 15;

impl Fisher {
    /// The zero matrix for `count` weights in blocks of `block`.
    pub fn new(count: usize, block: usize) -> Self {
        let blocks = count.div_ceil(block);
        Fisher { count, block, triangles: vec![0.0; blocks * triangle(block)] }
    }

    /// B, the weights in a block.
    pub fn block(&self) -> usize {
        self.block
    }

    /// The lower triangle of a block, row by row. Rows beyond the parameter's last weight are zero.
    pub fn triangle(&self, index: usize) -> &[f32] {
        let size = triangle(self.block);
        &self.triangles[index * size..(index + 1) * size]
    }

    /// Whether all entries are zero.
    pub fn is_zero(&self) -> bool {
        self.triangles.iter().all(|v| *v == 0.0)
    }

    /// Adds `Σ g gᵀ` over a chunk of gradients.
    ///
    /// # Panics
    /// If a gradient has fewer elements than the parameter.
    pub fn add<R: Rows + ?Sized>(&mut self, rows: &R) {
        self.add_with(rows, |work| match Arch::new() {
            #[cfg(target_arch = "x86_64")]
            Arch::V4(simd) => Simd::vectorize(simd, WithHalves { work, half: *simd }),
            arch => arch.dispatch(work),
        });
    }

    fn add_with<R: Rows + ?Sized>(&mut self, rows: &R, run: impl Fn(AddBlocks<'_, R>) + Sync) {
        let block = self.block;
        debug_assert!((0..rows.count()).all(|k| rows.row(k).len() == self.count), "whole gradients");
        self.triangles.par_chunks_mut(BLOCKS * triangle(block)).enumerate().for_each_init(
            || Panel::new(block),
            |panel, (i, triangles)| {
                run(AddBlocks { rows, block, first: i * BLOCKS, triangles, panel });
            },
        );
    }
}

/// The task of one thread: some consecutive blocks.
struct AddBlocks<'a, R: ?Sized> {
    rows: &'a R,
    block: usize,
    first: usize,
    triangles: &'a mut [f32],
    panel: &'a mut Panel,
}

impl<R: Rows + ?Sized> WithSimd for AddBlocks<'_, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        self.add(Vectors { whole: simd, half: simd });
    }
}

/// [`AddBlocks`] for instruction sets that also have vectors of half the width.
#[cfg(target_arch = "x86_64")]
struct WithHalves<'a, R: ?Sized, H> {
    work: AddBlocks<'a, R>,
    half: H,
}

#[cfg(target_arch = "x86_64")]
impl<R: Rows + ?Sized, H: Simd> WithSimd for WithHalves<'_, R, H> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        self.work.add(Vectors { whole: simd, half: self.half });
    }
}

impl<R: Rows + ?Sized> AddBlocks<'_, R> {
    #[inline(always)]
    fn add<S: Simd, H: Simd>(self, simd: Vectors<S, H>) {
        let AddBlocks { rows, block, first, triangles, panel } = self;
        let size = triangle(block);
        let together = (RESIDENT / size).clamp(1, 16);
        for (i, group) in triangles.chunks_mut(together * size).enumerate() {
            let place = (first + i * together) * block;
            let past = place + group.len() / size * block;
            for row in (0..rows.count()).step_by(ROWS) {
                let mut rest = &mut *group;
                for j in 0..rest.len() / size {
                    let (triangle, after) = rest.split_at_mut(size);
                    let start = place + j * block;
                    panel.pack(rows, row, start);
                    let next = if start + block < past {
                        Next { row, start: start + block }
                    } else if row + ROWS < rows.count() {
                        Next { row: row + ROWS, start: place }
                    } else {
                        Next { row: 0, start: past }
                    };
                    let soon = &after[..size.min(after.len())];
                    add_gram(simd, triangle, panel.panel(), soon, block, rows, next);
                    rest = after;
                }
            }
        }
    }
}

/// The number of entries of a lower triangle, `B (B + 1) / 2`.
pub fn triangle(block: usize) -> usize {
    block * (block + 1) / 2
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
            let gradients: Vec<&[f32]> = chunk.chunks(count).collect();
            let mut fisher = Fisher::new(count, block);
            fisher.add(gradients.as_slice());
            fisher.add(gradients.as_slice());
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

    #[test]
    fn vectors_of_every_width_give_the_same_bits() {
        for block in [2, 5, 8, 16, 21, 32, 50, 64, 130] {
            vectors_of_every_width(block);
        }
    }

    fn vectors_of_every_width(block: usize) {
        let count = 7 * block + 3;
        let rows: Vec<Vec<f32>> = (0..70)
            .map(|r| (0..count).map(|i| ((i * 37 + r * 11) % 101) as f32 / 17.0 - 3.0).collect())
            .collect();
        let rows = rows.as_slice();
        let mut fisher = Fisher::new(count, block);
        fisher.add(rows);
        let mut scalar = Fisher::new(count, block);
        scalar.add_with(rows, |work| pulp::Simd::vectorize(pulp::Scalar::new(), work));
        assert_eq!(fisher.triangles, scalar.triangles);
        #[cfg(target_arch = "x86_64")]
        if let Some(simd) = pulp::x86::V3::try_new() {
            let mut avx2 = Fisher::new(count, block);
            avx2.add_with(rows, |work| pulp::Simd::vectorize(simd, work));
            assert_eq!(fisher.triangles, avx2.triangles);
        }
        #[cfg(target_arch = "x86_64")]
        if let Some(simd) = pulp::x86::V4::try_new() {
            let mut whole = Fisher::new(count, block);
            whole.add_with(rows, |work| Simd::vectorize(simd, work));
            assert_eq!(fisher.triangles, whole.triangles);
        }
    }
}
