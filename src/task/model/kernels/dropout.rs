//! Dropout without stored masks: whether an element is dropped is a hash of the seed and the element's index.
//!
//! The backward pass computes the mask again, elements are independent of each other, and a resumed run has the
//! masks that it would have had.

/// The dropout of one place in the model at one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    /// The probability that an element is set to zero, `0.0..1.0`.
    pub probability: f32,
    /// The seed of this place and step.
    pub seed: u32,
}

impl Dropout {
    /// No dropout.
    pub const NONE: Dropout = Dropout { probability: 0.0, seed: 0 };

    /// The dropout of one kind (hidden states, attention weights) at a step, from the step's seed.
    pub fn drawn(probability: f64, seed: u64, kind: u32) -> Dropout {
        Dropout { probability: probability as f32, seed: (seed ^ (seed >> 32)) as u32 }.place(kind)
    }

    /// The dropout at another place of the model in the same step.
    pub fn place(self, place: u32) -> Dropout {
        Dropout { seed: mix(self.seed ^ place.wrapping_mul(0x9E37_79B9)), ..self }
    }

    /// The dropout with another probability and the same seed; [`Dropout::NONE`] is unchanged.
    pub fn with_probability(self, probability: f64) -> Dropout {
        if self == Dropout::NONE { self } else { Dropout { probability: probability as f32, ..self } }
    }

    /// Whether any element can be dropped.
    pub fn is_active(self) -> bool {
        self.probability > 0.0
    }

    /// The factor of element `index`: 0, or 1 / (1 - probability).
    #[inline(always)]
    pub fn factor(self, index: u32) -> f32 {
        let threshold = (self.probability as f64 * 4_294_967_296.0) as u32;
        let keep = 1.0 / (1.0 - self.probability);
        if mix(index.wrapping_mul(0x9E37_79B9) ^ self.seed) >= threshold { keep } else { 0.0 }
    }
}

/// A 32-bit hash finaliser (lowbias32): every bit of the input affects every bit of the output.
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
    fn the_fraction_of_the_probability_is_dropped_and_the_mean_is_kept() {
        let dropout = Dropout { probability: 0.1, seed: 7 };
        let factors: Vec<f32> = (0..100_000).map(|i| dropout.factor(i)).collect();
        let dropped = factors.iter().filter(|f| **f == 0.0).count();
        assert!((9_500..10_500).contains(&dropped), "{dropped}");
        let mean: f32 = factors.iter().sum::<f32>() / factors.len() as f32;
        assert!((mean - 1.0).abs() < 0.01, "{mean}");
    }

    #[test]
    fn places_and_seeds_drop_different_elements() {
        let a = Dropout { probability: 0.5, seed: 1 };
        let same = |b: Dropout| (0..1000).filter(|i| a.factor(*i) == b.factor(*i)).count();
        assert!(same(a.place(3)) < 600);
        assert!(same(Dropout { seed: 2, ..a }) < 600);
        assert_eq!(same(a), 1000);
    }
}
