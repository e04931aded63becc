//! Model folders that differ from the recorded ones in one thing: a configuration's key, the names of the
//! tensors, a head that is missing, the order of a teacher's labels.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use burn::tensor::{Device, Int, Tensor, TensorData};
use obert::internals::diag::{Code, Sources};
use obert::internals::params::BertConfig;
use obert::internals::params::builtin::Head;
use obert::internals::task::classification::{Classification, F1};
use obert::internals::task::model::checkpoint::{self, Loaded};
use obert::internals::task::model::kernels::Dropout;
use obert::internals::task::model::{
    BertForQuestionAnswering, BertForSequenceClassification, BertModel, Dropouts, Tokens,
};
use obert::internals::task::prepare::Prepare;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Map, Value, json};

use super::tasks::{obertc, stderr, stdout};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// A recorded model that can be changed.
struct Copy {
    config: Map<String, Value>,
    tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    from: PathBuf,
}

impl Copy {
    fn of(name: &str) -> Copy {
        let from = golden(name);
        let config = serde_json::from_slice(&std::fs::read(from.join("config.json")).unwrap()).unwrap();
        let bytes = std::fs::read(from.join("model.safetensors")).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let floats = |view: &TensorView| match view.dtype() {
            Dtype::F16 => {
                view.data().as_chunks().0.iter().map(|b| half::f16::from_le_bytes(*b).to_f32()).collect()
            }
            _ => view.data().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        };
        let tensors =
            file.iter().map(|(name, view)| (name.to_owned(), (view.shape().to_vec(), floats(&view))));
        Copy { config, tensors: tensors.collect(), from }
    }

    fn set(mut self, key: &str, value: Value) -> Copy {
        self.config.insert(key.to_owned(), value);
        self
    }

    fn write(&self) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let bytes: Vec<_> = self
            .tensors
            .iter()
            .map(|(name, (shape, values))| {
                (name, shape, values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>())
            })
            .collect();
        let views = bytes
            .iter()
            .map(|(name, shape, data)| (*name, TensorView::new(Dtype::F32, shape.to_vec(), data).unwrap()));
        safetensors::serialize_to_file(views, None, &folder.path().join("model.safetensors")).unwrap();
        let config = serde_json::to_string_pretty(&self.config).unwrap();
        std::fs::write(folder.path().join("config.json"), config).unwrap();
        for name in ["vocab.txt", "tokenizer.json", "vocab.json", "merges.txt"] {
            if self.from.join(name).exists() {
                std::fs::copy(self.from.join(name), folder.path().join(name)).unwrap();
            }
        }
        folder
    }
}

fn load<M: BertModel>(folder: &Path, head: Head) -> Loaded<M> {
    let loaded = checkpoint::load_with_head(folder, head, 1, &Device::flex(), &mut Sources::new());
    loaded.unwrap_or_else(|d| panic!("{d:?}"))
}

fn values(tensor: Tensor<2>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

/// A sequence of nine tokens, the last four of them with this type.
fn tokens(last: u32) -> Tokens {
    let ids = [2, 7, 9, 12, 3, 21, 22, 5, 3];
    let types = [0, 0, 0, 0, 0, last, last, last, last];
    Tokens::arrange(&[(&ids, &types)], &Device::flex())
}

fn answers(folder: &Path, tokens: &Tokens) -> Vec<f32> {
    let loaded: Loaded<BertForQuestionAnswering> = load(folder, Head::QuestionAnswering);
    values(loaded.model.forward(tokens, Dropouts::NONE))
}

/// What `obertc predict` says to a question.
fn predicted(model: &Path) -> String {
    let mut child = Command::new(env!("CARGO_BIN_EXE_obertc"))
        .args(["predict".as_ref(), model.as_os_str()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let question = "{\"question\": \"w1 w2\", \"context\": \"w3 w4 w5\"}\n";
    child.stdin.take().unwrap().write_all(question.as_bytes()).unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}

#[test]
fn a_model_with_one_token_type_is_computed_in_every_form() {
    let two = Copy::of("bert/tiny");
    let mut one = Copy::of("bert/tiny").set("type_vocab_size", json!(1));
    let name = "bert.embeddings.token_type_embeddings.weight";
    let table = one.tensors.get_mut(name).unwrap();
    let width = table.0[1];
    (table.0[0], table.1) = (1, table.1[..width].to_vec());
    let (two, one) = (two.write(), one.write());
    // Types that the tokenizer gives for a second text are those of the first.
    assert_eq!(answers(one.path(), &tokens(1)), answers(two.path(), &tokens(0)));
    assert_ne!(answers(two.path(), &tokens(1)), answers(two.path(), &tokens(0)));
    let said = predicted(one.path());
    assert!(said.contains("\"score\"") && !said.contains("error"), "{said}");
    for format in ["engine", "onnx", "dense"] {
        let out = one.path().join(format);
        let shown = out.to_string_lossy();
        let packed = obertc(&["pack", &one.path().to_string_lossy(), "--as", format, "--out", &shown]);
        assert!(packed.status.success(), "{format}: {}", stderr(&packed));
        assert!(stdout(&packed).contains("  verified: "), "{}", stdout(&packed));
    }
}

#[test]
fn a_prefix_of_all_tensors_changes_nothing_that_is_computed() {
    let plain = Copy::of("bert/tiny");
    let mut wrapped = Copy::of("bert/tiny");
    wrapped.tensors =
        wrapped.tensors.into_iter().map(|(name, value)| (format!("module.{name}"), value)).collect();
    let (plain, wrapped) = (plain.write(), wrapped.write());
    assert_eq!(answers(wrapped.path(), &tokens(1)), answers(plain.path(), &tokens(1)));
    let loaded: Loaded<BertForQuestionAnswering> = load(wrapped.path(), Head::QuestionAnswering);
    assert!(loaded.notes[0].contains("`module.`") && loaded.unused.is_empty(), "{:?}", loaded.notes);
    assert_eq!(predicted(wrapped.path()), predicted(plain.path()));
    let out = plain.path().join("out");
    let packed = obertc(&[
        "pack",
        &wrapped.path().to_string_lossy(),
        "--as",
        "dense",
        "--out",
        &out.to_string_lossy(),
    ]);
    assert!(packed.status.success(), "{}", stderr(&packed));
    assert_eq!(answers(&out, &tokens(1)), answers(plain.path(), &tokens(1)));
}

#[test]
fn dropout_before_a_distilberts_answers_is_its_own() {
    let folder = golden("families/distilbert_answering");
    let loaded: Loaded<BertForQuestionAnswering> = load(&folder, Head::QuestionAnswering);
    let forward = |dropouts| values(loaded.model.forward(&tokens(0), dropouts));
    let none = forward(Dropouts::NONE);
    assert_eq!(forward(Dropouts::of(0.0, 0.0, Some(3)).with_head(0.0)), none);
    assert_ne!(forward(Dropouts::of(0.0, 0.0, Some(3)).with_head(0.5)), none);
    assert_eq!(forward(Dropouts::NONE.with_head(0.5)), none, "no seed, no dropout");
    assert_eq!(loaded.config.answer_dropout(), 0.1);
    let other = Copy::of("families/distilbert_answering").set("qa_dropout", json!(0.375)).write();
    let loaded: Loaded<BertForQuestionAnswering> = load(other.path(), Head::QuestionAnswering);
    assert_eq!(loaded.config.answer_dropout(), 0.375);
}

#[test]
fn a_head_that_is_none_of_ours_is_refused_by_every_command_that_would_use_it() {
    let data = tempfile::tempdir().unwrap();
    std::fs::write(data.path().join("dev.csv"), "text,label\nw1 w2,a\nw3 w4,b\nw5,c\n").unwrap();
    let data = data.path().to_string_lossy().into_owned();
    for (key, value) in
        [("problem_type", json!("regression")), ("architectures", json!(["BertForMultipleChoice"]))]
    {
        let model = Copy::of("heads/classifier").set(key, value.clone()).write();
        let model = model.path().to_string_lossy().into_owned();
        let out = format!("{model}/packed");
        for arguments in [
            &["eval", &model, "--data", &data, "--task", "classify", "--text", "text", "--max-seq-len", "8"]
                [..],
            &["predict", &model],
            &["pack", &model, "--as", "engine", "--out", &out],
            &["pack", &model, "--as", "onnx", "--out", &out],
        ] {
            let output = obertc(arguments);
            let said = stderr(&output);
            assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
            assert!(
                said.contains("OB0951") && said.contains(&format!("`{key}` is ")),
                "{arguments:?}: {said}"
            );
            assert!(said.contains("config.json:"), "{arguments:?}: {said}");
        }
    }
}

#[test]
fn a_model_without_a_head_is_evaluated_only_when_asked_and_trained_with_a_word() {
    let shop = tempfile::tempdir().unwrap();
    let path = |name: &str| shop.path().join(name).to_string_lossy().into_owned();
    std::fs::write(shop.path().join("dev.csv"), "text,label\nw1 w2,a\nw3 w4,b\n").unwrap();
    std::fs::write(shop.path().join("train.csv"), "text,label\nw1 w2,a\nw3 w4,b\n").unwrap();
    let (model, data) = (golden("heads/masked_lm").to_string_lossy().into_owned(), path("."));
    let eval =
        ["eval", &model, "--data", &data, "--task", "classify", "--text", "text", "--max-seq-len", "8"];
    let refused = obertc(&eval);
    let said = stderr(&refused);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("OB0953") && said.contains("`--new-head`"), "{said}");
    let asked = obertc(&[&eval[..], &["--new-head", "--quiet", "--format", "json"]].concat());
    assert!(asked.status.success(), "{}", stderr(&asked));
    let figures: Value = serde_json::from_str(&stdout(&asked)).unwrap();
    assert_eq!(figures["new_head"], true);
    assert!(figures["accuracy"].is_number());
    let recipe = "edition 2026
recipe r for 1 epochs {
  data: classify(text: \"text\", label: \"label\", max_length: 8)
  model: \"bert-tiny\"
  lr { 0..1 epochs: 1e-4 }
}
";
    std::fs::write(shop.path().join("r.obert"), recipe).unwrap();
    let run = ["run", &path("r.obert"), "--model", &model, "--data", &data, "--out", &path("out"), "--quiet"];
    let ran = obertc(&run);
    assert!(ran.status.success(), "{}", stderr(&ran));
    let notes = stderr(&ran).matches("new, with random weights: ").count();
    assert_eq!(notes, 1, "{}", stderr(&ran));
    // What was trained has a head.
    let again = obertc(&["eval", &path("out"), "--data", &data, "--format", "json"]);
    assert!(again.status.success(), "{}", stderr(&again));
    assert!(serde_json::from_str::<Value>(&stdout(&again)).unwrap().get("new_head").is_none());
}

fn task(labels: &[&str]) -> Classification {
    Classification {
        train: Vec::new(),
        dev: Vec::new(),
        labels: labels.iter().map(|l| (*l).to_owned()).collect(),
        data_labels: Vec::new(),
        f1: F1::Unmeasured,
        hidden_dropout: 0.0,
        attention_dropout: 0.0,
        pooled_dropout: 0.0,
    }
}

#[test]
fn outputs_of_a_teacher_are_matched_by_their_names_or_it_is_said_that_they_are_not() {
    let labels = Head::Classification { labels: 3 };
    let first = Tensor::<1, Int>::from_data(TensorData::new(vec![0], [1]), &Device::flex());
    let logits = |model: &BertForSequenceClassification| {
        values(model.forward(&tokens(1), first.clone(), Dropouts::NONE, Dropout::NONE))
    };
    let teacher = || load::<BertForSequenceClassification>(&golden("heads/classifier"), labels);
    let fitted = |student: &[&str], config: &BertConfig| task(student).fit_teacher(teacher().model, config);
    let own = logits(&teacher().model);
    let config = teacher().config;
    // The recorded order is entailment, neutral, contradiction.
    let same = fitted(&["entailment", "neutral", "contradiction"], &config).unwrap();
    assert_eq!((logits(&same.model), same.notes.len()), (own.clone(), 0));
    let moved = fitted(&["Contradiction", "entailment", "neutral"], &config).unwrap();
    assert_eq!(logits(&moved.model), [own[2], own[0], own[1]]);
    assert!(moved.notes[0].contains("matched by name"), "{:?}", moved.notes);
    assert!(fitted(&["a", "b", "c"], &config).unwrap_err().contains("entailment, neutral, contradiction"));
    let numbers = fitted(&["0", "1", "2"], &config).unwrap();
    assert_eq!(logits(&numbers.model), own);
    assert!(numbers.notes[0].contains("the student's labels are numbers"), "{:?}", numbers.notes);
    let mut placeholders = config;
    placeholders.rest.shift_remove("id2label");
    let said = fitted(&["b", "a", "c"], &placeholders).unwrap();
    assert_eq!(logits(&said.model), own);
    assert!(said.notes[0].contains("placeholders") && said.notes[0].contains("b, a, c"), "{:?}", said.notes);
}

#[test]
fn a_tokenizer_with_more_entries_than_its_model_has_a_code_of_its_own() {
    let model = Copy::of("heads/masked_lm").write();
    let vocabulary = model.path().join("vocab.txt");
    let mut words = std::fs::read_to_string(&vocabulary).unwrap();
    words.push_str("one\ntoo\nmany\n");
    std::fs::write(&vocabulary, words).unwrap();
    std::fs::write(model.path().join("dev.txt"), "w1 w2 w3 w4 w5 w6 w7 w8\n").unwrap();
    let path = model.path().to_string_lossy().into_owned();
    let output = obertc(&["eval", &path, "--data", &path, "--task", "masked-text", "--max-seq-len", "8"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains(&Code::VocabularyTooLarge.to_string()), "{}", stderr(&output));
}
