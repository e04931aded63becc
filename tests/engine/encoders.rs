//! Further families against transformers (`tests/oracle/encoders.py`): hidden states, logits, gradients of the loss, saved
//! files, dropped layers, and a recipe with all methods together.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use obert::internals::diag::Sources;
use obert::internals::infer::{self, Limits, Session};
use obert::internals::params::Family;
use obert::internals::params::builtin::Head;
use obert::internals::task::HiddenStates;
use obert::internals::task::loss::cross_entropy;
use obert::internals::task::model::checkpoint;
use obert::internals::task::model::kernels::Dropout;
use obert::internals::task::model::{
    BertForMaskedLM, BertForQuestionAnswering, BertForSequenceClassification, BertModel, Dropouts,
    SentenceEncoder, Tokens, int_tensor,
};
use obert::internals::task::parameters::{self, ModuleParameter};
use serde_json::Value;

use super::families::{LABELS, TRAIN, at, config, floats, ids, load, obertc, tensors, values, worst};
use super::golden::cases;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/encoders").join(name)
}

/// The recorded sequences on a device. Families without token types must not care for those of the second half.
fn tokens(recorded: &Value, device: &Device) -> Tokens {
    let sequences: Vec<Vec<u32>> = recorded["ids"].as_array().unwrap().iter().map(ids).collect();
    let types: Vec<Vec<u32>> =
        sequences.iter().map(|s| (0..s.len()).map(|i| u32::from(2 * i > s.len())).collect()).collect();
    let parts: Vec<_> = sequences.iter().zip(&types).map(|(s, t)| (s.as_slice(), t.as_slice())).collect();
    Tokens::arrange(&parts, device)
}

fn starts(tokens: &Tokens) -> Vec<usize> {
    tokens.row_ranges().iter().map(|r| r.start).collect()
}

#[test]
fn hidden_states_and_logits_of_every_family_equal_those_of_transformers() {
    for (family, recorded) in cases("encoders") {
        let tokens = tokens(&recorded, &Device::flex());
        let equal = |what: &str, got: Tensor<2>, expected: Vec<f32>| {
            let error = worst(&values(got), &expected);
            assert!(error < 1e-4, "{what} of {family}: differs by {error}");
        };
        let sequences = |key: &str| recorded[key].as_array().unwrap().iter().flat_map(floats).collect();
        let folder = golden(&format!("{family}_answering"));
        let loaded = load::<BertForQuestionAnswering>(&folder, Head::QuestionAnswering);
        assert!(loaded.new_parameters.is_empty() && loaded.unused.is_empty(), "{family}");
        equal("answers", loaded.model.forward(&tokens, Dropouts::NONE), sequences("answering"));

        let loaded = load::<BertForSequenceClassification>(&golden(&format!("{family}_classifier")), LABELS);
        assert!(loaded.new_parameters.is_empty() && loaded.unused.is_empty(), "{family}");
        let logits = loaded.model.forward(&tokens, at(&starts(&tokens)), Dropouts::NONE, Dropout::NONE);
        equal("labels", logits, floats(&recorded["classifier"]));
        let encoder =
            load::<SentenceEncoder>(&golden(&format!("{family}_classifier")), Head::Embedding).model;
        let last = encoder.forward_with(&tokens, Dropouts::NONE, &mut HiddenStates::none());
        equal("hidden states", last, sequences("hidden"));

        let folder = golden(&format!("{family}_masked_lm"));
        let loaded = load::<BertForMaskedLM>(&folder, Head::MaskedLanguageModel);
        assert!(loaded.new_parameters.is_empty() && loaded.unused.is_empty(), "{family}");
        let places = recorded["masked_lm"]["places"].as_array().unwrap().iter().map(ids);
        let places: Vec<usize> = places.map(|p| starts(&tokens)[p[0] as usize] + p[1] as usize).collect();
        let logits = loaded.model.forward(&tokens, at(&places), Dropouts::NONE);
        equal("hidden tokens", logits, floats(&recorded["masked_lm"]["logits"]));
    }
}

#[test]
fn gradients_of_every_family_equal_those_of_transformers() {
    let device = Device::flex().autodiff();
    for (family, recorded) in cases("encoders") {
        let folder = golden(&format!("{family}_classifier"));
        let loaded = checkpoint::load_with_head(&folder, LABELS, 1, &device, &mut Sources::new());
        let model: BertForSequenceClassification = loaded.unwrap_or_else(|d| panic!("{d:?}")).model;
        let tokens = tokens(&recorded, &device);
        let first = int_tensor(starts(&tokens).iter().map(|i| *i as i32).collect(), &device);
        let logits = model.forward(&tokens, first, Dropouts::NONE, Dropout::NONE);
        let labels = ids(&recorded["labels"]).iter().map(|l| *l as i32).collect();
        let loss = cross_entropy(logits, int_tensor(labels, &device));
        let value = f64::from(loss.clone().into_scalar::<f32>());
        assert!((value - recorded["loss"].as_f64().unwrap()).abs() < 1e-4, "{family}");
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        let list = parameters::parameters(&model);
        let wanted = recorded["gradients"].as_object().unwrap();
        assert!(wanted.len() >= 6, "{family}");
        for (name, expected) in wanted {
            let parameter = list.iter().find(|p| p.parameter.name == *name);
            let parameter = parameter.unwrap_or_else(|| panic!("{family} has no {name}"));
            let ModuleParameter { id, transposed, .. } = *parameter;
            let got = match parameter.parameter.shape.len() {
                1 => parameters::to_hugging_face(gradients.get::<1>(id).unwrap(), transposed),
                _ => parameters::to_hugging_face(gradients.get::<2>(id).unwrap(), transposed),
            };
            let expected: Vec<f32> =
                expected.as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect();
            let greatest = expected.iter().fold(0.0f32, |m, v| m.max(v.abs()));
            assert!(expected.len() == got.len().min(256) && greatest > 0.0, "{family}: {name}");
            let error = worst(&got[..expected.len()], &expected) / greatest;
            // A gradient that is zero but for rounding, such as that of a key's bias, has no relative error.
            assert!(error < 1e-4 || greatest < 1e-6, "{family}: the gradient of {name} differs by {error}");
        }
    }
}

#[test]
fn what_is_saved_has_the_keys_that_transformers_writes() {
    fn same<M: BertModel>(name: &str, head: Head) {
        let (from, to) = (golden(name), tempfile::tempdir().unwrap());
        let loaded = load::<M>(&from, head);
        checkpoint::save(&loaded.model, &loaded.config, to.path()).unwrap();
        assert_eq!(tensors(to.path()), tensors(&from), "{name}");
        let again = load::<M>(to.path(), head);
        assert_eq!(parameters::read(&again.model, |_| true), parameters::read(&loaded.model, |_| true));
        let (mut own, mut theirs) = (config(to.path()), config(&from));
        for written in [&mut own, &mut theirs] {
            written.as_object_mut().unwrap().remove("dtype");
        }
        assert_eq!(own, theirs, "{name}");
    }
    for (family, _) in cases("encoders") {
        same::<BertForQuestionAnswering>(&format!("{family}_answering"), Head::QuestionAnswering);
        same::<BertForSequenceClassification>(&format!("{family}_classifier"), LABELS);
        same::<BertForMaskedLM>(&format!("{family}_masked_lm"), Head::MaskedLanguageModel);
    }
}

#[test]
#[ignore = "needs a Python with torch and transformers in OBERT_PYTHON"]
fn transformers_opens_every_family_after_layers_were_dropped() {
    let python = std::env::var_os("OBERT_PYTHON").expect("OBERT_PYTHON names a Python");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/opens.py");
    let sequence: &[u32] = &[2, 7, 9, 11, 3];
    let tokens = Tokens::arrange(&[(sequence, &[0; 5])], &Device::flex());
    for (family, _) in cases("encoders") {
        let loaded = load::<BertForSequenceClassification>(&golden(&format!("{family}_classifier")), LABELS);
        for kept in [vec![0], (0..loaded.model.layers()).collect()] {
            let model = BertModel::keep_layers(loaded.model.clone(), &kept);
            let folder = tempfile::tempdir().unwrap();
            checkpoint::save(&model, &loaded.config, folder.path()).unwrap();
            let logits = values(model.forward(&tokens, at(&[0]), Dropouts::NONE, Dropout::NONE));
            let output = std::process::Command::new(&python).arg(&script).arg(folder.path()).output();
            let output = output.unwrap();
            assert!(output.status.success(), "{family}: {}", String::from_utf8_lossy(&output.stderr));
            let line = String::from_utf8_lossy(&output.stdout);
            let printed: Value = serde_json::from_str(line.lines().last().unwrap()).unwrap();
            let theirs: Vec<f32> =
                printed["logits"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect();
            let error = worst(&logits, &theirs);
            assert!(error < 1e-4, "{family} of layers {kept:?}: logits differ by {error}");
        }
    }
}

/// A recipe with layer dropping, OBS in blocks of four, distillation and QAT, and the folder of its data.
fn workshop(family: Family) -> tempfile::TempDir {
    let shop = tempfile::tempdir().unwrap();
    let recipe = format!(
        "edition 2026
use std.{}.{{embeddings, encoder_linears}}
recipe r {{
  model: \"{}\"
  data: classify(text: \"text\", label: \"label\", max_length: 20)
  batch: 2
  stage dense for 1 epoch {{
    lr {{ 0..1 epochs: 1e-3 }}
  }}
  stage pruned for 2 epochs {{
    keep layers [0]
    lr {{ 0..2 epochs: 1e-3 -> 1e-4 linear }}
    prune encoder_linears {{
      by: obs(gradients: 16, block: 8, batch: 1)
      sparsity: 50%
      pattern: blocks(1, 4)
      reconstruct: 4
    }}
    distill from dense {{
      hardness: 0.5
      temperature: 2.0
      hidden: states(\"{}*\", gain: 0.5)
    }}
  }}
  stage int8 for 1 epoch {{
    lr {{ 0..1 epochs: 1e-4 }}
    hold encoder_linears
    quantize [encoder_linears, embeddings] {{
      weights: int8(symmetric, per: channel)
      activations: uint8(asymmetric)
      calibrate: 4
    }}
  }}
}}
",
        family.model_type().replace('-', "_"),
        shop.path().join("model").display(),
        family.layer(0).trim_end_matches('0')
    );
    std::fs::write(shop.path().join("r.obert"), recipe).unwrap();
    // The language model, whose encoder gets a new classifier.
    let (name, model) = (family.model_type(), shop.path().join("model"));
    std::fs::create_dir(&model).unwrap();
    let copy = |from: &str, file: &str| {
        std::fs::copy(golden(&format!("{name}_{from}")).join(file), model.join(file)).unwrap();
    };
    copy("masked_lm", "config.json");
    copy("masked_lm", "model.safetensors");
    copy("classifier", "tokenizer.json");
    std::fs::create_dir(shop.path().join("data")).unwrap();
    for file in ["train.csv", "dev.csv"] {
        std::fs::write(shop.path().join("data").join(file), TRAIN).unwrap();
    }
    shop
}

#[test]
fn a_compound_recipe_runs_on_every_family() {
    for (name, _) in cases("encoders") {
        let Some(family) = Family::named(&name) else { continue };
        let shop = workshop(family);
        let path = |name: &str| shop.path().join(name).display().to_string();
        let (code, said) = obertc(&["check", &path("r.obert")]);
        assert_eq!(code, Some(0), "{name}: {said}");
        let (code, said) =
            obertc(&["run", &path("r.obert"), "--data", &path("data"), "--out", &path("out"), "-q"]);
        assert_eq!(code, Some(0), "{name}: {said}");
        let out = shop.path().join("out");
        let log = std::fs::read_to_string(out.join("run.jsonl")).unwrap();
        let pruned = log.lines().find_map(|line| {
            let event: Value = serde_json::from_str(line).unwrap();
            (event["event"] == "pruned").then_some(event)
        });
        let pruned = pruned.unwrap();
        let error = |when: usize| pruned["output_errors"][when].as_f64().unwrap();
        assert!(error(1) < error(0), "{name}: {}", pruned["output_errors"]);
        let two = Head::Classification { labels: 2 };
        assert_eq!(config(&out)["architectures"][0], family.architecture(two));
        let pruned = load::<BertForSequenceClassification>(&out, two);
        assert!(pruned.new_parameters.is_empty() && pruned.unused.is_empty(), "{name}");
        assert_eq!(pruned.model.layers(), 1, "{name}");
        let table = parameters::table(&pruned.model);
        let matrix = |name: &str| name.contains("layer") && table.find(name).is_some_and(|p| p.is_prunable());
        let linears = parameters::read(&pruned.model, matrix);
        assert!(!linears.is_empty());
        let (zeros, all) = linears.values().fold((0, 0), |(zeros, all), values| {
            let blocks = values.chunks(4).filter(|block| block.iter().all(|v| *v == 0.0)).count();
            (zeros + 4 * blocks, all + values.len())
        });
        assert!(zeros * 2 >= all, "{name}: {zeros} of {all} weights are in blocks of zeros");
        let scales: Value =
            serde_json::from_slice(&std::fs::read(out.join("quantization.json")).unwrap()).unwrap();
        let weights = scales["weights"].as_object().unwrap();
        assert!(linears.keys().all(|name| weights.contains_key(name)), "{name}: {:?}", weights.keys());
        let (code, said) = obertc(&["eval", &path("out"), "--data", &path("data"), "-q"]);
        assert_eq!(code, Some(0), "{name}: {said}");
        packed_logits_are_those_of_fake_quantization(&name, pruned.model, &out);
        let (code, said) = obertc(&["pack", &path("out"), "--as", "engine", "--out", &path("engine")]);
        assert_eq!(code, Some(0), "{name}: {said}");
        std::fs::write(path("texts.jsonl"), "{\"text\": \"the cat sat\"}\n{\"text\": \"a rat ran\"}\n")
            .unwrap();
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_obertc"))
            .args(["predict", &path("engine")])
            .stdin(std::fs::File::open(path("texts.jsonl")).unwrap())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(
            (output.status.code(), said.matches("\"label\":").count()),
            (Some(0), 2),
            "{name}: {said}"
        );
    }
}

#[test]
#[ignore = "needs a Python with torch and transformers in OBERT_PYTHON"]
fn transformers_opens_every_family_after_pruning_dropped_layers_and_qat() {
    let python = std::env::var_os("OBERT_PYTHON").expect("OBERT_PYTHON names a Python");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/opens.py");
    for (name, _) in cases("encoders") {
        let Some(family) = Family::named(&name) else { continue };
        let shop = workshop(family);
        let path = |name: &str| shop.path().join(name).display().to_string();
        let (code, said) =
            obertc(&["run", &path("r.obert"), "--data", &path("data"), "--out", &path("out"), "-q"]);
        assert_eq!(code, Some(0), "{name}: {said}");
        let output = std::process::Command::new(&python).arg(&script).arg(path("out")).output().unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Compares the logits of the packed INT8 model with those of the fake-quantized one.
fn packed_logits_are_those_of_fake_quantization(
    name: &str,
    plain: BertForSequenceClassification,
    out: &Path,
) {
    let sequences: [&[u32]; 3] =
        [&[2, 7, 9, 11, 3], &[2, 40, 31, 22, 13, 44, 35, 26, 17, 8, 19, 30, 3], &[2, 3]];
    let types = [0; 13];
    let parts: Vec<_> = sequences.iter().map(|ids| (*ids, &types[..ids.len()])).collect();
    let tokens = Tokens::arrange(&parts, &Device::flex());
    let logits = |model: &BertForSequenceClassification| {
        values(model.forward(&tokens, at(&starts(&tokens)), Dropouts::NONE, Dropout::NONE))
    };
    let unquantized = logits(&plain);
    let fake = logits(&checkpoint::with_scales(plain, out).unwrap());
    let model = infer::open(out, None, &mut Sources::new()).unwrap_or_else(|d| panic!("{d:?}"));
    let limits = Limits { sequences: 3, length: 16, threads: 1, ..Limits::default() };
    let mut session = Session::new(Arc::new(model), limits).unwrap();
    let given: Vec<_> = parts.iter().map(|(ids, types)| infer::Sequence { ids, types }).collect();
    let found = session.run(&given).unwrap();
    let packed: Vec<f32> = (0..3).flat_map(|i| found.labels(i).collect::<Vec<_>>()).collect();
    let mean =
        |other: &[f32]| fake.iter().zip(other).map(|(a, b)| (a - b).abs()).sum::<f32>() / fake.len() as f32;
    let (near, far) = (mean(&packed), mean(&unquantized));
    // A value in the middle between two integers may go the other way.
    assert!(
        near < far / 2.0 && worst(&packed, &fake) < 0.05,
        "{name}: {near} in the mean, {far} without scales"
    );
}
