//! Warnings of a run: what pruning emptied, what it cost, and Fisher matrices from too few gradients.

use burn::tensor::Device;
use obert::internals::engine::events::Event;
use obert::internals::schedule::ir::{Criterion, Obs, Pattern, Rank};
use obert::internals::task::parameters;
use obert::runlog::{Warning, WarningKind};

use super::best::kept;
use super::learning::{self, classifier};
use super::surgery::{HIDDEN, INPUTS, Regression, obs, prune, run, toy};

fn warnings(events: &[Event]) -> Vec<&Warning> {
    let found = events.iter().filter_map(|event| match event {
        Event::Warning(warning) => Some(warning),
        _ => None,
    });
    found.collect()
}

fn of_kind(events: &[Event], kind: WarningKind) -> Vec<&Warning> {
    warnings(events).into_iter().filter(|w| w.kind == kind).collect()
}

#[test]
fn matrices_that_are_almost_empty_and_outputs_without_weights_are_named_once() {
    let emptied = run(prune(Criterion::Magnitude, Pattern::Unstructured, Rank::Layer, 1.0), "0 epochs", 100);
    let [empty, outputs] = warnings(&emptied.events)[..] else { panic!("{:?}", warnings(&emptied.events)) };
    assert_eq!(empty.kind, WarningKind::AlmostEmpty);
    assert_eq!(empty.message, "pruned `first.weight` to 100.0%, `second.weight` to 100.0%");
    assert_eq!(empty.help, "lower `sparsity`, or write `target params(\"first.weight\"): 90%`");
    assert_eq!(outputs.kind, WarningKind::Emptied);
    assert_eq!(
        outputs.message,
        "no weight is left in output 0 and 11 more of `first.weight`, output 0 and 3 more of `second.weight`"
    );
    // Whole outputs are what this pattern asks for.
    let rows = run(prune(Criterion::Magnitude, Pattern::Rows, Rank::Layer, 0.5), "0 epochs", 100);
    assert!(warnings(&rows.events).is_empty(), "{:?}", warnings(&rows.events));
    let fine = run(prune(Criterion::Magnitude, Pattern::Unstructured, Rank::Layer, 0.3), "0 epochs", 100);
    assert!(of_kind(&fine.events, WarningKind::AlmostEmpty).is_empty());
}

#[test]
fn gradual_pruning_warns_of_a_matrix_once_and_the_log_counts_its_empty_outputs() {
    let statements = "  lr { 0..6 epochs: 1e-3 }
  prune params(\"*.weight\") over 0..5 epochs every 1 epoch {
    by: magnitude, rank: layer, sparsity: 50% -> 97% linear
  }";
    let schedule = learning::schedule("for 6 epochs", statements);
    let model = toy(&Device::flex());
    let (model, _, events) = learning::run(&Regression::new(4), &schedule, model).unwrap();
    let counts: Vec<usize> = events
        .iter()
        .filter_map(|event| match event {
            Event::Pruned(pruned) => Some(pruned.empty_outputs),
            _ => None,
        })
        .collect();
    assert!(counts.is_sorted(), "{counts:?}");
    let grew = counts.windows(2).filter(|pair| pair[1] > pair[0]).count();
    assert!(grew > 2, "more outputs are emptied after the first warnings: {counts:?}");
    let weights = parameters::read(&model, |name| name.ends_with(".weight"));
    let empty = |name: &str, inputs: usize| {
        weights[name].chunks(inputs).filter(|row| row.iter().all(|w| *w == 0.0)).count()
    };
    let empty = empty("first.weight", INPUTS) + empty("second.weight", HIDDEN);
    assert_eq!(*counts.last().unwrap(), empty);
    for name in ["first.weight", "second.weight"] {
        let of_matrix = of_kind(&events, WarningKind::Emptied);
        let of_matrix = of_matrix.iter().filter(|warning| warning.message.contains(name));
        assert_eq!(of_matrix.count(), 1, "{name}: {:?}", warnings(&events));
    }
}

#[test]
fn an_attention_head_without_weights_is_named() {
    let (task, model) = classifier();
    let statement = "  prune params(\"bert.encoder.layer.0.attention.self.value.weight\") {
    by: magnitude, sparsity: 99.9%
  }";
    let schedule = learning::schedule("", statement);
    let (.., events) = learning::run(&task, &schedule, model).unwrap();
    let [emptied] = of_kind(&events, WarningKind::Emptied)[..] else { panic!("{:?}", warnings(&events)) };
    assert!(emptied.message.contains("head "), "{}", emptied.message);
    assert_eq!(of_kind(&events, WarningKind::AlmostEmpty).len(), 1);
}

#[test]
fn no_more_gradients_than_a_block_has_weights_is_said_at_the_start_of_the_run() {
    for (gradients, block, expected) in [(5, 8, 1), (8, 8, 1), (9, 8, 0), (1, 1, 0)] {
        let by = Criterion::Obs(Obs { gradients, block, ..obs() });
        let came = run(prune(by, Pattern::Unstructured, Rank::Global, 0.5), "0 epochs", 100);
        let found = of_kind(&came.events, WarningKind::FewGradients);
        assert_eq!(found.len(), expected, "{gradients} of {block}");
        if let Some(warning) = found.first() {
            assert!(warning.help.contains("write `gradients: 1024`, or `block: "), "{}", warning.help);
            let at = came.events.iter().position(|e| matches!(e, Event::Warning(_))).unwrap();
            assert!(matches!(came.events[at + 1], Event::StageStarted(_)), "before anything is done");
        }
    }
}

#[test]
fn a_metric_of_which_pruning_costs_a_fifth_is_reported_with_both_values() {
    let statements = "  evaluate every 1 epoch
  prune params(\"line.weight\") over 2..3 epochs every 1 epoch { by: magnitude, sparsity: 50% }";
    let (.., events) = kept("score", &[80.0, 30.0, 25.0, 60.0], statements).unwrap();
    let [warning] = of_kind(&events, WarningKind::MetricCost)[..] else { panic!("{:?}", warnings(&events)) };
    assert_eq!(warning.message, "pruning before step 8 changed score from 80.00 to 30.00");
    assert!(warning.help.contains("`by: obs(gradients: 1024)`"), "{}", warning.help);
    let (.., events) = kept("score", &[80.0, 65.0, 53.0, 60.0], statements).unwrap();
    assert!(of_kind(&events, WarningKind::MetricCost).is_empty());
}
