//! Models with attention heads and neurons that pruning left without weights: packed without them, with the same logits.

use std::sync::Arc;

use obert::internals::diag::Diagnostic;
use obert::internals::infer::file::layout::Head;
use obert::internals::infer::file::{Image, Opened};
use obert::internals::infer::pack::build::{Plan, build};
use obert::internals::infer::pack::random::Random;
use obert::internals::infer::{Limits, Model, Sequence, Session};
use obert::internals::params::{BertConfig, BertShape};

const SHAPE: BertShape =
    BertShape { vocab: 40, hidden: 32, layers: 2, heads: 4, intermediate: 48, positions: 40, types: 1 };

/// A random model without the weights of a head and of some neurons. With `biases`, they give all tokens a constant that is not
/// zero. `tiny` fills them with weights too small to change a logit instead, so that nothing is left out.
fn tensor(name: &str, biases: bool, tiny: bool) -> Result<Vec<f32>, Diagnostic> {
    let random = Random { config: BertConfig::new(SHAPE), sparsity: 0.0, seed: 5 };
    let mut values = random.tensor(name);
    let empty = if tiny { 1e-20 } else { 0.0 };
    let mut fill =
        |rows: std::ops::Range<usize>, value: f32| values[rows.start * 32..rows.end * 32].fill(value);
    match name {
        // Of layer 0 the second head, and twelve neurons of which four are unread.
        "bert.encoder.layer.0.attention.self.value.weight" => fill(8..16, empty),
        "bert.encoder.layer.0.intermediate.dense.weight" => fill(4..12, empty),
        "bert.encoder.layer.0.attention.self.value.bias" if biases => values[8..16].fill(0.5),
        "bert.encoder.layer.0.intermediate.dense.bias" if biases => values[4..12].fill(1.5),
        "bert.encoder.layer.0.output.dense.weight" => {
            values.chunks_mut(48).for_each(|row| row[20..24].fill(empty));
        }
        // Of layer 1 the last head is unread.
        "bert.encoder.layer.1.attention.output.dense.weight" => {
            values.chunks_mut(32).for_each(|row| row[24..].fill(empty));
        }
        _ => {}
    }
    Ok(values)
}

fn packed(plan: &Plan, biases: bool, tiny: bool) -> Image {
    let config = BertConfig::new(SHAPE);
    build(&config, Head::Answers, None, plan, &|name| tensor(name, biases, tiny)).unwrap()
}

fn logits(image: &Image, threads: usize) -> Vec<f32> {
    let model = Arc::new(Model::from_bytes(&image.bytes(), "model").unwrap());
    let limits = Limits { sequences: 1, length: 37, threads, ..Limits::default() };
    let mut session = Session::new(model, limits).unwrap();
    let (ids, types) = ((0..37).map(|i| i * 7 % 40).collect::<Vec<u32>>(), [0; 37]);
    let logits = session.run(&[Sequence { ids: &ids, types: &types }]).unwrap();
    [logits.answer(0).0, logits.answer(0).1].concat()
}

#[test]
fn heads_and_neurons_that_compute_nothing_are_left_out_with_the_same_logits() {
    let quantization = Random { config: BertConfig::new(SHAPE), sparsity: 0.0, seed: 5 }.quantization();
    // Constants are quantized before they are folded into a bias, or not at all.
    for (plan, without_biases, with_biases) in
        [(Plan::Float32, 1e-5, 1e-5), (Plan::Dynamic, 0.02, 0.05), (Plan::Static(quantization), 0.02, 0.05)]
    {
        for (biases, most) in [(false, without_biases), (true, with_biases)] {
            let (small, whole) = (packed(&plan, biases, false), packed(&plan, biases, true));
            assert_eq!(small.directory().left_out(), (2, 12));
            assert_eq!(whole.directory().left_out(), (0, 0));
            let [small_logits, whole_logits] = [&small, &whole].map(|image| logits(image, 1));
            let apart =
                small_logits.iter().zip(&whole_logits).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(apart <= most, "{apart} in place of at most {most}, with biases: {biases}");
            assert_eq!(logits(&small, 2), small_logits);
            let sizes = [&small, &whole].map(|image| Opened::bytes(&image.bytes(), "model").unwrap().size());
            assert!(sizes[0] < sizes[1], "{sizes:?}");
            let linear = |name: &str| {
                let found = &small.directory().linears[&format!("bert.encoder.layer.0.{name}")];
                [found.rows, found.columns]
            };
            assert_eq!(linear("attention.self.query"), [24, 32]);
            assert_eq!(linear("attention.output.dense"), [32, 24]);
            assert_eq!(linear("intermediate.dense"), [36, 32]);
            assert_eq!(linear("output.dense"), [32, 36]);
        }
    }
}
