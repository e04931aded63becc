//! Products on every instruction set this machine has, bit for bit against sums in plain Rust.

use std::ops::Range;

use obert::internals::infer::kernel::product::{Blocks, Dense, Float32, Int8, Panel, Strips, dense, sparse};
use obert::internals::infer::simd::{Floats, Ints, Isa, LANES, Quads, Simd, Work};
use proptest::prelude::*;

struct Sparse<'a>(Blocks<'a>, Panel<'a, Quads>, Range<usize>, &'a mut [Ints]);

impl Work for Sparse<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        sparse(simd, self.0, &Strips::of(&self.0), self.2, &self.1, self.3);
    }
}

struct Full<'a>(Dense<'a, [i8; 4]>, Panel<'a, Quads>, Range<usize>, &'a mut [Ints]);

impl Work for Full<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        dense::<S, Int8>(simd, self.0, self.2, &self.1, self.3);
    }
}

struct Float<'a>(Dense<'a, f32>, Panel<'a, Floats>, Range<usize>, &'a mut [Floats]);

impl Work for Float<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        dense::<S, Float32>(simd, self.0, self.2, &self.1, self.3);
    }
}

/// A matrix, a panel and what is multiplied of them.
#[derive(Clone, Debug)]
struct Case {
    steps: usize,
    width: usize,
    taken: Range<usize>,
    groups: Range<usize>,
    words: Vec<[i8; 4]>,
    tokens: Vec<u8>,
}

/// A part of a range that is not empty.
fn part(most: usize) -> impl Strategy<Value = Range<usize>> {
    (0..most).prop_flat_map(move |from| (Just(from), from + 1..=most)).prop_map(|(from, to)| from..to)
}

fn cases() -> impl Strategy<Value = Case> {
    // Miri interprets, so small products must do.
    let long = if cfg!(miri) { 40usize..48 } else { 190usize..600 };
    let steps = prop_oneof![9 => 1usize..40, 1 => long];
    (1usize..20, steps, 1usize..7, 0u32..=100).prop_flat_map(|(rows, steps, width, kept)| {
        // The ends of both ranges are where sums of 16 bits would saturate.
        let weight = prop_oneof![Just(-128i8), Just(-127), Just(127), any::<i8>()];
        let word = (0u32..100, prop::array::uniform4(weight))
            .prop_map(move |(draw, word)| if draw < kept { word } else { [0; 4] });
        let token = prop_oneof![Just(255u8), Just(128), Just(127), Just(0), any::<u8>()];
        (
            part(rows),
            part(width),
            prop::collection::vec(word, rows * steps),
            prop::collection::vec(token, steps * width * 4 * LANES),
        )
            .prop_map(move |(taken, groups, words, tokens)| Case {
                steps,
                width,
                taken,
                groups,
                words,
                tokens,
            })
    })
}

impl Case {
    fn quads(&self) -> Vec<Quads> {
        self.tokens.as_chunks().0.iter().map(|bytes| Quads(*bytes)).collect()
    }

    fn blocks(&self) -> (Vec<u32>, Vec<u16>, Vec<[i8; 4]>) {
        let (mut pointers, mut indices, mut words) = (vec![0], vec![], vec![]);
        for row in self.words.chunks(self.steps) {
            for (step, word) in row.iter().enumerate().filter(|(_, word)| **word != [0; 4]) {
                indices.push(step as u16);
                words.push(*word);
            }
            pointers.push(indices.len() as u32);
        }
        (pointers, indices, words)
    }

    /// The sums in 64 bits: none may have been cut.
    fn expected(&self) -> Vec<[i64; LANES]> {
        let mut sums = Vec::new();
        for row in self.taken.clone() {
            for group in self.groups.clone() {
                sums.push(std::array::from_fn(|lane| {
                    let product = |step: usize, i: usize| {
                        let token = self.tokens[(step * self.width + group) * 4 * LANES + 4 * lane + i];
                        i64::from(token) * i64::from(self.words[row * self.steps + step][i])
                    };
                    (0..self.steps)
                        .flat_map(|s| (0..4).map(move |i| (s, i)))
                        .map(|(s, i)| product(s, i))
                        .sum()
                }));
            }
        }
        sums
    }
}

fn wide(sums: &[Ints]) -> Vec<[i64; LANES]> {
    sums.iter().map(|s| s.0.map(i64::from)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 3 } else { 256 }))]

    #[test]
    fn sparse_and_dense_products_are_exact_on_every_instruction_set(case in cases()) {
        let (expected, quads) = (case.expected(), case.quads());
        let (pointers, indices, words) = case.blocks();
        for isa in Isa::available() {
            let panel = Panel { steps: &quads, width: case.width, groups: case.groups.clone() };
            let mut sums = vec![Ints::default(); expected.len()];
            let blocks = Blocks::new(&pointers, &indices, &words, case.steps).unwrap();
            isa.run(Sparse(blocks, panel.clone(), case.taken.clone(), &mut sums));
            prop_assert_eq!(&wide(&sums), &expected, "sparse on {}", isa.name());
            let mut sums = vec![Ints::default(); expected.len()];
            let matrix = Dense { weights: &case.words, row: case.steps, step: 1, steps: case.steps };
            isa.run(Full(matrix, panel, case.taken.clone(), &mut sums));
            prop_assert_eq!(&wide(&sums), &expected, "dense on {}", isa.name());
        }
    }

    #[test]
    fn products_of_floats_are_those_of_doubles(case in cases()) {
        let weights: Vec<f32> = case.words.iter().map(|w| f32::from(w[0]) / 64.0).collect();
        let lane = |step: usize, group: usize, lane: usize| {
            f32::from(case.tokens[(step * case.width + group) * 4 * LANES + lane]) / 128.0 - 1.0
        };
        let tokens: Vec<Floats> = (0..case.steps * case.width)
            .map(|i| Floats(std::array::from_fn(|l| lane(i / case.width, i % case.width, l))))
            .collect();
        for isa in Isa::available() {
            let panel = Panel { steps: &tokens, width: case.width, groups: case.groups.clone() };
            let mut sums = vec![Floats::default(); case.taken.len() * case.groups.len()];
            let matrix = Dense { weights: &weights, row: case.steps, step: 1, steps: case.steps };
            isa.run(Float(matrix, panel, case.taken.clone(), &mut sums));
            let mut at = 0;
            for row in case.taken.clone() {
                for group in case.groups.clone() {
                    for l in 0..LANES {
                        let product = |s: usize| {
                            f64::from(weights[row * case.steps + s]) * f64::from(lane(s, group, l))
                        };
                        let exact: f64 = (0..case.steps).map(product).sum();
                        let got = f64::from(sums[at].0[l]);
                        prop_assert!((got - exact).abs() < 1e-4, "{} on {}: {got} is not {exact}", l, isa.name());
                    }
                    at += 1;
                }
            }
        }
    }
}

#[test]
fn blocks_that_lead_outside_are_refused() {
    let words = [[1; 4]; 2];
    let refused = |pointers: &[u32], indices: &[u16]| Blocks::new(pointers, indices, &words, 3).unwrap_err();
    assert!(refused(&[0, 2], &[0, 3]).contains("a block at step 3 of 3 steps"));
    assert!(refused(&[0, 2, 1], &[0, 1]).contains("do not increase"));
    assert!(refused(&[1, 2], &[0, 1]).contains("increase from 0"));
    assert!(refused(&[0, 1], &[0, 1]).contains("do not end"));
    assert!(refused(&[0, 3], &[0, 1, 2]).contains("3 indices for 2"));
    assert!(refused(&[], &[0, 1]).contains("do not increase"));
}

#[test]
#[should_panic(expected = "too few steps")]
fn a_panel_that_is_too_short_is_no_undefined_behaviour() {
    let quads = vec![Quads::default(); 3];
    let words = vec![[1; 4]; 4];
    let mut sums = vec![Ints::default(); 1];
    let matrix = Dense { weights: &words, row: 4, step: 1, steps: 4 };
    Isa::best().run(Full(matrix, Panel { steps: &quads, width: 1, groups: 0..1 }, 0..1, &mut sums));
}
