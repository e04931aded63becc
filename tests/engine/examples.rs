//! The examples, run: models that obert does not know are pruned by a recipe.

#[path = "../../examples/custom_model.rs"]
mod custom_model;
#[path = "../../examples/vit.rs"]
mod vit;

use std::sync::{Mutex, PoisonError};

use obert::StageResult;
use obert::internals::task::parameters;

/// The examples draw their first weights from Burn's one generator, which both seed: one after the other,
/// so that neither draws from the other's.
static GENERATOR: Mutex<()> = Mutex::new(());

/// The network of the first example, pruned.
pub fn pruned_network() -> (custom_model::Network, Vec<StageResult>) {
    let _alone = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
    custom_model::run()
}

/// The same before anything is learned.
pub fn new_network(device: &burn::tensor::Device) -> custom_model::Network {
    custom_model::Network::new(device)
}

/// The figures of the last stage: accuracy, zeros and weights of what was pruned.
fn last(results: &[StageResult]) -> (f64, usize, usize) {
    let stage = results.last().unwrap();
    let pruned = stage.sparsity.iter().filter(|l| l.zeros > 0);
    let (zeros, count) = pruned.fold((0, 0), |(z, n), l| (z + l.zeros, n + l.count));
    (stage.metrics["accuracy"], zeros, count)
}

#[test]
fn a_convolutional_network_is_pruned_and_still_tells_stripes_apart() {
    let alone = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
    let (model, results) = custom_model::run();
    drop(alone);
    let (accuracy, zeros, count) = last(&results);
    assert_eq!((zeros, count), (966, 1288), "three quarters of both convolutions and the head");
    assert!(accuracy >= 90.0, "{accuracy}");
    let values = parameters::read(&model, |name| name == "second.weight");
    assert!(values["second.weight"].iter().filter(|w| **w == 0.0).count() > 600);
}

#[test]
fn a_vision_transformer_loses_a_layer_and_most_of_its_weights_in_fours() {
    let alone = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
    let (model, results) = vit::run();
    drop(alone);
    let (accuracy, zeros, count) = last(&results);
    assert_eq!(
        parameters::table(&model).find("encoder.layers.2.pwff.linear_inner.weight"),
        None,
        "two layers are left"
    );
    assert_eq!(count, 2 * (4 * 32 * 32 + 2 * 32 * 64));
    assert!((zeros as f64 / count as f64 - 0.7).abs() < 1e-3, "{zeros} of {count}");
    assert!(accuracy >= 90.0, "{accuracy}");
    let values = parameters::read(&model, |name| name == "encoder.layers.1.pwff.linear_inner.weight");
    for group in values["encoder.layers.1.pwff.linear_inner.weight"].chunks(4) {
        let empty = group.iter().filter(|w| **w == 0.0).count();
        assert!(empty == 0 || empty == 4);
    }
}
