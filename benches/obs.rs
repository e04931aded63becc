//! The OBS pruner on a BERT-sized matrix (2,359,296 weights, 1024 gradients in float32): Fisher blocks, factors,
//! saliencies and update, against the inverse computed by a rank-one update for each gradient, in Rust and in PyTorch.
//! All in CPU-seconds of all threads, which other load on the machine changes least. Run it as `cargo bench --profile
//! dev --bench obs`; `OBERT_PYTHON` names a Python with torch (default `python3`). The last line is `CPU-seconds ratio
//! rank-one/ours: N`.
//!
//! Everything is measured several times and the best time counts, so that the allocation of memory is not included. The
//! pruner is measured in full, from gradients in memory. Rank-one updates take the same time for every gradient, so
//! some are measured and scaled to all; PyTorch uses the number of threads with which it is fastest.

#![allow(clippy::print_stdout)]
// `pulp::with_simd` needs its lifetimes spelt out.
#![allow(clippy::needless_lifetimes)]

use std::ops::{ControlFlow, Range};
use std::process::{Command, Stdio};
use std::time::Instant;

use obert::internals::method::mask::Mask;
use obert::internals::method::mask::grouping::Grouping;
use obert::internals::method::mask::select::{Goal, Ranking};
use obert::internals::method::obs::{
    FisherEstimate, Gradient, GradientSource, HostEstimate, Measure, Place, Precision, PruningEvent,
    Settings, Sharding,
};
use obert::internals::ranks::Ranks;
use pulp::{Arch, Simd};
use rayon::prelude::*;

/// The allocator of the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Weights of a 768 × 3072 matrix.
const WEIGHTS: usize = 2_359_296;
const GRADIENTS: usize = 1024;
/// Gradients per chunk. As many different gradients are used in turn: far more than fit into a cache.
const CHUNK: usize = 128;
const DAMP: f64 = 1e-7;
/// Number of rank-one updates that are measured.
const SLICE: usize = 12;

fn main() {
    println!("{WEIGHTS} weights, {GRADIENTS} gradients, {} threads", rayon::current_num_threads());
    // Spaced as an estimate spaces its own chunk: rows spread over the caches.
    let stride = WEIGHTS + 37 * 16;
    let mut chunk = vec![0.0f32; CHUNK * stride];
    chunk.par_chunks_mut(stride).enumerate().for_each(|(i, row)| noise(row, i as u64, 1e-2));
    let pool: Vec<&[f32]> = chunk.chunks(stride).map(|row| &row[..WEIGHTS]).collect();
    let mut weights = vec![0.0; WEIGHTS];
    noise(&mut weights, 1 << 20, 5e-2);
    let mut last = None;
    for (block, group) in [(32, 4), (50, 1)] {
        let pattern = if group == 1 { "unstructured".to_owned() } else { format!("blocks(1, {group})") };
        println!("\nB = {block}, {pattern}");
        let (mut exact, mut independent) = (f64::INFINITY, f64::INFINITY);
        for _ in 0..3 {
            exact = exact.min(ours(&pool, &weights, block, group, true));
            independent = independent.min(ours(&pool, &weights, block, group, false));
        }
        println!("  ours with the exact update {exact:.2} CPU-s, with the independent one {independent:.2}");
        let [fused, two] = rank_one(&pool, block);
        println!(
            "  rank-one in Rust, {SLICE} gradients scaled to {GRADIENTS}: {two:.1} CPU-s ({:.0} × ours); both \
             passes block by block, in the first cache: {fused:.1} CPU-s ({:.0} × ours)",
            two / exact,
            fused / exact,
        );
        match torch(block) {
            Some(torch) => println!(
                "  rank-one in PyTorch, {SLICE} gradients scaled to {GRADIENTS}: {torch:.1} CPU-s ({:.0} × ours)",
                torch / exact
            ),
            None => println!("  rank-one in PyTorch: not measured (no Python with torch)"),
        }
        last = Some(two / exact);
    }
    println!("\nCPU-seconds ratio rank-one/ours: {:.1}", last.unwrap_or(f64::NAN));
}

/// A source without gradients: all of them are in the estimate, and no block is recomputed.
struct NoMore;

impl GradientSource for NoMore {
    fn gradients(
        &mut self,
        _: Range<usize>,
        _: Range<usize>,
        _: Place,
        _: &mut dyn FnMut(usize, Gradient),
    ) -> ControlFlow<()> {
        ControlFlow::Break(())
    }

    fn evaluate(&mut self, _: Measure, _: Range<usize>, _: Vec<(usize, Vec<f32>)>) -> ControlFlow<(), f64> {
        ControlFlow::Break(())
    }
}

/// CPU-seconds of one pruning event.
fn ours(pool: &[&[f32]], weights: &[f32], block: usize, group: usize, exact: bool) -> f64 {
    let settings = Settings { block, damp: DAMP, divisor: GRADIENTS, exact, group, correlated: false };
    let (mut weights, mut mask) = (weights.to_vec(), Mask::ones(WEIGHTS));
    let (begin, clock) = (cpu_seconds(), Instant::now());
    let mut estimate = HostEstimate::new(WEIGHTS, block, GRADIENTS, CHUNK);
    for _ in 0..GRADIENTS / CHUNK {
        estimate.add_chunk(pool);
    }
    let accumulated = (cpu_seconds() - begin, clock.elapsed());
    estimate.finish();
    let event = PruningEvent {
        weights: &[std::mem::take(&mut weights)],
        masks: &[mask.clone()],
        groupings: &[Grouping::Runs(group)],
        goals: &[Goal { members: vec![0], sparsity: 0.5 }],
        ranking: Ranking::Global,
        settings,
        gradients: GRADIENTS,
        precision: Precision::F32,
        raises_damp: false,
        passes: &[],
        memory: None,
        device: None,
        at_most: 1.0,
        allocation: None,
        sharding: Sharding { ranks: &Ranks::alone(), owners: &[] },
    };
    let mut estimates = [FisherEstimate::Host(estimate)];
    let (removals, _) =
        event.run_with(&mut estimates, &mut None, &mut NoMore).expect("well-conditioned blocks");
    weights = event.weights[0].clone();
    removals[0].apply(&mut weights, &mut mask, 1.0);
    let all = cpu_seconds() - begin;
    // Multiplications and additions of the lower triangles.
    let useful = (WEIGHTS * (block + 1) * GRADIENTS) as f64;
    println!(
        "  ours, {} update: accumulate {:.2} CPU-s ({:.0} GFLOP/s useful for each CPU-second, {:.2} s elapsed), \
         factor, score and update {:.2} CPU-s",
        if exact { "exact" } else { "independent" },
        accumulated.0,
        useful / accumulated.0 / 1e9,
        accumulated.1.as_secs_f64(),
        all - accumulated.0,
    );
    assert_eq!(mask.pruned(), WEIGHTS / 2);
    all
}

/// CPU-seconds of the rank-one recursion on the inverse for all gradients: block by block, and with two passes over the
/// whole inverse for each gradient.
fn rank_one(pool: &[&[f32]], block: usize) -> [f64; 2] {
    let blocks = WEIGHTS.div_ceil(block);
    let mut inverse = vec![0.0f32; blocks * block * block];
    for square in inverse.chunks_exact_mut(block * block) {
        for i in 0..block {
            square[i * block + i] = (1.0 / DAMP) as f32;
        }
    }
    let padded: Vec<Vec<f32>> =
        pool[..4].iter().map(|g| [*g, &vec![0.0; blocks * block - WEIGHTS][..]].concat()).collect();
    /// Blocks per task of a thread.
    const BLOCKS: usize = 64;
    let mut along = vec![0.0f32; blocks * block];
    let fused = |inverse: &mut [f32], gradient: &[f32]| {
        inverse.par_chunks_mut(BLOCKS * block * block).zip(gradient.par_chunks(BLOCKS * block)).for_each(
            |(squares, gradients)| {
                let mut v = vec![0.0; block];
                for (square, g) in squares.chunks_exact_mut(block * block).zip(gradients.chunks_exact(block))
                {
                    multiply(&mut v, square, g);
                    subtract(square, &mut v, g, GRADIENTS as f32);
                }
            },
        );
    };
    let mut two = |inverse: &mut [f32], gradient: &[f32]| {
        along
            .par_chunks_mut(BLOCKS * block)
            .zip(inverse.par_chunks(BLOCKS * block * block).zip(gradient.par_chunks(BLOCKS * block)))
            .for_each(|(along, (squares, gradients))| {
                let parts = along.chunks_exact_mut(block).zip(gradients.chunks_exact(block));
                for (square, (v, g)) in squares.chunks_exact(block * block).zip(parts) {
                    multiply(v, square, g);
                }
            });
        inverse
            .par_chunks_mut(BLOCKS * block * block)
            .zip(along.par_chunks_mut(BLOCKS * block).zip(gradient.par_chunks(BLOCKS * block)))
            .for_each(|(squares, (along, gradients))| {
                let parts = along.chunks_exact_mut(block).zip(gradients.chunks_exact(block));
                for (square, (v, g)) in squares.chunks_exact_mut(block * block).zip(parts) {
                    subtract(square, v, g, GRADIENTS as f32);
                }
            });
    };
    let mut measure = |step: &mut dyn FnMut(&mut [f32], &[f32])| {
        step(&mut inverse, &padded[0]);
        let mut slice = || {
            let begin = cpu_seconds();
            for i in 0..SLICE {
                step(&mut inverse, &padded[i % padded.len()]);
            }
            cpu_seconds() - begin
        };
        slice().min(slice()) / SLICE as f64 * GRADIENTS as f64
    };
    [measure(&mut |inverse, g| fused(inverse, g)), measure(&mut |inverse, g| two(inverse, g))]
}

/// v = F⁻¹ g of one block.
#[inline(always)]
#[pulp::with_simd(multiply = Arch::new())]
fn multiply_simd<'a, S: Simd>(_simd: S, v: &'a mut [f32], square: &'a [f32], g: &'a [f32]) {
    v.fill(0.0);
    // F⁻¹ is symmetric: its rows are its columns.
    for (row, g) in square.chunks_exact(g.len()).zip(g) {
        for (v, f) in v.iter_mut().zip(row) {
            *v = f.mul_add(*g, *v);
        }
    }
}

/// F⁻¹ -= v vᵀ / (m + gᵀ v).
#[inline(always)]
#[pulp::with_simd(subtract = Arch::new())]
fn subtract_simd<'a, S: Simd>(_simd: S, square: &'a mut [f32], v: &'a mut [f32], g: &'a [f32], m: f32) {
    let along: f32 = v.iter().zip(g).map(|(v, g)| v * g).sum();
    let scale = 1.0 / (m + along).sqrt();
    v.iter_mut().for_each(|v| *v *= scale);
    for (row, a) in square.chunks_exact_mut(g.len()).zip(v.iter()) {
        for (f, b) in row.iter_mut().zip(v.iter()) {
            *f = (-*a).mul_add(*b, *f);
        }
    }
}

/// CPU-seconds of PyTorch for all gradients.
fn torch(block: usize) -> Option<f64> {
    let python = std::env::var("OBERT_PYTHON").unwrap_or("python3".into());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/obs.py");
    let numbers = [WEIGHTS, block, GRADIENTS, SLICE].map(|n| n.to_string());
    let output = Command::new(python).arg(script).args(numbers).stderr(Stdio::null()).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

/// Approximately normal noise: the sum of four uniform numbers, scaled.
fn noise(values: &mut [f32], seed: u64, scale: f32) {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    for value in values {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        let sum: i32 = (0..4).map(|part| i32::from((z >> (16 * part)) as u16)).sum();
        *value = (sum - 131_070) as f32 / 37_837.0 * scale;
    }
}

/// CPU time of this process over all threads; on systems without /proc elapsed time × threads, an upper bound.
fn cpu_seconds() -> f64 {
    /// Clock ticks per second in `/proc`, constant on Linux.
    const TICKS: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    match (
        fields.get(11).and_then(|f| f.parse::<f64>().ok()),
        fields.get(12).and_then(|f| f.parse::<f64>().ok()),
    ) {
        (Some(user), Some(system)) => (user + system) / TICKS,
        _ => {
            static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
            START.get_or_init(Instant::now).elapsed().as_secs_f64() * rayon::current_num_threads() as f64
        }
    }
}
