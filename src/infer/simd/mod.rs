//! SIMD with sixteen lanes on any machine.
//!
//! All kernels are generic over [`Simd`] and compiled for each instruction set, which is selected at run time. Products
//! of integers are equal bit for bit on all of them.
//!
//! - [`isa`]: detection of the instruction sets, and dispatch;
//! - [`portable`]: plain Rust, for every machine;
//! - `x86`: AVX-512 VNNI, AVX-VNNI and AVX2; `neon`: NEON with the dot product of ARMv8.2.

pub mod isa;
mod portable;

#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use isa::Isa;

/// The number of lanes.
pub const LANES: usize = 16;

/// Sixteen float32 values, one for each token of a group.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C, align(64))]
pub struct Floats(pub [f32; LANES]);

impl Floats {
    /// Reinterprets vectors as one contiguous slice of floats.
    #[inline(always)]
    pub fn lanes(groups: &[Floats]) -> &[f32] {
        // SAFETY: sixteen floats each, without gaps.
        unsafe { std::slice::from_raw_parts(groups.as_ptr().cast(), groups.len() * LANES) }
    }
}

/// Sixteen int32 sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Ints(pub [i32; LANES]);

/// Four consecutive features as uint8 for each of sixteen tokens, `[tokens][4]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Quads(pub [u8; 4 * LANES]);

impl Default for Quads {
    fn default() -> Self {
        Quads([0; 4 * LANES])
    }
}

/// A computation that is generic over the instruction set.
pub trait Work {
    /// The result.
    type Out;
    /// Runs it. Implementations must be `#[inline(always)]`, to be compiled for the instruction set.
    fn run<S: Simd>(self, simd: S) -> Self::Out;
}

/// An instruction set. A value of an implementing type is proof that the machine has it.
pub trait Simd: Copy + Send + Sync {
    /// Sixteen floats in registers.
    type F: Copy;
    /// Sixteen 32-bit integers in registers.
    type I: Copy;

    /// The number of rows in a register tile of the dense product.
    const ROWS: usize;
    /// The number of groups of sixteen tokens in a register tile of a product.
    const GROUPS: usize;

    /// Runs work in a separate function that is compiled for the instruction set, instead of inlining it into each
    /// caller.
    fn outline<W: Work>(self, work: W) -> W::Out;

    /// The same value in all lanes.
    fn splat(self, value: f32) -> Self::F;
    /// Loads sixteen floats.
    fn load(self, from: &Floats) -> Self::F;
    /// Stores sixteen floats.
    fn store(self, value: Self::F, to: &mut Floats);
    /// `a + b`.
    fn add(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a − b`.
    fn sub(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a · b`.
    fn mul(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a / b`.
    fn div(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a · b + c`, fused where the machine has such an instruction.
    fn fma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// The maximum.
    fn max(self, a: Self::F, b: Self::F) -> Self::F;
    /// The minimum.
    fn min(self, a: Self::F, b: Self::F) -> Self::F;
    /// The square root.
    fn sqrt(self, a: Self::F) -> Self::F;
    /// The nearest integer, ties to even, for |a| < 2²².
    fn round(self, a: Self::F) -> Self::F;
    /// The nearest integer, ties to even, as int32, for |a| < 2²².
    fn round_to_int(self, a: Self::F) -> Self::I;
    /// `a · 2ⁿ` for an integer n up to 127, and a number below 2⁻¹²⁶ for n below -126.
    fn scale(self, a: Self::F, n: Self::F) -> Self::F;

    /// The same integer in all lanes.
    fn splat_int(self, value: i32) -> Self::I;
    /// Loads sixteen integers.
    fn load_int(self, from: &Ints) -> Self::I;
    /// Stores sixteen integers.
    fn store_int(self, value: Self::I, to: &mut Ints);
    /// `a + b`, wrapping.
    fn add_int(self, a: Self::I, b: Self::I) -> Self::I;
    /// Converts integers to floats.
    fn to_float(self, a: Self::I) -> Self::F;
    /// Stores the low bytes of four vectors of integers in -2¹⁵..2¹⁵, interleaved: four consecutive features of each token.
    fn store_quads(self, of: [Self::I; 4], to: &mut Quads);
    /// Stores the low byte of each lane.
    fn store_bytes(self, value: Self::I, to: &mut [i8; LANES]);

    /// Adds to each lane `Σ tᵢ wᵢ` over its four unsigned bytes t at `tokens` and the four signed bytes w of `word`,
    /// without saturation (x86 `vpdpbusd`).
    ///
    /// # Safety
    /// `tokens` must be readable for 64 bytes.
    unsafe fn dot(self, sum: Self::I, tokens: *const u8, word: i32) -> Self::I;

    /// Adds to each lane the product of its float at `tokens` and `weight`.
    ///
    /// # Safety
    /// `tokens` must be readable for 16 floats and aligned to 4 bytes.
    unsafe fn multiply_add(self, sum: Self::F, tokens: *const f32, weight: f32) -> Self::F;
}
