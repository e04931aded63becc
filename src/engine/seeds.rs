//! Derives seeds from the run's seed, the stage, the purpose and the step, so that a resumed run draws the same numbers.

/// The seed of a pruning event; `stage` and `statement` are indices.
pub fn of_pruning(seed: u64, stage: u64, statement: usize, step: u64) -> u64 {
    draw(seed, stage, 2 + statement as u64, step)
}

/// The seed for one purpose at one step of stage `stage` (an index), mixed by SplitMix64.
pub fn draw(seed: u64, stage: u64, purpose: u64, step: u64) -> u64 {
    [stage, purpose, step].iter().fold(seed, |seed, part| {
        let mut z = (seed ^ part.wrapping_mul(0x9E37_79B9_7F4A_7C15)).wrapping_add(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    })
}
