//! Which changes of a recipe touch what a run has done so far.

use obert::internals::language::{NoFiles, Options, compile};
use obert::internals::schedule::past::{Reached, difference};

const RECIPE: &str = "edition 2026
use std.bert.{attention_linears, feed_forward_linears}
recipe r {
  model: \"bert-base-uncased\"
  data: squad
  batch: 16
  stage first for 2 epochs { lr { 0..2 epochs: 5e-5 } }
  stage second for 8 epochs {
    lr {
      0..4 epochs: 5e-5 -> 1e-5 linear
      4..8 epochs: 1e-5
    }
    prune feed_forward_linears over 1..5 epochs every 2 epochs { by: magnitude, sparsity: 50% -> 90% linear }
    hold attention_linears over 5..8 epochs
    distill from first { hardness: 0.5 }
    evaluate every 2 epochs
  }
  stage third for 1 epoch { lr { 0..1 epochs: 5e-5 } }
}
";

fn schedule(text: &str) -> obert::internals::schedule::Schedule {
    let compiled = compile("r.obert", text, &NoFiles, Options::default());
    let errors: Vec<_> = compiled.diagnostics.iter().map(|d| &d.message).collect();
    compiled.schedule.unwrap_or_else(|| panic!("{errors:?}\n{text}"))
}

/// What is said of one change, ten steps an epoch, when so many steps of `second` are done.
fn said(from: &str, to: &str, step: u64) -> Option<String> {
    let changed = RECIPE.replacen(from, to, 1);
    assert_ne!(changed, RECIPE, "{from} is not in the recipe");
    let reached = Reached { stage: 1, step, steps_per_epoch: 10, limit: None };
    difference(&schedule(RECIPE), &schedule(&changed), reached)
}

#[test]
fn what_lies_ahead_may_change_and_what_is_done_may_not() {
    // The last piece of the learning rate, from step 40 on.
    assert_eq!(said("4..8 epochs: 1e-5", "4..8 epochs: 2e-5", 40), None);
    let why = said("4..8 epochs: 1e-5", "4..8 epochs: 2e-5", 41).unwrap();
    assert_eq!(why, "step 40 of `second` ran at the learning rate 1e-5, and not 2e-5");
    // The first event, before step 10, is the same; the second, before step 30, is not.
    assert_eq!(said("50% -> 90% linear", "50% -> 90% cubic", 30), None);
    let why = said("50% -> 90% linear", "50% -> 90% cubic", 31).unwrap();
    assert_eq!(why, "`second` has other events before step 30");
    // How a weight is chosen matters from the first event on.
    assert_eq!(said("by: magnitude", "by: obs(gradients: 64)", 10), None);
    assert!(said("by: magnitude", "by: obs(gradients: 64)", 11).is_some());
    assert_eq!(said("over 5..8 epochs", "over 6..8 epochs", 50), None);
    assert!(said("over 5..8 epochs", "over 6..8 epochs", 51).is_some());
    assert_eq!(said("hardness: 0.5", "hardness: 0.9", 0), None);
    assert!(said("hardness: 0.5", "hardness: 0.9", 1).is_some());
    assert_eq!(said("every 2 epochs\n  }", "every 3 epochs\n  }", 20), None);
    assert!(said("every 2 epochs\n  }", "every 3 epochs\n  }", 21).is_some());
}

#[test]
fn stages_to_come_are_free_and_those_done_are_not() {
    assert_eq!(
        said(
            "third for 1 epoch { lr { 0..1 epochs: 5e-5 }",
            "third for 3 epochs { lr { 0..3 epochs: 1e-5 }",
            79
        ),
        None
    );
    let why = said(
        "first for 2 epochs { lr { 0..2 epochs: 5e-5 }",
        "first for 2 epochs { lr { 0..2 epochs: 4e-5 }",
        0,
    );
    assert_eq!(why.unwrap(), "`first` is finished, and its statements differ");
    assert!(said("batch: 16", "batch: 16\n  seed: 3", 0).unwrap().contains("seed"));
    assert!(said("data: squad", "data: squad(max_length: 256)", 0).unwrap().contains("data"));
    let pruned = "prune feed_forward_linears over 1..5";
    let why = said(pruned, &format!("train {{ weight_decay: 0 }}\n    {pruned}"), 0).unwrap();
    assert!(why.contains("optimizer"), "{why}");
    let shorter =
        RECIPE.replace("for 8 epochs", "for 6 epochs").replace("4..8 epochs: 1e-5", "4..6 epochs: 1e-5");
    let shorter = schedule(&shorter.replace("over 5..8", "over 5..6"));
    let at = |step| {
        difference(&schedule(RECIPE), &shorter, Reached { stage: 1, step, steps_per_epoch: 10, limit: None })
    };
    assert_eq!(at(50), None);
    assert_eq!(at(60), None, "what is left is the end of the stage");
    assert_eq!(at(61).unwrap(), "`second` has run 61 steps, and would have only 60");
}

#[test]
fn scores_that_accumulate_cannot_begin_in_the_middle() {
    let movement = |text: &str| {
        text.replace("by: magnitude, sparsity: 50% -> 90%", "by: movement, sparsity: 50% -> 90%")
    };
    let (before, after) = (schedule(RECIPE), schedule(&movement(RECIPE)));
    let at = |step| difference(&before, &after, Reached { stage: 1, step, steps_per_epoch: 10, limit: None });
    assert_eq!(at(0), None);
    assert!(at(5).unwrap().contains("movement"), "{:?}", at(5));
}

#[test]
fn comments_and_parameters_of_the_same_schedule_are_no_change() {
    assert_eq!(said("recipe r {", "## What it is for.\nrecipe r {", 30), None);
    let with = "param rate: number = 5e-5\nrecipe r {";
    let changed = RECIPE.replace("recipe r {", with).replace(
        "third for 1 epoch { lr { 0..1 epochs: 5e-5 }",
        "third for 1 epoch { lr { 0..1 epochs: rate }",
    );
    use obert::internals::schedule::past::essence;
    assert_eq!(essence(&schedule(RECIPE)), essence(&schedule(&changed)));
    assert_ne!(schedule(RECIPE), schedule(&changed));
}
