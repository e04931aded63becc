//! The matrix products of one layer on one thread: sparse and dense INT8 of this runtime, its float32, and PyTorch's
//! float32. `OBERT_PYTHON` names a Python with torch (default `python3`). Run it as
//!
//! ```sh
//! cargo bench --no-default-features --features infer --bench infer
//! ```
//!
//! A product is one step for sixteen tokens: 64 multiplications of bytes, or sixteen of floats. The first lines are
//! rooflines: products per second of a core from the L1 cache, dense (registers are reused) and sparse (one load for
//! each product). A row's `of the roof` is its share of the dense roofline. Sums are left in a small buffer, as in a
//! model, where the layer's epilogue reads them.

#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::process::Command;
use std::time::Instant;

use obert::internals::infer::kernel::product::{Blocks, Dense, Float32, Int8, Panel, Strips, dense, sparse};
use obert::internals::infer::simd::{Floats, Ints, Isa, Quads, Simd, Work};

/// Groups of sixteen tokens in a tile, and rows that are finished together, as in a model.
const TILE: usize = 4;
const ROWS: usize = 12;
/// The same if the inputs are split into several strips.
const STRIP_ROWS: usize = 192;

fn main() {
    let isa = Isa::best();
    println!("{}, one thread", isa.name());
    let mut sums = vec![Ints::default(); STRIP_ROWS * TILE];
    let roof = {
        // So often that the call does not count.
        const TIMES: usize = 50;
        const MANY: usize = 4 * ROWS;
        let words = vec![[1i8; 4]; 64 * MANY];
        let panel = vec![Quads::default(); 64 * TILE];
        let dense = rate(TIMES * 64 * MANY * TILE, || {
            isa.run(Bytes { words: &words, steps: 64, panel: &panel, tiles: TIMES })
        });
        let matrix = Matrix::random(MANY, 64, 0.3);
        let (count, blocks) = (TIMES * matrix.words.len() * TILE, matrix.blocks());
        let sparse = rate(count, || {
            isa.run(Sparse { matrix: &matrix, blocks, panel: &panel, tiles: TIMES, sums: &mut sums })
        });
        let floats = vec![Floats::default(); 64 * TILE];
        let weights = vec![1.0f32; 64 * MANY];
        let float = rate(TIMES * 64 * MANY * TILE, || {
            isa.run(Float { weights: &weights, steps: 64, panel: &floats, tiles: TIMES });
        });
        println!(
            "roofs, 10⁹ products/s: dense int8 {:.2}, sparse int8 {:.2}, float32 {:.2}",
            dense, sparse, float
        );
        dense
    };
    let mut torch = Torch::times();
    for (inputs, outputs) in [(768, 3072), (3072, 768), (768, 768)] {
        for tokens in [128, 384] {
            println!("\n{tokens} tokens × {inputs} × {outputs}");
            let tiles = tokens / 16 / TILE;
            let reference = torch.next();
            let show = |name: &str, seconds: f64, products: usize, float: f64| {
                let of_torch = reference.map_or(String::new(), |r| format!("{:6.1} × PyTorch", r / seconds));
                let rate = products as f64 / seconds / 1e9;
                println!(
                    "  {name:<18}{:8.3} ms  {rate:6.2} · 10⁹ products/s, {:3.0}% of the roof  {:6.1} × float32 {of_torch}",
                    seconds * 1e3,
                    100.0 * rate / roof,
                    float / seconds
                );
            };
            if let Some(seconds) = reference {
                println!("  {:<18}{:8.3} ms", "PyTorch float32", seconds * 1e3);
            }
            let floats = vec![Floats([0.5; 16]); inputs * TILE * tiles];
            let weights: Vec<f32> = (0..inputs * outputs).map(|i| (i % 7) as f32).collect();
            let float = median(|| {
                isa.run(Float { weights: &weights, steps: inputs, panel: &floats, tiles });
            });
            let products = inputs * outputs * TILE * tiles;
            println!(
                "  {:<18}{:8.3} ms  {:6.2} · 10⁹ products/s",
                "float32",
                float * 1e3,
                products as f64 / float / 1e9
            );
            let steps = inputs / 4;
            let panel = vec![Quads([3; 64]); steps * TILE * tiles];
            let words = vec![[1i8, 2, -3, 4]; steps * outputs];
            let seconds = median(|| isa.run(Bytes { words: &words, steps, panel: &panel, tiles }));
            show("dense int8", seconds, products / 4, float);
            for zeros in [0.8, 0.9, 0.95] {
                let matrix = Matrix::random(outputs, steps, 1.0 - zeros);
                let blocks = matrix.blocks();
                let seconds = median(|| {
                    isa.run(Sparse { matrix: &matrix, blocks, panel: &panel, tiles, sums: &mut sums })
                });
                let name = format!("{:.0}% sparse int8", zeros * 100.0);
                show(&name, seconds, matrix.words.len() * TILE * tiles, float);
            }
        }
    }
}

/// 10⁹ products per second.
fn rate(products: usize, work: impl FnMut()) -> f64 {
    products as f64 / median(work) / 1e9
}

/// The median seconds of a run, from a quarter of a second of runs.
fn median(mut work: impl FnMut()) -> f64 {
    let mut times = Vec::new();
    let begin = Instant::now();
    while begin.elapsed().as_secs_f64() < 0.25 || times.len() < 9 {
        // Short work is repeated, so that the clock does not count.
        let (start, mut runs) = (Instant::now(), 0);
        while runs == 0 || start.elapsed().as_secs_f64() < 1e-4 {
            work();
            runs += 1;
        }
        times.push(start.elapsed().as_secs_f64() / f64::from(runs));
    }
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// A random matrix, sparse in blocks of four.
struct Matrix {
    pointers: Vec<u32>,
    indices: Vec<u16>,
    words: Vec<[i8; 4]>,
    steps: usize,
    strips: Strips,
}

impl Matrix {
    fn random(rows: usize, steps: usize, kept: f64) -> Matrix {
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let mut draw = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let (pointers, strips) = (vec![0], Strips::default());
        let mut matrix = Matrix { pointers, indices: Vec::new(), words: Vec::new(), steps, strips };
        for _ in 0..rows {
            for step in 0..steps {
                if ((draw() >> 11) as f64) < kept * (1u64 << 53) as f64 {
                    matrix.indices.push(step as u16);
                    matrix.words.push((draw() as u32).to_le_bytes().map(|b| b as i8));
                }
            }
            matrix.pointers.push(matrix.indices.len() as u32);
        }
        matrix.strips = Strips::of(&matrix.blocks());
        matrix
    }

    fn blocks(&self) -> Blocks<'_> {
        Blocks::new(&self.pointers, &self.indices, &self.words, self.steps).expect("made above")
    }
}

struct Sparse<'a> {
    matrix: &'a Matrix,
    blocks: Blocks<'a>,
    panel: &'a [Quads],
    tiles: usize,
    sums: &'a mut [Ints],
}

impl Work for Sparse<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let (Matrix { steps, strips, .. }, blocks) = (self.matrix, self.blocks);
        let together = if strips.count() > 1 { STRIP_ROWS } else { ROWS };
        for tile in self.panel.chunks(steps * TILE).cycle().take(self.tiles) {
            let panel = Panel { steps: tile, width: TILE, groups: 0..TILE };
            for row in (0..blocks.rows()).step_by(together) {
                sparse(simd, blocks, strips, row..(row + together).min(blocks.rows()), &panel, self.sums);
                black_box(&mut *self.sums);
            }
        }
    }
}

struct Bytes<'a> {
    words: &'a [[i8; 4]],
    steps: usize,
    panel: &'a [Quads],
    tiles: usize,
}

impl Work for Bytes<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let mut sums = [Ints::default(); ROWS * TILE];
        let matrix = Dense { weights: self.words, row: self.steps, step: 1, steps: self.steps };
        let rows = self.words.len() / self.steps;
        for tile in self.panel.chunks(self.steps * TILE).cycle().take(self.tiles) {
            let panel = Panel { steps: tile, width: TILE, groups: 0..TILE };
            for row in (0..rows).step_by(ROWS) {
                dense::<S, Int8>(simd, matrix, row..(row + ROWS).min(rows), &panel, &mut sums);
                black_box(&mut sums);
            }
        }
    }
}

struct Float<'a> {
    weights: &'a [f32],
    steps: usize,
    panel: &'a [Floats],
    tiles: usize,
}

impl Work for Float<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let mut sums = [Floats::default(); ROWS * TILE];
        let matrix = Dense { weights: self.weights, row: self.steps, step: 1, steps: self.steps };
        let rows = self.weights.len() / self.steps;
        for tile in self.panel.chunks(self.steps * TILE).cycle().take(self.tiles) {
            let panel = Panel { steps: tile, width: TILE, groups: 0..TILE };
            for row in (0..rows).step_by(ROWS) {
                dense::<S, Float32>(simd, matrix, row..(row + ROWS).min(rows), &panel, &mut sums);
                black_box(&mut sums);
            }
        }
    }
}

/// PyTorch's times for the matrices in the order of `main`.
struct Torch(std::vec::IntoIter<f64>);

impl Torch {
    fn times() -> Torch {
        let python = std::env::var_os("OBERT_PYTHON").unwrap_or_else(|| "python3".into());
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/infer.py");
        let output = Command::new(python).arg(program).output();
        let text = output.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default();
        let times: Vec<f64> = text.lines().filter_map(|line| line.parse().ok()).collect();
        if times.is_empty() {
            println!("PyTorch is skipped: OBERT_PYTHON names no Python with torch");
        }
        Torch(times.into_iter())
    }

    fn next(&mut self) -> Option<f64> {
        self.0.next()
    }
}
