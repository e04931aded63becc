//! Detection of instruction sets, and dispatch of work to one of them.

use super::Work;
use super::portable::{Portable, run_portable};
#[cfg(target_arch = "x86_64")]
use super::x86;

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

impl Isa {
    /// The instruction sets of this machine, the fastest first.
    pub fn available() -> Vec<Isa> {
        let mut list = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            list.extend(x86::Avx512Vnni::detect().map(|_| Isa::Avx512Vnni));
            list.extend(x86::AvxVnni::detect().map(|_| Isa::AvxVnni));
            list.extend(x86::Avx2::detect().map(|_| Isa::Avx2));
        }
        #[cfg(target_arch = "aarch64")]
        list.extend(super::neon::NeonDot::detect().map(|_| Isa::NeonDot));
        list.push(Isa::Portable);
        list
    }

    /// The fastest instruction set of this machine.
    pub fn best() -> Isa {
        Isa::available()[0]
    }

    /// The name of the instruction set in messages.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Avx512Vnni => "AVX-512 VNNI",
            Isa::AvxVnni => "AVX-VNNI",
            Isa::Avx2 => "AVX2",
            Isa::NeonDot => "NEON dot product",
            Isa::Portable => "portable",
        }
    }

    /// Runs work on this instruction set, or in plain Rust if the machine lacks it.
    pub fn run<W: Work>(self, work: W) -> W::Out {
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Vnni => match x86::Avx512Vnni::detect() {
                // SAFETY: `detect` has found the instructions.
                Some(simd) => unsafe { x86::run_avx512(work, simd) },
                None => run_portable(work, Portable),
            },
            #[cfg(target_arch = "x86_64")]
            Isa::AvxVnni => match x86::AvxVnni::detect() {
                // SAFETY: `detect` has found the instructions.
                Some(simd) => unsafe { x86::run_avx_vnni(work, simd) },
                None => run_portable(work, Portable),
            },
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => match x86::Avx2::detect() {
                // SAFETY: `detect` has found the instructions.
                Some(simd) => unsafe { x86::run_avx2(work, simd) },
                None => run_portable(work, Portable),
            },
            #[cfg(target_arch = "aarch64")]
            Isa::NeonDot => match super::neon::NeonDot::detect() {
                Some(simd) => run_portable(work, simd),
                None => run_portable(work, Portable),
            },
            _ => run_portable(work, Portable),
        }
    }
}
