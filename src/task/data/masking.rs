//! Dynamic masking for masked language modelling: 15% of the tokens, drawn for every batch.

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

/// The fraction of tokens that are predicted.
const CHOSEN: f64 = 0.15;

/// How tokens are masked.
#[derive(Clone, Debug)]
pub struct Masking {
    /// The id of `[MASK]`.
    pub mask: u32,
    /// The ids of special tokens, which are never chosen.
    pub special: Vec<u32>,
    /// The size of the vocabulary.
    pub vocabulary: u32,
}

/// Sequences with masked tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Masked {
    /// The token ids after masking.
    pub sequences: Vec<Vec<u32>>,
    /// For every token to predict: its sequence, its position in it, and its original id.
    pub chosen: Vec<(usize, usize, u32)>,
}

impl Masking {
    /// Masks a batch as BERT does: of the chosen tokens 80% become `[MASK]`, 10% a random token, and 10% are unchanged.
    /// At least one token is chosen, if there is one that is not special.
    pub fn apply(&self, sequences: &[&[u32]], seed: u64) -> Masked {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut masked = Masked { sequences: Vec::with_capacity(sequences.len()), chosen: Vec::new() };
        for (index, sequence) in sequences.iter().enumerate() {
            let mut ids = sequence.to_vec();
            for (place, id) in ids.iter_mut().enumerate() {
                if !self.special.contains(id) && rng.random_bool(CHOSEN) {
                    masked.chosen.push((index, place, *id));
                    *id = self.replacement(*id, &mut rng);
                }
            }
            masked.sequences.push(ids);
        }
        if masked.chosen.is_empty() {
            let mut tokens = sequences
                .iter()
                .enumerate()
                .flat_map(|(i, s)| s.iter().enumerate().map(move |(place, id)| (i, place, *id)));
            if let Some((index, place, id)) = tokens.find(|(.., id)| !self.special.contains(id)) {
                masked.sequences[index][place] = self.mask;
                masked.chosen.push((index, place, id));
            }
        }
        masked
    }

    fn replacement(&self, id: u32, rng: &mut ChaCha8Rng) -> u32 {
        match rng.random_range(0..10) {
            0..8 => self.mask,
            8 => rng.random_range(0..self.vocabulary),
            _ => id,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masking() -> Masking {
        Masking { mask: 4, special: vec![0, 2, 3], vocabulary: 1000 }
    }

    #[test]
    fn fifteen_percent_are_chosen_and_eighty_percent_of_them_masked() {
        let tokens: Vec<u32> = (0..100_000).map(|i| if i % 100 == 0 { 2 } else { 7 + i % 900 }).collect();
        let masked = masking().apply(&[&tokens], 5);
        let read = &masked.sequences[0];
        let share = |n: usize, of: usize| n as f64 / of as f64;
        let chosen = masked.chosen.len();
        assert!((share(chosen, 99_000) - 0.15).abs() < 0.005);
        let hidden = masked.chosen.iter().filter(|(_, place, _)| read[*place] == 4).count();
        let kept = masked.chosen.iter().filter(|(_, place, id)| read[*place] == *id).count();
        assert!((share(hidden, chosen) - 0.8).abs() < 0.01);
        assert!((share(kept, chosen) - 0.1).abs() < 0.01);
        assert!(masked.chosen.iter().all(|(_, place, id)| tokens[*place] == *id && *id != 2));
        let untouched = tokens.iter().zip(read).filter(|(a, b)| a == b).count();
        assert!(untouched >= tokens.len() - chosen);
    }

    #[test]
    fn a_seed_repeats_its_masks_and_another_gives_others() {
        let tokens: Vec<u32> = (7..207).collect();
        let apply = |seed| masking().apply(&[&tokens], seed);
        assert_eq!(apply(1), apply(1));
        assert_ne!(apply(1), apply(2));
    }

    #[test]
    fn there_is_always_a_token_to_predict() {
        for seed in 0..20 {
            assert_eq!(masking().apply(&[&[2, 9, 3]], seed).chosen, [(0, 1, 9)]);
        }
        assert!(masking().apply(&[&[2, 3]], 1).chosen.is_empty());
    }
}
