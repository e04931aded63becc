//! Rotary position embeddings (RoPE): pairs of elements of a query or key are rotated by angles that grow with its
//! position.

use std::sync::Arc;

use burn::tensor::{Tensor, TensorData};
use rayon::prelude::*;

use super::attention::Sequences;
use super::op::{CpuOp, run};

/// The cosines and sines of the angles `p θ^(-2i/d)` of positions p and i = 0..d/2.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// `[positions, d/2]` each.
    cos: Arc<[f32]>,
    sin: Arc<[f32]>,
    half: usize,
}

impl Rotation {
    /// The angles of the positions of a sequence of `longest` tokens, for heads of size `size` and the base `theta`.
    pub fn new(longest: usize, size: usize, theta: f64) -> Self {
        let half = size / 2;
        // `transformers` computes frequencies and angles in float32.
        let frequency = |i: usize| theta.powf(-2.0 * i as f64 / size as f64) as f32;
        let frequencies: Vec<f32> = (0..half).map(frequency).collect();
        let angles = (0..longest).flat_map(|p| frequencies.iter().map(move |f| f64::from(p as f32 * f)));
        let (cos, sin): (Vec<f32>, Vec<f32>) = angles.map(|a| (a.cos() as f32, a.sin() as f32)).unzip();
        Rotation { cos: cos.into(), sin: sin.into(), half }
    }

    fn at(&self, position: usize) -> (&[f32], &[f32]) {
        let row = position * self.half..(position + 1) * self.half;
        (&self.cos[row.clone()], &self.sin[row])
    }
}

/// Rotates queries or keys `[tokens, heads * d]`: the elements i and i + d/2 of every head are a pair
/// (`apply_rotary_pos_emb` of `transformers`).
pub fn rotate(x: Tensor<2>, sequences: &Sequences, rotation: &Rotation) -> Tensor<2> {
    let shape = x.dims();
    match sequences {
        Sequences::Packed(starts) => {
            run(Rotate { shape, starts: starts.clone(), rotation: rotation.clone() }, [x.into()])
        }
        Sequences::Padded { length, .. } => plain_rotate(x, *length, rotation),
    }
}

/// [`rotate`] of sequences of equal length in Burn's operations.
fn plain_rotate(x: Tensor<2>, length: usize, rotation: &Rotation) -> Tensor<2> {
    let [rows, width] = x.dims();
    let half = rotation.half;
    let heads = width / (2 * half);
    let device = x.device();
    let table = |values: &[f32]| {
        let data = TensorData::new(values[..length * half].to_vec(), [1, length, 1, half]);
        Tensor::<4>::from_data(data, &device)
    };
    let (cos, sin) = (table(&rotation.cos), table(&rotation.sin));
    let x = x.reshape([rows, heads, 2, half]);
    let part = |i: usize| x.clone().narrow(2, i, 1).reshape([rows / length, length, heads, half]);
    let (a, b) = (part(0), part(1));
    let turned = [a.clone() * cos.clone() - b.clone() * sin.clone(), b * cos + a * sin];
    let turned = turned.map(|t| t.reshape([rows, heads, 1, half]));
    Tensor::cat(turned.to_vec(), 2).reshape([rows, width])
}

#[derive(Clone, Debug)]
struct Rotate {
    shape: [usize; 2],
    starts: Arc<[usize]>,
    rotation: Rotation,
}

impl Rotate {
    /// Rotates every row by the angles of its position, or by their negatives if `back`.
    fn rotate(&self, x: &[f32], back: bool) -> Vec<f32> {
        let [_, width] = self.shape;
        let half = self.rotation.half;
        let mut y = vec![0.0; x.len()];
        y.par_chunks_mut(width).zip(x.par_chunks(width)).enumerate().for_each(|(row, (y, x))| {
            let sequence = self.starts.partition_point(|start| *start <= row) - 1;
            let (cos, sin) = self.rotation.at(row - self.starts[sequence]);
            for (y, x) in y.chunks_exact_mut(2 * half).zip(x.chunks_exact(2 * half)) {
                let ((ya, yb), (xa, xb)) = (y.split_at_mut(half), x.split_at(half));
                for i in 0..half {
                    let s = if back { -sin[i] } else { sin[i] };
                    ya[i] = xa[i] * cos[i] - xb[i] * s;
                    yb[i] = xb[i] * cos[i] + xa[i] * s;
                }
            }
        });
        y
    }
}

impl CpuOp<1> for Rotate {
    type Saved = ();

    fn forward(&self, [x]: [&[f32]; 1]) -> (Vec<f32>, ()) {
        (self.rotate(x, false), ())
    }

    fn shape(&self) -> [usize; 2] {
        self.shape
    }

    fn backward(&self, _: [&[f32]; 1], _: &(), gradient: &[f32], _: [bool; 1]) -> [Option<Vec<f32>>; 1] {
        [Some(self.rotate(gradient, true))]
    }
}
