//! Sixteen lanes in plain Rust, which the compiler vectorizes.

use super::{Floats, Ints, LANES, Quads, Simd, Work};

/// Plain Rust, for any machine.
#[derive(Clone, Copy, Debug)]
pub struct Portable;

/// Runs work in a function that is compiled with the target's default features, without `#[target_feature]`.
#[inline(never)]
pub(super) fn run_portable<W: Work, S: Simd>(work: W, simd: S) -> W::Out {
    work.run(simd)
}

/// Adding and subtracting 1.5 · 2²³ rounds to the nearest integer.
pub(super) const ROUND: f32 = 12_582_912.0;

/// All methods of [`Simd`] except `dot` and `outline`, on arrays. `$fused` says whether the machine has a fused
/// multiply-add; without one `f32::mul_add` would be a slow library call.
macro_rules! on_arrays {
    ($fused:literal) => {
        type F = [f32; LANES];
        type I = [i32; LANES];

        #[inline(always)]
        fn splat(self, value: f32) -> Self::F {
            [value; LANES]
        }
        #[inline(always)]
        fn load(self, from: &Floats) -> Self::F {
            from.0
        }
        #[inline(always)]
        fn store(self, value: Self::F, to: &mut Floats) {
            to.0 = value;
        }
        #[inline(always)]
        fn add(self, mut a: Self::F, b: Self::F) -> Self::F {
            for (a, b) in a.iter_mut().zip(b) {
                *a += b;
            }
            a
        }
        #[inline(always)]
        fn sub(self, mut a: Self::F, b: Self::F) -> Self::F {
            for (a, b) in a.iter_mut().zip(b) {
                *a -= b;
            }
            a
        }
        #[inline(always)]
        fn mul(self, mut a: Self::F, b: Self::F) -> Self::F {
            for (a, b) in a.iter_mut().zip(b) {
                *a *= b;
            }
            a
        }
        #[inline(always)]
        fn div(self, mut a: Self::F, b: Self::F) -> Self::F {
            for (a, b) in a.iter_mut().zip(b) {
                *a /= b;
            }
            a
        }
        #[inline(always)]
        fn fma(self, mut a: Self::F, b: Self::F, c: Self::F) -> Self::F {
            for i in 0..LANES {
                a[i] = if $fused { a[i].mul_add(b[i], c[i]) } else { a[i] * b[i] + c[i] };
            }
            a
        }
        #[inline(always)]
        fn max(self, mut a: Self::F, b: Self::F) -> Self::F {
            for (a, b) in a.iter_mut().zip(b) {
                *a = if *a > b { *a } else { b };
            }
            a
        }
        #[inline(always)]
        fn min(self, mut a: Self::F, b: Self::F) -> Self::F {
            for (a, b) in a.iter_mut().zip(b) {
                *a = if *a < b { *a } else { b };
            }
            a
        }
        #[inline(always)]
        fn sqrt(self, mut a: Self::F) -> Self::F {
            for a in &mut a {
                *a = a.sqrt();
            }
            a
        }
        #[inline(always)]
        fn round(self, mut a: Self::F) -> Self::F {
            for a in &mut a {
                *a = (*a + super::portable::ROUND) - super::portable::ROUND;
            }
            a
        }
        #[inline(always)]
        fn round_to_int(self, a: Self::F) -> Self::I {
            let mut whole = [0; LANES];
            for (whole, a) in whole.iter_mut().zip(a) {
                let bits = (a + super::portable::ROUND).to_bits();
                *whole = bits.wrapping_sub(super::portable::ROUND.to_bits()) as i32;
            }
            whole
        }
        #[inline(always)]
        fn scale(self, mut a: Self::F, n: Self::F) -> Self::F {
            let n = self.round_to_int(self.max(n, [-127.0; LANES]));
            for (a, n) in a.iter_mut().zip(n) {
                *a *= f32::from_bits((n.wrapping_add(127) as u32) << 23);
            }
            a
        }
        #[inline(always)]
        fn splat_int(self, value: i32) -> Self::I {
            [value; LANES]
        }
        #[inline(always)]
        fn load_int(self, from: &Ints) -> Self::I {
            from.0
        }
        #[inline(always)]
        fn store_int(self, value: Self::I, to: &mut Ints) {
            to.0 = value;
        }
        #[inline(always)]
        fn add_int(self, mut a: Self::I, b: Self::I) -> Self::I {
            for (a, b) in a.iter_mut().zip(b) {
                *a = a.wrapping_add(b);
            }
            a
        }
        #[inline(always)]
        fn to_float(self, a: Self::I) -> Self::F {
            let mut floats = [0.0; LANES];
            for (f, a) in floats.iter_mut().zip(a) {
                *f = a as f32;
            }
            floats
        }
        #[inline(always)]
        fn store_quads(self, of: [Self::I; 4], to: &mut Quads) {
            for (i, quad) in to.0.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                *quad = [of[0][i] as u8, of[1][i] as u8, of[2][i] as u8, of[3][i] as u8];
            }
        }
        #[inline(always)]
        fn store_bytes(self, value: Self::I, to: &mut [i8; LANES]) {
            for (byte, v) in to.iter_mut().zip(value) {
                *byte = v as i8;
            }
        }
        #[inline(always)]
        unsafe fn multiply_add(self, sum: Self::F, tokens: *const f32, weight: f32) -> Self::F {
            // SAFETY: the caller promises sixteen floats.
            let tokens = unsafe { tokens.cast::<[f32; LANES]>().read() };
            self.fma(tokens, [weight; LANES], sum)
        }
    };
}
pub(super) use on_arrays;

impl Simd for Portable {
    const ROWS: usize = 4;
    const GROUPS: usize = 1;

    #[inline(always)]
    fn outline<W: Work>(self, work: W) -> W::Out {
        run_portable(work, self)
    }

    on_arrays!(false);

    #[inline(always)]
    unsafe fn dot(self, mut sum: Self::I, tokens: *const u8, word: i32) -> Self::I {
        // SAFETY: the caller promises 64 bytes.
        let tokens = unsafe { tokens.cast::<[[u8; 4]; LANES]>().read() };
        let word = word.to_le_bytes().map(|b| i32::from(b as i8));
        for (sum, token) in sum.iter_mut().zip(tokens) {
            for (t, w) in token.iter().zip(word) {
                *sum = sum.wrapping_add(i32::from(*t) * w);
            }
        }
        sum
    }
}
