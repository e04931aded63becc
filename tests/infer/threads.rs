//! The same logits, bit for bit, with any number of threads: where threads compute tiles of their own, and where they share
//! them.

use std::sync::Arc;

use obert::internals::infer::pack::random::Random;
use obert::internals::infer::simd::Isa;
use obert::internals::infer::{Limits, Model, Precision, Sequence, Session};
use obert::internals::params::{BertConfig, BertShape};

use super::golden::model;

/// The bits of all logits, for sequences of these lengths.
fn bits(model: &Arc<Model>, threads: usize, isa: Isa, lengths: &[usize]) -> Vec<u32> {
    let longest = lengths.iter().copied().max().unwrap();
    let limits = Limits { sequences: lengths.len(), length: longest, threads, isa };
    let mut session = Session::new(Arc::clone(model), limits).unwrap();
    let id = |i: usize| ((i * 7919 + 13) % model.vocabulary()) as u32;
    let ids: Vec<Vec<u32>> = lengths.iter().map(|n| (0..*n).map(|i| id(n + i)).collect()).collect();
    let types = vec![0; longest];
    let sequences: Vec<_> = ids.iter().map(|ids| Sequence { ids, types: &types[..ids.len()] }).collect();
    let mut all = Vec::new();
    // The second call begins with what the first has left in the buffers.
    for _ in 0..2 {
        let logits = session.run(&sequences).unwrap();
        all.clear();
        for i in 0..lengths.len() {
            let (start, end) = logits.answer(i);
            all.extend(start.iter().chain(end).copied().chain(logits.labels(i)).map(f32::to_bits));
        }
    }
    all
}

fn equal_with_any_number_of_threads(model: &Arc<Model>, isa: Isa, name: &str, lengths: &[&[usize]]) {
    for lengths in lengths {
        let one = bits(model, 1, isa, lengths);
        assert!(one.iter().any(|bits| *bits != one[0]), "{name}: all logits are equal");
        for threads in [2, 3, 5] {
            let many = bits(model, threads, isa, lengths);
            assert_eq!(many, one, "{name}, {lengths:?} on {threads} threads, {}", isa.name());
        }
    }
}

#[test]
fn logits_are_the_same_bits_with_any_number_of_threads() {
    // Rows and columns that fill no chunk, and several strips of columns.
    let shape = BertShape {
        vocab: 50,
        hidden: 120,
        layers: 2,
        heads: 4,
        intermediate: 1020,
        positions: 100,
        types: 1,
    };
    for (name, sparsity, is_int8) in [("f32", 0.0, false), ("int8", 0.0, true), ("90%", 0.9, true)] {
        let packed =
            Random { config: BertConfig::new(shape), sparsity, seed: 3 }.pack(is_int8).unwrap().bytes();
        let model = Arc::new(Model::from_bytes(&packed, name).unwrap());
        for isa in Isa::available() {
            let lengths: &[&[usize]] = &[&[7], &[32], &[80], &[33, 5, 50]];
            // Portable code is slow without optimization.
            let lengths = if isa == Isa::Portable { &lengths[1..2] } else { lengths };
            equal_with_any_number_of_threads(&model, isa, name, lengths);
        }
    }
}

#[test]
fn every_family_has_the_same_bits_with_any_number_of_threads() {
    for family in ["roberta", "distilbert"].map(|family| format!("families/{family}")).into_iter().chain(
        ["albert", "mpnet", "modernbert", "modernbert-biased", "bert-relu"]
            .map(|family| format!("encoders/{family}")),
    ) {
        for precision in [Precision::Float32, Precision::Int8] {
            let model = model(&format!("{family}_answering"), Some(precision));
            equal_with_any_number_of_threads(&model, Isa::best(), &family, &[&[5], &[18], &[17, 3]]);
        }
    }
}
