//! Recipes as YAML that SparseML loads.

use obert::internals::diag::render::full;
use obert::internals::language::{self, NoFiles};
use obert::internals::yaml::export;

use super::{files_in, imported, root, stem, tricky};

#[test]
fn what_is_exported_reads_as_recorded() {
    let path = root().join("tests/corpus/yaml/paper/30epochs_4block80_squad.yaml");
    let schedule = imported(&path).compilation.schedule.unwrap();
    insta::with_settings!({ snapshot_path => "../snapshots" }, {
        insta::assert_snapshot!(export(&schedule, None).unwrap());
    });
}

#[test]
fn a_quantized_recipe_is_exported_for_the_newer_quantizer() {
    let path = root().join("tests/corpus/yaml/tricky/quantize_older_form.yaml");
    let compiled = imported(&path).compilation;
    insta::with_settings!({ snapshot_path => "../snapshots" }, {
        insta::assert_snapshot!(export(&compiled.schedule.unwrap(), compiled.parameters.as_ref()).unwrap());
    });
}

#[test]
fn what_sparseml_cannot_say_is_refused_in_one_list() {
    let text = r#"edition 2026
use std.bert.{encoder_linears, embeddings}
recipe r for 10 epochs {
  model: bert(layers: 2, hidden: 128, heads: 4)
  data: squad
  train { clip: 0.5 }
  lr {
    0..10% of run: 0 -> 8e-5 exponential
    10%..100% of run: 8e-5 -> 8e-6 polynomial(2)
    factor embeddings: 0.1
  }
  evaluate every 1 epoch
  prune encoder_linears except params("**.layer.0.**") over 2..10 epochs every 100 steps {
    by: obs(gradients: 512, block: 32, memory: 4 GiB)
    sparsity: 30% -> 80% cosine
    pattern: blocks(1, 8)
  }
  distill from self { hardness: 1.0 }
  expect { f1: 80.0 .. 100 }
}
"#;
    let text = text
        .replace("0 -> 8e-5 exponential", "1e-6 -> 8e-5 exponential")
        .replace("80% cosine", "80% polynomial(2)");
    let compiled = language::compile("r.obert", &text, &NoFiles, language::Options::default());
    let found = full::render_all(&compiled.diagnostics, &compiled.sources, false);
    let schedule = compiled.schedule.unwrap_or_else(|| panic!("{found}"));
    let refused = export(&schedule, None).unwrap_err();
    insta::with_settings!({ snapshot_path => "../snapshots" }, {
        insta::assert_snapshot!(full::render_all(&refused, &compiled.sources, false));
    });
}

#[test]
fn several_stages_are_refused() {
    let text = include_str!("../../corpus/good/three_axes.obert");
    let schedule =
        language::compile("c.obert", text, &NoFiles, language::Options::default()).schedule.unwrap();
    let refused = export(&schedule, None).unwrap_err();
    assert_eq!(refused.len(), 1);
    assert!(refused[0].message.contains("2 stages: sparsify, quantize"), "{refused:?}");
}

/// What PyYAML makes of a text, tags read as plain mappings.
const PYYAML: &str = r#"
import json, sys, yaml
class Loader(yaml.SafeLoader): pass
def tagged(loader, suffix, node):
    return loader.construct_mapping(node, deep=True) if isinstance(node, yaml.MappingNode) else None
Loader.add_multi_constructor("!", tagged)
print(json.dumps(yaml.load(sys.stdin.read(), Loader)))
"#;

fn pyyaml(text: &str) -> serde_json::Value {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let python = std::env::var_os("OBERT_PYTHON").expect("OBERT_PYTHON");
    let mut child = Command::new(python)
        .args(["-c", PYYAML])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "PyYAML refuses\n{text}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The fields that SparseML wants as numbers, and what it gets.
fn assert_numbers(value: &serde_json::Value, path: &str) {
    const NUMBERS: [&str; 19] = [
        "start_epoch",
        "end_epoch",
        "update_frequency",
        "init_lr",
        "final_lr",
        "cycle_epochs",
        "init_sparsity",
        "final_sparsity",
        "damp",
        "num_grads",
        "fisher_block_size",
        "num_recomputations",
        "batch_size",
        "hardness",
        "temperature",
        "weight_decay",
        "lr_min",
        "num_bits",
        "num_calibration_steps",
    ];
    match value {
        serde_json::Value::Object(map) => {
            for (key, value) in map {
                assert!(!NUMBERS.contains(&key.as_str()) || value.is_number(), "{path}.{key} is {value}");
                assert!(key != "mask_type" || !value.is_number(), "{path}.{key} is {value}");
                assert_numbers(value, &format!("{path}.{key}"));
            }
        }
        serde_json::Value::Array(items) => items.iter().for_each(|v| assert_numbers(v, path)),
        _ => {}
    }
}

#[test]
#[ignore = "needs a Python with PyYAML in OBERT_PYTHON"]
fn pyyaml_reads_the_right_types_from_what_is_exported() {
    for path in [tricky(), files_in(&root().join("tests/corpus/yaml/paper"))].concat() {
        let compiled = imported(&path).compilation;
        let Some(schedule) = &compiled.schedule else { continue };
        let Ok(exported) = export(schedule, compiled.parameters.as_ref()) else { continue };
        let read = pyyaml(&exported);
        assert_numbers(&read, &stem(&path));
        let group = &read["training_modifiers"];
        assert!(group.as_array().is_some_and(|g| !g.is_empty()), "{exported}");
    }
}
