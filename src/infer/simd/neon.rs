//! NEON with the dot product of ARMv8.2.

use std::arch::aarch64::*;
use std::arch::asm;

use super::portable::{on_arrays, run_portable};
use super::{Floats, Ints, LANES, Quads, Simd, Work};

/// NEON with `sdot`.
#[derive(Clone, Copy, Debug)]
pub struct NeonDot(());

impl NeonDot {
    /// A token for NEON with the dot product; `None` if the machine lacks it.
    pub fn detect() -> Option<Self> {
        std::arch::is_aarch64_feature_detected!("dotprod").then_some(NeonDot(()))
    }
}

impl Simd for NeonDot {
    const ROWS: usize = 4;
    const GROUPS: usize = 1;

    #[inline(always)]
    fn outline<W: Work>(self, work: W) -> W::Out {
        run_portable(work, self)
    }

    on_arrays!(true);

    /// `sdot` multiplies signed bytes: `Σ t w = Σ (t − 128) w + 128 Σ w`.
    #[inline(always)]
    unsafe fn dot(self, sum: Self::I, tokens: *const u8, word: i32) -> Self::I {
        let weights: i32 = word.to_le_bytes().iter().map(|b| i32::from(*b as i8)).sum();
        // SAFETY: the value of the type is proof of the instruction; the caller promises 64 bytes.
        unsafe {
            let mut quarters: [int32x4_t; 4] = std::mem::transmute(sum);
            let signed = vreinterpretq_s8_s32(vdupq_n_s32(word));
            let shift = vdupq_n_s32(128 * weights);
            for (i, quarter) in quarters.iter_mut().enumerate() {
                let bytes = veorq_u8(vld1q_u8(tokens.add(16 * i)), vdupq_n_u8(0x80));
                let bytes = vreinterpretq_s8_u8(bytes);
                let mut acc = vaddq_s32(*quarter, shift);
                // The intrinsic is not stable.
                asm!(
                    ".arch_extension dotprod",
                    "sdot {acc:v}.4s, {a:v}.16b, {b:v}.16b",
                    acc = inout(vreg) acc,
                    a = in(vreg) bytes,
                    b = in(vreg) signed,
                    options(pure, nomem, nostack, preserves_flags)
                );
                *quarter = acc;
            }
            std::mem::transmute(quarters)
        }
    }
}
