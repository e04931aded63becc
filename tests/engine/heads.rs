//! Classification and masked-language modelling against transformers: recorded logits and losses
//! (`tests/oracle/heads.py`), metrics against scikit-learn's, and what is read from and written to
//! folders.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Int, Tensor, TensorData};
use obert::internals::diag::{Code, Diagnostic, Sources};
use obert::internals::params::builtin::Head;
use obert::internals::params::folder;
use obert::internals::task::classification::{Classification, F1};
use obert::internals::task::data::pairs::Sequence;
use obert::internals::task::metric::{classification, language_model::MeanLoss};
use obert::internals::task::model::checkpoint::{self, Loaded};
use obert::internals::task::model::kernels::Dropout;
use obert::internals::task::model::{
    BertForMaskedLM, BertForSequenceClassification, BertModel, Dropouts, Tokens,
};
use obert::internals::task::{Task, parameters};
use serde_json::Value;

use super::golden::cases;

const LABELS: Head = Head::Classification { labels: 3 };

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/heads").join(name)
}

fn try_load<M: BertModel>(folder: &Path, head: Head) -> Result<Loaded<M>, Vec<Diagnostic>> {
    checkpoint::load_with_head(folder, head, 1, &Device::flex(), &mut Sources::new())
}

fn load<M: BertModel>(folder: &Path, head: Head) -> Loaded<M> {
    try_load(folder, head).unwrap_or_else(|d| panic!("{d:?}"))
}

fn recorded() -> Value {
    cases("heads").into_iter().next().unwrap().1
}

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as u32).collect()
}

fn floats(rows: &Value) -> Vec<f32> {
    let rows = rows.as_array().unwrap().iter().flat_map(|row| row.as_array().unwrap());
    rows.map(|v| v.as_f64().unwrap() as f32).collect()
}

fn values(tensor: Tensor<2>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

fn worst(got: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(got.len(), expected.len());
    got.iter().zip(expected).map(|(g, e)| (g - e).abs()).fold(0.0, f32::max)
}

fn rows(list: &[i32]) -> Tensor<1, Int> {
    Tensor::from_data(TensorData::new(list.to_vec(), [list.len()]), &Device::flex())
}

fn task(recorded: &Value) -> Classification {
    let sequence = |i: usize, label: usize| Sequence {
        ids: ids(&recorded["ids"][i]),
        types: ids(&recorded["types"][i]),
        label,
        truncated: false,
    };
    Classification {
        train: vec![sequence(0, 2), sequence(1, 0)],
        dev: vec![("", vec![sequence(0, 2), sequence(1, 0)]), ("_mm", vec![sequence(1, 2)])],
        labels: ["entailment", "neutral", "contradiction"].map(str::to_owned).to_vec(),
        data_labels: Vec::new(),
        f1: F1::Unmeasured,
        hidden_dropout: 0.1,
        attention_dropout: 0.1,
        pooled_dropout: 0.1,
    }
}

#[test]
fn logits_and_loss_of_a_classifier_equal_those_of_transformers() {
    let (recorded, device) = (recorded(), Device::flex());
    let loaded = load::<BertForSequenceClassification>(&golden("classifier"), LABELS);
    assert!(loaded.new_parameters.is_empty() && loaded.unused.is_empty());
    assert_eq!(loaded.config.labels().unwrap(), task(&recorded).labels);
    let task = task(&recorded);
    let batch = task.batch(&[0, 1], &device);
    let outputs = task.outputs(&loaded.model, &batch, None);
    assert_eq!(outputs[0].name, "logits");
    let error = worst(&values(outputs[0].logits.clone()), &floats(&recorded["classifier"]["logits"]));
    assert!(error < 2e-5, "logits differ by {error}");
    let loss = task.loss(&outputs, &batch).into_scalar::<f32>();
    let expected = recorded["classifier"]["loss"].as_f64().unwrap() as f32;
    assert!((loss - expected).abs() < 2e-5, "loss {loss} is not {expected}");
    let metrics = task.evaluate(&loaded.model, &device, &mut |_, _| {});
    assert_eq!(metrics.keys().collect::<Vec<_>>(), ["accuracy", "accuracy_mm"]);
}

#[test]
fn a_model_with_dropped_layers_equals_that_of_transformers_and_says_so_in_its_configuration() {
    let recorded = recorded();
    let loaded = load::<BertForSequenceClassification>(&golden("classifier"), LABELS);
    let student = task(&recorded).keep_layers(loaded.model, &[0, 2]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    checkpoint::save(&student, &loaded.config, folder.path()).unwrap();
    let config: Value =
        serde_json::from_slice(&std::fs::read(folder.path().join("config.json")).unwrap()).unwrap();
    assert_eq!(config["num_hidden_layers"], 2);
    let student = load::<BertForSequenceClassification>(folder.path(), LABELS);
    assert!(student.unused.is_empty(), "nothing of the dropped layer is left: {:?}", student.unused);
    let task = task(&recorded);
    let batch = task.batch(&[0, 1], &Device::flex());
    let logits = values(task.outputs(&student.model, &batch, None).remove(0).logits);
    let error = worst(&logits, &floats(&recorded["layers_0_and_2"]["logits"]));
    assert!(error < 2e-5, "logits differ by {error}");
}

#[test]
fn logits_and_loss_of_a_language_model_equal_those_of_transformers() {
    let (recorded, device) = (recorded(), Device::flex());
    let loaded = load::<BertForMaskedLM>(&golden("masked_lm"), Head::MaskedLanguageModel);
    assert!(loaded.new_parameters.is_empty() && loaded.unused.is_empty());
    let sequences: Vec<Vec<u32>> = (0..2).map(|i| ids(&recorded["ids"][i])).collect();
    let types: Vec<Vec<u32>> = sequences.iter().map(|s| vec![0; s.len()]).collect();
    let parts: Vec<_> = sequences.iter().zip(&types).map(|(s, t)| (s.as_slice(), t.as_slice())).collect();
    let tokens = Tokens::arrange(&parts, &device);
    let starts: Vec<usize> = tokens.row_ranges().iter().map(|r| r.start).collect();
    let places = recorded["masked_lm"]["places"].as_array().unwrap();
    let place = |p: &Value, i: usize| p[i].as_u64().unwrap() as usize;
    let at: Vec<i32> = places.iter().map(|p| (starts[place(p, 0)] + place(p, 1)) as i32).collect();
    let logits = values(loaded.model.forward(&tokens, rows(&at), Dropouts::NONE));
    let error = worst(&logits, &floats(&recorded["masked_lm"]["logits"]));
    assert!(error < 2e-5, "logits differ by {error}");
    let mut mean = MeanLoss::default();
    for (row, p) in logits.chunks(40).zip(places) {
        mean.add(row, place(p, 2));
    }
    let expected = recorded["masked_lm"]["loss"].as_f64().unwrap();
    assert!((mean.loss() - expected).abs() < 2e-5, "{} is not {expected}", mean.loss());
    assert!((mean.perplexity() - expected.exp()).abs() < 1e-3 * expected.exp());
}

#[test]
fn accuracy_and_f1_equal_those_of_scikit_learn() {
    let (_, list) = cases("classification_metric").into_iter().next().unwrap();
    for case in list.as_array().unwrap() {
        let numbers = |key: &str| ids(&case[key]).into_iter().map(|v| v as usize).collect::<Vec<_>>();
        let (predicted, labels) = (numbers("predicted"), numbers("labels"));
        let equal = |name: &str, value: f64| {
            let expected = case[name].as_f64().unwrap();
            assert!((value - expected).abs() < 1e-9, "{name}: {value} is not {expected} of {case}");
        };
        equal("accuracy", classification::accuracy(&predicted, &labels));
        equal("macro_f1", classification::macro_f1(&predicted, &labels));
        if case.get("f1").is_some() {
            equal("f1", classification::f1(&predicted, &labels, 1));
            equal("f1_of_0", classification::f1(&predicted, &labels, 0));
        }
        let of_each: Vec<f64> = serde_json::from_value(case["f1_of_each"].clone()).unwrap();
        let names: Vec<String> = (0..of_each.len()).map(|i| format!("class {i}")).collect();
        let measured = classification::metrics(&predicted, &labels, &names, F1::Of(1));
        for (name, expected) in names.iter().zip(of_each) {
            assert!((measured[&format!("f1_{name}")] - expected).abs() < 1e-9, "{name} of {case}");
        }
        assert_eq!(measured["f1"], measured["f1_class 1"]);
        equal("macro_f1", classification::metrics(&predicted, &labels, &names, F1::Mean)["f1"]);
    }
}

/// The tensors of a folder: names and shapes.
fn tensors(folder: &Path) -> BTreeSet<(String, Vec<usize>)> {
    let bytes = std::fs::read(folder.join("model.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    file.iter().map(|(name, view)| (name.to_owned(), view.shape().to_vec())).collect()
}

#[test]
fn what_is_saved_has_the_keys_that_transformers_writes_and_nothing_else() {
    fn same<M: BertModel>(name: &str, head: Head) {
        let loaded = load::<M>(&golden(name), head);
        let folder = tempfile::tempdir().unwrap();
        checkpoint::save(&loaded.model, &loaded.config, folder.path()).unwrap();
        assert_eq!(tensors(folder.path()), tensors(&golden(name)), "{name}");
        let again = load::<M>(folder.path(), head);
        assert_eq!(parameters::read(&again.model, |_| true), parameters::read(&loaded.model, |_| true));
        let config: Value =
            serde_json::from_slice(&std::fs::read(folder.path().join("config.json")).unwrap()).unwrap();
        assert_eq!(config["architectures"][0], M::ARCHITECTURE);
    }
    same::<BertForSequenceClassification>("classifier", LABELS);
    same::<BertForMaskedLM>("masked_lm", Head::MaskedLanguageModel);
}

#[test]
fn a_language_model_gets_a_new_classifier_and_what_is_new_and_unused_is_said() {
    let loaded = load::<BertForSequenceClassification>(&golden("masked_lm"), LABELS);
    let new = "bert.pooler.dense.weight bert.pooler.dense.bias classifier.weight classifier.bias";
    assert_eq!(loaded.new_parameters.join(" "), new);
    assert!(loaded.unused.iter().all(|name| name.starts_with("cls.")));
    assert_eq!(loaded.unused.len(), 5);
    // A folder is described by the head that it has.
    let table = folder::read(&golden("masked_lm"), &mut Sources::new()).unwrap().table;
    assert!(table.find("cls.predictions.bias").is_some());
    let table = folder::read(&golden("classifier"), &mut Sources::new()).unwrap().table;
    assert_eq!(table.find("classifier.weight").unwrap().shape, [3, 24]);
}

#[test]
fn a_classifier_for_other_labels_is_refused() {
    let two = Head::Classification { labels: 2 };
    let errors = try_load::<BertForSequenceClassification>(&golden("classifier"), two).unwrap_err();
    assert_eq!(errors.len(), 1, "one mistake, one message");
    assert_eq!(errors[0].code, Code::LabelsDiffer);
    assert!(errors[0].message.contains("has 3 outputs; the data has 2 labels"), "{}", errors[0].message);
}

#[test]
fn a_classifier_whose_bias_has_another_length_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(golden("classifier").join("config.json"), dir.path().join("config.json")).unwrap();
    let bytes = std::fs::read(golden("classifier").join("model.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let views = file.iter().map(|(name, view)| match name {
        "classifier.bias" => {
            let short = &view.data()[..8];
            (name, safetensors::tensor::TensorView::new(view.dtype(), vec![2], short).unwrap())
        }
        _ => (name, view),
    });
    let whole = safetensors::serialize(views.collect::<Vec<_>>(), None).unwrap();
    std::fs::write(dir.path().join("model.safetensors"), whole).unwrap();
    let errors = try_load::<BertForSequenceClassification>(dir.path(), LABELS).unwrap_err();
    assert_eq!(errors[0].code, Code::TensorShape, "{errors:?}");
}

/// A tensor's name, shape and bytes.
type Raw = (String, Vec<usize>, Vec<u8>);

/// Writes a folder's tensors anew: in `parts` files with an index, as `dtype`, under old names.
fn rewritten(from: &Path, parts: usize, half: bool) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for file in ["config.json", "vocab.txt"] {
        std::fs::copy(from.join(file), dir.path().join(file)).unwrap();
    }
    let bytes = std::fs::read(from.join("model.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut map = serde_json::Map::new();
    let mut files: Vec<Vec<Raw>> = vec![Vec::new(); parts];
    for (i, (name, view)) in file.iter().enumerate() {
        let old =
            name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta");
        let floats = view.data().chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
        let data: Vec<u8> = match half {
            true => floats.flat_map(|v| half::bf16::from_f32(v).to_le_bytes()).collect(),
            false => view.data().to_vec(),
        };
        map.insert(old.clone(), format!("model-{}.safetensors", i % parts).into());
        files[i % parts].push((old, view.shape().to_vec(), data));
    }
    let dtype = if half { safetensors::Dtype::BF16 } else { safetensors::Dtype::F32 };
    for (i, list) in files.iter().enumerate() {
        let views = list.iter().map(|(name, shape, data)| {
            (name.as_str(), safetensors::tensor::TensorView::new(dtype, shape.clone(), data).unwrap())
        });
        let whole = safetensors::serialize(views.collect::<Vec<_>>(), None).unwrap();
        let name = if parts == 1 { "model.safetensors".to_owned() } else { format!("model-{i}.safetensors") };
        std::fs::write(dir.path().join(name), whole).unwrap();
    }
    if parts > 1 {
        let index = serde_json::json!({"metadata": {}, "weight_map": map}).to_string();
        std::fs::write(dir.path().join("model.safetensors.index.json"), index).unwrap();
    }
    dir
}

#[test]
fn shards_half_precision_and_old_names_are_read() {
    let read = |folder: &Path| {
        parameters::read(&load::<BertForMaskedLM>(folder, Head::MaskedLanguageModel).model, |_| true)
    };
    let whole = read(&golden("masked_lm"));
    assert_eq!(read(rewritten(&golden("masked_lm"), 3, false).path()), whole);
    let half = read(rewritten(&golden("masked_lm"), 1, true).path());
    for (name, values) in &whole {
        let error = worst(&half[name], values);
        assert!(error < 1e-2, "{name} differs by {error}");
    }
    // A part that is missing, or cut off, is named.
    let broken = rewritten(&golden("masked_lm"), 3, false);
    let part = broken.path().join("model-1.safetensors");
    let bytes = std::fs::read(&part).unwrap();
    std::fs::write(&part, &bytes[..bytes.len() - 9]).unwrap();
    let errors = try_load::<BertForMaskedLM>(broken.path(), Head::MaskedLanguageModel).unwrap_err();
    assert!(errors[0].message.contains("model-1.safetensors"), "{}", errors[0].message);
    std::fs::remove_file(&part).unwrap();
    let errors = try_load::<BertForMaskedLM>(broken.path(), Head::MaskedLanguageModel).unwrap_err();
    assert_eq!(errors[0].code, Code::ModelNotFound);
}

#[test]
fn dropout_of_the_pooled_vectors_repeats_with_its_seed() {
    let (recorded, device) = (recorded(), Device::flex());
    let model = load::<BertForSequenceClassification>(&golden("classifier"), LABELS).model;
    let task = task(&recorded);
    let batch = task.batch(&[0, 1], &device);
    let run = |seed| values(task.outputs(&model, &batch, seed).remove(0).logits);
    assert_eq!(run(Some(3)), run(Some(3)));
    assert_ne!(run(Some(3)), run(Some(4)));
    assert_ne!(run(Some(3)), run(None));
    assert!(!Dropout::NONE.is_active());
}
