//! Dropout without stored masks: whether an element is kept is a hash of the seed and its index.
//!
//! Forward and backward ask the same question and get the same answer, nothing is drawn one after
//! the other, and a run that resumes at a step drops what it would have dropped.

/// The dropout of one place in the model at one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    /// The share of elements set to zero, `0.0..1.0`.
    pub share: f32,
    /// The seed of this place and step.
    pub seed: u32,
}

impl Dropout {
    /// Keeps everything.
    pub const NONE: Dropout = Dropout { share: 0.0, seed: 0 };

    /// The dropout of one of a step's kinds, from the step's seed.
    pub fn drawn(share: f64, seed: u64, kind: u32) -> Dropout {
        Dropout { share: share as f32, seed: (seed ^ (seed >> 32)) as u32 }.place(kind)
    }

    /// The dropout of another place at the same step.
    pub fn place(self, place: u32) -> Dropout {
        Dropout { seed: mix(self.seed ^ place.wrapping_mul(0x9E37_79B9)), ..self }
    }

    /// The same elements' dropout with another share; [`Dropout::NONE`] stays as it is.
    pub fn with_share(self, share: f64) -> Dropout {
        if self == Dropout::NONE { self } else { Dropout { share: share as f32, ..self } }
    }

    /// Whether anything is dropped.
    pub fn is_active(self) -> bool {
        self.share > 0.0
    }

    /// What element `index` is multiplied by: zero, or 1 / (1 - share).
    #[inline(always)]
    pub fn factor(self, index: u32) -> f32 {
        let threshold = (self.share as f64 * 4_294_967_296.0) as u32;
        let keep = 1.0 / (1.0 - self.share);
        if mix(index.wrapping_mul(0x9E37_79B9) ^ self.seed) >= threshold { keep } else { 0.0 }
    }
}

/// A 32-bit finaliser: every bit of the input moves every bit of the output.
#[inline(always)]
pub fn mix(mut x: u32) -> u32 {
    x ^= x >> 16;
    x = x.wrapping_mul(0x7FEB_352D);
    x ^= x >> 15;
    x = x.wrapping_mul(0x846C_A68B);
    x ^ (x >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_dropped_and_the_mean_is_kept() {
        let dropout = Dropout { share: 0.1, seed: 7 };
        let factors: Vec<f32> = (0..100_000).map(|i| dropout.factor(i)).collect();
        let dropped = factors.iter().filter(|f| **f == 0.0).count();
        assert!((9_500..10_500).contains(&dropped), "{dropped}");
        let mean: f32 = factors.iter().sum::<f32>() / factors.len() as f32;
        assert!((mean - 1.0).abs() < 0.01, "{mean}");
    }

    #[test]
    fn places_and_seeds_drop_different_elements() {
        let a = Dropout { share: 0.5, seed: 1 };
        let same = |b: Dropout| (0..1000).filter(|i| a.factor(*i) == b.factor(*i)).count();
        assert!(same(a.place(3)) < 600);
        assert!(same(Dropout { seed: 2, ..a }) < 600);
        assert_eq!(same(a), 1000);
    }
}
