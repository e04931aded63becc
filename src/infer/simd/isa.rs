//! Which instruction sets there are, and running work on one of them.

use super::Simd;
use super::portable::Portable;

/// An instruction set that kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// AVX-512 with VNNI.
    Avx512Vnni,
    /// AVX2 with AVX-VNNI.
    AvxVnni,
    /// AVX2 with FMA.
    Avx2,
    /// NEON with the dot product.
    NeonDot,
    /// Plain Rust.
    Portable,
}

/// Something to be computed on any instruction set.
pub trait Work {
    /// What comes out.
    type Out;
    /// Computes it. To be marked `#[inline(always)]`, so that it is compiled for the instruction set.
    fn run<S: Simd>(self, simd: S) -> Self::Out;
}

impl Isa {
    /// All that this machine has, the fastest first.
    pub fn available() -> Vec<Isa> {
        let mut list = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            list.extend(super::x86::Avx512Vnni::detect().map(|_| Isa::Avx512Vnni));
            list.extend(super::x86::AvxVnni::detect().map(|_| Isa::AvxVnni));
            list.extend(super::x86::Avx2::detect().map(|_| Isa::Avx2));
        }
        #[cfg(target_arch = "aarch64")]
        list.extend(super::neon::NeonDot::detect().map(|_| Isa::NeonDot));
        list.push(Isa::Portable);
        list
    }

    /// The fastest that this machine has.
    pub fn best() -> Isa {
        Isa::available()[0]
    }

    /// As it is shown.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Avx512Vnni => "AVX-512 VNNI",
            Isa::AvxVnni => "AVX-VNNI",
            Isa::Avx2 => "AVX2",
            Isa::NeonDot => "NEON dot product",
            Isa::Portable => "portable",
        }
    }

    /// Runs work on this instruction set; on plain Rust if the machine lacks it.
    pub fn run<W: Work>(self, work: W) -> W::Out {
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Vnni => match super::x86::Avx512Vnni::detect() {
                // SAFETY: `detect` has found the instructions.
                Some(simd) => unsafe { on_avx512(work, simd) },
                None => plainly(work, Portable),
            },
            #[cfg(target_arch = "x86_64")]
            Isa::AvxVnni => match super::x86::AvxVnni::detect() {
                // SAFETY: `detect` has found the instructions.
                Some(simd) => unsafe { on_avx_vnni(work, simd) },
                None => plainly(work, Portable),
            },
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => match super::x86::Avx2::detect() {
                // SAFETY: `detect` has found the instructions.
                Some(simd) => unsafe { on_avx2(work, simd) },
                None => plainly(work, Portable),
            },
            #[cfg(target_arch = "aarch64")]
            Isa::NeonDot => match super::neon::NeonDot::detect() {
                Some(simd) => plainly(work, simd),
                None => plainly(work, Portable),
            },
            _ => plainly(work, Portable),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma")]
pub(super) fn on_avx512<W: Work>(work: W, simd: super::x86::Avx512Vnni) -> W::Out {
    work.run(simd)
}

#[cfg(target_arch = "x86_64")]
#[inline(never)]
#[target_feature(enable = "avx2,fma,avxvnni")]
pub(super) fn on_avx_vnni<W: Work>(work: W, simd: super::x86::AvxVnni) -> W::Out {
    work.run(simd)
}

#[cfg(target_arch = "x86_64")]
#[inline(never)]
#[target_feature(enable = "avx2,fma")]
pub(super) fn on_avx2<W: Work>(work: W, simd: super::x86::Avx2) -> W::Out {
    work.run(simd)
}

/// For instruction sets that need no mark.
#[inline(never)]
pub(super) fn plainly<W: Work, S: Simd>(work: W, simd: S) -> W::Out {
    work.run(simd)
}
