//! RoBERTa and DistilBERT against transformers: recorded logits and tokens (`tests/oracle/families.py`),
//! what is saved, and what a recipe's commands know of them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use burn::tensor::{Device, Int, Tensor, TensorData};
use obert::internals::diag::Sources;
use obert::internals::params::builtin::Head;
use obert::internals::params::{Family, folder};
use obert::internals::task::data::cache::{FeatureInputs, no_progress};
use obert::internals::task::data::features::Questions;
use obert::internals::task::data::labelled::Example;
use obert::internals::task::data::pairs::Examples;
use obert::internals::task::data::squad::{Answer, Question};
use obert::internals::task::model::checkpoint::{self, Loaded};
use obert::internals::task::model::kernels::Dropout;
use obert::internals::task::model::{
    BertForMaskedLM, BertForQuestionAnswering, BertForSequenceClassification, BertModel, Dropouts, Tokens,
};
use obert::internals::task::parameters;
use obert::internals::text::Tokenizer;
use obert::internals::text::windows::Windows;
use serde_json::Value;

use super::golden::cases;

pub const LABELS: Head = Head::Classification { labels: 3 };

/// What a recording calls the families.
const FAMILIES: [&str; 2] = ["roberta", "distilbert"];

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/families").join(name)
}

pub fn load<M: BertModel>(folder: &Path, head: Head) -> Loaded<M> {
    let loaded = checkpoint::load_with_head(folder, head, 1, &Device::flex(), &mut Sources::new());
    loaded.unwrap_or_else(|d| panic!("{d:?}"))
}

fn recorded() -> Value {
    cases("families").into_iter().next().unwrap().1
}

pub fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as u32).collect()
}

pub fn floats(rows: &Value) -> Vec<f32> {
    let rows = rows.as_array().unwrap().iter().flat_map(|row| row.as_array().unwrap());
    rows.map(|v| v.as_f64().unwrap() as f32).collect()
}

pub fn values(tensor: Tensor<2>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

pub fn worst(got: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(got.len(), expected.len());
    got.iter().zip(expected).map(|(g, e)| (g - e).abs()).fold(0.0, f32::max)
}

pub fn at(list: &[usize]) -> Tensor<1, Int> {
    let list: Vec<i32> = list.iter().map(|i| *i as i32).collect();
    Tensor::from_data(TensorData::new(list.clone(), [list.len()]), &Device::flex())
}

/// The recorded sequences. Their second half has type 1: a family without types must not care.
fn tokens(recorded: &Value) -> Tokens {
    let sequences: Vec<Vec<u32>> = recorded["ids"].as_array().unwrap().iter().map(ids).collect();
    let types: Vec<Vec<u32>> =
        sequences.iter().map(|s| (0..s.len()).map(|i| u32::from(2 * i > s.len())).collect()).collect();
    let parts: Vec<_> = sequences.iter().zip(&types).map(|(s, t)| (s.as_slice(), t.as_slice())).collect();
    Tokens::arrange(&parts, &Device::flex())
}

#[test]
fn logits_of_each_head_of_each_family_equal_those_of_transformers() {
    let all = recorded();
    for family in FAMILIES {
        let recorded = &all[family];
        let tokens = tokens(recorded);
        let starts: Vec<usize> = tokens.row_ranges().iter().map(|r| r.start).collect();
        let equal = |what: &str, got: Tensor<2>, expected: Vec<f32>| {
            let error = worst(&values(got), &expected);
            assert!(error < 2e-5, "{what} of {family}: logits differ by {error}");
        };
        let folder = golden(&format!("{family}_answering"));
        let loaded = load::<BertForQuestionAnswering>(&folder, Head::QuestionAnswering);
        assert!(loaded.new_parameters.is_empty() && loaded.unused.is_empty());
        let expected = recorded["answering"].as_array().unwrap().iter().flat_map(floats).collect();
        equal("answers", loaded.model.forward(&tokens, Dropouts::NONE), expected);

        let loaded = load::<BertForSequenceClassification>(&golden(&format!("{family}_classifier")), LABELS);
        assert!(loaded.new_parameters.is_empty() && loaded.unused.is_empty());
        let logits = loaded.model.forward(&tokens, at(&starts), Dropouts::NONE, Dropout::NONE);
        equal("labels", logits, floats(&recorded["classifier"]));

        let folder = golden(&format!("{family}_masked_lm"));
        let loaded = load::<BertForMaskedLM>(&folder, Head::MaskedLanguageModel);
        assert!(loaded.new_parameters.is_empty() && loaded.unused.is_empty());
        let places = recorded["masked_lm"]["places"].as_array().unwrap().iter().map(ids);
        let places: Vec<usize> = places.map(|p| starts[p[0] as usize] + p[1] as usize).collect();
        let logits = loaded.model.forward(&tokens, at(&places), Dropouts::NONE);
        equal("hidden tokens", logits, floats(&recorded["masked_lm"]["logits"]));
    }
}

/// The tensors of a folder: names and shapes.
pub fn tensors(folder: &Path) -> BTreeSet<(String, Vec<usize>)> {
    let bytes = std::fs::read(folder.join("model.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    file.iter().map(|(name, view)| (name.to_owned(), view.shape().to_vec())).collect()
}

pub fn config(folder: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(folder.join("config.json")).unwrap()).unwrap()
}

#[test]
fn what_is_saved_has_the_keys_and_settings_that_transformers_writes_and_nothing_else() {
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
    for family in FAMILIES {
        same::<BertForQuestionAnswering>(&format!("{family}_answering"), Head::QuestionAnswering);
        same::<BertForSequenceClassification>(&format!("{family}_classifier"), LABELS);
        same::<BertForMaskedLM>(&format!("{family}_masked_lm"), Head::MaskedLanguageModel);
    }
}

#[test]
fn dropped_layers_of_each_family_leave_no_trace_in_what_is_saved() {
    for family in FAMILIES {
        let name = format!("{family}_classifier");
        let loaded = load::<BertForSequenceClassification>(&golden(&name), LABELS);
        let student = BertModel::keep_layers(loaded.model, &[1]);
        let folder = tempfile::tempdir().unwrap();
        checkpoint::save(&student, &loaded.config, folder.path()).unwrap();
        let key = if family == "distilbert" { "n_layers" } else { "num_hidden_layers" };
        assert_eq!(config(folder.path())[key], 1);
        let again = load::<BertForSequenceClassification>(folder.path(), LABELS);
        assert!(again.unused.is_empty() && again.new_parameters.is_empty());
    }
}

#[test]
fn a_head_that_is_not_there_is_new_and_what_has_no_use_is_said() {
    let loaded = load::<BertForSequenceClassification>(&golden("roberta_masked_lm"), LABELS);
    let new =
        "classifier.dense.weight classifier.dense.bias classifier.out_proj.weight classifier.out_proj.bias";
    assert_eq!(loaded.new_parameters.join(" "), new);
    assert!(loaded.unused.iter().all(|name| name.starts_with("lm_head.")));
    let loaded = load::<BertForQuestionAnswering>(&golden("distilbert_classifier"), Head::QuestionAnswering);
    assert_eq!(loaded.new_parameters.join(" "), "qa_outputs.weight qa_outputs.bias");
    let mut unused = loaded.unused;
    unused.sort();
    assert_eq!(
        unused.join(" "),
        "classifier.bias classifier.weight pre_classifier.bias pre_classifier.weight"
    );
}

#[test]
fn a_folder_is_described_by_the_head_that_it_has() {
    for (name, parameter, shape) in [
        ("roberta_classifier", "classifier.out_proj.weight", vec![3, 24]),
        ("roberta_masked_lm", "lm_head.bias", vec![90]),
        ("roberta_answering", "qa_outputs.weight", vec![2, 24]),
        ("distilbert_classifier", "pre_classifier.weight", vec![24, 24]),
        ("distilbert_masked_lm", "vocab_projector.bias", vec![90]),
        ("distilbert_answering", "distilbert.transformer.layer.1.ffn.lin1.weight", vec![40, 24]),
    ] {
        let described = folder::read(&golden(name), &mut Sources::new()).unwrap();
        assert_eq!(described.table.find(parameter).unwrap_or_else(|| panic!("{name}")).shape, shape);
        assert_eq!(described.table.layers(), 2);
        assert_eq!(described.config.longest(), 20);
    }
}

#[test]
fn texts_and_pairs_are_cut_and_joined_as_roberta_does() {
    let all = recorded();
    for folder in ["roberta_answering", "roberta_classifier"] {
        let tokenizer = Tokenizer::from_folder(&golden(folder), &mut Sources::new()).unwrap();
        for case in all["tokens"].as_array().unwrap() {
            let (text, pair) = (case["text"].as_str().unwrap(), case["pair"].as_str());
            let example = Example { text: text.into(), pair: pair.map(str::to_owned), label: "a".into() };
            let inputs =
                Examples { examples: &[example], numbers: &[Some(0)], tokenizer: &tokenizer, max_length: 64 };
            let made = inputs.make(&no_progress).unwrap();
            assert_eq!(made[0].ids, ids(&case["ids"]), "{folder}: {case}");
            assert!(made[0].types.iter().all(|t| *t == 0), "a RoBERTa has no second type");
            // The offsets of the last text.
            let offsets = tokenizer.encode(pair.unwrap_or(text)).unwrap().offsets;
            let recorded = case["offsets"].as_array().unwrap();
            let recorded: Vec<Vec<u32>> = recorded.iter().map(ids).collect();
            let last = &recorded[recorded.len() - 1 - offsets.len()..recorded.len() - 1];
            let offsets: Vec<Vec<u32>> = offsets.iter().map(|(a, b)| vec![*a as u32, *b as u32]).collect();
            assert_eq!(offsets, last, "{folder}: {case}");
        }
    }
}

#[test]
fn windows_of_a_roberta_hold_two_separators_and_find_their_answers() {
    let tokenizer = Tokenizer::from_folder(&golden("roberta_answering"), &mut Sources::new()).unwrap();
    let context = "the cat sat on the mat and the dog sat on the log";
    let question = Question {
        id: "q".into(),
        question: "the dog".into(),
        context: context.into(),
        answers: vec![Answer { text: "the log".into(), start: 42 }],
    };
    let windows = Windows { max_length: 14, doc_stride: 2 };
    let inputs = Questions { questions: &[question], tokenizer: &tokenizer, windows };
    let list = inputs.make(&no_progress).unwrap();
    assert!(list.len() > 1);
    for window in list.iter().map(|feature| &feature.window) {
        assert!(window.ids.len() <= 14 && window.types.iter().all(|t| *t == 0));
        assert_eq!(window.ids[window.context_start - 2..window.context_start], [tokenizer.sep(); 2]);
    }
    let last = list.last().unwrap();
    let text = |place: usize| last.window.offsets[place - last.window.context_start];
    assert_eq!(&context[text(last.answer.0).0..text(last.answer.1).1], "the log");
}

pub fn obertc(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_obertc"))
        .args(arguments)
        .env("NO_COLOR", "1")
        .env("HF_HUB_OFFLINE", "1")
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

pub const TRAIN: &str = "text,label\nthe cat sat,up\nthe dog ran,down\na rat sat,up\na log on a mat,down\n";

/// A recipe that prunes a classifier of a family, and the folder of its data.
fn workshop(family: Family) -> tempfile::TempDir {
    let shop = tempfile::tempdir().unwrap();
    let name = family.model_type();
    let recipe = format!(
        "edition 2026
use std.{name}.{{encoder_linears}}
recipe r for 2 epochs {{
  model: \"{}\"
  data: classify(text: \"text\", label: \"label\", max_length: 20)
  batch: 2
  lr {{ 0..2 epochs: 1e-3 -> 1e-4 linear }}
  prune encoder_linears {{ by: obs(gradients: 16, block: 8, batch: 1), sparsity: 50% }}
}}
",
        golden(&format!("{name}_masked_lm")).display()
    );
    std::fs::write(shop.path().join("r.obert"), recipe).unwrap();
    std::fs::create_dir(shop.path().join("data")).unwrap();
    for file in ["train.csv", "dev.csv"] {
        std::fs::write(shop.path().join("data").join(file), TRAIN).unwrap();
    }
    shop
}

#[test]
fn a_recipe_prunes_each_family_under_its_own_names() {
    for family in [Family::Roberta, Family::DistilBert] {
        let shop = workshop(family);
        let path = |name: &str| shop.path().join(name).display().to_string();
        let (code, said) = obertc(&["check", &path("r.obert")]);
        assert_eq!(code, Some(0), "{said}");
        let (code, said) =
            obertc(&["run", &path("r.obert"), "--data", &path("data"), "--out", &path("out"), "-q"]);
        assert_eq!(code, Some(0), "{said}");
        let out = shop.path().join("out");
        assert_eq!(config(&out)["architectures"][0], family.architecture(LABELS));
        let two = Head::Classification { labels: 2 };
        let pruned = load::<BertForSequenceClassification>(&out, two);
        assert!(pruned.new_parameters.is_empty() && pruned.unused.is_empty());
        let linears = parameters::read(&pruned.model, |name| {
            name.contains(".layer.") && name.ends_with(".weight") && !name.contains("orm.")
        });
        assert_eq!(linears.len(), 12);
        let (zeros, all) = linears.values().fold((0, 0), |(zeros, all), values| {
            (zeros + values.iter().filter(|v| **v == 0.0).count(), all + values.len())
        });
        assert_eq!(zeros * 2, all, "{family:?}");
        let tokenizer: Value =
            serde_json::from_slice(&std::fs::read(out.join("tokenizer_config.json")).unwrap()).unwrap();
        assert_eq!(tokenizer["tokenizer_class"], format!("{}Tokenizer", family.class()));
        let (code, said) = obertc(&["eval", &path("out"), "--data", &path("data"), "-q"]);
        assert_eq!(code, Some(0), "{said}");
    }
}

#[test]
fn commands_know_well_known_models_of_each_family() {
    let (code, said) = obertc(&["params", "--model", "roberta-base", "roberta.encoder.layer.11.**.weight"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("roberta.encoder.layer.11.attention.self.query.weight"), "{said}");
    let model = golden("distilbert_answering");
    let (code, said) = obertc(&["params", "--model", model.to_str().unwrap(), "**.q_lin.weight"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("distilbert.transformer.layer.0.attention.q_lin.weight"), "{said}");
}

#[test]
fn a_teacher_of_another_family_teaches_if_it_reads_the_same_tokens() {
    let shop = workshop(Family::DistilBert);
    let path = |name: &str| shop.path().join(name).display().to_string();
    let text = std::fs::read_to_string(shop.path().join("r.obert")).unwrap();
    let text = text.replace("\n}\n", "\n  distill from teacher { hardness: 0.5, temperature: 2.0 }\n}\n");
    std::fs::write(shop.path().join("r.obert"), text).unwrap();
    // A BERT with the vocabulary of the DistilBERT, trained for the same labels.
    let start = "edition 2026
recipe teacher for 1 epochs {
  model: bert(layers: 1, hidden: 16, heads: 2)
  data: builtin_reading(train: 16, dev: 4)
  lr { 0..1 epochs: 1e-4 }
}
";
    std::fs::write(shop.path().join("teacher.obert"), start).unwrap();
    let (code, said) =
        obertc(&["run", &path("teacher.obert"), "--out", &path("bert"), "--limit-steps", "1", "-q"]);
    assert_eq!(code, Some(0), "{said}");
    // Another vocabulary is found before the first step.
    let run = |teacher: &str, out: &str| {
        let (recipe, data) = (path("r.obert"), path("data"));
        obertc(&["run", &recipe, "--data", &data, "--teacher", teacher, "--out", &path(out), "-q"])
    };
    let (code, said) = run(&path("bert"), "never");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("OB0919") && said.contains("vocabulary entries"), "{said}");
    assert!(!shop.path().join("never").exists());
    let (roberta, bert) = (golden("roberta_masked_lm"), shop.path().join("labelled"));
    let (code, said) = run(roberta.to_str().unwrap(), "never");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("OB0919"), "{said}");
    // A BERT of the same vocabulary, made from the recorded heads' sizes.
    let shape = obert::internals::params::BertShape {
        vocab: 90,
        hidden: 16,
        layers: 1,
        heads: 2,
        intermediate: 32,
        positions: 32,
        types: 2,
    };
    let mut made = obert::internals::params::BertConfig::new(shape);
    made.set_labels(&["down".to_owned(), "up".to_owned()]);
    let two = Head::Classification { labels: 2 };
    let model = BertForSequenceClassification::with_head(&made, two, 3, &Device::flex());
    std::fs::create_dir(&bert).unwrap();
    checkpoint::save(&model, &made, &bert).unwrap();
    std::fs::copy(golden("distilbert_masked_lm").join("vocab.txt"), bert.join("vocab.txt")).unwrap();
    let (code, said) = run(bert.to_str().unwrap(), "taught");
    assert_eq!(code, Some(0), "{said}");
    // The same words in another order are another vocabulary.
    let words = std::fs::read_to_string(bert.join("vocab.txt")).unwrap();
    std::fs::write(bert.join("vocab.txt"), words.replace("w7\nw8\n", "w8\nw7\n")).unwrap();
    let (code, said) = run(bert.to_str().unwrap(), "never");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("OB0919") && said.contains("another vocabulary: `w7`"), "{said}");
}

#[test]
#[ignore = "needs a Python with torch and transformers in OBERT_PYTHON"]
fn transformers_opens_what_is_saved_and_gives_the_same_logits() {
    let python = std::env::var_os("OBERT_PYTHON").expect("OBERT_PYTHON names a Python");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/opens.py");
    let opened = |folder: &Path, logits: Vec<f32>| {
        let output = Command::new(&python).arg(&script).arg(folder).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        let line = String::from_utf8_lossy(&output.stdout);
        let printed: Value = serde_json::from_str(line.lines().last().unwrap()).unwrap();
        let list = |key: &str| -> Vec<f32> {
            let list = printed[key].as_array().unwrap_or_else(|| panic!("{printed}"));
            list.iter().map(|v| v.as_f64().unwrap() as f32).collect()
        };
        let theirs = match printed.get("start_logits") {
            Some(_) => {
                list("start_logits").iter().zip(list("end_logits")).flat_map(|(s, e)| [*s, e]).collect()
            }
            None => list("logits"),
        };
        let own = &logits[..theirs.len()];
        let error = worst(own, &theirs);
        assert!(error < 1e-4, "{}: logits differ by {error}", folder.display());
    };
    let ids: &[u32] = &[2, 7, 9, 11, 3];
    let tokens = Tokens::arrange(&[(ids, &[0; 5])], &Device::flex());
    for family in FAMILIES {
        let saved = |name: &str, save: &dyn Fn(&Path)| {
            let folder = tempfile::tempdir().unwrap();
            save(folder.path());
            let tokenizer =
                Tokenizer::from_folder(&golden(&format!("{family}_{name}")), &mut Sources::new()).unwrap();
            tokenizer.save(folder.path(), 20).unwrap();
            folder
        };
        let from = |name: &str| golden(&format!("{family}_{name}"));
        let loaded = load::<BertForQuestionAnswering>(&from("answering"), Head::QuestionAnswering);
        let folder = saved("answering", &|to| checkpoint::save(&loaded.model, &loaded.config, to).unwrap());
        opened(folder.path(), values(loaded.model.forward(&tokens, Dropouts::NONE)));
        let loaded = load::<BertForSequenceClassification>(&from("classifier"), LABELS);
        let folder = saved("classifier", &|to| checkpoint::save(&loaded.model, &loaded.config, to).unwrap());
        let logits = loaded.model.forward(&tokens, at(&[0]), Dropouts::NONE, Dropout::NONE);
        opened(folder.path(), values(logits));
        let loaded = load::<BertForMaskedLM>(&from("masked_lm"), Head::MaskedLanguageModel);
        let folder = saved("masked_lm", &|to| checkpoint::save(&loaded.model, &loaded.config, to).unwrap());
        let logits = loaded.model.forward(&tokens, at(&[0, 1, 2, 3, 4]), Dropouts::NONE);
        opened(folder.path(), values(logits));
    }
}
