//! What several ranks compute, as threads of one process, has the bits of what one computes. `tests/mpi` runs the command
//! on processes.

use burn::tensor::Device;
use obert::internals::engine::Interpreter;
use obert::internals::engine::events::{Event, Unwatched};
use obert::internals::ranks::{Ranks, threads};
use obert::internals::schedule::Schedule;
use obert::internals::task::classification::Classification;
use obert::internals::task::model::BertForSequenceClassification;
use obert::internals::task::parameters;
use serde_json::Value;

use super::learning::{Everything, classifier, schedule};

/// Runs a function on each of `size` ranks and returns the results in their order.
pub fn on_each<R: Send>(size: usize, compute: impl Fn(Ranks) -> R + Sync) -> Vec<R> {
    std::thread::scope(|scope| {
        let compute = &compute;
        let ranks = threads(size).into_iter();
        let threads: Vec<_> = ranks.map(|own| scope.spawn(move || compute(Ranks::of(own)))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// The recorded classifier with dropout, and thirteen training examples: with `batch: 2` and `accumulate: 4` an epoch has
/// two steps, the second of them with five examples in three batches.
fn task() -> (Classification, BertForSequenceClassification) {
    let (mut task, model) = classifier();
    let two = std::mem::take(&mut task.train);
    task.train = (0..13)
        .map(|i| {
            let mut example = two[i % 2].clone();
            example.label = i % 3;
            example.ids[1] = 5 + i as u32;
            example
        })
        .collect();
    (task.hidden_dropout, task.attention_dropout) = (0.1, 0.1);
    (task, model)
}

/// The weights in bits, and the events without times.
type Outcome = (Vec<(String, Vec<u32>)>, Vec<Value>);

fn run(schedule: &Schedule, ranks: Ranks) -> Outcome {
    let (task, model) = task();
    let mut events = Everything::default();
    let teacher = Some(model.clone());
    let interpreter = Interpreter { teacher, ranks, ..Interpreter::new(&task, schedule, Device::flex()) };
    let (model, _) = interpreter.run(model, &mut events).unwrap();
    let values = parameters::read(&model, |_| true);
    let bits = values.into_iter().map(|(name, v)| (name, v.iter().map(|w| w.to_bits()).collect()));
    let events = events.0.iter().map(|event: &Event| {
        let mut event = serde_json::to_value(event).unwrap();
        let fields = event.as_object_mut().unwrap();
        fields.remove("seconds");
        fields.remove("memory");
        event
    });
    (bits.collect(), events.collect())
}

/// Compares runs on 2, 3, 4 and 5 ranks with that of one process.
fn same_on_ranks(length: &str, statements: &str) {
    let schedule = schedule(length, statements);
    let (weights, events) = run(&schedule, Ranks::alone());
    assert!(events.iter().any(|event| event["event"] == "stage_finished"));
    for size in [2, 3, 4, 5] {
        for (rank, (of_rank, heard)) in on_each(size, |ranks| run(&schedule, ranks)).into_iter().enumerate() {
            assert_eq!(heard, events, "the log of rank {rank} of {size}");
            assert!(of_rank == weights, "the weights of rank {rank} of {size}");
        }
    }
}

#[test]
fn training_on_ranks_gives_the_bits_of_gradient_accumulation_in_one_process() {
    same_on_ranks(
        "for 2 epochs",
        "  train { accumulate: 4, clip: 0.5 }
  lr { 0..2 epochs: 1e-2 -> 1e-3 linear }
  freeze params(\"bert.embeddings.**\") over 0..1 epochs
  evaluate every 0.5 epochs { keep: best(accuracy) }
  distill from teacher { hardness: 0.5, temperature: 2.0, hidden: states(\"bert.encoder.layer.*\") }",
    );
}

#[test]
fn fewer_batches_than_ranks_are_summed_as_well() {
    same_on_ranks("for 1 epoch", "  train { accumulate: 2 }\n  lr { 0..1 epochs: 1e-2 }");
}

#[test]
fn movement_scores_on_ranks_are_those_of_one_process() {
    same_on_ranks(
        "for 2 epochs",
        "  train { accumulate: 4 }
  lr { 0..2 epochs: 1e-2 }
  prune params(\"bert.encoder.**.dense.weight\") over 0..1 epochs every 0.5 epochs {
    by: movement, sparsity: 20% -> 60% linear
  }",
    );
}

#[test]
fn ranges_that_are_observed_in_training_are_those_of_one_process() {
    same_on_ranks(
        "for 2 epochs",
        "  train { accumulate: 4 }
  lr { 0..2 epochs: 1e-3 }
  quantize params(\"bert.encoder.**.dense.weight\") {
    weights: int8(symmetric, per: channel), activations: uint8(asymmetric), calibrate: 3, freeze: after 1 epoch
  }",
    );
}

/// Prunes by OBS with these settings of the statement.
fn same_obs_on_ranks(obs: &str, statement: &str) {
    same_on_ranks(
        "for 1 epoch",
        &format!(
            "  train {{ accumulate: 4 }}
  lr {{ 0..1 epochs: 1e-3 }}
  prune params(\"bert.encoder.**.weight\") except params(\"**.LayerNorm.*\") over 0..0.5 epochs every 0.5 epochs {{
    by: obs(gradients: 22, batch: 2, {obs})
    sparsity: 30% -> 60% linear
    {statement}
  }}"
        ),
    );
}

#[test]
fn obs_on_ranks_prunes_the_same_weights_and_updates_the_others_to_the_same_bits() {
    same_obs_on_ranks("block: 8", "");
    same_obs_on_ranks("block: 8, update: independent, recompute: 2", "pattern: blocks(1, 4)");
    same_obs_on_ranks("block: 8, update: exact", "rank: layer");
}

#[test]
fn obs_on_ranks_with_ill_conditioned_blocks_several_passes_and_stored_gradients_gives_the_same_bits() {
    same_obs_on_ranks("block: 16, damp: 1e-12", "");
    same_obs_on_ranks("block: 8, memory: 200 KiB", "");
    same_obs_on_ranks("block: 8, memory: 200 KiB", "rank: layer");
    same_obs_on_ranks("block: 32", "");
}

#[test]
fn a_measured_allocation_on_ranks_is_that_of_one_process() {
    same_obs_on_ranks("block: 8", "rank: measured");
}

#[test]
fn a_run_that_one_rank_asks_to_stop_stops_on_all_before_the_same_step() {
    struct Stops(bool);
    impl obert::internals::engine::events::Observer for Stops {
        fn event(&mut self, _: &Event) -> Result<(), obert::internals::diag::Diagnostic> {
            Ok(())
        }
        fn progress(&mut self, _: obert::internals::engine::events::Work, _: u64, _: u64) {}
        fn wants_to_stop(&self) -> bool {
            self.0
        }
    }
    let schedule = schedule("for 1 epoch", "  train { accumulate: 4 }\n  lr { 0..1 epochs: 1e-2 }");
    let stopped = on_each(3, |ranks| {
        let (task, model) = task();
        let mut observer = Stops(ranks.rank() == 2);
        let interpreter = Interpreter { ranks, ..Interpreter::new(&task, &schedule, Device::flex()) };
        interpreter.run(model, &mut observer).unwrap_err().to_string()
    });
    assert_eq!(stopped, ["stopped at step 0 of `r`"; 3]);
    // Without such a wish the same run goes to its end.
    let (task, model) = task();
    Interpreter::new(&task, &schedule, Device::flex()).run(model, &mut Unwatched).unwrap();
}
