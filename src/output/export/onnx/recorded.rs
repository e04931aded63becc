//! Golden tests of the graphs of models with each head, of each family, in float32 and quantized: a snapshot of their operators, and logits of ONNX Runtime recorded in
//! `tests/golden/onnx` with the hash of the graph.

use std::path::{Path, PathBuf};
use std::process::Command;

use prost::Message;
use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_128;

use super::proto::{Graph, Model, Tensor, kind};
use super::{bytes, encoder};
use crate::diag::Sources;
use crate::output::export::source::Source;
use crate::output::export::verify::{Tokens, answers, apart, model, questions};

/// The folders in `tests/golden`.
const MODELS: [&str; 21] = [
    "bert/tiny",
    "infer/quantized",
    "heads/classifier",
    "families/roberta_answering",
    "families/roberta_classifier",
    "families/distilbert_answering",
    "families/distilbert_classifier",
    "infer/families/roberta_classifier",
    "infer/families/distilbert_answering",
    "encoders/electra_classifier",
    "encoders/bert-gelu_new_answering",
    "encoders/mpnet_answering",
    "encoders/modernbert_classifier",
    "encoders/modernbert-biased_answering",
    "infer/families/modernbert_classifier",
    "encoders/deberta-v2_classifier",
    "encoders/deberta-v2-unshared_answering",
    "infer/families/deberta-v2_answering",
    "infer/families/deberta-v2-unshared_classifier",
    "infer/heads/tokens",
    "infer/heads/embedding",
];

/// The output of `tests/oracle/onnx_logits.py`, and the hash of the graph.
#[derive(Debug, Serialize, Deserialize)]
struct Recording {
    onnxruntime: String,
    #[serde(default)]
    graph: String,
    /// The logits of each sequence alone, in the order of the outputs.
    alone: Vec<Vec<f32>>,
    /// The logits of the sequences computed as one padded batch, in the same order.
    padded: Vec<Vec<f32>>,
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn recording(name: &str) -> PathBuf {
    golden("onnx").join(format!("{}.json", name.replace('/', "_")))
}

fn source(name: &str) -> Source {
    Source::read(&golden(name), &mut Sources::new()).unwrap_or_else(|d| panic!("{d:?}"))
}

fn graph(source: &Source) -> Graph {
    encoder::model(source, source.head.as_ref().unwrap()).unwrap().graph.unwrap()
}

fn hash(bytes: &[u8]) -> String {
    format!("{:032x}", XxHash3_128::oneshot(bytes))
}

/// One line for each node and each initializer.
fn shown(model: &Model) -> String {
    let graph = model.graph.as_ref().unwrap();
    let text = |name: &Option<String>| name.clone().unwrap_or_default();
    let place = |p: &super::proto::Place| {
        let tensor = p.r#type.as_ref().and_then(|t| t.tensor_type.as_ref()).unwrap();
        let dims = &tensor.shape.as_ref().unwrap().dim;
        let size =
            |d: &super::proto::Size| d.dim_param.clone().unwrap_or(d.dim_value.unwrap_or(0).to_string());
        let dims: Vec<String> = dims.iter().map(size).collect();
        format!("{} type {} [{}]\n", text(&p.name), tensor.elem_type.unwrap(), dims.join(", "))
    };
    let mut lines = format!("opset {:?}, ir {:?}\n", model.opset_import[0].version, model.ir_version);
    graph.input.iter().for_each(|p| lines += &format!("input  {}", place(p)));
    graph.output.iter().for_each(|p| lines += &format!("output {}", place(p)));
    for node in &graph.node {
        let set = |a: &super::proto::Attribute| {
            let value = match a.r#type {
                Some(1) => format!("{:?}", a.f.unwrap()),
                Some(2) => a.i.unwrap().to_string(),
                _ => format!("{:?}", a.ints),
            };
            format!(" {}={value}", text(&a.name))
        };
        let settings: String = node.attribute.iter().map(set).collect();
        let (inputs, op) = (node.input.join(", "), text(&node.op_type));
        lines += &format!("{} = {op}({inputs}){settings}\n", node.output.join(", "));
    }
    let constant = |t: &Tensor| {
        let kind = match t.data_type {
            Some(kind::FLOAT) => "f32",
            Some(kind::INT64) => "i64",
            Some(kind::INT8) => "i8",
            _ => "u8",
        };
        let hash = hash(t.raw_data.as_deref().unwrap_or(&[]));
        format!("{}: {kind} {:?} {}\n", text(&t.name), t.dims, &hash[..12])
    };
    graph.initializer.iter().map(constant).fold(lines, |all, line| all + &line)
}

#[test]
fn the_operators_of_a_graph_are_those_of_the_snapshot() {
    for name in MODELS {
        let source = source(name);
        let model = encoder::model(&source, source.head.as_ref().unwrap()).unwrap();
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(golden("onnx"));
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| insta::assert_snapshot!(name.replace('/', "_"), shown(&model)));
    }
}

/// The runtime's logits, sequence by sequence: those with the scales, and those of the same weights with no activation
/// quantized.
fn ours(source: &Source, asked: &[Tokens]) -> (Vec<f32>, Vec<f32>) {
    let head = source.head.as_ref().unwrap();
    let scales = source.quantization.as_ref();
    let whole = model(source, head, scales, &|name| source.values(name).to_vec()).unwrap();
    let floats = model(source, head, None, &|name| source.seen(name)).unwrap();
    (answers(whole, asked).unwrap(), answers(floats, asked).unwrap())
}

#[test]
fn onnx_runtime_computed_the_runtimes_logits_from_these_graphs() {
    for name in MODELS {
        let source = source(name);
        let recorded: Recording =
            serde_json::from_str(&std::fs::read_to_string(recording(name)).unwrap()).unwrap();
        assert_eq!(
            recorded.graph,
            hash(&graph(&source).encode_to_vec()),
            "the graph of {name} is another than the recorded one: record it again (tests/oracle/README.md)"
        );
        let asked = questions(&source.config);
        let (logits, floats) = ours(&source, &asked);
        let size = logits.iter().fold(1.0f32, |most, v| most.max(v.abs()));
        // Another order of summation may quantize a value to the neighbouring step.
        let (most, mean) = match source.quantization {
            None => (1e-5 * size, 1e-6 * size),
            Some(_) => apart(&logits, &floats),
        };
        for recorded in [recorded.alone.concat(), recorded.padded.concat()] {
            let (worst, average) = apart(&recorded, &logits);
            assert!(worst <= most && average <= mean, "{name}: {worst} {average}, {most} {mean} allowed");
        }
    }
}

#[test]
#[ignore = "needs OBERT_PYTHON, a Python with onnxruntime; OBERT_RECORD=1 writes the recordings"]
fn onnx_runtime_computes_the_recorded_logits() {
    let python = std::env::var_os("OBERT_PYTHON").expect("OBERT_PYTHON names a Python with onnxruntime");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/onnx_logits.py");
    let folder = tempfile::tempdir().unwrap();
    for name in MODELS {
        let source = source(name);
        let file = folder.path().join("model.onnx");
        std::fs::write(&file, bytes(&source, source.head.as_ref().unwrap(), &file).unwrap()).unwrap();
        let asked = questions(&source.config);
        let sequences = folder.path().join("sequences.json");
        std::fs::write(&sequences, serde_json::to_string(&asked).unwrap()).unwrap();
        let output = Command::new(&python).arg(&script).arg(&file).arg(&sequences).output().unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{complaint}");
        let mut got: Recording = serde_json::from_slice(&output.stdout).unwrap();
        got.graph = hash(&graph(&source).encode_to_vec());
        if std::env::var_os("OBERT_RECORD").is_some() {
            std::fs::create_dir_all(golden("onnx")).unwrap();
            let text = serde_json::to_string(&got).unwrap().replace("],", "],\n");
            std::fs::write(recording(name), text + "\n").unwrap();
        }
        let known: Recording =
            serde_json::from_str(&std::fs::read_to_string(recording(name)).unwrap()).unwrap();
        let (most, _) = apart(&got.alone.concat(), &known.alone.concat());
        assert!(most < 1e-3, "{name}: {most}");
    }
}
