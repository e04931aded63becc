//! Disentangled attention: terms of the scores that combine contents with distances (DeBERTa).

use burn::tensor::{Int, Tensor, TensorData};
use rayon::prelude::*;

use super::attention::{Attention, HeadSequence, Sequences, split};
use super::autocast;
use super::dropout::Dropout;
use super::gemm::{Threads, View, ViewMut, multiply};
use super::op::{CpuOp, run};
use super::position_terms::Buckets;

/// The terms `(Q_i · K'_r + K_j · Q'_r) / √d` of the scores of query i and key j, where r is the bucket of their
/// distance, and K' and Q' are the projections of the relative position embeddings, `[buckets, hidden]`
/// (`disentangled_attention_bias` of `transformers`). The layout is the one that [`super::attention_products()`] takes:
/// padded, `[batch · heads · length, length]` with a row for each query; packed, one column with the terms of all
/// pairs, ordered by head, then by sequence.
pub fn disentangled_terms(
    [query, key]: [Tensor<2>; 2],
    [position_key, position_query]: [Tensor<2>; 2],
    heads: usize,
    sequences: &Sequences,
    buckets: &Buckets,
) -> Tensor<2> {
    let [tokens, hidden] = query.dims();
    match sequences {
        Sequences::Packed(starts) => {
            let attention =
                Attention { tokens, hidden, heads, starts: starts.clone(), dropout: Dropout::NONE };
            let op = Disentangled { attention, buckets: buckets.clone() };
            run(op, [query.into(), key.into(), position_key.into(), position_query.into()])
        }
        Sequences::Padded { length, .. } => {
            let length = *length;
            let (batch, size) = (tokens / length, hidden / heads);
            let split = |t: Tensor<2>, rows| t.reshape([rows, heads, size]).swap_dims(0, 1);
            let content = |t: Tensor<2>| t.reshape([batch, length, heads, size]).swap_dims(1, 2);
            let position = |t: Tensor<2>| {
                let rows = t.dims()[0];
                split(t, rows).reshape([1, heads, rows, size]).repeat_dim(0, batch).swap_dims(2, 3)
            };
            let places = |transposed: bool| {
                let row = |i: usize| buckets.row(i, 0..length).to_vec();
                let of: Vec<Vec<u32>> = (0..length).map(row).collect();
                let at = |i: usize, j: usize| if transposed { of[j][i] } else { of[i][j] };
                let list: Vec<i32> = (0..length)
                    .flat_map(|i| (0..length).map(move |j| (i, j)))
                    .map(|(i, j)| at(i, j) as i32)
                    .collect();
                let data = TensorData::new(list, [1, 1, length, length]);
                let places = Tensor::<4, Int>::from_data(data, &query.device());
                places.expand([batch, heads, length, length])
            };
            let of_query = autocast::matmul(content(query.clone()), position(position_key));
            let of_key = autocast::matmul(content(key), position(position_query));
            let sum = of_query.gather(3, places(false)) + of_key.gather(3, places(true)).swap_dims(2, 3);
            (sum / (size as f64).sqrt()).reshape([batch * heads * length, length])
        }
    }
}

/// The fused operation on packed sequences.
#[derive(Clone, Debug)]
struct Disentangled {
    attention: Attention,
    buckets: Buckets,
}

impl Disentangled {
    /// The buckets that occur in a sequence of this length.
    fn occurring(&self, length: usize) -> std::ops::Range<usize> {
        let of = |query: usize| self.buckets.row(query, 0..length).iter().copied();
        let ends = of(0).chain(of(length.saturating_sub(1)));
        let (low, high) = ends.fold((u32::MAX, 0), |(low, high), bucket| (low.min(bucket), high.max(bucket)));
        low as usize..high as usize + 1
    }

    /// A head's columns of the rows `buckets` of a table `[buckets, hidden]`.
    fn rows<'a>(&self, table: &'a [f32], head: usize, buckets: &std::ops::Range<usize>) -> View<'a> {
        let (hidden, size) = (self.attention.hidden, self.attention.size());
        View::strided(table, buckets.start * hidden + head * size, [buckets.len(), size], [hidden, 1])
    }

    /// Calls `f` for every pair (i, j) of a unit with three indices: of the pair, of `Q_i · K'_r` in the product of
    /// queries with the occurring buckets, and of `K_j · Q'_r` in that of keys.
    fn pairs(&self, length: usize, buckets: &std::ops::Range<usize>, mut f: impl FnMut(usize, usize, usize)) {
        let width = buckets.len();
        for i in 0..length {
            for (j, bucket) in self.buckets.row(i, 0..length).iter().enumerate() {
                let place = *bucket as usize - buckets.start;
                f(i * length + j, i * width + place, j * width + place);
            }
        }
    }
}

impl CpuOp<4> for Disentangled {
    type Saved = ();

    fn forward(&self, [query, key, position_key, position_query]: [&[f32]; 4]) -> (Vec<f32>, ()) {
        let at = &self.attention;
        let units = at.units();
        let squares = units.iter().map(|t| t.length * t.length);
        let mut terms = vec![0.0; squares.clone().sum()];
        let areas = split(&mut terms, squares);
        units.par_iter().zip(areas).for_each(|(unit, terms)| {
            let (n, buckets) = (unit.length, self.occurring(unit.length));
            let product = |content: &[f32], position: &[f32]| {
                let mut out = vec![0.0; n * buckets.len()];
                let rows = self.rows(position, unit.head, &buckets);
                let content = at.part(content, *unit, 0..n);
                let view = ViewMut::new(&mut out, n, buckets.len());
                multiply(view, content, rows.t(), at.scale(), false, Threads::One);
                out
            };
            let (of_query, of_key) = (product(query, position_key), product(key, position_query));
            self.pairs(n, &buckets, |pair, a, b| terms[pair] = of_query[a] + of_key[b]);
        });
        (terms, ())
    }

    fn shape(&self) -> [usize; 2] {
        [self.attention.units().iter().map(|t| t.length * t.length).sum(), 1]
    }

    /// With `A[i, r] = Σ G[i, j]` and `B[j, r] = Σ G[i, j]` over the pairs of bucket r and the gradient G of the terms:
    /// `dQ = A K' / √d`, `dK' = Aᵀ Q / √d`, `dK = B Q' / √d`, `dQ' = Bᵀ K / √d`.
    fn backward(
        &self,
        [query, key, position_key, position_query]: [&[f32]; 4],
        (): &(),
        gradient: &[f32],
        wanted: [bool; 4],
    ) -> [Option<Vec<f32>>; 4] {
        let at = &self.attention;
        let (units, size) = (at.units(), at.size());
        let buffer = || vec![0.0; at.tokens * at.hidden];
        let (mut dq, mut dk) = (buffer(), buffer());
        let lengths = units.iter().map(|t| t.length * size);
        let outputs: Vec<_> =
            split(&mut dq, lengths.clone()).into_iter().zip(split(&mut dk, lengths)).collect();
        type OfTables = (std::ops::Range<usize>, Vec<f32>, Vec<f32>);
        let of_unit = |(unit, (dq, dk)): (&HeadSequence, (&mut [f32], &mut [f32]))| -> OfTables {
            let (n, buckets) = (unit.length, self.occurring(unit.length));
            let width = buckets.len();
            let g = &gradient[unit.weights..unit.weights + n * n];
            let (mut of_query, mut of_key) = (vec![0.0; n * width], vec![0.0; n * width]);
            self.pairs(n, &buckets, |pair, a, b| {
                of_query[a] += g[pair];
                of_key[b] += g[pair];
            });
            let back = |sums: &[f32], content: &[f32], position: &[f32], out: &mut [f32]| {
                let sums = View::new(sums, n, width);
                let rows = self.rows(position, unit.head, &buckets);
                multiply(ViewMut::new(out, n, size), sums, rows, at.scale(), false, Threads::One);
                let mut table = vec![0.0; width * size];
                let content = at.part(content, *unit, 0..n);
                let view = ViewMut::new(&mut table, width, size);
                multiply(view, sums.t(), content, at.scale(), false, Threads::One);
                table
            };
            let of_position_key = back(&of_query, query, position_key, dq);
            let of_position_query = back(&of_key, key, position_query, dk);
            (buckets, of_position_key, of_position_query)
        };
        let tables: Vec<OfTables> = units.par_iter().zip(outputs).map(of_unit).collect();
        // In the order of units, so that the sums do not depend on the number of threads.
        let sum = |second: bool, length: usize| {
            let mut sum = vec![0.0; length];
            for (unit, (buckets, first, other)) in units.iter().zip(&tables) {
                let part = if second { other } else { first };
                for (bucket, row) in buckets.clone().zip(part.chunks_exact(size)) {
                    let start = bucket * at.hidden + unit.head * size;
                    sum[start..start + size].iter_mut().zip(row).for_each(|(sum, v)| *sum += v);
                }
            }
            sum
        };
        [
            wanted[0].then(|| at.interleave(&dq)),
            wanted[1].then(|| at.interleave(&dk)),
            wanted[2].then(|| sum(false, position_key.len())),
            wanted[3].then(|| sum(true, position_query.len())),
        ]
    }
}
