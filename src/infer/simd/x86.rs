//! The instruction sets of x86-64.

use std::arch::x86_64::*;

use super::portable::on_arrays;
use super::{Floats, Ints, LANES, Quads, Simd, Work};

/// AVX-512 with VNNI: `vpdpbusd` for 64 bytes.
#[derive(Clone, Copy, Debug)]
pub struct Avx512Vnni(());

/// AVX2 with AVX-VNNI: `vpdpbusd` for 32 bytes.
#[derive(Clone, Copy, Debug)]
pub struct AvxVnni(());

/// AVX2 with FMA.
#[derive(Clone, Copy, Debug)]
pub struct Avx2(());

impl Avx512Vnni {
    /// A token for AVX-512 with VNNI; `None` if the machine lacks it.
    pub fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vnni")
            && is_x86_feature_detected!("fma"))
        .then_some(Avx512Vnni(()))
    }
}

impl AvxVnni {
    /// A token for AVX2 with AVX-VNNI; `None` if the machine lacks it.
    pub fn detect() -> Option<Self> {
        (Avx2::detect().is_some() && is_x86_feature_detected!("avxvnni")).then_some(AvxVnni(()))
    }
}

impl Avx2 {
    /// A token for AVX2 with FMA; `None` if the machine lacks it.
    pub fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Avx2(()))
    }
}

#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma")]
pub(super) fn run_avx512<W: Work>(work: W, simd: Avx512Vnni) -> W::Out {
    work.run(simd)
}

#[inline(never)]
#[target_feature(enable = "avx2,fma,avxvnni")]
pub(super) fn run_avx_vnni<W: Work>(work: W, simd: AvxVnni) -> W::Out {
    work.run(simd)
}

#[inline(never)]
#[target_feature(enable = "avx2,fma")]
pub(super) fn run_avx2<W: Work>(work: W, simd: Avx2) -> W::Out {
    work.run(simd)
}

/// Runs intrinsics of an instruction set; the value `self` is proof that the machine has it.
macro_rules! proven {
    ($($body:tt)*) => {
        // SAFETY: a value of the type exists only where the instructions do; references are readable and
        // writable for their whole size, and callers of unsafe functions promise as much of pointers.
        unsafe { $($body)* }
    };
}

impl Simd for Avx512Vnni {
    type F = __m512;
    type I = __m512i;
    const ROWS: usize = 6;
    const GROUPS: usize = 4;

    #[inline(always)]
    fn outline<W: Work>(self, work: W) -> W::Out {
        proven!(run_avx512(work, self))
    }

    #[inline(always)]
    fn splat(self, value: f32) -> __m512 {
        proven!(_mm512_set1_ps(value))
    }
    #[inline(always)]
    fn load(self, from: &Floats) -> __m512 {
        proven!(_mm512_load_ps(from.0.as_ptr()))
    }
    #[inline(always)]
    fn store(self, value: __m512, to: &mut Floats) {
        proven!(_mm512_store_ps(to.0.as_mut_ptr(), value))
    }
    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        proven!(_mm512_add_ps(a, b))
    }
    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        proven!(_mm512_sub_ps(a, b))
    }
    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        proven!(_mm512_mul_ps(a, b))
    }
    #[inline(always)]
    fn div(self, a: __m512, b: __m512) -> __m512 {
        proven!(_mm512_div_ps(a, b))
    }
    #[inline(always)]
    fn fma(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        proven!(_mm512_fmadd_ps(a, b, c))
    }
    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        proven!(_mm512_max_ps(a, b))
    }
    #[inline(always)]
    fn min(self, a: __m512, b: __m512) -> __m512 {
        proven!(_mm512_min_ps(a, b))
    }
    #[inline(always)]
    fn sqrt(self, a: __m512) -> __m512 {
        proven!(_mm512_sqrt_ps(a))
    }
    #[inline(always)]
    fn round(self, a: __m512) -> __m512 {
        proven!(_mm512_roundscale_ps::<0>(a))
    }
    #[inline(always)]
    fn round_to_int(self, a: __m512) -> __m512i {
        proven!(_mm512_cvtps_epi32(a))
    }
    #[inline(always)]
    fn scale(self, a: __m512, n: __m512) -> __m512 {
        proven!(_mm512_scalef_ps(a, n))
    }
    #[inline(always)]
    fn splat_int(self, value: i32) -> __m512i {
        proven!(_mm512_set1_epi32(value))
    }
    #[inline(always)]
    fn load_int(self, from: &Ints) -> __m512i {
        proven!(_mm512_load_si512(from.0.as_ptr().cast()))
    }
    #[inline(always)]
    fn store_int(self, value: __m512i, to: &mut Ints) {
        proven!(_mm512_store_si512(to.0.as_mut_ptr().cast(), value))
    }
    #[inline(always)]
    fn add_int(self, a: __m512i, b: __m512i) -> __m512i {
        proven!(_mm512_add_epi32(a, b))
    }
    #[inline(always)]
    fn to_float(self, a: __m512i) -> __m512 {
        proven!(_mm512_cvtepi32_ps(a))
    }
    #[inline(always)]
    fn store_quads(self, of: [__m512i; 4], to: &mut Quads) {
        proven! {
            // In each 128 bits, four integers of each vector become words, whose low bytes are interleaved.
            let (ab, cd) = (_mm512_packs_epi32(of[0], of[1]), _mm512_packs_epi32(of[2], of[3]));
            let first = _mm_setr_epi8(0, 8, -1, -1, 2, 10, -1, -1, 4, 12, -1, -1, 6, 14, -1, -1);
            let second = _mm_setr_epi8(-1, -1, 0, 8, -1, -1, 2, 10, -1, -1, 4, 12, -1, -1, 6, 14);
            let ab = _mm512_shuffle_epi8(ab, _mm512_broadcast_i32x4(first));
            let cd = _mm512_shuffle_epi8(cd, _mm512_broadcast_i32x4(second));
            _mm512_store_si512(to.0.as_mut_ptr().cast(), _mm512_or_si512(ab, cd));
        }
    }
    #[inline(always)]
    fn store_bytes(self, value: __m512i, to: &mut [i8; LANES]) {
        proven!(_mm_storeu_si128(to.as_mut_ptr().cast(), _mm512_cvtepi32_epi8(value)))
    }
    #[inline(always)]
    unsafe fn dot(self, sum: __m512i, tokens: *const u8, word: i32) -> __m512i {
        proven!(_mm512_dpbusd_epi32(sum, _mm512_loadu_si512(tokens.cast()), _mm512_set1_epi32(word)))
    }
    #[inline(always)]
    unsafe fn multiply_add(self, sum: __m512, tokens: *const f32, weight: f32) -> __m512 {
        proven!(_mm512_fmadd_ps(_mm512_loadu_ps(tokens), _mm512_set1_ps(weight), sum))
    }
}

/// Reinterprets sixteen integers as two vectors of eight.
#[inline(always)]
unsafe fn halves(a: [i32; LANES]) -> [__m256i; 2] {
    // SAFETY: both are 64 bytes of plain integers.
    unsafe { std::mem::transmute(a) }
}

/// The inverse of [`halves`].
#[inline(always)]
unsafe fn whole(a: [__m256i; 2]) -> [i32; LANES] {
    // SAFETY: both are 64 bytes of plain integers.
    unsafe { std::mem::transmute(a) }
}

impl Simd for AvxVnni {
    const ROWS: usize = 4;
    const GROUPS: usize = 1;

    #[inline(always)]
    fn outline<W: Work>(self, work: W) -> W::Out {
        proven!(run_avx_vnni(work, self))
    }
    on_arrays!(true);

    #[inline(always)]
    unsafe fn dot(self, sum: Self::I, tokens: *const u8, word: i32) -> Self::I {
        proven! {
            let [mut low, mut high] = halves(sum);
            let word = _mm256_set1_epi32(word);
            low = _mm256_dpbusd_avx_epi32(low, _mm256_loadu_si256(tokens.cast()), word);
            high = _mm256_dpbusd_avx_epi32(high, _mm256_loadu_si256(tokens.add(32).cast()), word);
            whole([low, high])
        }
    }
}

impl Simd for Avx2 {
    const ROWS: usize = 4;
    const GROUPS: usize = 1;

    #[inline(always)]
    fn outline<W: Work>(self, work: W) -> W::Out {
        proven!(run_avx2(work, self))
    }
    on_arrays!(true);

    #[inline(always)]
    unsafe fn dot(self, sum: Self::I, tokens: *const u8, word: i32) -> Self::I {
        proven! {
            let [low, high] = halves(sum);
            let word = _mm256_set1_epi32(word);
            let low = widening_dot(low, _mm256_loadu_si256(tokens.cast()), word);
            let high = widening_dot(high, _mm256_loadu_si256(tokens.add(32).cast()), word);
            whole([low, high])
        }
    }
}

/// `sum + Σ t w` without VNNI. `vpmaddubsw` adds two products in 16 bits with saturation, and 2 · 255 · 127 does not
/// fit. Split into the low seven bits and the top bit of t, the products fit: 2 · 127 · 128, and 2 · 128 · 128 only
/// with negative weights.
#[inline(always)]
unsafe fn widening_dot(sum: __m256i, tokens: __m256i, word: __m256i) -> __m256i {
    // SAFETY: the caller has AVX2.
    unsafe {
        let ones = _mm256_set1_epi16(1);
        let seven = _mm256_and_si256(tokens, _mm256_set1_epi8(0x7f));
        let top = _mm256_and_si256(tokens, _mm256_set1_epi8(i8::MIN));
        let seven = _mm256_madd_epi16(_mm256_maddubs_epi16(seven, word), ones);
        let top = _mm256_madd_epi16(_mm256_maddubs_epi16(top, word), ones);
        _mm256_add_epi32(sum, _mm256_add_epi32(seven, top))
    }
}
