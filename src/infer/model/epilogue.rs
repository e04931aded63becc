//! Epilogues of a linear layer: operations on its outputs that are fused into the product.

// Counted loops over registers: an iterator that is not inlined costs tenfold.
#![allow(clippy::needless_range_loop)]

use crate::infer::kernel::activation::{gelu, gelu_for_bytes, gelu_tanh, relu, silu};
use crate::infer::kernel::quantize::{QParams, Quantizer};
use crate::infer::simd::{Floats, Isa, LANES, Quads, Simd, Work};
use crate::params::Activation;

/// An operation on four consecutive outputs of a group of tokens.
pub trait Epilogue {
    /// Processes the outputs `row..row + count` of a group; `values[count..]` is unspecified. Rows and groups are
    /// counted from the first of the product.
    fn four<S: Simd>(&mut self, simd: S, row: usize, count: usize, group: usize, values: [S::F; 4]);
}

/// Stores the outputs at `out[row][offset + group]`.
#[derive(Debug)]
pub struct Store<'a> {
    /// The outputs, `[rows][width]`.
    pub out: &'a mut [Floats],
    /// The number of groups in a row of `out`.
    pub width: usize,
    /// Where the product's first group of tokens is stored: its index in a row of `out`.
    pub offset: usize,
}

impl Epilogue for Store<'_> {
    #[inline(always)]
    fn four<S: Simd>(&mut self, simd: S, row: usize, count: usize, group: usize, values: [S::F; 4]) {
        for i in 0..4 {
            if i < count {
                simd.store(values[i], &mut self.out[(row + i) * self.width + self.offset + group]);
            }
        }
    }
}

/// Adds the residual connection and stores the sums.
#[derive(Debug)]
pub struct AddResidual<'a> {
    /// The residual connection's input, `[rows][width]`.
    pub residual: &'a [Floats],
    /// The outputs, `[rows][width]`.
    pub out: &'a mut [Floats],
    /// The number of groups in a row.
    pub width: usize,
}

impl Epilogue for AddResidual<'_> {
    #[inline(always)]
    fn four<S: Simd>(&mut self, simd: S, row: usize, count: usize, group: usize, values: [S::F; 4]) {
        for i in 0..4 {
            if i < count {
                let at = (row + i) * self.width + group;
                simd.store(simd.add(values[i], simd.load(&self.residual[at])), &mut self.out[at]);
            }
        }
    }
}

/// Applies GELU and stores float32.
#[derive(Debug)]
pub struct Gelu<'a> {
    /// The outputs, `[rows][width]`.
    pub out: &'a mut [Floats],
    /// The number of groups in a row.
    pub width: usize,
    /// Whether the result is quantized later, so that [`gelu_for_bytes`] is accurate enough.
    pub for_bytes: bool,
}

impl Epilogue for Gelu<'_> {
    #[inline(always)]
    fn four<S: Simd>(&mut self, simd: S, row: usize, count: usize, group: usize, values: [S::F; 4]) {
        for i in 0..4 {
            if i < count {
                let value =
                    if self.for_bytes { gelu_for_bytes(simd, values[i]) } else { gelu(simd, values[i]) };
                simd.store(value, &mut self.out[(row + i) * self.width + group]);
            }
        }
    }
}

/// Applies GELU, and quantizes and packs the result for the next product.
#[derive(Debug)]
pub struct GeluQuantize<'a> {
    /// The quantization parameters of the next layer's input.
    pub qparams: QParams,
    /// The quantized outputs, `[rows / 4][width]`.
    pub out: &'a mut [Quads],
    /// The number of groups in a row.
    pub width: usize,
}

impl Epilogue for GeluQuantize<'_> {
    #[inline(always)]
    fn four<S: Simd>(&mut self, simd: S, row: usize, count: usize, group: usize, values: [S::F; 4]) {
        let quantizer = Quantizer::new(simd, self.qparams);
        let mut bytes = [simd.splat_int(0); 4];
        for i in 0..4 {
            if i < count {
                bytes[i] = quantizer.quantize(simd, gelu_for_bytes(simd, values[i]));
            }
        }
        simd.store_quads(bytes, &mut self.out[row / 4 * self.width + group]);
    }
}

/// Applies an activation and stores float32. GELU, which most models use, has an epilogue of its own, [`Gelu`], without the `match`.
#[derive(Debug)]
pub struct Activate<'a> {
    /// The activation.
    pub activation: Activation,
    /// The outputs, `[rows][width]`.
    pub out: &'a mut [Floats],
    /// The number of groups in a row.
    pub width: usize,
}

impl Epilogue for Activate<'_> {
    #[inline(always)]
    fn four<S: Simd>(&mut self, simd: S, row: usize, count: usize, group: usize, values: [S::F; 4]) {
        for i in 0..count {
            let to = &mut self.out[(row + i) * self.width + group];
            simd.store(values[i], to);
            activate(simd, self.activation, to);
        }
    }
}

/// Applies an activation, multiplies the result with a gate, and stores float32.
#[derive(Debug)]
pub struct ActivateGated<'a> {
    /// The activation.
    pub activation: Activation,
    /// The gate, `[rows][width]`.
    pub gate: &'a [Floats],
    /// The outputs, `[rows][width]`.
    pub out: &'a mut [Floats],
    /// The number of groups in a row.
    pub width: usize,
}

impl Epilogue for ActivateGated<'_> {
    #[inline(always)]
    fn four<S: Simd>(&mut self, simd: S, row: usize, count: usize, group: usize, values: [S::F; 4]) {
        for i in 0..count {
            let at = (row + i) * self.width + group;
            let to = &mut self.out[at];
            simd.store(values[i], to);
            activate(simd, self.activation, to);
            simd.store(simd.mul(simd.load(to), simd.load(&self.gate[at])), to);
        }
    }
}

/// Applies an activation to sixteen values.
#[inline(always)]
pub fn activate<S: Simd>(simd: S, activation: Activation, values: &mut Floats) {
    let x = simd.load(values);
    let y = match activation {
        Activation::Gelu => gelu(simd, x),
        Activation::GeluTanh => gelu_tanh(simd, x),
        Activation::Relu => relu(simd, x),
        Activation::Silu => silu(simd, x),
        Activation::Tanh => {
            values.0 = values.0.map(f32::tanh);
            return;
        }
    };
    simd.store(y, values);
}

/// Applies an activation to one value.
pub fn activate_one(activation: Activation, value: f32) -> f32 {
    Isa::Portable.run(One(activation, value))
}

struct One(Activation, f32);

impl Work for One {
    type Out = f32;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> f32 {
        let mut values = Floats([self.1; LANES]);
        activate(simd, self.0, &mut values);
        values.0[0]
    }
}
