//! Recipes against the schedules they must give.

use obert::language::{NoFiles, Options, compile};
use obert::schedule::Timeline;

fn schedule(text: &str) -> obert::schedule::Schedule {
    let compiled = compile("test.obert", text, &NoFiles, Options::default());
    let errors: Vec<_> = compiled.diagnostics.iter().map(|d| &d.message).collect();
    compiled.schedule.unwrap_or_else(|| panic!("{errors:?}"))
}

#[test]
fn the_papers_recipe_prunes_at_its_published_instants_and_sparsities() {
    let text = include_str!("../corpus/good/squad90.obert");
    let schedule = schedule(text);
    let timeline = Timeline::new(&schedule.stages[0], 1000);
    let steps: Vec<u64> = timeline.prunes().iter().map(|e| e.step).collect();
    assert_eq!(steps, [2000, 6000, 10000, 14000, 18000, 22000, 26000]);
    let published = [0.7, 0.784259, 0.840741, 0.875, 0.892593, 0.899074, 0.9];
    for (event, expected) in timeline.prunes().iter().zip(published) {
        assert!((event.sparsity - expected).abs() < 5e-7, "{event:?}");
    }
}

#[test]
fn a_schedule_survives_being_written_and_read() {
    for text in
        [include_str!("../corpus/good/squad90.obert"), include_str!("../../stdlib_recipes/quickstart.obert")]
    {
        let schedule = schedule(text);
        let json = serde_json::to_string(&schedule).unwrap();
        let back: obert::schedule::Schedule = serde_json::from_str(&json).unwrap();
        assert_eq!(back, schedule);
    }
}

#[test]
fn set_replaces_a_default_and_arithmetic_keeps_units() {
    let text = "edition 2026
param length: duration = 2 epochs
recipe r for length * 2 + 500 steps {
  model: \"bert-base-uncased\"
  data: squad
  lr { 0 epochs..length * 2 + 500 steps: 3e-5 }
}";
    let set = [obert::language::Override { name: "length".into(), value: "3 epochs".into() }];
    let options = Options { overrides: &set, ..Options::default() };
    let compiled = compile("test.obert", text, &NoFiles, options);
    let schedule = compiled.schedule.expect("a schedule");
    assert_eq!(schedule.stages[0].length.to_string(), "6 epochs + 500 steps");
    assert!(schedule.parameters[0].set);
}
