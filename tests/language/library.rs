//! The language's half of the library, as a program calls it.

use obert::diagnostics::Severity;
use obert::{Recipe, RecipeOptions, check, plan};

const RECIPE: &str = "edition 2026
use std.bert.{encoder_linears}
param target: ratio = 80% in 50%..90%
recipe small for 2 epochs {
  model: bert(layers: 1, hidden: 32, heads: 2)
  data: builtin_reading(train: 64, dev: 16)
  lr { 0..2 epochs: 1e-3 -> 1e-4 linear }
  prune encoder_linears over 0.5..1.5 epochs every 0.5 epochs {
    by: magnitude
    sparsity: 50% -> target cubic
  }
}
";

fn set(values: &[&str]) -> RecipeOptions {
    RecipeOptions { set: values.iter().map(|s| (*s).to_owned()).collect(), ..RecipeOptions::default() }
}

#[test]
fn a_recipe_in_memory_is_checked_and_planned() {
    let recipe = Recipe::text("small.obert", RECIPE);
    let report = check(&recipe, &RecipeOptions::default()).unwrap();
    assert!(!report.has_errors(), "{}", report.render(false));
    let stages = &report.schedule.unwrap().stages;
    assert_eq!((stages.len(), stages[0].prune.len()), (1, 1));
    let plan = plan(&recipe, &set(&["target=90%"]), None).unwrap();
    assert_eq!(plan.steps_per_epoch, Some(4), "64 examples in batches of 16");
    assert!(plan.table(false).contains("90%"), "{}", plan.table(false));
    assert!(plan.svg().starts_with("<svg") && plan.json()["stages"][0]["name"] == "small");
}

#[test]
fn mistakes_are_in_the_report_of_check_and_the_error_of_plan() {
    let recipe = Recipe::text("small.obert", RECIPE.replace("sparsity:", "spars:"));
    let report = check(&recipe, &RecipeOptions::default()).unwrap();
    assert!(report.has_errors() && report.schedule.is_none());
    assert!(report.diagnostics.iter().any(|d| d.severity == Severity::Error));
    let error = plan(&recipe, &RecipeOptions::default(), None).unwrap_err();
    let first = error.diagnostics().iter().find(|d| d.is_error()).unwrap();
    let at = error.sources().line_column(first.primary.as_ref().unwrap().span);
    assert_eq!((at.line, at.column), (10, 5));
    assert!(error.to_string().starts_with("small.obert:10:5: OB0203: "), "{error}");
    // Options that are wrong are an error of either.
    for options in [set(&["target"]), set(&["target=97%"])] {
        let outcome = check(&Recipe::text("small.obert", RECIPE), &options);
        assert!(outcome.map_or(true, |report| report.has_errors()));
    }
    let missing = Recipe::file("no/such.obert");
    assert!(check(&missing, &RecipeOptions::default()).unwrap_err().to_string().contains("no/such.obert"));
}

#[test]
fn a_recipe_without_a_model_is_checked_against_the_one_that_is_given() {
    let recipe =
        Recipe::text("small.obert", RECIPE.replace("  model: bert(layers: 1, hidden: 32, heads: 2)\n", ""));
    let error = plan(&recipe, &RecipeOptions::default(), None).unwrap_err();
    assert!(error.to_string().contains("`recipe` needs `model`"), "{error}");
    let options = RecipeOptions { model: Some("bert-base-uncased".into()), ..RecipeOptions::default() };
    let plan = plan(&recipe, &options, None).unwrap();
    assert!(plan.table(false).contains("bert-base-uncased"), "{}", plan.table(false));
}
