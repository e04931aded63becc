//! Recipes as people wrote them, and what becomes of each.

use obert::internals::diag::{Code, Diagnostic, Severity};
use obert::internals::language::{self, NoFiles, Override};
use obert::internals::plan::{document, table, terminal_chart};
use obert::internals::schedule::ir::{Rank, Stage};
use obert::internals::yaml::{Imported, Options, export, import};

use super::shown;

const RANGE: &str = "  - !EpochRangeModifier\n    start_epoch: 0\n    end_epoch: 10\n";

fn brought(text: &str) -> Imported {
    import("case.yaml", text, Options::default())
}

/// The only stage of a recipe that is imported.
fn stage(imported: &Imported) -> Stage {
    let schedule = imported.compilation.schedule.as_ref();
    schedule.unwrap_or_else(|| panic!("{}", shown(imported))).stages[0].clone()
}

fn found(imported: &Imported, code: Code) -> Vec<&Diagnostic> {
    imported.compilation.diagnostics.iter().filter(|d| d.code == code).collect()
}

/// The text that a finding points at.
fn place<'a>(imported: &'a Imported, diagnostic: &Diagnostic) -> &'a str {
    imported.compilation.sources.slice(diagnostic.primary.as_ref().unwrap().span)
}

#[test]
fn a_modifier_outside_a_group_is_an_error_at_its_name() {
    let staged = "a_stage:\n  pruning_modifiers:\n    ConstantPruningModifier:\n      targets: __ALL_PRUNABLE__\n      start: 0\n      end: 5\nb_stage:\n  MagnitudePruningModifier:\n    targets: __ALL_PRUNABLE__\n    start: 5\n    end: 9\n    init_sparsity: 0.2\n    final_sparsity: 0.6\n";
    let deeper = "a_stage:\n  modifiers:\n    - !EpochRangeModifier {start_epoch: 0, end_epoch: 3}\n  inner:\n    more:\n      - !SetLearningRateModifier {learning_rate: 0.1}\n";
    let top = format!("modifiers:\n{RANGE}SetLearningRateModifier:\n  learning_rate: 0.1\n");
    for (text, at) in
        [(staged, "MagnitudePruningModifier"), (deeper, "inner"), (&top, "SetLearningRateModifier")]
    {
        let imported = brought(text);
        let errors = found(&imported, Code::MisplacedModifier);
        assert_eq!(errors.len(), 1, "{text}\n{}", shown(&imported));
        assert_eq!(place(&imported, errors[0]), at);
        assert!(imported.text.is_none());
    }
}

#[test]
fn a_list_of_modifiers_under_another_name_is_an_error_beside_groups_too() {
    let imported = brought(&format!(
        "modifiers:\n{RANGE}pruning:\n  - !ConstantPruningModifier\n    params: __ALL_PRUNABLE__\n"
    ));
    let errors = found(&imported, Code::MisplacedModifier);
    assert_eq!(errors.len(), 1, "{}", shown(&imported));
    assert_eq!(errors[0].fix.as_ref().unwrap().replacement, "pruning_modifiers");
}

#[test]
fn weight_decay_is_the_trainers_and_goes_back_as_it_came() {
    let imported = brought(&format!("modifiers:\n{RANGE}"));
    assert_eq!(stage(&imported).train.weight_decay, 0.0);
    let said = found(&imported, Code::Assumed);
    assert_eq!(said.iter().filter(|d| d.message.contains("weight decay")).count(), 1);
    let text = "edition 2026\nrecipe r for 2 epochs {\n  model: \"bert-base-uncased\"\n  data: squad\n  lr { 0..2 epochs: 1e-5 -> 0 linear }\n}\n";
    let compiled = language::compile("r.obert", text, &NoFiles, language::Options::default());
    let yaml = export(&compiled.schedule.unwrap(), None).unwrap();
    assert!(yaml.contains("!SetWeightDecayModifier\n  weight_decay: 0.01\n"), "{yaml}");
    let set = brought(&format!("modifiers:\n{RANGE}  - !SetWeightDecayModifier\n    weight_decay: 0.02\n"));
    assert_eq!(stage(&set).train.weight_decay, 0.02);
    assert!(!shown(&set).contains("sets the weight decay"), "{}", shown(&set));
}

fn pruned(params: &str) -> String {
    format!(
        "modifiers:\n{RANGE}  - !GMPruningModifier\n    params: [{params}]\n    start_epoch: 1\n    end_epoch: 4\n    update_frequency: 1\n    init_sparsity: 0.2\n    final_sparsity: 0.6\n"
    )
}

#[test]
fn a_model_that_was_only_assumed_is_named_where_names_are_missing() {
    for params in ["conv1.weight", "\"re:mobile.encoder.*.weight\""] {
        let text = pruned(params);
        let imported = brought(&text);
        let errors = found(&imported, Code::MatchesNothing);
        assert_eq!(errors.len(), 1, "{}", shown(&imported));
        assert!(errors[0].message.contains("`bert-base-uncased`, which is assumed"), "{}", errors[0].message);
        assert!(errors[0].help.as_ref().unwrap().contains("--model"), "{:?}", errors[0].help);
        let given =
            import("case.yaml", &text, Options { model: Some("bert-base-uncased"), ..Options::default() });
        assert!(!shown(&given).contains("assumed"), "{}", shown(&given));
    }
}

#[test]
fn ignoring_what_the_model_does_not_have_is_a_warning() {
    let text = "q_stage:\n  q_modifiers:\n    QuantizationModifier:\n      targets: [\"Linear\"]\n      ignore: [\"lm_head\"]\n      scheme: W8A8\n";
    let imported = brought(text);
    let warnings = found(&imported, Code::MatchesNothing);
    assert_eq!(warnings.len(), 1, "{}", shown(&imported));
    assert_eq!(warnings[0].severity, Severity::Warning);
    assert!(imported.text.is_some());
    let all = brought(&text.replace("[\"lm_head\"]", "[]"));
    assert_eq!(stage(&all).quantize, stage(&imported).quantize);
}

#[test]
fn fields_and_types_that_the_libraries_declare_are_read() {
    let group = |part: &str| {
        format!(
            "q_stage:\n  q_modifiers:\n    QuantizationModifier:\n      config_groups:\n        group_0:\n          targets: [Linear]\n          weights: {{num_bits: 8, type: int, symmetric: true, strategy: channel, dynamic: false{part}}}\n          output_activations: null\n"
        )
    };
    let plain = stage(&brought(&group("")));
    let nulls = ", actorder: null, group_size: null, block_structure: null, observer: null, zp_dtype: null";
    assert_eq!(stage(&brought(&group(nulls))).quantize, plain.quantize);
    let noted = brought(&group(", observer: mse"));
    assert_eq!(stage(&noted).quantize, plain.quantize);
    assert_eq!(found(&noted, Code::Dropped).len(), 1, "{}", shown(&noted));
    assert!(brought(&group(", actorder: group")).text.is_none());
    assert!(brought(&group(", symmetrical: true")).text.is_none());

    let preset = |scheme: &str| {
        stage(&brought(&format!("q_stage:\n  q_modifiers:\n    QuantizationModifier:\n      {scheme}\n")))
            .quantize
    };
    assert_eq!(preset("scheme: {W8A8: [Linear]}"), preset("scheme: W8A8\n      targets: [Linear]"));
    assert_eq!(preset("scheme: {W8A16: Linear}"), preset("scheme: W8A16"));

    let legacy = |more: &str| {
        brought(&format!(
            "q_stage:\n  q_modifiers:\n    LegacyQuantizationModifier:\n{more}      scheme_overrides:\n        Embedding:\n          input_activations: null\n"
        ))
    };
    let post = legacy("      post_oneshot_calibration: true\n");
    assert_eq!(stage(&post).quantize, stage(&legacy("")).quantize);
    assert!(shown(&post).contains("`post_oneshot_calibration` is left out"), "{}", shown(&post));
}

#[test]
fn quantization_alone_is_one_shot_in_either_form() {
    let fields = "ignore: [LayerNorm, GELUActivation, Tanh]\nscheme_overrides:\n  Embedding:\n    input_activations: null\n";
    let at = |spaces: &str| fields.lines().map(|l| format!("{spaces}{l}\n")).collect::<String>();
    let tagged = brought(&format!("quantization_modifiers:\n  - !QuantizationModifier\n{}", at("    ")));
    let untagged =
        brought(&format!("a_stage:\n  quantization_modifiers:\n    QuantizationModifier:\n{}", at("      ")));
    let (tagged, untagged) = (stage(&tagged), stage(&untagged));
    assert!(tagged.length.is_zero());
    assert_eq!(tagged.quantize, untagged.quantize);
    assert!(tagged.quantize.iter().all(|q| q.calibrate > 0));
}

#[test]
fn set_defines_the_variables_that_expressions_need() {
    let text = "p_stage:\n  pruning_modifiers:\n    MagnitudePruningModifier:\n      targets: [\"re:bert.encoder.layer.*.output.dense.weight\"]\n      start: eval(first)\n      end: eval(first + 3)\n      update: 1.0\n      init_sparsity: 0.1\n      final_sparsity: 0.7\n";
    let set = |name: &str| Override { name: name.into(), value: "1".into() };
    let given = [set("first")];
    let imported = import("case.yaml", text, Options { overrides: &given, ..Options::default() });
    let window = stage(&imported).prune[0].window;
    assert_eq!((window.start.to_string(), window.end.to_string()), ("1 epoch".into(), "4 epochs".into()));
    let missing = brought(text);
    assert!(shown(&missing).contains("--set first="), "{}", shown(&missing));
    let given = [set("frist")];
    let slip = import("case.yaml", text, Options { overrides: &given, ..Options::default() });
    assert!(shown(&slip).contains("did you mean `first`?"), "{}", shown(&slip));
}

#[test]
fn zeros_may_be_held_before_they_are_pruned() {
    let recipe = |hold: &str, prune: &str| {
        let params = "    params: [\"re:bert.encoder.layer.*.output.dense.weight\"]\n";
        brought(&format!(
            "modifiers:\n{RANGE}  - !ConstantPruningModifier\n{params}{hold}  - !MagnitudePruningModifier\n{params}{prune}    update_frequency: 1\n    init_sparsity: 0.2\n    final_sparsity: 0.6\n"
        ))
    };
    let before = recipe("    start_epoch: 0\n    end_epoch: 2\n", "    start_epoch: 2\n    end_epoch: 8\n");
    assert_eq!((stage(&before).hold.len(), stage(&before).prune.len()), (1, 1));
    let behind = recipe("    start_epoch: 6\n    end_epoch: -1\n", "    start_epoch: 2\n    end_epoch: 6\n");
    assert!(behind.text.is_some(), "{}", shown(&behind));
    for (hold, prune) in [
        ("    start_epoch: 0\n    end_epoch: 3\n", "    start_epoch: 2\n    end_epoch: 8\n"),
        // Its end would free what was pruned before.
        ("    start_epoch: 6\n    end_epoch: 8\n", "    start_epoch: 2\n    end_epoch: 6\n"),
    ] {
        let meets = recipe(hold, prune);
        assert_eq!(found(&meets, Code::PruneAndHold).len(), 1, "{}", shown(&meets));
    }
}

#[test]
fn a_modifier_that_always_ranks_globally_has_no_flag_for_it() {
    let recipe = |name: &str, flag: &str| {
        pruned("\"re:bert.encoder.layer.*.output.dense.weight\"").replace("GMPruningModifier", name)
            + &format!("    global_sparsity: {flag}\n")
    };
    for (name, flag, rank) in [
        ("GlobalMagnitudePruningModifier", "True", Rank::Global),
        ("MagnitudePruningModifier", "False", Rank::Layer),
        ("GlobalMagnitudePruningModifier", "False", Rank::Layer),
        ("MagnitudePruningModifier", "True", Rank::Global),
    ] {
        let text = recipe(name, flag);
        assert_eq!(found(&brought(&text), Code::UnknownField).len(), 1);
        let mended = super::followed::mended("case.yaml", &text);
        assert_eq!(stage(&brought(&mended)).prune[0].rank, rank, "{mended}");
    }
}

#[test]
fn states_of_modules_that_are_not_there_match_nothing() {
    let text = format!(
        "modifiers:\n{RANGE}  - !PerLayerDistillationModifier\n    student_layer_names: [bert.encoder.layer.0, stem.1]\n    teacher_layer_names: [bert.encoder.layer.0, stem.1]\n"
    );
    let imported = brought(&text);
    let errors = found(&imported, Code::MatchesNothing);
    assert_eq!(errors.len(), 1, "{}", shown(&imported));
    assert_eq!(place(&imported, errors[0]), "stem.1");
    let own = "edition 2026\nrecipe r for 2 epochs {\n  model: \"bert-base-uncased\"\n  data: squad\n  lr { 0..2 epochs: 1e-5 -> 0 linear }\n  distill from teacher { hidden: states(\"bert.encoder.layers.*\") }\n}\n";
    let compiled = language::compile("r.obert", own, &NoFiles, language::Options::default());
    let codes: Vec<Code> = compiled.diagnostics.iter().filter(|d| d.is_error()).map(|d| d.code).collect();
    assert_eq!(codes, [Code::MatchesNothing]);
    let right = own.replace("layers.*", "layer.*");
    let compiled = language::compile("r.obert", &right, &NoFiles, language::Options::default());
    assert!(compiled.schedule.is_some(), "{:?}", compiled.diagnostics);
}

#[test]
fn comments_stay_with_their_modifiers_where_aliases_are_used() {
    let modifier = |name: &str, start: &str, end: &str| {
        format!(
            "  # the {name} one\n  - !LearningRateFunctionModifier\n    lr_func: linear\n    start_epoch: {start}\n    # about the end of the {name}\n    end_epoch: {end}\n    init_lr: 0.0001\n    final_lr: 0.0\n"
        )
    };
    let text = format!(
        "all: &all 10\nhalf: &half 3\nmodifiers:\n{}{}",
        modifier("first", "0", "*half"),
        modifier("second", "*half", "*all")
    );
    let imported = brought(&text);
    let recipe = imported.text.clone().unwrap_or_else(|| panic!("{}", shown(&imported)));
    let at = |text: &str| recipe.find(text).unwrap_or_else(|| panic!("no {text} in\n{recipe}"));
    let order = [
        at("# the first one"),
        at("# about the end of the first"),
        at("0..3 epochs"),
        at("# the second one"),
        at("# about the end of the second"),
        at("3..10 epochs"),
    ];
    assert!(order.is_sorted(), "{recipe}");
}

#[test]
fn decimals_are_written_as_they_are() {
    let text = "third: 0.1\nmodifiers:\n  - !EpochRangeModifier\n    start_epoch: 0\n    end_epoch: 9\n  - !LearningRateModifier\n    lr_class: MultiStepLR\n    lr_kwargs: {milestones: [3, 6], gamma: 0.1}\n    init_lr: 0.1\n    start_epoch: 0\n  - !DistillationModifier\n    hardness: eval(third * 3)\n";
    let imported = brought(text);
    let recipe = imported.text.clone().unwrap_or_else(|| panic!("{}", shown(&imported)));
    for line in ["0..3 epochs: 0.1", "3..6 epochs: 0.01", "6..9 epochs: 0.001", "hardness: 0.3"] {
        assert!(recipe.contains(line), "no `{line}` in\n{recipe}");
    }
    let stairs = text.replace("MultiStepLR", "StepLR").replace("milestones: [3, 6]", "step_size: 0.1");
    let recipe = brought(&stairs.replace("end_epoch: 9", "end_epoch: 1")).text.unwrap();
    assert!(recipe.contains("0.3..0.4 epochs"), "{recipe}");
    assert!(!recipe.contains("000000"), "{recipe}");
    let yaml = export(imported.compilation.schedule.as_ref().unwrap(), None).unwrap();
    assert!(!yaml.contains("00000000"), "{yaml}");
}

/// A modifier for each of the 72 matrices of the encoder.
fn many(every: &str) -> String {
    let kinds = [
        "attention.self.query",
        "attention.self.key",
        "attention.self.value",
        "attention.output.dense",
        "intermediate.dense",
        "output.dense",
    ];
    let mut text = format!("modifiers:\n{RANGE}");
    for layer in 0..12 {
        for kind in kinds {
            text += &format!(
                "  - !MagnitudePruningModifier\n    params: [bert.encoder.layer.{layer}.{kind}.weight]\n    log_types: __ALL__\n    start_epoch: 0\n    end_epoch: 1\n    update_frequency: {every}\n    init_sparsity: 0.1\n    final_sparsity: 0.9\n"
            );
        }
    }
    text
}

#[test]
fn equal_modifiers_of_many_parameters_become_one_statement() {
    let imported = brought(&many("0.0001"));
    let stage = stage(&imported);
    assert_eq!(stage.prune.len(), 1);
    assert!(imported.text.as_ref().unwrap().contains("prune encoder_linears over"), "{:?}", imported.text);
    let notes = found(&imported, Code::Dropped);
    assert_eq!(notes.len(), 1, "{}", shown(&imported));
    assert!(notes[0].message.ends_with("71 more like it"), "{}", notes[0].message);
    // What differs, or is ranked together, stays apart.
    let other = many("0.1").replacen("final_sparsity: 0.9", "final_sparsity: 0.8", 1);
    assert_eq!(self::stage(&brought(&other)).prune.len(), 2);
    let global = many("0.5").replace("!Magnitude", "!GlobalMagnitude");
    assert_eq!(self::stage(&brought(&global)).prune.len(), 72);
}

#[test]
fn all_pruning_events_together_have_a_limit() {
    let imported = brought(&many("0.0001").replace("!Magnitude", "!GlobalMagnitude"));
    let errors = found(&imported, Code::TooManyEvents);
    assert_eq!(errors.len(), 1, "{}", shown(&imported));
    assert!(errors[0].message.contains("in all statements together"), "{}", errors[0].message);
    assert!(place(&imported, errors[0]).starts_with("update_frequency"), "{}", shown(&imported));
    assert!(imported.text.is_none());
}

#[test]
fn a_plan_of_many_events_shows_a_few_of_them_and_counts_the_rest() {
    let text = many("0.001").replace("!Magnitude", "!GlobalMagnitude");
    let imported = brought(&text);
    let schedule = imported.compilation.schedule.as_ref().unwrap_or_else(|| panic!("{}", shown(&imported)));
    let parameters = imported.compilation.parameters.as_ref();
    let plan =
        table::render(schedule, Some(1000), parameters, |stage| terminal_chart::render(stage, Some(1000)));
    assert!(plan.contains("more pruning events"), "{plan}");
    assert!(plan.lines().count() < 500, "{} lines", plan.lines().count());
    let events = document::document(schedule, Some(1000), None).stages[0].events.len();
    assert!(events > 72_000, "{events}");
}
