//! Fake quantization with the straight-through estimator, and the ranges that observers see.

use std::sync::Arc;

use burn::tensor::Tensor;
use pulp::{Arch, Simd};
use rayon::prelude::*;

use crate::method::qat::fake_quant::{self, Affine, Channels, QParams};
use crate::method::qat::observer::Range;

use super::math::LANES;
use super::op::{CpuOp, is_on_cpu, run, with_values};

/// Fake-quantizes a matrix; [`fake_quant::fake_quantize`] is the same in Burn's operations.
pub fn fake_quantize(x: Tensor<2>, qparams: &Arc<QParams>, channels: Channels) -> Tensor<2> {
    if !is_on_cpu(&x) {
        return fake_quant::fake_quantize(x, qparams, channels);
    }
    let shape = x.dims();
    run(FakeQuantize { shape, qparams: qparams.clone(), channels }, [x.into()])
}

/// The minimum and maximum of a matrix, or of each of its rows or columns. They are NaN where a value is not finite.
pub fn ranges(x: &Tensor<2>, channels: Channels) -> Vec<Range> {
    let [rows, columns] = x.dims();
    with_values(x, |values| match channels {
        Channels::All => vec![range_of(values)],
        Channels::Rows => values.par_chunks(columns.max(1)).map(range).collect(),
        Channels::Columns => column_ranges(values, rows, columns),
    })
}

/// Elements in a thread's unit of work.
const CHUNK: usize = 1 << 14;

/// The minimum and maximum of values, computed by all threads.
pub fn range_of(values: &[f32]) -> Range {
    union(values.par_chunks(CHUNK).map(range).collect())
}

/// The smallest range that contains all given ones; NaN if one of them is.
pub fn union(ranges: Vec<Range>) -> Range {
    if let Some(bad) = ranges.iter().find(|r| !r.is_finite()) {
        return *bad;
    }
    let nothing = Range { low: f32::INFINITY, high: f32::NEG_INFINITY };
    let all =
        ranges.into_iter().fold(nothing, |a, b| Range { low: a.low.min(b.low), high: a.high.max(b.high) });
    if all.low > all.high { Range { low: 0.0, high: 0.0 } } else { all }
}

fn column_ranges(values: &[f32], rows: usize, columns: usize) -> Vec<Range> {
    let band = rows.div_ceil(16).max(1) * columns.max(1);
    let parts: Vec<Columns> = values
        .par_chunks(band)
        .map(|rows| {
            let mut part = Columns::of(columns);
            column_extremes(&mut part, rows);
            part
        })
        .collect();
    let at = |c: usize| union(parts.iter().map(|p| checked(p.low[c], p.high[c], p.probe[c])).collect());
    (0..columns).map(at).collect()
}

/// The minimum and maximum of every column.
struct Columns {
    low: Vec<f32>,
    high: Vec<f32>,
    /// The sum of `v * 0`: NaN if a value was not finite, otherwise zero.
    probe: Vec<f32>,
}

impl Columns {
    fn of(columns: usize) -> Self {
        Columns {
            low: vec![f32::INFINITY; columns],
            high: vec![f32::NEG_INFINITY; columns],
            probe: vec![0.0; columns],
        }
    }
}

/// A range; NaN unless the probe is zero, as comparisons ignore NaN.
fn checked(low: f32, high: f32, probe: f32) -> Range {
    if probe == 0.0 { Range { low, high } } else { Range { low: f32::NAN, high: f32::NAN } }
}

#[inline(always)]
#[pulp::with_simd(range = Arch::new())]
pub(super) fn range_simd<'a, S: Simd>(_simd: S, values: &'a [f32]) -> Range {
    let (mut low, mut high, mut probe) =
        ([f32::INFINITY; LANES], [f32::NEG_INFINITY; LANES], [0.0f32; LANES]);
    let mut chunks = values.chunks_exact(LANES);
    for chunk in &mut chunks {
        for i in 0..LANES {
            let v = chunk[i];
            low[i] = if v < low[i] { v } else { low[i] };
            high[i] = if v > high[i] { v } else { high[i] };
            probe[i] += v * 0.0;
        }
    }
    for (i, v) in chunks.remainder().iter().enumerate() {
        low[i] = low[i].min(*v);
        high[i] = high[i].max(*v);
        probe[i] += v * 0.0;
    }
    let least = low.into_iter().fold(f32::INFINITY, f32::min);
    let greatest = high.into_iter().fold(f32::NEG_INFINITY, f32::max);
    checked(least, greatest, probe.into_iter().sum())
}

#[inline(always)]
#[pulp::with_simd(column_extremes = Arch::new())]
fn column_extremes_simd<'a, S: Simd>(_simd: S, part: &'a mut Columns, rows: &'a [f32]) {
    let Columns { low, high, probe } = part;
    for row in rows.chunks_exact(low.len().max(1)) {
        for (((v, low), high), probe) in row.iter().zip(&mut *low).zip(&mut *high).zip(&mut *probe) {
            *low = if v < low { *v } else { *low };
            *high = if v > high { *v } else { *high };
            *probe += v * 0.0;
        }
    }
}

#[derive(Clone, Debug)]
struct FakeQuantize {
    shape: [usize; 2],
    qparams: Arc<QParams>,
    channels: Channels,
}

impl FakeQuantize {
    /// Applies a kernel to parts of `out` and `x`, on all threads: `whole` to parts that share a scale, `by_column` to
    /// rows with a scale for each column.
    fn for_each_part(
        &self,
        out: &mut [f32],
        x: &[f32],
        whole: impl Fn(&mut [f32], &[f32], Affine) + Sync,
        by_column: impl Fn(&mut [f32], &[f32], &[Affine]) + Sync,
    ) {
        let affines: Vec<Affine> = (0..self.qparams.scales.len()).map(|i| self.qparams.affine(i)).collect();
        let columns = self.shape[1].max(1);
        match (self.channels, affines.as_slice()) {
            (_, [one]) => {
                let parts = out.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK));
                parts.for_each(|(out, x)| whole(out, x, *one));
            }
            (Channels::Columns, each) => {
                let band = (CHUNK / columns).max(1) * columns;
                let parts = out.par_chunks_mut(band).zip(x.par_chunks(band));
                parts.for_each(|(out, x)| by_column(out, x, each));
            }
            (_, each) => {
                let rows = out.par_chunks_mut(columns).zip(x.par_chunks(columns)).zip(each);
                rows.for_each(|((out, x), affine)| whole(out, x, *affine));
            }
        }
    }
}

impl CpuOp<1> for FakeQuantize {
    type Saved = ();

    fn forward(&self, [x]: [&[f32]; 1]) -> (Vec<f32>, ()) {
        let mut y = vec![0.0; x.len()];
        self.for_each_part(
            &mut y,
            x,
            |y, x, affine| {
                quantize(y, x, affine);
            },
            |y, x, each| {
                quantize_columns(y, x, each);
            },
        );
        (y, ())
    }

    fn shape(&self) -> [usize; 2] {
        self.shape
    }

    fn backward(&self, [x]: [&[f32]; 1], _: &(), gradient: &[f32], _: [bool; 1]) -> [Option<Vec<f32>>; 1] {
        let mut dx = gradient.to_vec();
        self.for_each_part(
            &mut dx,
            x,
            |dx, x, affine| {
                straight_through(dx, x, affine);
            },
            |dx, x, each| {
                straight_through_columns(dx, x, each);
            },
        );
        [Some(dx)]
    }
}

#[inline(always)]
#[pulp::with_simd(quantize = Arch::new())]
fn quantize_simd<'a, S: Simd>(_simd: S, y: &'a mut [f32], x: &'a [f32], affine: Affine) {
    for (y, x) in y.iter_mut().zip(x) {
        *y = affine.fake_quantize(*x);
    }
}

#[inline(always)]
#[pulp::with_simd(quantize_columns = Arch::new())]
fn quantize_columns_simd<'a, S: Simd>(_simd: S, y: &'a mut [f32], x: &'a [f32], each: &'a [Affine]) {
    for (y, x) in y.chunks_exact_mut(each.len()).zip(x.chunks_exact(each.len())) {
        for ((y, x), affine) in y.iter_mut().zip(x).zip(each) {
            *y = affine.fake_quantize(*x);
        }
    }
}

/// The straight-through estimator: the gradient is zero where values were clipped and unchanged elsewhere.
#[inline(always)]
#[pulp::with_simd(straight_through = Arch::new())]
pub(super) fn straight_through_simd<'a, S: Simd>(_simd: S, dx: &'a mut [f32], x: &'a [f32], affine: Affine) {
    for (dx, x) in dx.iter_mut().zip(x) {
        *dx = if affine.passes_gradient(*x) { *dx } else { 0.0 };
    }
}

#[inline(always)]
#[pulp::with_simd(straight_through_columns = Arch::new())]
fn straight_through_columns_simd<'a, S: Simd>(_simd: S, dx: &'a mut [f32], x: &'a [f32], each: &'a [Affine]) {
    for (dx, x) in dx.chunks_exact_mut(each.len()).zip(x.chunks_exact(each.len())) {
        for ((dx, x), affine) in dx.iter_mut().zip(x).zip(each) {
            *dx = if affine.passes_gradient(*x) { *dx } else { 0.0 };
        }
    }
}

/// Fake-quantizes in place, on this thread.
pub(super) fn quantize_in_place(values: &mut [f32], affine: Affine) {
    for part in values.chunks_mut(256) {
        let mut copy = [0.0; 256];
        let copy = &mut copy[..part.len()];
        copy.copy_from_slice(part);
        quantize(part, copy, affine);
    }
}
