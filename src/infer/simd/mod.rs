//! Sixteen lanes of numbers on any machine.
//!
//! All kernels are written once over [`Simd`] and compiled for each instruction set; which one runs is
//! chosen when the program starts. Products of integers are equal bit for bit on all of them.
//!
//! - [`isa`]: the instruction sets, found at run time;
//! - [`portable`]: plain Rust, for every machine;
//! - `x86`: AVX-512 VNNI, AVX-VNNI and AVX2; `neon`: the dot product of ARMv8.2.

pub mod isa;
mod portable;

#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use isa::{Isa, Work};

/// How many lanes there are.
pub const LANES: usize = 16;

/// Sixteen floats, one for each token of a group.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C, align(64))]
pub struct Floats(pub [f32; LANES]);

/// Sixteen sums of products.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Ints(pub [i32; LANES]);

/// Four consecutive inputs, one byte each, of sixteen tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Quads(pub [u8; 4 * LANES]);

impl Default for Quads {
    fn default() -> Self {
        Quads([0; 4 * LANES])
    }
}

/// An instruction set. A value of such a type is proof that the machine has it.
pub trait Simd: Copy + Send + Sync {
    /// Sixteen floats in registers.
    type F: Copy;
    /// Sixteen 32-bit integers in registers.
    type I: Copy;

    /// How many rows a tile of a dense product has.
    const ROWS: usize;
    /// How many groups of sixteen tokens a tile of a product has.
    const GROUPS: usize;

    /// Runs work in a function of its own that is compiled for the instruction set. What is used in many
    /// places is compiled once this way, and not into each of them.
    fn apart<W: Work>(self, work: W) -> W::Out;

    /// The same number in all lanes.
    fn splat(self, value: f32) -> Self::F;
    /// Reads sixteen floats.
    fn load(self, from: &Floats) -> Self::F;
    /// Writes sixteen floats.
    fn store(self, value: Self::F, to: &mut Floats);
    /// The sum.
    fn add(self, a: Self::F, b: Self::F) -> Self::F;
    /// The difference.
    fn sub(self, a: Self::F, b: Self::F) -> Self::F;
    /// The product.
    fn mul(self, a: Self::F, b: Self::F) -> Self::F;
    /// The quotient.
    fn div(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a * b + c`, rounded once where the machine can.
    fn fma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// The greater one.
    fn max(self, a: Self::F, b: Self::F) -> Self::F;
    /// The lesser one.
    fn min(self, a: Self::F, b: Self::F) -> Self::F;
    /// The square root.
    fn sqrt(self, a: Self::F) -> Self::F;
    /// The nearest whole number, ties to the even one; for numbers below 2²² in size.
    fn round(self, a: Self::F) -> Self::F;
    /// The same as an integer.
    fn round_to_int(self, a: Self::F) -> Self::I;
    /// `a * 2^n` for whole `n` in `-126..=127`.
    fn scale(self, a: Self::F, n: Self::F) -> Self::F;

    /// The same integer in all lanes.
    fn splat_int(self, value: i32) -> Self::I;
    /// Reads sixteen integers.
    fn load_int(self, from: &Ints) -> Self::I;
    /// Writes sixteen integers.
    fn store_int(self, value: Self::I, to: &mut Ints);
    /// The sum.
    fn add_int(self, a: Self::I, b: Self::I) -> Self::I;
    /// Integers as floats.
    fn to_float(self, a: Self::I) -> Self::F;
    /// The low bytes of four, interleaved: four consecutive inputs of each token.
    fn store_quads(self, of: [Self::I; 4], to: &mut Quads);
    /// The low bytes.
    fn store_bytes(self, value: Self::I, to: &mut [i8; LANES]);

    /// Adds to each lane the sum of products of its four unsigned bytes at `tokens` with the four signed
    /// bytes of `word`, without saturation.
    ///
    /// # Safety
    /// `tokens` must be readable for 64 bytes.
    unsafe fn dot(self, sum: Self::I, tokens: *const u8, word: i32) -> Self::I;

    /// Adds to each lane the product of its float at `tokens` with `weight`.
    ///
    /// # Safety
    /// `tokens` must be readable for 16 floats and aligned to 4 bytes.
    unsafe fn multiply_add(self, sum: Self::F, tokens: *const f32, weight: f32) -> Self::F;
}
