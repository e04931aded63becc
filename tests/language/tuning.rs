//! Grids, levels and criteria as they are given to `oneshot` and `sweep`, and settings written back.

use obert::internals::diag::render::full;
use obert::internals::diag::{Findings, Sources};
use obert::internals::language::tuning::grid::{
    Axis, By, axes, axis_settings, criteria, levels, needs_training, points,
};
use obert::internals::language::tuning::points::{check_levels, check_points};
use obert::internals::language::tuning::rewrite::with_settings;
use obert::internals::language::{Loader, NoFiles, Options, compile};
use obert::internals::schedule::ir::{Criterion, Obs, Pattern, Update};

fn shown(findings: Findings, sources: &Sources) -> String {
    let list = findings.into_sorted();
    assert!(list.iter().all(|d| d.help.is_some() && d.primary.is_some()), "{list:?}");
    full::render_all(&list, sources, false)
}

fn grid(given: &[&str]) -> (Vec<Axis>, String) {
    let (mut sources, mut findings) = (Sources::new(), Findings::new());
    let given: Vec<String> = given.iter().map(|g| (*g).to_owned()).collect();
    let axes = axes(&given, &mut sources, &mut findings);
    (axes, shown(findings, &sources))
}

fn obs() -> Obs {
    Obs { gradients: 64, block: 16, batch: 1, ..Obs::default() }
}

#[test]
fn every_setting_of_obs_but_memory_is_an_axis_of_its_own_type() {
    let (axes, found) = grid(&[
        "gradients = 8, 1_000",
        "block=4",
        "damp=1e-4,1e-7 or raise",
        "batch=2",
        "recompute=1,16",
        "update=independent,exact",
        "precision=bf16,f32",
        "correlated=true",
    ]);
    assert_eq!(found, "");
    let points = points(&axes);
    assert_eq!(points.len(), 32);
    let last = points.last().unwrap();
    let mut set = obs();
    axes.iter().zip(last).for_each(|(axis, index)| axis.set(&mut set, *index));
    let expected = Obs {
        gradients: 1000,
        block: 4,
        damp: 1e-7,
        raise_damp: true,
        batch: 2,
        recompute: 16,
        correlated: true,
        ..Obs::default()
    };
    assert_eq!(set, expected);
    let swept: Vec<&str> = axes.iter().map(|axis| axis.name).collect();
    assert_eq!(swept, axis_settings().map(|s| s.name).collect::<Vec<_>>());
    assert_eq!(points[0], [0; 8], "the last axis moves fastest");
    assert_eq!(points[1], [0, 0, 0, 0, 0, 0, 1, 0]);
}

#[test]
fn mistakes_in_a_grid_are_shown_at_their_place() {
    let (_, found) = grid(&[
        "dmap=1e-4",
        "num_grads=512",
        "sparsity=50%",
        "memory=4 GiB",
        "=3",
        "damp",
        "block=",
        "batch=4,,8",
        "gradients=512,1.5,512",
        "recompute=16%",
        "update=indep",
        "correlated=maybe",
        "block=4",
    ]);
    insta::assert_snapshot!("tuning_grid", found);
}

#[test]
fn mistakes_in_levels_and_criteria_are_shown_at_their_place() {
    let mut text = String::new();
    for at in ["", "50", "0%,50%,100%,120%", "50%, ,70%", "0.5,50%", "half"] {
        let (mut sources, mut findings) = (Sources::new(), Findings::new());
        levels(at, &mut sources, &mut findings);
        text.push_str(&shown(findings, &sources));
    }
    for by in ["obs,magnitdue", "movement", "obs,obs", ""] {
        let (mut sources, mut findings) = (Sources::new(), Findings::new());
        criteria(by, &mut sources, &mut findings);
        text.push_str(&shown(findings, &sources));
    }
    insta::assert_snapshot!("tuning_levels_and_criteria", text);
    let (mut sources, mut findings) = (Sources::new(), Findings::new());
    assert_eq!(criteria("magnitude, obs", &mut sources, &mut findings), [By::Magnitude, By::Obs]);
    let read = levels("50%, 0.7", &mut sources, &mut findings);
    assert_eq!(read.iter().map(|l| l.sparsity).collect::<Vec<_>>(), [0.5, 0.7]);
    assert!(!findings.has_errors());
    assert!(needs_training(read[0].span).is_error());
}

#[test]
fn points_without_sense_are_refused_once_each() {
    let (mut sources, mut findings) = (Sources::new(), Findings::new());
    let given = [
        "block=16,6",
        "damp=0,1e-7",
        "update=exact,independent",
        "correlated=true,false",
        "precision=f32,bf16",
        "gradients=8,64",
    ];
    let axes = axes(&given.map(str::to_owned), &mut sources, &mut findings);
    check_points(&axes, &obs(), Pattern::Blocks(4), &mut findings);
    let read = levels("50%,75%", &mut sources, &mut findings);
    check_levels(&read, Pattern::NofM { keep: 2, of: 4 }, None, &mut findings);
    insta::assert_snapshot!("tuning_points", shown(findings, &sources));
    let mut none = Findings::new();
    check_points(&axes[2..3], &obs(), Pattern::Unstructured, &mut none);
    check_levels(&read, Pattern::Unstructured, Some(0.75), &mut none);
    assert!(!none.has_errors());
    check_levels(&read, Pattern::Unstructured, Some(0.6), &mut none);
    let limited: Vec<&str> =
        none.into_sorted().iter().filter_map(|d| Some(sources.slice(d.primary.as_ref()?.span))).collect();
    assert_eq!(limited, ["75%"], "a level above `at_most` cannot be reached");
}

/// A recipe with other settings, and what is complained of otherwise.
fn written(text: &str, loader: &dyn Loader, changes: &[(&str, &str)]) -> Result<String, String> {
    let compiled = compile("r.obert", text, loader, Options::default());
    let schedule = compiled.schedule.unwrap_or_else(|| panic!("{:?}", compiled.diagnostics));
    let of_stage = |s: usize| schedule.stages[s].prune.iter().position(|p| matches!(p.by, Criterion::Obs(_)));
    let (s, p) = (0..schedule.stages.len()).find_map(|s| Some((s, of_stage(s)?))).unwrap();
    let by = compiled.places.unwrap().criteria[s][p];
    with_settings(text, compiled.main, by, changes).map_err(|d| {
        assert!(d.help.is_some());
        full::render_all(&[d], &compiled.sources, false)
    })
}

const RECIPE: &str = "# The top.
edition 2026

use std.bert.{encoder_linears}

param m: count = 512  # how many
let tuned = obs(block: 32)

recipe r for 10 epochs {
  model: \"bert-base-uncased\"
  data: squad

  # The rates.
  lr { 0..10 epochs: 5e-5 }
  prune encoder_linears over 0..4 epochs every 2 epochs {  # prunes
    by: BY  # the surgeon
    sparsity: 10% -> 60% cubic
  }
}
";

#[test]
fn settings_are_written_where_they_stand_and_everything_else_stays() {
    let changes = [("damp", "1e-5 or raise"), ("update", "independent"), ("gradients", "256")];
    for (before, after) in [
        ("obs", "obs(damp: 1e-5 or raise, update: independent, gradients: 256)"),
        ("obs()", "obs(damp: 1e-5 or raise, update: independent, gradients: 256)"),
        ("obs(block: 32)", "obs(block: 32, damp: 1e-5 or raise, update: independent, gradients: 256)"),
        ("obs(512, 32)", "obs(256, 32, damp: 1e-5 or raise, update: independent)"),
        (
            "obs(update: exact, block: 32, damp: 1e-7, gradients: 2 * 256)",
            "obs(update: independent, block: 32, damp: 1e-5 or raise, gradients: 256)",
        ),
        (
            "obs(\n      block: 32, # as many as fit\n      damp: 1e-7, # the paper's\n    )",
            "obs(\n      block: 32,  # as many as fit\n      damp: 1e-5 or raise,  # the paper's\n      \
             update: independent,\n      gradients: 256,\n    )",
        ),
    ] {
        let text = RECIPE.replace("count = 512", "count = 16").replace("BY", before);
        let text = text
            .replace("data: squad", "data: squad\n  batch: m")
            .replace("let tuned = obs(block: 32)\n", "");
        let expected = text.replace(before, after);
        assert_eq!(written(&text, &NoFiles, &changes).unwrap(), expected, "{before}");
        // What was written is a recipe that says so.
        let compiled = compile("r.obert", &expected, &NoFiles, Options::default());
        let Criterion::Obs(obs) = &compiled.schedule.unwrap().stages[0].prune[0].by else { panic!() };
        assert_eq!((obs.damp, obs.raise_damp, obs.update), (1e-5, true, Update::Independent));
        assert_eq!(obs.gradients, 256);
    }
}

/// A file with a template.
struct Shared;

impl Loader for Shared {
    fn load(&self, _: &std::path::Path, path: &str) -> Result<(std::path::PathBuf, String), String> {
        let template = "edition 2026\nuse std.bert.{encoder_linears}\ntemplate pruned for 10 epochs {\n  \
            lr { 0..10 epochs: 5e-5 }\n  prune encoder_linears over 0..4 epochs every 2 epochs {\n    \
            by: obs(block: 32)\n    sparsity: 10% -> 60% cubic\n  }\n}\n";
        Ok((path.into(), template.to_owned()))
    }
}

#[test]
fn settings_that_stand_elsewhere_are_refused_with_what_to_write() {
    let mut text = String::new();
    for by in ["tuned", "obs(gradients: m, block: 32)", "obs(gradients: 2 * m)"] {
        let recipe = RECIPE.replace("BY", by);
        text.push_str(&written(&recipe, &NoFiles, &[("gradients", "256")]).unwrap_err());
    }
    let extends = "edition 2026\nuse \"shared.obert\".{pruned}\nrecipe r extends pruned for 10 epochs {\n  \
        model: \"bert-base-uncased\"\n  data: squad\n}\n";
    text.push_str(&written(extends, &Shared, &[("gradients", "256"), ("damp", "1e-6")]).unwrap_err());
    insta::assert_snapshot!("tuning_not_written", text);
    // A template of the recipe's own file is its own text.
    let own = Shared.load(std::path::Path::new(""), "").unwrap().1
        + "\nrecipe r extends pruned for 10 epochs {\n  model: \"bert-base-uncased\"\n  data: squad\n}\n";
    let written = written(&own, &NoFiles, &[("gradients", "256")]).unwrap();
    assert!(written.contains("by: obs(block: 32, gradients: 256)"), "{written}");
}
